/*
 * The INT8 form of a model on a board: made of the model and its ranges, and
 * measured on rows of the board's own.
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

/*
 * Everybody makes the same one. The caller owns *form: fl_int8_free.
 * FL_ERR_FORMAT: the ranges are malformed, or those of another model.
 * FL_ERR_UNSUPPORTED: an operator has no integer form. FL_ERR_RANGE,
 * FL_ERR_MEMORY: as of fl_int8_quantize_ranges.
 */
FL_CHECK fl_err fl_form_make(fl_int8_model **form, const fl_model *model,
                             const uint8_t *ranges, size_t ranges_len,
                             fl_reason *why);

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
