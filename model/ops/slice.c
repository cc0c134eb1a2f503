/*
 * Some of the channels: out_count of them, from `first` on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/ops/op.h"

static fl_err slice_shape(fl_node *node, const fl_shape *inputs, fl_reason *why)
{
    const uint32_t channels = inputs[0].channels;
    if (node->out_count == 0 || node->out_count > channels ||
        node->first > channels - node->out_count) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (Slice): %u channels from channel "
                             "%u on, but the input has %u",
                             node->name, node->out_count, node->first,
                             channels);
    }
    node->shape = inputs[0];
    node->shape.channels = node->out_count;
    return FL_OK;
}

static void slice_forward(const fl_task *task, bool with_gradients)
{
    (void)with_gradients;
    task->kernels->move_rows(&(fl_rows){
        .dst = task->y,
        .dst_step = task->y_shape.channels,
        .src = task->x[0] + task->node->first,
        .src_step = task->x_shape.channels,
        .rows = fl_op_pixel_count(task),
        .columns = task->y_shape.channels,
    });
}

static void slice_backward(const fl_task *task)
{
    if (!task->dx[0]) return;
    fl_op_clear_fresh(task, 0);
    task->kernels->move_rows(&(fl_rows){
        .dst = task->dx[0] + task->node->first,
        .dst_step = task->x_shape.channels,
        .src = task->dy,
        .src_step = task->y_shape.channels,
        .rows = fl_op_pixel_count(task),
        .columns = task->y_shape.channels,
        .add = true,
    });
}

const fl_op fl_slice_op = {
    .input_count = 1,
    .shape = slice_shape,
    .forward = slice_forward,
    .backward = slice_backward,
};
