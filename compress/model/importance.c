/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/importance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * An embedding says nothing about one example alone: models that end in L2NORM
 * are looked at in batches, with the loss of triplets.
 */
enum { EMBEDDED_TOGETHER = 32 };
static const float EMBEDDED_MARGIN = 0.2F;

typedef struct {
    const fl_model *model;
    const fl_importance_data *data;
    fl_loss loss;
    size_t together;  // rows of a gradient
    fl_trainer *trainer;
    float *grads;        // of some rows
    fl_metrics metrics;  // of all so far
    fl_reason *why;
} survey;

/* ---- gradients, row after row ---- */

static bool is_embedding(const fl_model *model)
{
    const uint32_t last = fl_model_layer_count(model) - 1;
    return strcmp(fl_model_layer(model, last).op, "LpNormalization") == 0;
}

static fl_err survey_open(survey *s, const fl_model *model,
                          const fl_importance_data *data, fl_reason *why)
{
    const bool embeds = is_embedding(model);
    *s = (survey){
        .model = model,
        .data = data,
        .loss = {.kind = embeds ? FL_LOSS_TRIPLET : FL_LOSS_SOFTMAX,
                 .margin = EMBEDDED_MARGIN},
        .together = embeds ? EMBEDDED_TOGETHER : 1,
        .why = why,
    };
    if (!data || data->row_count == 0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "importance is measured on rows of data, there "
                             "are none");
    }
    s->grads = malloc((fl_model_param_count(model) + 1) * sizeof *s->grads);
    if (!s->grads) {
        return fl_reason_set(why, FL_ERR_MEMORY,
                             "no memory for the gradients of %zu parameters",
                             fl_model_param_count(model));
    }
    const fl_trainer_options options = {
        .batch_cap = (uint32_t)s->together,
        .with_gradients = true,
    };
    return fl_trainer_new(&s->trainer, model, &options, why);
}

static void survey_close(survey *s)
{
    fl_trainer_free(s->trainer);
    free(s->grads);
}

static bool is_stopped(const survey *s)
{
    return s->data->stop && atomic_load(s->data->stop);
}

// The gradients of the rows from `at` on are in s->grads afterwards.
static fl_err survey_next(survey *s, size_t at)
{
    const size_t left = s->data->row_count - at;
    fl_metrics metrics;
    if (is_stopped(s)) {
        return fl_reason_set(s->why, FL_ERR_CANCELLED, "stopped on request");
    }
    FL_TRY(fl_trainer_gradient(
        s->trainer, s->grads, &metrics, &s->loss, fl_model_get_params(s->model),
        s->data->dataset, s->data->rows + at,
        left < s->together ? left : s->together, s->why));
    s->metrics.sample_count += metrics.sample_count;
    s->metrics.correct_count += metrics.correct_count;
    s->metrics.loss_sum += metrics.loss_sum;
    return FL_OK;
}

static double gradient_count(const survey *s)
{
    return ceil((double)s->data->row_count / (double)s->together);
}

/* ---- channels ---- */

// Sums of slopes (TAYLOR) or of their squares (FISHER).
static fl_err add_slopes(double *sums, double *slopes, survey *s,
                         const fl_channels *channels, bool is_squared)
{
    const size_t count = fl_channels_count(channels);
    for (size_t at = 0; at < s->data->row_count; at += s->together) {
        FL_TRY(survey_next(s, at));
        fl_channels_slopes(channels, slopes, fl_model_get_params(s->model),
                           s->grads);
        for (size_t c = 0; c < count; c++) {
            sums[c] += is_squared ? slopes[c] * slopes[c] : slopes[c];
        }
    }
    return FL_OK;
}

static fl_err score_by_slopes(double *scores, survey *s,
                              const fl_channels *channels, bool is_squared)
{
    const size_t count = fl_channels_count(channels);
    double *slopes = malloc((count + 1) * sizeof *slopes);
    if (!slopes) {
        return fl_reason_set(s->why, FL_ERR_MEMORY,
                             "no memory for %zu channels", count);
    }
    memset(scores, 0, count * sizeof *scores);
    const fl_err err = add_slopes(scores, slopes, s, channels, is_squared);
    for (size_t c = 0; !err && c < count; c++) {
        scores[c] = fabs(scores[c]) / gradient_count(s);
    }
    free(slopes);
    return err;
}

fl_err fl_importance_channels(double *scores, fl_metrics *metrics,
                              const fl_model *model,
                              const fl_channels *channels,
                              fl_importance_kind kind,
                              const fl_importance_data *data, fl_reason *why)
{
    if (kind == FL_IMPORTANCE_MAGNITUDE) {
        fl_channels_norms(channels, scores, fl_model_get_params(model));
        if (metrics) *metrics = (fl_metrics){0};
        return FL_OK;
    }
    survey s;
    fl_err err = survey_open(&s, model, data, why);
    if (!err) {
        err =
            score_by_slopes(scores, &s, channels, kind == FL_IMPORTANCE_FISHER);
    }
    if (!err && metrics) *metrics = s.metrics;
    survey_close(&s);
    return err;
}

/* ---- weights ---- */

static fl_err add_squares(double *fisher, survey *s)
{
    const size_t count = fl_model_param_count(s->model);
    memset(fisher, 0, count * sizeof *fisher);
    for (size_t at = 0; at < s->data->row_count; at += s->together) {
        FL_TRY(survey_next(s, at));
        for (size_t i = 0; i < count; i++) {
            fisher[i] += (double)s->grads[i] * (double)s->grads[i];
        }
    }
    for (size_t i = 0; i < count; i++) {
        fisher[i] /= gradient_count(s);
    }
    return FL_OK;
}

fl_err fl_importance_weights(double *fisher, fl_metrics *metrics,
                             const fl_model *model,
                             const fl_importance_data *data, fl_reason *why)
{
    survey s;
    fl_err err = survey_open(&s, model, data, why);
    if (!err) err = add_squares(fisher, &s);
    if (!err && metrics) *metrics = s.metrics;
    survey_close(&s);
    return err;
}
