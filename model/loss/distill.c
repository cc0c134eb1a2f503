/*
 * Learning from a teacher. With p and q the softmax of the student's and the
 * teacher's logits over T, the gradient of T^2 * KL(q || p) with respect to a
 * logit of the student is T * (p - q): as large as that of the labels' loss
 * whatever T is (Hinton et al. 2015, equation 2).
 *
 * Embeddings are no logits, and where they lie is all that they say: the
 * student is drawn to where the teacher puts an example (Romero et al. 2015,
 * equation 3, without a regressor since both have the same width).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "model/loss.h"

// log(sum(exp(logits / T))) of one example, and the logit it is shifted by.
typedef struct {
    double shift, log_sum, temperature;
} softened;

static softened soften(const float *logits, uint32_t width, float temperature)
{
    softened s = {(double)logits[0], 0.0, (double)temperature};
    for (uint32_t c = 1; c < width; c++) {
        s.shift = fmax(s.shift, (double)logits[c]);
    }
    double sum = exp(((double)logits[0] - s.shift) / s.temperature);
    for (uint32_t c = 1; c < width; c++) {
        sum += exp(((double)logits[c] - s.shift) / s.temperature);
    }
    s.log_sum = log(sum);
    return s;
}

static double log_share(const softened *s, float logit)
{
    return ((double)logit - s->shift) / s->temperature - s->log_sum;
}

// KL of one example; `grad` is that of the labels, N the batch.
static double example_loss(float *grad, const float *student,
                           const float *teacher, uint32_t width, float weight,
                           float temperature, uint32_t batch_count)
{
    const softened of_student = soften(student, width, temperature);
    const softened of_teacher = soften(teacher, width, temperature);
    const double label_share = 1.0 - (double)weight;
    const double scale =
        (double)weight * (double)temperature / (double)batch_count;
    double divergence = 0.0;
    for (uint32_t c = 0; c < width; c++) {
        const double log_p = log_share(&of_student, student[c]);
        const double log_q = log_share(&of_teacher, teacher[c]);
        const double p = exp(log_p), q = exp(log_q);
        divergence += q * (log_q - log_p);
        if (!grad) continue;
        grad[c] = (float)(label_share * (double)grad[c] + scale * (p - q));
    }
    return divergence;
}

double fl_loss_distill(double label_loss, const fl_loss_batch *batch,
                       float weight, float temperature)
{
    const float *student = batch->outputs, *teacher = batch->teacher;
    float *grad = batch->grad;
    double divergence = 0.0;
    for (uint32_t i = 0; i < batch->count; i++) {
        divergence += example_loss(grad, student, teacher, batch->width, weight,
                                   temperature, batch->count);
        student += batch->width;
        teacher += batch->width;
        if (grad) grad += batch->width;
    }
    const double a = (double)weight, t = (double)temperature;
    return (1.0 - a) * label_loss + a * t * t * divergence;
}

/* ---- embeddings ---- */

double fl_loss_match(double label_loss, const fl_loss_batch *batch,
                     float weight)
{
    const size_t size = (size_t)batch->count * batch->width;
    const double label_share = 1.0 - (double)weight;
    const double scale = 2.0 * (double)weight / (double)batch->count;
    double squares = 0.0;
    for (size_t k = 0; k < size; k++) {
        const double way =
            (double)batch->outputs[k] - (double)batch->teacher[k];
        squares += way * way;
        if (!batch->grad) continue;
        batch->grad[k] =
            (float)(label_share * (double)batch->grad[k] + scale * way);
    }
    return label_share * label_loss + (double)weight * squares;
}
