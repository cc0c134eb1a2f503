/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/evaluation.h"

#include <stdlib.h>

enum { BLOCKS = 16, BATCH = 32 };

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
    fl_trainer *trainer;
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

static void measure(fl_job *job)
{
    worker *w = (worker *)(void *)job;
    fl_evaluation *evaluation = w->evaluation;
    for (unsigned i = w->number; i < BLOCKS; i += evaluation->worker_count) {
        block *b = &evaluation->blocks[i];
        if (b->count == 0) continue;
        b->err = fl_trainer_evaluate(
            w->trainer, &b->metrics, evaluation->params, evaluation->dataset,
            evaluation->rows + b->first, b->count, &b->why);
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
    for (; new->worker_count < worker_count; new->worker_count++) {
        worker *w = &new->workers[new->worker_count];
        *w = (worker){.job = {.run = measure},
                      .evaluation = new,
                      .number = new->worker_count};
        err = fl_trainer_new(&w->trainer, model,
                             &(fl_trainer_options){.batch_cap = BATCH}, why);
        if (err) goto out;
    }
    *evaluation = new;
    new = NULL;

out:
    fl_evaluation_free(new);
    return err;
}

void fl_evaluation_free(fl_evaluation *evaluation)
{
    if (!evaluation) return;
    for (unsigned i = 0; i < evaluation->worker_count; i++) {
        fl_trainer_free(evaluation->workers[i].trainer);
    }
    free(evaluation->workers);
    free(evaluation->rows);
    free(evaluation);
}

fl_err fl_evaluation_run(fl_evaluation *evaluation, fl_metrics *metrics,
                         const float *params, fl_reason *why)
{
    evaluation->params = params;
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
