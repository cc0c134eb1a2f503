/*
 * Surveys, ranges and INT8 forms in the client's machine: what is fetched for
 * them, what is refused, and when the client leaves.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "client/client_core.h"
#include "client/local.h"
#include "tests/support/host.h"
#include "tests/test.h"

enum { ROUND = 4, COUNTS = 6 };

static const uint8_t RANGES[] = "some ranges, of any model";

static fl_host *new_host(bool takes_surveys, bool takes_int8, bool leaves)
{
    fl_host *host = calloc(1, sizeof *host);
    assert_non_null(host);
    fl_client_options options = fl_host_options();
    options.takes_surveys = takes_surveys;
    options.takes_int8 = takes_int8;
    options.leave_when_finished = leaves;
    fl_host_init(host, &options);
    fl_host_make_ranges(host, RANGES, sizeof RANGES);
    fl_host_join(host);
    return host;
}

static void free_host(fl_host *host)
{
    fl_host_fini(host);
    free(host);
}

// Answers every FETCH honestly, until there are no more.
static uint32_t serve_all(fl_host *host)
{
    uint32_t count = 0;
    const fl_message *fetch;
    while ((fetch = fl_host_take(host, FL_MESSAGE_FETCH))) {
        fl_host_serve(host, fetch);
        count++;
    }
    return count;
}

static fl_plan int8_plan(const fl_host *host, uint32_t round)
{
    fl_plan plan = fl_host_plan(host, round);
    memcpy(plan.ranges, host->ranges.name, FL_HASH_BYTES);
    plan.holdout = 5;
    return plan;
}

static fl_plan measure_plan(const fl_host *host)
{
    fl_plan plan = fl_host_survey_plan(host, ROUND, FL_WORK_MEASURE, 1);
    memcpy(plan.ranges, host->ranges.name, FL_HASH_BYTES);
    return plan;
}

static void assert_has_ranges(const uint8_t *bytes, size_t len)
{
    assert_non_null(bytes);
    assert_int_equal(len, sizeof RANGES);
    assert_memory_equal(bytes, RANGES, sizeof RANGES);
}

static fl_client_verdict verdict(bool is_accepted)
{
    return (fl_client_verdict){.is_accepted = is_accepted,
                               .row_count = 200,
                               .correct_count = 150,
                               .correct_before = 160};
}

/* ---- surveys ---- */

TEST(installing_a_survey_needs_no_ranges_unless_its_plan_names_some)
{
    static const fl_work works[] = {FL_WORK_MEASURE, FL_WORK_IMPORTANCE,
                                    FL_WORK_RANGES};
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        fl_host *host = new_host(true, false, false);
        const fl_plan plan = fl_host_survey_plan(
            host, ROUND, works[i], works[i] == FL_WORK_MEASURE ? 1 : COUNTS);
        fl_host_mail_plan(host, &plan);
        serve_all(host);
        assert_true(host->is_training);
        assert_int_equal(host->plan.work, works[i]);
        assert_int_equal(host->job_len, host->model.len);
        assert_null(host->job_ranges);
        free_host(host);
    }
}

TEST(installing_measuring_an_int8_form_fetches_its_ranges_first)
{
    fl_host *host = new_host(true, false, false);
    const fl_plan plan = measure_plan(host);
    fl_host_mail_plan(host, &plan);
    const fl_message *fetch = fl_host_take(host, FL_MESSAGE_FETCH);
    assert_non_null(fetch);
    assert_memory_equal(fetch->fetch.object, host->ranges.name, FL_HASH_BYTES);
    assert_false(fetch->fetch.takes_packed);
    fl_host_serve(host, fetch);
    serve_all(host);
    assert_true(host->is_training);
    assert_has_ranges(host->job_ranges, host->job_ranges_len);
    fl_host_failed(host, FL_ERR_FORMAT);
    assert_non_null(fl_host_take(host, FL_MESSAGE_STEP));
    assert_int_equal(host->counts[FL_CLIENT_INSTALL], 0);
    free_host(host);
}

