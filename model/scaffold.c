/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"
#include "model/optimizer.h"

/*
 * How far the steps carry a constant gradient of 1. The velocity grows to
 * `speed` = 1 + momentum + momentum^2 + ..., one term a step.
 */
static double reach_of(const fl_train_options *options, uint64_t step_count)
{
    const double momentum = (double)options->momentum;
    double speed = 0.0, reach = 0.0;
    for (uint64_t step = 0; step < step_count; step++) {
        speed = momentum * speed + 1.0;
        const double stride =
            options->nesterov ? 1.0 + momentum * speed : speed;
        reach += (double)fl_optimizer_rate(options, step) * stride;
    }
    return reach;
}

static double at_or_zero(const float *array, size_t i)
{
    return array ? (double)array[i] : 0.0;
}

void fl_scaffold_update(float *control_local, const float *start,
                        const float *params, size_t param_count,
                        const fl_train_options *options, uint64_t step_count)
{
    const double reach = reach_of(options, step_count);
    for (size_t i = 0; i < param_count; i++) {
        double control = at_or_zero(options->control_local, i);
        if (reach > 0.0) {
            const double way = (double)start[i] - (double)params[i];
            control += way / reach - at_or_zero(options->control_global, i);
        }
        control_local[i] = (float)control;
    }
}
