/*
 * Which channels to remove: those that matter least for what they cost.
 *
 * Channels leave a group in bundles, so that what is left stays a multiple of
 * a number that kernels like. The bundle of a group that goes next is that of
 * its least important channels; of all groups' bundles the one goes whose
 * importance, divided by what removing it saves now, is least. Saving is worked
 * out anew after each bundle: a layer costs the less the fewer channels the
 * one before it has left.
 *
 * Pure functions; the same arguments give the same mask on every CPU.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_PRUNE_H
#define FL_COMPRESS_PRUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/model.h"

typedef enum {
    FL_PRUNE_PARAMS,   // parameters, and so bytes
    FL_PRUNE_MACS,     // multiplications
    FL_PRUNE_LATENCY,  // as measured by the caller
} fl_prune_cost;

typedef struct {
    fl_prune_cost cost;
    double remove;      // share of the model's cost, 0 to below 1
    uint32_t multiple;  // channels kept of a group; 0: 8. A group of fewer
                        // than two bundles stays as it is, and 2 always stay
    double keep_min;    // share of each group's channels that stays, at least
    const double *latency;  // LATENCY: what a channel of each group takes now,
                            // any unit; else ignored
} fl_prune_options;

/*
 * keep[0..fl_channels_count): what is left when at least the share `remove` of
 * the cost has gone, or nothing more can. `scores` as fl_importance_channels
 * has them. FL_ERR_RANGE: an option, or a score that is no number.
 * FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_prune_choose(bool *keep, const fl_channels *channels,
                                const double *scores,
                                const fl_prune_options *options,
                                fl_reason *why);

#endif
