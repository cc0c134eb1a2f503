/*
 * A quantised model run by the definition in model/int8/int8.h: one number at
 * a time, one node after the other, nothing fused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_NAIVE_INT8_H
#define FL_TESTS_SUPPORT_NAIVE_INT8_H

#include "base/random.h"
#include "model/int8/int8.h"

/* logits of x (count, H, W, C). */
void naive_int8_run(float *logits, const fl_int8_model *model, const float *x,
                    uint32_t count);

/* ---- making models ---- */

/* A model of an input alone; is_bytes: it is quantised at once. */
fl_int8_model *int8_net_new(fl_shape input, bool is_bytes, fl_random *random);

/*
 * Appends a node: fills in its shape, random weights, and a quantisation that
 * fits its operator (is_bytes; else the value is float32). An input_count of
 * 0 means one input, the last node. The node's number.
 */
uint32_t int8_net_add(fl_int8_model *net, fl_node node, bool is_bytes,
                      fl_random *random);

#endif
