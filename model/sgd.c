/* SPDX-License-Identifier: Apache-2.0 */
#include "model/sgd.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

float fl_sgd_rate(const fl_train_options *options, uint64_t step)
{
    const double lr = (double)options->lr;
    const uint32_t steps = options->schedule_steps;
    switch (options->schedule) {
    case FL_SCHEDULE_CONSTANT: break;
    case FL_SCHEDULE_COSINE:
        if (step >= steps) return 0.0F;
        return (float)(lr * 0.5 * (1.0 + cos(PI * (double)step / steps)));
    case FL_SCHEDULE_STEP: {
        const uint64_t times = step / steps;
        return (float)(lr *
                       pow((double)options->schedule_factor, (double)times));
    }
    }
    return options->lr;
}

float fl_sgd_clip(double squares, float clip_norm)
{
    const double norm = sqrt(squares);
    if (norm <= (double)clip_norm) return 1.0F;
    return (float)((double)clip_norm / (norm + 1e-6));
}
