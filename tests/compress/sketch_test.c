/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "compress/update/codec.h"
#include "compress/update/digits.h"
#include "tests/support/vector.h"
#include "tests/test.h"

enum {
    // 8,192 and a bit of LARGE, in pieces; blocks of both rotations are whole
    // and partial.
    LARGE_A = 5000,
    SMALL_A = 40,
    EXACT_A = 12,
    SKIPPED_A = 5,
    LARGE_B = 4000,
    SMALL_B = 300,
    LARGE = LARGE_A + LARGE_B,
    SMALL = SMALL_A + SMALL_B,
    PARAMS = LARGE + SMALL + EXACT_A + SKIPPED_A,
    EXACT_AT = LARGE_A + SMALL_A,
    SKIPPED_AT = EXACT_AT + EXACT_A,
    WORDS_MAX = PARAMS,
    SCRATCH = 3 * 16384,
    CLIENTS = 10,
};

static uint64_t words[WORDS_MAX], sums[WORDS_MAX];
static float update[PARAMS], mean[PARAMS], scratch[SCRATCH];

static uint32_t run_of(uint32_t count, fl_group group)
{
    return count * FL_LAYOUT_GROUPS + (uint32_t)group;
}

static fl_codec codec_of(fl_codec_kind kind)
{
    const fl_codec codec = {
        .kind = kind,
        .param_count = PARAMS,
        .density = 0.25F,
        .density_small = 0.5F,
        .clip = 1.0F,
        .weight_max = 100,
        .client_cap = CLIENTS,
        .seed = 5,
        .per_word = 3,
        .value_max = 100000,
        .step_large = 1e-4F,
        .step_small = 1e-4F,
        .layout = {6,
                   {run_of(LARGE_A, FL_GROUP_LARGE),
                    run_of(SMALL_A, FL_GROUP_SMALL),
                    run_of(EXACT_A, FL_GROUP_EXACT),
                    run_of(SKIPPED_A, FL_GROUP_SKIPPED),
                    run_of(LARGE_B, FL_GROUP_LARGE),
                    run_of(SMALL_B, FL_GROUP_SMALL)}},
    };
    assert_true(fl_update_words(&codec) <= WORDS_MAX);
    assert_true(fl_update_scratch(&codec) <= SCRATCH);
    return codec;
}

static void draw(uint64_t client, double deviation)
{
    fl_random random;
    fl_random_init(&random, 9, FL_RANDOM_TEST, client);
    for (int i = 0; i < PARAMS; i++)
        update[i] = (float)(deviation * fl_random_normal(&random));
}

static fl_err try_encode(const fl_codec *codec,
                         const fl_update_metrics *metrics, uint32_t client,
                         fl_reason *why)
{
    fl_random rounding;
    fl_random_init(&rounding, 7, FL_RANDOM_ROUNDING, client);
    return fl_update_encode(words, codec, update, metrics,
                            client % codec->client_cap, &rounding, scratch,
                            why);
}

static void encode(const fl_codec *codec, uint64_t weight, uint32_t client)
{
    const fl_update_metrics metrics = {weight, weight / 2, 2.0};
    assert_ok(try_encode(codec, &metrics, client, NULL));
}

static void add(const fl_codec *codec)
{
    const size_t count = fl_update_words(codec);
    for (size_t i = 0; i < count; i++)
        sums[i] += words[i];
}

static fl_update_spread decode(const fl_codec *codec, const uint64_t *from,
                               uint32_t clients)
{
    fl_update_metrics metrics;
    fl_update_spread spread;
    assert_ok(fl_update_decode(mean, &metrics, &spread, codec, from, clients,
                               scratch, NULL));
    return spread;
}

static void assert_near(double value, double expected, double distance)
{
    if (!(fabs(value - expected) <= distance)) {
        fail_msg("%.9g is not within %.3g of %.9g", value, distance, expected);
    }
}

static double distance_to(const double *expected, int first, int count)
{
    double squares = 0.0;
    for (int i = first; i < first + count; i++) {
        const double error = (double)mean[i] - expected[i];
        squares += error * error;
    }
    return sqrt(squares / count);
}

/* ---- sizes ---- */

