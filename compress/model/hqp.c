/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/hqp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/model/slim.h"

enum { BATCH = 64 };

/* Shares of parameters are fractions of whole numbers; what is nearer is it. */
static const double TINY = 1e-9;

/* A model that the guard has let through. */
typedef struct {
    fl_model *made;  // NULL: the dense one
    fl_metrics metrics;
} accepted;

typedef struct {
    const fl_hqp_options *options;
    const fl_model *dense;
    accepted models[FL_HQP_STEPS_MAX + 1];  // the first is the dense one
    uint32_t last;                          // of these
    bool is_stopped;
    fl_reason *why;
} pipeline;

static const fl_model *model_at(const pipeline *p, uint32_t i)
{
    return p->models[i].made ? p->models[i].made : p->dense;
}

// The first `count` of the rows to learn from; 0: all.
static size_t rows_of(const pipeline *p, size_t count)
{
    const size_t all = p->options->tune.row_count;
    return count > 0 && count < all ? count : all;
}

/* ---- the guard ---- */

static fl_err measure(fl_metrics *metrics, const fl_model *model,
                      const pipeline *p)
{
    const fl_hqp_options *o = p->options;
    fl_runner *runner = NULL;
    FL_TRY(fl_runner_new(&runner, model, BATCH, p->why));
    const fl_err err =
        fl_runner_evaluate(runner, metrics, o->tune.dataset, o->guard_rows,
                           o->guard_count, p->why);
    fl_runner_free(runner);
    return err;
}

static double accuracy_of(const fl_metrics *metrics)
{
    return (double)metrics->correct_count / (double)metrics->sample_count;
}

static bool is_good(const pipeline *p, const fl_metrics *metrics)
{
    const fl_metrics *reference = &p->models[0].metrics;
    const double lost =
        (double)reference->correct_count - (double)metrics->correct_count;
    return 100.0 * lost / (double)reference->sample_count <=
           p->options->max_drop;
}

static void report(const pipeline *p, fl_hqp_step *step, const fl_model *model,
                   const fl_metrics *after, fl_hqp_verdict verdict)
{
    if (!p->options->on_step) return;
    step->cost = fl_slim_cost(model);
    step->after = accuracy_of(after);
    step->verdict = verdict;
    p->options->on_step(p->options->on_step_self, step);
}

static fl_hqp_verdict verdict_of(bool is_accepted)
{
    return is_accepted ? FL_HQP_ACCEPTED : FL_HQP_ROLLED_BACK;
}

/* ---- recovering ---- */

// A stop is no error: what was being made is not finished, and goes.
static fl_err stop_or(pipeline *p, fl_err err)
{
    if (err != FL_ERR_CANCELLED) return err;
    p->is_stopped = true;
    return FL_OK;
}

// Trains *model, measures it before and after. Stopped: frees it instead.
static fl_err recover(fl_model **model, fl_hqp_step *step, fl_metrics *after,
                      pipeline *p, uint32_t epochs)
{
    fl_metrics before;
    fl_err err = measure(&before, *model, p);
    if (!err) err = fl_tune_model(*model, &p->options->tune, epochs, p->why);
    if (!err) err = measure(after, *model, p);
    if (!err) {
        step->before = accuracy_of(&before);
        return FL_OK;
    }
    fl_model_free(*model);
    *model = NULL;
    return stop_or(p, err);
}

/* ---- pruning ---- */

// Share of the dense model's parameters that has gone.
static double gone_share(const pipeline *p)
{
    const double whole = (double)fl_model_param_count(p->dense);
    return 1.0 - (double)fl_model_param_count(model_at(p, p->last)) / whole;
}

static bool is_at_target(const pipeline *p)
{
    const double target = p->options->target;
    return target > 0.0 && gone_share(p) >= target - TINY;
}

// The last step is only as large as the target needs.
static double share_to_remove(const pipeline *p, double step)
{
    const fl_hqp_options *o = p->options;
    if (o->target <= 0.0 || o->cost != FL_PRUNE_PARAMS) return step;
    const double left = 1.0 - gone_share(p);
    const double needed = (left - (1.0 - o->target)) / left;
    return needed < step ? needed : step;
}

// *smaller is NULL when nothing can go any more, or it was stopped.
static fl_err remove_step(fl_model **smaller, pipeline *p, double step)
{
    const fl_hqp_options *o = p->options;
    const fl_slim_options slim = {
        .importance = o->importance,
        .data = {.dataset = o->tune.dataset,
                 .rows = o->tune.rows,
                 .row_count = rows_of(p, o->importance_count),
                 .stop = o->tune.train.stop},
        .choosing = {.cost = o->cost,
                     .remove = share_to_remove(p, step),
                     .multiple = o->multiple,
                     .keep_min = o->keep_min},
    };
    *smaller = NULL;
    return stop_or(
        p, fl_slim_model(smaller, NULL, model_at(p, p->last), &slim, p->why));
}

