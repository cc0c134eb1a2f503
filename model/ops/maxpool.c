/*
 * The largest value of each window, and where it was. Padding never wins.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "model/ops/op.h"

static fl_err maxpool_shape(fl_node *node, const fl_shape *inputs,
                            fl_reason *why)
{
    node->shape.channels = inputs[0].channels;
    return fl_op_window_shape(&node->shape, node, inputs[0], why);
}

static fl_err maxpool_memory(fl_task_memory *memory, const fl_task *task,
                             bool with_gradients)
{
    // One uint32_t a value: the offset of the winner in its example.
    memory->kept = with_gradients ? fl_shape_size(task->y_shape) : 0;
    return FL_OK;
}

static void pool_pixel(float *y, uint32_t *from, const fl_task *task,
                       const float *x, uint32_t out_y, uint32_t out_x)
{
    const fl_shape in = task->x_shape;
    const fl_patch p = fl_op_patch(&task->node->window, in, out_y, out_x);
    for (uint32_t c = 0; c < in.channels; c++) {
        uint32_t best = (p.y_from * in.width + p.x_from) * in.channels + c;
        for (uint32_t iy = p.y_from; iy < p.y_to; iy++) {
            for (uint32_t ix = p.x_from; ix < p.x_to; ix++) {
                const uint32_t at = (iy * in.width + ix) * in.channels + c;
                // NaN wins: a broken model shows in the loss.
                if (x[at] > x[best] || isnan(x[at])) best = at;
            }
        }
        y[c] = x[best];
        if (from) from[c] = best;
    }
}

static void maxpool_forward(const fl_task *task, bool with_gradients)
{
    const fl_shape out = task->y_shape;
    const size_t x_size = fl_shape_size(task->x_shape);
    float *y = task->y;
    uint32_t *from = with_gradients ? task->kept : NULL;
    for (uint32_t i = 0; i < task->count; i++) {
        const float *x = task->x[0] + i * x_size;
        for (uint32_t pixel = 0; pixel < out.height * out.width; pixel++) {
            pool_pixel(y, from, task, x, pixel / out.width, pixel % out.width);
            y += out.channels;
            if (from) from += out.channels;
        }
    }
}

static void maxpool_backward(const fl_task *task)
{
    if (!task->dx[0]) return;
    fl_op_clear_fresh(task, 0);
    const size_t x_size = fl_shape_size(task->x_shape);
    const size_t y_size = fl_shape_size(task->y_shape);
    const uint32_t *from = task->kept;
    const float *dy = task->dy;
    for (uint32_t i = 0; i < task->count; i++) {
        float *dx = task->dx[0] + i * x_size;
        for (size_t k = 0; k < y_size; k++) {
            dx[*from++] += *dy++;
        }
    }
}

const fl_op fl_maxpool_op = {
    .input_count = 1,
    .shape = maxpool_shape,
    .memory = maxpool_memory,
    .forward = maxpool_forward,
    .backward = maxpool_backward,
};