TEST(installing_ranges_that_came_last_are_not_fetched_again)
{
    fl_host *host = new_host(true, false, false);
    fl_plan plan = measure_plan(host);
    fl_host_mail_plan(host, &plan);
    serve_all(host);
    fl_host_failed(host, FL_ERR_RANGE);
    host->inbox_len = 0;
    plan.number = ++plan.round;
    fl_host_mail_plan(host, &plan);
    const fl_message *fetch = fl_host_take(host, FL_MESSAGE_FETCH);
    assert_non_null(fetch);
    assert_memory_equal(fetch->fetch.object, host->model.name, FL_HASH_BYTES);
    fl_host_serve(host, fetch);
    serve_all(host);
    assert_has_ranges(host->job_ranges, host->job_ranges_len);
    // Others are.
    fl_host_failed(host, FL_ERR_RANGE);
    host->inbox_len = 0;
    fl_host_make_ranges(host, RANGES, sizeof RANGES - 1);
    plan = measure_plan(host);
    plan.number = plan.round = ROUND + 2;
    fl_host_mail_plan(host, &plan);
    fetch = fl_host_take(host, FL_MESSAGE_FETCH);
    assert_non_null(fetch);
    assert_memory_equal(fetch->fetch.object, host->ranges.name, FL_HASH_BYTES);
    free_host(host);
}

// There is no memory for a copy of the ranges that came last.
static void lose_memory(fl_host *host)
{
    fl_client *client = host->client;
    const fl_plan plan = int8_plan(host, ROUND);
    client->ranges = malloc(1);
    client->ranges_len = PTRDIFF_MAX - 64;
    memcpy(client->ranges_object, plan.ranges, FL_HASH_BYTES);
}

TEST(installing_without_memory_for_ranges_trains_all_the_same)
{
    fl_host *host = new_host(true, true, false);
    const fl_plan plan = int8_plan(host, ROUND);
    lose_memory(host);
    fl_host_mail_plan(host, &plan);
    serve_all(host);
    assert_true(host->is_training);
    assert_null(host->job_ranges);
    free_host(host);
}

TEST(installing_without_memory_for_ranges_declines_a_survey)
{
    fl_host *host = new_host(true, true, false);
    const fl_plan plan = measure_plan(host);
    lose_memory(host);
    fl_host_mail_plan(host, &plan);
    assert_string_equal(host->event, "ranges_lost");
    const fl_message *no = fl_host_next(host);
    assert_non_null(no);
    assert_int_equal(no->type, FL_MESSAGE_STEP);
    assert_int_equal(no->step.step, FL_STEP_DECLINE);
    assert_null(fl_host_next(host));
    assert_string_equal(fl_client_activity(host->client), "idle");
    free_host(host);
}

// The survey ends with these counts.
static void answer_survey(fl_host *host, const fl_plan *plan,
                          const uint32_t counts[COUNTS])
{
    fl_result result = {.sample_count = 10,
                        .correct_count = 5,
                        .loss_sum_micro = 20000000,
                        .update = malloc(4 * COUNTS),
                        .update_len = 4 * COUNTS};
    assert_non_null(result.update);
    for (size_t i = 0; i < COUNTS; i++)
        fl_bytes_put_u32(result.update + 4 * i, counts[i]);
    host->trained_len = result.update_len;
    fl_host_mail_plan(host, plan);
    serve_all(host);
    assert_true(host->is_training);
    host->is_training = false;
    fl_host_tell(
        host, (fl_client_event){.kind = FL_CLIENT_TRAINED, .result = &result});
}

