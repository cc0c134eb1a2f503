/*
 * Rounds that ask, and models that shrink, from end to end: the real aggregator
 * and real clients, which answer what a test makes them answer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "tests/support/lab.h"
#include "tests/support/wire.h"
#include "tests/test.h"

enum { CLIENTS = 3, ROUNDS = 16 };

static fl_aggregator_options clear_options(void)
{
    fl_aggregator_options options = fl_lab_options();
    options.round_count = ROUNDS;
    options.cohort = CLIENTS - 1;
    options.quorum = options.cohort;
    options.min_clients = CLIENTS;
    options.value_clip = 4.0;
    options.release = 0.05;
    options.grid = 1.0 / 6;
    options.reduction = (fl_reduction_options){
        .prune = 0.3,
        .step = 0.15,
        .start = 1,
        .recover = 2,
        .multiple = 8,
        .importance = FL_IMPORTANCE_FISHER,
        .cost = FL_PRUNE_PARAMS,
        .max_drop = 0.015,
        .has_int8 = true,
        .holdout = 10,
        .survey_rows = 4000,  // of which 1000 are measured
        .round_count = ROUNDS,
    };
    return options;
}

static fl_aggregator_options secure_options(void)
{
    const fl_aggregator_options secure = fl_lab_secure_options(CLIENTS);
    fl_aggregator_options options = clear_options();
    options.aggregation = FL_AGGREGATION_SECURE;
    options.codec = secure.codec;
    options.codec_bits = secure.codec_bits;
    options.is_overflow_free = true;
    options.cohort = CLIENTS;
    options.quorum = CLIENTS;
    options.min_survivors = CLIENTS;
    options.authority = secure.authority;
    return options;
}

static fl_wires *start(const fl_aggregator_options *options)
{
    fl_wires *wires = calloc(1, sizeof *wires);
    assert_non_null(wires);
    fl_wires_init(wires, options, CLIENTS);
    wires->has_disks = true;
    wires->value = 0.001F;
    wires->right = 900;
    wires->whole = 905;
    return wires;
}

static void stop(fl_wires *wires)
{
    fl_wires_fini(wires);
    free(wires);
}

// A letter a round: Train, Measure, Importance, Ranges.
static void assert_story(const fl_wires *wires, const char *expected)
{
    char story[FL_WIRE_ROUNDS + 1] = "";
    for (uint32_t i = 0; i < wires->rounds_done; i++)
        story[i] = "TMIR"[wires->rounds[i].work];
    assert_string_equal(story, expected);
}

static const fl_round_record *round_of(const fl_wires *wires, uint32_t round)
{
    return &wires->rounds[round - 1];
}

/* ---- the whole ---- */

static void check_whole(const fl_aggregator_options *options)
{
    fl_wires *wires = start(options);
    size_t len;
    fl_wires_run_to(wires, ROUNDS);
    assert_int_equal(wires->failed_count, 0);
    assert_story(wires, "TM"
                        "ITTM"
                        "ITTM"
                        "RMTTRM");
    const uint64_t first = round_of(wires, 1)->param_count;
    assert_int_equal(round_of(wires, 2)->param_count, first);
    const uint64_t step = round_of(wires, 3)->param_count;
    assert_true(step <= first * 85 / 100);
    assert_int_equal(round_of(wires, 6)->param_count, step);
    const uint64_t last = round_of(wires, 7)->param_count;
    assert_true(last <= first * 70 / 100);
    assert_int_equal(round_of(wires, ROUNDS)->param_count, last);
    assert_true(round_of(wires, 7)->mac_count < round_of(wires, 1)->mac_count);
    assert_true(round_of(wires, 7)->model_bytes <
                round_of(wires, 2)->model_bytes);
    assert_int_equal(round_of(wires, 6)->verdict, FL_VERDICT_ACCEPTED);
    assert_true(fabs(round_of(wires, 6)->accuracy_after - 0.9) < 1e-9);
    assert_int_equal(round_of(wires, 12)->verdict, FL_VERDICT_ACCEPTED);
    assert_int_equal(round_of(wires, ROUNDS)->verdict, FL_VERDICT_ACCEPTED);
    assert_true(fabs(round_of(wires, ROUNDS)->accuracy_before - 0.905) < 1e-9);
    assert_int_equal(round_of(wires, 5)->verdict, FL_VERDICT_NONE);
    assert_true(isnan(round_of(wires, 5)->accuracy_after));
    // Who held the larger model has taken a patch to the smaller one.
    if (options->grid > 0) {
        for (uint32_t i = 0; i < CLIENTS; i++)
            assert_int_equal(wires->ends[i].plain_count, 0);
    }
    // All clients were asked, not a cohort.
    assert_int_equal(round_of(wires, 2)->selected_count, CLIENTS);
    assert_int_equal(round_of(wires, 2)->sample_count, CLIENTS * 1000);
    assert_int_equal(round_of(wires, 2)->codec, FL_CODEC_TALLY);
    assert_non_null(fl_aggregator_ranges(wires->aggregator, &len));
    stop(wires);
}

