/*
 * Measuring a model, or its INT8 form, on rows of the board's own.
 *
 * Private to client/. Pure functions, for any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_FORM_H
#define FL_CLIENT_FORM_H

#include <stdatomic.h>

#include "base/err.h"
#include "base/reason.h"
#include "compress/compress.h"
#include "model/model.h"

/* Where a model is measured; borrowed. */
typedef struct {
    const fl_dataset *dataset;
    const uint32_t *rows;
    uint32_t row_count;
    const atomic_bool *stop;  // or NULL
} fl_form_rows;

/*
 * Errors of fl_runner_new and fl_runner_evaluate; FL_ERR_CANCELLED: *stop was
 * set.
 */
FL_CHECK fl_err fl_form_measure(fl_metrics *metrics, const fl_int8_model *form,
                                const fl_form_rows *rows, fl_reason *why);
FL_CHECK fl_err fl_form_measure_float(fl_metrics *metrics,
                                      const fl_model *model,
                                      const fl_form_rows *rows, fl_reason *why);

#endif
