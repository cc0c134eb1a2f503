/* SPDX-License-Identifier: Apache-2.0 */
#include "model/loss.h"

#include <math.h>

static uint32_t largest(const float *logits, uint32_t class_count)
{
    uint32_t best = 0;
    for (uint32_t c = 1; c < class_count; c++) {
        if (logits[c] > logits[best]) best = c;
    }
    return best;
}

// One example; shifting by the largest logit keeps expf from overflowing.
static double example_loss(float *grad, const float *logits, uint32_t label,
                           float max, float scale, uint32_t class_count)
{
    double sum = 0.0;
    for (uint32_t c = 0; c < class_count; c++) {
        const float power = expf(logits[c] - max);
        if (grad) grad[c] = power;
        sum += (double)power;
    }
    if (grad) {
        const float factor = (float)((double)scale / sum);
        for (uint32_t c = 0; c < class_count; c++) {
            grad[c] *= factor;
        }
        grad[label] -= scale;
    }
    return log(sum) - (double)(logits[label] - max);
}

double fl_loss_add(fl_metrics *metrics, float *grad, const float *logits,
                   const uint32_t *labels, uint32_t count, uint32_t class_count)
{
    const float scale = 1.0F / (float)count;
    double sum = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t best = largest(logits, class_count);
        sum += example_loss(grad, logits, labels[i], logits[best], scale,
                            class_count);
        if (best == labels[i]) metrics->correct_count++;
        logits += class_count;
        if (grad) grad += class_count;
    }
    metrics->sample_count += count;
    metrics->loss_sum += sum;
    return sum;
}
