/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "model/loss.h"

static uint32_t largest(const float *logits, uint32_t class_count)
{
    uint32_t best = 0;
    for (uint32_t c = 1; c < class_count; c++) {
        if (logits[c] > logits[best]) best = c;
    }
    return best;
}

// grad = powers * factor - scale * target
static void finish_gradient(float *grad, uint32_t class_count, uint32_t label,
                            float factor, float scale, float smoothing)
{
    const float share = scale * smoothing / (float)class_count;
    for (uint32_t c = 0; c < class_count; c++) {
        grad[c] = grad[c] * factor - share;
    }
    grad[label] -= scale * (1.0F - smoothing);
}

// One example; shifting by the largest logit keeps expf from overflowing.
static double example_loss(float *grad, const float *logits, uint32_t label,
                           float max, float scale, uint32_t class_count,
                           float smoothing)
{
    double powers = 0.0, shifts = 0.0;
    for (uint32_t c = 0; c < class_count; c++) {
        const float shifted = logits[c] - max, power = expf(shifted);
        if (grad) grad[c] = power;
        powers += (double)power;
        shifts += (double)shifted;
    }
    if (grad) {
        finish_gradient(grad, class_count, label,
                        (float)((double)scale / powers), scale, smoothing);
    }
    const double hit = log(powers) - (double)(logits[label] - max);
    if (smoothing == 0.0F) return hit;
    const double spread = log(powers) - shifts / class_count;
    return (1.0 - (double)smoothing) * hit + (double)smoothing * spread;
}

double fl_loss_softmax(uint64_t *correct_count, const fl_loss_batch *batch,
                       float label_smoothing)
{
    const float scale = 1.0F / (float)batch->count;
    const float *logits = batch->outputs;
    float *grad = batch->grad;
    double sum = 0.0;
    for (uint32_t i = 0; i < batch->count; i++) {
        const uint32_t best = largest(logits, batch->width);
        sum += example_loss(grad, logits, batch->labels[i], logits[best], scale,
                            batch->width, label_smoothing);
        if (best == batch->labels[i]) (*correct_count)++;
        logits += batch->width;
        if (grad) grad += batch->width;
    }
    return sum;
}