TEST(sketch_has_the_words_of_its_support)
{
    fl_codec codec = codec_of(FL_CODEC_SKETCH);
    const size_t large = 2240, small = 160;  // 2250 and 170, in sixteens
    assert_int_equal(fl_update_words(&codec),
                     3 + EXACT_A / 3 + (large + small) / 3);
    codec.per_word = 16;
    assert_int_equal(fl_update_words(&codec),
                     3 + EXACT_A / 3 + (large + small) / 16);
    codec.kind = FL_CODEC_DENSE;
    assert_int_equal(fl_update_words(&codec),
                     3 + EXACT_A / 3 + (8192 + 1024 + 512) / 16);
    codec.client_cap = FL_CODEC_CLIENTS_MAX;  // EXACT: two a word
    assert_int_equal(fl_update_words(&codec),
                     3 + EXACT_A / 2 + (8192 + 1024 + 512) / 16);
}

TEST(sketch_that_fits_no_object_has_no_words)
{
    fl_codec codec = codec_of(FL_CODEC_DENSE);
    codec.per_word = 2;
    codec.param_count = FL_MODEL_PARAMS_MAX;
    fl_layout_init_plain(&codec.layout, codec.param_count);
    assert_int_equal(fl_update_words(&codec), 3 + FL_MODEL_PARAMS_MAX / 2);
    codec.layout.runs[0] = run_of(FL_MODEL_PARAMS_MAX, FL_GROUP_EXACT);
    assert_int_equal(fl_update_words(&codec),
                     3 + (FL_MODEL_PARAMS_MAX + 2) / 3);
    codec.client_cap = FL_CODEC_CLIENTS_MAX;
    assert_int_equal(fl_update_words(&codec), 3 + FL_MODEL_PARAMS_MAX / 2);
    codec.layout.run_count = 2;  // more than a model has
    codec.layout.runs[1] = run_of(FL_MODEL_PARAMS_MAX / 2, FL_GROUP_EXACT);
    assert_int_equal(fl_update_words(&codec), 0);
}

/* ---- what comes back ---- */

TEST(sketch_is_exact_on_average)
{
    enum { DRAWS = 1500 };
    static double total[PARAMS], squares[PARAMS];
    fl_codec codec = codec_of(FL_CODEC_SKETCH);
    codec.step_large = codec.step_small = 0.05F;  // rounding shows
    draw(0, 0.1);
    for (uint32_t k = 0; k < DRAWS; k++) {
        codec.seed = k;
        encode(&codec, 70, k);
        decode(&codec, words, 1);
        for (int i = 0; i < PARAMS; i++) {
            total[i] += (double)mean[i];
            squares[i] += (double)mean[i] * (double)mean[i];
        }
    }
    double distance = 0.0;
    for (int i = 0; i < PARAMS; i++) {
        if (i >= SKIPPED_AT && i < SKIPPED_AT + SKIPPED_A) continue;
        const double average = total[i] / DRAWS;
        const double variance = squares[i] / DRAWS - average * average;
        const double error = average - (double)update[i];
        assert_near(error, 0.0, 5.0 * sqrt(variance / DRAWS) + 1e-6);
        if (i < EXACT_AT) distance += error * error * DRAWS / variance;
    }
    // Errors are as large as chance makes them, not smaller or larger.
    assert_near(distance / EXACT_AT, 1.0, 5.0 * sqrt(2.0 / EXACT_AT));
}

TEST(sketch_is_as_far_off_as_its_density_says)
{
    fl_codec codec = codec_of(FL_CODEC_SKETCH);
    double expected[PARAMS];
    draw(0, 0.1);
    for (int i = 0; i < PARAMS; i++)
        expected[i] = (double)update[i];
    double squares = 0.0;
    enum { DRAWS = 20 };
    for (uint32_t k = 0; k < DRAWS; k++) {
        codec.seed = k;
        encode(&codec, 100, k);
        decode(&codec, words, 1);
        const double distance = distance_to(expected, 0, LARGE_A);
        squares += distance * distance / DRAWS;
    }
    // A quarter of LARGE: the variance is three times that of the values, and
    // a little more for the padding.
    assert_near(squares / 0.01, 8192.0 / 2240.0 * 9216.0 / 8192.0 - 1.0, 0.15);
}

TEST(sketch_of_all_is_the_update)
{
    double expected[PARAMS];
    draw(1, 0.1);
    for (int i = 0; i < PARAMS; i++)
        expected[i] = (double)update[i];
    for (int k = 0; k < 2; k++) {
        fl_codec codec = codec_of(k == 0 ? FL_CODEC_SKETCH : FL_CODEC_DENSE);
        if (k == 0) codec.density = codec.density_small = 1.0F;
        encode(&codec, 100, 0);
        decode(&codec, words, 1);
        assert_near(distance_to(expected, 0, EXACT_AT), 0.0, 1e-4);
        assert_near(distance_to(expected, SKIPPED_AT + SKIPPED_A,
                                PARAMS - SKIPPED_AT - SKIPPED_A),
                    0.0, 1e-4);
    }
}

