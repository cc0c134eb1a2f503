/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/fields.h"

#include <stdbool.h>
#include <stdlib.h>

#include "tests/test.h"

enum { COUNT_MAX = 1000, CLIENTS_MAX = 1 << 14 };

static uint64_t random_state = 1;

static uint32_t random_below(uint64_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) +
                   UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 32) % bound);
}

__extension__ typedef unsigned __int128 wide;

/* Is base^exponent <= 2^64? By multiplication, not by the code's division. */
static bool power_fits(uint64_t base, unsigned exponent)
{
    wide power = 1;
    for (unsigned i = 0; i < exponent; i++) {
        power *= base;
        if (power > (wide)1 << 64) return false;
    }
    return true;
}

static unsigned most_per_word(uint64_t radix)
{
    unsigned count = 1;
    while (power_fits(radix, count + 1))
        count++;
    return count;
}

/* ---- layout ---- */

static void check_layout(uint64_t radix)
{
    fl_fields fields;
    assert_ok(fl_fields_init(&fields, COUNT_MAX, radix, 1, 1));
    assert_int_equal(fields.per_word, most_per_word(radix));
    assert_int_equal(fields.word_count,
                     (COUNT_MAX + fields.per_word - 1) / fields.per_word);
    assert_true(fields.radix == radix);
    assert_int_equal(fields.field_count, COUNT_MAX);
}

TEST(fields_fill_words_with_as_many_as_fit)
{
    for (uint64_t radix = 2; radix < 5000; radix++)
        check_layout(radix);
    for (unsigned bits = 2; bits < 64; bits++) {
        check_layout((UINT64_C(1) << bits) - 1);
        check_layout(UINT64_C(1) << bits);
        check_layout((UINT64_C(1) << bits) + 1);
    }
    check_layout(UINT64_MAX);
    check_layout(UINT64_C(2642245));  // the cube root of 2^64 is 2642245.9
    check_layout(UINT64_C(2642246));
}

TEST(fields_know_the_bounds_of_a_word)
{
    fl_fields fields;
    const struct {
        uint64_t radix;
        unsigned per_word;
    } known[] = {{2, 64},
                 {3, 40},
                 {1501, 6},
                 {65536, 4},
                 {65537, 3},
                 {UINT64_C(1) << 32, 2},
                 {(UINT64_C(1) << 32) + 1, 1}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_ok(fl_fields_init(&fields, 1, known[i].radix, 1, 1));
        assert_int_equal(fields.per_word, known[i].per_word);
        assert_int_equal(fields.word_count, 1);
    }
}

TEST(fields_refuse_a_radix_that_a_sum_could_reach)
{
    fl_fields fields;
    assert_err(fl_fields_init(&fields, 1, 1500, 100, 15), FL_ERR_RANGE);
    assert_ok(fl_fields_init(&fields, 1, 1501, 100, 15));
    assert_err(fl_fields_init(&fields, 1, 0, 1, 1), FL_ERR_RANGE);
    assert_err(fl_fields_init(&fields, 1, 1, 1, 1), FL_ERR_RANGE);
    assert_ok(fl_fields_init(&fields, 1, 2, 1, 1));
    // A product beyond 32 bits.
    const uint64_t most = (uint64_t)UINT32_MAX * UINT32_MAX;
    assert_err(fl_fields_init(&fields, 1, most, UINT32_MAX, UINT32_MAX),
               FL_ERR_RANGE);
    assert_ok(fl_fields_init(&fields, 1, most + 1, UINT32_MAX, UINT32_MAX));
}

TEST(fields_refuse_to_be_none)
{
    fl_fields fields;
    assert_err(fl_fields_init(&fields, 0, 1501, 100, 15), FL_ERR_RANGE);
    assert_err(fl_fields_init(&fields, 1, 1501, 0, 15), FL_ERR_RANGE);
    assert_err(fl_fields_init(&fields, 1, 1501, 100, 0), FL_ERR_RANGE);
}

TEST(fields_of_any_count_have_a_layout)
{
    fl_fields fields;
    assert_ok(fl_fields_init(&fields, SIZE_MAX, 2, 1, 1));
    assert_true(fields.word_count == SIZE_MAX / 64 + 1);
}

/* ---- the largest field ---- */

static void check_max(unsigned bits, uint32_t client_cap)
{
    const uint64_t least = (UINT64_C(1) << bits) - 1;
    const uint64_t most = fl_fields_max(bits, client_cap);
    const unsigned per_word = most_per_word(client_cap * least + 1);
    assert_true(most >= least);
    assert_true(power_fits(client_cap * most + 1, per_word));
    assert_int_equal(most_per_word(client_cap * most + 1), per_word);
    if (most == UINT32_MAX) return;
    assert_false(power_fits(client_cap * (most + 1) + 1, per_word));
}

