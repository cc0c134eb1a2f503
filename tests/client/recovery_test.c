/*
 * What clients and the aggregator promise each other when links break and
 * programs die: at whatever moment that happens, every round comes about,
 * every update is in it once, and nothing is trained twice that was saved.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "tests/support/lab.h"
#include "tests/support/wire.h"
#include "tests/test.h"

enum {
    MINUTE_MS = 60 * 1000,
    STEPS_MAX = 20000,
    MEMBERS = 5,  // of a session; 4 are enough from its roster on
    STRIDE = 31,  // frames between two accidents in sessions
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

static fl_aggregator_options options_for(uint32_t rounds, uint32_t cohort)
{
    fl_aggregator_options options = fl_lab_options();
    options.round_count = rounds;
    options.cohort = cohort;
    options.quorum = cohort;
    options.deadline_ms = 5 * MINUTE_MS;
    return options;
}

static void run_until_round(fl_wires *wires, uint32_t round)
{
    for (int i = 0; wires->rounds_done < round; i++) {
        assert_true(i < STEPS_MAX);
        fl_wires_step(wires);
    }
}

// Frames that a run without accidents needs for its rounds.
static uint32_t count_frames(const fl_aggregator_options *options,
                             uint32_t rounds, uint32_t clients)
{
    fl_wires wires;
    fl_wires_init(&wires, options, clients);
    run_until_round(&wires, rounds);
    const uint32_t count = wires.delivered_count;
    fl_wires_fini(&wires);
    return count;
}

static void assert_rounds(const fl_wires *wires, uint32_t count,
                          uint32_t clients)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(wires->rounds[i].round, i + 1);
        assert_int_equal(wires->rounds[i].attempt, 1);
        assert_int_equal(wires->rounds[i].update_count, clients);
        assert_int_equal(wires->rounds[i].sample_count, 10 * clients);
    }
}

// Two rounds; after the k-th frame the accident happens, for every k.
static void try_everywhere(accident *happen, uint32_t clients,
                           uint32_t trained_max)
{
    const fl_aggregator_options options = options_for(3, clients);
    const uint32_t frames = count_frames(&options, 2, clients);
    assert_true(frames > 50 * clients);
    for (uint32_t k = 0; k <= frames; k++) {
        fl_wires wires;
        fl_wires_init(&wires, &options, clients);
        const float before = fl_wires_param(&wires);
        while (wires.delivered_count < k)
            fl_wires_step(&wires);
        happen(&wires);
        run_until_round(&wires, 2);
        assert_rounds(&wires, 2, clients);
        assert_true(fabsf(fl_wires_param(&wires) - before - 2 * FL_WIRE_VALUE) <
                    1e-6F);
        assert_in_range(wires.ends[0].saved_count, 2, trained_max);
        assert_in_range(wires.now_ms, 0, 2 * MINUTE_MS);
        fl_wires_fini(&wires);
    }
}

TEST(recovery_commits_every_update_once_wherever_the_link_is_cut)
{
    try_everywhere(cut_first, 1, 2);
    try_everywhere(cut_first, 2, 2);
}

TEST(recovery_commits_every_update_once_whenever_the_client_dies)
{
    // A plan that the dead one had read is read again: one training more.
    try_everywhere(restart_first, 1, 2);
}

TEST(recovery_commits_every_update_once_whenever_the_aggregator_dies)
{
    // An update that was in the lost sum is trained again.
    try_everywhere(fl_wires_restart_aggregator, 2, 3);
}

TEST(recovery_offers_an_update_again_to_an_aggregator_that_died)
{
    fl_wires wires;
    fl_aggregator_options options = options_for(2, 1);
    options.gather_ms = 10000;  // the client is back before the round is
    fl_wires_init(&wires, &options, 1);
    while (wires.ends[0].saved_count == 0)
        fl_wires_step(&wires);
    fl_wires_restart_aggregator(&wires);
    run_until_round(&wires, 1);
    assert_int_equal(wires.ends[0].train_count, 1);
    fl_wires_fini(&wires);
}

// It has committed, and its plan must not be in its mailbox any more when the
// next round goes on without it: a restarted client has read no mail.
TEST(recovery_lets_a_client_in_that_comes_back_after_its_round)
{
    uint32_t left_out_count = 0;
    for (uint64_t seed = 0; seed < 8; seed++) {
        fl_lab lab;
        fl_parcel parcel;
        fl_aggregator_options options = options_for(3, 1);
        options.seed = seed;
        fl_lab_init(&lab, &options);
        fl_hand *a = fl_lab_join(&lab, 0, 1);
        fl_hand *b = fl_lab_join(&lab, 1, 2);
        const fl_message *mail = fl_hand_take(a, FL_MESSAGE_MAIL);
        assert_non_null(mail);
        fl_parcel_init(&parcel, &mail->mail.plan, lab.param_count, 0.5F);
        fl_hand_deliver(a, &mail->mail.plan, &parcel);
        assert_int_equal(lab.saved_count, 1);
        if (fl_hand_take(b, FL_MESSAGE_MAIL)) left_out_count++;
        fl_hand_disconnect(a);
        a = fl_lab_join(&lab, 0, 1);
        assert_false(a->is_closed);
        fl_parcel_fini(&parcel);
        fl_lab_fini(&lab);
    }
    assert_in_range(left_out_count, 1, 7);  // both cases were seen
}

TEST(recovery_never_stops_under_many_accidents_at_random)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        fl_wires wires;
        fl_random random;
        const fl_aggregator_options options = options_for(5, 2);
        fl_wires_init(&wires, &options, 3);
        fl_random_init(&random, seed, FL_RANDOM_TEST, 0);
        for (int i = 0; wires.rounds_done < 4; i++) {
            assert_true(i < 10 * STEPS_MAX);
            const uint32_t client = fl_random_below(&random, 3);
            const uint32_t what = fl_random_below(&random, 1000);
            if (what < 6)
                fl_wires_cut(&wires, client);
            else if (what < 8)
                fl_wires_restart_client(&wires, client);
            else if (what < 9)
                fl_wires_restart_aggregator(&wires);
            else
                fl_wires_step(&wires);
        }
        for (uint32_t i = 0; i < 4; i++)
            assert_int_equal(wires.rounds[i].update_count, 2);
        fl_wires_fini(&wires);
    }
}

/* ---- in sessions ---- */

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

