/*
 * Ranges that represent a distribution: known cases, and Migacz's search
 * written down a second time, plainly.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/int8/histogram.h"

#include <math.h>

#include "base/random.h"
#include "tests/test.h"

enum { BINS = FL_HISTOGRAM_BINS, LEVELS = 256, STEP = 16 };

static fl_histogram h;  // 16 KiB: too much for a stack under asan

static void assert_range(fl_range got, double low, double high, double allowed)
{
    if (fabs((double)got.low - low) <= allowed &&
        fabs((double)got.high - high) <= allowed) {
        return;
    }
    print_error("the range is %.9g to %.9g, not %.9g to %.9g\n",
                (double)got.low, (double)got.high, low, high);
    fail();
}

/* ---- counting ---- */

TEST(histogram_counts_equal_parts_of_the_range)
{
    const float x[] = {-1.0F, -0.9999F, -0.5F, 0.0F, 0.99999F, 1.0F, 7.0F};
    fl_histogram_init(&h, (fl_range){-1.0F, 1.0F});
    fl_histogram_add(&h, x, sizeof x / sizeof *x);
    assert_int_equal(h.counts[0], 2);
    assert_int_equal(h.counts[BINS / 4], 1);
    assert_int_equal(h.counts[BINS / 2], 0);  // zeros have no say
    assert_int_equal(h.counts[BINS - 1], 3);
}

TEST(histogram_of_nothing_but_zeros_leaves_the_range_alone)
{
    const float x[8] = {0.0F, -0.0F};
    const fl_range ranges[] = {{0.0F, 0.0F}, {-1.0F, 2.0F}};
    for (size_t i = 0; i < 2; i++) {
        fl_histogram_init(&h, ranges[i]);
        fl_histogram_add(&h, x, 8);
        fl_range got = fl_histogram_percentile(&h, 99.9);
        assert_memory_equal(&got, &ranges[i], sizeof got);
        got = fl_histogram_entropy(&h, false);
        assert_memory_equal(&got, &ranges[i], sizeof got);
        got = fl_histogram_entropy(&h, true);
        assert_memory_equal(&got, &ranges[i], sizeof got);
    }
}

/* ---- percentile ---- */

TEST(histogram_percentile_of_100_is_the_whole_range)
{
    const float x[] = {-3.0F, 1.0F, 5.0F};
    fl_histogram_init(&h, (fl_range){-3.0F, 5.0F});
    fl_histogram_add(&h, x, 3);
    assert_range(fl_histogram_percentile(&h, 100.0), -3.0, 5.0, 0.0);
}

TEST(histogram_percentile_cuts_both_ends)
{
    fl_histogram_init(&h, (fl_range){-100.0F, 100.0F});
    for (int i = -10000; i <= 10000; i++) {
        const float x = (float)i / 100.0F;
        fl_histogram_add(&h, &x, 1);
    }
    // 2 percent: 1 below, 1 above; a bin is a tenth wide.
    const double bin = 200.0 / BINS;
    assert_range(fl_histogram_percentile(&h, 98.0), -98.0, 98.0, bin);
    assert_range(fl_histogram_percentile(&h, 90.0), -90.0, 90.0, bin);
}

TEST(histogram_percentile_drops_an_outlier_and_keeps_zero)
{
    fl_histogram_init(&h, (fl_range){0.0F, 1000.0F});
    const float outlier = 1000.0F;
    fl_histogram_add(&h, &outlier, 1);
    for (int i = 1; i < 100000; i++) {
        const float x = 20.0F + (float)(i % 100) / 10.0F;
        fl_histogram_add(&h, &x, 1);
    }
    assert_range(fl_histogram_percentile(&h, 99.99), 0.0, 30.0, 0.5);

    // All numbers are negative: the upper end is 0 and stays 0.
    fl_histogram_init(&h, (fl_range){-2.0F, 0.0F});
    const float x[] = {-2.0F, -1.0F, -1.5F};
    fl_histogram_add(&h, x, 3);
    assert_range(fl_histogram_percentile(&h, 99.0), -2.0, 0.0, 0.0);
}

/* ---- entropy ---- */

