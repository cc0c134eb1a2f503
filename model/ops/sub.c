/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ops/op.h"

static void sub_forward(const fl_task *task, bool with_gradients)
{
    (void)with_gradients;
    const uint32_t channels = task->y_shape.channels;
    const size_t size = task->count * fl_shape_size(task->y_shape);
    const float *constants = task->constants;
    for (size_t i = 0; i < size; i += channels) {
        const float *x = task->x[0] + i;
        float *y = task->y + i;
        for (uint32_t c = 0; c < channels; c++) {
            y[c] = x[c] - constants[c];
        }
    }
}

static void sub_backward(const fl_task *task)
{
    if (!task->dx[0]) return;
    fl_op_clear_fresh(task, 0);
    const uint32_t channels = task->y_shape.channels;
    const size_t size = task->count * fl_shape_size(task->y_shape);

    for (size_t i = 0; i < size; i += channels) {
        const float *dy = task->dy + i;
        float *dx = task->dx[0] + i;
        for (uint32_t c = 0; c < channels; c++) {
            dx[c] += dy[c];
        }
    }
}

const fl_op fl_sub_op = {
    .input_count = 1,
    .has_constants = true,
    .shape = fl_op_same_shape,
    .forward = sub_forward,
    .backward = sub_backward,
};
