/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/latency.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { RUNS = 50, RUNS_LEAST = 3 };
static const int64_t LONG_ENOUGH_NS = 300000000;  // for one network

/* ---- one network ---- */

typedef struct {
    float *x, *logits;
    uint64_t *now, *least;  // of each step
} buffers;

static void run_often(const buffers *b, fl_runner *runner, uint32_t run_count)
{
    const uint32_t steps = fl_runner_step_count(runner);
    const int64_t start_ns = fl_clock_monotonic_ns();
    for (uint32_t i = 0; i < run_count; i++) {
        memset(b->now, 0, steps * sizeof *b->now);
        // One example always fits.
        (void)!fl_runner_profile(runner, b->logits, b->x, 1, b->now);
        for (uint32_t s = 0; s < steps; s++) {
            if (i == 0 || b->now[s] < b->least[s]) b->least[s] = b->now[s];
        }
        const int64_t taken_ns = fl_clock_monotonic_ns() - start_ns;
        if (i + 1 >= RUNS_LEAST && taken_ns > LONG_ENOUGH_NS) return;
    }
}

fl_err fl_latency_runner(double *ns, fl_runner *runner, uint32_t run_count,
                         fl_reason *why)
{
    const uint32_t steps = fl_runner_step_count(runner);
    const buffers b = {
        .x = calloc(fl_shape_size(fl_runner_input(runner)), sizeof(float)),
        .logits = calloc(fl_runner_class_count(runner), sizeof(float)),
        .now = calloc(steps + 1, sizeof(uint64_t)),
        .least = calloc(steps + 1, sizeof(uint64_t)),
    };
    const bool is_whole = b.x && b.logits && b.now && b.least;
    *ns = 0.0;
    if (is_whole) {
        run_often(&b, runner, run_count);
        for (uint32_t s = 0; s < steps; s++) {
            *ns += (double)b.least[s];
        }
    }
    free(b.x);
    free(b.logits);
    free(b.now);
    free(b.least);
    if (is_whole) return FL_OK;
    return fl_reason_set(why, FL_ERR_MEMORY, "no memory for an example");
}

static fl_err time_model(double *ns, const fl_model *model, fl_reason *why)
{
    fl_runner *runner = NULL;
    FL_TRY(fl_runner_new(&runner, model, 1, why));
    const fl_err err = fl_latency_runner(ns, runner, RUNS, why);
    fl_runner_free(runner);
    return err;
}

/* ---- every group ---- */

// With only the first half of a group.
static fl_err time_half(double *ns, bool *keep, const fl_model *model,
                        const fl_channels *channels, fl_channel_group group,
                        fl_reason *why)
{
    fl_model *half = NULL;
    memset(keep, true, fl_channels_count(channels));
    memset(keep + group.first + group.count - group.count / 2, false,
           group.count / 2);
    FL_TRY(fl_model_shrink(&half, NULL, model, channels, keep, why));
    const fl_err err = time_model(ns, half, why);
    fl_model_free(half);
    return err;
}

static fl_err time_groups(double *ns, bool *keep, const fl_model *model,
                          const fl_channels *channels, const atomic_bool *stop,
                          fl_reason *why)
{
    double whole_ns, half_ns;
    FL_TRY(time_model(&whole_ns, model, why));
    for (uint32_t i = 0; i < fl_channels_group_count(channels); i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        ns[i] = 0.0;
        if (group.count < 2) continue;
        if (stop && atomic_load(stop)) {
            return fl_reason_set(why, FL_ERR_CANCELLED, "stopped on request");
        }
        FL_TRY(time_half(&half_ns, keep, model, channels, group, why));
        const uint32_t removed = group.count / 2;
        if (half_ns < whole_ns) ns[i] = (whole_ns - half_ns) / removed;
    }
    return FL_OK;
}

fl_err fl_latency_groups(double *ns, const fl_model *model,
                         const fl_channels *channels, const atomic_bool *stop,
                         fl_reason *why)
{
    bool *keep = malloc(fl_channels_count(channels) + 1);
    if (!keep) return fl_reason_set(why, FL_ERR_MEMORY, "no memory for a mask");
    const fl_err err = time_groups(ns, keep, model, channels, stop, why);
    free(keep);
    return err;
}
