/* SPDX-License-Identifier: Apache-2.0 */
#include "client/survey.h"

#include <math.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "client/form.h"
#include "client/local.h"
#include "client/rows.h"

enum { STRETCH = 256 };  // rows between two looks at the stop flag

typedef struct {
    const fl_plan *plan;
    const fl_local_data *data;
    fl_model *model;
    uint32_t *rows;  // that are looked at
    uint32_t row_count;
    uint32_t count_max;
    fl_metrics metrics;
    uint32_t *counts;
    size_t count;
} survey;

/* ---- counts ---- */

static fl_err make_counts(survey *s, size_t count, fl_reason *why)
{
    if (count != s->plan->param_count) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the plan asks for %llu counts, this survey of "
                             "its model has %zu",
                             (unsigned long long)s->plan->param_count, count);
    }
    s->count = count;
    s->counts = calloc(count, sizeof *s->counts);
    if (s->counts) return FL_OK;
    return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu counts", count);
}

// The rows of a client that has a full say.
static uint32_t full_say(const fl_plan *plan)
{
    return plan->row_cap ? plan->row_cap : plan->weight_max;
}

static uint32_t count_of(const survey *s, double share)
{
    const double say = fmin(1.0, (double)s->row_count / full_say(s->plan));
    return (uint32_t)llrint(fmin(1.0, share) * say * s->count_max);
}

static fl_err encode_counts(fl_result *result, const survey *s, fl_reason *why)
{
    result->update_len = s->count * sizeof *s->counts;
    result->update = malloc(result->update_len);
    if (!result->update) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu counts",
                             s->count);
    }
    for (size_t i = 0; i < s->count; i++) {
        fl_bytes_put_u32(result->update + i * sizeof *s->counts, s->counts[i]);
    }
    fl_local_report(result, &s->metrics);
    return FL_OK;
}

/* ---- the three surveys ---- */

static fl_form_rows rows_of(const survey *s)
{
    return (fl_form_rows){.dataset = s->data->dataset,
                          .rows = s->rows,
                          .row_count = s->row_count,
                          .stop = s->data->stop};
}

static fl_err measure_form(survey *s, fl_reason *why)
{
    const fl_form_rows rows = rows_of(s);
    fl_int8_model *form = NULL;
    FL_TRY(fl_ranges_quantize(&form, s->model, s->data->ranges,
                              s->data->ranges_len, why));
    const fl_err err = fl_form_measure(&s->metrics, form, &rows, why);
    fl_int8_free(form);
    return err;
}

static fl_err measure(survey *s, fl_reason *why)
{
    const fl_form_rows rows = rows_of(s);
    fl_metrics of_float;
    FL_TRY(make_counts(s, 1, why));
    FL_TRY(fl_form_measure_float(&of_float, s->model, &rows, why));
    s->metrics = of_float;
    if (!fl_local_has_ranges(s->plan)) return FL_OK;
    if (!s->data->ranges) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the plan names ranges that are not here");
    }
    s->counts[0] = (uint32_t)of_float.correct_count;
    return measure_form(s, why);
}

static fl_err share_scores(survey *s, const double *scores, fl_reason *why)
{
    double sum = 0.0;
    for (size_t i = 0; i < s->count; i++) {
        sum += scores[i];
    }
    if (!isfinite(sum)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the channels' scores are no numbers");
    }
    if (sum <= 0.0) return FL_OK;  // this client has nothing to say
    for (size_t i = 0; i < s->count; i++) {
        s->counts[i] = count_of(s, scores[i] / sum);
    }
    return FL_OK;
}

static fl_err score(survey *s, const fl_channels *channels, fl_reason *why)
{
    const fl_importance_data data = {.dataset = s->data->dataset,
                                     .rows = s->rows,
                                     .row_count = s->row_count,
                                     .stop = s->data->stop};
    FL_TRY(make_counts(s, fl_channels_count(channels), why));
    double *scores = calloc(s->count, sizeof *scores);
    if (!scores) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu scores",
                             s->count);
    }
    fl_err err = fl_importance_channels(scores, &s->metrics, s->model, channels,
                                        FL_IMPORTANCE_FISHER, &data, why);
    if (!err) err = share_scores(s, scores, why);
    free(scores);
    return err;
}

