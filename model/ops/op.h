/*
 * One operator: how its output shape follows from its inputs, and where its
 * parameters lie. One file an operator, one line an operator in op.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_OPS_OP_H
#define FL_MODEL_OPS_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/graph.h"

typedef struct {
    uint32_t input_count;  // exactly so many
    bool has_constants;    // one finite number a channel
    /*
     * Fills node->shape, weight_count and bias_count (that of a node with a
     * bias) from the shapes of its inputs. FL_ERR_FORMAT: they do not fit.
     * FL_ERR_LIMIT.
     */
    fl_err (*shape)(fl_node *node, const fl_shape *inputs, fl_reason *why);
} fl_op;

/* NULL: no such operator. */
const fl_op *fl_op_get(fl_op_kind kind);

extern const fl_op fl_input_op, fl_sub_op, fl_div_op, fl_conv_op, fl_dense_op,
    fl_relu_op, fl_maxpool_op, fl_flatten_op;

/* The output has the input's shape. */
fl_err fl_op_same_shape(fl_node *node, const fl_shape *inputs, fl_reason *why);

/*
 * Height and width after a window; channels are the caller's. FL_ERR_FORMAT:
 * a stride or kernel of 0, padding as large as the kernel, or a kernel larger
 * than the padded input.
 */
FL_CHECK fl_err fl_op_window_shape(fl_shape *output, const fl_node *node,
                                   fl_shape input, fl_reason *why);

#endif
