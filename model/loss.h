/*
 * What training minimises: the mean of a loss over a batch, and its gradient.
 *
 *   softmax      cross-entropy against (1 - s) * one-hot + s / classes, the
 *                smoothing of Szegedy et al. 2016, section 7
 *   distillation (1 - a) * softmax + a * T^2 * KL(teacher/T || student/T),
 *                Hinton, Vinyals and Dean 2015, section 2
 *                of embeddings (1 - a) * loss + a * |student - teacher|^2
 *   contrastive  Hadsell, Chopra and LeCun 2006, equation 4, over all pairs
 *   triplet      batch-hard, Hermans, Beyer and Leibe 2017, equation 5
 *
 * Values are summed in double. Nothing is allocated; the same batch gives the
 * same bits; callable from any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_LOSS_H
#define FL_MODEL_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

/* N examples, O outputs of each. */
typedef struct {
    const float *outputs;    // (N, O) logits or embeddings
    const float *teacher;    // (N, O) logits of the teacher; or NULL
    const uint32_t *labels;  // (N); SOFTMAX: below O
    uint32_t count, width;   // N, O
    float *grad;  // (N, O) = d(mean loss) / d(outputs); NULL: not wanted
} fl_loss_batch;

/*
 * Adds the batch to *metrics and returns mean loss * N; NaN or infinite when
 * an output is NaN or infinitely large. loss->teacher.trainer is not used:
 * its answers are in `batch`.
 */
double fl_loss_add(fl_metrics *metrics, const fl_loss *loss,
                   const fl_loss_batch *batch);

/* ---- the losses: mean * N, and the examples that are right ---- */

double fl_loss_softmax(uint64_t *correct_count, const fl_loss_batch *batch,
                       float label_smoothing);

/*
 * Mixes softmax's value `label_loss` and gradient, which are in place, with
 * the teacher's share; returns the sum.
 */
double fl_loss_distill(double label_loss, const fl_loss_batch *batch,
                       float weight, float temperature);

/*
 * The same for embeddings: the teacher's share is the mean over examples of
 * the squared distance to its embedding.
 */
double fl_loss_match(double label_loss, const fl_loss_batch *batch,
                     float weight);

/*
 * Mean over pairs: d^2 / 2 of one label, max(0, margin - d)^2 / 2 of two.
 * A batch of one has no pair and no loss.
 */
double fl_loss_contrastive(uint64_t *correct_count, const fl_loss_batch *batch,
                           float margin);

/*
 * Mean over anchors of max(0, margin + d(farthest of its label)
 * - d(nearest of another)). Anchors that lack one of the two do not count.
 */
double fl_loss_triplet(uint64_t *correct_count, const fl_loss_batch *batch,
                       float margin);

#endif
