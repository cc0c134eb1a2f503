/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trainer/probe.h"

// As many rows as memory allows.
static fl_err make_trainer(fl_trainer **trainer, const fl_local_job *job,
                           fl_reason *why)
{
    fl_trainer_options options = {
        .batch_cap = 16,
        .thread_count = job->data->thread_count,
        .memory_cap = job->data->memory_cap,
    };
    const fl_err err = fl_trainer_new(trainer, job->model, &options, why);
    if (err != FL_ERR_LIMIT) return err;
    options.batch_cap = 1;
    return fl_trainer_new(trainer, job->model, &options, why);
}

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
    const uint32_t count = choose(rows, job);
    FL_TRY(make_trainer(&trainer, job, why));
    const fl_err err = fl_trainer_evaluate(
        trainer, metrics, params, job->data->dataset, rows, count, why);
    fl_trainer_free(trainer);
    return err;
}
