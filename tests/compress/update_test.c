/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "compress/compress.h"
#include "secure/secure.h"
#include "tests/support/vector.h"
#include "tests/test.h"

enum { PARAMS = 500, DIGITS_MAX = 89, FIELDS_MAX = PARAMS + DIGITS_MAX };

static const uint32_t FIELD_MAXES[] = {
    1, 2, 15, 16, 255, 65535, (1 << 24) - 1, 1 << 24, UINT32_C(1) << 31,
};
enum { FIELD_MAX_COUNT = sizeof FIELD_MAXES / sizeof *FIELD_MAXES };

static fl_dense_codec codec_of(uint32_t field_max)
{
    return (fl_dense_codec){PARAMS, field_max, 1000, 4.0F};
}

static fl_random stream(uint64_t client)
{
    fl_random rounding;
    fl_random_init(&rounding, 7, FL_RANDOM_ROUNDING, client);
    return rounding;
}

static void encode(uint32_t *fields, const fl_dense_codec *codec,
                   const float *update, const fl_dense_metrics *metrics,
                   uint64_t client)
{
    fl_random rounding = stream(client);
    const size_t count = fl_dense_field_count(codec);
    assert_ok(fl_dense_encode(fields, codec, update, metrics, &rounding, NULL));
    for (size_t i = 0; i < count; i++) {
        if (fields[i] > codec->field_max) fail_msg("field %zu is above L", i);
    }
}

static void add(uint64_t *sums, const uint32_t *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sums[i] += fields[i];
    }
}

static void draw(float *update, uint64_t client, double deviation)
{
    fl_random random;
    fl_random_init(&random, 9, FL_RANDOM_TEST, client);
    for (int i = 0; i < PARAMS; i++) {
        update[i] = (float)(deviation * fl_random_normal(&random));
    }
}

// The largest distance of what one client's rounding can move the mean.
static double step_of(const fl_dense_codec *codec, double weight)
{
    return 2.0 * (double)codec->clip / codec->field_max * codec->weight_max /
           weight;
}

static void assert_near(double value, double expected, double distance)
{
    if (!(fabs(value - expected) <= distance)) {
        fail_msg("%.9g is not within %.3g of %.9g", value, distance, expected);
    }
}

/* ---- layout ---- */

static size_t digits_of(uint32_t field_max, uint32_t weight_max)
{
    const fl_dense_codec codec = {1, field_max, weight_max, 1.0F};
    assert_ok(fl_dense_check(&codec, NULL));
    return fl_dense_field_count(&codec) - 1;
}

TEST(update_has_as_many_digits_as_its_numbers_need)
{
    assert_int_equal(digits_of(1, 1), 1 + 1 + 27);  // 2^26 needs 27 bits
    assert_int_equal(digits_of(1, 1 << 20), 21 + 21 + 47);
    assert_int_equal(digits_of(15, 15), 1 + 1 + 8);
    assert_int_equal(digits_of(15, 16), 2 + 2 + 8);  // 2^30 is below 16^8
    assert_int_equal(digits_of((1 << 23) - 1, 1 << 20), 1 + 1 + 3);
    assert_int_equal(digits_of(UINT32_C(1) << 31, 1 << 20), 1 + 1 + 2);
    assert_int_equal(digits_of(16383, 1000), 1 + 1 + 3);
}

static void assert_refused(fl_dense_codec codec, const char *word)
{
    fl_reason why = {""};
    assert_err(fl_dense_check(&codec, &why), FL_ERR_RANGE);
    assert_reason_names(why, word);
}

