/*
 * What a step does to the parameters, as PyTorch defines it. With g the
 * gradient of the loss, made shorter when it is longer than clip_norm, and
 * with what FedProx (Li et al. 2020, equation 2) and SCAFFOLD (Karimireddy
 * et al. 2020, algorithm 1) add to it:
 *
 *   SGD    g += weight_decay * p;  v = momentum * v + g
 *          p -= lr * v, Nesterov: lr * (g + momentum * v)
 *   Adam   g += weight_decay * p
 *          m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2
 *          p -= lr * m' / (sqrt(v') + epsilon), m' = m / (1 - beta1^t),
 *          v' = v / (1 - beta2^t), t the step from 1 (Kingma and Ba 2015)
 *   AdamW  p -= lr * weight_decay * p instead (Loshchilov and Hutter 2019)
 *
 * Clipping comes first, so that SCAFFOLD's variates are means of gradients
 * as clipped, and its correction is not cut off.
 *
 * Weights that a mask takes out have no gradient, so that they count in no
 * norm, and are set to 0 after each step, whatever decay, FedProx or SCAFFOLD
 * would have done to them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_OPTIMIZER_H
#define FL_MODEL_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/kernels/kernels.h"
#include "model/model.h"

/* Zeroed, it is empty. Arrays have one float a parameter. */
typedef struct {
    float *first;   // SGD: v; Adam: m
    float *second;  // Adam: v; NULL until a run needs it
    float *start;   // FedProx: the run's first parameters; NULL as well
} fl_optimizer;

/*
 * Begins a run: allocates what `options` need and earlier runs did not, and
 * forgets what those have learned about gradients. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_optimizer_start(fl_optimizer *optimizer, const float *params,
                                   size_t param_count,
                                   const fl_train_options *options,
                                   fl_reason *why);

/* Frees the arrays. Accepts a zeroed one. */
void fl_optimizer_fini(fl_optimizer *optimizer);

/* The learning rate of a step, counted from 0. */
float fl_optimizer_rate(const fl_train_options *options, uint64_t step);

/*
 * What a gradient is multiplied by so that its norm is at most clip_norm,
 * given the sum of its squares: clip_norm / (norm + 1e-6), or 1. clip_norm
 * 0: always 1.
 */
float fl_optimizer_clip(double squares, float clip_norm);

/* The update of step `step`, from 0, of all parameters. */
fl_update fl_optimizer_update(const fl_optimizer *optimizer,
                              const fl_train_options *options, uint64_t step);

/* The part of an update that is about `count` parameters from `at` on. */
fl_update fl_optimizer_slice(const fl_update *update, size_t at, size_t count);

/* Zeros where the mask is false. */
void fl_optimizer_mask(float *values, const bool *mask, size_t count);

/* Carries it out; what is masked is 0 after it. False: a parameter is NaN or
 * infinite now. */
bool fl_optimizer_apply(const fl_kernels *kernels, const fl_update *update);

#endif
