/*
 * A quantised model: a graph whose layers compute with 8-bit numbers.
 *
 *   real = scale * (q - zero_point),  q of a value 0 to 255,
 *                                     q of a weight -127 to 127, zero point 0
 *
 * A layer adds up products of 8-bit numbers in 32 bits, exactly, and brings
 * the sum back to 8 bits by one rule on every machine:
 *
 *   sum  = bias + sum of (x - x.zero_point) * weight              (int32)
 *   y    = round_half_even((float)sum * factor) + y.zero_point,
 *          clamped to 0..255;  factor = (x.scale * weight_scale) / y.scale,
 *          each operation once in float32, in this order
 *
 * so all sets of kernels give the same bits (Jacob et al. 2018, equation 4,
 * with the multiplier in float32, as XNNPACK and ONNX Runtime have it).
 *
 * Layers may be left in float32 (`precisions`): they read bytes, compute with
 * floats, and what they make becomes bytes by the rule of the first
 * quantisation. Between two of them, with nothing but activations, pools and
 * FLATTEN on the way, values are float32.
 *
 * The graph has no BATCHNORM and no DROPOUT: they are folded away. A value
 * whose scale is 0 is float32: the input, what is computed in front of the
 * first quantised value (SUB and DIV), and the logits, where a sum becomes
 * (float)sum * (x.scale * weight_scale), and all of an L2NORM at the end.
 *
 * A value that only its activation reads (CONV, DENSE, ADD or MUL, then RELU
 * or RELU6) has the quantisation of the activation's value: clamping is all
 * that is left to do. POOLs, FLATTEN, SLICE and SHUFFLE keep the quantisation
 * of their input; CONCAT's inputs all have that of its output.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_INT8_H
#define FL_MODEL_INT8_INT8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/graph.h"
#include "model/model.h"

typedef struct {
    float scale;  // 0: the value is float32
    uint8_t zero_point;
} fl_quant;

struct fl_int8_model {
    fl_graph graph;
    fl_quant *values;      // one a node: of the value that it makes
    int8_t *weights;       // graph.param_count; a node's at its weight_at
    uint32_t *channel_at;  // one a node: CONV, DENSE: index of its first
                           // output channel in the two below
    int32_t *biases;       // channel_count; scale x.scale * weight_scale
    float *weight_scales;  // channel_count
    size_t channel_count;
    fl_precision *precisions;  // one a node, of CONV and DENSE; NULL: all INT8
    float *params;             // (graph.param_count), of layers in float32,
                               // rounded to halves where they are stored so;
                               // NULL: there are none
};

static inline fl_precision fl_int8_precision(const fl_int8_model *model,
                                             uint32_t i)
{
    return model->precisions ? model->precisions[i] : FL_PRECISION_INT8;
}

/* True: CONV or DENSE i computes in float32. */
static inline bool fl_int8_is_float_layer(const fl_int8_model *model,
                                          uint32_t i)
{
    const fl_precision precision = fl_int8_precision(model, i);
    return precision == FL_PRECISION_FLOAT16 ||
           precision == FL_PRECISION_FLOAT32;
}

#endif
