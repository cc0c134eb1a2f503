/*
 * The mean of each window. Padding is left out of it, or counts as zeros.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "model/ops/op.h"

static fl_err avgpool_shape(fl_node *node, const fl_shape *inputs,
                            fl_reason *why)
{
    node->shape.channels = inputs[0].channels;
    return fl_op_window_shape(&node->shape, node, inputs[0], why);
}

// One output pixel: its channels, and its window in its example's input.
typedef struct {
    size_t y_at, x_at;  // offsets of the pixel and of the window's first row
    size_t x_row;       // floats from a row of the window to the next
    uint32_t width, height;
    float share;  // of a value in the mean
} window;

static window window_at(const fl_task *task, uint32_t example, uint32_t y,
                        uint32_t x)
{
    const fl_node *node = task->node;
    const fl_shape in = task->x_shape, out = task->y_shape;
    const fl_patch p = fl_op_patch(&node->window, in, y, x);
    window w = {
        .y_at = example * fl_shape_size(out) +
                ((size_t)y * out.width + x) * out.channels,
        .x_at = example * fl_shape_size(in) +
                ((size_t)p.y_from * in.width + p.x_from) * in.channels,
        .x_row = (size_t)in.width * in.channels,
        .width = p.x_to - p.x_from,
        .height = p.y_to - p.y_from,
    };
    const uint64_t inside = (uint64_t)w.height * w.width;
    const uint64_t all =
        (uint64_t)node->window.kernel_h * node->window.kernel_w;
    w.share = 1.0F / (float)(node->counts_padding ? all : inside);
    return w;
}

static void scale(float *values, uint32_t count, float factor)
{
    for (uint32_t i = 0; i < count; i++) {
        values[i] *= factor;
    }
}

static void mean_window(const fl_task *task, const window *w)
{
    const uint32_t channels = task->y_shape.channels;
    float *y = task->y + w->y_at;
    memset(y, 0, channels * sizeof *y);
    for (uint32_t row = 0; row < w->height; row++) {
        task->kernels->bias_sum(y, task->x[0] + w->x_at + row * w->x_row,
                                w->width, channels);
    }
    scale(y, channels, w->share);
}

static void spread_window(const fl_task *task, const window *w)
{
    const uint32_t channels = task->y_shape.channels;
    float *dy = task->dy + w->y_at;
    scale(dy, channels, w->share);
    for (uint32_t row = 0; row < w->height; row++) {
        task->kernels->move_rows(&(fl_rows){
            .dst = task->dx[0] + w->x_at + row * w->x_row,
            .dst_step = channels,
            .src = dy,
            .rows = w->width,
            .columns = channels,
            .add = true,
        });
    }
}

static void for_each_window(const fl_task *task,
                            void (*visit)(const fl_task *, const window *))
{
    for (uint32_t i = 0; i < task->count; i++) {
        for (uint32_t y = 0; y < task->y_shape.height; y++) {
            for (uint32_t x = 0; x < task->y_shape.width; x++) {
                const window w = window_at(task, i, y, x);
                visit(task, &w);
            }
        }
    }
}

static void avgpool_forward(const fl_task *task, bool with_gradients)
{
    (void)with_gradients;
    for_each_window(task, mean_window);
}

static void avgpool_backward(const fl_task *task)
{
    if (!task->dx[0]) return;
    fl_op_clear_fresh(task, 0);
    for_each_window(task, spread_window);
}

const fl_op fl_avgpool_op = {
    .input_count = 1,
    .shape = avgpool_shape,
    .forward = avgpool_forward,
    .backward = avgpool_backward,
};