// Migacz's reference: clip to a window, quantise to 256 levels, compare.
static double plain_divergence(uint32_t first, uint32_t end)
{
    double p[BINS] = {0}, q[BINS] = {0}, total = 0.0, inside = 0.0;
    for (uint32_t i = 0; i < BINS; i++) {
        const uint32_t clipped = i < first ? first : i < end ? i : end - 1;
        total += (double)h.counts[i];
        p[clipped] += (double)h.counts[i];
        if (i == clipped) inside += (double)h.counts[i];
    }
    for (uint32_t level = 0; level < LEVELS; level++) {
        const uint32_t from = first + level * (end - first) / LEVELS;
        const uint32_t to = first + (level + 1) * (end - first) / LEVELS;
        double sum = 0.0, filled = 0.0;
        for (uint32_t i = from; i < to; i++) {
            sum += (double)h.counts[i];
            filled += p[i] > 0.0;
        }
        for (uint32_t i = from; i < to; i++)
            q[i] = p[i] > 0.0 ? fmax(sum, 0.5) / filled : 0.0;
    }
    double divergence = 0.0;
    for (uint32_t i = first; i < end; i++) {
        if (p[i] > 0.0)
            divergence += p[i] / total * log(p[i] / total / (q[i] / inside));
    }
    return divergence;
}

// What a window's rounding and cutting cost, in bins.
static double plain_error(uint32_t first, uint32_t end)
{
    const double level = (double)(end - first) / LEVELS;
    double error = 0.0;
    for (uint32_t i = 0; i < BINS; i++) {
        const double middle = i + 0.5;
        const double cut = fmax(first - middle, middle - end);
        const double size = h.range.low < 0.0F ? BINS - middle : middle;
        const double rounded = size < level / 2.0 ? size : level / 4.0;
        error += (double)h.counts[i] * (cut > 0.0 ? cut : rounded);
    }
    return error;
}

// |normal|^power with this sign: the larger the power, the longer the tail.
static void fill_one_sided(fl_random *random, double power, float sign)
{
    static float x[20000];
    float reach = 0.0F;
    for (size_t i = 0; i < 20000; i++) {
        const double normal = fabs(fl_random_normal(random));
        x[i] = sign * (float)pow(normal, power);
        if (sign * x[i] > sign * reach) reach = x[i];
    }
    fl_histogram_init(&h, sign > 0.0F ? (fl_range){0.0F, reach}
                                      : (fl_range){reach, 0.0F});
    fl_histogram_add(&h, x, 20000);
}

// Bins that the best window leaves out at the end away from 0.
static uint32_t plain_search(bool is_upper)
{
    uint32_t best = 0;
    double least = plain_divergence(0, BINS);
    for (uint32_t cut = STEP; cut <= BINS - LEVELS; cut += STEP) {
        const uint32_t first = is_upper ? 0 : cut;
        const uint32_t end = is_upper ? BINS - cut : BINS;
        const double divergence = plain_divergence(first, end);
        if (divergence >= least) continue;
        if (plain_error(first, end) > plain_error(0, BINS)) continue;
        least = divergence;
        best = cut;
    }
    return best;
}

TEST(histogram_entropy_finds_what_the_plain_search_finds)
{
    fl_random random;
    fl_random_init(&random, 8, FL_RANDOM_TEST, 0);
    for (int i = 0; i < 12; i++) {
        const bool is_upper = i % 2 == 0;
        fill_one_sided(&random, 1.0 + 0.25 * i, is_upper ? 1.0F : -1.0F);
        const uint32_t cut = plain_search(is_upper);
        const double left = (double)(BINS - cut) / BINS;
        const double low = (double)h.range.low * left;
        const double high = (double)h.range.high * left;
        assert_true(i < 6 || cut > 0);  // long tails are cut
        assert_range(fl_histogram_entropy(&h, false), low, high,
                     1e-5 * (high - low));
    }
}

