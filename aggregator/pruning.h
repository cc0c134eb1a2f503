/*
 * One step of pruning: which channels go now.
 *
 * Pure functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_PRUNING_H
#define FL_AGGREGATOR_PRUNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "compress/compress.h"
#include "model/model.h"

/* What the whole model costs. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_pruning_cost(fl_model_cost *cost,
                                const fl_channels *channels, fl_reason *why);

typedef struct {
    fl_prune_cost cost;   // PARAMS or MACS
    fl_model_cost first;  // of the model that pruning began with
    double prune, step;   // shares of it that go in all, and now
    uint32_t multiple;
} fl_pruning_options;

/*
 * What stays after a step; *is_last: no more can or need go after it.
 * The caller frees *keep; NULL: nothing can go. FL_ERR_RANGE: as of
 * fl_prune_choose. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_pruning_step(bool **keep, bool *is_last,
                                const fl_channels *channels,
                                const double *scores,
                                const fl_pruning_options *options,
                                fl_reason *why);

#endif