static fl_err weigh_channels(survey *s, fl_reason *why)
{
    fl_channels *channels = NULL;
    FL_TRY(fl_channels_new(&channels, s->model, why));
    const fl_err err = score(s, channels, why);
    fl_channels_free(channels);
    return err;
}

// Adds up what stretches of rows say; `part` is scratch memory.
static fl_err observe(const survey *s, double *shares, double *part,
                      fl_reason *why)
{
    const fl_local_data *data = s->data;
    for (uint32_t at = 0; at < s->row_count; at += STRETCH) {
        if (data->stop && atomic_load(data->stop)) {
            return fl_reason_set(why, FL_ERR_CANCELLED, "stopped on request");
        }
        const uint32_t left = s->row_count - at;
        const uint32_t len = left < STRETCH ? left : STRETCH;
        FL_TRY(fl_int8_observe(part, s->model, data->dataset, s->rows + at, len,
                               why));
        for (size_t i = 0; i < s->count; i++) {
            shares[i] += part[i] * len / s->row_count;
        }
    }
    return FL_OK;
}

static fl_err look_at_ranges(survey *s, fl_reason *why)
{
    const fl_form_rows rows = rows_of(s);
    size_t range_count, count;
    FL_TRY(fl_int8_range_count(&range_count, s->model, why));
    FL_TRY(fl_size_mul(&count, range_count, FL_INT8_BINS));
    FL_TRY(make_counts(s, count, why));
    FL_TRY(fl_form_measure_float(&s->metrics, s->model, &rows, why));
    double *shares = calloc(count, 2 * sizeof *shares);
    if (!shares) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu shares",
                             count);
    }
    const fl_err err = observe(s, shares, shares + count, why);
    for (size_t i = 0; !err && i < count; i++) {
        s->counts[i] = count_of(s, shares[i]);
    }
    free(shares);
    return err;
}

/* ---- the whole ---- */

static uint32_t lower(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

// Never all rows, so that no two answers are of the same ones; so few that no
// count can be above count_max; and where the metrics stand beside a count, so
// few that both count every row as one.
static uint32_t row_cap_of(const survey *s)
{
    const fl_plan *plan = s->plan;
    uint32_t cap = lower(s->count_max, fl_rows_survey_cap(s->row_count));
    if (plan->row_cap > 0) cap = lower(cap, plan->row_cap);
    if (plan->work == FL_WORK_MEASURE) cap = lower(cap, plan->weight_max);
    return cap;
}

static fl_err choose_rows(survey *s, fl_reason *why)
{
    const fl_local_data *data = s->data;
    fl_random random;
    fl_random_init(&random, fl_local_seed(s->plan), FL_RANDOM_SURVEY,
                   data->client);
    FL_TRY(fl_local_rows(&s->rows, &s->row_count, s->plan, data, why));
    s->row_count =
        fl_rows_sample(s->rows, s->row_count, row_cap_of(s), &random);
    return FL_OK;
}

static fl_err answer(survey *s, fl_reason *why)
{
    switch (s->plan->work) {
    case FL_WORK_MEASURE: return measure(s, why);
    case FL_WORK_IMPORTANCE: return weigh_channels(s, why);
    case FL_WORK_RANGES: return look_at_ranges(s, why);
    case FL_WORK_TRAIN: break;
    }
    return fl_reason_set(why, FL_ERR_UNSUPPORTED, "no survey has the number %d",
                         (int)s->plan->work);
}

fl_err fl_survey_run(fl_result *result, const fl_plan *plan,
                     const fl_local_data *data, fl_reason *why)
{
    fl_codec codec;
    fl_local_codec(&codec, plan);
    survey s = {.plan = plan, .data = data, .count_max = fl_tally_max(&codec)};
    *result = (fl_result){0};
    fl_err err = fl_model_decode(&s.model, data->model, data->model_len, why);
    if (!err) err = choose_rows(&s, why);
    if (!err) err = answer(&s, why);
    if (!err) err = encode_counts(result, &s, why);
    free(s.counts);
    free(s.rows);
    fl_model_free(s.model);
    return err;
}
