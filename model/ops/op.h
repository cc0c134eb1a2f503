/*
 * One operator: how its output shape follows from its inputs, what memory it
 * needs, how it runs forward and backward. One file an operator, one line an
 * operator in op.c.
 *
 * An operator sees a task: one place of a plan where it runs, with pointers
 * to everything it reads and writes. It allocates nothing and knows nothing
 * of its neighbours, except that some may be told to apply the activation and
 * the MAXPOOL behind them as well.
 *
 * A batch may be split over several *lanes*, threads that run the same step
 * on examples of their own. A sum over the whole batch is taken in two parts:
 * each lane writes its own to its place in `shared` (`forward_sums`), all
 * wait, then each adds up everybody's in the order of the lanes.
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
    uint32_t node_number;       // in the graph
    fl_shape x_shape, y_shape;  // of the first input and of the output
    fl_shape x_shapes[FL_NODE_INPUTS_MAX];
    const fl_node *act;     // apply this activation behind this node ...
    const fl_window *pool;  // ... and this max pool; or NULL
    fl_shape pool_input;    // pool: this node's own shape, before it

    uint32_t count;  // N of this call: this lane's examples
    uint32_t first;  // number of the first of them in the batch
    uint32_t batch;  // examples of the batch, over all lanes
    uint64_t draw;   // DROPOUT: names this batch's numbers; 0: drop nothing
    const float *x[FL_NODE_INPUTS_MAX];
    float *y;
    float *dy;                      // may be destroyed
    float *dx[FL_NODE_INPUTS_MAX];  // NULL: nobody needs it
    // dx[k] holds nothing yet: write it. False: add to it.
    bool is_fresh[FL_NODE_INPUTS_MAX];

    const float *weight, *bias;      // bias: NULL when it has none
    float *weight_grad, *bias_grad;  // add to them; NULL: frozen
    const float *stats;              // BATCHNORM: running mean, variance
    float *stats_grad;               // lane 0 writes the batch's; NULL: keep
    const float *constants;
    bool uses_stats;  // BATCHNORM: normalise with `stats`, not the batch's

    float *packed;   // written by `load`, lives as long as the plan
    void *kept;      // from forward to backward
    float *scratch;  // for one call
    // (lane_count, memory.shared) from forward_sums to the end of backward.
    float *shared;
    uint32_t lane, lane_count;
} fl_task;

/* Floats of a task's memory; what forward leaves out stays 0. */
typedef struct {
    size_t packed;   // in all
    size_t kept;     // for each example
    size_t scratch;  // in all, the larger of forward's and backward's
    size_t shared;   // for each lane
} fl_task_memory;

/* Which activations an operator can apply behind itself. */
typedef enum {
    FL_FUSE_NONE,
    FL_FUSE_BY_OUTPUT,  // training: where is_by_output, and then backward
                        // reads the output; evaluating: any
    FL_FUSE_ANY,
} fl_fuse;

typedef struct {
    uint32_t input_count;  // exactly so many; 0 but for INPUT: 1 or more
    bool has_constants;    // one finite number a channel
    bool is_view;          // the output is the input, under another shape
    bool is_activation;    // one input, value by value: can be fused
    // Of an activation: backward needs its output, not its input, and so can
    // be fused into what takes FL_FUSE_BY_OUTPUT.
    bool is_by_output;
    fl_fuse takes_act;
    bool takes_pool;                 // can apply a max pool itself
    bool reads_input, reads_output;  // in backward
    bool is_cheap;  // may run forward again instead of keeping its output

    /*
     * Fills node->shape, weight_count, bias_count (that of a node with a
     * bias) and stats_count from the shapes of its inputs. FL_ERR_FORMAT:
     * they do not fit. FL_ERR_LIMIT.
     */
    fl_err (*shape)(fl_node *node, const fl_shape *inputs, fl_reason *why);

    /* NULL: none. FL_ERR_LIMIT: does not fit size_t. */
    fl_err (*memory)(fl_task_memory *memory, const fl_task *task,
                     bool with_gradients);
    /*
     * Called when the parameters have changed, in one lane, or in all when
     * they share it; NULL: nothing to do.
     */
    bool shares_load;
    void (*load)(const fl_task *task, bool with_gradients);
    /*
     * This lane's sums over its examples; then all lanes wait. NULL: none.
     * Called in training only, not when the task uses_stats.
     */
    void (*forward_sums)(const fl_task *task);
    void (*backward_sums)(const fl_task *task);
    /* NULL for views and the input. */
    void (*forward)(const fl_task *task, bool with_gradients);
    void (*backward)(const fl_task *task);
} fl_op;

/* NULL: no such operator. */
const fl_op *fl_op_get(fl_op_kind kind);

extern const fl_op fl_input_op, fl_sub_op, fl_div_op, fl_conv_op, fl_dense_op,
    fl_batchnorm_op, fl_groupnorm_op, fl_relu_op, fl_relu6_op, fl_leaky_relu_op,
    fl_hard_swish_op, fl_hard_sigmoid_op, fl_sigmoid_op, fl_tanh_op, fl_add_op,
    fl_mul_op, fl_maxpool_op, fl_avgpool_op, fl_globalpool_op, fl_concat_op,
    fl_slice_op, fl_shuffle_op, fl_flatten_op, fl_dropout_op, fl_l2norm_op,
    fl_fakequant_op;

/* ---- activations fused into other operators: act.c ---- */

/* values = act(values); the task has one. */
void fl_act_apply(const fl_task *task, float *values, size_t count);

/* dy *= act'(z), known by y = act(z). Needs is_by_output. */
void fl_act_grad_by_output(const fl_task *task, float *dy, const float *y,
                           size_t count);

/* dy *= act'(z). */
void fl_act_grad(const fl_task *task, float *dy, const float *z, size_t count);

/* What the kernels know `act` by; NULL: a line, y = x. */
fl_curve fl_act_curve(const fl_node *act);

/* True: the activation is RELU, which the matrix kernels apply themselves. */
bool fl_act_is_relu(const fl_task *task);

/* ---- shared by operators ---- */

/* Zeros to input k's gradient when it is fresh, for those that only add. */
void fl_op_clear_fresh(const fl_task *task, uint32_t k);

/* Output pixels of all the task's examples. */
size_t fl_op_pixel_count(const fl_task *task);

bool fl_op_is_same_shape(fl_shape a, fl_shape b);

/* The output has the input's shape. */
FL_CHECK fl_err fl_op_same_shape(fl_node *node, const fl_shape *inputs,
                                 fl_reason *why);

/*
 * Height and width after a window; channels are the caller's. FL_ERR_FORMAT:
 * a stride, dilation or kernel of 0, padding as large as what the dilated
 * kernel spans, or that span larger than the padded input. FL_ERR_LIMIT: the
 * padded input is larger than INT32_MAX.
 */
FL_CHECK fl_err fl_op_window_shape(fl_shape *output, const fl_node *node,
                                   fl_shape input, fl_reason *why);

/* A rectangle of pixels: rows [y_from, y_to), columns [x_from, x_to). */
typedef struct {
    uint32_t y_from, y_to, x_from, x_to;
} fl_patch;

/* What of the window of output pixel (y, x) lies inside the input. */
fl_patch fl_op_patch(const fl_window *window, fl_shape input, uint32_t y,
                     uint32_t x);

#endif
