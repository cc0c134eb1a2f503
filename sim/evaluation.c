/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/evaluation.h"

#include <stdlib.h>

enum { BLOCKS = 8, BATCH = 100 };

typedef struct {
    fl_job job;  // first: the pool hands this address back
    fl_trainer *trainer;
    const fl_dataset *dataset;
    const float *params;
    const uint32_t *rows;
    size_t row_count;
    fl_metrics metrics;
    fl_err err;
    fl_reason why;
} block;

struct fl_evaluation {
    fl_pool *pool;
    uint32_t *rows;  // 0, 1, 2, ...
    block blocks[BLOCKS];
};

static void measure(fl_job *job)
{
    block *b = (block *)job;
    b->err = fl_trainer_evaluate(b->trainer, &b->metrics, b->params, b->dataset,
                                 b->rows, b->row_count, &b->why);
}

fl_err fl_evaluation_new(fl_evaluation **evaluation, fl_pool *pool,
                         const fl_dataset *dataset, const fl_model *model,
                         fl_reason *why)
{
    const uint32_t count = fl_dataset_row_count(dataset);
    fl_err err = FL_ERR_MEMORY;
    fl_evaluation *new = calloc(1, sizeof *new);
    uint32_t *rows = calloc(count, sizeof *rows);
    if (!new || !rows) {
        free(rows);
        fl_reason_set(why, err, "no memory for %u rows", count);
        goto out;
    }
    new->pool = pool;
    new->rows = rows;
    for (uint32_t i = 0; i < count; i++)
        rows[i] = i;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        const uint32_t first = (uint32_t)((uint64_t)count * i / BLOCKS);
        const uint32_t end = (uint32_t)((uint64_t)count * (i + 1) / BLOCKS);
        new->blocks[i] = (block){.job = {.run = measure},
                                 .dataset = dataset,
                                 .rows = rows + first,
                                 .row_count = end - first};
        err = fl_trainer_new(&new->blocks[i].trainer, model, BATCH, false, why);
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
    for (uint32_t i = 0; i < BLOCKS; i++)
        fl_trainer_free(evaluation->blocks[i].trainer);
    free(evaluation->rows);
    free(evaluation);
}

fl_err fl_evaluation_run(fl_evaluation *evaluation, fl_metrics *metrics,
                         const float *params, fl_reason *why)
{
    fl_err err = FL_OK;
    *metrics = (fl_metrics){0};
    for (uint32_t i = 0; i < BLOCKS; i++) {
        block *b = &evaluation->blocks[i];
        b->params = params;
        if (b->row_count > 0) fl_pool_submit(evaluation->pool, &b->job);
    }
    for (uint32_t i = 0; i < BLOCKS; i++) {
        block *b = &evaluation->blocks[i];
        if (b->row_count == 0) continue;
        fl_pool_wait(evaluation->pool, &b->job);
        metrics->sample_count += b->metrics.sample_count;
        metrics->correct_count += b->metrics.correct_count;
        metrics->loss_sum += b->metrics.loss_sum;
        if (b->err && !err) err = fl_reason_set(why, b->err, "%s", b->why.text);
    }
    return err;
}
