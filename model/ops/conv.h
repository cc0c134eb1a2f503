/*
 * The two ways to run a convolution; conv.c chooses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_OPS_CONV_H
#define FL_MODEL_OPS_CONV_H

#include "model/ops/op.h"

/* Matrix products, a group at a time: conv_dense.c. */
extern const fl_op fl_conv_dense_op;

/*
 * Channels that do not mix, side by side in vectors: conv_depthwise.c. As
 * many groups as input channels, and no pool behind it.
 */
extern const fl_op fl_conv_depthwise_op;

/* The activation's gradient over `dy`, then the bias's; y: of the same. */
void fl_conv_mask_and_sum(const fl_task *task, float *dy, const float *y,
                          size_t pixels);

#endif
