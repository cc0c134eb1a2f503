/*
 * Mixed precision: which layer of a model computes with what.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_PRECISION_H
#define FL_MODEL_INT8_PRECISION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/int8/int8.h"
#include "model/int8/sharing.h"

/*
 * Makes *precisions, one a node, from the lists of `options`; NULL when they
 * name no layer. The caller frees it. FL_ERR_NOT_FOUND: a name fits no CONV
 * or DENSE. FL_ERR_RANGE: a layer is in two lists. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_precision_choose(fl_precision **precisions,
                                    const fl_graph *graph,
                                    const fl_int8_options *options,
                                    fl_reason *why);

/* fl_sharing_find for a graph with such precisions; NULL: all INT8. */
FL_CHECK fl_err fl_precision_share(fl_sharing *sharing, const fl_graph *graph,
                                   const fl_precision *precisions,
                                   fl_reason *why);

/*
 * Weights -7 to 7: the scale with the smallest sum of squared errors of 16
 * that cut off more and more, and no smaller than `least`.
 */
float fl_precision_nibble_scale(const float *weights, size_t count,
                                float least);

/* dst = weights / scale, rounded half to even, within -7..7. */
void fl_precision_nibbles(int8_t *dst, const float *weights, size_t count,
                          float scale);

/* Are they all within -7..7? */
bool fl_precision_are_nibbles(const int8_t *weights, size_t count);

#endif