TEST(update_refuses_a_codec_outside_its_range)
{
    const uint32_t most = UINT32_C(1) << 31;
    assert_ok(fl_dense_check(&(fl_dense_codec){1, 1, 1, FLT_MIN}, NULL));
    assert_ok(
        fl_dense_check(&(fl_dense_codec){1, most, 1 << 20, 0x1p20F}, NULL));
    assert_refused((fl_dense_codec){1, 0, 1, 1.0F}, "field of 0");
    assert_refused((fl_dense_codec){1, most + 1, 1, 1.0F}, "2147483649");
    assert_refused((fl_dense_codec){1, 1, 0, 1.0F}, "weight of 0");
    assert_refused((fl_dense_codec){1, 1, (1 << 20) + 1, 1.0F}, "1048577");
    assert_refused((fl_dense_codec){1, 1, 1, 0.0F}, "clip of 0");
    assert_refused((fl_dense_codec){1, 1, 1, -1.0F}, "clip of -1");
    assert_refused((fl_dense_codec){1, 1, 1, INFINITY}, "clip of inf");
    assert_refused((fl_dense_codec){1, 1, 1, NAN}, "clip of");
    assert_refused((fl_dense_codec){0, 1, 1, 1.0F}, "0 parameters");
    assert_refused((fl_dense_codec){UINT32_MAX - 28, 1, 1, 1.0F},
                   "4294967267 parameters");
    assert_ok(
        fl_dense_check(&(fl_dense_codec){UINT32_MAX - 29, 1, 1, 1.0F}, NULL));
}

/* ---- the document, executed ---- */

static void assert_documented(const char *name, const uint8_t *bytes,
                              size_t len)
{
    size_t expected_len;
    uint8_t *expected = fl_vector_read(&expected_len, "docs/format.md", name);
    if (!expected) fail_msg("docs/format.md has no hex block %s", name);
    assert_int_equal(len, expected_len);
    assert_memory_equal(bytes, expected, len);
    free(expected);
}

TEST(update_is_the_documented_one)
{
    const fl_dense_codec codec = {4, 16, 100, 1.0F};
    const float update[] = {0.5F, 0.0F, -3.0F, 0.03125F};
    const fl_dense_metrics metrics = {50, 40, 25.5};
    uint8_t task[FL_DENSE_TASK_BYTES], bytes[16];
    uint8_t recipe[FL_DENSE_RECIPE_BYTES];
    memset(recipe, 0x55, sizeof recipe);
    uint32_t fields[16];
    fl_dense_task(task, &codec, recipe);
    assert_documented("fields_task", task, sizeof task);

    assert_int_equal(fl_dense_field_count(&codec), sizeof bytes);
    encode(fields, &codec, update, &metrics, 0);
    for (size_t i = 0; i < 16; i++) {
        bytes[i] = (uint8_t)fields[i];
    }
    assert_documented("fields", bytes, sizeof bytes);
}

TEST(update_is_packed_as_documented)
{
    fl_fields layout;
    uint32_t fields[12];
    uint64_t words[2];
    uint8_t bytes[sizeof words];
    for (uint32_t i = 0; i < 12; i++) {
        fields[i] = i;
    }
    assert_ok(fl_fields_init(&layout, 12, 46, 3, 15));
    assert_int_equal(layout.word_count, 2);
    assert_ok(fl_fields_pack(words, &layout, fields, 15));
    fl_addend_encode(bytes, words, 2);
    assert_documented("fields_words", bytes, sizeof bytes);
}

/* ---- values ---- */

TEST(update_comes_back_within_a_step)
{
    for (size_t k = 0; k < FIELD_MAX_COUNT; k++) {
        const fl_dense_codec codec = codec_of(FIELD_MAXES[k]);
        const fl_dense_metrics metrics = {250, 100, 300.0};
        float update[PARAMS], mean[PARAMS];
        uint32_t fields[FIELDS_MAX];
        uint64_t sums[FIELDS_MAX] = {0};
        fl_dense_metrics back;
        draw(update, k, 1.0);
        encode(fields, &codec, update, &metrics, k);
        add(sums, fields, fl_dense_field_count(&codec));
        assert_ok(fl_dense_decode(mean, &back, &codec, sums, 1, NULL));
        for (int i = 0; i < PARAMS; i++) {
            assert_near((double)mean[i], (double)update[i],
                        step_of(&codec, 250.0) + 1e-6);
        }
    }
}