// Two rounds in sessions; after every STRIDE-th frame the accident happens,
// beginning where the caller says. A whole run is the same up to there.
static void try_sessions(accident *happen, uint32_t first, uint32_t fewest)
{
    const fl_aggregator_options options = secure_options_for(3);
    const uint32_t frames = count_frames(&options, 2, MEMBERS);
    assert_true(frames > 60 * MEMBERS);
    for (uint32_t k = first; k <= frames; k += STRIDE) {
        fl_wires wires;
        fl_wires_init(&wires, &options, MEMBERS);
        const float before = fl_wires_param(&wires);
        while (wires.delivered_count < k)
            fl_wires_step(&wires);
        happen(&wires);
        run_until_round(&wires, 2);
        for (uint32_t i = 0; i < 2; i++) {
            assert_sum(&wires, i);
            assert_in_range(wires.rounds[i].update_count, fewest, MEMBERS);
            assert_in_range(wires.rounds[i].attempt, 1, 2);
        }
        assert_true(fabsf(fl_wires_param(&wires) - before - 2 * FL_WIRE_VALUE) <
                    1e-6F);
        for (uint32_t i = 0; i < MEMBERS; i++) {
            assert_in_range(wires.ends[i].train_count, 2, 4);
            assert_in_range(wires.ends[i].burn_count, 1, 4);
        }
        assert_in_range(wires.now_ms, 0, 2 * MINUTE_MS);
        fl_wires_fini(&wires);
    }
}

// Sessions wait for who is gone so shortly: nobody is lost by it.
TEST(recovery_loses_nobody_in_a_session_wherever_the_link_is_cut)
{
    try_sessions(cut_first, 0, MEMBERS);
}

TEST(recovery_goes_on_without_a_client_that_dies_in_a_session)
{
    try_sessions(restart_first, 2, MEMBERS - 1);
}

TEST(recovery_opens_another_session_whenever_the_aggregator_dies)
{
    try_sessions(fl_wires_restart_aggregator, 4, MEMBERS);
}

TEST(recovery_never_stops_under_many_accidents_in_sessions)
{
    for (uint64_t seed = 0; seed < 3; seed++) {
        fl_wires wires;
        fl_random random;
        const fl_aggregator_options options = secure_options_for(4);
        fl_wires_init(&wires, &options, MEMBERS);
        const float before = fl_wires_param(&wires);
        fl_random_init(&random, seed, FL_RANDOM_TEST, 1);
        for (int i = 0; wires.rounds_done < 3; i++) {
            assert_true(i < 10 * STEPS_MAX);
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
                    1e-6F);
        fl_wires_fini(&wires);
    }
}

RUN_TESTS(
    cmocka_unit_test(
        recovery_commits_every_update_once_wherever_the_link_is_cut),
    cmocka_unit_test(
        recovery_commits_every_update_once_whenever_the_client_dies),
    cmocka_unit_test(
        recovery_commits_every_update_once_whenever_the_aggregator_dies),
    cmocka_unit_test(
        recovery_offers_an_update_again_to_an_aggregator_that_died),
    cmocka_unit_test(recovery_lets_a_client_in_that_comes_back_after_its_round),
    cmocka_unit_test(recovery_never_stops_under_many_accidents_at_random),
    cmocka_unit_test(
        recovery_loses_nobody_in_a_session_wherever_the_link_is_cut),
    cmocka_unit_test(recovery_goes_on_without_a_client_that_dies_in_a_session),
    cmocka_unit_test(
        recovery_opens_another_session_whenever_the_aggregator_dies),
    cmocka_unit_test(recovery_never_stops_under_many_accidents_in_sessions))
