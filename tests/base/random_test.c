/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "tests/test.h"

enum { DRAWS = 200000 };

static const uint64_t SEED = 20;

static fl_random stream(uint64_t id)
{
    fl_random random;
    fl_random_init(&random, SEED, FL_RANDOM_TEST, id);
    return random;
}

// The generator's own state, to reach the counters of the published vectors.
static void assert_block(uint32_t counter, uint32_t key,
                         const uint32_t expected[4])
{
    fl_random random = {
        .key = {key, key},
        .counter = {counter, counter, counter, counter},
        .used = 4,
    };
    for (int i = 0; i < 4; i++)
        assert_int_equal(fl_random_u32(&random), expected[i]);
}

TEST(random_matches_the_known_answers_of_philox)
{
    // Random123's kat_vectors, "philox4x32 10"
    assert_block(0, 0,
                 (uint32_t[]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    assert_block(UINT32_MAX, UINT32_MAX,
                 (uint32_t[]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    fl_random random = {
        .key = {0xa4093822, 0x299f31d0},
        .counter = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
        .used = 4,
    };
    assert_int_equal(fl_random_u32(&random), 0xd16cfe09);
    assert_int_equal(fl_random_u32(&random), 0x94fdcceb);
    assert_int_equal(fl_random_u32(&random), 0x5001e420);
    assert_int_equal(fl_random_u32(&random), 0x24126ea1);
}

TEST(random_goes_on_to_the_next_block)
{
    fl_random random;
    fl_random_init(&random, 0, FL_RANDOM_TEST, 0);
    uint32_t words[12];
    for (int i = 0; i < 12; i++)
        words[i] = fl_random_u32(&random);
    assert_int_equal(words[0], 0x6627e8d5);  // counter 0, key 0
    assert_memory_not_equal(words, words + 4, 16);
    assert_memory_not_equal(words + 4, words + 8, 16);
}

TEST(random_repeats_a_stream_of_the_same_name)
{
    fl_random a = stream(3), b = stream(3);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(fl_random_u64(&a), fl_random_u64(&b));
}

static double correlation(fl_random a, fl_random b)
{
    double sum = 0;
    for (int i = 0; i < DRAWS; i++)
        sum += (fl_random_double(&a) - 0.5) * (fl_random_double(&b) - 0.5);
    return sum / DRAWS * 12;  // 1 / the variance of a uniform number
}

TEST(random_streams_do_not_depend_on_each_other)
{
    // Five standard deviations of a correlation that is zero.
    const double bound = 5.0 / sqrt(DRAWS);
    fl_random other_seed, other_purpose, high_seed;
    fl_random_init(&other_seed, SEED + 1, FL_RANDOM_TEST, 0);
    fl_random_init(&other_purpose, SEED, FL_RANDOM_INIT, 0);
    fl_random_init(&high_seed, SEED + (UINT64_C(1) << 32), FL_RANDOM_TEST, 0);
    const fl_random others[] = {other_seed, other_purpose, high_seed, stream(1),
                                stream(UINT64_C(1) << 32)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_true(fabs(correlation(stream(0), others[i])) < bound);
    assert_true(correlation(stream(0), stream(0)) > 0.99);
}

TEST(random_below_stays_below)
{
    fl_random random = stream(4);
    const uint32_t bounds[] = {1, 2, 3, 7, 1000, 0x80000001, UINT32_MAX};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        for (int k = 0; k < 1000; k++)
            assert_true(fl_random_below(&random, bounds[i]) < bounds[i]);
    }
}

TEST(random_below_has_no_bias)
{
    fl_random random = stream(5);
    int counts[7] = {0};
    for (int i = 0; i < DRAWS; i++)
        counts[fl_random_below(&random, 7)]++;
    double chi_squared = 0;
    for (int i = 0; i < 7; i++) {
        const double excess = counts[i] - DRAWS / 7.0;
        chi_squared += excess * excess / (DRAWS / 7.0);
    }
    assert_true(chi_squared < 22.5);  // 0.1 % of 6 degrees of freedom

    // Without rejection, a bound of 3/4 of the range would draw the numbers
    // divisible by 3 twice as often as the others: half the time.
    int divisible = 0;
    for (int i = 0; i < DRAWS; i++)
        divisible += fl_random_below(&random, 0xC0000000) % 3 == 0;
    assert_true(fabs(divisible / (double)DRAWS - 1 / 3.0) < 0.006);
}

typedef struct {
    double mean, variance, least, greatest;
} summary;

static summary summarise(double draw(fl_random *random, double parameter),
                         double parameter)
{
    fl_random random = stream(6);
    summary s = {0, 0, INFINITY, -INFINITY};
    for (int i = 0; i < DRAWS; i++) {
        const double x = draw(&random, parameter);
        s.mean += x / DRAWS;
        s.variance += x * x / DRAWS;
        s.least = fmin(s.least, x);
        s.greatest = fmax(s.greatest, x);
    }
    s.variance -= s.mean * s.mean;
    return s;
}

static double draw_float(fl_random *random, double unused)
{
    (void)unused;
    return (double)fl_random_float(random);
}

static double draw_double(fl_random *random, double unused)
{
    (void)unused;
    return fl_random_double(random);
}

static double draw_normal(fl_random *random, double unused)
{
    (void)unused;
    return fl_random_normal(random);
}

static double draw_exponential(fl_random *random, double unused)
{
    (void)unused;
    return fl_random_exponential(random);
}

TEST(random_numbers_are_uniform_from_0_to_1)
{
    const summary s[] = {summarise(draw_float, 0), summarise(draw_double, 0)};
    for (int i = 0; i < 2; i++) {
        assert_true(fabs(s[i].mean - 0.5) < 0.0035);
        assert_true(fabs(s[i].variance - 1 / 12.0) < 0.001);
        assert_true(s[i].least >= 0 && s[i].least < 0.0002);
        assert_true(s[i].greatest < 1 && s[i].greatest > 0.9998);
    }
}

TEST(random_normal_has_mean_0_and_deviation_1)
{
    const summary s = summarise(draw_normal, 0);
    assert_true(fabs(s.mean) < 0.012);
    assert_true(fabs(s.variance - 1) < 0.016);
    assert_true(s.least > -7 && s.least < -3.5);
    assert_true(s.greatest < 7 && s.greatest > 3.5);
}

TEST(random_exponential_has_mean_1)
{
    const summary s = summarise(draw_exponential, 0);
    assert_true(fabs(s.mean - 1) < 0.012);
    assert_true(fabs(s.variance - 1) < 0.04);
    assert_true(s.least >= 0 && isfinite(s.greatest));
}

TEST(random_gamma_has_mean_and_variance_of_its_shape)
{
    const double shapes[] = {0.1, 0.5, 1, 2.5, 40};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const double shape = shapes[i];
        const summary s = summarise(fl_random_gamma, shape);
        assert_true(fabs(s.mean - shape) < 5 * sqrt(shape / DRAWS));
        assert_true(fabs(s.variance / shape - 1) <
                    5 * sqrt((2 + 6 / shape) / DRAWS));
        assert_true(s.least >= 0);
    }
}

TEST(random_shuffle_is_a_permutation)
{
    enum { COUNT = 1000 };
    uint32_t items[COUNT];
    bool is_seen[COUNT] = {false};
    fl_random random = stream(7);
    for (uint32_t i = 0; i < COUNT; i++)
        items[i] = i;
    fl_random_shuffle(&random, items, COUNT);
    int unmoved = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(items[i] < COUNT);
        assert_false(is_seen[items[i]]);
        is_seen[items[i]] = true;
        unmoved += items[i] == i;
    }
    assert_true(unmoved < 10);  // one is expected
    fl_random_shuffle(&random, items, 0);
    fl_random_shuffle(&random, items, 1);
}

TEST(random_shuffle_gives_every_order_alike)
{
    int counts[27] = {0};
    fl_random random = stream(8);
    for (int i = 0; i < 60000; i++) {
        uint32_t items[] = {0, 1, 2};
        fl_random_shuffle(&random, items, 3);
        counts[items[0] * 9 + items[1] * 3 + items[2]]++;
    }
    int orders = 0;
    for (int i = 0; i < 27; i++) {
        if (counts[i] == 0) continue;
        orders++;
        assert_true(abs(counts[i] - 10000) < 460);  // five deviations
    }
    assert_int_equal(orders, 6);
}

RUN_TESTS(cmocka_unit_test(random_matches_the_known_answers_of_philox),
          cmocka_unit_test(random_goes_on_to_the_next_block),
          cmocka_unit_test(random_repeats_a_stream_of_the_same_name),
          cmocka_unit_test(random_streams_do_not_depend_on_each_other),
          cmocka_unit_test(random_below_stays_below),
          cmocka_unit_test(random_below_has_no_bias),
          cmocka_unit_test(random_numbers_are_uniform_from_0_to_1),
          cmocka_unit_test(random_normal_has_mean_0_and_deviation_1),
          cmocka_unit_test(random_exponential_has_mean_1),
          cmocka_unit_test(random_gamma_has_mean_and_variance_of_its_shape),
          cmocka_unit_test(random_shuffle_is_a_permutation),
          cmocka_unit_test(random_shuffle_gives_every_order_alike))
