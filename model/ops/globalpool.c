/*
 * The mean of each channel over height and width.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "model/ops/op.h"

static fl_err globalpool_shape(fl_node *node, const fl_shape *inputs,
                               fl_reason *why)
{
    (void)why;
    node->shape = (fl_shape){1, 1, inputs[0].channels};
    return FL_OK;
}

static size_t pixel_count(const fl_task *task)
{
    return (size_t)task->x_shape.height * task->x_shape.width;
}

// Sums to means; and the gradients of means to those of sums.
static void divide_by_pixels(const fl_task *task, float *values)
{
    const size_t count = (size_t)task->count * task->y_shape.channels;
    const float share = 1.0F / (float)pixel_count(task);
    for (size_t i = 0; i < count; i++) {
        values[i] *= share;
    }
}

static void globalpool_forward(const fl_task *task, bool with_gradients)
{
    (void)with_gradients;
    const uint32_t channels = task->y_shape.channels;
    const size_t x_size = fl_shape_size(task->x_shape);
    memset(task->y, 0, (size_t)task->count * channels * sizeof *task->y);
    for (uint32_t i = 0; i < task->count; i++) {
        task->kernels->bias_sum(task->y + (size_t)i * channels,
                                task->x[0] + i * x_size, pixel_count(task),
                                channels);
    }
    divide_by_pixels(task, task->y);
}

static void globalpool_backward(const fl_task *task)
{
    if (!task->dx[0]) return;
    const uint32_t channels = task->y_shape.channels;
    const size_t x_size = fl_shape_size(task->x_shape);
    divide_by_pixels(task, task->dy);
    for (uint32_t i = 0; i < task->count; i++) {
        task->kernels->move_rows(&(fl_rows){
            .dst = task->dx[0] + i * x_size,
            .dst_step = channels,
            .src = task->dy + (size_t)i * channels,
            .rows = pixel_count(task),
            .columns = channels,
            .add = !task->is_fresh[0],
        });
    }
}

const fl_op fl_globalpool_op = {
    .input_count = 1,
    .shape = globalpool_shape,
    .forward = globalpool_forward,
    .backward = globalpool_backward,
};
