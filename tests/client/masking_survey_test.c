/*
 * What the aggregator can read of a client's answer to a survey, under secure
 * aggregation: nothing but that there is one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "client/local.h"
#include "tests/support/chorus.h"
#include "tests/test.h"

enum { COUNTS_MAX = 4096, WORDS_MAX = COUNTS_MAX / 2 + 3 };

// A client that answers a survey, and the session that adds its answer up.
typedef struct {
    fl_host host;
    fl_chorus chorus;
    fl_plan plan;
    uint32_t counts[COUNTS_MAX];
    uint64_t plain[WORDS_MAX];  // of its answer
    size_t word_count;
} survey;

static void answer(survey *s)
{
    fl_host *host = &s->host;
    const size_t count = (size_t)s->plan.param_count;
    fl_result result = {.sample_count = 10,
                        .correct_count = 5,
                        .loss_sum_micro = 20000000,
                        .update = malloc(4 * count),
                        .update_len = 4 * count};
    assert_non_null(result.update);
    for (size_t i = 0; i < count; i++)
        fl_bytes_put_u32(result.update + 4 * i, s->counts[i]);
    host->trained_len = result.update_len;
    host->is_training = false;
    fl_host_tell(
        host, (fl_client_event){.kind = FL_CLIENT_TRAINED, .result = &result});
}

static fl_plan secure_survey_plan(const fl_host *host, fl_work work,
                                  size_t count)
{
    const fl_plan secure = fl_host_secure_plan(host, 1);
    fl_plan plan = fl_host_survey_plan(host, 1, work, count);
    plan.aggregation = secure.aggregation;
    plan.client_min = secure.client_min;
    memcpy(plan.enrolment, secure.enrolment, FL_HASH_BYTES);
    return plan;
}

static void join(fl_host *host)
{
    fl_client_options options = fl_host_options();
    options.allows_clear = false;
    options.client_min = 3;
    options.takes_surveys = true;
    fl_host_init(host, &options);
    fl_host_enrol(host, FL_HOST_AUTHORITY, 5, true);
    fl_host_join(host);
}

static void encode_plain(survey *s)
{
    const fl_update_metrics metrics = {
        .weight = 10, .correct = 5, .loss_sum = 20.0};
    fl_codec codec;
    fl_local_codec(&codec, &s->plan);
    s->word_count = fl_update_words(&codec);
    assert_in_range(s->word_count, 4, WORDS_MAX);
    assert_ok(fl_tally_encode(s->plain, &codec, s->counts, &metrics, NULL));
}

// From the plan to the sum.
static survey *run_survey(fl_work work, size_t count)
{
    survey *s = calloc(1, sizeof *s);
    assert_non_null(s);
    join(&s->host);
    for (size_t i = 0; i < count; i++)
        s->counts[i] = (uint32_t)(i % 5);
    s->plan = secure_survey_plan(&s->host, work, count);
    encode_plain(s);
    fl_host_mail_plan(&s->host, &s->plan);
    const fl_message *fetch;
    while ((fetch = fl_host_take(&s->host, FL_MESSAGE_FETCH)))
        fl_host_serve(&s->host, fetch);
    assert_true(s->host.is_training);
    answer(s);
    const fl_message *ready = fl_host_take(&s->host, FL_MESSAGE_STEP);
    assert_non_null(ready);
    fl_host_ack(&s->host, ready);
    fl_chorus_init(&s->chorus, &s->host, &s->host.plan);
    fl_chorus_open(&s->chorus);
    fl_chorus_play_to(&s->chorus, FL_STEP_UNMASK);
    return s;
}

static void end_survey(survey *s)
{
    fl_chorus_fini(&s->chorus);
    fl_host_fini(&s->host);
    free(s);
}

// Values of bytes: 255 degrees of freedom, five standard deviations.
static bool is_noise(const uint8_t *bytes, size_t len)
{
    uint32_t seen[256] = {0};
    const double expected = (double)len / 256;
    double sum = 0;
    for (size_t i = 0; i < len; i++)
        seen[bytes[i]]++;
    for (size_t i = 0; i < 256; i++)
        sum += (seen[i] - expected) * (seen[i] - expected) / expected;
    return fabs(sum - 255) <= 5 * sqrt(2 * 255);
}

static void check_hidden(fl_work work, size_t count)
{
    survey *s = run_survey(work, count);
    const uint8_t *vector = s->chorus.vector;
    assert_int_equal(s->chorus.vector_len, 8 * s->word_count);
    for (size_t i = 0; i < s->word_count; i++)
        assert_true(fl_bytes_get_u64(vector + 8 * i) != s->plain[i]);
    // The others have nothing to add: the sum is this client's answer.
    const uint64_t *sum = fl_secagg_sum(s->chorus.secagg);
    assert_non_null(sum);
    assert_memory_equal(sum, s->plain, 8 * s->word_count);
    end_survey(s);
}

TEST(masking_survey_hides_every_count_of_a_client)
{
    check_hidden(FL_WORK_MEASURE, 1);
    check_hidden(FL_WORK_IMPORTANCE, 183);
    check_hidden(FL_WORK_RANGES, COUNTS_MAX);
}

TEST(masking_survey_travels_as_noise)
{
    survey *s = run_survey(FL_WORK_RANGES, COUNTS_MAX);
    uint8_t plain[8 * WORDS_MAX];
    fl_addend_encode(plain, s->plain, s->word_count);
    assert_false(is_noise(plain, 8 * s->word_count));
    assert_true(is_noise(s->chorus.vector, s->chorus.vector_len));
    end_survey(s);
}

RUN_TESTS(cmocka_unit_test(masking_survey_hides_every_count_of_a_client),
          cmocka_unit_test(masking_survey_travels_as_noise))
