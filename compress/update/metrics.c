/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/metrics.h"

#include <math.h>

static const double LOSS_ONE = 1 << FL_METRICS_LOSS_FRACTION_BITS;

_Static_assert(FL_UPDATE_EXAMPLES_MAX <= UINT64_MAX / 4 / FL_CODEC_WEIGHT_MAX,
               "twice a scaled count fits 64 bits");
_Static_assert((uint64_t)FL_CODEC_CLIENTS_MAX <=
                   UINT64_MAX / FL_CODEC_WEIGHT_MAX >> FL_METRICS_LOSS_BITS,
               "the largest sum of losses fits 64 bits");

static fl_err check(const fl_update_metrics *metrics, fl_reason *why)
{
    if (metrics->weight < 1 || metrics->weight > FL_UPDATE_EXAMPLES_MAX) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "an update of %llu examples: at least 1 and at "
                             "most 2^40 can be told",
                             (unsigned long long)metrics->weight);
    }
    if (metrics->correct > metrics->weight) {
        return fl_reason_set(why, FL_ERR_RANGE, "%llu correct of %llu examples",
                             (unsigned long long)metrics->correct,
                             (unsigned long long)metrics->weight);
    }
    if (isnan(metrics->loss_sum)) {
        return fl_reason_set(why, FL_ERR_RANGE, "the loss is not a number");
    }
    return FL_OK;
}

// count * to / from, to the nearest integer, a half upwards.
static uint64_t scale(uint64_t count, uint64_t to, uint64_t from)
{
    return (2 * count * to + from) / (2 * from);
}

// `loss_sum` of `weight` examples, within 0 and 64 an example.
static uint64_t loss_units(double loss_sum, uint64_t weight)
{
    const double most = (double)(weight << FL_METRICS_LOSS_MAX_BITS);
    const double limited = fmin(fmax(loss_sum, 0.0), most);
    return (uint64_t)(limited * LOSS_ONE + 0.5);
}

fl_err fl_metrics_count(fl_metrics_counts *counts,
                        const fl_update_metrics *metrics, uint32_t weight_max,
                        fl_reason *why)
{
    FL_TRY(check(metrics, why));
    const uint64_t cap = weight_max, weight = metrics->weight;
    if (weight <= cap) {
        *counts = (fl_metrics_counts){weight, metrics->correct,
                                      loss_units(metrics->loss_sum, weight)};
        return FL_OK;
    }
    const double share = (double)cap / (double)weight;
    *counts = (fl_metrics_counts){cap, scale(metrics->correct, cap, weight),
                                  loss_units(metrics->loss_sum * share, cap)};
    return FL_OK;
}

fl_err fl_metrics_restore(fl_update_metrics *metrics,
                          const fl_metrics_counts *counts, uint32_t weight_max,
                          uint32_t client_count, fl_reason *why)
{
    // Each client brings one example at least.
    const uint64_t weight = counts->weight;
    if (weight < client_count || weight > (uint64_t)client_count * weight_max ||
        counts->correct > weight ||
        counts->loss > weight << FL_METRICS_LOSS_BITS) {
        return fl_reason_set(
            why, FL_ERR_RANGE,
            "%llu correct of %llu examples, a loss of %g: %u %s of at most %u "
            "cannot have made that",
            (unsigned long long)counts->correct, (unsigned long long)weight,
            (double)counts->loss / LOSS_ONE, client_count,
            client_count == 1 ? "client" : "clients", weight_max);
    }
    *metrics = (fl_update_metrics){weight, counts->correct,
                                   (double)counts->loss / LOSS_ONE};
    return FL_OK;
}
