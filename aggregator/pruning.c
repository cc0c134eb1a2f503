/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/pruning.h"

#include <math.h>
#include <stdlib.h>

static const double KEEP_MIN = 0.1;  // of each group's channels

static fl_err no_memory(fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_MEMORY, "no memory to prune");
}

// With keep NULL: all of them.
static fl_err get_kept_cost(fl_model_cost *cost, const fl_channels *channels,
                            const bool *keep, fl_reason *why)
{
    const uint32_t count = fl_channels_group_count(channels);
    uint32_t *kept = calloc((size_t)count + 1, sizeof *kept);
    if (!kept) return no_memory(why);
    for (uint32_t i = 0; i < count; i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        for (uint32_t c = 0; c < group.count; c++) {
            kept[i] += !keep || keep[group.first + c];
        }
    }
    *cost = fl_channels_cost(channels, kept);
    free(kept);
    return FL_OK;
}

fl_err fl_pruning_cost(fl_model_cost *cost, const fl_channels *channels,
                       fl_reason *why)
{
    return get_kept_cost(cost, channels, NULL, why);
}

static bool is_whole(const fl_channels *channels, const bool *keep)
{
    for (size_t c = 0; c < fl_channels_count(channels); c++) {
        if (!keep[c]) return false;
    }
    return true;
}

static double number(const fl_pruning_options *options,
                     const fl_model_cost *cost)
{
    return options->cost == FL_PRUNE_MACS ? (double)cost->mac_count
                                          : (double)cost->param_count;
}

fl_err fl_pruning_step(bool **keep, bool *is_last, const fl_channels *channels,
                       const double *scores, const fl_pruning_options *options,
                       fl_reason *why)
{
    fl_model_cost whole = {.param_count = 0}, left = {.param_count = 0};
    FL_TRY(get_kept_cost(&whole, channels, NULL, why));
    const double first = number(options, &options->first);
    const double now = number(options, &whole);
    const double least = first * (1.0 - options->prune);
    const double goal = fmax(now - first * options->step, least);
    const fl_prune_options prune = {
        .cost = options->cost,
        .remove = now > goal ? 1.0 - goal / now : 0.0,
        .multiple = options->multiple,
        .keep_min = KEEP_MIN,
    };
    bool *chosen = malloc(fl_channels_count(channels) * sizeof *chosen + 1);
    if (!chosen) return no_memory(why);
    fl_err err = fl_prune_choose(chosen, channels, scores, &prune, why);
    if (!err) err = get_kept_cost(&left, channels, chosen, why);
    if (err || is_whole(channels, chosen)) {
        free(chosen);
        *keep = NULL;
        *is_last = true;
        return err;
    }
    const double then = number(options, &left);
    *keep = chosen;
    // Short of the goal: nothing more could go. Half a parameter is rounding.
    *is_last = then <= least + 0.5 || then > goal + 0.5;
    return FL_OK;
}