typedef enum { STEP_ACCEPTED, STEP_REFUSED, STEP_IMPOSSIBLE } step_outcome;

static fl_err prune_step(step_outcome *outcome, pipeline *p, double share)
{
    fl_model *smaller;
    fl_metrics after;
    fl_hqp_step step = {0};
    *outcome = STEP_IMPOSSIBLE;
    FL_TRY(remove_step(&smaller, p, share));
    if (!smaller) return FL_OK;
    FL_TRY(recover(&smaller, &step, &after, p, p->options->step_epochs));
    if (!smaller) return FL_OK;

    const bool is_accepted = is_good(p, &after);
    *outcome = is_accepted ? STEP_ACCEPTED : STEP_REFUSED;
    snprintf(step.name, sizeof step.name, "prune %u", p->last + 1);
    report(p, &step, smaller, &after, verdict_of(is_accepted));
    if (is_accepted) {
        p->models[++p->last] = (accepted){smaller, after};
    } else {
        fl_model_free(smaller);
    }
    return FL_OK;
}

static fl_err prune(pipeline *p)
{
    double share = p->options->step;
    bool is_halved = false;
    while (p->last < FL_HQP_STEPS_MAX && !is_at_target(p)) {
        step_outcome outcome;
        FL_TRY(prune_step(&outcome, p, share));
        if (outcome == STEP_IMPOSSIBLE) return FL_OK;
        if (outcome == STEP_ACCEPTED) continue;
        if (is_halved) return FL_OK;
        share /= 2.0;
        is_halved = true;
    }
    return FL_OK;
}

/* ---- recovering for longer ---- */

// In the place of the model at `at`, unless that is better as it is.
static fl_err tune_longer(pipeline *p, uint32_t at)
{
    accepted *from = &p->models[at];
    const uint32_t epochs = p->options->final_epochs;
    fl_hqp_step step = {.name = "recover"};
    fl_model *tuned = NULL;
    fl_metrics after;
    if (epochs == 0 || at == 0 || p->is_stopped) return FL_OK;
    FL_TRY(fl_slim_copy(&tuned, from->made, p->why));
    FL_TRY(recover(&tuned, &step, &after, p, epochs));
    if (!tuned) return FL_OK;

    const bool is_better = after.correct_count >= from->metrics.correct_count;
    report(p, &step, tuned, &after, verdict_of(is_better));
    fl_model_free(is_better ? from->made : tuned);
    if (is_better) *from = (accepted){tuned, after};
    return FL_OK;
}

/* ---- INT8 ---- */

static const char *const CALIBRATIONS[] = {"minmax", "percentile", "entropy"};
enum { CALIBRATION_COUNT = sizeof CALIBRATIONS / sizeof *CALIBRATIONS };

// Takes `quantized`; it is the result's when the guard lets it through.
static fl_err judge_int8(fl_hqp_result *result, fl_int8_model *quantized,
                         const char *how, const pipeline *p, uint32_t at)
{
    const fl_hqp_options *o = p->options;
    fl_hqp_step step = {.before = accuracy_of(&p->models[at].metrics)};
    fl_metrics after;
    const fl_err err =
        fl_int8_evaluate(&after, quantized, BATCH, o->tune.dataset,
                         o->guard_rows, o->guard_count, p->why);
    const bool is_accepted = !err && is_good(p, &after);
    if (!err) {
        snprintf(step.name, sizeof step.name, "INT8 %s", how);
        report(p, &step, model_at(p, at), &after, verdict_of(is_accepted));
    }
    if (is_accepted) {
        result->quantized = quantized;
        result->int8_metrics = after;
    } else {
        fl_int8_free(quantized);
    }
    return err;
}

static fl_err quantize(fl_hqp_result *result, fl_calibrate calibrate,
                       const pipeline *p, uint32_t at)
{
    const fl_hqp_options *o = p->options;
    fl_int8_options options = o->int8;
    fl_int8_model *quantized = NULL;
    options.calibrate = calibrate;
    FL_TRY(fl_int8_quantize(&quantized, model_at(p, at), o->tune.dataset,
                            o->tune.rows, rows_of(p, o->calibrate_count),
                            &options, p->why));
    return judge_int8(result, quantized, CALIBRATIONS[calibrate], p, at);
}

/* ---- training in INT8 ---- */

