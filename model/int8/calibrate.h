/*
 * Calibration: the range of every value, seen while the float model runs over
 * rows of a dataset, and the scale and zero point that follow from it.
 *
 * The first pass finds the smallest and the largest number of every group of
 * values that share a quantisation; percentile and entropy take a second pass
 * for the histograms in between.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_CALIBRATE_H
#define FL_MODEL_INT8_CALIBRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/int8/histogram.h"
#include "model/int8/int8.h"
#include "model/int8/sharing.h"

/*
 * No scale of a value or a weight is smaller, so that the product of two is
 * a normal number. What is smaller still counts as 0.
 */
#define FL_CALIBRATE_SCALE_MIN 0x1p-60F

/*
 * The quantisation of a range, with 0 exact: 0 to 255 from low to high, or
 * 1 to 255 around 128. A range of nothing but 0 has scale 1/255.
 */
fl_quant fl_calibrate_quant(fl_range range, bool is_symmetric);

/* What to look at, and how. Borrowed; rows exist and fit, at least one. */
typedef struct {
    const fl_dataset *dataset;
    const uint32_t *rows;
    size_t row_count;
    const fl_int8_options *options;  // valid
} fl_calibration;

/*
 * Fills values[0..node_count) for a folded model, with scale 0 for what stays
 * float32.
 * FL_ERR_RANGE: a value is NaN or infinite (*why names the node).
 * FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_calibrate_values(fl_quant *values, const fl_model *folded,
                                    const fl_sharing *sharing,
                                    const fl_calibration *by, fl_reason *why);

#endif
