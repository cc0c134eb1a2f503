/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/reduction.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

enum { ROUNDS = 60, COHORT = 10 };

static fl_reason why;

static fl_model *make_model(const char *name)
{
    fl_model *model = NULL;
    const fl_model_options options = {
        .name = name, .input = {28, 28, 1}, .class_count = 10, .seed = 3};
    assert_ok(fl_model_new(&model, &options, &why));
    return model;
}

static fl_reduction_options make_options(void)
{
    return (fl_reduction_options){
        .prune = 0.5,
        .step = 0.2,
        .start = 2,
        .recover = 2,
        .multiple = 8,
        .importance = FL_IMPORTANCE_FISHER,
        .cost = FL_PRUNE_PARAMS,
        .max_drop = 0.015,
        .has_int8 = true,
        .holdout = 10,
        .survey_rows = 256,
        .round_count = ROUNDS,
    };
}

/* A federation without clients: what a round's answers would be. */
typedef struct {
    fl_reduction *reduction;
    fl_reduction_options options;
    fl_model *model;
    uint32_t round;  // that is done
    fl_reduction_outcome outcome;
    uint32_t shrunk_count, back_count;
    bool is_restarted;       // after every round
    char story[ROUNDS + 1];  // a letter a round
} bench;

static void bench_open(bench *b, const fl_reduction_options *options)
{
    *b = (bench){.options = *options, .model = make_model("lenet")};
    assert_ok(fl_reduction_new(&b->reduction, options, b->model, &why));
}

static void bench_close(bench *b)
{
    fl_reduction_outcome_fini(&b->outcome);
    fl_reduction_free(b->reduction);
    fl_model_free(b->model);
}

static fl_reduction_before pretend_before(uint32_t round)
{
    fl_reduction_before before = {.round = round};
    before.model = (fl_reduction_bytes){malloc(5), 5};
    before.master = (fl_reduction_bytes){malloc(7), 7};
    assert_true(before.model.bytes && before.master.bytes);
    memset(before.model.bytes, (int)round, 5);
    memset(before.master.bytes, (int)round + 1, 7);
    return before;
}

static void shrink(bench *b)
{
    fl_model *smaller = NULL;
    assert_ok(fl_model_shrink(&smaller, NULL, b->model, b->outcome.channels,
                              b->outcome.keep, &why));
    assert_true(fl_model_param_count(smaller) < fl_model_param_count(b->model));
    fl_model_free(b->model);
    b->model = smaller;
    b->shrunk_count++;
    const fl_reduction_before before = pretend_before(b->round);
    fl_reduction_remember(b->reduction, &before);
}

static uint8_t *encode(const bench *b, size_t *len)
{
    const fl_reduction_state *state = fl_reduction_get_state(b->reduction);
    *len = fl_reduction_state_bytes(state);
    uint8_t *bytes = malloc(*len);
    assert_non_null(bytes);
    assert_ok(fl_reduction_state_encode(state, b->round, bytes, *len));
    return bytes;
}

// What is decoded encodes to the same bytes: nothing is lost.
static void restart(bench *b)
{
    size_t len, again_len;
    uint8_t *bytes = encode(b, &len);
    fl_reduction *before = b->reduction;
    assert_ok(fl_reduction_decode(&b->reduction, &b->options, b->round, bytes,
                                  len, &why));
    uint8_t *again = encode(b, &again_len);
    assert_int_equal(again_len, len);
    assert_memory_equal(again, bytes, len);
    fl_reduction_free(before);
    free(bytes);
    free(again);
}

