/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/plans.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "compress/model/hqp.h"
#include "compress/model/slim.h"
#include "compress/pruning.h"

enum {
    BATCH = 64,       // of measuring accuracy
    WARM_UP = 20,     // calls before the time counts
    CALLS = 301,      // calls whose median counts, at most
    CALLS_MS = 2000,  // that they may take in all
    MULTIPLE = 8,     // channels are kept in multiples of it
};

static const double ENERGY = 0.9;     // of the singular values that stay
static const double HQP_STEP = 0.15;  // share of the parameters, each step

typedef struct {
    const fl_plans *plans;
    uint32_t *rows;          // of the training part, shuffled
    fl_calibrate calibrate;  // that was the most accurate
    fl_reason *why;
} trial;

/* ---- measuring ---- */

static int compare_ns(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double median_ms(fl_runner *runner, float *logits, const float *x)
{
    int64_t ns[CALLS] = {0};
    size_t count = 0;
    // One example fits any runner.
    for (int i = 0; i < WARM_UP; i++) {
        (void)!fl_runner_run(runner, logits, x, 1);
    }
    const int64_t end_ns =
        fl_clock_monotonic_ns() + (int64_t)CALLS_MS * 1000000;
    int64_t before_ns = fl_clock_monotonic_ns();
    while (count < CALLS && (count == 0 || before_ns < end_ns)) {
        (void)!fl_runner_run(runner, logits, x, 1);
        const int64_t now_ns = fl_clock_monotonic_ns();
        ns[count++] = now_ns - before_ns;
        before_ns = now_ns;
    }
    qsort(ns, count, sizeof *ns, compare_ns);
    const int64_t median_ns = ns[count / 2];
    return (double)median_ns / 1e6;
}

// Latency on the first test row, and the memory that it takes.
static fl_err measure_speed(const trial *t, fl_advice *advice,
                            const fl_tool_model *model)
{
    const fl_training *training = t->plans->training;
    fl_runner *runner = NULL;
    FL_TRY(fl_tool_runner(&runner, model, 1, t->why));
    float *x = malloc(fl_shape_size(fl_runner_input(runner)) * sizeof *x);
    float *logits = malloc(fl_runner_class_count(runner) * sizeof *logits);
    fl_err err = FL_OK;
    if (x && logits) {
        fl_dataset_read(x, training->test, training->rows, 1);
        advice->latency_ms = median_ms(runner, logits, x);
        advice->memory_bytes = fl_runner_bytes(runner);
    } else {
        err = fl_reason_set(t->why, FL_ERR_MEMORY, "no memory for an example");
    }
    free(x);
    free(logits);
    fl_runner_free(runner);
    return err;
}

static fl_err measure_accuracy(const trial *t, fl_advice *advice,
                               const fl_tool_model *model)
{
    const fl_training *training = t->plans->training;
    fl_runner *runner = NULL;
    fl_metrics m;
    FL_TRY(fl_tool_runner(&runner, model, BATCH, t->why));
    const fl_err err =
        fl_runner_evaluate(runner, &m, training->test, training->rows,
                           fl_dataset_row_count(training->test), t->why);
    fl_runner_free(runner);
    if (err) return err;
    advice->accuracy = (double)m.correct_count / (double)m.sample_count;
    return FL_OK;
}

// `model` is what the file's bytes say.
static fl_err tell(const trial *t, fl_advice *advice, const char *name,
                   const fl_tool_model *model, const uint8_t *bytes, size_t len)
{
    *advice = (fl_advice){.file_bytes = len};
    snprintf(advice->name, sizeof advice->name, "%s", name);
    FL_TRY(measure_accuracy(t, advice, model));
    FL_TRY(measure_speed(t, advice, model));
    return t->plans->on_result(t->plans->self, advice, bytes, len);
}

/* ---- what becomes a file ---- */

static fl_err no_memory(const trial *t, size_t len)
{
    return fl_reason_set(t->why, FL_ERR_MEMORY, "no memory for %zu bytes", len);
}

// Storing in fewer bits changes the weights: what is read again is measured.
static fl_err tell_float(const trial *t, const char *name,
                         const fl_model *model, fl_storage storage)
{
    const size_t len = fl_model_bytes_as(model, storage);
    fl_tool_model read = {.file_len = len};
    fl_advice advice;
    uint8_t *bytes = malloc(len);
    if (!bytes) return no_memory(t, len);
    fl_err err = fl_model_encode_as(model, storage, bytes, len, t->why);
    if (!err) err = fl_model_decode(&read.model, bytes, len, t->why);
    if (!err) err = tell(t, &advice, name, &read, bytes, len);
    fl_tool_model_fini(&read);
    free(bytes);
    return err;
}

static fl_err tell_int8(const trial *t, fl_advice *advice, const char *name,
                        const fl_int8_model *quantized)
{
    uint8_t *bytes = NULL;
    size_t len;
    FL_TRY(fl_int8_encode_new(&bytes, &len, quantized, FL_QDQ_PLAIN, t->why));
    fl_tool_model read = {.file_len = len};
    fl_err err = fl_int8_decode(&read.quantized, bytes, len, t->why);
    if (!err) err = tell(t, advice, name, &read, bytes, len);
    fl_tool_model_fini(&read);
    free(bytes);
    return err;
}

static size_t calibrate_count(const trial *t)
{
    const size_t all = fl_dataset_row_count(t->plans->training->train);
    return t->plans->calibrate_count < all ? t->plans->calibrate_count : all;
}

static fl_err quantize(const trial *t, fl_advice *advice, const char *name,
                       const fl_model *model, fl_calibrate calibrate)
{
    const fl_int8_options options = {.calibrate = calibrate};
    fl_int8_model *quantized = NULL;
    FL_TRY(fl_int8_quantize(&quantized, model, t->plans->training->train,
                            t->rows, calibrate_count(t), &options, t->why));
    const fl_err err = tell_int8(t, advice, name, quantized);
    fl_int8_free(quantized);
    return err;
}

/* ---- the plans ---- */

static fl_err try_float32(trial *t)
{
    return tell_float(t, "as it is", t->plans->model, FL_STORAGE_FLOAT32);
}

static fl_err try_float16(trial *t)
{
    return tell_float(t, "float16", t->plans->model, FL_STORAGE_FLOAT16);
}

static fl_err try_weights8(trial *t)
{
    return tell_float(t, "8-bit weights", t->plans->model, FL_STORAGE_WEIGHTS8);
}

static fl_err try_int8(trial *t)
{
    static const char *const names[] = {"INT8 minmax", "INT8 percentile",
                                        "INT8 entropy"};
    double best = -1.0;
    for (unsigned i = 0; i < 3; i++) {
        fl_advice advice;
        FL_TRY(
            quantize(t, &advice, names[i], t->plans->model, (fl_calibrate)i));
        if (advice.accuracy <= best) continue;
        best = advice.accuracy;
        t->calibrate = (fl_calibrate)i;
    }
    return FL_OK;
}

// Trains what is left of a model, and tells of it in float32 and in INT8.
static fl_err recover(const trial *t, const char *name, fl_model *model)
{
    char longer[FL_ADVICE_NAME_CAP];
    fl_advice advice;
    FL_TRY(
        fl_training_run(t->plans->training, model, t->plans->epochs, t->why));
    FL_TRY(tell_float(t, name, model, FL_STORAGE_FLOAT32));
    snprintf(longer, sizeof longer, "%s + INT8", name);
    return quantize(t, &advice, longer, model, t->calibrate);
}

static fl_err prune(const trial *t, const char *name, double share)
{
    const fl_slim_options options = {
        .importance = FL_IMPORTANCE_FISHER,
        .data = {.dataset = t->plans->training->train,
                 .rows = t->rows,
                 .row_count = calibrate_count(t),
                 .stop = &fl_tool_stop},
        .choosing = {.cost = FL_PRUNE_PARAMS,
                     .remove = share,
                     .multiple = MULTIPLE},
    };
    fl_model *smaller = NULL;
    FL_TRY(fl_slim_model(&smaller, NULL, t->plans->model, &options, t->why));
    if (!smaller) {
        return fl_reason_set(t->why, FL_ERR_RANGE, "no channel can go");
    }
    const fl_err err = recover(t, name, smaller);
    fl_model_free(smaller);
    return err;
}

static fl_err try_prune_30(trial *t)
{
    return prune(t, "prune 30 %", 0.3);
}

static fl_err try_prune_50(trial *t)
{
    return prune(t, "prune 50 %", 0.5);
}

static fl_err try_prune_70(trial *t)
{
    return prune(t, "prune 70 %", 0.7);
}

static fl_err try_factorize(trial *t)
{
    const fl_factorize_options options = {.energy = ENERGY};
    fl_model *factored = NULL;
    FL_TRY(fl_model_factorize(&factored, t->plans->model, &options, t->why));
    const fl_err err = recover(t, "factorize", factored);
    fl_model_free(factored);
    return err;
}

static fl_hqp_options hqp_options(const trial *t)
{
    const fl_plans *plans = t->plans;
    fl_hqp_options options = {
        .tune = fl_training_tune(plans->training),
        .guard_rows = t->rows,
        .max_drop = plans->max_drop,
        .step = HQP_STEP,
        .importance = FL_IMPORTANCE_FISHER,
        .importance_count = plans->calibrate_count,
        .cost = FL_PRUNE_PARAMS,
        .multiple = MULTIPLE,
        .step_epochs = plans->epochs,
        .final_epochs = plans->epochs,
        .int8 = {.calibrate = t->calibrate},
        .calibrate_count = plans->calibrate_count,
    };
    options.guard_count =
        fl_pruning_hold_out(&options.tune, t->rows, plans->holdout);
    return options;
}

static fl_err try_hqp(trial *t)
{
    const fl_hqp_options options = hqp_options(t);
    fl_hqp_result result = {0};
    fl_advice advice;
    fl_err err = fl_hqp_run(&result, t->plans->model, &options, t->why);
    if (!err && result.quantized) {
        err = tell_int8(t, &advice, "HQP", result.quantized);
    } else if (!err) {
        err = fl_reason_set(t->why, FL_ERR_RANGE,
                            "no INT8 form stays within %g points",
                            t->plans->max_drop);
    }
    fl_hqp_fini(&result);
    return err;
}

/* ---- the front ---- */

// What one plan means to a model says nothing about the next plan.
static bool is_skipped(fl_err err)
{
    return err == FL_ERR_RANGE || err == FL_ERR_UNSUPPORTED ||
           err == FL_ERR_NOT_FOUND;
}

static fl_err try_one(trial *t, const char *name, fl_err (*plan)(trial *))
{
    const fl_plans *plans = t->plans;
    fl_reason reason = {""}, *why = t->why;
    if (atomic_load(&fl_tool_stop)) {
        return fl_reason_set(why, FL_ERR_CANCELLED, "stopped on request");
    }
    t->why = &reason;
    const fl_err err = plan(t);
    t->why = why;
    fl_progress_finish(&plans->training->progress);
    if (!err) return FL_OK;
    if (!is_skipped(err)) return fl_reason_set(why, err, "%s", reason.text);
    if (plans->on_skip) plans->on_skip(plans->self, name, reason.text);
    return FL_OK;
}

static fl_err try_all(trial *t)
{
    static const struct {
        const char *name;
        fl_err (*plan)(trial *);
    } all[] = {
        {"float16", try_float16},     {"8-bit weights", try_weights8},
        {"INT8", try_int8},           {"prune 30 %", try_prune_30},
        {"prune 50 %", try_prune_50}, {"prune 70 %", try_prune_70},
        {"factorize", try_factorize}, {"HQP", try_hqp},
    };
    FL_TRY(try_float32(t));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        FL_TRY(try_one(t, all[i].name, all[i].plan));
    }
    return FL_OK;
}

fl_err fl_plans_try(const fl_plans *plans, fl_reason *why)
{
    const uint32_t count = fl_dataset_row_count(plans->training->train);
    trial t = {.plans = plans, .why = why};
    fl_random random;
    t.rows = fl_tool_rows(count);
    if (!t.rows) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for the rows");
    }
    fl_random_init(&random, plans->training->tool->seed, FL_RANDOM_SHUFFLE, 0);
    fl_random_shuffle(&random, t.rows, count);
    const fl_err err = try_all(&t);
    free(t.rows);
    return err;
}
