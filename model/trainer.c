/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "model/graph.h"
#include "model/loss.h"
#include "model/model.h"
#include "model/order.h"
#include "model/plan.h"
#include "model/sgd.h"

struct fl_trainer {
    const fl_kernels *kernels;
    fl_plan *plan;
    fl_shape input;
    uint32_t class_count;
    size_t param_count;
    uint32_t batch_cap;
    float *grads, *velocity;  // (param_count); NULL: evaluates only
    uint32_t *rows;           // (batch_cap) of the batch at hand
    uint32_t *labels;
};

fl_err fl_trainer_new(fl_trainer **trainer, const fl_model *model,
                      uint32_t batch_cap, bool with_gradients, fl_reason *why)
{
    if (batch_cap == 0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a batch has at least one row, not 0");
    }
    fl_trainer *made = calloc(1, sizeof *made);
    if (!made) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    made->kernels = fl_kernels_at(0);
    made->input = fl_model_input(model);
    made->class_count = fl_model_class_count(model);
    made->param_count = fl_model_param_count(model);
    made->batch_cap = batch_cap;

    fl_err err = fl_plan_new(&made->plan, &model->graph, made->kernels,
                             batch_cap, with_gradients, why);
    if (err) goto out;
    made->rows = malloc(batch_cap * sizeof *made->rows);
    made->labels = malloc(batch_cap * sizeof *made->labels);
    if (with_gradients) {
        made->grads = malloc((made->param_count + 1) * sizeof(float));
        made->velocity = malloc((made->param_count + 1) * sizeof(float));
    }
    if (!made->rows || !made->labels ||
        (with_gradients && (!made->grads || !made->velocity))) {
        err = fl_reason_set(why, FL_ERR_MEMORY,
                            "no memory for the gradients of %zu parameters",
                            made->param_count);
        goto out;
    }
    *trainer = made;
    made = NULL;

out:
    fl_trainer_free(made);
    return err;
}

void fl_trainer_free(fl_trainer *trainer)
{
    if (!trainer) return;
    fl_plan_free(trainer->plan);
    free(trainer->grads);
    free(trainer->velocity);
    free(trainer->rows);
    free(trainer->labels);
    free(trainer);
}

size_t fl_trainer_bytes(const fl_trainer *trainer)
{
    return fl_plan_bytes(trainer->plan);
}

/* ---- arguments ---- */

static fl_err check_dataset(const fl_trainer *trainer,
                            const fl_dataset *dataset, fl_reason *why)
{
    const fl_shape a = fl_dataset_shape(dataset), b = trainer->input;
    if (a.height != b.height || a.width != b.width ||
        a.channels != b.channels) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the dataset's rows are %ux%ux%u, the model's "
                             "input is %ux%ux%u",
                             a.height, a.width, a.channels, b.height, b.width,
                             b.channels);
    }
    if (fl_dataset_class_count(dataset) > trainer->class_count) {
        return fl_reason_set(
            why, FL_ERR_RANGE, "the dataset has %u classes, the model only %u",
            fl_dataset_class_count(dataset), trainer->class_count);
    }
    return FL_OK;
}

static fl_err refuse_option(fl_reason *why, const char *name, double value,
                            const char *range)
{
    return fl_reason_set(why, FL_ERR_RANGE, "%s is %g, it must be %s", name,
                         value, range);
}

static bool is_at_least_0(float x)
{
    return isfinite(x) && x >= 0.0F;
}

