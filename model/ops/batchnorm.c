/*
 * Batch normalisation over all pixels of all examples (Ioffe and Szegedy
 * 2015), channel by channel:
 *
 *   xhat = (x - mean) / sqrt(variance + epsilon)
 *   y = act(weight * xhat + bias)
 *
 * with the batch's mean and biased variance, or with the running statistics.
 * With g = dy * act', N values of a channel, and sums over all of them:
 *
 *   dbias = sum(g);  dweight = sum(g * xhat)
 *   dx = weight / sqrt(variance + epsilon) * (g - dbias / N - xhat * dweight /
 * N)
 *
 * where the last two terms are there only if the statistics are the batch's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "base/bytes.h"
#include "model/ops/norm.h"

static fl_err batchnorm_shape(fl_node *node, const fl_shape *inputs,
                              fl_reason *why)
{
    FL_TRY(fl_norm_check_epsilon(node, 1e-5F, why));
    if (fpclassify(node->momentum) == FP_ZERO) node->momentum = 0.1F;
    if (!(node->momentum > 0.0F && node->momentum <= 1.0F)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (BatchNormalization): momentum is "
                             "%g, it must be above 0 and at most 1",
                             node->name, (double)node->momentum);
    }
    node->shape = inputs[0];
    node->weight_count = node->bias_count = inputs[0].channels;
    return fl_size_mul(&node->stats_count, 2, inputs[0].channels);
}

/* ---- what lanes share ---- */

// A lane's values a channel, then four arrays of one float a channel. Forward
// writes the first two, backward the others.
typedef struct {
    float *count;
    float *mean, *squares;  // of x, squared distances from the mean
    float *sum, *product;   // of g, of g * (x - mean of all lanes)
} lane_sums;

static size_t shared_floats(const fl_task *task)
{
    return 1 + 4 * (size_t)task->x_shape.channels;
}

static lane_sums sums_of(const fl_task *task, uint32_t lane)
{
    const size_t channels = task->x_shape.channels;
    float *at = task->shared + lane * shared_floats(task);
    return (lane_sums){at, at + 1, at + 1 + channels, at + 1 + 2 * channels,
                       at + 1 + 3 * channels};
}

static fl_err batchnorm_memory(fl_task_memory *memory, const fl_task *task,
                               bool with_gradients)
{
    if (with_gradients) memory->shared = shared_floats(task);
    return FL_OK;
}

// The batch's channel c, over all lanes.
static fl_norm_moments moments_of(const fl_task *task, uint32_t c)
{
    fl_norm_moments all = {0};
    for (uint32_t lane = 0; lane < task->lane_count; lane++) {
        const lane_sums s = sums_of(task, lane);
        all = fl_norm_combine(all, (fl_norm_moments){(double)*s.count,
                                                     (double)s.mean[c],
                                                     (double)s.squares[c]});
    }
    return all;
}

/* ---- chunks of channels ---- */

typedef struct {
    fl_norm_part part;
    fl_norm_coefs coefs;
    double inverse[FL_NORM_CHUNK];  // 1 / sqrt(variance + epsilon)
    double count;                   // values of a channel, over all lanes
} chunk;

static fl_norm_part part_of(const fl_task *task, uint32_t first)
{
    return fl_norm_part_of(task, first, 0, task->count * fl_norm_pixels(task));
}

static chunk chunk_of(const fl_task *task, uint32_t first, bool by_batch)
{
    chunk k = {.part = part_of(task, first)};
    for (uint32_t i = 0; i < k.part.count; i++) {
        const uint32_t c = first + i;
        double mean, variance;
        if (by_batch) {
            const fl_norm_moments m = moments_of(task, c);
            mean = m.mean;
            variance = m.squares / m.count;
            k.count = m.count;
        } else {
            mean = (double)task->stats[c];
            variance = (double)task->stats[task->x_shape.channels + c];
        }
        k.inverse[i] = 1.0 / sqrt(variance + (double)task->node->epsilon);
        k.coefs.mean[i] = (float)mean;
        k.coefs.scale[i] = (float)((double)task->weight[c] * k.inverse[i]);
        k.coefs.bias[i] = task->bias[c];
    }
    return k;
}

/* ---- forward ---- */

static void batchnorm_forward_sums(const fl_task *task)
{
    const lane_sums s = sums_of(task, task->lane);
    *s.count = (float)(task->count * fl_norm_pixels(task));
    for (uint32_t c = 0; c < task->x_shape.channels; c += FL_NORM_CHUNK) {
        const fl_norm_part part = part_of(task, c);
        fl_norm_moments moments[FL_NORM_CHUNK];
        fl_norm_measure(moments, &part);
        for (uint32_t i = 0; i < part.count; i++) {
            s.mean[c + i] = (float)moments[i].mean;
            s.squares[c + i] = (float)moments[i].squares;
        }
    }
}

