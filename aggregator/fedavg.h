/*
 * Federated averaging (McMahan et al. 2017, algorithm 1): the mean of the
 * clients' updates, weighted by their numbers of examples.
 *
 * Values are turned into multiples of 2^-24 and summed as 64-bit integers, so
 * the mean is the same whatever the order, and cannot overflow:
 * |value| <= 2^6, weight <= 2^20, updates <= 2^12, and 24 + 6 + 20 + 12 < 63.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_FEDAVG_H
#define FL_AGGREGATOR_FEDAVG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"

enum {
    FL_FEDAVG_FRACTION_BITS = 24,
    FL_FEDAVG_VALUE_MAX = 1 << 6,
    FL_FEDAVG_WEIGHT_MAX = 1 << 20,
    FL_FEDAVG_UPDATES_MAX = 1 << 12,
};

typedef struct {
    int64_t *sums;  // param_count
    size_t param_count;
    uint64_t weight;
    uint32_t update_count;
} fl_fedavg;

/* All sums zero. */
FL_CHECK fl_err fl_fedavg_init(fl_fedavg *fedavg, size_t param_count);
void fl_fedavg_fini(fl_fedavg *fedavg);

/* Back to zero, for the next round. */
void fl_fedavg_reset(fl_fedavg *fedavg);

/*
 * Adds an update of param_count little-endian floats.
 * FL_ERR_FORMAT: not that many bytes. FL_ERR_RANGE: a value is NaN, infinite
 * or beyond the maximum, or the weight is (*why names the coordinate).
 * FL_ERR_LIMIT: too many updates. After an error the sums are unchanged.
 */
FL_CHECK fl_err fl_fedavg_add(fl_fedavg *fedavg, const uint8_t *update,
                              size_t update_len, uint64_t weight,
                              fl_reason *why);

/* params (param_count) += the mean. FL_ERR_STATE: nothing was added. */
FL_CHECK fl_err fl_fedavg_apply(const fl_fedavg *fedavg, float *params);

#endif