TEST(update_of_every_client_counts_by_its_weight)
{
    enum { CLIENTS = 20 };
    for (size_t k = 2; k < FIELD_MAX_COUNT; k++) {
        const fl_dense_codec codec = codec_of(FIELD_MAXES[k]);
        double expected[PARAMS] = {0}, weight = 0;
        float update[PARAMS], mean[PARAMS];
        uint32_t fields[FIELDS_MAX];
        uint64_t sums[FIELDS_MAX] = {0};
        fl_dense_metrics all;
        for (uint64_t c = 0; c < CLIENTS; c++) {
            const fl_dense_metrics own = {1 + 50 * c, c, 1.5 * (double)c};
            draw(update, c, 0.5);
            encode(fields, &codec, update, &own, c);
            add(sums, fields, fl_dense_field_count(&codec));
            weight += (double)own.weight;
            for (int i = 0; i < PARAMS; i++) {
                expected[i] += (double)own.weight * (double)update[i];
            }
        }
        assert_ok(fl_dense_decode(mean, &all, &codec, sums, CLIENTS, NULL));
        const double mean_weight = weight / CLIENTS;
        for (int i = 0; i < PARAMS; i++) {
            assert_near((double)mean[i], expected[i] / weight,
                        step_of(&codec, mean_weight) + 1e-6);
        }
    }
}

TEST(update_of_a_sum_is_the_mean_of_its_parts)
{
    enum { CLIENTS = 12 };
    const fl_dense_codec codec = codec_of(16383);
    double expected[PARAMS] = {0};
    float update[PARAMS], part[PARAMS], mean[PARAMS];
    uint32_t fields[FIELDS_MAX];
    uint64_t sums[FIELDS_MAX] = {0};
    fl_dense_metrics all, one;
    for (uint64_t c = 0; c < CLIENTS; c++) {
        const fl_dense_metrics own = {10 + c, 1, 1.0};
        uint64_t alone[FIELDS_MAX] = {0};
        draw(update, c, 2.0);
        encode(fields, &codec, update, &own, c);
        add(sums, fields, fl_dense_field_count(&codec));
        add(alone, fields, fl_dense_field_count(&codec));
        assert_ok(fl_dense_decode(part, &one, &codec, alone, 1, NULL));
        for (int i = 0; i < PARAMS; i++) {
            expected[i] += (double)own.weight * (double)part[i];
        }
    }
    assert_ok(fl_dense_decode(mean, &all, &codec, sums, CLIENTS, NULL));
    for (int i = 0; i < PARAMS; i++) {
        assert_near((double)mean[i], expected[i] / (double)all.weight, 1e-6);
    }
}

TEST(update_is_exact_on_average)
{
    enum { DRAWS = 4000 };
    const fl_dense_codec codec = codec_of(15);
    const fl_dense_metrics metrics = {700, 0, 0.0};
    const double step = step_of(&codec, 700.0);
    float update[PARAMS], mean[PARAMS];
    double total[PARAMS] = {0}, distance = 0;
    uint32_t fields[FIELDS_MAX];
    fl_random rounding = stream(0);
    draw(update, 0, 1.0);
    for (int k = 0; k < DRAWS; k++) {
        uint64_t sums[FIELDS_MAX] = {0};
        fl_dense_metrics back;
        assert_ok(
            fl_dense_encode(fields, &codec, update, &metrics, &rounding, NULL));
        add(sums, fields, fl_dense_field_count(&codec));
        assert_ok(fl_dense_decode(mean, &back, &codec, sums, 1, NULL));
        for (int i = 0; i < PARAMS; i++) {
            total[i] += (double)mean[i];
        }
    }
    // A rounding deviates by half a step at most: five deviations of the mean.
    for (int i = 0; i < PARAMS; i++) {
        const double error = total[i] / DRAWS - (double)update[i];
        assert_near(error, 0.0, 5.0 * step / 2.0 / sqrt(DRAWS));
        distance += error / PARAMS;
    }
    assert_near(distance, 0.0, 5.0 * step / 2.0 / sqrt(DRAWS * PARAMS));
}