// One round; of a survey so many of 1000 rows are right, and the float32 model
// of an INT8 form has as many as `whole`.
static fl_work play(bench *b, uint64_t right, uint64_t whole)
{
    const fl_reduction_task task =
        fl_reduction_next(b->reduction, COHORT, 1000);
    const fl_update_metrics metrics = {.weight = 1000, .correct = right};
    size_t count;
    b->round++;
    b->story[b->round - 1] = "TMIR"[task.work];
    if (task.work == FL_WORK_TRAIN) {
        assert_int_equal(task.cohort, 0);
        fl_reduction_trained(b->reduction, b->round);
    } else {
        assert_int_equal(task.cohort, 100);
        assert_int_equal(task.row_cap, task.work == FL_WORK_MEASURE ? 64 : 256);
        assert_ok(fl_reduction_counts(&count, task.work, b->model, &why));
        uint64_t *counts = calloc(count, sizeof *counts);
        assert_non_null(counts);
        for (size_t i = 0; i < count; i++) {
            counts[i] = task.work == FL_WORK_MEASURE ? whole : 1 + i * 7 % 50;
        }
        fl_reduction_outcome_fini(&b->outcome);
        assert_ok(fl_reduction_surveyed(b->reduction, &b->outcome, b->round,
                                        b->model, counts, &metrics, &why));
        free(counts);
        if (b->outcome.keep) shrink(b);
        if (b->outcome.back.round > 0) b->back_count++;
    }
    if (b->is_restarted) restart(b);
    return task.work;
}

static void play_to(bench *b, uint32_t round, uint64_t right, uint64_t whole)
{
    while (b->round < round) {
        (void)play(b, right, whole);
    }
}

/* ---- the schedule ---- */

TEST(reduction_prunes_in_steps_and_quantises_at_the_end)
{
    bench b;
    fl_reduction_options options = make_options();
    options.round_count = 30;
    bench_open(&b, &options);
    const size_t first = fl_model_param_count(b.model);
    play_to(&b, options.round_count, 900, 900);
    // Two rounds; reference; three steps; INT8; training; INT8 again.
    assert_string_equal(b.story, "TTM"
                                 "ITTMITTMITTM"
                                 "RMTTTTTTTTTTTRM");
    assert_int_equal(b.shrunk_count, 3);
    assert_int_equal(b.back_count, 0);
    assert_true(fl_model_param_count(b.model) <= first / 2);
    assert_non_null(fl_reduction_int8(b.reduction));
    assert_int_equal(fl_reduction_int8(b.reduction)->round, 29);
    bench_close(&b);
}

TEST(reduction_takes_the_rounds_that_it_says)
{
    fl_reduction_options options = make_options();
    options.round_count = (uint32_t)fl_reduction_rounds(&options);
    assert_int_equal(options.round_count, 2 + 1 + 3 * 4 + 2);
    bench b;
    bench_open(&b, &options);
    play_to(&b, options.round_count, 900, 900);
    assert_string_equal(b.story, "TTMITTMITTMITTMRM");
    bench_close(&b);
    options.has_int8 = false;
    assert_int_equal(fl_reduction_rounds(&options), 15);
    options.importance = FL_IMPORTANCE_MAGNITUDE;
    assert_int_equal(fl_reduction_rounds(&options), 12);
    options.prune = 0;
    assert_int_equal(fl_reduction_rounds(&options), 0);
    assert_false(fl_reduction_is_wanted(&options));
}

TEST(reduction_goes_on_after_any_round_as_if_nothing_had_been)
{
    for (int is_bad = 0; is_bad < 2; is_bad++) {
        bench whole, cut;
        fl_reduction_options options = make_options();
        options.round_count = 30;
        bench_open(&whole, &options);
        bench_open(&cut, &options);
        cut.is_restarted = true;
        while (whole.round < options.round_count) {
            const uint64_t right = is_bad && whole.round > 8 ? 700 : 900;
            assert_int_equal(play(&cut, right, right),
                             play(&whole, right, right));
        }
        size_t len, cut_len;
        uint8_t *bytes = encode(&whole, &len);
        uint8_t *cut_bytes = encode(&cut, &cut_len);
        assert_int_equal(len, cut_len);
        assert_memory_equal(bytes, cut_bytes, len);
        assert_int_equal(fl_model_param_count(whole.model),
                         fl_model_param_count(cut.model));
        free(bytes);
        free(cut_bytes);
        bench_close(&whole);
        bench_close(&cut);
    }
}

TEST(reduction_by_magnitude_asks_nobody_what_matters)
{
    bench b;
    fl_reduction_options options = make_options();
    options.importance = FL_IMPORTANCE_MAGNITUDE;
    options.has_int8 = false;
    options.round_count = 16;
    bench_open(&b, &options);
    play_to(&b, options.round_count, 900, 900);
    assert_string_equal(b.story, "TTMTTMTTMTTMTTTT");
    assert_int_equal(b.shrunk_count, 3);
    bench_close(&b);
}

