/*
 * Whole federations in virtual time: the same bits whatever the machine, and
 * no trouble of one client is the federation's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/simulated.h"
#include "tests/test.h"

// Everything that can go wrong on an edge goes wrong here.
static void make_it_hard(simulated *w)
{
    w->options.federation.over_select = 0.4;
    w->options.federation.round_count = 4;
    w->options.fleet.dropout = 0.25;
    w->options.fleet.loss = 0.05;
    w->options.fleet.link_spread = 0.7;
    w->options.fleet.speed_spread = 1.2;
    w->options.fleet.availability = 0.7;
    w->options.fleet.period_s = 30;
    w->options.federation.deadline_ms = 20000;
}

/* ---- tests ---- */

TEST(simulation_learns)
{
    simulated w;
    simulated_init(&w, 10, 600, 0);
    w.options.federation.round_count = 15;
    w.options.federation.training.local_epochs = 3;
    simulated_run(&w);
    assert_ok(w.err);
    assert_int_equal(w.round_count, 15);
    assert_true(w.rounds[14].accuracy > 0.8);
    assert_true(w.rounds[14].loss < w.rounds[0].loss);
    simulated_fini(&w);
}

TEST(simulation_gives_the_same_bits_whatever_the_number_of_threads)
{
    const unsigned counts[] = {0, 1, 2, 4};
    for (int is_hard = 0; is_hard < 2; is_hard++) {
        simulated runs[4];
        for (int i = 0; i < 4; i++) {
            simulated_init(&runs[i], 40, 800, 0);
            if (is_hard) make_it_hard(&runs[i]);
            runs[i].options.thread_count = counts[i];
            simulated_run(&runs[i]);
            assert_ok(runs[i].err);
            simulated_assert_same(&runs[0], &runs[i]);
        }
        for (int i = 0; i < 4; i++)
            simulated_fini(&runs[i]);
    }
}

TEST(simulation_with_another_seed_is_another_one)
{
    simulated a, b;
    simulated_init(&a, 20, 400, 0);
    simulated_init(&b, 20, 400, 0);
    b.options.federation.seed = b.options.fleet.seed = 2;
    simulated_run(&a);
    simulated_run(&b);
    assert_int_equal(a.model_len, b.model_len);
    assert_memory_not_equal(a.model, b.model, a.model_len);
    simulated_fini(&a);
    simulated_fini(&b);
}

TEST(simulation_goes_on_without_a_client_that_can_never_train)
{
    simulated w;
    simulated_init(&w, 4, 200, 20);
    w.options.federation.cohort = 5;  // all, the bad one too
    w.options.federation.quorum = 4;
    w.options.federation.evaluate_every = 1;
    const uint32_t count = fl_partition_client_count(w.partition);
    uint32_t bad = count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row_count;
        if (fl_partition_rows(w.partition, i, &row_count)[0] < 20) bad = i;
    }
    assert_int_equal(count, 5);
    assert_true(bad < count);
    simulated_run(&w);
    assert_ok(w.err);
    assert_int_equal(w.round_count, 3);
    for (size_t i = 0; i < w.round_count; i++) {
        assert_int_equal(w.rounds[i].selected_count, 5);
        assert_int_equal(w.cohort_lens[i], 4);
        for (size_t k = 0; k < 4; k++)
            assert_int_not_equal(w.cohorts[i][k], bad);
    }
    simulated_fini(&w);
}

TEST(simulation_repeats_rounds_that_missed_their_quorum)
{
    simulated w;
    simulated_init(&w, 8, 160, 0);
    w.options.federation.cohort = 6;
    w.options.federation.quorum = 6;
    w.options.federation.deadline_ms = 10000;
    w.options.fleet.dropout = 0.2;
    simulated_run(&w);
    assert_ok(w.err);
    uint32_t attempts = 0;
    for (size_t i = 0; i < w.round_count; i++) {
        assert_int_equal(w.rounds[i].round, i + 1);
        assert_int_equal(w.rounds[i].update_count, 6);
        attempts += w.rounds[i].attempt;
    }
    assert_int_equal(w.round_count, 3);
    assert_true(attempts > 3);
    simulated_fini(&w);
}

// A board keeps what it has got, as one with a disk does.
TEST(simulation_downloads_a_model_once_to_each_board)
{
    simulated w;
    simulated_init(&w, 8, 160, 0);
    w.options.federation.aggregation = FL_AGGREGATION_CLEAR;
    w.options.federation.round_count = 1;
    w.options.federation.cohort = 6;
    w.options.federation.quorum = 6;
    w.options.federation.deadline_ms = 10000;
    w.options.fleet.dropout = 0.3;
    simulated_run(&w);
    assert_ok(w.err);
    assert_true(w.rounds[0].attempt > 1);
    // Six boards a try, of eight.
    assert_true(w.rounds[0].bytes_down < 10 * w.model_len);
    simulated_fini(&w);
}

