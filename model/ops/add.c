/*
 * The sum of two values, and the activation of it, in one pass.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/ops/op.h"

static fl_err add_shape(fl_node *node, const fl_shape *inputs, fl_reason *why)
{
    if (!fl_op_is_same_shape(inputs[0], inputs[1])) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (Add): %ux%ux%u and %ux%ux%u are not "
                             "of one shape",
                             node->name, inputs[0].height, inputs[0].width,
                             inputs[0].channels, inputs[1].height,
                             inputs[1].width, inputs[1].channels);
    }
    return fl_op_same_shape(node, inputs, why);
}

static void add_forward(const fl_task *task, bool with_gradients)
{
    (void)with_gradients;
    task->kernels->curve(&(fl_curve_sum){
        .curve = fl_act_curve(task->act),
        .a = task->x[0],
        .b = task->x[1],
        .y = task->y,
        .count = task->count * fl_shape_size(task->y_shape),
    });
}

// Both inputs may be one value: the first then writes, the second adds.
static void add_backward(const fl_task *task)
{
    task->kernels->curve_grad(&(fl_curve_grad){
        .curve = fl_act_curve(task->act),
        .y = task->act ? task->y : NULL,
        .dy = task->dy,
        .dx = {task->dx[0], task->dx[1]},
        .is_fresh = {task->is_fresh[0], task->is_fresh[1]},
        .count = task->count * fl_shape_size(task->y_shape),
    });
}

const fl_op fl_add_op = {
    .input_count = 2,
    .takes_act = FL_FUSE_BY_OUTPUT,
    .shape = add_shape,
    .forward = add_forward,
    .backward = add_backward,
};