TEST(reduction_may_begin_with_a_survey)
{
    bench b;
    fl_reduction_options options = make_options();
    options.start = 0;
    bench_open(&b, &options);
    assert_int_equal(play(&b, 900, 900), FL_WORK_MEASURE);
    bench_close(&b);
}

TEST(reduction_of_nothing_trains)
{
    const fl_reduction_task task = fl_reduction_next(NULL, COHORT, 1000);
    assert_int_equal(task.work, FL_WORK_TRAIN);
    assert_int_equal(task.holdout, 0);
    assert_int_equal(task.cohort, 0);
    assert_null(task.ranges);
    assert_null(fl_reduction_int8(NULL));
    fl_reduction_trained(NULL, 3);
}

TEST(reduction_asks_as_many_as_are_there)
{
    bench b;
    fl_reduction_options options = make_options();
    options.start = 0;
    bench_open(&b, &options);
    assert_int_equal(fl_reduction_next(b.reduction, 10, 37).cohort, 37);
    assert_int_equal(fl_reduction_next(b.reduction, 10, 370).cohort, 100);
    bench_close(&b);
    options.survey_cohort = 50;
    bench_open(&b, &options);
    assert_int_equal(fl_reduction_next(b.reduction, 10, 370).cohort, 50);
    bench_close(&b);
}

// Who measures weighs as much as it says.
TEST(reduction_lets_nobody_weigh_much_in_the_guard)
{
    static const uint32_t rows[][2] = {{1, 1},    {32, 32},  {33, 32},
                                       {128, 32}, {132, 33}, {65536, 16384}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bench b;
        fl_reduction_options options = make_options();
        options.start = 0;
        options.survey_rows = rows[i][0];
        bench_open(&b, &options);
        const fl_reduction_task task =
            fl_reduction_next(b.reduction, COHORT, 1000);
        assert_int_equal(task.work, FL_WORK_MEASURE);
        assert_int_equal(task.row_cap, rows[i][1]);
        bench_close(&b);
    }
}

/* ---- the guard ---- */

TEST(reduction_takes_a_step_back_that_lost_too_much)
{
    bench b;
    fl_reduction_options options = make_options();
    options.has_int8 = false;
    options.round_count = 30;
    bench_open(&b, &options);
    play_to(&b, 6, 900, 0);  // the first step is measured next
    assert_int_equal(b.shrunk_count, 1);
    assert_int_equal(play(&b, 885, 0), FL_WORK_MEASURE);  // just enough
    assert_int_equal(b.outcome.verdict, FL_VERDICT_ACCEPTED);
    assert_true(fabs(b.outcome.before - 0.900) < 1e-12);
    assert_true(fabs(b.outcome.after - 0.885) < 1e-12);
    play_to(&b, 10, 900, 0);
    assert_int_equal(b.shrunk_count, 2);
    assert_int_equal(play(&b, 884, 0), FL_WORK_MEASURE);  // one too few
    assert_int_equal(b.outcome.verdict, FL_VERDICT_ROLLED_BACK);
    assert_true(fabs(b.outcome.before - 0.885) < 1e-12);
    assert_int_equal(b.outcome.back.round, 8);
    const fl_reduction_before then = pretend_before(8);
    assert_int_equal(b.outcome.back.model.len, then.model.len);
    assert_memory_equal(b.outcome.back.model.bytes, then.model.bytes, 5);
    assert_int_equal(b.outcome.back.master.len, then.master.len);
    assert_memory_equal(b.outcome.back.master.bytes, then.master.bytes, 7);
    fl_reduction_before spare = then;
    fl_reduction_before_fini(&spare);
    // And nothing more is removed.
    play_to(&b, options.round_count, 900, 0);
    assert_int_equal(b.shrunk_count, 2);
    assert_int_equal(fl_reduction_get_state(b.reduction)->before.round, 0);
    assert_string_equal(b.story + 11, "TTTTTTTTTTTTTTTTTTT");
    bench_close(&b);
}

// As if it was stopped and started again with fewer rounds than before.
static fl_err shorten(bench *b, uint32_t round_count)
{
    size_t len;
    uint8_t *bytes = encode(b, &len);
    fl_reduction *before = b->reduction;
    b->options.round_count = round_count;
    const fl_err err = fl_reduction_decode(&b->reduction, &b->options, b->round,
                                           bytes, len, &why);
    if (!err) fl_reduction_free(before);
    free(bytes);
    return err;
}

