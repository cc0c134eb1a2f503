/*
 * Weights and biases in 8 and 32 bits, one scale an output channel.
 *
 * A channel's scale is absmax / 127, so that its largest weight is +-127, and
 * larger where 32 bits would not hold what is added up: bias and products are
 * each kept below 2^30. That happens in channels that are all but 0, where
 * a scale made of their weights would blow up the bias, and in sums of very
 * many products.
 *
 * The functions of one channel are pure and allocate nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_QUANTIZE_H
#define FL_MODEL_INT8_QUANTIZE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/int8/int8.h"

/*
 * The scale of a channel whose inputs have scale x_scale. Infinite when no
 * float32 is large enough.
 */
float fl_quantize_scale(const float *weights, size_t count, float bias,
                        float x_scale);

/* dst = weights / scale, rounded half to even, within -127..127. */
void fl_quantize_weights(int8_t *dst, const float *weights, size_t count,
                         float scale);

/*
 * The weights of a CONV or DENSE with x_scale as its 8 bits have them, in
 * float32: dst[0..weight_count).
 */
void fl_quantize_round(float *dst, const fl_node *node, const float *params);

/* bias / scale, rounded half to even; scale: x_scale times the channel's. */
int32_t fl_quantize_bias(double bias, float scale);

/*
 * A folded model in 8 bits, with the quantisation of each of its values.
 * *quantized as fl_int8_quantize has it. FL_ERR_RANGE: a parameter is no
 * number, or too large for 8 bits. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_quantize_folded(fl_int8_model **quantized,
                                   const fl_model *folded,
                                   const fl_quant *values, fl_reason *why);

/* The same with layers in other precisions, one a node; NULL: all INT8. */
FL_CHECK fl_err fl_quantize_mixed(fl_int8_model **quantized,
                                  const fl_model *folded,
                                  const fl_quant *values,
                                  const fl_precision *precisions,
                                  fl_reason *why);

#endif
