/*
 * The model that clients hold lives on a grid: every parameter is a multiple
 * of its tensor's step. The aggregator's own model, the master, is what all
 * updates have added up to; each round the coordinates where the two differ
 * most move to the multiple nearest to the master. What is left is the
 * aggregator's residual: nothing is lost, it only comes later.
 *
 *   master += mean of the updates
 *   grid moves k coordinates ---> published model, a sparse difference
 *
 * Steps belong to a federation for life: a share of the root mean square of
 * each weight tensor of the first model; of biases, norms and statistics what
 * fl_grid_new says.
 *
 * Pure but for fl_grid_new's memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_GRID_H
#define FL_COMPRESS_GRID_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/model.h"

typedef struct fl_grid fl_grid;

enum { FL_GRID_MULTIPLE_MAX = 32767 };  // largest |multiple|

/*
 * The grid for a model whose first parameters are `model`'s. `relative` > 0 is
 * the step of a weight tensor in units of its root mean square; a tensor of
 * zeros, a bias or norm parameter has the step relative / 64, a statistic one
 * of relative / 256. Tensors as fl_model_tensor lists them. The caller owns
 * *grid: fl_grid_free. FL_ERR_RANGE: relative is not above 0 and at most 1.
 */
FL_CHECK fl_err fl_grid_new(fl_grid **grid, const fl_model *model,
                            double relative, fl_reason *why);

/* With known steps, one a tensor: FL_ERR_RANGE: not the model's number of
 * tensors, or one is not finite and above 0. */
FL_CHECK fl_err fl_grid_restore(fl_grid **grid, const fl_model *model,
                                const float *steps, size_t step_count,
                                fl_reason *why);

/* Accepts NULL. */
void fl_grid_free(fl_grid *grid);

/* One a tensor, in the order of fl_model_tensor. */
const float *fl_grid_steps(const fl_grid *grid, size_t *count);

/* Every parameter to the nearest multiple. */
void fl_grid_snap(const fl_grid *grid, float *params);

/*
 * Moves at most `count` coordinates of `published`, those where |master -
 * published| is largest (the lower index first among equals) and not within
 * half a step, to the multiple nearest to the master. Statistics move all, and
 * do not count. Returns how many have moved. `scratch` has a float a
 * parameter. Both arrays have fl_model_param_count floats, `published` is on
 * the grid.
 */
size_t fl_grid_release(const fl_grid *grid, float *published,
                       const float *master, size_t count, float *scratch);

#endif