static void batchnorm_forward(const fl_task *task, bool with_gradients)
{
    const bool by_batch = with_gradients && !task->uses_stats;
    for (uint32_t c = 0; c < task->x_shape.channels; c += FL_NORM_CHUNK) {
        chunk k = chunk_of(task, c, by_batch);
        fl_norm_apply(&k.part, &k.coefs);
    }
}

/* ---- backward ---- */

static void batchnorm_backward_sums(const fl_task *task)
{
    const lane_sums s = sums_of(task, task->lane);
    for (uint32_t c = 0; c < task->x_shape.channels; c += FL_NORM_CHUNK) {
        chunk k = chunk_of(task, c, true);
        fl_norm_sums sums;
        fl_norm_act_grad(&k.part, &k.coefs);
        fl_norm_add_up(&sums, &k.part, &k.coefs);
        for (uint32_t i = 0; i < k.part.count; i++) {
            s.sum[c + i] = (float)sums.sum[i];
            s.product[c + i] = (float)sums.product[i];
        }
    }
}

// This lane's part of the parameters' gradients.
static void add_param_grads(const fl_task *task, const chunk *k,
                            const fl_norm_sums *sums)
{
    for (uint32_t i = 0; i < k->part.count; i++) {
        const uint32_t c = k->part.first + i;
        if (task->bias_grad) task->bias_grad[c] += (float)sums->sum[i];
        if (!task->weight_grad) continue;
        task->weight_grad[c] += (float)(sums->product[i] * k->inverse[i]);
    }
}

// How the batch's mean and variance answer to each x.
static void set_reaction(chunk *k, const fl_task *task)
{
    for (uint32_t i = 0; i < k->part.count; i++) {
        double sum = 0.0, product = 0.0;
        for (uint32_t lane = 0; lane < task->lane_count; lane++) {
            const lane_sums s = sums_of(task, lane);
            sum += (double)s.sum[k->part.first + i];
            product += (double)s.product[k->part.first + i];
        }
        const double scale = (double)k->coefs.scale[i] / k->count;
        const double inverse = k->inverse[i];
        k->coefs.offset[i] = (float)(-scale * sum);
        k->coefs.slope[i] = (float)(-scale * inverse * inverse * product);
    }
}

static void backward_by_batch(const fl_task *task, chunk *k)
{
    const lane_sums s = sums_of(task, task->lane);
    fl_norm_sums sums;
    for (uint32_t i = 0; i < k->part.count; i++) {
        sums.sum[i] = (double)s.sum[k->part.first + i];
        sums.product[i] = (double)s.product[k->part.first + i];
    }
    add_param_grads(task, k, &sums);
    set_reaction(k, task);
}

static void backward_by_stats(const fl_task *task, chunk *k)
{
    fl_norm_sums sums;
    fl_norm_act_grad(&k->part, &k->coefs);
    if (!task->weight_grad && !task->bias_grad) return;
    fl_norm_add_up(&sums, &k->part, &k->coefs);
    add_param_grads(task, k, &sums);
}

// The variance of the population, of which the batch is a sample.
static void set_stats(const fl_task *task)
{
    const uint32_t channels = task->x_shape.channels;
    for (uint32_t c = 0; c < channels; c++) {
        const fl_norm_moments m = moments_of(task, c);
        const double freedom = m.count > 1.0 ? m.count - 1.0 : 1.0;
        task->stats_grad[c] = (float)m.mean;
        task->stats_grad[channels + c] = (float)(m.squares / freedom);
    }
}

static void batchnorm_backward(const fl_task *task)
{
    for (uint32_t c = 0; c < task->x_shape.channels; c += FL_NORM_CHUNK) {
        chunk k = chunk_of(task, c, !task->uses_stats);
        if (task->uses_stats) {
            backward_by_stats(task, &k);
        } else {
            backward_by_batch(task, &k);
        }
        if (task->dx[0]) fl_norm_grad(&k.part, &k.coefs);
    }
    if (task->stats_grad) set_stats(task);
}

const fl_op fl_batchnorm_op = {
    .input_count = 1,
    .takes_act = FL_FUSE_ANY,
    .reads_input = true,
    .is_cheap = true,
    .shape = batchnorm_shape,
    .memory = batchnorm_memory,
    .forward_sums = batchnorm_forward_sums,
    .backward_sums = batchnorm_backward_sums,
    .forward = batchnorm_forward,
    .backward = batchnorm_backward,
};
