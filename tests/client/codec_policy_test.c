/*
 * Which codecs a client takes from a plan: whose numbers make no update, or
 * make one that says more than its owner likes, is declined before anything is
 * fetched or trained for it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "client/client_core.h"
#include "client/local.h"
#include "proto/check.h"
#include "tests/support/host.h"
#include "tests/test.h"

enum { MIN_FIELDS = 16 };

static const float MIN_STEP = 1e-7F;

static fl_host *new_host(bool allows_clear)
{
    fl_client_options options = fl_host_options();
    options.allows_clear = allows_clear;
    options.client_min = 3;
    options.min_fields = MIN_FIELDS;
    options.min_step = MIN_STEP;
    fl_host *host = calloc(1, sizeof *host);
    assert_non_null(host);
    fl_host_init(host, &options);
    fl_host_enrol(host, FL_HOST_AUTHORITY, 1, true);
    host->chunks = 1;
    fl_host_join(host);
    return host;
}

static void free_host(fl_host *host)
{
    fl_host_fini(host);
    free(host);
}

/* ---- plans ---- */

// What the aggregator's default asks for once it knows how large sums are.
static fl_plan sketch_plan(const fl_host *host)
{
    fl_plan plan = fl_host_secure_plan(host, 1);
    plan.codec = FL_CODEC_SKETCH;
    plan.codec_bits = 0;
    plan.density = 0.05F;
    plan.density_small = 0.25F;
    plan.per_word = 12;
    plan.value_max = 1 << 30;
    plan.step_large = 3e-4F;
    plan.step_small = 1e-3F;
    return plan;
}

// What it asks for when it knows nothing.
static fl_plan wide_plan(const fl_host *host)
{
    fl_plan plan = sketch_plan(host);
    plan.per_word = 3;
    plan.step_large = plan.step_small = 1e-4F;
    return plan;
}

static void set_layout(fl_plan *plan, size_t large, size_t small)
{
    plan->param_count = large + small;
    plan->run_count = small > 0 ? 2 : 1;
    plan->runs[0] = (uint32_t)large * FL_LAYOUT_GROUPS + FL_GROUP_LARGE;
    plan->runs[1] = (uint32_t)small * FL_LAYOUT_GROUPS + FL_GROUP_SMALL;
}

/* ---- what the client makes of them ---- */

static bool takes(const fl_plan *plan, bool allows_clear)
{
    fl_host *host = new_host(allows_clear);
    fl_plan mine = *plan;
    memcpy(mine.model, host->model.name, FL_HASH_BYTES);
    if (mine.aggregation == FL_AGGREGATION_SECURE)
        memcpy(mine.enrolment, host->list.name, FL_HASH_BYTES);
    fl_host_mail_plan(host, &mine);
    const bool is_taken = host->counts[FL_CLIENT_FIND] == 1;
    if (is_taken) assert_null(fl_host_take(host, FL_MESSAGE_STEP));
    free_host(host);
    return is_taken;
}

// Says so, stays connected, idle, and takes the next honest plan.
static void assert_refused_by(fl_host *host, fl_plan *plan, const char *word)
{
    fl_host_mail_plan(host, plan);
    const fl_message *said = fl_host_take(host, FL_MESSAGE_STEP);
    assert_non_null(said);
    assert_int_equal(said->step.step, FL_STEP_DECLINE);
    if (!strstr(host->why, word)) fail_msg("%s: no %s", host->why, word);
    assert_int_equal(host->counts[FL_CLIENT_FIND], 0);
    assert_int_equal(host->counts[FL_CLIENT_TRAIN], 0);
    assert_string_equal(fl_client_activity(host->client), "idle");
    const fl_client_status status = fl_client_get_status(host->client);
    assert_non_null(strstr(status.declined.text, word));

    fl_plan honest = sketch_plan(host);
    honest.number = honest.round = plan->round + 1;
    fl_host_mail_plan(host, &honest);
    assert_int_equal(host->counts[FL_CLIENT_FIND], 1);
    free_host(host);
}

static void assert_refused(void (*spoil)(fl_plan *plan), const char *word)
{
    fl_host *host = new_host(false);
    fl_plan plan = sketch_plan(host);
    spoil(&plan);
    assert_refused_by(host, &plan, word);
}

/* ---- the owner's limits ---- */

static void make_clear_codec(fl_plan *plan)
{
    plan->codec = FL_CODEC_TOPK;
}

