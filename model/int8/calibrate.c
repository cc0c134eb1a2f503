/* SPDX-License-Identifier: Apache-2.0 */
#include "model/int8/calibrate.h"

#include <math.h>
#include <stdlib.h>

#include "model/int8/histogram.h"

#define PERCENTILE_USUAL 99.99

/* ---- from a range to a quantisation ---- */

fl_quant fl_calibrate_quant(fl_range range, bool is_symmetric)
{
    const double low = (double)range.low, high = (double)range.high;
    const double reach = fmax(-low, high);
    float scale = (float)(is_symmetric ? reach / 127.0 : (high - low) / 255.0);
    if (scale < FL_CALIBRATE_SCALE_MIN) {
        scale = 1.0F / 255.0F;
    }
    if (is_symmetric) return (fl_quant){scale, 128};
    const double zero_point = nearbyint(-low / (double)scale);
    return (fl_quant){scale, (uint8_t)fmin(zero_point, 255.0)};
}

void fl_calibrate_quants(fl_quant *values, const fl_folded *folded,
                         const fl_range *ranges, bool is_symmetric)
{
    for (uint32_t i = 0; i < folded->model->graph.node_count; i++) {
        const fl_sharing *sharing = &folded->sharing[i];
        values[i] =
            sharing->is_float
                ? (fl_quant){0.0F, 0}
                : fl_calibrate_quant(ranges[sharing->range], is_symmetric);
    }
}

/* ---- options ---- */

fl_err fl_calibrate_check(const fl_int8_options *options, fl_reason *why)
{
    switch (options->calibrate) {
    case FL_CALIBRATE_MINMAX:
    case FL_CALIBRATE_PERCENTILE:
    case FL_CALIBRATE_ENTROPY: break;
    default:
        return fl_reason_set(why, FL_ERR_RANGE,
                             "there is no calibration %d: take min-max, "
                             "percentile or entropy",
                             (int)options->calibrate);
    }
    const double p = options->percentile;
    const bool is_usual = p >= 0.0 && p <= 0.0;
    if (is_usual || (p >= 99.0 && p <= 100.0)) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "percentile is %g, it must be 99 to 100, or 0 for "
                         "99.99",
                         p);
}

/* ---- the two passes ---- */

static void widen(void *self, uint32_t range, const float *x, size_t count)
{
    fl_range *r = (fl_range *)self + range;
    for (size_t i = 0; i < count; i++) {
        if (x[i] < r->low) r->low = x[i];
        if (x[i] > r->high) r->high = x[i];
    }
}

static void count_numbers(void *self, uint32_t range, const float *x,
                          size_t count)
{
    fl_histogram_add((fl_histogram *)self + range, x, count);
}

static void make_symmetric(fl_range *range)
{
    const float reach = fmaxf(-range->low, range->high);
    *range = (fl_range){-reach, reach};
}

static fl_range chosen_range(const fl_histogram *histogram,
                             const fl_int8_options *o)
{
    if (o->calibrate == FL_CALIBRATE_ENTROPY) {
        return fl_histogram_entropy(histogram, o->is_symmetric);
    }
    return fl_histogram_percentile(
        histogram, o->percentile > 0.0 ? o->percentile : PERCENTILE_USUAL);
}

// The second pass: within the ranges of the first.
static fl_err narrow(fl_range *ranges, const fl_folded *folded,
                     const fl_sample *rows, const fl_int8_options *options,
                     fl_reason *why)
{
    const size_t count = folded->range_count;
    // One too many keeps a model without ranges out of malloc(0).
    fl_histogram *histograms = malloc((count + 1) * sizeof *histograms);
    if (!histograms) {
        return fl_reason_set(why, FL_ERR_MEMORY,
                             "no memory for %zu histograms of %zu bytes", count,
                             sizeof *histograms);
    }
    for (size_t i = 0; i < count; i++) {
        if (options->is_symmetric) make_symmetric(&ranges[i]);
        fl_histogram_init(&histograms[i], ranges[i]);
    }
    const fl_err err =
        fl_folded_watch(folded, rows, count_numbers, histograms, why);
    for (size_t i = 0; !err && i < count; i++) {
        ranges[i] = chosen_range(&histograms[i], options);
    }
    free(histograms);
    return err;
}

fl_err fl_calibrate_ranges(fl_range *ranges, const fl_folded *folded,
                           const fl_sample *rows,
                           const fl_int8_options *options, fl_reason *why)
{
    FL_TRY(fl_sample_check(rows, folded->model, why));
    for (size_t i = 0; i < folded->range_count; i++) {
        ranges[i] = (fl_range){0.0F, 0.0F};
    }
    FL_TRY(fl_folded_watch(folded, rows, widen, ranges, why));
    if (options->calibrate == FL_CALIBRATE_MINMAX) return FL_OK;
    return narrow(ranges, folded, rows, options, why);
}

fl_err fl_int8_calibrate(fl_range *ranges, size_t range_count,
                         const fl_model *model, const fl_dataset *dataset,
                         const uint32_t *rows, size_t row_count,
                         const fl_int8_options *options, fl_reason *why)
{
    const fl_sample by = {dataset, rows, row_count};
    fl_folded folded;
    FL_TRY(fl_calibrate_check(options, why));
    FL_TRY(fl_sample_check(&by, model, why));
    FL_TRY(fl_folded_init(&folded, model, why));
    fl_err err = fl_folded_check_count(&folded, range_count, why);
    if (!err) err = fl_calibrate_ranges(ranges, &folded, &by, options, why);
    fl_folded_fini(&folded);
    return err;
}