static void play_shortened(uint32_t at, uint32_t round_count, uint64_t right,
                           const char *story)
{
    bench b;
    fl_reduction_options options = make_options();
    options.has_int8 = false;
    options.recover = 3;
    bench_open(&b, &options);
    play_to(&b, at, 900, 0);
    assert_ok(shorten(&b, round_count));
    play_to(&b, round_count, right, 0);
    assert_string_equal(b.story, story);
    assert_int_equal(b.back_count, right < 885 ? b.shrunk_count : 0);
    assert_int_equal(fl_reduction_get_state(b.reduction)->before.round, 0);
    bench_close(&b);
}

TEST(reduction_measures_a_step_in_the_last_round_there_is)
{
    play_shortened(5, 6, 900, "TTMITM");
    play_shortened(5, 6, 800, "TTMITM");
    play_shortened(4, 5, 800, "TTMIM");
    play_shortened(4, 6, 800, "TTMITM");
    play_shortened(7, 8, 800, "TTMITTTM");
    play_shortened(7, 12, 900, "TTMITTTMITTT");  // no time for another step
}

TEST(reduction_does_not_end_with_a_step_that_nobody_measured)
{
    for (uint32_t round = 4; round < 8; round++) {
        bench b;
        fl_reduction_options options = make_options();
        options.recover = 3;
        bench_open(&b, &options);
        play_to(&b, round, 900, 900);
        assert_err(shorten(&b, round), FL_ERR_RANGE);
        assert_reason_names(why, "--rounds");
        assert_err(shorten(&b, 1), FL_ERR_RANGE);
        bench_close(&b);
    }
}

TEST(reduction_ends_when_nothing_more_can_go)
{
    bench b;
    fl_reduction_options options = make_options();
    options.prune = 0.9;
    options.multiple = 256;  // no layer has two bundles
    options.has_int8 = false;
    bench_open(&b, &options);
    play_to(&b, 10, 900, 0);
    assert_string_equal(b.story, "TTMITTTTTT");
    assert_int_equal(b.shrunk_count, 0);
    bench_close(&b);
}

/* ---- INT8 ---- */

TEST(reduction_gives_plans_the_ranges_that_were_accepted)
{
    bench b;
    fl_reduction_options options = make_options();
    options.prune = 0;
    options.round_count = 20;
    bench_open(&b, &options);
    play_to(&b, 3, 900, 900);
    assert_string_equal(b.story, "TTR");
    assert_null(fl_reduction_int8(b.reduction));
    // The form that is measured is that of the candidate.
    const fl_reduction_task task = fl_reduction_next(b.reduction, COHORT, 100);
    assert_non_null(task.ranges);
    assert_int_equal(task.ranges->round, 3);
    assert_int_equal(play(&b, 890, 900), FL_WORK_MEASURE);
    assert_true(b.outcome.is_int8);
    assert_int_equal(b.outcome.verdict, FL_VERDICT_ACCEPTED);
    assert_int_equal(fl_reduction_int8(b.reduction)->round, 3);
    assert_int_equal(fl_reduction_next(b.reduction, COHORT, 100).ranges->round,
                     3);
    // The last two rounds make another one.
    play_to(&b, 19, 900, 900);
    assert_string_equal(b.story + 4, "TTTTTTTTTTTTTTR");
    assert_int_equal(fl_reduction_int8(b.reduction)->round, 3);
    assert_int_equal(play(&b, 890, 900), FL_WORK_MEASURE);
    assert_int_equal(fl_reduction_int8(b.reduction)->round, 19);
    bench_close(&b);
}

TEST(reduction_refuses_an_int8_form_that_lost_too_much)
{
    bench b;
    fl_reduction_options options = make_options();
    options.prune = 0;
    options.round_count = 20;
    bench_open(&b, &options);
    play_to(&b, 3, 900, 900);
    assert_int_equal(play(&b, 884, 900), FL_WORK_MEASURE);
    assert_int_equal(b.outcome.verdict, FL_VERDICT_ROLLED_BACK);
    assert_true(b.outcome.is_int8);
    assert_int_equal(b.outcome.back.round, 0);  // the model stays
    assert_null(fl_reduction_int8(b.reduction));
    assert_null(fl_reduction_next(b.reduction, COHORT, 100).ranges);
    assert_int_equal(play(&b, 900, 900), FL_WORK_TRAIN);
    bench_close(&b);
}