TEST(codec_policy_masks_nothing_that_cannot_be_summed)
{
    assert_refused(make_clear_codec, "cannot be masked");
    fl_host *host = new_host(true);
    fl_plan plan = sketch_plan(host);
    for (fl_codec_kind kind = FL_CODEC_SKETCH1BIT; kind <= FL_CODEC_NONE;
         kind++) {
        plan.codec = kind;
        plan.codec_bits = 4;
        assert_false(takes(&plan, false));
        plan.aggregation = FL_AGGREGATION_CLEAR;
        assert_true(takes(&plan, true));
        assert_false(takes(&plan, false));
        plan.aggregation = FL_AGGREGATION_SECURE;
    }
    free_host(host);
}

// A group of 8 makes 8 numbers, whatever its density.
static void make_isolating(fl_plan *plan)
{
    plan->run_count = 2;
    plan->runs[0] = 8 * FL_LAYOUT_GROUPS + FL_GROUP_LARGE;
    plan->runs[1] =
        ((uint32_t)plan->param_count - 8) * FL_LAYOUT_GROUPS + FL_GROUP_SKIPPED;
}

static void make_silent(fl_plan *plan)
{
    plan->runs[0] += FL_GROUP_SKIPPED - FL_GROUP_LARGE;
}

TEST(codec_policy_refuses_sketches_that_isolate_values)
{
    assert_refused(make_isolating, "--min-fields");
    assert_refused(make_silent, "--min-fields");
}

TEST(codec_policy_takes_models_that_have_fewer_numbers)
{
    fl_host *host = new_host(false);
    fl_plan plan = sketch_plan(host);
    for (size_t count = 1; count <= MIN_FIELDS; count++) {
        set_layout(&plan, count, 0);
        assert_true(takes(&plan, false));
        set_layout(&plan, 1, count);
        assert_true(takes(&plan, false));
    }
    free_host(host);
}

static void make_large_fine(fl_plan *plan)
{
    plan->step_large = MIN_STEP * 0.99F;
}

static void make_small_fine(fl_plan *plan)
{
    plan->step_small = 1e-30F;
}

TEST(codec_policy_refuses_steps_finer_than_its_owners)
{
    assert_refused(make_large_fine, "--min-step");
    assert_refused(make_small_fine, "--min-step");
    fl_host *host = new_host(false);
    fl_plan plan = sketch_plan(host);
    plan.step_large = plan.step_small = MIN_STEP;
    assert_true(takes(&plan, false));
    free_host(host);
}

/* ---- numbers that make no update ---- */

static void make_unknown(fl_plan *plan)
{
    plan->codec = UINT8_MAX;
}

static void make_empty(fl_plan *plan)
{
    plan->density = 0.0F;
}

static void make_small_nan(fl_plan *plan)
{
    plan->density_small = NAN;
}

static void make_crowded(fl_plan *plan)
{
    plan->density = 1.5F;
}

static void make_unlimited(fl_plan *plan)
{
    plan->value_clip = 1e30F;
}

static void make_no_words(fl_plan *plan)
{
    plan->per_word = 0;
}

static void make_one_in_a_word(fl_plan *plan)
{
    plan->per_word = 1;
}

static void make_no_values(fl_plan *plan)
{
    plan->value_max = 0;
}

static void make_huge_values(fl_plan *plan)
{
    plan->value_max = UINT32_MAX;
}

static void make_step_nan(fl_plan *plan)
{
    plan->step_large = NAN;
}

static void make_step_zero(fl_plan *plan)
{
    plan->step_small = 0.0F;
}

static void make_step_infinite(fl_plan *plan)
{
    plan->step_large = INFINITY;
}

static void make_no_runs(fl_plan *plan)
{
    plan->run_count = 0;
}

static void make_short_layout(fl_plan *plan)
{
    plan->runs[0] -= FL_LAYOUT_GROUPS;
}

static void make_long_layout(fl_plan *plan)
{
    plan->run_count = FL_LAYOUT_RUNS_MAX;
    for (uint32_t i = 0; i < plan->run_count; i++)
        plan->runs[i] = UINT32_MAX - FL_GROUP_SKIPPED;  // all LARGE
}

static void make_empty_run(fl_plan *plan)
{
    plan->runs[plan->run_count++] = FL_GROUP_SMALL;
}

static void make_bits_too_many(fl_plan *plan)
{
    plan->codec = FL_CODEC_DENSE;
    plan->codec_bits = 21;
}