TEST(simulation_stops_after_the_round_in_which_it_is_told_to)
{
    simulated w, whole;
    simulated_init(&w, 10, 200, 0);
    simulated_init(&whole, 10, 200, 0);
    w.stop_after = 2;
    simulated_run(&w);
    assert_err(w.err, FL_ERR_CANCELLED);
    assert_true(w.why.text[0] != 0);
    assert_int_equal(w.round_count, 2);
    // What is finished stands: the model of two rounds.
    whole.options.federation.round_count = 2;
    simulated_run(&whole);
    assert_ok(whole.err);
    assert_int_equal(w.model_len, whole.model_len);
    assert_memory_equal(w.model, whole.model, w.model_len);
    simulated_fini(&w);
    simulated_fini(&whole);
}

TEST(simulation_ends_when_a_round_cannot_be_reported)
{
    simulated w;
    simulated_init(&w, 10, 200, 0);
    w.round_err = FL_ERR_SYSTEM;
    simulated_run(&w);
    assert_err(w.err, FL_ERR_SYSTEM);
    assert_reason_names(w.why, "a full disk");
    assert_int_equal(w.round_count, 1);
    simulated_fini(&w);
}

TEST(simulation_counts_every_byte_of_its_rounds)
{
    simulated w;
    simulated_init(&w, 20, 400, 0);
    simulated_run(&w);
    for (size_t i = 0; i < w.round_count; i++) {
        const fl_round_record *round = &w.rounds[i];
        assert_int_equal(round->update_count, w.cohort_lens[i]);
        assert_int_equal(round->sample_count, 20 * round->update_count);
        // Each update once, and the steps of the session; a model to each that
        // was asked, or what has changed.
        const uint64_t up = round->update_count * round->up_packed;
        assert_int_equal(round->payload_up, up);
        assert_in_range(round->bytes_up, up + round->bytes_control / 3,
                        up + round->bytes_control + 1000 * w.cohort_lens[i]);
        assert_true(round->bytes_down < round->selected_count * w.model_len);
        assert_in_range(round->download_full, 1, w.model_len / 3);
        assert_true(round->took_ms > 0);
    }
    simulated_fini(&w);
}

TEST(simulation_of_a_thousand_clients_is_quick)
{
    simulated w;
    simulated_init(&w, 1000, 3000, 0);
    w.options.federation.cohort = 10;
    simulated_run(&w);
    assert_ok(w.err);
    assert_int_equal(w.round_count, 3);
    simulated_fini(&w);
}

TEST(simulation_refuses_a_model_made_for_other_data)
{
    simulated w;
    fl_simulation *simulation = NULL;
    fl_reason why = {""};
    simulated_init(&w, 10, 200, 0);
    assert_err(fl_simulation_new(&simulation, &w.options,
                                 simulated_model(SIMULATED_COLUMNS + 1), &why),
               FL_ERR_RANGE);
    assert_null(simulation);
    assert_true(why.text[0] != 0);
    w.options.federation.quorum = 0;
    assert_err(fl_simulation_new(&simulation, &w.options,
                                 simulated_model(SIMULATED_COLUMNS), &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "quorum");
    w.options.federation.quorum = 1;
    w.options.federation.upload_bytes_cap = 1000;  // less than an update
    assert_err(fl_simulation_new(&simulation, &w.options,
                                 simulated_model(SIMULATED_COLUMNS), &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "--upload-mb");
    simulated_fini(&w);
}

TEST(simulation_refuses_a_quorum_that_its_clients_cannot_make)
{
    simulated w;
    fl_simulation *simulation = NULL;
    fl_reason why = {""};
    simulated_init(&w, 4, 200, 0);
    w.options.federation.quorum = 5;
    assert_err(fl_simulation_new(&simulation, &w.options,
                                 simulated_model(SIMULATED_COLUMNS), &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "quorum of 5");
    simulated_fini(&w);
}

TEST(simulation_gives_up_a_round_that_misses_its_quorum_again_and_again)
{
    simulated w;
    simulated_init(&w, 10, 200, 0);
    w.options.fleet.samples_per_s = 0.1;  // takes longer than the deadline
    simulated_run(&w);
    assert_err(w.err, FL_ERR_STATE);
    assert_reason_names(w.why, "deadline");
    assert_int_equal(w.round_count, 0);
    simulated_fini(&w);
}

RUN_TESTS(
    cmocka_unit_test(simulation_learns),
    cmocka_unit_test(
        simulation_gives_the_same_bits_whatever_the_number_of_threads),
    cmocka_unit_test(simulation_with_another_seed_is_another_one),
    cmocka_unit_test(simulation_goes_on_without_a_client_that_can_never_train),
    cmocka_unit_test(simulation_repeats_rounds_that_missed_their_quorum),
    cmocka_unit_test(simulation_downloads_a_model_once_to_each_board),
    cmocka_unit_test(simulation_stops_after_the_round_in_which_it_is_told_to),
    cmocka_unit_test(simulation_ends_when_a_round_cannot_be_reported),
    cmocka_unit_test(simulation_counts_every_byte_of_its_rounds),
    cmocka_unit_test(simulation_of_a_thousand_clients_is_quick),
    cmocka_unit_test(simulation_refuses_a_model_made_for_other_data),
    cmocka_unit_test(simulation_refuses_a_quorum_that_its_clients_cannot_make),
    cmocka_unit_test(
        simulation_gives_up_a_round_that_misses_its_quorum_again_and_again))
