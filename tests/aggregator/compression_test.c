/*
 * Rounds with compressed updates and models, from end to end: the real
 * aggregator and real clients. Nothing may be counted twice or lost, whatever
 * is cut, killed or said again, and everybody trains on the very same bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "compress/compress.h"
#include "tests/support/lab.h"
#include "tests/support/wire.h"
#include "tests/test.h"

static fl_wires *start(const fl_aggregator_options *options, uint32_t clients)
{
    fl_wires *wires = calloc(1, sizeof *wires);
    assert_non_null(wires);
    fl_wires_init(wires, options, clients);
    wires->has_disks = true;
    return wires;
}

// And until everybody trains for the round after it: all has been answered.
static void run_to_end(fl_wires *wires, uint32_t round)
{
    fl_wires_run_to(wires, round);
    for (uint32_t i = 0; i < wires->client_count; i++) {
        fl_wire_end *end = &wires->ends[i];
        end->is_stuck = true;
        for (int step = 0; !end->is_training || end->plan.round <= round;
             step++) {
            assert_true(step < 2000);
            fl_wires_step(wires);
        }
    }
}

static void stop(fl_wires *wires)
{
    fl_wires_fini(wires);
    free(wires);
}

static fl_aggregator_options clear_options(fl_codec_kind kind, uint32_t rounds)
{
    fl_aggregator_options options = fl_lab_options();
    options.round_count = rounds + 1;
    options.codec = kind;
    options.codec_bits = kind == FL_CODEC_QSGD ? 4 : 0;
    options.density = 0.05;
    options.density_small = 0.25;
    options.value_clip = 4.0;
    options.quorum = options.cohort;
    options.release = 0.05;
    options.grid = 1.0 / 6;
    return options;
}

// The default, for three clients.
static fl_aggregator_options sketch_options(uint32_t rounds)
{
    fl_aggregator_options options = clear_options(FL_CODEC_SKETCH, rounds);
    const fl_aggregator_options secure = fl_lab_secure_options(3);
    options.aggregation = FL_AGGREGATION_SECURE;
    options.cohort = secure.cohort;
    options.quorum = secure.cohort;
    options.min_survivors = secure.min_survivors;
    options.authority = secure.authority;
    return options;
}

/* ---- what the master has taken ---- */

