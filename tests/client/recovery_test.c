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

enum { MINUTE_MS = 60 * 1000, STEPS_MAX = 20000 };

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

// Frames that a run without accidents needs for its rounds.
static uint32_t count_frames(uint32_t rounds, uint32_t clients)
{
    fl_wires wires;
    const fl_aggregator_options options = options_for(rounds + 1, clients);
    fl_wires_init(&wires, &options, clients);
    fl_wires_run_to(&wires, rounds);
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
    const uint32_t frames = count_frames(2, clients);
    assert_true(frames > 50 * clients);
    for (uint32_t k = 0; k <= frames; k++) {
        fl_wires wires;
        fl_wires_init(&wires, &options, clients);
        const float before = fl_wires_param(&wires);
        while (wires.delivered_count < k)
            fl_wires_step(&wires);
        happen(&wires);
        fl_wires_run_to(&wires, 2);
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
    fl_wires_run_to(&wires, 1);
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

// Half of the cohort is away for an hour, from every seventh frame on. It has
// to be back soon after, without having dialled all the time, and what was
// trained counts once.
TEST(recovery_goes_on_after_a_link_that_was_cut_for_an_hour)
{
    const fl_aggregator_options options = options_for(3, 2);
    const uint32_t frames = count_frames(2, 2);
    for (uint32_t k = 0; k <= frames; k += 7) {
        fl_wires wires;
        fl_wires_init(&wires, &options, 2);
        fl_wire_end *end = &wires.ends[0];
        const float before = fl_wires_param(&wires);
        while (wires.delivered_count < k)
            fl_wires_step(&wires);
        const int64_t back_ms = wires.now_ms + 60 * MINUTE_MS;
        end->is_offline = true;
        cut_first(&wires);
        while (wires.now_ms < back_ms)
            fl_wires_step(&wires);
        assert_in_range(end->dial_count, 60, 240);
        end->is_offline = false;
        fl_wires_run_to(&wires, 2);
        assert_in_range(wires.now_ms, back_ms, back_ms + 2 * MINUTE_MS);
        assert_int_equal(wires.rounds[1].update_count, 2);
        assert_true(fabsf(fl_wires_param(&wires) - before - 2 * FL_WIRE_VALUE) <
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
    cmocka_unit_test(recovery_goes_on_after_a_link_that_was_cut_for_an_hour))