typedef struct {
    void (*spoil)(fl_plan *plan);
    const char *word;
} lie;

// What the wire's own rules stop does not come so far; either will do, as long
// as nothing is trained and the client goes on.
static void assert_stopped(const lie *of)
{
    fl_host *host = new_host(false);
    fl_plan plan = sketch_plan(host);
    of->spoil(&plan);
    fl_codec codec;
    fl_local_codec(&codec, &plan);
    fl_reason why = {""};
    assert_err(fl_codec_check(&codec, &why), FL_ERR_RANGE);
    assert_reason_names(why, of->word);
    if (fl_check_message(&(fl_message){.type = FL_MESSAGE_MAIL,
                                       .round = plan.round,
                                       .mail = {.sequence = 1,
                                                .kind = FL_MAIL_PLAN,
                                                .round = plan.round,
                                                .plan = plan}})) {
        free_host(host);
        return;
    }
    assert_refused_by(host, &plan, of->word);
}

TEST(codec_policy_refuses_numbers_that_make_no_update)
{
    static const lie lies[] = {
        {make_unknown, "kind 255"},
        {make_empty, "a density of 0"},
        {make_small_nan, "a density of SMALL"},
        {make_crowded, "a density of 1.5"},
        {make_unlimited, "a clip"},
        {make_no_words, "integers in a word: 0"},
        {make_one_in_a_word, "integers in a word: 1"},
        {make_no_values, "a largest integer of 0"},
        {make_huge_values, "a largest integer"},
        {make_step_nan, "a step of LARGE"},
        {make_step_zero, "a step of SMALL"},
        {make_step_infinite, "a step of LARGE"},
        {make_no_runs, "runs: 0"},
        {make_short_layout, "the runs of the codec's layout"},
        {make_long_layout, "the runs of the codec's layout"},
        {make_empty_run, "is empty"},
        {make_bits_too_many, "bits 21"},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        assert_stopped(&lies[i]);
}

// As many as a model may have, and then some.
static void make_endless(fl_plan *plan)
{
    set_layout(plan, (size_t)FL_MODEL_PARAMS_MAX + 1, 0);
}

// Of those that are left, no codec makes an update longer than an object.
TEST(codec_policy_refuses_models_that_are_too_large)
{
    assert_refused(make_endless, "coordinates: 67108865");
    fl_host *host = new_host(true);
    fl_plan plan = sketch_plan(host);
    set_layout(&plan, FL_MODEL_PARAMS_MAX, 0);
    plan.density = plan.density_small = 1.0F;
    plan.codec_bits = 8;
    plan.per_word = 2;
    plan.aggregation = FL_AGGREGATION_CLEAR;
    for (fl_codec_kind kind = FL_CODEC_SKETCH; kind <= FL_CODEC_NONE; kind++) {
        plan.codec = kind;
        fl_codec codec;
        fl_local_codec(&codec, &plan);
        assert_true(fl_codec_bound(&codec) > 0);
        assert_true(takes(&plan, true));
    }
    free_host(host);
}

/* ---- honest plans ---- */

TEST(codec_policy_takes_what_honest_aggregators_ask_for)
{
    fl_host *host = new_host(false);
    const fl_plan fitted = sketch_plan(host);
    const fl_plan wide = wide_plan(host);
    fl_plan dense = fl_host_secure_plan(host, 1);
    assert_true(takes(&fitted, false));
    assert_true(takes(&wide, false));
    assert_true(takes(&dense, false));
    dense.codec_bits = 20;
    dense.client_cap = FL_CODEC_CLIENTS_MAX;
    dense.place = FL_CODEC_CLIENTS_MAX - 1;
    assert_true(takes(&dense, false));
    free_host(host);
}

RUN_TESTS(cmocka_unit_test(codec_policy_masks_nothing_that_cannot_be_summed),
          cmocka_unit_test(codec_policy_refuses_sketches_that_isolate_values),
          cmocka_unit_test(codec_policy_takes_models_that_have_fewer_numbers),
          cmocka_unit_test(codec_policy_refuses_steps_finer_than_its_owners),
          cmocka_unit_test(codec_policy_refuses_numbers_that_make_no_update),
          cmocka_unit_test(codec_policy_refuses_models_that_are_too_large),
          cmocka_unit_test(codec_policy_takes_what_honest_aggregators_ask_for))