TEST(update_that_is_a_whole_number_of_steps_is_not_rounded)
{
    const fl_dense_codec codec = {3, 16, 1000, 4.0F};
    const float update[] = {0.0F, -2.0F, 3.5F};
    const fl_dense_metrics metrics = {1000, 0, 0.0};
    uint32_t fields[DIGITS_MAX + 3];
    const size_t values = fl_dense_field_count(&codec) - 3;
    for (uint64_t client = 0; client < 1000; client++) {
        encode(fields, &codec, update, &metrics, client);
        assert_int_equal(fields[values], 8);
        assert_int_equal(fields[values + 1], 4);
        assert_int_equal(fields[values + 2], 15);
    }
}

TEST(update_is_limited_to_the_clip)
{
    for (size_t k = 0; k < FIELD_MAX_COUNT; k++) {
        const fl_dense_codec codec = {4, FIELD_MAXES[k], 1000, 0.3F};
        const float update[] = {0.3F, -0.3F, FLT_MAX, -FLT_MAX};
        const fl_dense_metrics metrics = {1000, 0, 0.0};
        uint32_t fields[DIGITS_MAX + 4];
        const size_t values = fl_dense_field_count(&codec) - 4;
        encode(fields, &codec, update, &metrics, k);
        assert_int_equal(fields[values], codec.field_max);
        assert_int_equal(fields[values + 1], 0);
        assert_int_equal(fields[values + 2], codec.field_max);
        assert_int_equal(fields[values + 3], 0);
    }
}

TEST(update_that_is_limited_counts_by_its_weight)
{
    const fl_dense_codec codec = {2, 16, 100, 1.0F};
    const float update[] = {5.0F, -5.0F};
    const fl_dense_metrics metrics = {50, 0, 0.0};
    uint32_t fields[DIGITS_MAX + 2];
    const size_t values = fl_dense_field_count(&codec) - 2;
    encode(fields, &codec, update, &metrics, 0);
    assert_int_equal(fields[values], 12);
    assert_int_equal(fields[values + 1], 4);
}

TEST(update_depends_on_nothing_but_its_stream)
{
    const fl_dense_codec codec = codec_of(255);
    const fl_dense_metrics metrics = {77, 11, 0.25};
    const size_t len = fl_dense_field_count(&codec) * sizeof(uint32_t);
    float update[PARAMS];
    uint32_t first[FIELDS_MAX], again[FIELDS_MAX];
    draw(update, 1, 1.0);
    encode(first, &codec, update, &metrics, 5);
    encode(again, &codec, update, &metrics, 5);
    assert_memory_equal(again, first, len);
    encode(again, &codec, update, &metrics, 6);
    assert_memory_not_equal(again, first, len);
}

/* ---- metrics ---- */

static fl_dense_metrics through(const fl_dense_codec *codec,
                                fl_dense_metrics metrics)
{
    static const float update[PARAMS] = {0};
    float mean[PARAMS];
    uint32_t fields[FIELDS_MAX];
    uint64_t sums[FIELDS_MAX] = {0};
    fl_dense_metrics back;
    encode(fields, codec, update, &metrics, 0);
    add(sums, fields, fl_dense_field_count(codec));
    assert_ok(fl_dense_decode(mean, &back, codec, sums, 1, NULL));
    return back;
}

TEST(update_tells_its_metrics_exactly)
{
    for (size_t k = 0; k < FIELD_MAX_COUNT; k++) {
        const fl_dense_codec codec = codec_of(FIELD_MAXES[k]);
        for (uint64_t weight = 1; weight <= 1000; weight += 37) {
            const double loss = (double)(weight * 1000003) * 0x1p-20;
            const fl_dense_metrics back =
                through(&codec, (fl_dense_metrics){weight, weight - 1, loss});
            assert_int_equal(back.weight, weight);
            assert_int_equal(back.correct, weight - 1);
            assert_true(back.loss_sum == loss);
        }
    }
}