TEST(sketch_leaves_skipped_ones_0_and_exact_ones_exact)
{
    const fl_codec codec = codec_of(FL_CODEC_SKETCH);
    draw(1, 0.3);
    encode(&codec, 50, 0);
    memset(mean, 0xff, sizeof mean);
    decode(&codec, words, 1);
    for (int i = EXACT_AT; i < SKIPPED_AT; i++)
        assert_near((double)mean[i], (double)update[i], 2.0 / 32767 + 1e-7);
    for (int i = SKIPPED_AT; i < SKIPPED_AT + SKIPPED_A; i++)
        assert_true(mean[i] == 0.0F);
}

TEST(sketch_of_many_is_their_weighted_mean)
{
    double expected[PARAMS] = {0}, weight = 0.0;
    const fl_codec codec = codec_of(FL_CODEC_DENSE);
    memset(sums, 0, sizeof sums);
    for (uint32_t c = 0; c < CLIENTS; c++) {
        const uint64_t own = 10 + 9 * c;
        draw(c, 0.1);
        encode(&codec, own, c);
        add(&codec);
        weight += (double)own;
        for (int i = 0; i < PARAMS; i++)
            expected[i] += (double)own * (double)update[i];
    }
    for (int i = 0; i < PARAMS; i++)
        expected[i] /= weight;
    decode(&codec, sums, CLIENTS);
    // All ten round in turn: less than a step apart, whatever their number.
    const double step = 1e-4 * 100.0 / weight;
    assert_near(distance_to(expected, 0, EXACT_AT), 0.0, 2.0 * step);
    for (int i = EXACT_AT; i < SKIPPED_AT; i++)
        assert_near((double)mean[i], expected[i], 100.0 / weight / 1000.0);
}

TEST(sketch_of_a_sum_is_the_mean_of_its_parts)
{
    double expected[PARAMS] = {0}, weight = 0.0;
    const fl_codec codec = codec_of(FL_CODEC_SKETCH);
    memset(sums, 0, sizeof sums);
    for (uint32_t c = 0; c < CLIENTS; c++) {
        const uint64_t own = 10 + c;
        draw(c, 0.2);
        encode(&codec, own, c);
        add(&codec);
        decode(&codec, words, 1);
        weight += (double)own;
        for (int i = 0; i < PARAMS; i++)
            expected[i] += (double)own * (double)mean[i];
    }
    decode(&codec, sums, CLIENTS);
    for (int i = 0; i < PARAMS; i++)
        assert_near((double)mean[i], expected[i] / weight, 1e-5);
}

/* ---- rounding ---- */

// Integers of the sum, of a codec with LARGE alone.
static void read_sums(int64_t *integers, size_t count, const fl_codec *codec)
{
    fl_digits_reader in = fl_digits_reader_over(
        sums + 3, fl_digits_radix(codec->per_word), codec->per_word);
    for (size_t i = 0; i < count; i++)
        integers[i] = fl_digits_get(&in);
}

static fl_codec plain_codec(size_t param_count)
{
    fl_codec codec = codec_of(FL_CODEC_DENSE);
    codec.param_count = param_count;
    fl_layout_init_plain(&codec.layout, param_count);
    return codec;
}

TEST(sketch_of_clients_that_agree_is_off_by_less_than_a_unit)
{
    enum { COUNT = 256 };
    fl_codec codec = plain_codec(COUNT);
    codec.step_large = 0.07F;
    draw(3, 0.1);
    codec.seed = 3;
    memset(sums, 0, sizeof sums);
    for (uint32_t c = 0; c < CLIENTS; c++) {
        encode(&codec, 100, c);
        add(&codec);
    }
    int64_t coarse[COUNT], fine[COUNT];
    read_sums(coarse, COUNT, &codec);
    codec.step_large = 1e-6F;
    codec.value_max = 1 << 30;
    codec.per_word = 2;
    memset(sums, 0, sizeof sums);
    encode(&codec, 100, 0);
    add(&codec);
    read_sums(fine, COUNT, &codec);
    for (int i = 0; i < COUNT; i++) {
        const double expected = (double)fine[i] * 1e-6 / 0.07 * CLIENTS;
        assert_near((double)coarse[i], expected, 1.0 + 1e-3);
    }
}

