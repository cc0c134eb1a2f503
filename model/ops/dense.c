/*
 * y = x W^T + b:  x (N, I), weight (O, I), y (N, O).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/bytes.h"
#include "model/ops/op.h"

static fl_err dense_shape(fl_node *node, const fl_shape *inputs, fl_reason *why)
{
    if (node->out_count == 0) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (Gemm) has no outputs", node->name);
    }
    node->shape = (fl_shape){1, 1, node->out_count};
    node->bias_count = node->out_count;
    return fl_size_mul(&node->weight_count, node->out_count,
                       fl_shape_size(inputs[0]));
}

// The weight for forward, then the weight for the input's gradient.
static size_t forward_floats(const fl_task *task)
{
    return fl_pack_floats(task->kernels, fl_shape_size(task->x_shape),
                          task->node->out_count);
}

static fl_err dense_memory(fl_task_memory *memory, const fl_task *task,
                           bool with_gradients)
{
    memory->packed = forward_floats(task);
    if (!with_gradients) return FL_OK;
    return fl_size_add(&memory->packed, memory->packed,
                       fl_pack_floats(task->kernels, task->node->out_count,
                                      fl_shape_size(task->x_shape)));
}

// Where a lane's share of the columns begins: shares are whole panels.
static size_t share_of(const fl_task *task, size_t columns, uint32_t lane)
{
    const size_t panel = task->kernels->panel;
    const size_t panels = (columns + panel - 1) / panel;
    const size_t at = panels * lane / task->lane_count * panel;
    return at < columns ? at : columns;
}

static void dense_load(const fl_task *task, bool with_gradients)
{
    const size_t inputs = fl_shape_size(task->x_shape);
    const uint32_t outputs = task->node->out_count;
    size_t at = share_of(task, outputs, task->lane);
    size_t end = share_of(task, outputs, task->lane + 1);
    fl_pack_columns(task->kernels, task->packed + at * inputs,
                    task->weight + at * inputs, inputs, inputs, end - at);
    if (!with_gradients || !task->dx[0]) return;
    float *backward = task->packed + forward_floats(task);
    at = share_of(task, inputs, task->lane);
    end = share_of(task, inputs, task->lane + 1);
    fl_pack_rows(task->kernels, backward + at * outputs, task->weight + at,
                 inputs, 0, outputs, outputs, end - at);
}

static void dense_forward(const fl_task *task, bool with_gradients)
{
    (void)with_gradients;
    const uint32_t inputs = (uint32_t)fl_shape_size(task->x_shape);
    const uint32_t outputs = task->node->out_count;
    const fl_product product = {
        .a = task->x[0],
        .a_step = inputs,
        .segment_count = 1,
        .piece_count = 1,
        .piece_len = inputs,
        .b = task->packed,
        .c = task->y,
        .c_step = outputs,
        .rows = task->count,
        .columns = outputs,
        .bias = task->bias,
        .relu = fl_act_is_relu(task),
    };
    task->kernels->product(&product);
    if (task->act && !product.relu) {
        fl_act_apply(task, task->y, (size_t)task->count * outputs);
    }
}

static void dense_backward(const fl_task *task)
{
    const uint32_t inputs = (uint32_t)fl_shape_size(task->x_shape);
    const uint32_t outputs = task->node->out_count;
    if (task->act) {
        fl_act_grad_by_output(task, task->dy, task->y,
                              (size_t)task->count * outputs);
    }
    if (task->bias_grad) {
        task->kernels->bias_sum(task->bias_grad, task->dy, task->count,
                                outputs);
    }

    const fl_outer weight_grad = {
        .a = task->dy,
        .a_step = outputs,
        .b = task->x[0],
        .b_step = inputs,
        .row_count = 1,
        .step_count = task->count,
        .segment_count = 1,
        .g = task->weight_grad,
        .g_step = inputs,
        .m_count = outputs,
        .n_count = inputs,
    };
    if (task->weight_grad) task->kernels->outer(&weight_grad);

    if (!task->dx[0]) return;
    const fl_product input_grad = {
        .a = task->dy,
        .a_step = outputs,
        .segment_count = 1,
        .piece_count = 1,
        .piece_len = outputs,
        .b = task->packed + forward_floats(task),
        .c = task->dx[0],
        .c_step = inputs,
        .rows = task->count,
        .columns = inputs,
        .add = !task->is_fresh[0],
    };
    task->kernels->product(&input_grad);
}

const fl_op fl_dense_op = {
    .input_count = 1,
    .takes_act = FL_FUSE_BY_OUTPUT,
    .reads_input = true,
    .shape = dense_shape,
    .memory = dense_memory,
    .shares_load = true,
    .load = dense_load,
    .forward = dense_forward,
    .backward = dense_backward,
};
