/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/forms.h"

#include <stdlib.h>

#include "compress/compress.h"

enum { RUNS = 300 };

// Takes the runner.
static fl_err measure(double *us, fl_runner *runner, fl_reason *why)
{
    double ns = 0.0;
    const fl_err err = fl_latency_runner(&ns, runner, RUNS, why);
    fl_runner_free(runner);
    *us = ns * 1e-3;
    return err;
}

static fl_err measure_float(double *us, const fl_model *model, fl_reason *why)
{
    fl_runner *runner = NULL;
    FL_TRY(fl_runner_new(&runner, model, 1, why));
    return measure(us, runner, why);
}

static fl_err measure_file(double *us, const uint8_t *bytes, size_t len,
                           fl_reason *why)
{
    fl_model *model = NULL;
    FL_TRY(fl_model_decode(&model, bytes, len, why));
    const fl_err err = measure_float(us, model, why);
    fl_model_free(model);
    return err;
}

static fl_err measure_int8(double *us, const uint8_t *bytes, size_t len,
                           fl_reason *why)
{
    fl_int8_model *quantized = NULL;
    fl_runner *runner = NULL;
    FL_TRY(fl_int8_decode(&quantized, bytes, len, why));
    fl_err err = fl_runner_new_int8(&runner, quantized, 1, why);
    if (!err) err = measure(us, runner, why);
    fl_int8_free(quantized);
    return err;
}

static fl_err measure_quantized(fl_totals_forms *forms, const uint8_t *model,
                                size_t model_len, const uint8_t *ranges,
                                size_t ranges_len, fl_reason *why)
{
    uint8_t *bytes = NULL;
    FL_TRY(fl_export_int8(&bytes, &forms->int8_bytes, model, model_len, ranges,
                          ranges_len, why));
    const fl_err err =
        measure_int8(&forms->int8_us, bytes, forms->int8_bytes, why);
    free(bytes);
    return err;
}

fl_err fl_forms_measure(fl_totals_forms *forms, const fl_model *dense,
                        const uint8_t *model, size_t model_len,
                        const uint8_t *ranges, size_t ranges_len,
                        fl_reason *why)
{
    *forms = (fl_totals_forms){0};
    FL_TRY(measure_float(&forms->dense_us, dense, why));
    FL_TRY(measure_file(&forms->pruned_us, model, model_len, why));
    if (!ranges) return FL_OK;
    return measure_quantized(forms, model, model_len, ranges, ranges_len, why);
}
