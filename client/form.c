/* SPDX-License-Identifier: Apache-2.0 */
#include "client/form.h"

enum {
    BATCH = 32,
    STRETCH = 16 * BATCH,  // rows between two looks at the stop flag
};

static fl_err evaluate(fl_metrics *metrics, fl_runner *runner,
                       const fl_form_rows *rows, fl_reason *why)
{
    *metrics = (fl_metrics){.sample_count = 0};
    for (uint32_t at = 0; at < rows->row_count; at += STRETCH) {
        if (rows->stop && atomic_load(rows->stop)) {
            return fl_reason_set(why, FL_ERR_CANCELLED, "stopped on request");
        }
        const uint32_t left = rows->row_count - at;
        fl_metrics part;
        FL_TRY(fl_runner_evaluate(runner, &part, rows->dataset, rows->rows + at,
                                  left < STRETCH ? left : STRETCH, why));
        metrics->sample_count += part.sample_count;
        metrics->correct_count += part.correct_count;
        metrics->loss_sum += part.loss_sum;
    }
    return FL_OK;
}

fl_err fl_form_measure(fl_metrics *metrics, const fl_int8_model *form,
                       const fl_form_rows *rows, fl_reason *why)
{
    fl_runner *runner = NULL;
    FL_TRY(fl_runner_new_int8(&runner, form, BATCH, why));
    const fl_err err = evaluate(metrics, runner, rows, why);
    fl_runner_free(runner);
    return err;
}

fl_err fl_form_measure_float(fl_metrics *metrics, const fl_model *model,
                             const fl_form_rows *rows, fl_reason *why)
{
    fl_runner *runner = NULL;
    FL_TRY(fl_runner_new(&runner, model, BATCH, why));
    const fl_err err = evaluate(metrics, runner, rows, why);
    fl_runner_free(runner);
    return err;
}