TEST(update_tells_the_sums_of_all_metrics_exactly)
{
    enum { CLIENTS = 300 };  // digits pass the radix: carries matter
    for (size_t k = 0; k < FIELD_MAX_COUNT; k++) {
        const fl_dense_codec codec = codec_of(FIELD_MAXES[k]);
        const float update[PARAMS] = {0};
        float mean[PARAMS];
        uint32_t fields[FIELDS_MAX];
        uint64_t sums[FIELDS_MAX] = {0}, weight = 0, correct = 0;
        double loss = 0;
        fl_dense_metrics all;
        for (uint64_t c = 0; c < CLIENTS; c++) {
            const fl_dense_metrics own = {1 + c * 3, c, (double)c * 0x1p-20};
            encode(fields, &codec, update, &own, c);
            add(sums, fields, fl_dense_field_count(&codec));
            weight += own.weight;
            correct += own.correct;
            loss += own.loss_sum;
        }
        assert_ok(fl_dense_decode(mean, &all, &codec, sums, CLIENTS, NULL));
        assert_int_equal(all.weight, weight);
        assert_int_equal(all.correct, correct);
        assert_true(all.loss_sum == loss);
    }
}

TEST(update_with_the_largest_metrics_of_all_clients_fits)
{
    const fl_dense_codec codec = {1, 3, 1 << 20, 1.0F};
    const float update = 1.0F;
    const fl_dense_metrics own = {1 << 20, 1 << 20, 64.0 * 0x1p20};
    const size_t count = fl_dense_field_count(&codec);
    const uint32_t clients = FL_DENSE_CLIENTS_MAX;
    float mean;
    uint32_t fields[FIELDS_MAX];
    uint64_t sums[FIELDS_MAX];
    fl_dense_metrics all;
    encode(fields, &codec, &update, &own, 0);
    for (size_t i = 0; i < count; i++) {
        sums[i] = (uint64_t)fields[i] * clients;
    }
    assert_ok(fl_dense_decode(&mean, &all, &codec, sums, clients, NULL));
    assert_int_equal(all.weight, UINT64_C(1) << 34);
    assert_int_equal(all.correct, UINT64_C(1) << 34);
    assert_true(all.loss_sum == 0x1p40);
    assert_true(mean == 1.0F);
}

TEST(update_of_more_examples_than_the_largest_weight_counts_as_that)
{
    const fl_dense_codec codec = codec_of(255);
    fl_dense_metrics back =
        through(&codec, (fl_dense_metrics){4000, 1000, 8000.0});
    assert_int_equal(back.weight, 1000);
    assert_int_equal(back.correct, 250);
    assert_true(back.loss_sum == 2000.0);

    back = through(&codec, (fl_dense_metrics){1600, 4, 0.0});  // 2.5
    assert_int_equal(back.correct, 3);
    back = through(&codec, (fl_dense_metrics){3000, 1, 0.0});  // 0.33
    assert_int_equal(back.correct, 0);
    const uint64_t most = FL_DENSE_EXAMPLES_MAX;
    back = through(&codec, (fl_dense_metrics){most, most, 64.0 * 0x1p40});
    assert_int_equal(back.weight, 1000);
    assert_int_equal(back.correct, 1000);
    assert_true(back.loss_sum == 64000.0);
}

TEST(update_limits_the_loss)
{
    const fl_dense_codec codec = codec_of(255);
    fl_dense_metrics back = through(&codec, (fl_dense_metrics){10, 0, 640.5});
    assert_true(back.loss_sum == 640.0);
    back = through(&codec, (fl_dense_metrics){10, 0, INFINITY});
    assert_true(back.loss_sum == 640.0);
    back = through(&codec, (fl_dense_metrics){5000, 0, INFINITY});
    assert_true(back.loss_sum == 64000.0);
    back = through(&codec, (fl_dense_metrics){10, 0, -1.0});
    assert_true(back.loss_sum == 0.0);
    back = through(&codec, (fl_dense_metrics){10, 0, 1.6 * 0x1p-20});
    assert_true(back.loss_sum == 2.0 * 0x1p-20);
}

/* ---- refusals ---- */

