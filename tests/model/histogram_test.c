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
        const double divergence = is_upper ? plain_divergence(0, BINS - cut)
                                           : plain_divergence(cut, BINS);
        if (divergence >= least) continue;
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
    cmocka_unit_test(
        histogram_entropy_cuts_both_ends_of_a_long_tailed_distribution),
    cmocka_unit_test(histogram_entropy_of_a_symmetric_range_is_symmetric))
