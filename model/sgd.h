/*
 * Stochastic gradient descent, as PyTorch defines it:
 *
 *   g *= clip_norm / (|g| + 1e-6)      when |g| > clip_norm
 *   v  = momentum * v + g + weight_decay * p
 *   p -= lr(step) * v
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_SGD_H
#define FL_MODEL_SGD_H

#include <stdint.h>

#include "model/model.h"

/* The learning rate of a step, counted from 0. */
float fl_sgd_rate(const fl_train_options *options, uint64_t step);

/*
 * What a gradient is multiplied by so that its norm is at most clip_norm,
 * given the sum of its squares.
 */
float fl_sgd_clip(double squares, float clip_norm);

#endif
