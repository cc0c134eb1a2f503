/* SPDX-License-Identifier: Apache-2.0 */
#include "model/loss.h"

static double of_labels(uint64_t *correct_count, const fl_loss *loss,
                        const fl_loss_batch *batch)
{
    switch (loss->kind) {
    case FL_LOSS_CONTRASTIVE:
        return fl_loss_contrastive(correct_count, batch, loss->margin);
    case FL_LOSS_TRIPLET:
        return fl_loss_triplet(correct_count, batch, loss->margin);
    case FL_LOSS_SOFTMAX: break;
    }
    return fl_loss_softmax(correct_count, batch, loss->label_smoothing);
}

static double value_of(uint64_t *correct_count, const fl_loss *loss,
                       const fl_loss_batch *batch)
{
    const fl_teacher *teacher = &loss->teacher;
    const double sum = of_labels(correct_count, loss, batch);
    if (!batch->teacher) return sum;
    if (loss->kind != FL_LOSS_SOFTMAX) {
        return fl_loss_match(sum, batch, teacher->weight);
    }
    return fl_loss_distill(sum, batch, teacher->weight, teacher->temperature);
}

double fl_loss_add(fl_metrics *metrics, const fl_loss *loss,
                   const fl_loss_batch *batch)
{
    const double sum = value_of(&metrics->correct_count, loss, batch);
    metrics->sample_count += batch->count;
    metrics->loss_sum += sum;
    return sum;
}
