/*
 * One operator: how its output shape follows from its inputs, what memory it
 * needs, how it runs forward and backward. One file an operator, one line an
 * operator in op.c.
 *
 * An operator sees a task: one place of a plan where it runs, with pointers
 * to everything it reads and writes. It allocates nothing and knows nothing
 * of its neighbours, except that CONV and DENSE may be told to apply the RELU
 * and the MAXPOOL behind them as well.
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
#include "model/kernels/kernels.h"

/* N examples; H, W, C of a shape; all arrays (N, H, W, C). */
typedef struct {
    const fl_kernels *kernels;
    const fl_node *node;
    fl_shape x_shape, y_shape;  // of the first input and of the output
    bool has_relu;              // apply it behind this node ...
    const fl_window *pool;      // ... and this max pool; or NULL
    fl_shape pool_input;        // pool: this node's own shape, before it

    uint32_t count;  // N of this call
    const float *x[FL_NODE_INPUTS_MAX];
    float *y;
    float *dy;                      // may be destroyed
    float *dx[FL_NODE_INPUTS_MAX];  // add to it; NULL: nobody needs it

    const float *weight, *bias;      // bias: NULL when it has none
    float *weight_grad, *bias_grad;  // add to them
    const float *constants;

    float *packed;   // written by `load`, lives as long as the plan
    void *kept;      // from forward to backward
    float *scratch;  // for one call
} fl_task;

/* Floats of a task's memory; what forward leaves out stays 0. */
typedef struct {
    size_t packed;   // in all
    size_t kept;     // for each example
    size_t scratch;  // in all, the larger of forward's and backward's
} fl_task_memory;

typedef struct {
    uint32_t input_count;  // exactly so many
    bool has_constants;    // one finite number a channel
    bool is_view;          // the output is the input, under another shape
    bool takes_relu, takes_pool;     // can apply them itself
    bool reads_input, reads_output;  // in backward

    /*
     * Fills node->shape, weight_count and bias_count (that of a node with a
     * bias) from the shapes of its inputs. FL_ERR_FORMAT: they do not fit.
     * FL_ERR_LIMIT.
     */
    fl_err (*shape)(fl_node *node, const fl_shape *inputs, fl_reason *why);

    /* NULL: none. FL_ERR_LIMIT: does not fit size_t. */
    fl_err (*memory)(fl_task_memory *memory, const fl_task *task,
                     bool with_gradients);
    /* Called when the parameters have changed; NULL: nothing to do. */
    void (*load)(const fl_task *task, bool with_gradients);
    /* NULL for views and the input. */
    void (*forward)(const fl_task *task, bool with_gradients);
    void (*backward)(const fl_task *task);
} fl_op;

/* NULL: no such operator. */
const fl_op *fl_op_get(fl_op_kind kind);

extern const fl_op fl_input_op, fl_sub_op, fl_div_op, fl_conv_op, fl_dense_op,
    fl_relu_op, fl_maxpool_op, fl_flatten_op;

/* ---- shared by operators ---- */

/* The output has the input's shape. */
FL_CHECK fl_err fl_op_same_shape(fl_node *node, const fl_shape *inputs,
                                 fl_reason *why);

/*
 * Height and width after a window; channels are the caller's. FL_ERR_FORMAT:
 * a stride or kernel of 0, padding as large as the kernel, or a kernel larger
 * than the padded input.
 */
FL_CHECK fl_err fl_op_window_shape(fl_shape *output, const fl_node *node,
                                   fl_shape input, fl_reason *why);

#endif