// What rounding to 8 bits over a range does to the numbers.
static double error_of_range(const float *x, size_t count, fl_range range)
{
    const double level = ((double)range.high - (double)range.low) / 255.0;
    double error = 0.0;
    for (size_t i = 0; i < count; i++) {
        const double inside =
            fmin(fmax((double)x[i], (double)range.low), (double)range.high);
        error += fabs(round(inside / level) * level - (double)x[i]);
    }
    return error;
}

// Channels of very different sizes, as behind depthwise convolutions.
static void fill_with_channels(float *x, size_t count, fl_random *random)
{
    enum { CHANNELS = 16 };
    double sizes[CHANNELS];
    for (size_t c = 0; c < CHANNELS; c++)
        sizes[c] = exp(2.0 * fl_random_normal(random));
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(sizes[i % CHANNELS] * fl_random_normal(random));
}

TEST(histogram_entropy_is_no_less_exact_than_the_whole_range)
{
    enum { COUNT = 3000 };  // few: most bins are empty
    static float x[COUNT];
    fl_random random;
    fl_random_init(&random, 11, FL_RANDOM_TEST, 0);
    uint32_t cut_count = 0;
    for (int i = 0; i < 20; i++) {
        float reach = 0.0F;
        fill_with_channels(x, COUNT, &random);
        for (size_t k = 0; k < COUNT; k++)
            reach = fmaxf(reach, fabsf(x[k]));
        const fl_range whole = {-reach, reach};
        fl_histogram_init(&h, whole);
        fl_histogram_add(&h, x, COUNT);
        for (int is_symmetric = 0; is_symmetric < 2; is_symmetric++) {
            const fl_range range = fl_histogram_entropy(&h, is_symmetric);
            cut_count += range.high < reach;
            // The histogram knows numbers to a bin, an eighth of a level.
            const double ratio = error_of_range(x, COUNT, range) /
                                 error_of_range(x, COUNT, whole);
            assert_true(ratio <= 1.05);
        }
    }
    assert_true(cut_count > 0);
}

TEST(histogram_entropy_cuts_both_ends_of_a_long_tailed_distribution)
{
    fl_random random;
    fl_random_init(&random, 9, FL_RANDOM_TEST, 0);
    fl_histogram_init(&h, (fl_range){-30.0F, 60.0F});
    for (size_t i = 0; i < 50000; i++) {
        const float x = (float)fl_random_normal(&random);
        fl_histogram_add(&h, &x, 1);
    }
    const float outliers[] = {-30.0F, 60.0F};
    fl_histogram_add(&h, outliers, 2);
    const fl_range two_sided = fl_histogram_entropy(&h, false);
    assert_true(two_sided.low < -2.0F && two_sided.low > -15.0F);
    assert_true(two_sided.high > 2.0F && two_sided.high < 15.0F);
}

TEST(histogram_entropy_of_a_symmetric_range_is_symmetric)
{
    fl_random random;
    fl_random_init(&random, 10, FL_RANDOM_TEST, 0);
    fl_histogram_init(&h, (fl_range){-40.0F, 40.0F});
    for (size_t i = 0; i < 50000; i++) {
        const float x = (float)fabs(fl_random_normal(&random));
        fl_histogram_add(&h, &x, 1);
    }
    const fl_range range = fl_histogram_entropy(&h, true);
    assert_range(range, -(double)range.high, (double)range.high, 0.0);
    assert_true(range.high > 2.0F && range.high < 20.0F);
}

RUN_TESTS(
    cmocka_unit_test(histogram_counts_equal_parts_of_the_range),
    cmocka_unit_test(histogram_of_nothing_but_zeros_leaves_the_range_alone),
    cmocka_unit_test(histogram_percentile_of_100_is_the_whole_range),
    cmocka_unit_test(histogram_percentile_cuts_both_ends),
    cmocka_unit_test(histogram_percentile_drops_an_outlier_and_keeps_zero),
    cmocka_unit_test(histogram_entropy_finds_what_the_plain_search_finds),
    cmocka_unit_test(histogram_entropy_is_no_less_exact_than_the_whole_range),
    cmocka_unit_test(
        histogram_entropy_cuts_both_ends_of_a_long_tailed_distribution),
    cmocka_unit_test(histogram_entropy_of_a_symmetric_range_is_symmetric))