TEST(sketch_limits_its_integers)
{
    enum { COUNT = 256 };
    fl_codec codec = plain_codec(COUNT);
    codec.value_max = 3;
    draw(4, 1.0);
    memset(sums, 0, sizeof sums);
    encode(&codec, 100, 0);
    add(&codec);
    int64_t integers[COUNT];
    read_sums(integers, COUNT, &codec);
    for (int i = 0; i < COUNT; i++)
        assert_true(integers[i] == 3 || integers[i] == -3);
}

TEST(sketch_limits_values_to_the_clip)
{
    const fl_codec codec = codec_of(FL_CODEC_DENSE);
    for (int i = 0; i < PARAMS; i++)
        update[i] = i % 2 ? FLT_MAX : -FLT_MAX;
    encode(&codec, 100, 0);
    decode(&codec, words, 1);
    for (int i = 0; i < EXACT_AT + EXACT_A; i++)
        assert_near((double)mean[i], i % 2 ? 1.0 : -1.0, 1e-3);
}

TEST(sketch_of_more_examples_than_the_largest_weight_counts_as_that)
{
    const fl_codec codec = codec_of(FL_CODEC_SKETCH);
    static uint64_t first[WORDS_MAX];
    draw(5, 0.1);
    const fl_update_metrics most = {100, 25, 200.0}, more = {400, 100, 800.0};
    assert_ok(try_encode(&codec, &most, 0, NULL));
    memcpy(first, words, sizeof first);
    assert_ok(try_encode(&codec, &more, 0, NULL));
    assert_memory_equal(first, words, sizeof first);
    assert_int_equal(words[0], 100);
    assert_int_equal(words[1], 25);
    assert_int_equal(words[2], 200 << 20);
}

TEST(sketch_depends_on_its_streams_and_place_alone)
{
    static uint64_t first[WORDS_MAX];
    fl_codec codec = codec_of(FL_CODEC_SKETCH);
    const size_t len = fl_update_words(&codec) * sizeof *words;
    draw(6, 0.1);
    encode(&codec, 80, 1);
    memcpy(first, words, sizeof first);
    memset(scratch, 0x77, sizeof scratch);
    encode(&codec, 80, 1);
    assert_memory_equal(first, words, len);
    encode(&codec, 80, 2);
    assert_memory_not_equal(first, words, len);
    codec.seed++;
    encode(&codec, 80, 1);
    assert_memory_not_equal(first, words, len);
}

TEST(sketch_has_the_same_bits_on_every_cpu)
{
    static uint64_t first[WORDS_MAX];
    static float first_mean[PARAMS];
    const fl_codec codec = codec_of(FL_CODEC_SKETCH);
    draw(7, 0.1);
    encode(&codec, 80, 1);
    decode(&codec, words, 1);
    memcpy(first, words, sizeof first);
    memcpy(first_mean, mean, sizeof first_mean);
    assert_int_equal(setenv("FEDGE_CPU", "portable", 1), 0);
    encode(&codec, 80, 1);
    decode(&codec, words, 1);
    unsetenv("FEDGE_CPU");
    assert_memory_equal(first, words, sizeof first);
    assert_memory_equal(first_mean, mean, sizeof first_mean);
}

/* ---- what a sum says ---- */

TEST(sketch_tells_the_spread_of_its_sums)
{
    const fl_codec codec = codec_of(FL_CODEC_SKETCH);
    draw(8, 0.1);
    encode(&codec, 50, 0);
    const fl_update_spread spread = decode(&codec, words, 1);
    // Half the weight, and SMALL's 340 values are spread over 512.
    assert_near(spread.rms[FL_GROUP_LARGE], 0.05 * sqrt(9000.0 / 9216), 0.003);
    assert_near(spread.rms[FL_GROUP_SMALL], 0.05 * sqrt(340.0 / 512), 0.005);
    assert_true(spread.edge[0] == 0.0 && spread.edge[1] == 0.0);

    fl_codec plain = plain_codec(1000);
    encode(&plain, 50, 0);
    assert_true(decode(&plain, words, 1).rms[FL_GROUP_SMALL] == 0.0);
}