static double float_at(const uint8_t *bytes)
{
    const uint32_t bits = fl_bytes_get_u32(bytes);
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

// docs/format.md, "Master": its parameters come last.
static double master_param(const fl_wires *wires, size_t count, size_t i)
{
    return float_at(wires->master + wires->master_len - 4 * (count - i));
}

// What clients train from now.
static fl_model *published(const fl_wires *wires)
{
    size_t len;
    fl_model *model;
    const uint8_t *bytes = fl_aggregator_model(wires->aggregator, &len);
    assert_ok(fl_model_decode(&model, bytes, len, NULL));
    return model;
}

// What of `rounds` updates is neither in the master nor in the clients'
// residuals: how far off the worst parameter is, in updates.
static double count_lost(const fl_wires *wires, const fl_model *first,
                         uint32_t rounds)
{
    const size_t count = fl_model_param_count(first);
    const float *before = fl_model_get_params(first);
    double worst = 0.0;
    for (size_t i = 0; i < count; i++) {
        double taken = master_param(wires, count, i) - (double)before[i];
        for (uint32_t j = 0; j < wires->client_count; j++) {
            const fl_wire_end *end = &wires->ends[j];
            if (end->residual_len == 0) continue;
            assert_int_equal(end->residual_len, 4 * count);
            taken += float_at(end->residual + 4 * i) / wires->client_count;
        }
        const double update = (double)fl_wires_update(wires, i);
        worst = fmax(worst, fabs(taken - rounds * update) / update);
    }
    return worst;
}

static double mean_taken(const fl_wires *wires, const fl_model *first)
{
    const size_t count = fl_model_param_count(first);
    const float *before = fl_model_get_params(first);
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += master_param(wires, count, i) - (double)before[i];
    return sum / (double)count;
}

/* ---- steps that follow sums ---- */

TEST(compression_is_wide_until_a_sum_has_told_its_size)
{
    const fl_aggregator_options options = sketch_options(3);
    fl_wires *wires = start(&options, 3);
    wires->value = 0.001F;
    fl_wires_run_to(wires, 3);
    const fl_round_record *rounds = wires->rounds;
    assert_true(rounds[0].payload_up > 3 * rounds[1].payload_up);
    assert_true(rounds[1].payload_up == rounds[2].payload_up);
    assert_int_equal(wires->failed_count, 0);
    stop(wires);
}

static void assert_recovers(const fl_aggregator_options *options, float factor)
{
    fl_wires *wires = start(options, 3);
    wires->value = 0.001F;
    fl_wires_run_to(wires, 2);
    fl_model *before = published(wires);
    const double taken = mean_taken(wires, before);
    wires->value *= factor;
    fl_wires_run_to(wires, 3);
    const fl_round_record *rounds = wires->rounds;
    assert_int_equal(wires->failed_count, 1);
    assert_int_equal(rounds[2].attempt, 2);
    assert_int_equal(wires->ends[0].train_count, 4);  // burned, or sent
    assert_true(rounds[2].payload_up == rounds[0].payload_up);
    const double more =
        (mean_taken(wires, before) - taken) / (double)wires->value;
    if (fabs(more - 1.0) > 0.1) fail_msg("%g updates were added", more);
    fl_wires_run_to(wires, 4);
    assert_true(rounds[3].payload_up == rounds[1].payload_up);
    assert_int_equal(wires->failed_count, 1);
    fl_model_free(before);
    stop(wires);
}

TEST(compression_takes_wide_fields_after_a_sum_that_wrapped)
{
    fl_aggregator_options options = sketch_options(4);
    assert_recovers(&options, 100.0F);
    options.aggregation = FL_AGGREGATION_CLEAR;
    assert_recovers(&options, 100.0F);
}

// Updates near the clip, of all clients in one direction.
TEST(compression_recovers_from_the_largest_updates)
{
    fl_aggregator_options options = sketch_options(4);
    options.value_clip = 1e4;
    assert_recovers(&options, 6e6F);
}

TEST(compression_knows_the_size_of_sums_after_a_restart)
{
    const fl_aggregator_options options = sketch_options(3);
    fl_wires *wires = start(&options, 3);
    wires->value = 0.001F;
    fl_wires_run_to(wires, 2);
    fl_wires_restart_aggregator(wires);
    fl_wires_run_to(wires, 3);
    assert_true(wires->rounds[2].payload_up == wires->rounds[1].payload_up);
    stop(wires);
}

// A liar's words, in the clear: its own fault, not the round's.
TEST(compression_refuses_words_whose_metrics_no_client_has)
{
    fl_aggregator_options options = sketch_options(1);
    options.aggregation = FL_AGGREGATION_CLEAR;
    options.cohort = options.quorum = 2;
    fl_lab lab;
    fl_lab_init(&lab, &options);
    fl_hand *hands[] = {fl_lab_join(&lab, 0, 1), fl_lab_join(&lab, 1, 2)};
    const fl_message *mail = fl_hand_take(hands[0], FL_MESSAGE_MAIL);
    assert_non_null(mail);
    const fl_plan plan = mail->mail.plan;
    fl_parcel lie, honest;
    fl_parcel_init(&lie, &plan, lab.param_count, 1e9F);
    const fl_message *answer = fl_hand_deliver(hands[0], &plan, &lie);
    assert_int_equal(answer->type, FL_MESSAGE_REFUSAL);
    assert_int_equal(answer->refusal.code, FL_ERR_RANGE);
    mail = fl_hand_take(hands[1], FL_MESSAGE_MAIL);
    fl_parcel_init(&honest, &mail->mail.plan, lab.param_count, 0.001F);
    answer = fl_hand_deliver(hands[1], &mail->mail.plan, &honest);
    assert_int_equal(answer->type, FL_MESSAGE_ACK);
    fl_parcel_fini(&lie);
    fl_parcel_fini(&honest);
    fl_lab_fini(&lab);
}

/* ---- aggregators that are killed ---- */

static void assert_same_end(const fl_wires *a, const fl_wires *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->bytes, b->bytes, a->len);
    assert_int_equal(a->master_len, b->master_len);
    assert_memory_equal(a->master, b->master, a->master_len);
}