TEST(installing_counts_travel_as_the_words_of_a_tally)
{
    static const uint32_t counts[COUNTS] = {0, 1, 70000, 3, 9, 12345};
    const fl_update_metrics metrics = {
        .weight = 10, .correct = 5, .loss_sum = 20.0};
    fl_host *host = new_host(true, false, false);
    fl_codec codec;
    uint64_t words[64];
    uint8_t expected[sizeof words];
    const fl_plan plan =
        fl_host_survey_plan(host, ROUND, FL_WORK_IMPORTANCE, COUNTS);
    fl_local_codec(&codec, &plan);
    const size_t word_count = fl_update_words(&codec);
    assert_in_range(word_count, 1, 64);
    assert_ok(fl_tally_encode(words, &codec, counts, &metrics, NULL));
    fl_addend_encode(expected, words, word_count);

    answer_survey(host, &plan, counts);
    const fl_message *open = fl_host_take(host, FL_MESSAGE_OPEN);
    assert_non_null(open);
    fl_host_grant(host, open, 1, 0);
    const fl_message *chunk = fl_host_take(host, FL_MESSAGE_CHUNK);
    assert_non_null(chunk);
    assert_int_equal(chunk->chunk.len, 8 * word_count);
    assert_memory_equal(chunk->chunk.bytes, expected, 8 * word_count);
    free_host(host);
}

// The same survey of a cohort of another size, whose counts have another scale.
static fl_plan plan_again(const fl_plan *plan)
{
    fl_plan again = *plan;
    again.number++;
    again.client_cap *= 2;
    return again;
}

TEST(installing_a_survey_that_is_tried_again_counts_anew)
{
    static const uint32_t counts[COUNTS] = {UINT32_MAX / 8};
    fl_host *host = new_host(true, false, false);
    const fl_plan plan =
        fl_host_survey_plan(host, ROUND, FL_WORK_IMPORTANCE, COUNTS);
    const fl_plan again = plan_again(&plan);
    answer_survey(host, &plan, counts);
    assert_int_equal(host->counts[FL_CLIENT_SAVE_UPDATE], 0);
    assert_non_null(fl_host_take(host, FL_MESSAGE_OPEN));
    fl_host_mail(host, FL_MAIL_CLOSED, ROUND);
    answer_survey(host, &again, (const uint32_t[COUNTS]){UINT32_MAX / 16});
    assert_int_equal(host->counts[FL_CLIENT_TRAIN], 2);
    assert_non_null(fl_host_take(host, FL_MESSAGE_OPEN));
    free_host(host);
}

TEST(installing_a_survey_that_is_running_begins_anew_for_another_cohort)
{
    fl_host *host = new_host(true, false, false);
    const fl_plan plan =
        fl_host_survey_plan(host, ROUND, FL_WORK_IMPORTANCE, COUNTS);
    const fl_plan again = plan_again(&plan);
    fl_host_mail_plan(host, &plan);
    serve_all(host);
    assert_true(host->is_training);
    fl_host_mail_plan(host, &again);
    serve_all(host);
    assert_int_equal(host->counts[FL_CLIENT_CANCEL], 1);
    fl_host_failed(host, FL_ERR_CANCELLED);
    assert_int_equal(host->counts[FL_CLIENT_TRAIN], 2);
    assert_true(host->is_training);
    assert_int_equal(host->plan.client_cap, again.client_cap);
    free_host(host);
}

TEST(installing_a_survey_on_the_disk_is_of_no_use)
{
    fl_host *host = new_host(true, false, false);
    fl_plan plan = fl_host_survey_plan(host, ROUND, FL_WORK_IMPORTANCE, COUNTS);
    uint8_t recipe[FL_HASH_BYTES];
    fl_result kept = {.update = calloc(1, 4 * COUNTS),
                      .update_len = 4 * COUNTS};
    assert_non_null(kept.update);
    fl_plan_recipe(recipe, &plan);
    fl_client_restore(host->client, ROUND, recipe, &kept);
    host->disk = malloc(1);
    plan = plan_again(&plan);
    fl_host_mail_plan(host, &plan);
    serve_all(host);
    assert_int_equal(host->counts[FL_CLIENT_DROP_UPDATE], 1);
    assert_true(host->is_training);
    free_host(host);
}

