/*
 * The three numbers of a client's training, as integers that can be summed:
 * weight, correct count, and the loss in units of 2^-20.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_METRICS_H
#define FL_COMPRESS_METRICS_H

#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "compress/update/codec.h"

enum {
    FL_METRICS_LOSS_FRACTION_BITS = 20,
    FL_METRICS_LOSS_MAX_BITS = 6,  // a mean loss of 64
    FL_METRICS_LOSS_BITS =
        FL_METRICS_LOSS_FRACTION_BITS + FL_METRICS_LOSS_MAX_BITS,
};

typedef struct {
    uint64_t weight, correct, loss;
} fl_metrics_counts;

/*
 * As the client's update counts: with a weight of at most weight_max.
 * FL_ERR_RANGE: no training gives such numbers; *why.
 */
FL_CHECK fl_err fl_metrics_count(fl_metrics_counts *counts,
                                 const fl_update_metrics *metrics,
                                 uint32_t weight_max, fl_reason *why);

/*
 * The inverse, for one client or the sum of `client_count`. FL_ERR_RANGE: so
 * many cannot have made these numbers.
 */
FL_CHECK fl_err fl_metrics_restore(fl_update_metrics *metrics,
                                   const fl_metrics_counts *counts,
                                   uint32_t weight_max, uint32_t client_count,
                                   fl_reason *why);

#endif
