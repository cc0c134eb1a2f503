/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/tally.h"

#include <math.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "compress/update/codec.h"
#include "compress/update/metrics.h"
#include "tests/support/vector.h"
#include "tests/test.h"

enum { WORDS_MAX = 3 + 64, WORD_BYTES = 8, ROUNDS = 200 };

static const fl_update_metrics TEN = {10, 3, 12.5};

static fl_codec tally_of(size_t count, uint32_t client_cap)
{
    const fl_codec codec = {
        .kind = FL_CODEC_TALLY,
        .param_count = count,
        .weight_max = 1000,
        .client_cap = client_cap,
        .seed = 7,
    };
    assert_ok(fl_codec_check(&codec, NULL));
    return codec;
}

static void put_words(uint8_t *bytes, const uint64_t *words, size_t count)
{
    fl_writer out = fl_writer_over(bytes, count * WORD_BYTES);
    for (size_t i = 0; i < count; i++) {
        fl_writer_u64(&out, words[i]);
    }
    assert_ok(fl_writer_finish(&out));
}

// What an aggregator does with words in the clear.
static fl_err add(uint64_t *sums, const fl_codec *codec, const uint64_t *words,
                  fl_reason *why)
{
    uint8_t bytes[WORDS_MAX * WORD_BYTES];
    const size_t count = fl_update_words(codec);
    put_words(bytes, words, count);
    return fl_codec_add(sums, codec, bytes, count * WORD_BYTES, NULL, why);
}

TEST(tally_is_a_codec_that_nobody_asks_for)
{
    fl_codec_kind kind;
    uint32_t bits;
    fl_reason why = {""};
    assert_string_equal(fl_codec_name(FL_CODEC_TALLY), "tally");
    assert_true(fl_codec_is_summable(FL_CODEC_TALLY));
    assert_false(fl_codec_has_residual(FL_CODEC_TALLY));
    assert_err(fl_codec_parse(&kind, &bits, "tally", &why), FL_ERR_NOT_FOUND);
    assert_null(strstr(why.text, "none, tally"));
}

TEST(tally_has_two_counts_in_a_word)
{
    for (size_t count = 1; count < 9; count++) {
        const fl_codec codec = tally_of(count, 3);
        const size_t words = 3 + (count + 1) / 2;
        assert_int_equal(fl_update_words(&codec), words);
        assert_int_equal(fl_codec_sums(&codec), words);
        assert_int_equal(fl_codec_bound(&codec), words * WORD_BYTES);
        assert_int_equal(fl_update_scratch(&codec), 0);
        assert_int_equal(fl_codec_support(&codec), count);
        const fl_codec_stages stages = fl_codec_get_stages(&codec);
        assert_int_equal(stages.raw, 4 * count);
        assert_int_equal(stages.support, 4 * count);
        assert_int_equal(stages.rounded, 4 * count);
        assert_int_equal(stages.packed, words * WORD_BYTES);
    }
}

TEST(tally_of_the_largest_model_fits_an_object)
{
    const fl_codec codec = tally_of(FL_MODEL_PARAMS_MAX, 16384);
    assert_int_equal(fl_update_words(&codec), 3 + FL_MODEL_PARAMS_MAX / 2);
    assert_true(fl_codec_bound(&codec) > 0);
}

TEST(tally_needs_few_numbers_of_a_codec)
{
    fl_codec codec = tally_of(5, 3);
    codec.clip = NAN;
    codec.density = -1.0F;
    assert_ok(fl_codec_check(&codec, NULL));

    fl_reason why = {""};
    codec.layout = (fl_layout){1, {5 * 4}};
    assert_err(fl_codec_check(&codec, &why), FL_ERR_RANGE);
    assert_reason_names(why, "runs: 1");
    codec = tally_of(5, 3);
    codec.param_count = 0;
    assert_err(fl_codec_check(&codec, &why), FL_ERR_RANGE);
    assert_reason_names(why, "coordinates: 0");
    codec = tally_of(5, 3);
    codec.client_cap = 16385;
    assert_err(fl_codec_check(&codec, &why), FL_ERR_RANGE);
    assert_reason_names(why, "clients: 16385");
    codec = tally_of(5, 3);
    codec.weight_max = 0;
    assert_err(fl_codec_check(&codec, &why), FL_ERR_RANGE);
    assert_reason_names(why, "weight of 0");
}