static fl_err prepare(fl_model **prepared, const pipeline *p, uint32_t at)
{
    const fl_hqp_options *o = p->options;
    const fl_model *model = model_at(p, at);
    size_t range_count;
    FL_TRY(fl_int8_range_count(&range_count, model, p->why));
    fl_range *ranges = malloc((range_count + 1) * sizeof *ranges);
    if (!ranges) {
        return fl_reason_set(p->why, FL_ERR_MEMORY, "no memory for %zu ranges",
                             range_count);
    }
    fl_err err = fl_int8_calibrate(ranges, range_count, model, o->tune.dataset,
                                   o->tune.rows, rows_of(p, o->calibrate_count),
                                   &o->int8, p->why);
    if (!err) {
        err = fl_qat_prepare(prepared, model, ranges, range_count,
                             o->int8.is_symmetric, p->why);
    }
    free(ranges);
    return err;
}

static fl_err train_int8(fl_hqp_result *result, pipeline *p, uint32_t at)
{
    const uint32_t epochs = p->options->qat_epochs;
    fl_model *prepared = NULL;
    fl_int8_model *quantized = NULL;
    if (epochs == 0 || p->is_stopped) return FL_OK;
    FL_TRY(prepare(&prepared, p, at));
    fl_err err = fl_tune_model(prepared, &p->options->tune, epochs, p->why);
    if (!err) err = fl_qat_finish(&quantized, prepared, p->why);
    fl_model_free(prepared);
    if (err) return stop_or(p, err);
    return judge_int8(result, quantized, "trained", p, at);
}

/* ---- the end ---- */

// The model at `at`, trained for longer, in INT8; the best calibration first.
static fl_err finish_at(fl_hqp_result *result, pipeline *p, uint32_t at)
{
    FL_TRY(tune_longer(p, at));
    for (unsigned i = 0; i < CALIBRATION_COUNT && !result->quantized; i++) {
        const unsigned how = p->options->int8.calibrate + i;
        FL_TRY(
            quantize(result, (fl_calibrate)(how % CALIBRATION_COUNT), p, at));
    }
    return result->quantized ? FL_OK : train_int8(result, p, at);
}

static fl_err take(fl_hqp_result *result, pipeline *p, uint32_t at)
{
    accepted *from = &p->models[at];
    result->step_count = at;
    result->reference = p->models[0].metrics;
    result->metrics = from->metrics;
    if (at == 0) return fl_slim_copy(&result->model, p->dense, p->why);
    result->model = from->made;
    from->made = NULL;
    return FL_OK;
}

static fl_err finish(fl_hqp_result *result, pipeline *p)
{
    uint32_t at = p->last;
    FL_TRY(finish_at(result, p, at));
    while (!result->quantized && at > 0 && !p->is_stopped) {
        FL_TRY(finish_at(result, p, --at));
    }
    // When not even the dense one is good in INT8, pruning is not why.
    return take(result, p, result->quantized ? at : p->last);
}

/* ---- arguments ---- */

static fl_err check_share(const char *name, double share, fl_reason *why)
{
    if (share >= 0.0 && share < 1.0) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "%s is %g, it must be 0 or more and below 1", name,
                         share);
}

static fl_err check(const fl_hqp_options *o, const fl_model *dense,
                    fl_reason *why)
{
    size_t range_count;
    FL_TRY(check_share("target", o->target, why));
    FL_TRY(check_share("step", o->step, why));
    if (o->step <= 0.0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "step is %g, it must be above 0: a step that "
                             "removes nothing never ends",
                             o->step);
    }
    if (!(o->max_drop >= 0.0 && o->max_drop <= 100.0)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "max_drop is %g, it must be 0 to 100 points",
                             o->max_drop);
    }
    if (o->guard_count == 0 || o->tune.row_count == 0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "there are %zu rows to learn from and %zu for the "
                             "guard; both need some",
                             o->tune.row_count, o->guard_count);
    }
    return fl_int8_range_count(&range_count, dense, why);
}

/* ---- all of it ---- */

static fl_err run(fl_hqp_result *result, pipeline *p)
{
    fl_hqp_step step = {.name = "dense"};
    fl_metrics *reference = &p->models[0].metrics;
    FL_TRY(measure(reference, p->dense, p));
    step.before = accuracy_of(reference);
    report(p, &step, p->dense, reference, FL_HQP_MEASURED);
    FL_TRY(prune(p));
    return finish(result, p);
}

fl_err fl_hqp_run(fl_hqp_result *result, const fl_model *dense,
                  const fl_hqp_options *options, fl_reason *why)
{
    pipeline p = {.options = options, .dense = dense, .why = why};
    *result = (fl_hqp_result){0};
    FL_TRY(check(options, dense, why));
    const fl_err err = run(result, &p);
    for (uint32_t i = 0; i <= p.last; i++) {
        fl_model_free(p.models[i].made);
    }
    if (err) fl_hqp_fini(result);
    if (err || !p.is_stopped) return err;
    return fl_reason_set(why, FL_ERR_CANCELLED, "stopped on request");
}

void fl_hqp_fini(fl_hqp_result *result)
{
    fl_model_free(result->model);
    fl_int8_free(result->quantized);
    *result = (fl_hqp_result){0};
}