TEST(sketch_that_wraps_shows_at_the_edge)
{
    fl_codec codec = codec_of(FL_CODEC_SKETCH);
    codec.per_word = 12;
    codec.value_max = 1 << 30;
    codec.step_small = 0.03F;
    draw(9, 0.1);
    // The deviation of what is sent is 0.1, of the range 38 steps.
    codec.step_large = 0.7F / 38.0F;
    encode(&codec, 100, 0);
    assert_true(decode(&codec, words, 1).edge[FL_GROUP_LARGE] < 0.005);
    codec.step_large = 0.1F / 38.0F;
    encode(&codec, 100, 0);
    const fl_update_spread spread = decode(&codec, words, 1);
    assert_true(spread.edge[FL_GROUP_LARGE] > 0.06);
    assert_true(spread.edge[FL_GROUP_SMALL] < 0.01);
}

TEST(sketch_sums_its_metrics_exactly)
{
    const fl_codec codec = codec_of(FL_CODEC_SKETCH);
    fl_update_metrics all;
    fl_update_spread spread;
    draw(1, 0.1);
    memset(sums, 0, sizeof sums);
    for (uint32_t c = 0; c < CLIENTS; c++) {
        const fl_update_metrics own = {1 + 3 * c, c, 0x1p-20 * c};
        assert_ok(try_encode(&codec, &own, c, NULL));
        add(&codec);
    }
    assert_ok(fl_update_decode(mean, &all, &spread, &codec, sums, CLIENTS,
                               scratch, NULL));
    assert_int_equal(all.weight, CLIENTS + 3 * 45);
    assert_int_equal(all.correct, 45);
    assert_true(all.loss_sum == 45 * 0x1p-20);
}

/* ---- the document, executed ---- */

static void assert_documented(const char *name, const void *bytes, size_t len)
{
    size_t expected_len;
    uint8_t *expected = fl_vector_read(&expected_len, "docs/format.md", name);
    if (!expected) fail_msg("docs/format.md has no hex block %s", name);
    assert_int_equal(len, expected_len);
    assert_memory_equal(bytes, expected, len);
    free(expected);
}

static void assert_documented_words(const char *name, const uint64_t *src,
                                    size_t count)
{
    uint8_t bytes[10 * sizeof *src];
    fl_writer out = fl_writer_over(bytes, sizeof bytes);
    for (size_t i = 0; i < count; i++)
        fl_writer_u64(&out, src[i]);
    assert_ok(fl_writer_finish(&out));
    assert_documented(name, bytes, out.len);
}

static fl_codec documented_codec(void)
{
    return (fl_codec){
        .kind = FL_CODEC_SKETCH,
        .param_count = 40,
        .density = 0.5F,
        .density_small = 1.0F,
        .clip = 1.0F,
        .weight_max = 100,
        .client_cap = 3,
        .seed = 7,
        .per_word = 12,
        .value_max = 1000,
        .step_large = 0.0625F,
        .step_small = 0.0625F,
        .layout = {5,
                   {run_of(14, FL_GROUP_LARGE), run_of(8, FL_GROUP_SMALL),
                    run_of(4, FL_GROUP_EXACT), run_of(4, FL_GROUP_SKIPPED),
                    run_of(10, FL_GROUP_LARGE)}},
    };
}

TEST(sketch_is_the_documented_one)
{
    const fl_update_metrics metrics[] = {
        {50, 40, 25.5}, {100, 75, 60.25}, {20, 9, 30.0}};
    const fl_codec codec = documented_codec();
    const size_t count = fl_update_words(&codec);
    memset(sums, 0, sizeof sums);
    for (uint32_t c = 0; c < 3; c++) {
        for (uint32_t i = 0; i < 40; i++)
            update[i] = (float)((int)(7 * (i + c) % 41) - 20) / 32.0F;
        assert_ok(try_encode(&codec, &metrics[c], c, NULL));
        if (c == 0) assert_documented_words("update_words", words, count);
        add(&codec);
    }
    assert_documented_words("update_sums", sums, count);
    decode(&codec, sums, 3);
    assert_documented("update_mean", mean, 40 * sizeof *mean);
}

TEST(sketch_names_its_codec_as_documented)
{
    const fl_codec codec = documented_codec();
    uint8_t task[FL_CODEC_TASK_MAX], recipe[FL_CODEC_RECIPE_BYTES];
    memset(recipe, 0x55, sizeof recipe);
    const size_t len = fl_codec_task(task, &codec, recipe);
    assert_documented("update_task", task, len);
}

/* ---- what is refused ---- */