TEST(tally_max_leaves_room_for_every_client)
{
    for (uint32_t cap = 1; cap <= FL_CODEC_CLIENTS_MAX; cap++) {
        const fl_codec codec = {.kind = FL_CODEC_TALLY, .client_cap = cap};
        const uint64_t most = fl_tally_max(&codec);
        assert_true(most * cap <= UINT32_MAX);
        assert_true((most + 1) * cap > UINT32_MAX);
    }
}

// As many clients as there may be, all of which say the most they may.
static void assert_exact_at_the_extremes(uint32_t clients)
{
    enum { COUNT = 5, WORDS = 6 };
    const fl_codec codec = tally_of(COUNT, clients);
    const uint32_t most = fl_tally_max(&codec);
    const uint32_t counts[COUNT] = {most, 0, most, most, most};
    const fl_update_metrics metrics = {1000, 1000, 64e3};
    uint64_t words[WORDS], sums[WORDS] = {0}, got[COUNT];
    assert_ok(fl_tally_encode(words, &codec, counts, &metrics, NULL));
    for (uint32_t i = 0; i < clients; i++) {
        assert_ok(add(sums, &codec, words, NULL));
    }
    fl_update_metrics all;
    assert_ok(fl_tally_decode(got, &all, &codec, sums, clients, NULL));
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(got[i], (uint64_t)counts[i] * clients);
    }
    assert_int_equal(all.weight, 1000 * (uint64_t)clients);
    assert_int_equal(all.correct, 1000 * (uint64_t)clients);
    assert_true(all.loss_sum == 64e3 * clients);
}

TEST(tally_is_exact_for_one_client_and_for_16384)
{
    assert_exact_at_the_extremes(1);
    assert_exact_at_the_extremes(2);
    assert_exact_at_the_extremes(16384);
}

TEST(tally_sums_are_those_of_the_counts)
{
    fl_random random;
    fl_random_init(&random, 3, FL_RANDOM_TEST, 0);
    for (int round = 0; round < ROUNDS; round++) {
        const size_t count = 1 + fl_random_below(&random, 100);
        const uint32_t clients = 1 + fl_random_below(&random, 20);
        const fl_codec codec =
            tally_of(count, clients + fl_random_below(&random, 3));
        uint64_t sums[WORDS_MAX] = {0}, wanted[100] = {0}, got[100];
        uint64_t weight = 0, correct = 0;
        double loss = 0;
        for (uint32_t i = 0; i < clients; i++) {
            uint32_t counts[100];
            uint64_t words[WORDS_MAX];
            for (size_t j = 0; j < count; j++) {
                counts[j] = fl_random_below(&random, fl_tally_max(&codec));
                wanted[j] += counts[j];
            }
            const fl_update_metrics metrics = {1 + i, i, i * 0.25};
            weight += metrics.weight;
            correct += metrics.correct;
            loss += metrics.loss_sum;
            assert_ok(fl_tally_encode(words, &codec, counts, &metrics, NULL));
            assert_ok(add(sums, &codec, words, NULL));
        }
        fl_update_metrics all;
        assert_ok(fl_tally_decode(got, &all, &codec, sums, clients, NULL));
        assert_memory_equal(got, wanted, count * sizeof *got);
        assert_int_equal(all.weight, weight);
        assert_int_equal(all.correct, correct);
        assert_true(all.loss_sum == loss);
    }
}

TEST(tally_of_many_rows_counts_as_weight_max)
{
    const fl_codec codec = tally_of(1, 3);
    uint64_t words[4];
    assert_ok(fl_tally_encode(words, &codec, &(uint32_t){9},
                              &(fl_update_metrics){4000, 1000, 2000.0}, NULL));
    assert_int_equal(words[0], 1000);
    assert_int_equal(words[1], 250);
    assert_int_equal(words[2], 500 << 20);
    assert_int_equal(words[3], 9);
}