TEST(installing_no_survey_is_answered_that_the_owner_forbids)
{
    fl_host *host = new_host(false, true, false);
    const fl_plan plan =
        fl_host_survey_plan(host, ROUND, FL_WORK_IMPORTANCE, COUNTS);
    fl_host_mail_plan(host, &plan);
    assert_non_null(strstr(host->why, "--no-surveys"));
    const fl_message *no = fl_host_take(host, FL_MESSAGE_STEP);
    assert_non_null(no);
    assert_int_equal(no->step.step, FL_STEP_DECLINE);
    assert_int_equal(host->counts[FL_CLIENT_FIND], 0);
    // It goes on training.
    fl_host_mail(host, FL_MAIL_PLAN, ROUND + 1);
    serve_all(host);
    assert_true(host->is_training);
    free_host(host);
}

TEST(installing_no_survey_is_answered_in_the_clear_against_the_owners_word)
{
    fl_client_options options = fl_host_options();
    fl_host host;
    options.takes_surveys = true;
    options.allows_clear = false;
    fl_host_init(&host, &options);
    fl_host_join(&host);
    const fl_plan plan =
        fl_host_survey_plan(&host, ROUND, FL_WORK_RANGES, COUNTS);
    fl_host_mail_plan(&host, &plan);
    assert_non_null(strstr(host.why, "in the clear"));
    assert_int_equal(host.counts[FL_CLIENT_FIND], 0);
    assert_non_null(fl_host_take(&host, FL_MESSAGE_STEP));
    fl_host_fini(&host);
}

TEST(installing_an_object_that_is_no_ranges_ends_a_survey)
{
    fl_host *host = new_host(true, false, false);
    fl_parcel other = {.bytes = NULL};
    uint8_t *bytes = calloc(1, 100);
    fl_parcel_wrap(&other, FL_OBJECT_ENROLMENT, 0, bytes, 100);
    fl_plan plan = measure_plan(host);
    memcpy(plan.ranges, other.name, FL_HASH_BYTES);
    fl_host_mail_plan(host, &plan);
    const fl_message *fetch = fl_host_take(host, FL_MESSAGE_FETCH);
    assert_non_null(fetch);
    fl_host_serve_as(host, fetch, &other);
    assert_non_null(strstr(host->why, "no list of ranges"));
    assert_non_null(fl_host_take(host, FL_MESSAGE_STEP));
    assert_false(host->is_training);
    fl_parcel_fini(&other);
    free_host(host);
}

TEST(installing_ranges_that_are_too_long_are_refused)
{
    fl_host *host = new_host(true, false, false);
    const size_t len = FL_CLIENT_RANGES_CAP + 1;
    uint8_t *bytes = calloc(1, len);
    assert_non_null(bytes);
    fl_host_make_ranges(host, bytes, len);
    free(bytes);
    const fl_plan plan = measure_plan(host);
    fl_host_mail_plan(host, &plan);
    fl_host_serve(host, fl_host_take(host, FL_MESSAGE_FETCH));
    assert_non_null(strstr(host->why, "the maximum is 1048576"));
    assert_false(host->is_training);
    free_host(host);
}

TEST(installing_ranges_that_nobody_has_end_a_survey)
{
    fl_host *host = new_host(true, false, false);
    const fl_plan plan = measure_plan(host);
    fl_host_mail_plan(host, &plan);
    fl_host_refuse(host, fl_host_take(host, FL_MESSAGE_FETCH),
                   FL_ERR_NOT_FOUND);
    assert_string_equal(fl_client_activity(host->client), "idle");
    free_host(host);
}

/* ---- INT8 forms ---- */

TEST(installing_a_form_is_tried_when_its_model_was_trained)
{
    fl_host *host = new_host(true, true, false);
    const fl_plan plan = int8_plan(host, ROUND);
    fl_host_mail_plan(host, &plan);
    serve_all(host);
    assert_true(host->is_training);
    assert_int_equal(host->counts[FL_CLIENT_INSTALL], 0);
    fl_host_trained(host, 1);
    assert_true(host->is_installing);
    assert_has_ranges(host->install_ranges, host->install_ranges_len);
    assert_int_equal(host->install_len, host->model.len);
    assert_memory_equal(host->install, host->model.bytes, host->model.len);
    assert_int_equal(host->install_plan.holdout, 5);
    // The update does not wait for it.
    assert_non_null(fl_host_take(host, FL_MESSAGE_OPEN));
    const fl_client_verdict good = verdict(true);
    fl_host_installed(host, &good);
    assert_string_equal(host->event, "int8_installed");
    free_host(host);
}