TEST(survey_rounds_shrink_the_model_in_the_clear)
{
    const fl_aggregator_options options = clear_options();
    check_whole(&options);
}

TEST(survey_rounds_shrink_the_model_unseen)
{
    const fl_aggregator_options options = secure_options();
    check_whole(&options);
}

TEST(survey_rounds_shrink_a_model_that_has_no_grid)
{
    fl_aggregator_options options = clear_options();
    options.grid = 0;
    check_whole(&options);
}

/* ---- the guard ---- */

// What is published at the end of this round.
static uint8_t *published(const fl_wires *wires, size_t *len)
{
    const uint8_t *bytes = fl_aggregator_model(wires->aggregator, len);
    uint8_t *copy = malloc(*len);
    assert_non_null(copy);
    memcpy(copy, bytes, *len);
    return copy;
}

// The aggregator's own numbers behind it, as bytes of no round.
static uint8_t *master_of(const fl_wires *wires, size_t *len)
{
    const fl_master *master = fl_aggregator_master(wires->aggregator);
    *len = fl_master_bytes(master);
    uint8_t *bytes = malloc(*len);
    assert_non_null(bytes);
    assert_ok(fl_master_encode(master, 1, bytes, *len));
    return bytes;
}

static void check_roll_back(const fl_aggregator_options *options,
                            bool is_restarted)
{
    fl_wires *wires = start(options);
    size_t len, back_len, master_len, master_back_len;
    fl_wires_run_to(wires, 2);
    uint8_t *before = published(wires, &len);
    uint8_t *master = master_of(wires, &master_len);
    fl_wires_run_to(wires, 5);
    if (is_restarted) fl_wires_restart_aggregator(wires);
    assert_true(round_of(wires, 5)->param_count <
                round_of(wires, 2)->param_count);
    wires->right = 884;
    fl_wires_run_to(wires, 6);
    assert_int_equal(round_of(wires, 6)->verdict, FL_VERDICT_ROLLED_BACK);
    assert_true(fabs(round_of(wires, 6)->accuracy_before - 0.900) < 1e-9);
    assert_true(fabs(round_of(wires, 6)->accuracy_after - 0.884) < 1e-9);
    assert_int_equal(round_of(wires, 6)->param_count,
                     round_of(wires, 2)->param_count);
    uint8_t *back = published(wires, &back_len);
    assert_int_equal(back_len, len);
    assert_memory_equal(back, before, len);
    uint8_t *master_back = master_of(wires, &master_back_len);
    assert_int_equal(master_back_len, master_len);
    assert_memory_equal(master_back, master, master_len);
    // It trains on, and pruning has ended.
    wires->right = 900;
    fl_wires_run_to(wires, ROUNDS);
    assert_story(wires, "TMITTM"
                        "RMTTTTTTRM");
    assert_int_equal(wires->failed_count, 0);
    free(before);
    free(back);
    free(master);
    free(master_back);
    stop(wires);
}

TEST(survey_that_finds_too_much_lost_brings_the_model_back_to_the_byte)
{
    fl_aggregator_options options = clear_options();
    check_roll_back(&options, false);
    options = secure_options();
    check_roll_back(&options, false);
}

TEST(survey_brings_the_model_back_after_a_restart)
{
    fl_aggregator_options options = clear_options();
    check_roll_back(&options, true);
    options.grid = 0;
    check_roll_back(&options, true);
}

/* ---- restarts ---- */

// After every round, and in the middle of each.
static void check_restarts(const fl_aggregator_options *options)
{
    fl_wires *whole = start(options), *cut = start(options);
    fl_wires_run_to(whole, ROUNDS);
    while (cut->rounds_done < ROUNDS) {
        fl_wires_run_to(cut, cut->rounds_done + 1);
        if (cut->rounds_done == ROUNDS) break;
        fl_wires_restart_aggregator(cut);
        for (int i = 0; i < 15; i++)
            fl_wires_step(cut);
        fl_wires_restart_aggregator(cut);
    }
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        const fl_round_record *a = round_of(whole, round);
        const fl_round_record *b = round_of(cut, round);
        assert_int_equal(a->work, b->work);
        assert_int_equal(a->param_count, b->param_count);
        assert_int_equal(a->verdict, b->verdict);
    }
    if (options->codec == FL_CODEC_NONE) {  // draws nothing
        assert_int_equal(whole->len, cut->len);
        assert_memory_equal(whole->bytes, cut->bytes, cut->len);
    }
    stop(whole);
    stop(cut);
}