TEST(tally_refuses_to_encode_what_it_cannot_say)
{
    const fl_codec codec = tally_of(3, 3);
    const uint32_t most = fl_tally_max(&codec);
    uint64_t words[5];
    fl_reason why = {""};
    assert_err(fl_tally_encode(words, &codec, (uint32_t[]){0, 0, most + 1},
                               &TEN, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "count 2 of a tally of 3");
    assert_err(fl_tally_encode(words, &codec, (uint32_t[]){0, 0, 0},
                               &(fl_update_metrics){0, 0, 0.0}, &why),
               FL_ERR_RANGE);
    assert_err(fl_tally_encode(words, &codec, (uint32_t[]){0, 0, 0},
                               &(fl_update_metrics){1, 2, 0.0}, &why),
               FL_ERR_RANGE);
    assert_err(fl_tally_encode(words, &codec, (uint32_t[]){0, 0, 0},
                               &(fl_update_metrics){1, 1, NAN}, &why),
               FL_ERR_RANGE);
}

// A word of a good tally gets a value; nothing of it is added.
static void assert_add_refuses(size_t at, uint64_t word, const char *says)
{
    const fl_codec codec = tally_of(3, 3);
    uint64_t words[5], sums[5] = {7, 6, 5, 4, 3};
    const uint64_t before[5] = {7, 6, 5, 4, 3};
    fl_reason why = {""};
    assert_ok(
        fl_tally_encode(words, &codec, (uint32_t[]){1, 2, 3}, &TEN, NULL));
    words[at] = word;
    assert_err(add(sums, &codec, words, &why), FL_ERR_RANGE);
    assert_reason_names(why, says);
    assert_memory_equal(sums, before, sizeof sums);
}

TEST(tally_in_the_clear_is_looked_at_before_it_is_added)
{
    const uint64_t most = UINT32_MAX / 3;
    assert_add_refuses(0, 0, "of 0 examples");
    assert_add_refuses(0, 1001, "of 1001 examples");
    assert_add_refuses(1, 11, "11 correct");
    assert_add_refuses(2, UINT64_MAX, "loss");
    assert_add_refuses(3, most + 1, "count 0");
    assert_add_refuses(3, (most + 1) << 32, "count 1");
    assert_add_refuses(3, UINT64_MAX, "count 0");
    assert_add_refuses(4, most + 1, "count 2");
    assert_add_refuses(4, UINT64_C(1) << 32, "count 3");  // there are three
}

TEST(tally_of_another_length_is_refused)
{
    const fl_codec codec = tally_of(3, 3);
    uint8_t bytes[6 * WORD_BYTES] = {1};
    uint64_t sums[5] = {0};
    fl_reason why = {""};
    for (size_t len = 0; len <= sizeof bytes; len++) {
        const fl_err err = fl_codec_add(sums, &codec, bytes, len, NULL, &why);
        assert_err(err, len == 5 * WORD_BYTES ? FL_OK : FL_ERR_FORMAT);
    }
    assert_reason_names(why, "48 bytes");
}

static void assert_decode_refuses(size_t at, uint64_t word, uint32_t clients,
                                  const char *says)
{
    const fl_codec codec = tally_of(3, 3);
    uint64_t sums[5] = {20, 6, 0, 4, 3}, counts[3];
    fl_update_metrics metrics;
    fl_reason why = {""};
    assert_ok(fl_tally_decode(counts, &metrics, &codec, sums, 2, NULL));
    sums[at] = word;
    assert_err(fl_tally_decode(counts, &metrics, &codec, sums, clients, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, says);
}

TEST(tally_sums_that_no_clients_make_are_refused)
{
    const uint64_t most = UINT32_MAX / 3 * 2;
    assert_decode_refuses(0, 20, 0, "0 clients");
    assert_decode_refuses(0, 20, 4, "4 clients");
    assert_decode_refuses(0, 1, 2, "1 examples");
    assert_decode_refuses(1, 21, 2, "21 correct");
    assert_decode_refuses(3, most + 1, 2, "count 0");
    assert_decode_refuses(3, (most + 1) << 32, 2, "count 1");
    assert_decode_refuses(4, UINT64_C(1) << 32, 2, "count 3");
    assert_decode_refuses(4, UINT64_MAX, 3, "count 3");
}

TEST(tally_is_no_update)
{
    const fl_codec codec = tally_of(4, 3);
    float update[4] = {0}, scratch[2 * WORDS_MAX];
    uint64_t words[5] = {10, 3, 0, 0, 0};
    uint8_t bytes[5 * WORD_BYTES];
    size_t len;
    fl_random rounding;
    fl_update_metrics metrics;
    fl_update_spread spread;
    fl_reason why = {""};
    fl_random_init(&rounding, 1, FL_RANDOM_ROUNDING, 0);
    assert_err(fl_update_encode(words, &codec, update, &TEN, 0, &rounding,
                                scratch, &why),
               FL_ERR_UNSUPPORTED);
    assert_reason_names(why, "no update");
    assert_err(fl_codec_encode(bytes, sizeof bytes, &len, &codec, update, &TEN,
                               0, &rounding, scratch, &why),
               FL_ERR_UNSUPPORTED);
    assert_err(fl_update_decode(update, &metrics, &spread, &codec, words, 1,
                                scratch, &why),
               FL_ERR_UNSUPPORTED);
    assert_err(fl_codec_decode(update, &metrics, &spread, &codec, words, 1,
                               scratch, &why),
               FL_ERR_UNSUPPORTED);
}

/* ---- the document ---- */

static void assert_documented(const char *name, const void *bytes, size_t len)
{
    size_t expected_len;
    uint8_t *expected = fl_vector_read(&expected_len, "docs/format.md", name);
    if (!expected) fail_msg("docs/format.md has no hex block %s", name);
    assert_int_equal(len, expected_len);
    assert_memory_equal(bytes, expected, len);
    free(expected);
}

static void assert_documented_words(const char *name, const uint64_t *words,
                                    size_t count)
{
    uint8_t bytes[WORDS_MAX * WORD_BYTES];
    put_words(bytes, words, count);
    assert_documented(name, bytes, count * WORD_BYTES);
}

TEST(tally_is_as_documented)
{
    enum { COUNT = 5, WORDS = 6, CLIENTS = 3 };
    fl_codec codec = tally_of(COUNT, CLIENTS);
    codec.clip = 1.0F;
    codec.weight_max = 100;
    uint8_t recipe[FL_CODEC_RECIPE_BYTES], task[FL_CODEC_TASK_MAX];
    memset(recipe, 0x55, sizeof recipe);
    assert_documented("tally_task", task, fl_codec_task(task, &codec, recipe));

    const uint32_t most = fl_tally_max(&codec);
    assert_int_equal(most, 1431655765);
    const uint32_t counts[CLIENTS][COUNT] = {
        {0, 1, 1 << 20, 1 << 30, most - 4},
        {most, most, most, most, most},
        {0, 1, 2, 3, most},
    };
    const fl_update_metrics metrics[CLIENTS] = {
        {50, 40, 25.5}, {100, 75, 60.25}, {20, 9, 30.0}};
    uint64_t words[WORDS], sums[WORDS] = {0};
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_ok(fl_tally_encode(words, &codec, counts[i], &metrics[i], NULL));
        if (i == 0) assert_documented_words("tally_words", words, WORDS);
        assert_ok(add(sums, &codec, words, NULL));
    }
    assert_documented_words("tally_sums", sums, WORDS);
}

RUN_TESTS(cmocka_unit_test(tally_is_a_codec_that_nobody_asks_for),
          cmocka_unit_test(tally_has_two_counts_in_a_word),
          cmocka_unit_test(tally_of_the_largest_model_fits_an_object),
          cmocka_unit_test(tally_needs_few_numbers_of_a_codec),
          cmocka_unit_test(tally_max_leaves_room_for_every_client),
          cmocka_unit_test(tally_is_exact_for_one_client_and_for_16384),
          cmocka_unit_test(tally_sums_are_those_of_the_counts),
          cmocka_unit_test(tally_of_many_rows_counts_as_weight_max),
          cmocka_unit_test(tally_refuses_to_encode_what_it_cannot_say),
          cmocka_unit_test(tally_in_the_clear_is_looked_at_before_it_is_added),
          cmocka_unit_test(tally_of_another_length_is_refused),
          cmocka_unit_test(tally_sums_that_no_clients_make_are_refused),
          cmocka_unit_test(tally_is_no_update),
          cmocka_unit_test(tally_is_as_documented))
