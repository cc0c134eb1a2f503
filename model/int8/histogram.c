/* SPDX-License-Identifier: Apache-2.0 */
#include "model/int8/histogram.h"

#include <math.h>

enum {
    LEVELS = 256,
    STEP = 16,  // bins between two ranges that are tried
};

// Bins from `first` to before `end`.
typedef struct {
    uint32_t first, end;
} window;

static double width_of(const fl_histogram *h)
{
    return (double)h->range.high - (double)h->range.low;
}

static uint32_t bin_of(const fl_histogram *h, double x)
{
    const double at =
        (x - (double)h->range.low) / width_of(h) * FL_HISTOGRAM_BINS;
    if (!(at > 0.0)) return 0;  // or the range is empty
    if (at >= FL_HISTOGRAM_BINS) return FL_HISTOGRAM_BINS - 1;
    return (uint32_t)at;
}

// An end that is not cut stays what it was, to the last bit; 0 stays inside.
static fl_range range_of(const fl_histogram *h, window w)
{
    const double bin = width_of(h) / FL_HISTOGRAM_BINS;
    fl_range range = h->range;
    if (w.first > 0) {
        range.low = (float)((double)h->range.low + w.first * bin);
    }
    if (w.end < FL_HISTOGRAM_BINS) {
        range.high = (float)((double)h->range.low + w.end * bin);
    }
    if (range.low > 0.0F) range.low = 0.0F;
    if (range.high < 0.0F) range.high = 0.0F;
    return range;
}

void fl_histogram_init(fl_histogram *histogram, fl_range range)
{
    *histogram = (fl_histogram){.range = range};
}

void fl_histogram_add(fl_histogram *histogram, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const bool is_zero = x[i] >= 0.0F && x[i] <= 0.0F;
        if (!is_zero) histogram->counts[bin_of(histogram, (double)x[i])]++;
    }
}

static uint64_t count_inside(const fl_histogram *h, window w)
{
    uint64_t sum = 0;
    for (uint32_t i = w.first; i < w.end; i++) {
        sum += h->counts[i];
    }
    return sum;
}

static const window WHOLE = {0, FL_HISTOGRAM_BINS};

/* ---- percentile ---- */

fl_range fl_histogram_percentile(const fl_histogram *histogram,
                                 double percentile)
{
    const uint64_t total = count_inside(histogram, WHOLE);
    const double rare = (100.0 - percentile) / 200.0 * (double)total;
    const uint64_t *counts = histogram->counts;
    window w = WHOLE;
    if (total == 0) return histogram->range;
    for (uint64_t cut = counts[0]; (double)cut <= rare;) {
        cut += counts[++w.first];
    }
    for (uint64_t cut = counts[w.end - 1]; (double)cut <= rare;) {
        cut += counts[--w.end - 1];
    }
    return range_of(histogram, w);
}

/* ---- entropy ---- */

// Bins of a window that share one level.
static window level_of(window w, uint32_t level)
{
    const uint32_t count = w.end - w.first;
    return (window){w.first + level * count / LEVELS,
                    w.first + (level + 1) * count / LEVELS};
}

// The histogram cut to a window: what lies outside moves to the end bins.
typedef struct {
    const uint64_t *counts;
    window at;
    uint64_t below, above;
    double total, inside;
} cut;

static uint64_t clamped_count(const cut *c, uint32_t bin)
{
    uint64_t count = c->counts[bin];
    if (bin == c->at.first) count += c->below;
    if (bin == c->at.end - 1) count += c->above;
    return count;
}

/*
 * One level's share of sum p * log(p / q): p is the clamped histogram; q the
 * one without what was outside, each level's sum spread evenly over those of
 * its bins that are not empty.
 */
static double level_divergence(const cut *c, window level)
{
    uint64_t sum = 0;
    uint32_t filled = 0;
    for (uint32_t i = level.first; i < level.end; i++) {
        sum += c->counts[i];
        if (clamped_count(c, i) > 0) filled++;
    }
    if (filled == 0) return 0.0;
    // A level that only outsiders fall into has q 0; half a number instead
    // makes that expensive, not infinitely so.
    const double q = (sum ? (double)sum : 0.5) / filled / c->inside;
    double divergence = 0.0;
    for (uint32_t i = level.first; i < level.end; i++) {
        const double p = (double)clamped_count(c, i) / c->total;
        if (p > 0.0) divergence += p * log(p / q);
    }
    return divergence;
}

static double divergence_of(const fl_histogram *h, window w)
{
    cut c = {
        .counts = h->counts,
        .at = w,
        .below = count_inside(h, (window){0, w.first}),
        .above = count_inside(h, (window){w.end, FL_HISTOGRAM_BINS}),
    };
    c.inside = (double)count_inside(h, w);
    c.total = c.inside + (double)c.below + (double)c.above;
    if (!(c.inside > 0.0)) return INFINITY;
    double divergence = 0.0;
    for (uint32_t level = 0; level < LEVELS; level++) {
        divergence += level_divergence(&c, level_of(w, level));
    }
    return divergence;
}

// How far off the numbers of a bin are, in bins: from outside, the way to the
// window; what rounds to 0, all of itself; else a quarter of a level.
static double error_of_bin(const fl_histogram *h, uint32_t bin, window w)
{
    const double middle = bin + 0.5;
    const double level = (double)(w.end - w.first) / LEVELS;
    const double zero = -(double)h->range.low / width_of(h) * FL_HISTOGRAM_BINS;
    if (bin < w.first) return w.first - middle;
    if (bin >= w.end) return middle - w.end;
    return fabs(middle - zero) < level / 2.0 ? fabs(middle - zero)
                                             : level / 4.0;
}

static double error_of(const fl_histogram *h, window w)
{
    double error = 0.0;
    for (uint32_t i = 0; i < FL_HISTOGRAM_BINS; i++) {
        if (h->counts[i] == 0) continue;
        error += (double)h->counts[i] * error_of_bin(h, i, w);
    }
    return error;
}

// Moves the ends inwards as long as 0 and a bin for each level are inside;
// gives the best window on the way, the widest of several.
static window shrink(const fl_histogram *h, window from, uint32_t first_step,
                     uint32_t end_step)
{
    const uint32_t zero = bin_of(h, 0.0);
    const double error_max = error_of(h, WHOLE);
    window best = from;
    double least = divergence_of(h, from);
    for (window w = from;;) {
        w.first += first_step;
        w.end -= end_step;
        const bool has_zero = w.first <= zero && zero < w.end;
        if (!has_zero || w.end < w.first + LEVELS) return best;
        if (error_of(h, w) > error_max) continue;
        const double divergence = divergence_of(h, w);
        if (divergence < least) {
            least = divergence;
            best = w;
        }
    }
}

fl_range fl_histogram_entropy(const fl_histogram *histogram, bool is_symmetric)
{
    if (count_inside(histogram, WHOLE) == 0) return histogram->range;
    if (is_symmetric) {
        return range_of(histogram, shrink(histogram, WHOLE, STEP, STEP));
    }
    const window upper = shrink(histogram, WHOLE, 0, STEP);
    return range_of(histogram, shrink(histogram, upper, STEP, 0));
}
