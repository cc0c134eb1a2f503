/*
 * Softmax cross-entropy, with the gradient of its mean over a batch.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_LOSS_H
#define FL_MODEL_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

/*
 * logits (count, class_count), labels (count) below class_count. Adds to
 * *metrics and returns the sum of the losses; NaN or infinite when a logit
 * is. grad (count, class_count) = d(mean loss) / d(logits); NULL: not wanted.
 */
double fl_loss_add(fl_metrics *metrics, float *grad, const float *logits,
                   const uint32_t *labels, uint32_t count,
                   uint32_t class_count);

#endif
