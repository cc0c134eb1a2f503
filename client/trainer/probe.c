/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trainer/probe.h"

enum { BATCH = 16 };

// All of them, if they are so few.
static uint32_t choose(uint32_t rows[FL_PROBE_ROWS_MAX],
                       const fl_local_job *job)
{
    uint32_t count = job->row_count;
    if (count > FL_PROBE_ROWS_MAX) count = FL_PROBE_ROWS_MAX;
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = job->rows[(uint64_t)i * job->row_count / count];
    }
    return count;
}

fl_err fl_probe_measure(fl_metrics *metrics, const float *params,
                        const fl_local_job *job, fl_reason *why)
{
    uint32_t rows[FL_PROBE_ROWS_MAX];
    fl_trainer *trainer = NULL;
    const fl_trainer_options options = {
        .batch_cap = BATCH,
        .thread_count = job->data->thread_count,
        .memory_cap = job->data->memory_cap,
    };
    const uint32_t count = choose(rows, job);
    FL_TRY(fl_trainer_new(&trainer, job->model, &options, why));
    const fl_err err = fl_trainer_evaluate(
        trainer, metrics, params, job->data->dataset, rows, count, why);
    fl_trainer_free(trainer);
    return err;
}