TEST(reduction_holds_an_int8_form_to_the_reference_too)
{
    bench b;
    fl_reduction_options options = make_options();
    options.round_count = (uint32_t)fl_reduction_rounds(&options);
    bench_open(&b, &options);
    play_to(&b, 3, 900, 900);  // reference 0.9
    play_to(&b, options.round_count - 1, 886, 886);
    assert_int_equal(play(&b, 884, 886), FL_WORK_MEASURE);
    assert_int_equal(b.outcome.verdict, FL_VERDICT_ROLLED_BACK);
    assert_null(fl_reduction_int8(b.reduction));
    bench_close(&b);
}

TEST(reduction_drops_an_int8_form_when_the_last_one_is_refused)
{
    bench b;
    fl_reduction_options options = make_options();
    options.prune = 0;
    options.round_count = 20;
    bench_open(&b, &options);
    play_to(&b, 19, 900, 900);
    assert_non_null(fl_reduction_int8(b.reduction));
    (void)play(&b, 700, 900);
    assert_null(fl_reduction_int8(b.reduction));
    bench_close(&b);
}

TEST(reduction_refuses_answers_that_nobody_can_have_given)
{
    bench b;
    fl_reduction_options options = make_options();
    options.prune = 0;
    bench_open(&b, &options);
    play_to(&b, 3, 900, 900);
    const fl_reduction_phase phase = fl_reduction_get_state(b.reduction)->phase;
    const struct {
        uint64_t count;
        fl_update_metrics metrics;
    } bad[] = {
        {10, {.weight = 1000, .correct = 1001}},
        {0, {.weight = 0}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_err(fl_reduction_surveyed(b.reduction, &b.outcome, 4, b.model,
                                         &bad[i].count, &bad[i].metrics, &why),
                   FL_ERR_RANGE);
        assert_int_equal(fl_reduction_get_state(b.reduction)->phase, phase);
    }
    bench_close(&b);
}

// Whoever has lied would lie again: a form that nobody can vouch for is none.
TEST(reduction_takes_an_impossible_count_for_a_form_that_is_no_good)
{
    bench b;
    fl_reduction_options options = make_options();
    options.prune = 0;
    options.round_count = 20;
    bench_open(&b, &options);
    play_to(&b, 3, 900, 900);
    assert_int_equal(play(&b, 1000, 1001), FL_WORK_MEASURE);
    assert_int_equal(b.outcome.verdict, FL_VERDICT_ROLLED_BACK);
    assert_true(b.outcome.is_int8);
    assert_true(isnan(b.outcome.before));
    assert_null(fl_reduction_int8(b.reduction));
    assert_int_equal(play(&b, 900, 900), FL_WORK_TRAIN);
    bench_close(&b);
}

TEST(reduction_checks_what_shares_add_up_to)
{
    enum { COUNT = 2 * FL_INT8_BINS };
    const fl_codec codec = {
        .kind = FL_CODEC_TALLY, .param_count = COUNT, .client_cap = 10};
    const uint64_t most = fl_tally_max(&codec);
    const fl_update_metrics metrics = {.weight = 10};
    uint64_t counts[COUNT] = {0};
    // All of it in a channel or a bin, and what rounding may add.
    counts[3] = most;
    counts[4] = COUNT / 2;
    assert_ok(fl_reduction_check(FL_WORK_IMPORTANCE, &codec, counts, &metrics,
                                 1, &why));
    assert_err(
        fl_reduction_check(FL_WORK_RANGES, &codec, counts, &metrics, 1, &why),
        FL_ERR_RANGE);
    assert_reason_names(why, "counts 0 to 256");
    counts[5] = 1;
    assert_err(fl_reduction_check(FL_WORK_IMPORTANCE, &codec, counts, &metrics,
                                  1, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "counts 0 to 513");
    // Each histogram is a share of its own.
    counts[4] = counts[FL_INT8_BINS + 1] = FL_INT8_BINS / 2;
    counts[5] = 0;
    counts[FL_INT8_BINS] = most;
    assert_ok(
        fl_reduction_check(FL_WORK_RANGES, &codec, counts, &metrics, 1, &why));
    counts[FL_INT8_BINS]++;
    assert_err(
        fl_reduction_check(FL_WORK_RANGES, &codec, counts, &metrics, 1, &why),
        FL_ERR_RANGE);
    assert_reason_names(why, "counts 257 to 513");
    // Two clients, twice as much.
    for (size_t i = 0; i < COUNT; i++)
        counts[i] *= 2;
    counts[FL_INT8_BINS] -= 2;
    assert_ok(
        fl_reduction_check(FL_WORK_RANGES, &codec, counts, &metrics, 2, &why));
    counts[FL_INT8_BINS]++;
    assert_err(
        fl_reduction_check(FL_WORK_RANGES, &codec, counts, &metrics, 2, &why),
        FL_ERR_RANGE);
}

TEST(reduction_checks_a_count_against_its_own_examples)
{
    const fl_codec codec = {
        .kind = FL_CODEC_TALLY, .param_count = 1, .client_cap = 10};
    const fl_update_metrics metrics = {.weight = 10};
    uint64_t count = 10;
    assert_ok(
        fl_reduction_check(FL_WORK_MEASURE, &codec, &count, &metrics, 1, &why));
    count = 11;
    assert_err(
        fl_reduction_check(FL_WORK_MEASURE, &codec, &count, &metrics, 1, &why),
        FL_ERR_RANGE);
    assert_reason_names(why, "11 examples are right of 10");
    assert_ok(
        fl_reduction_check(FL_WORK_MEASURE, &codec, &count, &metrics, 2, &why));
}

TEST(reduction_refuses_a_model_without_channels)
{
    fl_model *model = NULL;
    fl_reduction *reduction = NULL;
    const fl_reduction_options options = make_options();
    const fl_model_options flat = {
        .name = "mlp", .input = {1, 1, 2}, .class_count = 2};
    assert_ok(fl_model_new(&model, &flat, &why));
    fl_channels *channels = NULL;
    assert_ok(fl_channels_new(&channels, model, &why));
    const bool has_none = fl_channels_count(channels) == 0;
    fl_channels_free(channels);
    if (has_none) {
        assert_err(fl_reduction_new(&reduction, &options, model, &why),
                   FL_ERR_RANGE);
        assert_reason_names(why, "--prune");
    } else {
        assert_ok(fl_reduction_new(&reduction, &options, model, &why));
    }
    fl_reduction_free(reduction);
    fl_model_free(model);
}

TEST(reduction_names_its_verdicts)
{
    assert_string_equal(fl_reduction_verdict_name(FL_VERDICT_ACCEPTED),
                        "accepted");
    assert_string_equal(fl_reduction_verdict_name(FL_VERDICT_ROLLED_BACK),
                        "rolled back");
    assert_null(fl_reduction_verdict_name(FL_VERDICT_NONE));
    assert_null(fl_reduction_verdict_name(9));
}

/* ---- bytes ---- */

static void refuse(const bench *b, const uint8_t *bytes, size_t len, fl_err err)
{
    fl_reduction_state state;
    why.text[0] = 0;
    assert_err(fl_reduction_state_decode(&state, b->round, bytes, len, &why),
               err);
    assert_true(why.text[0] != 0);
}

TEST(reduction_refuses_bytes_that_are_cut_or_too_long)
{
    bench b;
    const fl_reduction_options options = make_options();
    bench_open(&b, &options);
    play_to(&b, 5, 900, 900);
    size_t len;
    uint8_t *bytes = encode(&b, &len);
    uint8_t *longer = malloc(len + 1);
    assert_non_null(longer);
    memcpy(longer, bytes, len);
    longer[len] = 0;
    refuse(&b, longer, len + 1, FL_ERR_FORMAT);
    for (size_t i = 0; i < len; i++) {
        refuse(&b, bytes, i, FL_ERR_FORMAT);
    }
    free(longer);
    free(bytes);
    bench_close(&b);
}

TEST(reduction_refuses_bytes_of_another_round_or_version)
{
    bench b;
    const fl_reduction_options options = make_options();
    bench_open(&b, &options);
    size_t len;
    play_to(&b, 1, 900, 900);
    uint8_t *bytes = encode(&b, &len);
    b.round = 2;
    refuse(&b, bytes, len, FL_ERR_FORMAT);
    assert_reason_names(why, "round 1");
    assert_reason_names(why, "round 2");
    b.round = 1;
    bytes[15]++;  // the version, behind the label
    refuse(&b, bytes, len, FL_ERR_UNSUPPORTED);
    bytes[15] = 0;
    refuse(&b, bytes, len, FL_ERR_FORMAT);
    bytes[0] ^= 1;
    refuse(&b, bytes, len, FL_ERR_FORMAT);
    free(bytes);
    bench_close(&b);
}

// Whatever is read again is what was written, and memory is safe (asan).
static void flip_everything(const bench *b)
{
    size_t len;
    uint8_t *bytes = encode(b, &len);
    for (size_t i = 0; i < len; i++) {
        for (unsigned flip = 1; flip < 256; flip *= 2) {
            fl_reduction_state state;
            bytes[i] ^= (uint8_t)flip;
            if (!fl_reduction_state_decode(&state, b->round, bytes, len,
                                           NULL)) {
                assert_int_equal(fl_reduction_state_bytes(&state), len);
                fl_reduction_state_fini(&state);
            }
            bytes[i] ^= (uint8_t)flip;
        }
    }
    free(bytes);
}

TEST(reduction_survives_any_flipped_bit)
{
    bench b;
    fl_reduction_options options = make_options();
    options.round_count = 25;
    bench_open(&b, &options);
    while (b.round < options.round_count) {
        flip_everything(&b);
        (void)play(&b, 900, 900);
    }
    bench_close(&b);
}

TEST(reduction_needs_room_for_its_bytes)
{
    bench b;
    const fl_reduction_options options = make_options();
    bench_open(&b, &options);
    uint8_t small[16];
    assert_err(fl_reduction_state_encode(fl_reduction_get_state(b.reduction), 0,
                                         small, sizeof small),
               FL_ERR_SPACE);
    bench_close(&b);
}

RUN_TESTS(
    cmocka_unit_test(reduction_prunes_in_steps_and_quantises_at_the_end),
    cmocka_unit_test(reduction_takes_the_rounds_that_it_says),
    cmocka_unit_test(reduction_goes_on_after_any_round_as_if_nothing_had_been),
    cmocka_unit_test(reduction_by_magnitude_asks_nobody_what_matters),
    cmocka_unit_test(reduction_may_begin_with_a_survey),
    cmocka_unit_test(reduction_of_nothing_trains),
    cmocka_unit_test(reduction_asks_as_many_as_are_there),
    cmocka_unit_test(reduction_lets_nobody_weigh_much_in_the_guard),
    cmocka_unit_test(reduction_takes_a_step_back_that_lost_too_much),
    cmocka_unit_test(reduction_measures_a_step_in_the_last_round_there_is),
    cmocka_unit_test(reduction_does_not_end_with_a_step_that_nobody_measured),
    cmocka_unit_test(reduction_ends_when_nothing_more_can_go),
    cmocka_unit_test(reduction_gives_plans_the_ranges_that_were_accepted),
    cmocka_unit_test(reduction_refuses_an_int8_form_that_lost_too_much),
    cmocka_unit_test(reduction_holds_an_int8_form_to_the_reference_too),
    cmocka_unit_test(reduction_drops_an_int8_form_when_the_last_one_is_refused),
    cmocka_unit_test(reduction_refuses_answers_that_nobody_can_have_given),
    cmocka_unit_test(
        reduction_takes_an_impossible_count_for_a_form_that_is_no_good),
    cmocka_unit_test(reduction_checks_what_shares_add_up_to),
    cmocka_unit_test(reduction_checks_a_count_against_its_own_examples),
    cmocka_unit_test(reduction_refuses_a_model_without_channels),
    cmocka_unit_test(reduction_names_its_verdicts),
    cmocka_unit_test(reduction_refuses_bytes_that_are_cut_or_too_long),
    cmocka_unit_test(reduction_refuses_bytes_of_another_round_or_version),
    cmocka_unit_test(reduction_survives_any_flipped_bit),
    cmocka_unit_test(reduction_needs_room_for_its_bytes))
