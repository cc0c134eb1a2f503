/*
 * The product of two values: of one shape, or the whole of (H, W, C) times
 * one factor a channel, (1, 1, C), as squeeze-and-excitation has it. Either
 * input may be the factors.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/ops/op.h"

static bool is_factor_of(fl_shape factor, fl_shape whole)
{
    return factor.height == 1 && factor.width == 1 &&
           factor.channels == whole.channels;
}

static fl_err mul_shape(fl_node *node, const fl_shape *inputs, fl_reason *why)
{
    const fl_shape a = inputs[0], b = inputs[1];
    if (fl_op_is_same_shape(a, b) || is_factor_of(b, a)) {
        node->shape = a;
        return FL_OK;
    }
    if (is_factor_of(a, b)) {
        node->shape = b;
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "node \"%s\" (Mul): %ux%ux%u and %ux%ux%u are not of "
                         "one shape, nor is one of them 1x1 with the other's "
                         "channels",
                         node->name, a.height, a.width, a.channels, b.height,
                         b.width, b.channels);
}

// The input of the output's shape; the first of two.
static uint32_t whole_of(const fl_task *task)
{
    return fl_op_is_same_shape(task->x_shapes[0], task->y_shape) ? 0 : 1;
}

// dst (=|+=) src * factor, an example after the other; src of y's shape.
static void scale(const fl_task *task, float *dst, const float *src,
                  uint32_t factor, bool add)
{
    const size_t columns = fl_shape_size(task->x_shapes[factor]);
    const size_t size = fl_shape_size(task->y_shape);
    for (uint32_t i = 0; i < task->count; i++) {
        task->kernels->move_rows(&(fl_rows){
            .dst = dst + i * size,
            .dst_step = columns,
            .src = src + i * size,
            .src_step = columns,
            .factor = task->x[factor] + i * columns,
            .rows = size / columns,
            .columns = columns,
            .add = add,
        });
    }
}

static void mul_forward(const fl_task *task, bool with_gradients)
{
    (void)with_gradients;
    const uint32_t whole = whole_of(task);
    scale(task, task->y, task->x[whole], 1 - whole, false);
}

// A factor's gradient is a sum over all pixels.
static void add_factor_grad(const fl_task *task, uint32_t factor)
{
    const uint32_t channels = task->y_shape.channels;
    const size_t size = fl_shape_size(task->y_shape);
    const float *x = task->x[1 - factor];
    fl_op_clear_fresh(task, factor);
    for (uint32_t i = 0; i < task->count; i++) {
        task->kernels->dot_rows(task->dx[factor] + (size_t)i * channels,
                                task->dy + i * size, x + i * size,
                                size / channels, channels);
    }
}

// In the order of the inputs: x * x writes its gradient, then adds to it.
static void mul_backward(const fl_task *task)
{
    for (uint32_t k = 0; k < 2; k++) {
        if (!task->dx[k]) continue;
        if (fl_op_is_same_shape(task->x_shapes[k], task->y_shape)) {
            scale(task, task->dx[k], task->dy, 1 - k, !task->is_fresh[k]);
        } else {
            add_factor_grad(task, k);
        }
    }
}

const fl_op fl_mul_op = {
    .input_count = 2,
    .reads_input = true,
    .is_cheap = true,
    .shape = mul_shape,
    .forward = mul_forward,
    .backward = mul_backward,
};
