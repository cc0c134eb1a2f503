/*
 * The same promises as in recovery_test.c where updates are added up in
 * sessions of secure aggregation: rounds come about, their sums are right, and
 * (wire.h) nobody burns a number twice.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "tests/support/lab.h"
#include "tests/support/wire.h"
#include "tests/test.h"

static const float ROUNDED = 1e-3F;  // what the codec may err

enum {
    MINUTE_MS = 60 * 1000,
    STEPS_MAX = 200000,
    MEMBERS = 5,  // of a session; 4 are enough from its roster on
    STRIDE = 19,  // frames between two accidents
};

typedef void accident(fl_wires *wires);

static void cut_first(fl_wires *wires)
{
    fl_wires_cut(wires, 0);
}

static void restart_first(fl_wires *wires)
{
    fl_wires_restart_client(wires, 0);
}

static fl_aggregator_options secure_options_for(uint32_t rounds)
{
    fl_aggregator_options options = fl_lab_secure_options(MEMBERS);
    options.round_count = rounds;
    options.deadline_ms = 5 * MINUTE_MS;
    return options;
}

static void assert_sum(const fl_wires *wires, uint32_t round)
{
    const fl_round_record *record = &wires->rounds[round];
    assert_int_equal(record->round, round + 1);
    assert_in_range(record->update_count, 3, MEMBERS);
    assert_int_equal(record->sample_count, 10 * record->update_count);
}

// Frames that two rounds without accidents need.
static uint32_t count_frames(const fl_aggregator_options *options)
{
    fl_wires wires;
    fl_wires_init(&wires, options, MEMBERS);
    fl_wires_run_to(&wires, 2);
    const uint32_t count = wires.delivered_count;
    fl_wires_fini(&wires);
    return count;
}

// Two rounds in sessions; after every STRIDE-th frame the accident happens,
// beginning where the caller says. A whole run is the same up to there.
static void try_sessions(accident *happen, uint32_t first, uint32_t fewest)
{
    const fl_aggregator_options options = secure_options_for(3);
    const uint32_t frames = count_frames(&options);
    assert_true(frames > 60 * MEMBERS);
    for (uint32_t k = first; k <= frames; k += STRIDE) {
        fl_wires wires;
        fl_wires_init(&wires, &options, MEMBERS);
        const float before = fl_wires_param(&wires);
        while (wires.delivered_count < k)
            fl_wires_step(&wires);
        happen(&wires);
        fl_wires_run_to(&wires, 2);
        for (uint32_t i = 0; i < 2; i++) {
            assert_sum(&wires, i);
            assert_in_range(wires.rounds[i].update_count, fewest, MEMBERS);
            assert_in_range(wires.rounds[i].attempt, 1, 2);
        }
        assert_true(fabsf(fl_wires_param(&wires) - before - 2 * FL_WIRE_VALUE) <
                    ROUNDED);
        for (uint32_t i = 0; i < MEMBERS; i++) {
            assert_in_range(wires.ends[i].train_count, 2, 4);
            assert_in_range(wires.ends[i].burn_count, 1, 4);
        }
        assert_in_range(wires.now_ms, 0, 2 * MINUTE_MS);
        fl_wires_fini(&wires);
    }
}

// Sessions wait for who is gone so shortly: nobody is lost by it.
TEST(session_recovery_loses_nobody_wherever_the_link_is_cut)
{
    try_sessions(cut_first, 0, MEMBERS);
}

TEST(session_recovery_goes_on_without_a_client_that_dies)
{
    try_sessions(restart_first, 2, MEMBERS - 1);
}

TEST(session_recovery_opens_another_one_whenever_the_aggregator_dies)
{
    try_sessions(fl_wires_restart_aggregator, 4, MEMBERS);
}

TEST(session_recovery_never_stops_under_many_accidents)
{
    for (uint64_t seed = 0; seed < 3; seed++) {
        fl_wires wires;
        fl_random random;
        const fl_aggregator_options options = secure_options_for(4);
        fl_wires_init(&wires, &options, MEMBERS);
        const float before = fl_wires_param(&wires);
        fl_random_init(&random, seed, FL_RANDOM_TEST, 1);
        for (int i = 0; wires.rounds_done < 3; i++) {
            assert_true(i < STEPS_MAX);
            const uint32_t client = fl_random_below(&random, MEMBERS);
            const uint32_t what = fl_random_below(&random, 2000);
            if (what < 6)
                fl_wires_cut(&wires, client);
            else if (what < 9)
                fl_wires_restart_client(&wires, client);
            else if (what < 10)
                fl_wires_restart_aggregator(&wires);
            else
                fl_wires_step(&wires);
        }
        for (uint32_t i = 0; i < 3; i++)
            assert_sum(&wires, i);
        assert_true(fabsf(fl_wires_param(&wires) - before - 3 * FL_WIRE_VALUE) <
                    ROUNDED);
        fl_wires_fini(&wires);
    }
}

RUN_TESTS(
    cmocka_unit_test(session_recovery_loses_nobody_wherever_the_link_is_cut),
    cmocka_unit_test(session_recovery_goes_on_without_a_client_that_dies),
    cmocka_unit_test(
        session_recovery_opens_another_one_whenever_the_aggregator_dies),
    cmocka_unit_test(session_recovery_never_stops_under_many_accidents))