TEST(survey_rounds_go_on_after_any_restart)
{
    fl_aggregator_options options = clear_options();
    check_restarts(&options);
    options = secure_options();
    check_restarts(&options);
}

TEST(survey_is_tried_again_like_any_round)
{
    const fl_aggregator_options options = secure_options();
    fl_wires *wires = start(&options);
    fl_wires_run_to(wires, 1);
    wires->ends[0].is_stuck = true;  // its answer never comes
    while (wires->failed_count == 0) {
        fl_wires_step(wires);
    }
    fl_wires_restart_client(wires, 0);
    wires->ends[0].is_stuck = false;
    fl_wires_run_to(wires, 3);
    assert_story(wires, "TMI");
    assert_true(round_of(wires, 2)->attempt > 1);
    stop(wires);
}

/* ---- batch norms ---- */

// As a client of this round has been told.
static fl_norm norm_of(fl_wires *wires, uint32_t round)
{
    fl_wires_run_to(wires, round);
    for (int i = 0; i < CLIENTS; i++) {
        const fl_plan *plan = &wires->ends[i].plan;
        if (plan->round == round) return plan->norm;
    }
    fail_msg("no client has trained in round %u", round);
    return FL_NORM_TRAIN;
}

TEST(survey_rounds_let_frozen_norms_follow_a_smaller_model)
{
    fl_aggregator_options options = clear_options();
    options.norm_rounds = 2;
    fl_wires *wires = start(&options);
    assert_int_equal(norm_of(wires, 1), FL_NORM_TRAIN);
    for (uint32_t round = 4; round < 6; round++)
        assert_int_equal(norm_of(wires, round), FL_NORM_TRAIN);
    for (uint32_t round = 8; round < 10; round++)
        assert_int_equal(norm_of(wires, round), FL_NORM_TRAIN);
    for (uint32_t round = 13; round < 15; round++)
        assert_int_equal(norm_of(wires, round), FL_NORM_FROZEN);
    stop(wires);
}

/* ---- liars ---- */

// Each count could be true; what they add up to could not.
TEST(survey_of_a_liar_in_the_clear_is_refused_and_the_round_goes_on)
{
    const fl_aggregator_options options = clear_options();
    fl_wires *wires = start(&options);
    wires->ends[0].is_lying = true;
    fl_wires_run_to(wires, ROUNDS);
    assert_int_equal(wires->failed_count, 0);
    assert_story(wires, "TM"
                        "ITTM"
                        "ITTM"
                        "RMTTRM");
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        if (round_of(wires, round)->work == FL_WORK_TRAIN) continue;
        assert_int_equal(round_of(wires, round)->update_count, CLIENTS - 1);
    }
    assert_int_equal(round_of(wires, ROUNDS)->verdict, FL_VERDICT_ACCEPTED);
    stop(wires);
}

// Unseen, only the sum tells that somebody has lied.
TEST(survey_of_shares_that_add_up_to_more_fails_when_unseen)
{
    const fl_aggregator_options options = secure_options();
    fl_wires *wires = start(&options);
    fl_wires_run_to(wires, 2);
    for (int i = 0; i < CLIENTS; i++)
        wires->ends[i].is_lying = true;
    for (int i = 0; i < 20000 && wires->failed_count == 0; i++)
        fl_wires_step(wires);
    assert_true(wires->failed_count > 0);
    for (int i = 0; i < CLIENTS; i++)
        wires->ends[i].is_lying = false;
    fl_wires_run_to(wires, 3);
    assert_story(wires, "TMI");
    stop(wires);
}

TEST(survey_of_int8_with_a_liar_unseen_is_a_form_that_is_refused)
{
    const fl_aggregator_options options = secure_options();
    fl_wires *wires = start(&options);
    fl_wires_run_to(wires, ROUNDS - 1);
    wires->ends[0].is_lying = true;
    fl_wires_run_to(wires, ROUNDS);
    assert_int_equal(round_of(wires, ROUNDS)->verdict, FL_VERDICT_ROLLED_BACK);
    assert_true(isnan(round_of(wires, ROUNDS)->accuracy_before));
    assert_int_equal(wires->failed_count, 0);
    stop(wires);
}

/* ---- the end ---- */

TEST(survey_rounds_end_when_everybody_has_heard_of_it)
{
    const fl_aggregator_options options = clear_options();
    fl_wires *wires = start(&options);
    fl_wires_run_to(wires, ROUNDS);
    for (int i = 0; i < 2000 && !wires->has_left; i++)
        fl_wires_step(wires);
    assert_true(wires->has_left);
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_int_equal(wires->ends[i].finished_count, 1);
    stop(wires);
}

