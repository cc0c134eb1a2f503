/*
 * Dropout (Srivastava et al. 2014): while training, each value is dropped with
 * probability `ratio` and the others are multiplied by 1 / (1 - ratio), so
 * that nothing needs to be done later. A draw of 0 drops nothing.
 *
 * Kept for backward: a bit a value, 1 where it was kept.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/ops/dropout.h"

#include "model/ops/op.h"

enum { WORD_BITS = 32 };

void fl_dropout_init(fl_random *random, uint64_t draw, uint32_t node_number,
                     uint32_t example)
{
    fl_random_init(random, draw, FL_RANDOM_DROPPED,
                   (uint64_t)node_number << 32 | example);
}

bool fl_dropout_keeps(fl_random *random, float ratio)
{
    return fl_random_float(random) >= ratio;
}

static fl_err dropout_shape(fl_node *node, const fl_shape *inputs,
                            fl_reason *why)
{
    if (node->alpha >= 0.0F && node->alpha < 1.0F) {
        return fl_op_same_shape(node, inputs, why);
    }
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "node \"%s\" (Dropout): the ratio is %g, it must be "
                         "0 or more and below 1",
                         node->name, (double)node->alpha);
}

static size_t word_count(const fl_task *task)
{
    return (fl_shape_size(task->x_shape) + WORD_BITS - 1) / WORD_BITS;
}

static fl_err dropout_memory(fl_task_memory *memory, const fl_task *task,
                             bool with_gradients)
{
    if (with_gradients) memory->kept = word_count(task);
    return FL_OK;
}

static bool drops(const fl_task *task)
{
    return task->draw != 0 && task->node->alpha > 0.0F;
}

static float factor(const fl_task *task)
{
    return drops(task) ? 1.0F / (1.0F - task->node->alpha) : 1.0F;
}

// The bits of the values from i on.
static uint32_t draw_word(fl_random *random, const fl_task *task, size_t i)
{
    size_t count = fl_shape_size(task->x_shape) - i;
    if (count > WORD_BITS) count = WORD_BITS;
    uint32_t word = 0;
    for (size_t b = 0; b < count; b++) {
        const bool is_kept = fl_dropout_keeps(random, task->node->alpha);
        word |= (uint32_t)is_kept << b;
    }
    return word;
}

// A NaN that is dropped is 0 like everything else.
static float value_of(uint32_t word, size_t i, float value, float scale)
{
    return word >> i % WORD_BITS & 1 ? value * scale : 0.0F;
}

static void forward_example(float *y, uint32_t *kept, const fl_task *task,
                            const float *x, uint32_t example)
{
    const size_t size = fl_shape_size(task->x_shape);
    const float scale = factor(task);
    fl_random random;
    fl_dropout_init(&random, task->draw, task->node_number,
                    task->first + example);
    uint32_t word = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        if (i % WORD_BITS == 0 && drops(task)) {
            word = draw_word(&random, task, i);
            if (kept) kept[i / WORD_BITS] = word;
        }
        y[i] = value_of(word, i, x[i], scale);
    }
}

static void dropout_forward(const fl_task *task, bool with_gradients)
{
    const size_t size = fl_shape_size(task->x_shape);
    for (uint32_t n = 0; n < task->count; n++) {
        uint32_t *kept = NULL;
        if (with_gradients) {
            kept = (uint32_t *)task->kept + n * word_count(task);
        }
        forward_example(task->y + n * size, kept, task, task->x[0] + n * size,
                        n);
    }
}

static void backward_example(float *dx, const fl_task *task, const float *dy,
                             const uint32_t *kept)
{
    const size_t size = fl_shape_size(task->x_shape);
    const float scale = factor(task);
    for (size_t i = 0; i < size; i++) {
        const uint32_t word = drops(task) ? kept[i / WORD_BITS] : UINT32_MAX;
        const float grad = value_of(word, i, dy[i], scale);
        dx[i] = task->is_fresh[0] ? grad : dx[i] + grad;
    }
}

static void dropout_backward(const fl_task *task)
{
    const size_t size = fl_shape_size(task->x_shape);
    const uint32_t *kept = task->kept;
    if (!task->dx[0]) return;
    for (uint32_t n = 0; n < task->count; n++) {
        backward_example(task->dx[0] + n * size, task, task->dy + n * size,
                         kept + n * word_count(task));
    }
}

const fl_op fl_dropout_op = {
    .input_count = 1,
    .shape = dropout_shape,
    .memory = dropout_memory,
    .forward = dropout_forward,
    .backward = dropout_backward,
};