TEST(fields_max_is_the_largest_that_costs_nothing)
{
    for (unsigned bits = 1; bits <= 24; bits++) {
        for (uint32_t clients = 1; clients <= 300; clients++)
            check_max(bits, clients);
        check_max(bits, 1000);
        check_max(bits, 10000);
        check_max(bits, CLIENTS_MAX - 1);
        check_max(bits, CLIENTS_MAX);
    }
}

TEST(fields_max_of_well_known_cases)
{
    // 1625^6 <= 2^64 < 1626^6, and 16.24 * 100 is 1624.
    assert_int_equal(fl_fields_max(4, 100), 16);
    assert_int_equal(fl_fields_max(1, 1), 1);
    assert_true(fl_fields_max(24, 1) == UINT32_MAX);
    assert_true(fl_fields_max(24, CLIENTS_MAX) == UINT32_MAX);
}

/* ---- packing ---- */

/*
 * Sums of client_cap packed vectors of `count` fields are the sums of the
 * fields. Fields are drawn up to field_max, or all are field_max.
 */
static void check_sums(size_t count, uint64_t radix, uint32_t client_cap,
                       uint32_t field_max, bool is_full)
{
    static uint32_t values[COUNT_MAX];
    static uint64_t words[COUNT_MAX], total[COUNT_MAX], sums[COUNT_MAX];
    uint64_t expected[COUNT_MAX] = {0};
    fl_fields fields;
    assert_ok(fl_fields_init(&fields, count, radix, client_cap, field_max));
    memset(total, 0, sizeof total);
    for (uint32_t client = 0; client < client_cap; client++) {
        for (size_t i = 0; i < count; i++) {
            values[i] =
                is_full ? field_max : random_below((uint64_t)field_max + 1);
            expected[i] += values[i];
        }
        assert_ok(fl_fields_pack(words, &fields, values, field_max));
        for (size_t i = 0; i < fields.word_count; i++)
            total[i] += words[i];
    }
    assert_ok(fl_fields_unpack(sums, &fields, total));
    assert_memory_equal(sums, expected, count * sizeof *sums);
}

/* The radices with `per_word` fields in a word: none, or a range. */
static bool find_radices(uint64_t *low, uint64_t *high, unsigned per_word)
{
    *high = 2;
    for (uint64_t step = UINT64_C(1) << 62; step > 0; step /= 2) {
        if (*high + step > *high && power_fits(*high + step, per_word))
            *high += step;
    }
    *low = *high;
    for (uint64_t step = UINT64_C(1) << 63; step > 0; step /= 2) {
        if (*low > step + 1 && !power_fits(*low - step, per_word + 1))
            *low -= step;
    }
    return most_per_word(*high) == per_word;
}

static void check_counts(uint64_t radix, uint32_t client_cap,
                         uint32_t field_max)
{
    static const size_t counts[] = {1, 63, 64, 65, COUNT_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        check_sums(counts[i], radix, client_cap, field_max, false);
        check_sums(counts[i], radix, client_cap, field_max, true);
    }
}

/* Both the tightest and the widest radix of every number of fields. */
TEST(fields_sum_exactly_with_any_number_in_a_word)
{
    unsigned seen = 0;
    for (unsigned per_word = 1; per_word <= 64; per_word++) {
        uint64_t low, high;
        if (!find_radices(&low, &high, per_word)) continue;
        seen++;
        for (int i = 0; i < 2; i++) {
            const uint64_t top = (i == 0 ? low : high) - 1;
            const uint32_t clients = top < 7 ? 1 : 7;
            const uint64_t most = top / clients;
            check_counts(top + 1, clients,
                         most < UINT32_MAX ? (uint32_t)most : UINT32_MAX);
            if (top <= 100) check_counts(top + 1, (uint32_t)top, 1);
        }
    }
    assert_int_equal(seen, 27);  // 1 to 22, 24, 27, 32, 40 and 64
}

TEST(fields_sum_exactly_for_the_sizes_of_sessions)
{
    check_sums(COUNT_MAX, 1501, 100, 15, true);
    check_sums(COUNT_MAX, 1501, 100, 15, false);
    check_sums(65, (uint64_t)CLIENTS_MAX * 255 + 1, CLIENTS_MAX, 255, true);
    const uint32_t most = fl_fields_max(8, 1000);
    check_sums(64, (uint64_t)1000 * most + 1, 1000, most, true);
}

