/*
 * The channels of all inputs, one input after the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/ops/op.h"

static fl_err concat_shape(fl_node *node, const fl_shape *inputs,
                           fl_reason *why)
{
    node->shape = inputs[0];
    for (uint32_t k = 1; k < node->input_count; k++) {
        if (inputs[k].height != inputs[0].height ||
            inputs[k].width != inputs[0].width) {
            return fl_reason_set(why, FL_ERR_FORMAT,
                                 "node \"%s\" (Concat): input %u is of %ux%u "
                                 "pixels, the first of %ux%u",
                                 node->name, k, inputs[k].height,
                                 inputs[k].width, inputs[0].height,
                                 inputs[0].width);
        }
        // Fits: FL_NODE_INPUTS_MAX values of FL_GRAPH_VALUES_MAX at most.
        node->shape.channels += inputs[k].channels;
    }
    return FL_OK;
}

static void concat_forward(const fl_task *task, bool with_gradients)
{
    (void)with_gradients;
    float *y = task->y;
    for (uint32_t k = 0; k < task->node->input_count; k++) {
        const uint32_t channels = task->x_shapes[k].channels;
        task->kernels->move_rows(&(fl_rows){
            .dst = y,
            .dst_step = task->y_shape.channels,
            .src = task->x[k],
            .src_step = channels,
            .rows = fl_op_pixel_count(task),
            .columns = channels,
        });
        y += channels;
    }
}

static void concat_backward(const fl_task *task)
{
    const float *dy = task->dy;
    for (uint32_t k = 0; k < task->node->input_count; k++) {
        const uint32_t channels = task->x_shapes[k].channels;
        if (task->dx[k]) {
            task->kernels->move_rows(&(fl_rows){
                .dst = task->dx[k],
                .dst_step = channels,
                .src = dy,
                .src_step = task->y_shape.channels,
                .rows = fl_op_pixel_count(task),
                .columns = channels,
                .add = !task->is_fresh[k],
            });
        }
        dy += channels;
    }
}

const fl_op fl_concat_op = {
    .input_count = 0,  // 1 or more
    .shape = concat_shape,
    .forward = concat_forward,
    .backward = concat_backward,
};