TEST(installing_a_form_goes_on_while_the_next_round_begins)
{
    fl_host *host = new_host(true, true, false);
    const fl_plan plan = int8_plan(host, ROUND);
    fl_host_mail_plan(host, &plan);
    serve_all(host);
    fl_host_trained(host, 1);
    const fl_plan next = int8_plan(host, ROUND + 1);
    fl_host_mail_plan(host, &next);
    serve_all(host);
    assert_true(host->is_training && host->is_installing);
    const fl_client_verdict bad = verdict(false);
    fl_host_installed(host, &bad);
    assert_string_equal(host->event, "int8_refused");
    assert_non_null(strstr(host->why, "accuracy=75.00% installed=80.00%"));
    free_host(host);
}

TEST(installing_the_same_form_twice_is_not_tried)
{
    fl_host *host = new_host(true, true, false);
    for (uint32_t round = ROUND; round < ROUND + 2; round++) {
        const fl_plan plan = int8_plan(host, round);
        fl_host_mail_plan(host, &plan);
        serve_all(host);
        fl_host_trained(host, 1);
        const fl_client_verdict good = verdict(true);
        if (host->is_installing) fl_host_installed(host, &good);
    }
    assert_int_equal(host->counts[FL_CLIENT_INSTALL], 1);
    free_host(host);
}

TEST(installing_a_form_that_cannot_be_made_says_why)
{
    fl_host *host = new_host(true, true, false);
    const fl_plan plan = int8_plan(host, ROUND);
    fl_host_mail_plan(host, &plan);
    serve_all(host);
    fl_host_trained(host, 1);
    fl_host_installed(host, NULL);
    assert_string_equal(host->event, "int8_failed");
    assert_non_null(strstr(host->why, "a reason"));
    free_host(host);
}

TEST(installing_is_not_for_clients_that_take_no_int8)
{
    fl_host *host = new_host(true, false, false);
    const fl_plan plan = int8_plan(host, ROUND);
    fl_host_mail_plan(host, &plan);
    serve_all(host);
    assert_null(host->job_ranges);
    fl_host_trained(host, 1);
    assert_int_equal(host->counts[FL_CLIENT_INSTALL], 0);
    free_host(host);
}

TEST(installing_an_update_does_without_ranges_that_cannot_be_had)
{
    for (int is_wrong = 0; is_wrong <= 1; is_wrong++) {
        fl_host *host = new_host(true, true, false);
        const fl_plan plan = int8_plan(host, ROUND);
        fl_host_mail_plan(host, &plan);
        const fl_message *fetch = fl_host_take(host, FL_MESSAGE_FETCH);
        if (is_wrong) {
            fl_host_serve_as(host, fetch, &host->model);
        } else {
            fl_host_refuse(host, fetch, FL_ERR_NOT_FOUND);
        }
        serve_all(host);
        assert_true(host->is_training);
        assert_null(host->job_ranges);
        fl_host_trained(host, 1);
        assert_int_equal(host->counts[FL_CLIENT_INSTALL], 0);
        assert_non_null(fl_host_take(host, FL_MESSAGE_OPEN));
        free_host(host);
    }
}

/* ---- the last model ---- */

TEST(installing_the_last_model_comes_before_leaving)
{
    fl_host *host = new_host(true, true, true);
    fl_host_mail_last(host, ROUND);
    assert_false(host->has_left);
    assert_true(serve_all(host) > FL_HOST_CHUNKS);
    assert_true(host->is_installing);
    assert_int_equal(host->install_plan.round, ROUND);
    assert_false(host->has_left);
    const fl_client_verdict good = verdict(true);
    fl_host_installed(host, &good);
    assert_true(host->has_left);
    assert_int_equal(host->left_with, FL_OK);
    assert_null(fl_host_take(host, FL_MESSAGE_STEP));
    free_host(host);
}

