/*
 * Whole sessions in virtual time: cohorts above 128, where clients choose with
 * whom they share masks, and clients that vanish in the middle of a session.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sim/fleet.h"
#include "tests/support/simulated.h"
#include "tests/test.h"

enum {
    SPARSE = 150,  // more than the complete graph serves
    DEADLINE_MS = 15000,
    STEPS = 5,
};

static const fl_step STEP_OF[STEPS] = {FL_STEP_ADVERTISE, FL_STEP_SHARES,
                                       FL_STEP_MASKED, FL_STEP_CONFIRM,
                                       FL_STEP_UNMASK};

static size_t index_of(fl_step step)
{
    size_t i = 0;
    while (i < STEPS && STEP_OF[i] != step)
        i++;
    assert_true(i < STEPS);
    return i;
}

/* ---- who vanishes when ---- */

TEST(session_loses_as_many_clients_as_asked_evenly_over_its_steps)
{
    enum { BOARDS = 20000 };
    const fl_fleet_options options = {
        .seed = 1, .availability = 1, .period_s = 1, .dropout = 0.1};
    unsigned counts[STEPS] = {0}, count = 0;
    for (uint32_t i = 0; i < BOARDS; i++) {
        fl_board board;
        fl_step step;
        int64_t away_ms;
        fl_board_init(&board, &options, i);
        if (!fl_board_vanishes_in_session(&board, &step, &away_ms)) continue;
        assert_true(away_ms >= 1);
        counts[index_of(step)]++;
        count++;
    }
    // Within five deviations of a tenth, and of a fifth of that at each step.
    assert_in_range(count, 2000 - 212, 2000 + 212);
    for (int i = 0; i < STEPS; i++)
        assert_in_range(counts[i], 400 - 100, 400 + 100);
}

TEST(session_loses_nobody_unless_asked)
{
    const fl_fleet_options options = {.seed = 1, .availability = 1};
    for (uint32_t i = 0; i < 100; i++) {
        fl_board board;
        fl_step step;
        int64_t away_ms;
        fl_board_init(&board, &options, i);
        assert_false(fl_board_vanishes_in_session(&board, &step, &away_ms));
    }
}

/* ---- a small cohort with accidents ---- */

TEST(session_that_is_aborted_is_counted_and_its_round_tried_again)
{
    simulated w;
    uint32_t aborted = 0, lost = 0;
    simulated_init(&w, 30, 300, 0);
    w.options.federation.cohort = 20;
    w.options.federation.quorum = 14;
    w.options.federation.min_survivors = 14;
    w.options.federation.round_count = 8;
    w.options.fleet.dropout = 0.4;
    simulated_run(&w);
    assert_ok(w.err);
    assert_int_equal(w.round_count, 8);
    for (size_t i = 0; i < w.round_count; i++) {
        const fl_round_record *round = &w.rounds[i];
        assert_int_equal(round->round, i + 1);
        assert_int_equal(round->attempt, 1 + round->sessions_aborted);
        assert_in_range(round->update_count, 14, 20);
        assert_int_equal(round->update_count, w.cohort_lens[i]);
        assert_int_equal(round->sample_count, 10 * round->update_count);
        aborted += round->sessions_aborted;
        lost += round->selected_count - round->update_count;
    }
    assert_true(aborted > 0);
    assert_true(lost > 0);
    simulated_fini(&w);
}

/* ---- a cohort above the complete graph ---- */

static void init_sparse(simulated *w)
{
    simulated_init(w, SPARSE, 2 * SPARSE, 0);
    w->options.federation.cohort = SPARSE;
    w->options.federation.quorum = 100;
    w->options.federation.min_survivors = 100;
    w->options.federation.round_count = 1;
    w->options.federation.deadline_ms = DEADLINE_MS;
}

static void run_round(simulated *w, fl_aggregation aggregation)
{
    w->options.federation.aggregation = aggregation;
    simulated_run(w);
    assert_ok(w->err);
    assert_int_equal(w->round_count, 1);
    assert_int_equal(w->rounds[0].attempt, 1);
    assert_int_equal(w->rounds[0].sessions_aborted, 0);
}

static void assert_same_sum(const simulated *secure, const simulated *clear)
{
    assert_int_equal(secure->cohort_lens[0], clear->cohort_lens[0]);
    assert_memory_equal(secure->cohorts[0], clear->cohorts[0],
                        clear->cohort_lens[0] * sizeof clear->cohorts[0][0]);
    assert_int_equal(secure->model_len, clear->model_len);
    assert_memory_equal(secure->model, clear->model, clear->model_len);
    assert_int_equal(secure->rounds[0].sample_count,
                     clear->rounds[0].sample_count);
}

/*
 * The clients of a fleet that vanish before their vector is sent, in a session
 * as in the clear, and are away for the rest of the round. 0: in this fleet
 * there are others, too.
 */
static uint32_t count_vanished(const fl_fleet_options *options,
                               bool vanished[SPARSE])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SPARSE; i++) {
        fl_board board;
        fl_step step;
        int64_t away_ms;
        fl_board_init(&board, options, i);
        vanished[i] = fl_board_vanishes_in_session(&board, &step, &away_ms);
        if (!vanished[i]) continue;
        if (index_of(step) > index_of(FL_STEP_MASKED)) return 0;
        if (away_ms < 2 * DEADLINE_MS) return 0;
        count++;
    }
    return count;
}

static void find_fleet(fl_fleet_options *options, bool vanished[SPARSE])
{
    while (count_vanished(options, vanished) < 4)
        options->seed++;
}

TEST(session_of_a_sparse_graph_sums_the_survivors_on_any_number_of_threads)
{
    simulated secure, again, clear;
    bool vanished[SPARSE];
    init_sparse(&secure);
    init_sparse(&again);
    init_sparse(&clear);
    secure.options.fleet.dropout = 0.03;
    find_fleet(&secure.options.fleet, vanished);
    again.options.fleet = clear.options.fleet = secure.options.fleet;
    secure.options.thread_count = 1;
    again.options.thread_count = 4;
    run_round(&secure, FL_AGGREGATION_SECURE);
    run_round(&again, FL_AGGREGATION_SECURE);
    run_round(&clear, FL_AGGREGATION_CLEAR);

    simulated_assert_same(&secure, &again);
    assert_same_sum(&secure, &clear);
    assert_int_equal(clear.rounds[0].bytes_control, 0);
    // Entries with their proofs, and shares: what grows with the graph's
    // degree.
    const uint64_t each = secure.rounds[0].bytes_control / SPARSE;
    assert_in_range(each, 40000, 90000);
    size_t at = 0;
    for (uint32_t i = 0; i < SPARSE; i++)
        if (!vanished[i]) assert_int_equal(secure.cohorts[0][at++], i);
    assert_int_equal(at, secure.cohort_lens[0]);
    assert_true(at <= SPARSE - 4);
    simulated_fini(&secure);
    simulated_fini(&again);
    simulated_fini(&clear);
}

RUN_TESTS(
    cmocka_unit_test(
        session_loses_as_many_clients_as_asked_evenly_over_its_steps),
    cmocka_unit_test(session_loses_nobody_unless_asked),
    cmocka_unit_test(
        session_that_is_aborted_is_counted_and_its_round_tried_again),
    cmocka_unit_test(
        session_of_a_sparse_graph_sums_the_survivors_on_any_number_of_threads))
