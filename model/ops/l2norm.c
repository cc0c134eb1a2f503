/*
 * The channels of each pixel divided by their length, y = x / max(|x|,
 * epsilon). Where the length counts, it answers to x as well:
 *
 *   dx = (dy - y * (y . dy)) / |x|
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "model/ops/norm.h"

static fl_err l2norm_shape(fl_node *node, const fl_shape *inputs,
                           fl_reason *why)
{
    FL_TRY(fl_norm_check_epsilon(node, 1e-12F, why));
    return fl_op_same_shape(node, inputs, why);
}

static double length_of(const fl_task *task, const float *x)
{
    return sqrt(task->kernels->sum_squares(x, task->x_shape.channels));
}

static void l2norm_forward(const fl_task *task, bool with_gradients)
{
    (void)with_gradients;
    const uint32_t channels = task->x_shape.channels;
    const size_t pixels = task->count * fl_norm_pixels(task);
    const double epsilon = (double)task->node->epsilon;
    for (size_t p = 0; p < pixels; p++) {
        const float *x = task->x[0] + p * channels;
        float *y = task->y + p * channels;
        const double length = length_of(task, x);
        // This way round NaN stays NaN.
        const double divisor = length < epsilon ? epsilon : length;
        for (uint32_t c = 0; c < channels; c++) {
            y[c] = (float)((double)x[c] / divisor);
        }
    }
}

static void add_pixel_grad(float *dx, const float *dy, const float *x,
                           const fl_task *task)
{
    const uint32_t channels = task->x_shape.channels;
    const double epsilon = (double)task->node->epsilon;
    const double length = length_of(task, x);
    const double divisor = length < epsilon ? epsilon : length;
    double along = 0.0;  // (y . dy) / |x|
    for (uint32_t c = 0; c < channels && !(length < epsilon); c++) {
        along += (double)x[c] * (double)dy[c] / (length * length);
    }
    for (uint32_t c = 0; c < channels; c++) {
        dx[c] += (float)(((double)dy[c] - along * (double)x[c]) / divisor);
    }
}

static void l2norm_backward(const fl_task *task)
{
    const uint32_t channels = task->x_shape.channels;
    const size_t pixels = task->count * fl_norm_pixels(task);
    if (!task->dx[0]) return;
    fl_op_clear_fresh(task, 0);
    for (size_t p = 0; p < pixels; p++) {
        const size_t at = p * channels;
        add_pixel_grad(task->dx[0] + at, task->dy + at, task->x[0] + at, task);
    }
}

const fl_op fl_l2norm_op = {
    .input_count = 1,
    .reads_input = true,
    .shape = l2norm_shape,
    .forward = l2norm_forward,
    .backward = l2norm_backward,
};
