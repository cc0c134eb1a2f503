/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/fedavg.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

_Static_assert((int64_t)FL_FEDAVG_VALUE_MAX *FL_FEDAVG_WEIGHT_MAX <=
                   INT64_MAX / FL_FEDAVG_UPDATES_MAX >> FL_FEDAVG_FRACTION_BITS,
               "a sum of the largest updates fits 63 bits");

fl_err fl_fedavg_init(fl_fedavg *fedavg, size_t param_count)
{
    *fedavg = (fl_fedavg){.param_count = param_count};
    fedavg->sums = calloc(param_count, sizeof *fedavg->sums);
    return fedavg->sums ? FL_OK : FL_ERR_MEMORY;
}

void fl_fedavg_fini(fl_fedavg *fedavg)
{
    free(fedavg->sums);
    *fedavg = (fl_fedavg){0};
}

void fl_fedavg_reset(fl_fedavg *fedavg)
{
    memset(fedavg->sums, 0, fedavg->param_count * sizeof *fedavg->sums);
    fedavg->weight = 0;
    fedavg->update_count = 0;
}

static float value_at(const uint8_t *update, size_t i)
{
    const uint32_t bits = fl_bytes_get_u32(update + i * sizeof(float));
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// To the nearest integer, ties to even, as rint, but without a call: adding
// 1.5 * 2^52 leaves no bits behind the point. Needs |x| < 2^51.
static int64_t nearest(double x)
{
    const double shift = 0x1.8p52;
    return (int64_t)(x + shift - shift);
}

fl_err fl_fedavg_add(fl_fedavg *fedavg, const uint8_t *update,
                     size_t update_len, uint64_t weight, fl_reason *why)
{
    const size_t count = fedavg->param_count;
    if (update_len != count * sizeof(float)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "the update has %zu bytes, not %zu", update_len,
                             count * sizeof(float));
    }
    if (weight == 0 || weight > FL_FEDAVG_WEIGHT_MAX) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a weight of %llu is not within 1 and %d",
                             (unsigned long long)weight, FL_FEDAVG_WEIGHT_MAX);
    }
    if (fedavg->update_count == FL_FEDAVG_UPDATES_MAX) {
        return fl_reason_set(why, FL_ERR_LIMIT, "more than %d updates",
                             FL_FEDAVG_UPDATES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        const float value = value_at(update, i);
        // NaN is not within anything.
        if (!(fabsf(value) <= (float)FL_FEDAVG_VALUE_MAX)) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "coordinate %zu of the update is %g, not a "
                                 "number within -%d and %d",
                                 i, (double)value, FL_FEDAVG_VALUE_MAX,
                                 FL_FEDAVG_VALUE_MAX);
        }
    }

    const double one = (double)(1 << FL_FEDAVG_FRACTION_BITS);
    for (size_t i = 0; i < count; i++) {
        // A float times a power of two is exact: there is one rounding.
        const double scaled = (double)value_at(update, i) * one;
        fedavg->sums[i] += nearest(scaled) * (int64_t)weight;
    }
    fedavg->weight += weight;
    fedavg->update_count++;
    return FL_OK;
}

fl_err fl_fedavg_apply(const fl_fedavg *fedavg, float *params)
{
    if (fedavg->update_count == 0) return FL_ERR_STATE;
    const double one = (double)(1 << FL_FEDAVG_FRACTION_BITS);
    const double divisor = one * (double)fedavg->weight;
    for (size_t i = 0; i < fedavg->param_count; i++) {
        const double mean = (double)fedavg->sums[i] / divisor;
        params[i] = (float)((double)params[i] + mean);
    }
    return FL_OK;
}