TEST(installing_the_last_model_survives_a_lost_link)
{
    fl_host *host = new_host(true, true, true);
    fl_host_mail_last(host, ROUND);
    for (int i = 0; i < 3; i++) {
        fl_host_serve(host, fl_host_take(host, FL_MESSAGE_FETCH));
    }
    fl_host_lose(host);
    assert_false(host->has_left);
    fl_host_join(host);
    serve_all(host);
    assert_true(host->is_installing);
    const fl_client_verdict good = verdict(true);
    fl_host_installed(host, &good);
    assert_true(host->has_left);
    free_host(host);
}

TEST(installing_the_last_model_is_not_waited_for_for_ever)
{
    fl_host *host = new_host(true, true, true);
    fl_host_mail_last(host, ROUND);
    const int64_t due_ms = fl_client_deadline(host->client);
    assert_true(due_ms <= host->now_ms + FL_CLIENT_LAST_MS);
    for (int i = 0; i < 100 && !host->has_left; i++) {
        fl_host_wait(host, FL_CLIENT_LAST_MS / 50);
        if (host->has_hung_up && !host->has_left) fl_host_lose(host);
    }
    assert_true(host->has_left);
    assert_int_equal(host->left_with, FL_OK);
    free_host(host);
}

// The form of the last round is slow to measure when FINISHED comes.
TEST(installing_the_last_form_waits_for_the_one_before)
{
    fl_host *host = new_host(true, true, true);
    const fl_plan plan = int8_plan(host, ROUND);
    const fl_client_verdict good = verdict(true);
    fl_host_mail_plan(host, &plan);
    serve_all(host);
    fl_host_trained(host, 1);
    host->inbox_len = 0;
    assert_true(host->is_installing);
    for (int i = 1; i <= 2; i++) {  // the newest takes the place of others
        uint8_t other[sizeof RANGES];
        memcpy(other, RANGES, sizeof RANGES);
        other[0] ^= (uint8_t)i;
        fl_host_make_ranges(host, other, sizeof other);
        fl_host_mail_last(host, ROUND + (uint32_t)i);
        serve_all(host);
        assert_int_equal(host->counts[FL_CLIENT_INSTALL], 1);
        assert_false(host->has_left);
    }
    fl_host_installed(host, &good);
    assert_int_equal(host->counts[FL_CLIENT_INSTALL], 2);
    assert_int_equal(host->install_plan.round, ROUND + 2);
    assert_int_equal(host->install_plan.holdout, 5);
    assert_int_equal(host->install_ranges[0], RANGES[0] ^ 2);
    assert_false(host->has_left);
    fl_host_installed(host, &good);
    assert_int_equal(host->counts[FL_CLIENT_INSTALL], 2);
    assert_true(host->has_left);
    free_host(host);
}

TEST(installing_a_form_that_waits_ends_with_the_client)
{
    fl_host *host = new_host(true, true, true);
    const fl_plan plan = int8_plan(host, ROUND);
    fl_host_mail_plan(host, &plan);
    serve_all(host);
    fl_host_trained(host, 1);
    host->inbox_len = 0;
    fl_host_make_ranges(host, RANGES, sizeof RANGES - 1);
    fl_host_mail_last(host, ROUND + 1);
    serve_all(host);
    fl_host_tell(host, (fl_client_event){.kind = FL_CLIENT_STOP});
    fl_host_installed(host, NULL);
    assert_int_equal(host->counts[FL_CLIENT_INSTALL], 1);
    free_host(host);
}

TEST(installing_the_last_model_without_ranges_keeps_it_all_the_same)
{
    fl_host *host = new_host(true, true, true);
    memset(host->ranges.name, 0, FL_HASH_BYTES);
    fl_host_mail_last(host, ROUND);
    serve_all(host);
    assert_int_equal(host->counts[FL_CLIENT_END], 1);
    assert_int_equal(host->counts[FL_CLIENT_INSTALL], 0);
    assert_true(host->has_left);
    free_host(host);
}

