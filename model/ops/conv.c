/*
 * Convolution, NHWC, weight (O, KH, KW, I / groups): its shape, and which of
 * the two ways it runs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/ops/conv.h"

#include "base/bytes.h"

static fl_err check_channels(const fl_node *node, fl_shape input,
                             fl_reason *why)
{
    if (node->out_count == 0) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (Conv) has no output channels",
                             node->name);
    }
    if (node->group_count == 0 || input.channels % node->group_count ||
        node->out_count % node->group_count) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (Conv): %u groups do not divide %u "
                             "input and %u output channels",
                             node->name, node->group_count, input.channels,
                             node->out_count);
    }
    return FL_OK;
}

static fl_err conv_shape(fl_node *node, const fl_shape *inputs, fl_reason *why)
{
    FL_TRY(check_channels(node, inputs[0], why));
    // The dilation of a single tap means nothing.
    if (node->window.kernel_h == 1) node->dilation_h = 1;
    if (node->window.kernel_w == 1) node->dilation_w = 1;
    node->shape.channels = node->out_count;
    node->bias_count = node->out_count;
    FL_TRY(fl_op_window_shape(&node->shape, node, inputs[0], why));

    size_t patch;
    FL_TRY(fl_size_mul(&patch, node->window.kernel_h, node->window.kernel_w));
    FL_TRY(fl_size_mul(&patch, patch, inputs[0].channels / node->group_count));
    return fl_size_mul(&node->weight_count, patch, node->out_count);
}

static const fl_op *way_of(const fl_task *task)
{
    const uint32_t channels = task->x_shape.channels;
    const bool is_depthwise =
        task->node->group_count == channels && channels > 1 && !task->pool;
    return is_depthwise ? &fl_conv_depthwise_op : &fl_conv_dense_op;
}

static fl_err conv_memory(fl_task_memory *memory, const fl_task *task,
                          bool with_gradients)
{
    return way_of(task)->memory(memory, task, with_gradients);
}

static void conv_load(const fl_task *task, bool with_gradients)
{
    way_of(task)->load(task, with_gradients);
}

static void conv_forward(const fl_task *task, bool with_gradients)
{
    way_of(task)->forward(task, with_gradients);
}

static void conv_backward(const fl_task *task)
{
    way_of(task)->backward(task);
}

void fl_conv_mask_and_sum(const fl_task *task, float *dy, const float *y,
                          size_t pixels)
{
    const uint32_t channels = task->node->out_count;
    if (task->act) fl_act_grad_by_output(task, dy, y, pixels * channels);
    if (!task->bias_grad) return;
    task->kernels->bias_sum(task->bias_grad, dy, pixels, channels);
}

const fl_op fl_conv_op = {
    .input_count = 1,
    .takes_act = FL_FUSE_BY_OUTPUT,
    .takes_pool = true,
    .reads_input = true,
    .shape = conv_shape,
    .memory = conv_memory,
    .load = conv_load,
    .forward = conv_forward,
    .backward = conv_backward,
};
