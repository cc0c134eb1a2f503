/*
 * Weights that are zero: which ones, and how many at which step.
 *
 * Only the weights of convolutions and dense layers are pruned; biases, norms
 * and statistics are few and stay. A weight that has gone does not come back.
 *
 *   magnitude  |w| (Han et al. 2015)
 *   fisher     the mean squared gradient, as fl_importance_weights has it
 *   obd        fisher * w^2 / 2: how much the loss rises (LeCun et al. 1990,
 *              equation 5)
 *
 * Pure but for the memory that a ranking takes; the same arguments give the
 * same mask on every CPU. Equal scores: the one that comes first goes first.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_SPARSITY_H
#define FL_COMPRESS_SPARSITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/model.h"

typedef enum {
    FL_SPARSITY_MAGNITUDE,
    FL_SPARSITY_FISHER,
    FL_SPARSITY_OBD,
} fl_sparsity_score;

/*
 * The share that is zero after `step` of `step_count` steps of pruning (Zhu
 * and Gupta 2017, equation 1): from 0, fast at first, to `target`, where it
 * stays.
 */
double fl_sparsity_at(double target, uint64_t step, uint64_t step_count);

/*
 * scores[0..fl_model_param_count), low goes first. `fisher`, a double a
 * parameter, is not read for MAGNITUDE.
 */
void fl_sparsity_scores(double *scores, const fl_model *model,
                        fl_sparsity_score kind, const double *fisher);

/*
 * Clears mask[i] of the weights that score lowest, until at least `share`
 * (0 to below 1) of all weights is cleared; with `by_layer` of each layer's.
 * What is cleared already counts. FL_ERR_RANGE: the share, or a score that is
 * no number. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_sparsity_mask(bool *mask, const fl_model *model,
                                 const double *scores, double share,
                                 bool by_layer, fl_reason *why);

/* Sets the parameters to 0 where the mask is false. */
void fl_sparsity_apply(fl_model *model, const bool *mask);

/* Of the weights that can be pruned, how many there are and how many are 0. */
typedef struct {
    size_t weight_count, zero_count;
} fl_sparsity;

fl_sparsity fl_sparsity_of(const fl_model *model);

#endif
