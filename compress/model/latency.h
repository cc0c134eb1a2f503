/*
 * What a channel costs in time, on this machine: the network runs whole and
 * with half of a group's channels, layer by layer, and the fastest of many runs
 * of each layer counts. So it is known that a layer whose kernel works on
 * sixteen channels at once gains nothing from fifteen.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_LATENCY_H
#define FL_COMPRESS_LATENCY_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/model.h"

/*
 * ns[0..fl_channels_group_count): nanoseconds that a channel of each group
 * takes in float32, one example at a time; 0 where half of them take no less.
 * FL_ERR_CANCELLED: *stop was set (NULL: it never is). FL_ERR_MEMORY, and those
 * of fl_runner_new.
 */
FL_CHECK fl_err fl_latency_groups(double *ns, const fl_model *model,
                                  const fl_channels *channels,
                                  const atomic_bool *stop, fl_reason *why);

/*
 * Nanoseconds of one example: each step's fastest run of at most `run_count`,
 * at least 1, added up. Less than what a call takes, but the same again.
 */
FL_CHECK fl_err fl_latency_runner(double *ns, fl_runner *runner,
                                  uint32_t run_count, fl_reason *why);

#endif