static fl_err check_options(const fl_trainer *trainer,
                            const fl_train_options *o, fl_reason *why)
{
    if (o->epochs == 0) {
        return refuse_option(why, "epochs", o->epochs, "at least 1");
    }
    if (o->batch == 0 || o->batch > trainer->batch_cap) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "batch is %u, it must be 1 to %u", o->batch,
                             trainer->batch_cap);
    }
    if (!is_at_least_0(o->lr)) {
        return refuse_option(why, "lr", (double)o->lr, "0 or more");
    }
    if (!is_at_least_0(o->momentum) || o->momentum >= 1.0F) {
        return refuse_option(why, "momentum", (double)o->momentum,
                             "0 or more and below 1");
    }
    if (!is_at_least_0(o->weight_decay)) {
        return refuse_option(why, "weight_decay", (double)o->weight_decay,
                             "0 or more");
    }
    if (!is_at_least_0(o->clip_norm)) {
        return refuse_option(why, "clip_norm", (double)o->clip_norm,
                             "0 or more");
    }
    if (o->schedule == FL_SCHEDULE_CONSTANT) return FL_OK;
    if (o->schedule != FL_SCHEDULE_COSINE && o->schedule != FL_SCHEDULE_STEP) {
        return refuse_option(why, "schedule", (double)o->schedule,
                             "constant, cosine or step");
    }
    if (o->schedule_steps == 0) {
        return refuse_option(why, "schedule_steps", 0.0, "at least 1");
    }
    if (o->schedule == FL_SCHEDULE_STEP && !is_at_least_0(o->schedule_factor)) {
        return refuse_option(why, "schedule_factor", (double)o->schedule_factor,
                             "0 or more");
    }
    return FL_OK;
}

/* ---- one batch ---- */

// Where a run is, for the sentences.
typedef struct {
    uint64_t step;  // from 0
    float lr;
} progress;

static fl_err refuse_divergence(fl_reason *why, const char *what,
                                const progress *at)
{
    return fl_reason_set(why, FL_ERR_RANGE,
                         "step %llu: %s became NaN or infinite with lr %g: "
                         "lower lr, or set clip_norm (1 is a good start)",
                         (unsigned long long)at->step + 1, what,
                         (double)at->lr);
}

static void read_batch(fl_trainer *trainer, const fl_dataset *dataset,
                       uint32_t count)
{
    const uint32_t *labels = fl_dataset_labels(dataset);
    fl_dataset_read(fl_plan_input(trainer->plan), dataset, trainer->rows,
                    count);
    for (uint32_t i = 0; i < count; i++) {
        trainer->labels[i] = labels[trainer->rows[i]];
    }
}

// Forward, loss, backward and update on the batch that is loaded.
static fl_err train_batch(fl_trainer *trainer, float *params,
                          fl_metrics *metrics, uint32_t count,
                          const fl_train_options *options, const progress *at,
                          fl_reason *why)
{
    fl_plan *plan = trainer->plan;
    fl_plan_load(plan, params);
    fl_plan_forward(plan, count);
    const double loss =
        fl_loss_add(metrics, fl_plan_logits_grad(plan), fl_plan_logits(plan),
                    trainer->labels, count, trainer->class_count);
    if (!isfinite(loss)) return refuse_divergence(why, "the loss", at);

    memset(trainer->grads, 0, trainer->param_count * sizeof(float));
    fl_plan_backward(plan, trainer->grads, count);
    float scale = 1.0F;
    if (options->clip_norm > 0.0F) {
        scale = fl_sgd_clip(trainer->kernels, trainer->grads,
                            trainer->param_count, options->clip_norm);
    }
    const fl_update update = {
        .params = params,
        .velocity = trainer->velocity,
        .grads = trainer->grads,
        .count = trainer->param_count,
        .scale = scale,
        .weight_decay = options->weight_decay,
        .momentum = options->momentum,
        .lr = at->lr,
    };
    if (!trainer->kernels->update(&update)) {
        return refuse_divergence(why, "a parameter", at);
    }
    return FL_OK;
}

static bool is_stopped(const fl_train_options *options)
{
    return options->stop && atomic_load(options->stop);
}

