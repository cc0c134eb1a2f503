/*
 * Group normalisation over height, width and C / groups channels of one
 * example (Wu and He 2018): what an example becomes does not depend on the
 * others. Weight and bias are per channel.
 *
 *   xhat = (x - mean) / sqrt(variance + epsilon)
 *   y = act(weight * xhat + bias)
 *
 * With g = dy * act' * weight and N values of a group, sums over these:
 *
 *   dx = (g - sum(g) / N - xhat * sum(g * xhat) / N) / sqrt(variance + epsilon)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "base/bytes.h"
#include "model/ops/norm.h"

static fl_err groupnorm_shape(fl_node *node, const fl_shape *inputs,
                              fl_reason *why)
{
    const uint32_t channels = inputs[0].channels;
    FL_TRY(fl_norm_check_epsilon(node, 1e-5F, why));
    if (channels % node->group_count != 0) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (GroupNormalization): %u channels "
                             "cannot be divided into %u groups",
                             node->name, channels, node->group_count);
    }
    node->shape = inputs[0];
    node->weight_count = node->bias_count = channels;
    return FL_OK;
}

// What is kept of a group of an example: floats in `kept`.
enum { MEAN, INVERSE, SUM, PRODUCT, KEPT };  // INVERSE: of the deviation

static fl_err groupnorm_memory(fl_task_memory *memory, const fl_task *task,
                               bool with_gradients)
{
    (void)with_gradients;
    memory->kept = KEPT * (size_t)task->node->group_count;
    return FL_OK;
}

static float *kept_of(const fl_task *task, uint32_t example, uint32_t group)
{
    const size_t at = (size_t)example * task->node->group_count + group;
    return (float *)task->kept + at * KEPT;
}

static uint32_t group_size(const fl_task *task)
{
    return task->x_shape.channels / task->node->group_count;
}

static fl_norm_part part_of(const fl_task *task, uint32_t example,
                            uint32_t first)
{
    const size_t pixels = fl_norm_pixels(task);
    return fl_norm_part_of(task, first, example * pixels, pixels);
}

static void set_coefs(fl_norm_coefs *coefs, const fl_norm_part *part,
                      uint32_t example)
{
    const fl_task *task = part->task;
    for (uint32_t i = 0; i < part->count; i++) {
        const uint32_t c = part->first + i;
        const float *kept = kept_of(task, example, c / group_size(task));
        coefs->mean[i] = kept[MEAN];
        coefs->scale[i] = task->weight[c] * kept[INVERSE];
        coefs->bias[i] = task->bias[c];
    }
}

/* ---- forward ---- */

// Channels come in order, so that a group is whole when its last one comes.
static void measure_groups(const fl_task *task, uint32_t example)
{
    const uint32_t size = group_size(task);
    fl_norm_moments group = {0};
    for (uint32_t c = 0; c < task->x_shape.channels; c += FL_NORM_CHUNK) {
        const fl_norm_part part = part_of(task, example, c);
        fl_norm_moments moments[FL_NORM_CHUNK];
        fl_norm_measure(moments, &part);
        for (uint32_t i = 0; i < part.count; i++) {
            if ((c + i) % size == 0) group = (fl_norm_moments){0};
            group = fl_norm_combine(group, moments[i]);
            if ((c + i + 1) % size != 0) continue;
            const double variance = group.squares / group.count;
            float *kept = kept_of(task, example, (c + i) / size);
            kept[MEAN] = (float)group.mean;
            kept[INVERSE] =
                (float)(1.0 / sqrt(variance + (double)task->node->epsilon));
        }
    }
}

static void groupnorm_forward(const fl_task *task, bool with_gradients)
{
    (void)with_gradients;
    for (uint32_t n = 0; n < task->count; n++) {
        measure_groups(task, n);
        for (uint32_t c = 0; c < task->x_shape.channels; c += FL_NORM_CHUNK) {
            const fl_norm_part part = part_of(task, n, c);
            fl_norm_coefs coefs = {0};
            set_coefs(&coefs, &part, n);
            fl_norm_apply(&part, &coefs);
        }
    }
}

/* ---- backward ---- */

// Channels come in order here too.
static void add_channel(const fl_task *task, uint32_t example, uint32_t c,
                        double sum, double product)
{
    const uint32_t size = group_size(task);
    const float weight = task->weight[c];
    float *kept = kept_of(task, example, c / size);
    if (c % size == 0) kept[SUM] = kept[PRODUCT] = 0.0F;
    kept[SUM] += weight * (float)sum;
    kept[PRODUCT] += weight * (float)product;
    if (task->bias_grad) task->bias_grad[c] += (float)sum;
    if (task->weight_grad) {
        task->weight_grad[c] += kept[INVERSE] * (float)product;
    }
}

static void add_up_groups(const fl_task *task, uint32_t example)
{
    for (uint32_t c = 0; c < task->x_shape.channels; c += FL_NORM_CHUNK) {
        const fl_norm_part part = part_of(task, example, c);
        fl_norm_coefs coefs = {0};
        fl_norm_sums sums;
        set_coefs(&coefs, &part, example);
        fl_norm_act_grad(&part, &coefs);
        fl_norm_add_up(&sums, &part, &coefs);
        for (uint32_t i = 0; i < part.count; i++) {
            add_channel(task, example, c + i, sums.sum[i], sums.product[i]);
        }
    }
}

// How a group's mean and variance answer to each x of it.
static void set_reaction(fl_norm_coefs *coefs, const fl_norm_part *part,
                         uint32_t example)
{
    const fl_task *task = part->task;
    const uint32_t size = group_size(task);
    const float values = (float)fl_norm_pixels(task) * (float)size;
    for (uint32_t i = 0; i < part->count; i++) {
        const float *kept = kept_of(task, example, (part->first + i) / size);
        const float inverse = kept[INVERSE];
        coefs->offset[i] = -inverse * kept[SUM] / values;
        coefs->slope[i] = -inverse * inverse * inverse * kept[PRODUCT] / values;
    }
}

static void groupnorm_backward(const fl_task *task)
{
    for (uint32_t n = 0; n < task->count; n++) {
        add_up_groups(task, n);
        if (!task->dx[0]) continue;
        for (uint32_t c = 0; c < task->x_shape.channels; c += FL_NORM_CHUNK) {
            const fl_norm_part part = part_of(task, n, c);
            fl_norm_coefs coefs = {0};
            set_coefs(&coefs, &part, n);
            set_reaction(&coefs, &part, n);
            fl_norm_grad(&part, &coefs);
        }
    }
}

const fl_op fl_groupnorm_op = {
    .input_count = 1,
    .takes_act = FL_FUSE_ANY,
    .reads_input = true,
    .is_cheap = true,
    .shape = groupnorm_shape,
    .memory = groupnorm_memory,
    .forward = groupnorm_forward,
    .backward = groupnorm_backward,
};
