/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/coder.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "tests/test.h"

enum { COUNT = 20000, CAP = 1 << 20 };

static uint8_t bytes[CAP];
static uint32_t values[COUNT];

static fl_random stream(uint64_t id)
{
    fl_random random;
    fl_random_init(&random, 11, FL_RANDOM_TEST, id);
    return random;
}

// COUNT bits, each 1 with this chance.
static void draw_bits(double chance, uint64_t id)
{
    fl_random random = stream(id);
    for (int i = 0; i < COUNT; i++) {
        values[i] = fl_random_double(&random) < chance;
    }
}

static size_t encode_bits(void)
{
    fl_chance chance;
    fl_chance_init(&chance, 1);
    fl_coder coder = fl_coder_encode(bytes, CAP);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(fl_coder_bit(&coder, &chance, values[i]), values[i]);
    }
    assert_ok(fl_coder_finish(&coder));
    return coder.len;
}

static fl_err decode_bits(const uint8_t *src, size_t len, bool *is_same)
{
    fl_chance chance;
    fl_chance_init(&chance, 1);
    fl_coder coder = fl_coder_decode(src, len);
    *is_same = true;
    for (int i = 0; i < COUNT; i++) {
        if (fl_coder_bit(&coder, &chance, false) != values[i]) *is_same = false;
    }
    return fl_coder_finish(&coder);
}

static double entropy(double chance)
{
    return -chance * log2(chance) - (1.0 - chance) * log2(1.0 - chance);
}

TEST(coder_spends_little_more_than_the_entropy)
{
    static const double chances[] = {0.001, 0.01, 0.05, 0.3, 0.5, 0.9, 0.999};
    for (size_t k = 0; k < sizeof chances / sizeof *chances; k++) {
        draw_bits(chances[k], k);
        size_t ones = 0;
        for (int i = 0; i < COUNT; i++) {
            ones += values[i];
        }
        const size_t len = encode_bits();
        const double bound =
            COUNT / 8.0 * entropy((double)ones / COUNT) * 1.01 + 12.0;
        if ((double)len > bound) fail_msg("%zu bytes, not %g", len, bound);
        bool is_same;
        assert_ok(decode_bits(bytes, len, &is_same));
        assert_true(is_same);
    }
}

// What was never likely makes runs of 255, which a carry goes through.
TEST(coder_carries_through_whole_runs)
{
    for (uint32_t one = 1; one < FL_CHANCE_ONE; one = one * 3 + 1) {
        for (unsigned pattern = 0; pattern < 64; pattern++) {
            fl_coder coder = fl_coder_encode(bytes, CAP);
            for (unsigned i = 0; i < 60; i++) {
                (void)fl_coder_code(&coder, one, pattern >> i % 6 & 1);
            }
            assert_ok(fl_coder_finish(&coder));
            fl_coder back = fl_coder_decode(bytes, coder.len);
            for (unsigned i = 0; i < 60; i++) {
                assert_int_equal(fl_coder_code(&back, one, false),
                                 pattern >> i % 6 & 1);
            }
            assert_ok(fl_coder_finish(&back));
        }
    }
}

TEST(coder_learns_fast_at_first_and_stays_within_its_bounds)
{
    fl_chance chance;
    fl_chance_init(&chance, 1);
    fl_chance_learn(&chance, true);
    assert_int_equal(chance.one, FL_CHANCE_ONE / 2 + (uint64_t)FL_CHANCE_ONE /
                                                         2 * 43690 / 65536);
    for (int i = 0; i < COUNT; i++) {
        fl_chance_learn(&chance, true);
    }
    assert_in_range(chance.one, FL_CHANCE_ONE / 2, FL_CHANCE_ONE - 1);
    for (int i = 0; i < COUNT; i++) {
        fl_chance_learn(&chance, false);
    }
    assert_in_range(chance.one, 1, FL_CHANCE_ONE / 2);
}

/* ---- numbers ---- */

static size_t encode_numbers(void)
{
    fl_number number;
    fl_number_init(&number);
    fl_coder coder = fl_coder_encode(bytes, CAP);
    for (int i = 0; i < COUNT; i++) {
        (void)fl_coder_number(&coder, &number, values[i]);
    }
    assert_ok(fl_coder_finish(&coder));
    return coder.len;
}

