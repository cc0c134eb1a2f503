/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/slim.h"

#include <stdlib.h>
#include <string.h>

#include "compress/model/latency.h"

fl_model_cost fl_slim_cost(const fl_model *model)
{
    fl_model_cost cost = {.param_count = fl_model_param_count(model)};
    for (uint32_t i = 0; i < fl_model_layer_count(model); i++) {
        cost.mac_count += fl_model_layer(model, i).mac_count;
    }
    return cost;
}

static fl_err no_memory(fl_reason *why, const fl_channels *channels)
{
    return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu channels",
                         fl_channels_count(channels));
}

/* ---- what stays ---- */

static fl_err choose(bool *keep, const double *scores, const fl_model *model,
                     const fl_channels *channels,
                     const fl_slim_options *options, fl_reason *why)
{
    fl_prune_options choosing = options->choosing;
    if (choosing.cost != FL_PRUNE_LATENCY) {
        return fl_prune_choose(keep, channels, scores, &choosing, why);
    }
    double *ns = malloc((fl_channels_group_count(channels) + 1) * sizeof *ns);
    if (!ns) return no_memory(why, channels);
    choosing.latency = ns;
    fl_err err =
        fl_latency_groups(ns, model, channels, options->data.stop, why);
    if (!err) err = fl_prune_choose(keep, channels, scores, &choosing, why);
    free(ns);
    return err;
}

static fl_err score_and_choose(bool *keep, const fl_model *model,
                               const fl_channels *channels,
                               const fl_slim_options *options, fl_reason *why)
{
    double *scores = malloc((fl_channels_count(channels) + 1) * sizeof *scores);
    if (!scores) return no_memory(why, channels);
    fl_err err =
        fl_importance_channels(scores, NULL, model, channels,
                               options->importance, &options->data, why);
    if (!err) err = choose(keep, scores, model, channels, options, why);
    free(scores);
    return err;
}

/* ---- removal ---- */

static bool is_all(const bool *keep, size_t count)
{
    size_t kept = 0;
    while (kept < count && keep[kept]) {
        kept++;
    }
    return kept == count;
}

static fl_err shrink(fl_model **smaller, bool *keep, const fl_model *model,
                     const fl_channels *channels,
                     const fl_slim_options *options, fl_reason *why)
{
    *smaller = NULL;
    FL_TRY(score_and_choose(keep, model, channels, options, why));
    if (is_all(keep, fl_channels_count(channels))) return FL_OK;
    return fl_model_shrink(smaller, NULL, model, channels, keep, why);
}

fl_err fl_slim_model(fl_model **smaller, bool *keep, const fl_model *model,
                     const fl_slim_options *options, fl_reason *why)
{
    fl_channels *channels = NULL;
    FL_TRY(fl_channels_new(&channels, model, why));
    bool *own = keep ? NULL : calloc(fl_channels_count(channels) + 1, 1);
    if (!keep) keep = own;
    const fl_err err =
        keep ? shrink(smaller, keep, model, channels, options, why)
             : no_memory(why, channels);
    free(own);
    fl_channels_free(channels);
    return err;
}

fl_err fl_slim_copy(fl_model **copy, const fl_model *model, fl_reason *why)
{
    fl_channels *channels = NULL;
    FL_TRY(fl_channels_new(&channels, model, why));
    const size_t count = fl_channels_count(channels);
    bool *keep = malloc(count + 1);
    fl_err err = FL_ERR_MEMORY;
    if (keep) {
        memset(keep, true, count);
        err = fl_model_shrink(copy, NULL, model, channels, keep, why);
    } else {
        (void)!no_memory(why, channels);
    }
    free(keep);
    fl_channels_free(channels);
    return err;
}