TEST(installing_a_last_model_that_nobody_has_is_no_reason_to_stay)
{
    fl_host *host = new_host(true, true, true);
    memset(host->ranges.name, 0, FL_HASH_BYTES);
    fl_host_mail_last(host, ROUND);
    fl_host_refuse(host, fl_host_take(host, FL_MESSAGE_FETCH),
                   FL_ERR_NOT_FOUND);
    assert_true(host->has_left);
    free_host(host);
}

TEST(installing_nothing_leaves_at_once)
{
    fl_host *host = new_host(true, true, true);
    fl_host_mail(host, FL_MAIL_FINISHED, ROUND);  // names no model
    assert_true(host->has_left);
    free_host(host);
    host = new_host(true, false, true);
    fl_host_mail_last(host, ROUND);
    assert_true(host->has_left);
    assert_int_equal(host->counts[FL_CLIENT_FIND], 0);
    free_host(host);
}

TEST(installing_the_last_model_gives_way_to_a_new_plan)
{
    fl_host *host = new_host(true, true, true);
    fl_host_mail_last(host, ROUND);
    fl_host_mail(host, FL_MAIL_PLAN, ROUND + 1);
    assert_false(host->has_left);
    host->inbox_len = 0;
    fl_host_lose(host);
    fl_host_join(host);
    serve_all(host);
    assert_true(host->is_training);
    assert_int_equal(host->plan.round, ROUND + 1);
    free_host(host);
}

RUN_TESTS(
    cmocka_unit_test(installing_without_memory_for_ranges_trains_all_the_same),
    cmocka_unit_test(installing_without_memory_for_ranges_declines_a_survey),
    cmocka_unit_test(installing_a_survey_that_is_tried_again_counts_anew),
    cmocka_unit_test(
        installing_a_survey_that_is_running_begins_anew_for_another_cohort),
    cmocka_unit_test(installing_a_survey_on_the_disk_is_of_no_use),
    cmocka_unit_test(installing_the_last_form_waits_for_the_one_before),
    cmocka_unit_test(installing_a_form_that_waits_ends_with_the_client),
    cmocka_unit_test(
        installing_a_survey_needs_no_ranges_unless_its_plan_names_some),
    cmocka_unit_test(
        installing_measuring_an_int8_form_fetches_its_ranges_first),
    cmocka_unit_test(installing_ranges_that_came_last_are_not_fetched_again),
    cmocka_unit_test(installing_counts_travel_as_the_words_of_a_tally),
    cmocka_unit_test(installing_no_survey_is_answered_that_the_owner_forbids),
    cmocka_unit_test(
        installing_no_survey_is_answered_in_the_clear_against_the_owners_word),
    cmocka_unit_test(installing_an_object_that_is_no_ranges_ends_a_survey),
    cmocka_unit_test(installing_ranges_that_are_too_long_are_refused),
    cmocka_unit_test(installing_ranges_that_nobody_has_end_a_survey),
    cmocka_unit_test(installing_a_form_is_tried_when_its_model_was_trained),
    cmocka_unit_test(installing_a_form_goes_on_while_the_next_round_begins),
    cmocka_unit_test(installing_the_same_form_twice_is_not_tried),
    cmocka_unit_test(installing_a_form_that_cannot_be_made_says_why),
    cmocka_unit_test(installing_is_not_for_clients_that_take_no_int8),
    cmocka_unit_test(
        installing_an_update_does_without_ranges_that_cannot_be_had),
    cmocka_unit_test(installing_the_last_model_comes_before_leaving),
    cmocka_unit_test(installing_the_last_model_survives_a_lost_link),
    cmocka_unit_test(installing_the_last_model_is_not_waited_for_for_ever),
    cmocka_unit_test(
        installing_the_last_model_without_ranges_keeps_it_all_the_same),
    cmocka_unit_test(
        installing_a_last_model_that_nobody_has_is_no_reason_to_stay),
    cmocka_unit_test(installing_nothing_leaves_at_once),
    cmocka_unit_test(installing_the_last_model_gives_way_to_a_new_plan))
