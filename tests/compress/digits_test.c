/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "compress/update/codec.h"
#include "compress/update/digits.h"
#include "tests/test.h"

enum { COUNT = 1000 };

static uint64_t words[COUNT];

static void put_all(const int64_t *values, unsigned per_word)
{
    fl_digits_writer out =
        fl_digits_writer_over(words, fl_digits_radix(per_word), per_word);
    for (size_t i = 0; i < COUNT; i++)
        fl_digits_put(&out, values[i]);
    fl_digits_writer_finish(&out);
    assert_true(out.next == words + fl_digits_count(COUNT, per_word));
}

static void assert_read(const int64_t *expected, unsigned per_word)
{
    fl_digits_reader in =
        fl_digits_reader_over(words, fl_digits_radix(per_word), per_word);
    for (size_t i = 0; i < COUNT; i++) {
        const int64_t value = fl_digits_get(&in);
        if (value != expected[i]) {
            fail_msg("integer %zu of %u a word is %lld, not %lld", i, per_word,
                     (long long)value, (long long)expected[i]);
        }
    }
}

static int64_t low_of(int64_t radix)
{
    return -(radix / 2);
}

static int64_t high_of(int64_t radix)
{
    return radix - 1 - radix / 2;
}

/* ---- the radix ---- */

TEST(digits_have_the_largest_radix)
{
    assert_int_equal(fl_digits_radix(2), 3037000499);
    assert_int_equal(fl_digits_radix(3), 2097152);  // 2^21: exactly 2^63
    assert_int_equal(fl_digits_radix(10), 78);
    assert_int_equal(fl_digits_radix(12), 38);
    assert_int_equal(fl_digits_radix(16), 15);
    assert_int_equal(fl_digits_radix(63), 2);
}

TEST(digits_hold_as_many_as_their_radix_allows)
{
    for (unsigned m = FL_CODEC_PER_WORD_MIN; m <= FL_CODEC_PER_WORD_MAX; m++) {
        const int64_t radix = fl_digits_radix(m);
        assert_int_equal(fl_digits_per_word(radix), m);
        assert_true(fl_digits_per_word(radix + 1) < m);
    }
    assert_int_equal(fl_digits_per_word(2), 63);
    assert_int_equal(fl_digits_per_word(65535), 3);
    assert_int_equal(fl_digits_per_word(INT64_MAX), 1);
}

TEST(digits_count_what_is_left_over)
{
    assert_int_equal(fl_digits_count(0, 12), 0);
    assert_int_equal(fl_digits_count(1, 12), 1);
    assert_int_equal(fl_digits_count(12, 12), 1);
    assert_int_equal(fl_digits_count(13, 12), 2);
}

/* ---- one vector ---- */

TEST(digits_give_back_every_integer)
{
    for (unsigned m = FL_CODEC_PER_WORD_MIN; m <= FL_CODEC_PER_WORD_MAX; m++) {
        const int64_t radix = fl_digits_radix(m);
        int64_t values[COUNT];
        fl_random random;
        fl_random_init(&random, 1, FL_RANDOM_TEST, m);
        for (size_t i = 0; i < COUNT; i++) {
            values[i] =
                low_of(radix) + fl_random_below(&random, (uint32_t)radix);
        }
        put_all(values, m);
        assert_read(values, m);
    }
}

TEST(digits_give_back_the_ends_of_the_range)
{
    for (unsigned m = FL_CODEC_PER_WORD_MIN; m <= FL_CODEC_PER_WORD_MAX; m++) {
        const int64_t low = low_of(fl_digits_radix(m));
        const int64_t high = high_of(fl_digits_radix(m));
        const int64_t some[] = {low, high, 0, -1, 1, high, low};
        int64_t values[3][COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            values[0][i] = low;
            values[1][i] = high;
            values[2][i] = some[i * 5 % 7];
        }
        for (size_t k = 0; k < 3; k++) {
            put_all(values[k], m);
            assert_read(values[k], m);
        }
    }
}

