/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ops/op.h"

static void relu_forward(const fl_task *task, bool with_gradients)
{
    (void)with_gradients;
    const size_t size = task->count * fl_shape_size(task->y_shape);
    const float *x = task->x[0];
    // This way round NaN stays NaN, and a broken model shows in the loss.
    for (size_t i = 0; i < size; i++) {
        task->y[i] = x[i] < 0.0F ? 0.0F : x[i];
    }
}

static void relu_backward(const fl_task *task)
{
    if (!task->dx[0]) return;
    fl_op_clear_fresh(task, 0);
    const size_t size = task->count * fl_shape_size(task->y_shape);
    for (size_t i = 0; i < size; i++) {
        task->dx[0][i] += task->y[i] > 0.0F ? task->dy[i] : 0.0F;
    }
}

const fl_op fl_relu_op = {
    .input_count = 1,
    .is_activation = true,
    .is_by_output = true,
    .reads_output = true,
    .shape = fl_op_same_shape,
    .forward = relu_forward,
    .backward = relu_backward,
};