// Nobody is connected when it starts again, and nobody has heard the end.
TEST(survey_rounds_end_for_those_who_come_back_after_a_restart)
{
    const fl_aggregator_options options = clear_options();
    fl_wires *wires = start(&options);
    fl_wires_run_to(wires, ROUNDS);
    fl_wires_restart_aggregator(wires);
    const int64_t start_ms = wires->now_ms;
    for (int i = 0; i < 2000 && !wires->has_left; i++)
        fl_wires_step(wires);
    assert_true(wires->has_left);
    assert_in_range(wires->now_ms - start_ms, 1, 20000);
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_int_equal(wires->ends[i].finished_count, 1);
    stop(wires);
}

TEST(survey_rounds_end_when_nobody_comes_back_after_a_restart)
{
    const fl_aggregator_options options = clear_options();
    fl_wires *wires = start(&options);
    fl_wires_run_to(wires, ROUNDS);
    fl_wires_restart_aggregator(wires);
    const int64_t start_ms = wires->now_ms;
    wires->client_count = 0;
    for (int i = 0; i < 2000 && !wires->has_left; i++)
        fl_wires_step(wires);
    assert_true(wires->has_left);
    assert_int_equal(wires->now_ms - start_ms, 60000);
    wires->client_count = CLIENTS;
    stop(wires);
}

// The last client has answered the last survey, and is gone before its end.
static fl_wires *finish_without_the_last(const fl_aggregator_options *options)
{
    fl_wires *wires = start(options);
    fl_wires_run_to(wires, ROUNDS - 1);
    wires->ends[0].is_stuck = wires->ends[1].is_stuck = true;
    while (fl_aggregator_get_status(wires->aggregator).update_count == 0) {
        fl_wires_step(wires);
    }
    fl_wires_cut(wires, CLIENTS - 1);
    wires->client_count = CLIENTS - 1;
    wires->ends[0].is_stuck = wires->ends[1].is_stuck = false;
    fl_wires_run_to(wires, ROUNDS);
    return wires;
}

TEST(survey_rounds_end_for_a_client_that_has_only_just_gone)
{
    const fl_aggregator_options options = clear_options();
    fl_wires *wires = finish_without_the_last(&options);
    const int64_t start_ms = wires->now_ms;
    while (wires->now_ms - start_ms < 10000) {
        fl_wires_step(wires);
    }
    assert_false(wires->has_left);
    wires->client_count = CLIENTS;
    for (int i = 0; i < 2000 && !wires->has_left; i++)
        fl_wires_step(wires);
    assert_true(wires->has_left);
    assert_in_range(wires->now_ms - start_ms, 10000, 29000);
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_int_equal(wires->ends[i].finished_count, 1);
    stop(wires);
}

TEST(survey_rounds_end_without_a_client_that_is_gone_for_good)
{
    const fl_aggregator_options options = clear_options();
    fl_wires *wires = finish_without_the_last(&options);
    const int64_t start_ms = wires->now_ms;
    for (int i = 0; i < 2000 && !wires->has_left; i++)
        fl_wires_step(wires);
    assert_true(wires->has_left);
    assert_in_range(wires->now_ms - start_ms, 29000, 31000);
    wires->client_count = CLIENTS;
    stop(wires);
}

RUN_TESTS(
    cmocka_unit_test(survey_rounds_shrink_the_model_in_the_clear),
    cmocka_unit_test(survey_rounds_shrink_the_model_unseen),
    cmocka_unit_test(survey_rounds_shrink_a_model_that_has_no_grid),
    cmocka_unit_test(
        survey_that_finds_too_much_lost_brings_the_model_back_to_the_byte),
    cmocka_unit_test(survey_brings_the_model_back_after_a_restart),
    cmocka_unit_test(survey_rounds_go_on_after_any_restart),
    cmocka_unit_test(survey_is_tried_again_like_any_round),
    cmocka_unit_test(survey_rounds_let_frozen_norms_follow_a_smaller_model),
    cmocka_unit_test(
        survey_of_a_liar_in_the_clear_is_refused_and_the_round_goes_on),
    cmocka_unit_test(survey_of_shares_that_add_up_to_more_fails_when_unseen),
    cmocka_unit_test(
        survey_of_int8_with_a_liar_unseen_is_a_form_that_is_refused),
    cmocka_unit_test(survey_rounds_end_when_everybody_has_heard_of_it),
    cmocka_unit_test(survey_rounds_end_for_those_who_come_back_after_a_restart),
    cmocka_unit_test(survey_rounds_end_when_nobody_comes_back_after_a_restart),
    cmocka_unit_test(survey_rounds_end_for_a_client_that_has_only_just_gone),
    cmocka_unit_test(survey_rounds_end_without_a_client_that_is_gone_for_good))