TEST(digits_are_sums_of_powers)
{
    int64_t values[COUNT] = {3, -1, 0, 2};
    put_all(values, 16);
    assert_true(words[0] == (uint64_t)(3 - 15 + 2 * 15 * 15 * 15));
    assert_int_equal(words[1], 0);
    values[1] = 0, values[0] = values[3] = -1;
    put_all(values, 16);
    assert_true(words[0] == (uint64_t)-1 - 15 * 15 * 15);
}

/* ---- sums ---- */

TEST(digits_add_up_to_the_sums_of_their_integers)
{
    enum { CLIENTS = 9 };
    for (unsigned m = FL_CODEC_PER_WORD_MIN; m <= FL_CODEC_PER_WORD_MAX; m++) {
        const int64_t most = high_of(fl_digits_radix(m)) / CLIENTS;
        int64_t values[COUNT], sums[COUNT] = {0};
        uint64_t word_sums[COUNT] = {0};
        fl_random random;
        fl_random_init(&random, 2, FL_RANDOM_TEST, m);
        for (unsigned c = 0; c < CLIENTS; c++) {
            for (size_t i = 0; i < COUNT; i++) {
                values[i] =
                    -most + fl_random_below(&random, (uint32_t)(2 * most + 1));
                sums[i] += values[i];
            }
            put_all(values, m);
            for (size_t i = 0; i < COUNT; i++)
                word_sums[i] += words[i];
        }
        memcpy(words, word_sums, sizeof words);
        assert_read(sums, m);
    }
}

// As if two clients had sent more than there is room for in one place.
static void assert_spoils(unsigned per_word, size_t place, int64_t excess)
{
    const int64_t radix = fl_digits_radix(per_word);
    const int64_t end = excess > 0 ? high_of(radix) : low_of(radix);
    int64_t values[COUNT] = {0};
    values[place] = end + excess;
    if (place + 1 < per_word) values[place + 1] = 2;
    put_all(values, per_word);
    const int64_t turn = excess > 0 ? 1 : -1;
    values[place] -= turn * radix;
    if (place + 1 < per_word) values[place + 1] += turn;
    assert_read(values, per_word);
}

TEST(digits_that_wrap_spoil_one_integer_and_a_unit_of_the_next)
{
    for (unsigned m = FL_CODEC_PER_WORD_MIN; m <= FL_CODEC_PER_WORD_MAX; m++) {
        for (size_t place = 0; place < m; place++) {
            assert_spoils(m, place, 1);
            assert_spoils(m, place, -1);
            assert_spoils(m, place, fl_digits_radix(m) / 4);
            assert_spoils(m, place, -fl_digits_radix(m) / 4);
        }
    }
}

TEST(digits_of_any_bits_can_be_read)
{
    const uint64_t bits[] = {0, UINT64_MAX, UINT64_C(1) << 63,
                             (UINT64_C(1) << 63) - 1, (UINT64_C(1) << 63) + 1};
    for (unsigned m = FL_CODEC_PER_WORD_MIN; m <= FL_CODEC_PER_WORD_MAX; m++) {
        const int64_t radix = fl_digits_radix(m);
        for (size_t k = 0; k < sizeof bits / sizeof *bits; k++) {
            fl_digits_reader in = fl_digits_reader_over(&bits[k], radix, m);
            for (unsigned i = 0; i < m; i++) {
                const int64_t value = fl_digits_get(&in);
                assert_true(value >= low_of(radix) && value <= high_of(radix));
            }
        }
    }
}

RUN_TESTS(
    cmocka_unit_test(digits_have_the_largest_radix),
    cmocka_unit_test(digits_hold_as_many_as_their_radix_allows),
    cmocka_unit_test(digits_count_what_is_left_over),
    cmocka_unit_test(digits_give_back_every_integer),
    cmocka_unit_test(digits_give_back_the_ends_of_the_range),
    cmocka_unit_test(digits_are_sums_of_powers),
    cmocka_unit_test(digits_add_up_to_the_sums_of_their_integers),
    cmocka_unit_test(digits_that_wrap_spoil_one_integer_and_a_unit_of_the_next),
    cmocka_unit_test(digits_of_any_bits_can_be_read))
