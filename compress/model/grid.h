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

/* Largest |multiple|: running variances of some hundreds have fine steps. */
enum { FL_GRID_MULTIPLE_MAX = (1 << 22) - 1 };

/*
 * A step is within these, so that no multiple overflows. Both sides compute
 * a value as fl_grid_value does, in float; the multiple is the nearest one,
 * the even one of two, in double, which finds it again exactly.
 */
#define FL_GRID_STEP_MIN 0x1p-100F
#define FL_GRID_STEP_MAX 0x1p100F

static inline float fl_grid_value(int32_t multiple, float step)
{
    return (float)multiple * step;
}

static inline int32_t fl_grid_multiple(float value, float step)
{
    const double most = FL_GRID_MULTIPLE_MAX;
    const double round = 0x1.8p52;  // above it there are whole numbers only
    const double ratio = (double)value / (double)step;
    if (!(ratio < most)) return FL_GRID_MULTIPLE_MAX;
    if (ratio <= -most) return -FL_GRID_MULTIPLE_MAX;
    return (int32_t)(ratio + round - round);
}

/*
 * The grid for a model whose first parameters are `model`'s. `relative` > 0 is
 * the step of a weight tensor in units of its root mean square; a tensor of
 * zeros, a bias or norm parameter has the step relative / 256, a statistic one
 * of relative / 1024. Tensors as fl_model_tensor lists them. The caller owns
 * *grid: fl_grid_free. FL_ERR_RANGE: relative is not above 0 and at most 1, or
 * a tensor needs a step above FL_GRID_STEP_MAX. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_grid_new(fl_grid **grid, const fl_model *model,
                            double relative, fl_reason *why);

/*
 * With known steps, one a tensor. FL_ERR_RANGE: not the model's number of
 * tensors, or one is not within FL_GRID_STEP_MIN and _MAX. FL_ERR_MEMORY.
 */
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
 * do not count. Returns how many others have moved. `scratch` has a float a
 * parameter. Both arrays have fl_model_param_count finite floats, `published`
 * is on the grid.
 */
size_t fl_grid_release(const fl_grid *grid, float *published,
                       const float *master, size_t count, float *scratch);

#endif
