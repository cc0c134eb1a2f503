/*
 * How often which numbers occurred, and the range that represents them best
 * with 8 bits.
 *
 * Numbers that are exactly 0 are not counted: every range contains 0 and
 * represents it exactly, so they have no say in which range is chosen (behind
 * a ReLU they are half of all and would drown the others).
 *
 * Entropy: the range whose 256 levels lose the least information, measured by
 * the Kullback-Leibler divergence between the histogram cut to the range and
 * the same at 256 levels (Migacz, "8-bit inference with TensorRT", GTC 2017).
 * Migacz cuts one end; here the upper end is moved first, then the lower one,
 * or both alike when the range is symmetric.
 *
 * The divergence counts what is cut off, but not how far away it was, and of
 * few or uneven numbers it mostly sees the gaps between them: alone, it cuts
 * off what a network of depthwise convolutions lives on. So a range stands for
 * election only if numbers are no further off in it, on average, than in the
 * whole one: by rounding, a quarter of a level, or all of what becomes 0; by
 * cutting, the way to the end.
 * (Banner et al., "Post training 4-bit quantization of convolutional networks
 * for rapid-deployment", NeurIPS 2019, weigh the two by their squares; with
 * those, one outlier may keep the range open for all.)
 *
 * Pure functions, no allocation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_HISTOGRAM_H
#define FL_MODEL_INT8_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

enum { FL_HISTOGRAM_BINS = 2048 };

typedef struct {
    fl_range range;
    uint64_t counts[FL_HISTOGRAM_BINS];  // of equal parts of the range
} fl_histogram;

/* Empty, over a range that has been seen. */
void fl_histogram_init(fl_histogram *histogram, fl_range range);

/* x[0..count) are finite; what lies outside counts for the nearest bin. */
void fl_histogram_add(fl_histogram *histogram, const float *x, size_t count);

/*
 * The range that holds `percentile` percent (above 0, to 100) of the numbers:
 * half of the others, at the most, lie below it and half above.
 */
fl_range fl_histogram_percentile(const fl_histogram *histogram,
                                 double percentile);

/* is_symmetric: the histogram's range is, and so shall be the result. */
fl_range fl_histogram_entropy(const fl_histogram *histogram, bool is_symmetric);

#endif
