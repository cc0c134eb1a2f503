/*
 * Calibration: the range of every value, seen while the float model runs over
 * rows of a dataset, and the scale and zero point that follow from it.
 *
 * The first pass finds the smallest and the largest number of every range;
 * percentile and entropy take a second pass for the histograms in between.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_CALIBRATE_H
#define FL_MODEL_INT8_CALIBRATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/int8/folded.h"
#include "model/int8/int8.h"

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

/* values[0..node_count): their ranges' quantisation; float32 has scale 0. */
void fl_calibrate_quants(fl_quant *values, const fl_folded *folded,
                         const fl_range *ranges, bool is_symmetric);

/*
 * Fills ranges[0..range_count). `options` are valid. Errors of
 * fl_folded_watch; FL_ERR_RANGE also as fl_sample_check has it.
 */
FL_CHECK fl_err fl_calibrate_ranges(fl_range *ranges, const fl_folded *folded,
                                    const fl_sample *rows,
                                    const fl_int8_options *options,
                                    fl_reason *why);

/* FL_ERR_RANGE: there is no such calibration or percentile. */
FL_CHECK fl_err fl_calibrate_check(const fl_int8_options *options,
                                   fl_reason *why);

#endif
