/*
 * Channels dealt out like cards: the first of each group, then the second of
 * each, and so on (ShuffleNet, Zhang et al. 2018, figure 1).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/ops/op.h"

static fl_err shuffle_shape(fl_node *node, const fl_shape *inputs,
                            fl_reason *why)
{
    const uint32_t channels = inputs[0].channels;
    if (channels % node->group_count != 0) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (ChannelShuffle): %u channels do not "
                             "fall into %u equal groups",
                             node->name, channels, node->group_count);
    }
    return fl_op_same_shape(node, inputs, why);
}

static void shuffle_forward(const fl_task *task, bool with_gradients)
{
    (void)with_gradients;
    const uint32_t channels = task->y_shape.channels;
    const uint32_t groups = task->node->group_count, len = channels / groups;
    const size_t size = task->count * fl_shape_size(task->y_shape);
    for (size_t pixel = 0; pixel < size; pixel += channels) {
        const float *x = task->x[0] + pixel;
        for (uint32_t g = 0; g < groups; g++) {
            float *y = task->y + pixel + g;
            for (uint32_t k = 0; k < len; k++) {
                y[(size_t)k * groups] = *x++;
            }
        }
    }
}

static void shuffle_backward(const fl_task *task)
{
    if (!task->dx[0]) return;
    const uint32_t channels = task->y_shape.channels;
    const uint32_t groups = task->node->group_count, len = channels / groups;
    const size_t size = task->count * fl_shape_size(task->y_shape);
    fl_op_clear_fresh(task, 0);
    for (size_t pixel = 0; pixel < size; pixel += channels) {
        float *dx = task->dx[0] + pixel;
        for (uint32_t g = 0; g < groups; g++) {
            const float *dy = task->dy + pixel + g;
            for (uint32_t k = 0; k < len; k++) {
                *dx++ += dy[(size_t)k * groups];
            }
        }
    }
}

const fl_op fl_shuffle_op = {
    .input_count = 1,
    .shape = shuffle_shape,
    .forward = shuffle_forward,
    .backward = shuffle_backward,
};