static void assert_numbers(size_t len)
{
    fl_number number;
    fl_number_init(&number);
    fl_coder coder = fl_coder_decode(bytes, len);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(fl_coder_number(&coder, &number, 0), values[i]);
    }
    assert_ok(fl_coder_finish(&coder));
}

TEST(coder_gives_back_numbers_of_every_size)
{
    fl_random random = stream(1);
    for (int i = 0; i < COUNT; i++) {
        const uint32_t bound = UINT32_C(1) << (1 + i % 24);
        values[i] = fl_random_below(&random, bound) % ((1U << 24) - 1);
    }
    values[0] = 0;
    values[1] = (1U << 24) - 2;  // the largest
    assert_numbers(encode_numbers());
}

TEST(coder_finds_the_shape_of_small_numbers)
{
    fl_random random = stream(2);
    for (int i = 0; i < COUNT; i++) {
        values[i] = fl_random_below(&random, 21);
    }
    const size_t len = encode_numbers();
    assert_numbers(len);
    const double bound = COUNT / 8.0 * log2(21.0) * 1.01 + 40.0;
    if ((double)len > bound) fail_msg("%zu bytes, not %g", len, bound);
}

/* ---- refusals ---- */

TEST(coder_refuses_what_is_cut_off_or_too_long)
{
    bool is_same;
    draw_bits(0.05, 3);
    const size_t len = encode_bits();
    for (size_t shorter = 0; shorter < len; shorter++) {
        assert_err(decode_bits(bytes, shorter, &is_same), FL_ERR_FORMAT);
    }
    bytes[len] = 0;
    assert_err(decode_bits(bytes, len + 1, &is_same), FL_ERR_FORMAT);
}

// Nothing but what an encoder writes is accepted, so bytes may be hashed.
TEST(coder_refuses_other_bytes_of_the_same_values)
{
    bool is_same;
    draw_bits(0.05, 4);
    const size_t len = encode_bits();
    for (size_t i = 0; i < 8 * len; i++) {
        bytes[i / 8] ^= (uint8_t)(1U << i % 8);
        const fl_err err = decode_bits(bytes, len, &is_same);
        if (!err && is_same) fail_msg("bit %zu does not matter", i);
        bytes[i / 8] ^= (uint8_t)(1U << i % 8);
    }
}

TEST(coder_writes_no_byte_beyond_its_room)
{
    draw_bits(0.3, 5);
    const size_t len = encode_bits();
    for (size_t room = 0; room < len; room += 1 + room / 4) {
        uint8_t *small = malloc(room + 1);
        assert_non_null(small);
        small[room] = 77;
        fl_chance chance;
        fl_chance_init(&chance, 1);
        fl_coder coder = fl_coder_encode(small, room);
        for (int i = 0; i < COUNT; i++) {
            (void)fl_coder_bit(&coder, &chance, values[i]);
        }
        assert_err(fl_coder_finish(&coder), FL_ERR_SPACE);
        assert_int_equal(small[room], 77);
        free(small);
    }
}

TEST(coder_refuses_a_number_that_is_too_long)
{
    fl_number number;
    fl_number_init(&number);
    fl_coder coder = fl_coder_encode(bytes, CAP);
    for (int i = 0; i < FL_NUMBER_BITS; i++) {
        (void)fl_coder_bit(&coder, &number.length[i], true);
    }
    assert_ok(fl_coder_finish(&coder));
    fl_number_init(&number);
    fl_coder back = fl_coder_decode(bytes, coder.len);
    assert_int_equal(fl_coder_number(&back, &number, 0), 0);
    assert_int_equal(fl_coder_number(&back, &number, 0), 0);
    assert_err(fl_coder_finish(&back), FL_ERR_FORMAT);
}

RUN_TESTS(
    cmocka_unit_test(coder_spends_little_more_than_the_entropy),
    cmocka_unit_test(coder_carries_through_whole_runs),
    cmocka_unit_test(coder_learns_fast_at_first_and_stays_within_its_bounds),
    cmocka_unit_test(coder_gives_back_numbers_of_every_size),
    cmocka_unit_test(coder_finds_the_shape_of_small_numbers),
    cmocka_unit_test(coder_refuses_what_is_cut_off_or_too_long),
    cmocka_unit_test(coder_refuses_other_bytes_of_the_same_values),
    cmocka_unit_test(coder_writes_no_byte_beyond_its_room),
    cmocka_unit_test(coder_refuses_a_number_that_is_too_long))
