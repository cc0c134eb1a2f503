/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/evaluation.h"

#include <stdlib.h>

#include "compress/compress.h"

enum { BLOCKS = 16, BATCH = 16 };

typedef struct {
    uint32_t first, count;  // rows
    fl_metrics metrics;
    fl_err err;
    fl_reason why;
} block;

// Worker w of n measures blocks w, w + n, w + 2n, ...
typedef struct {
    fl_job job;  // first: the pool hands this address back
    struct fl_evaluation *evaluation;
    fl_trainer *trainer;  // these two: NULL but while they measure
    fl_runner *runner;    // an INT8 form
    unsigned number;
} worker;

struct fl_evaluation {
    fl_pool *pool;
    const fl_dataset *dataset;
    const float *params;
    uint32_t *rows;  // 0, 1, 2, ...
    block blocks[BLOCKS];
    worker *workers;
    unsigned worker_count;
};

static fl_err measure_block(worker *w, block *b)
{
    const fl_evaluation *evaluation = w->evaluation;
    const uint32_t *rows = evaluation->rows + b->first;
    if (w->runner) {
        return fl_runner_evaluate(w->runner, &b->metrics, evaluation->dataset,
                                  rows, b->count, &b->why);
    }
    return fl_trainer_evaluate(w->trainer, &b->metrics, evaluation->params,
                               evaluation->dataset, rows, b->count, &b->why);
}

static void measure(fl_job *job)
{
    worker *w = (worker *)(void *)job;
    fl_evaluation *evaluation = w->evaluation;
    for (unsigned i = w->number; i < BLOCKS; i += evaluation->worker_count) {
        block *b = &evaluation->blocks[i];
        if (b->count == 0) continue;
        b->err = measure_block(w, b);
    }
}

static void cut_blocks(fl_evaluation *evaluation, uint32_t row_count)
{
    for (uint32_t i = 0; i < row_count; i++) {
        evaluation->rows[i] = i;
    }
    for (uint32_t i = 0; i < BLOCKS; i++) {
        block *b = &evaluation->blocks[i];
        b->first = (uint32_t)((uint64_t)row_count * i / BLOCKS);
        b->count =
            (uint32_t)((uint64_t)row_count * (i + 1) / BLOCKS) - b->first;
    }
}

static fl_err check_fit(const fl_dataset *dataset, const fl_model *model,
                        fl_reason *why)
{
    const fl_shape rows = fl_dataset_shape(dataset);
    const fl_shape input = fl_model_input(model);
    if (rows.height != input.height || rows.width != input.width ||
        rows.channels != input.channels) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the model takes %ux%ux%u values, the held-out "
                             "rows have %ux%ux%u",
                             input.height, input.width, input.channels,
                             rows.height, rows.width, rows.channels);
    }
    if (fl_dataset_class_count(dataset) > fl_model_class_count(model)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the model knows %u classes, the held-out rows "
                             "have %u",
                             fl_model_class_count(model),
                             fl_dataset_class_count(dataset));
    }
    return FL_OK;
}

/* ---- begin and end ---- */

fl_err fl_evaluation_new(fl_evaluation **evaluation, fl_pool *pool,
                         unsigned worker_count, const fl_dataset *dataset,
                         const fl_model *model, fl_reason *why)
{
    FL_TRY(check_fit(dataset, model, why));
    const uint32_t row_count = fl_dataset_row_count(dataset);
    if (worker_count < 1) worker_count = 1;
    if (worker_count > BLOCKS) worker_count = BLOCKS;
    fl_err err = FL_ERR_MEMORY;
    fl_evaluation *new = calloc(1, sizeof *new);
    if (!new) return fl_reason_set(why, err, "no memory to evaluate");
    new->pool = pool;
    new->dataset = dataset;
    new->rows = calloc(row_count, sizeof *new->rows);
    new->workers = calloc(worker_count, sizeof *new->workers);
    if (!new->rows || !new->workers) {
        fl_reason_set(why, err, "no memory to evaluate %u rows", row_count);
        goto out;
    }
    cut_blocks(new, row_count);
    new->worker_count = worker_count;
    for (unsigned i = 0; i < worker_count; i++) {
        new->workers[i] =
            (worker){.job = {.run = measure}, .evaluation = new, .number = i};
    }
    *evaluation = new;
    return FL_OK;

out:
    fl_evaluation_free(new);
    return err;
}

void fl_evaluation_free(fl_evaluation *evaluation)
{
    if (!evaluation) return;
    free(evaluation->workers);
    free(evaluation->rows);
    free(evaluation);
}

/* ---- measure ---- */

static fl_err run(fl_evaluation *evaluation, fl_metrics *metrics,
                  fl_reason *why)
{
    for (unsigned i = 0; i < evaluation->worker_count; i++) {
        fl_pool_submit(evaluation->pool, &evaluation->workers[i].job);
    }
    for (unsigned i = 0; i < evaluation->worker_count; i++) {
        fl_pool_wait(evaluation->pool, &evaluation->workers[i].job);
    }

    *metrics = (fl_metrics){0};
    for (unsigned i = 0; i < BLOCKS; i++) {
        const block *b = &evaluation->blocks[i];
        if (b->err) return fl_reason_set(why, b->err, "%s", b->why.text);
        metrics->sample_count += b->metrics.sample_count;
        metrics->correct_count += b->metrics.correct_count;
        metrics->loss_sum += b->metrics.loss_sum;
    }
    return FL_OK;
}

// What measures takes memory, so it is gone between two models.
static fl_err make_trainers(fl_evaluation *evaluation, const fl_model *model,
                            fl_reason *why)
{
    for (unsigned i = 0; i < evaluation->worker_count; i++) {
        FL_TRY(fl_trainer_new(&evaluation->workers[i].trainer, model,
                              &(fl_trainer_options){.batch_cap = BATCH}, why));
    }
    return FL_OK;
}

fl_err fl_evaluation_run(fl_evaluation *evaluation, fl_metrics *metrics,
                         const fl_model *model, fl_reason *why)
{
    FL_TRY(check_fit(evaluation->dataset, model, why));
    evaluation->params = fl_model_get_params(model);
    fl_err err = make_trainers(evaluation, model, why);
    if (!err) err = run(evaluation, metrics, why);
    for (unsigned i = 0; i < evaluation->worker_count; i++) {
        fl_trainer_free(evaluation->workers[i].trainer);
        evaluation->workers[i].trainer = NULL;
    }
    return err;
}

/* ---- INT8 ---- */

static fl_err make_runners(fl_evaluation *evaluation,
                           const fl_int8_model *quantized, fl_reason *why)
{
    for (unsigned i = 0; i < evaluation->worker_count; i++) {
        FL_TRY(fl_runner_new_int8(&evaluation->workers[i].runner, quantized,
                                  BATCH, why));
    }
    return FL_OK;
}

fl_err fl_evaluation_run_int8(fl_evaluation *evaluation, fl_metrics *metrics,
                              const fl_model *model, const uint8_t *ranges,
                              size_t ranges_len, fl_reason *why)
{
    fl_int8_model *quantized = NULL;
    FL_TRY(check_fit(evaluation->dataset, model, why));
    FL_TRY(fl_ranges_quantize(&quantized, model, ranges, ranges_len, why));
    fl_err err = make_runners(evaluation, quantized, why);
    if (!err) err = run(evaluation, metrics, why);
    for (unsigned i = 0; i < evaluation->worker_count; i++) {
        fl_runner_free(evaluation->workers[i].runner);
        evaluation->workers[i].runner = NULL;
    }
    fl_int8_free(quantized);
    return err;
}