TEST(update_names_the_coordinate_that_is_no_number)
{
    const fl_dense_codec codec = codec_of(255);
    const fl_dense_metrics metrics = {1, 0, 0.0};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    uint32_t fields[FIELDS_MAX];
    for (int i = 0; i < 3; i++) {
        float update[PARAMS] = {0};
        fl_random rounding = stream(0);
        fl_reason why = {""};
        update[PARAMS - 1] = bad[i];
        assert_err(
            fl_dense_encode(fields, &codec, update, &metrics, &rounding, &why),
            FL_ERR_RANGE);
        assert_reason_names(why, "coordinate 499");
    }
}

TEST(update_refuses_metrics_that_no_training_gives)
{
    const fl_dense_codec codec = codec_of(255);
    const float update[PARAMS] = {0};
    const struct {
        fl_dense_metrics metrics;
        const char *word;
    } cases[] = {
        {{0, 0, 0.0}, "0 examples"},
        {{FL_DENSE_EXAMPLES_MAX + 1, 0, 0.0}, "1099511627777 examples"},
        {{10, 11, 0.0}, "11 correct of 10"},
        {{10, 1, NAN}, "loss"},
    };
    uint32_t fields[FIELDS_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_random rounding = stream(0);
        fl_reason why = {""};
        assert_err(fl_dense_encode(fields, &codec, update, &cases[i].metrics,
                                   &rounding, &why),
                   FL_ERR_RANGE);
        assert_reason_names(why, cases[i].word);
    }
}

// Sums of three clients, each field of a client up to 15: two digits for each
// count, eight for the loss, two values.
typedef struct {
    uint64_t weight[2], correct[2], loss[8], values[2];
} sums_of_three;

enum { THREE = 3 };

static const fl_dense_codec three_codec = {2, 15, 20, 1.0F};

static const sums_of_three sound = {
    .weight = {10, 1}, .correct = {5, 0}, .loss = {7}, .values = {45, 0}};

static fl_err decode_three(const sums_of_three *sums, uint32_t client_count,
                           fl_reason *why)
{
    float mean[2];
    fl_dense_metrics metrics;
    uint64_t flat[sizeof *sums / sizeof(uint64_t)];
    assert_int_equal(fl_dense_field_count(&three_codec),
                     sizeof *sums / sizeof(uint64_t));
    memcpy(flat, sums, sizeof flat);
    return fl_dense_decode(mean, &metrics, &three_codec, flat, client_count,
                           why);
}

static void assert_impossible(const sums_of_three *sums, const char *word)
{
    fl_reason why = {""};
    assert_err(decode_three(sums, THREE, &why), FL_ERR_RANGE);
    assert_reason_names(why, word);
    assert_reason_names(why, "3 clients");
}

TEST(update_refuses_a_value_that_so_many_clients_cannot_have_made)
{
    sums_of_three sums = sound;
    assert_ok(decode_three(&sums, THREE, NULL));
    sums.values[0] = 46;
    assert_impossible(&sums, "a value");
    sums = sound;
    sums.values[1] = UINT64_MAX;
    assert_impossible(&sums, "a value");
}

TEST(update_refuses_digits_that_so_many_clients_cannot_have_made)
{
    for (size_t i = 0; i < 12; i++) {
        uint64_t flat[14];
        sums_of_three sums = sound;
        memcpy(flat, &sums, sizeof flat);
        flat[i] = 46;
        memcpy(&sums, flat, sizeof flat);
        assert_impossible(&sums, "a weight, correct count or loss");
        flat[i] = UINT64_MAX;
        memcpy(&sums, flat, sizeof flat);
        assert_impossible(&sums, "a weight, correct count or loss");
    }
}