TEST(fields_pack_a_million)
{
    enum { MANY = 1000000 };
    fl_fields fields;
    assert_ok(fl_fields_init(&fields, MANY, 1501, 100, 15));
    uint32_t *values = calloc(MANY, sizeof *values);
    uint64_t *words = calloc(fields.word_count, sizeof *words);
    uint64_t *sums = calloc(MANY, sizeof *sums);
    assert_true(values && words && sums);
    for (size_t i = 0; i < MANY; i++)
        values[i] = random_below(16);
    assert_ok(fl_fields_pack(words, &fields, values, 15));
    for (size_t i = 0; i < fields.word_count; i++)
        words[i] *= 100;  // a hundred clients with the same values
    assert_ok(fl_fields_unpack(sums, &fields, words));
    for (size_t i = 0; i < MANY; i++)
        assert_true(sums[i] == UINT64_C(100) * values[i]);
    free(values);
    free(words);
    free(sums);
}

TEST(fields_lie_in_words_as_the_format_says)
{
    fl_fields fields;
    const uint32_t values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint64_t words[2];
    assert_ok(fl_fields_init(&fields, 8, 1000, 111, 9));
    assert_int_equal(fields.per_word, 6);
    assert_ok(fl_fields_pack(words, &fields, values, 9));
    assert_true(words[0] == UINT64_C(6005004003002001));
    assert_true(words[1] == 8007);  // unused places are 0
}

TEST(fields_refuse_a_value_above_the_largest)
{
    fl_fields fields;
    uint32_t values[COUNT_MAX] = {0};
    uint64_t words[COUNT_MAX];
    assert_ok(fl_fields_init(&fields, COUNT_MAX, 1501, 100, 15));
    for (size_t i = 0; i < COUNT_MAX; i++) {
        values[i] = 16;
        assert_err(fl_fields_pack(words, &fields, values, 15), FL_ERR_RANGE);
        values[i] = UINT32_MAX;
        assert_err(fl_fields_pack(words, &fields, values, 15), FL_ERR_RANGE);
        values[i] = 15;
    }
    assert_ok(fl_fields_pack(words, &fields, values, 15));
}

/* ---- what is no sum ---- */

TEST(fields_refuse_a_word_that_is_no_sum)
{
    fl_fields fields;
    uint64_t sums[8], words[2] = {0, 0};
    assert_ok(fl_fields_init(&fields, 8, 1000, 111, 9));
    words[0] = UINT64_C(1000000000000000000) - 1;
    words[1] = 1000000 - 1;
    assert_ok(fl_fields_unpack(sums, &fields, words));
    for (size_t i = 0; i < 8; i++)
        assert_true(sums[i] == 999);

    words[0]++;
    assert_err(fl_fields_unpack(sums, &fields, words), FL_ERR_FORMAT);
    words[0] = UINT64_MAX;
    assert_err(fl_fields_unpack(sums, &fields, words), FL_ERR_FORMAT);
    // The last word has two fields: what would pass for six does not.
    words[0] = 0;
    words[1]++;
    assert_err(fl_fields_unpack(sums, &fields, words), FL_ERR_FORMAT);
}

TEST(fields_that_use_a_whole_word_take_any_word)
{
    fl_fields fields;
    uint64_t sums[4], words[1] = {UINT64_MAX};
    assert_ok(fl_fields_init(&fields, 4, 65536, 1, 65535));
    assert_ok(fl_fields_unpack(sums, &fields, words));
    for (size_t i = 0; i < 4; i++)
        assert_true(sums[i] == 65535);
}

RUN_TESTS(cmocka_unit_test(fields_fill_words_with_as_many_as_fit),
          cmocka_unit_test(fields_know_the_bounds_of_a_word),
          cmocka_unit_test(fields_refuse_a_radix_that_a_sum_could_reach),
          cmocka_unit_test(fields_refuse_to_be_none),
          cmocka_unit_test(fields_of_any_count_have_a_layout),
          cmocka_unit_test(fields_max_is_the_largest_that_costs_nothing),
          cmocka_unit_test(fields_max_of_well_known_cases),
          cmocka_unit_test(fields_sum_exactly_with_any_number_in_a_word),
          cmocka_unit_test(fields_sum_exactly_for_the_sizes_of_sessions),
          cmocka_unit_test(fields_pack_a_million),
          cmocka_unit_test(fields_lie_in_words_as_the_format_says),
          cmocka_unit_test(fields_refuse_a_value_above_the_largest),
          cmocka_unit_test(fields_refuse_a_word_that_is_no_sum),
          cmocka_unit_test(fields_that_use_a_whole_word_take_any_word))