TEST(compression_ends_the_same_however_often_the_aggregator_restarts)
{
    enum { ROUNDS = 5 };
    const fl_aggregator_options options = clear_options(FL_CODEC_NONE, ROUNDS);
    fl_wires *calm = start(&options, 2);
    calm->value = 0.01F;
    run_to_end(calm, ROUNDS);
    for (uint32_t every = 7; every < 60; every += 26) {
        fl_wires *wires = start(&options, 2);
        wires->value = 0.01F;
        for (uint32_t round = 0; round < ROUNDS; round++) {
            const uint32_t until = wires->delivered_count + every;
            while (wires->delivered_count < until &&
                   wires->rounds_done <= round && !wires->has_left)
                fl_wires_step(wires);
            if (wires->rounds_done < ROUNDS) fl_wires_restart_aggregator(wires);
        }
        run_to_end(wires, ROUNDS);
        assert_same_end(wires, calm);
        stop(wires);
    }
    stop(calm);
}

/* ---- every codec ---- */

TEST(compression_sends_what_was_learned_with_every_codec)
{
    enum { ROUNDS = 3 };
    for (fl_codec_kind kind = FL_CODEC_SKETCH; kind <= FL_CODEC_NONE; kind++) {
        fl_aggregator_options options = clear_options(kind, ROUNDS);
        if (kind == FL_CODEC_DENSE) options.codec_bits = 8;
        fl_wires *wires = start(&options, 2);
        wires->value = 0.01F;
        fl_model *first = published(wires);
        run_to_end(wires, ROUNDS);
        if (fl_codec_has_residual(kind)) {
            assert_true(count_lost(wires, first, ROUNDS) < 1e-3);
        } else {
            const double taken =
                mean_taken(wires, first) / (double)wires->value;
            if (fabs(taken - ROUNDS) > 0.1)
                fail_msg("%s: %g updates", fl_codec_name(kind), taken);
            assert_int_equal(wires->ends[0].residual_len, 0);
        }
        assert_int_equal(wires->rounds[ROUNDS - 1].codec, kind);
        fl_model_free(first);
        stop(wires);
    }
}

/* ---- residuals, exactly once ---- */

// Runs to the end, with an accident after so many frames.
static void assert_nothing_lost(fl_codec_kind kind, uint32_t frames,
                                void (*accident)(fl_wires *wires))
{
    enum { ROUNDS = 3 };
    const fl_aggregator_options options = clear_options(kind, ROUNDS);
    fl_wires *wires = start(&options, 2);
    wires->value = 0.01F;
    fl_model *first = published(wires);
    while (wires->delivered_count < frames && wires->rounds_done < ROUNDS)
        fl_wires_step(wires);
    if (wires->rounds_done < ROUNDS) accident(wires);
    run_to_end(wires, ROUNDS);
    const double lost = count_lost(wires, first, ROUNDS);
    if (lost > 1e-3) fail_msg("after %u frames: %g updates", frames, lost);
    fl_model_free(first);
    stop(wires);
}

static void cut(fl_wires *wires)
{
    fl_wires_cut(wires, 0);
}

static void restart_aggregator(fl_wires *wires)
{
    fl_wires_restart_aggregator(wires);
}

// One client's training does not end: what the other has sent is thrown away.
static void fail_a_round(fl_wires *wires)
{
    const uint32_t failed = wires->failed_count;
    wires->ends[1].is_stuck = true;
    for (int i = 0; wires->failed_count == failed && i < 2000; i++)
        fl_wires_step(wires);
    wires->ends[1].is_stuck = false;
}

TEST(compression_commits_a_residual_once_when_a_link_is_cut)
{
    for (uint32_t frames = 22; frames < 90; frames += 7)
        assert_nothing_lost(FL_CODEC_TOPK, frames, cut);
}

TEST(compression_takes_a_residual_back_when_its_round_fails)
{
    for (uint32_t frames = 16; frames < 70; frames += 18)
        assert_nothing_lost(FL_CODEC_TOPK, frames, fail_a_round);
    assert_nothing_lost(FL_CODEC_STC, 40, fail_a_round);
}

TEST(compression_takes_a_residual_back_when_the_aggregator_forgets_it)
{
    for (uint32_t frames = 16; frames < 90; frames += 15)
        assert_nothing_lost(FL_CODEC_TOPK, frames, restart_aggregator);
}

/* ---- models on their way down ---- */