TEST(update_refuses_numbers_that_so_many_clients_cannot_have_made)
{
    static const char *const numbers = "a weight, correct count or loss";
    sums_of_three sums = sound;
    sums.weight[0] = sums.weight[1] = 0;  // none at all
    sums.correct[0] = sums.loss[0] = 0;
    assert_impossible(&sums, numbers);
    sums.weight[0] = 2;  // three clients have three examples at least
    assert_impossible(&sums, numbers);
    sums.weight[0] = 3;
    assert_ok(decode_three(&sums, THREE, NULL));

    sums = sound;
    sums.weight[0] = 12;
    sums.weight[1] = 3;  // 60 = 3 * 20
    assert_ok(decode_three(&sums, THREE, NULL));
    sums.weight[0] = 13;
    assert_impossible(&sums, numbers);

    sums = sound;
    sums.correct[0] = 10;
    sums.correct[1] = 1;
    assert_ok(decode_three(&sums, THREE, NULL));
    sums.correct[0] = 11;
    assert_impossible(&sums, numbers);

    sums = sound;  // 26 examples, each with a loss of 64 at most
    sums.loss[0] = 0;
    sums.loss[7] = 6;
    sums.loss[6] = 8;
    assert_ok(decode_three(&sums, THREE, NULL));
    sums.loss[0] = 1;
    assert_impossible(&sums, numbers);
}

// 2^33 * (2^31 + 1) is 2^33 modulo 2^64, a sound loss.
TEST(update_refuses_digits_whose_number_wraps_around)
{
    const uint32_t clients = FL_DENSE_CLIENTS_MAX;
    const fl_dense_codec codec = {1, UINT32_C(1) << 31, 1 << 20, 1.0F};
    uint64_t sums[] = {clients, 0, 0, UINT64_C(1) << 33, 0};
    float mean;
    fl_dense_metrics all;
    assert_int_equal(fl_dense_field_count(&codec), 5);
    assert_err(fl_dense_decode(&mean, &all, &codec, sums, clients, NULL),
               FL_ERR_RANGE);
    sums[3] = 1;
    assert_ok(fl_dense_decode(&mean, &all, &codec, sums, clients, NULL));
}

TEST(update_refuses_a_sum_of_nobody_and_of_too_many)
{
    fl_reason why = {""};
    const sums_of_three sums = sound;
    assert_err(decode_three(&sums, 0, &why), FL_ERR_RANGE);
    assert_reason_names(why, "0 clients");
    assert_err(decode_three(&sums, FL_DENSE_CLIENTS_MAX + 1, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "16385 clients");
}

RUN_TESTS(
    cmocka_unit_test(update_has_as_many_digits_as_its_numbers_need),
    cmocka_unit_test(update_refuses_a_codec_outside_its_range),
    cmocka_unit_test(update_is_the_documented_one),
    cmocka_unit_test(update_is_packed_as_documented),
    cmocka_unit_test(update_comes_back_within_a_step),
    cmocka_unit_test(update_of_every_client_counts_by_its_weight),
    cmocka_unit_test(update_of_a_sum_is_the_mean_of_its_parts),
    cmocka_unit_test(update_is_exact_on_average),
    cmocka_unit_test(update_that_is_a_whole_number_of_steps_is_not_rounded),
    cmocka_unit_test(update_is_limited_to_the_clip),
    cmocka_unit_test(update_that_is_limited_counts_by_its_weight),
    cmocka_unit_test(update_depends_on_nothing_but_its_stream),
    cmocka_unit_test(update_tells_its_metrics_exactly),
    cmocka_unit_test(update_tells_the_sums_of_all_metrics_exactly),
    cmocka_unit_test(update_with_the_largest_metrics_of_all_clients_fits),
    cmocka_unit_test(
        update_of_more_examples_than_the_largest_weight_counts_as_that),
    cmocka_unit_test(update_limits_the_loss),
    cmocka_unit_test(update_names_the_coordinate_that_is_no_number),
    cmocka_unit_test(update_refuses_metrics_that_no_training_gives),
    cmocka_unit_test(
        update_refuses_a_value_that_so_many_clients_cannot_have_made),
    cmocka_unit_test(
        update_refuses_digits_that_so_many_clients_cannot_have_made),
    cmocka_unit_test(
        update_refuses_numbers_that_so_many_clients_cannot_have_made),
    cmocka_unit_test(update_refuses_digits_whose_number_wraps_around),
    cmocka_unit_test(update_refuses_a_sum_of_nobody_and_of_too_many))