static fl_err train_epoch(fl_trainer *trainer, float *params,
                          fl_metrics *metrics, const fl_dataset *dataset,
                          const uint32_t *rows, const fl_order *order,
                          const fl_train_options *options, uint64_t *step,
                          fl_reason *why)
{
    for (uint32_t from = 0; from < order->count; from += options->batch) {
        const uint32_t left = order->count - from;
        const uint32_t count = left < options->batch ? left : options->batch;
        for (uint32_t i = 0; i < count; i++) {
            trainer->rows[i] = rows[fl_order_at(order, from + i)];
        }
        read_batch(trainer, dataset, count);
        const progress at = {*step, fl_sgd_rate(options, *step)};
        FL_TRY(train_batch(trainer, params, metrics, count, options, &at, why));
        (*step)++;
        if (is_stopped(options)) {
            return fl_reason_set(why, FL_ERR_CANCELLED,
                                 "stopped on request after step %llu",
                                 (unsigned long long)*step);
        }
    }
    return FL_OK;
}

/* ---- the front ---- */

fl_err fl_trainer_run(fl_trainer *trainer, float *params, fl_metrics *metrics,
                      const fl_dataset *dataset, const uint32_t *rows,
                      size_t row_count, const fl_train_options *options,
                      fl_random *random, fl_reason *why)
{
    if (!trainer->grads) {
        return fl_reason_set(why, FL_ERR_STATE,
                             "this trainer was made without gradients: it can "
                             "only evaluate");
    }
    FL_TRY(check_dataset(trainer, dataset, why));
    FL_TRY(check_options(trainer, options, why));
    if (row_count == 0 || row_count > FL_DATA_ROWS_MAX) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "there are %zu rows to train on, not 1 to %u",
                             row_count, FL_DATA_ROWS_MAX);
    }
    *metrics = (fl_metrics){0};
    fl_metrics later = {0};
    uint64_t step = 0;
    memset(trainer->velocity, 0, trainer->param_count * sizeof(float));
    for (uint32_t epoch = 0; epoch < options->epochs; epoch++) {
        fl_order order;
        fl_order_init(&order, (uint32_t)row_count, random);
        FL_TRY(train_epoch(trainer, params, epoch == 0 ? metrics : &later,
                           dataset, rows, &order, options, &step, why));
    }
    return FL_OK;
}

fl_err fl_trainer_evaluate(fl_trainer *trainer, fl_metrics *metrics,
                           const float *params, const fl_dataset *dataset,
                           const uint32_t *rows, size_t row_count,
                           fl_reason *why)
{
    FL_TRY(check_dataset(trainer, dataset, why));
    *metrics = (fl_metrics){0};
    fl_plan_load(trainer->plan, params);
    for (size_t from = 0; from < row_count; from += trainer->batch_cap) {
        const size_t left = row_count - from;
        const uint32_t count =
            left < trainer->batch_cap ? (uint32_t)left : trainer->batch_cap;
        memcpy(trainer->rows, rows + from, count * sizeof *rows);
        read_batch(trainer, dataset, count);
        fl_plan_forward(trainer->plan, count);
        const double loss =
            fl_loss_add(metrics, NULL, fl_plan_logits(trainer->plan),
                        trainer->labels, count, trainer->class_count);
        if (!isfinite(loss)) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "rows %zu to %zu: the loss is NaN or "
                                 "infinite: the model's parameters are broken",
                                 from, from + count - 1);
        }
    }
    return FL_OK;
}

fl_err fl_trainer_predict(fl_trainer *trainer, float *logits,
                          const float *params, const float *x, size_t count)
{
    if (count > trainer->batch_cap) return FL_ERR_RANGE;
    if (count == 0) return FL_OK;
    fl_plan *plan = trainer->plan;
    memcpy(fl_plan_input(plan), x,
           count * fl_shape_size(trainer->input) * sizeof *x);
    fl_plan_load(plan, params);
    fl_plan_forward(plan, (uint32_t)count);
    memcpy(logits, fl_plan_logits(plan),
           count * trainer->class_count * sizeof *logits);
    return FL_OK;
}