// A model as a client's disk has it.
typedef struct {
    uint8_t name[FL_HASH_BYTES];
    uint8_t *bytes;
    size_t len;
} version;

enum { VERSIONS = 46 };

static version remember(const fl_wires *wires)
{
    const fl_wire_end *end = &wires->ends[0];
    version v = {.len = end->model_len, .bytes = malloc(end->model_len)};
    assert_non_null(v.bytes);
    memcpy(v.name, end->model_name, FL_HASH_BYTES);
    memcpy(v.bytes, end->model, v.len);
    return v;
}

// A round in which client 0 holds nothing but this.
static void run_with(fl_wires *wires, const uint8_t *name, const version *held)
{
    fl_wires_put_model(wires, 0, name, held->bytes, held->len);
    fl_wires_run_to(wires, wires->rounds_done + 1);
}

TEST(compression_brings_every_client_to_the_same_bytes)
{
    fl_aggregator_options options =
        clear_options(FL_CODEC_SKETCH1BIT, VERSIONS);
    options.cohort = options.quorum = 1;
    fl_wires *wires = start(&options, 1);
    fl_wire_end *end = &wires->ends[0];
    wires->value = 0.01F;
    version held[VERSIONS];  // held[i]: the model that round i + 1 begins with
    uint32_t round = 0;
    while (round < 41) {
        fl_wires_run_to(wires, ++round);
        held[round - 1] = remember(wires);
    }
    assert_int_equal(end->plain_count + end->patched_count, 41);
    assert_int_equal(end->plain_count, 0);

    run_with(wires, held[39].name, &held[39]);  // 2 behind
    run_with(wires, held[32].name, &held[32]);  // 10
    run_with(wires, held[3].name, &held[3]);    // 40: packed
    assert_int_equal(end->patched_count, 44);
    assert_int_equal(end->patch_refused_count, 0);
    const uint8_t unknown[FL_HASH_BYTES] = {1};
    run_with(wires, unknown, &held[40]);  // packed as well
    assert_int_equal(end->patched_count, 45);
    run_with(wires, held[40].name, &held[30]);  // not what it says it is
    assert_int_equal(end->patch_refused_count, 1);
    assert_int_equal(end->patched_count, 45);
    assert_int_equal(end->plain_count, 1);

    for (uint32_t i = 0; i < round; i++)
        free(held[i].bytes);
    stop(wires);
}

TEST(compression_without_a_grid_publishes_whole_models)
{
    fl_aggregator_options options = clear_options(FL_CODEC_NONE, 4);
    options.grid = 0;
    fl_wires *wires = start(&options, 2);
    fl_model *first = published(wires);
    fl_wires_run_to(wires, 4);
    assert_int_equal(wires->ends[0].plain_count, 4);
    assert_int_equal(wires->ends[0].patched_count, 0);
    assert_true(count_lost(wires, first, 4) < 1e-5);
    fl_model *last = published(wires);
    for (size_t i = 0; i < fl_model_param_count(last); i += 97) {
        const double param = (double)fl_model_params(last)[i];
        assert_true(param ==
                    master_param(wires, fl_model_param_count(last), i));
    }
    fl_model_free(first);
    fl_model_free(last);
    stop(wires);
}

RUN_TESTS(
    cmocka_unit_test(compression_is_wide_until_a_sum_has_told_its_size),
    cmocka_unit_test(compression_takes_wide_fields_after_a_sum_that_wrapped),
    cmocka_unit_test(compression_recovers_from_the_largest_updates),
    cmocka_unit_test(compression_knows_the_size_of_sums_after_a_restart),
    cmocka_unit_test(compression_refuses_words_whose_metrics_no_client_has),
    cmocka_unit_test(
        compression_ends_the_same_however_often_the_aggregator_restarts),
    cmocka_unit_test(compression_sends_what_was_learned_with_every_codec),
    cmocka_unit_test(compression_commits_a_residual_once_when_a_link_is_cut),
    cmocka_unit_test(compression_takes_a_residual_back_when_its_round_fails),
    cmocka_unit_test(
        compression_takes_a_residual_back_when_the_aggregator_forgets_it),
    cmocka_unit_test(compression_brings_every_client_to_the_same_bytes),
    cmocka_unit_test(compression_without_a_grid_publishes_whole_models))
