/* SPDX-License-Identifier: Apache-2.0 */
#include "model/int8/observe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "model/int8/calibrate.h"

enum {
    OCTAVES_MIN = -16,  // the smallest number that is not in bin 0: 2^-16
    OCTAVES_MAX = 16,
    SIDE = 4 * (OCTAVES_MAX - OCTAVES_MIN),  // bins of one sign
    MANTISSA_BITS = 23,
    EXPONENT_BIAS = 127,
};

_Static_assert(1 + 2 * SIDE == FL_INT8_BINS, "a bin for 0, and two sides");

// 2^(1/4), 2^(1/2) and 2^(3/4), and their mantissas as float32 has them.
static const float ROOTS[] = {1.0F, 0x1.306feP0F, 0x1.6a09e6P0F, 0x1.ae89faP0F};
static const uint32_t MANTISSAS[] = {0, 0x1837f0, 0x3504f3, 0x5744fd};

/* ---- bins ---- */

// Without a branch: which bin comes next is not to be guessed.
uint32_t fl_observe_bin(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t mantissa = bits & ((1U << MANTISSA_BITS) - 1);
    const int octave =
        (int)(bits >> MANTISSA_BITS & 0xff) - EXPONENT_BIAS - OCTAVES_MIN;
    const int quarter = (mantissa >= MANTISSAS[1]) +
                        (mantissa >= MANTISSAS[2]) + (mantissa >= MANTISSAS[3]);
    int bin = 1 + 4 * octave + quarter;  // 0 or less below the first octave
    bin = bin < 0 ? 0 : bin;
    bin = bin > SIDE ? SIDE : bin;
    const bool is_negative = bits >> 31 && bin > 0;
    return (uint32_t)(bin + is_negative * SIDE);
}

float fl_observe_edge(uint32_t bin)
{
    if (bin == 0) return 0.0F;
    const bool is_negative = bin > SIDE;
    const int at = (int)(is_negative ? bin - SIDE : bin);
    const float edge = ldexpf(ROOTS[at % 4], at / 4 + OCTAVES_MIN);
    return is_negative ? -edge : edge;
}

void fl_observe_add(uint64_t *counts, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        counts[fl_observe_bin(x[i])]++;
    }
}

/* ---- a model's histograms ---- */

fl_err fl_int8_range_count(size_t *count, const fl_model *model, fl_reason *why)
{
    fl_folded folded;
    FL_TRY(fl_folded_init(&folded, model, why));
    *count = folded.range_count;
    fl_folded_fini(&folded);
    return FL_OK;
}

static void add_counts(void *self, uint32_t range, const float *x, size_t count)
{
    uint64_t *counts = self;
    fl_observe_add(counts + (size_t)range * FL_INT8_BINS, x, count);
}

static void share(double *shares, const uint64_t *counts)
{
    uint64_t total = 0;
    for (uint32_t bin = 0; bin < FL_INT8_BINS; bin++) {
        total += counts[bin];
    }
    for (uint32_t bin = 0; bin < FL_INT8_BINS; bin++) {
        shares[bin] = (double)counts[bin] / (double)total;
    }
}

static fl_err observe(double *shares, const fl_folded *folded,
                      const fl_sample *rows, fl_reason *why)
{
    const size_t count = folded->range_count;
    uint64_t *counts = calloc(count + 1, FL_INT8_BINS * sizeof *counts);
    if (!counts) {
        return fl_reason_set(why, FL_ERR_MEMORY,
                             "no memory for %zu histograms of %d bins", count,
                             FL_INT8_BINS);
    }
    const fl_err err = fl_folded_watch(folded, rows, add_counts, counts, why);
    for (size_t i = 0; !err && i < count; i++) {
        share(shares + i * FL_INT8_BINS, counts + i * FL_INT8_BINS);
    }
    free(counts);
    return err;
}

fl_err fl_int8_observe(double *shares, const fl_model *model,
                       const fl_dataset *dataset, const uint32_t *rows,
                       size_t row_count, fl_reason *why)
{
    const fl_sample by = {dataset, rows, row_count};
    fl_folded folded;
    FL_TRY(fl_sample_check(&by, model, why));
    FL_TRY(fl_folded_init(&folded, model, why));
    const fl_err err = observe(shares, &folded, &by, why);
    fl_folded_fini(&folded);
    return err;
}

/* ---- ranges from histograms ---- */

// Bins in the order of their numbers: the most negative one first.
static uint32_t in_order(uint32_t i)
{
    if (i < SIDE) return 2 * SIDE - i;
    return i - SIDE;
}

// The first bin from `from` on, by `step`, that is not cut off.
static float end_of(const double *histogram, uint32_t from, int step,
                    double rare)
{
    double cut = 0.0;
    uint32_t i = from;
    for (; i < FL_INT8_BINS; i += (uint32_t)step) {
        const uint32_t bin = in_order(i);
        if (bin == 0) break;  // it never is
        cut += histogram[bin];
        if (cut > rare) break;
    }
    return fl_observe_edge(in_order(i));
}

static fl_range range_of(const double *histogram, double percentile)
{
    double total = 0.0;
    for (uint32_t bin = 1; bin < FL_INT8_BINS; bin++) {
        total += histogram[bin];
    }
    const double rare = (100.0 - percentile) / 200.0 * total;
    return (fl_range){
        .low = end_of(histogram, 0, 1, rare),
        .high = end_of(histogram, FL_INT8_BINS - 1, -1, rare),
    };
}

void fl_int8_ranges_from(fl_range *ranges, const double *histograms,
                         size_t range_count, double percentile)
{
    for (size_t i = 0; i < range_count; i++) {
        ranges[i] = range_of(histograms + i * FL_INT8_BINS, percentile);
    }
}