static void assert_encode_refuses(fl_update_metrics metrics, const char *word)
{
    const fl_codec codec = codec_of(FL_CODEC_SKETCH);
    fl_reason why = {""};
    assert_err(try_encode(&codec, &metrics, 0, &why), FL_ERR_RANGE);
    assert_reason_names(why, word);
}

TEST(sketch_refuses_what_is_not_a_number)
{
    const fl_update_metrics metrics = {10, 5, 1.0};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    const int places[] = {17, EXACT_AT, SKIPPED_AT};
    const char *names[] = {"coordinate 17 ", "coordinate 5040 ",
                           "coordinate 5052 "};
    for (int k = 0; k < 3; k++) {
        draw(1, 0.1);
        update[places[k]] = bad[k];
        assert_encode_refuses(metrics, names[k]);
    }
}

TEST(sketch_refuses_metrics_that_no_training_gives)
{
    draw(1, 0.1);
    assert_encode_refuses((fl_update_metrics){0, 0, 1.0}, "0 examples");
    assert_encode_refuses(
        (fl_update_metrics){FL_UPDATE_EXAMPLES_MAX + 1, 0, 1.0}, "2^40");
    assert_encode_refuses((fl_update_metrics){10, 11, 1.0}, "11 correct");
    assert_encode_refuses((fl_update_metrics){10, 5, (double)NAN}, "loss");
}

static void assert_decode_refuses(uint32_t clients, const char *word)
{
    const fl_codec codec = codec_of(FL_CODEC_SKETCH);
    fl_update_metrics metrics;
    fl_update_spread spread;
    fl_reason why = {""};
    assert_err(fl_update_decode(mean, &metrics, &spread, &codec, sums, clients,
                                scratch, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, word);
}

TEST(sketch_refuses_sums_that_so_many_cannot_have_made)
{
    const fl_codec codec = codec_of(FL_CODEC_SKETCH);
    draw(1, 0.1);
    memset(sums, 0, sizeof sums);
    encode(&codec, 100, 0);
    add(&codec);
    assert_decode_refuses(0, "a sum of 0 clients");
    assert_decode_refuses(CLIENTS + 1, "a sum of 11 clients");
    sums[0] = 101;
    assert_decode_refuses(1, "101 examples");
    sums[0] = 1;
    assert_decode_refuses(2, "1 examples");
    sums[0] = 49;
    assert_decode_refuses(1, "50 correct of 49");
    sums[0] = 50, sums[2] = (UINT64_C(50) << 26) + 1;
    assert_decode_refuses(1, "a loss of");
    sums[0] = 0, sums[1] = 0, sums[2] = 0;
    assert_decode_refuses(1, "0 examples");
}

RUN_TESTS(
    cmocka_unit_test(sketch_has_the_words_of_its_support),
    cmocka_unit_test(sketch_that_fits_no_object_has_no_words),
    cmocka_unit_test(sketch_is_exact_on_average),
    cmocka_unit_test(sketch_is_as_far_off_as_its_density_says),
    cmocka_unit_test(sketch_of_all_is_the_update),
    cmocka_unit_test(sketch_leaves_skipped_ones_0_and_exact_ones_exact),
    cmocka_unit_test(sketch_of_many_is_their_weighted_mean),
    cmocka_unit_test(sketch_of_a_sum_is_the_mean_of_its_parts),
    cmocka_unit_test(sketch_of_clients_that_agree_is_off_by_less_than_a_unit),
    cmocka_unit_test(sketch_limits_its_integers),
    cmocka_unit_test(sketch_limits_values_to_the_clip),
    cmocka_unit_test(
        sketch_of_more_examples_than_the_largest_weight_counts_as_that),
    cmocka_unit_test(sketch_depends_on_its_streams_and_place_alone),
    cmocka_unit_test(sketch_has_the_same_bits_on_every_cpu),
    cmocka_unit_test(sketch_tells_the_spread_of_its_sums),
    cmocka_unit_test(sketch_that_wraps_shows_at_the_edge),
    cmocka_unit_test(sketch_sums_its_metrics_exactly),
    cmocka_unit_test(sketch_is_the_documented_one),
    cmocka_unit_test(sketch_names_its_codec_as_documented),
    cmocka_unit_test(sketch_refuses_what_is_not_a_number),
    cmocka_unit_test(sketch_refuses_metrics_that_no_training_gives),
    cmocka_unit_test(sketch_refuses_sums_that_so_many_cannot_have_made))
