/*
 * What the aggregator sees of one client when all words are zero is noise, by
 * every count that has given away the masks of others. Everything is derived
 * from constants as in a session, so the counts are always the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "secure/mask.h"
#include "secure/secure.h"
#include "secure/session/transcript.h"
#include "tests/support/linear.h"
#include "tests/test.h"

enum { PARTNERS_MAX = 40, CHUNK = 1 << 14 };

/* ---- a client's masked vector ---- */

typedef struct {
    unsigned partner_count;
    uint8_t self[FL_MASK_KEY_BYTES];
    uint8_t pairs[PARTNERS_MAX][FL_MASK_KEY_BYTES];
} client;

// The client in slot 3 of session `number`. Its secrets, and what it agreed on
// with its partners, are the same in every session.
static client make_client(uint8_t number, unsigned partner_count)
{
    client made = {.partner_count = partner_count};
    fl_transcript transcript;
    memset(&transcript, 0, sizeof transcript);
    transcript.ctx[0] = number;
    const uint8_t own_key[FL_KEY_BYTES] = {1}, b[FL_SEED_BYTES] = {2};
    fl_transcript_self_mask(made.self, &transcript, 3, b);
    for (unsigned i = 0; i < partner_count; i++) {
        const uint8_t key[FL_KEY_BYTES] = {3, (uint8_t)i};
        const uint8_t shared[32] = {4, (uint8_t)i};
        const uint32_t slot = i < 3 ? i : i + 1;
        fl_transcript_pair_mask(made.pairs[i], &transcript, 3, own_key, slot,
                                key, shared);
    }
    return made;
}

// The words from `first` on of the vector that masks zeros.
static void mask_zeros(uint64_t *words, size_t count, size_t first,
                       const client *from)
{
    memset(words, 0, count * sizeof *words);
    fl_mask_add_from(words, count, first, from->self, false);
    for (unsigned i = 0; i < from->partner_count; i++)
        fl_mask_add_from(words, count, first, from->pairs[i], i < 3);
}

/* ---- counts ---- */

typedef struct {
    uint64_t total;
    uint64_t of[8][256];  // [byte in its word][value]
} counts;

static void count_words(counts *seen, const uint64_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (unsigned at = 0; at < 8; at++)
            seen->of[at][words[i] >> 8 * at & 0xff]++;
    seen->total += count;
}

static uint64_t count_ones(const counts *seen, unsigned bit)
{
    uint64_t ones = 0;
    for (unsigned value = 0; value < 256; value++)
        if (value >> bit % 8 & 1) ones += seen->of[bit / 8][value];
    return ones;
}

static double chi_square(const counts *seen, unsigned at)
{
    const double expected = (double)seen->total / 256;
    double sum = 0;
    for (unsigned value = 0; value < 256; value++) {
        const double off = (double)seen->of[at][value] - expected;
        sum += off * off / expected;
    }
    return sum;
}

// Within five standard deviations of what chance gives: for every byte's
// values (255 degrees of freedom) and every bit.
static bool is_noise(const counts *seen)
{
    const double total = (double)seen->total;
    for (unsigned at = 0; at < 8; at++)
        if (fabs(chi_square(seen, at) - 255) > 5 * sqrt(2 * 255)) return false;
    for (unsigned bit = 0; bit < 64; bit++) {
        const double off = (double)count_ones(seen, bit) - total / 2;
        if (fabs(off) > 5 * sqrt(total) / 2) return false;
    }
    return true;
}

/* ---- ten million words ---- */

enum { CHUNKS = 611, SHORT = 61 };

static uint64_t words[CHUNK + 1], others[CHUNK + 1];
static counts seen;

TEST(mask_of_ten_million_words_has_no_bias)
{
    const client me = make_client(1, 7);
    memset(&seen, 0, sizeof seen);
    for (size_t i = 0; i < CHUNKS; i++) {
        mask_zeros(words, CHUNK, i * CHUNK, &me);
        count_words(&seen, words, CHUNK);
    }
    assert_true(seen.total >= 10000000);
    assert_true(is_noise(&seen));
}

// Counts f(word of one vector, word of the other, a word later in the same).
static void count_pairs(const client *one, const client *other,
                        uint64_t (*f)(uint64_t, uint64_t, uint64_t))
{
    memset(&seen, 0, sizeof seen);
    for (size_t i = 0; i < SHORT; i++) {
        mask_zeros(words, CHUNK + 1, i * CHUNK, one);
        mask_zeros(others, CHUNK + 1, i * CHUNK, other);
        for (size_t k = 0; k < CHUNK; k++)
            words[k] = f(words[k], others[k], words[k + 1]);
        count_words(&seen, words, CHUNK);
    }
}

static uint64_t bits_that_differ(uint64_t a, uint64_t b, uint64_t next)
{
    (void)next;
    return a ^ b;
}

static uint64_t difference(uint64_t a, uint64_t b, uint64_t next)
{
    (void)next;
    return a - b;
}

static uint64_t change(uint64_t a, uint64_t b, uint64_t next)
{
    (void)b;
    return next - a;
}

TEST(mask_words_do_not_follow_from_those_before)
{
    const client me = make_client(1, 7);
    count_pairs(&me, &me, change);
    assert_true(is_noise(&seen));
}

TEST(mask_of_one_session_says_nothing_about_the_next)
{
    const client me = make_client(1, 7), me_later = make_client(2, 7);
    count_pairs(&me, &me_later, bits_that_differ);
    assert_true(is_noise(&seen));
    count_pairs(&me, &me_later, difference);
    assert_true(is_noise(&seen));
}

TEST(mask_statistics_see_what_is_not_noise)
{
    const client me = make_client(1, 7);
    count_pairs(&me, &me, bits_that_differ);
    assert_false(is_noise(&seen));
    // One bit in 200 turned from 1 to 0, in one of 64 places.
    memset(&seen, 0, sizeof seen);
    for (size_t i = 0; i < CHUNKS; i++) {
        mask_zeros(words, CHUNK, i * CHUNK, &me);
        for (size_t k = 0; k < CHUNK; k += 200)
            words[k] &= ~(UINT64_C(1) << 40);
        count_words(&seen, words, CHUNK);
    }
    assert_false(is_noise(&seen));
}

/* ---- linear complexity ---- */

enum { BITS = 50000 };

static uint8_t plane[BITS];
static uint64_t long_words[BITS];

static size_t plane_complexity(unsigned bit)
{
    for (size_t i = 0; i < BITS; i++)
        plane[i] = long_words[i] >> bit & 1;
    return fl_linear_complexity(plane, BITS);
}

TEST(mask_planes_are_as_complex_as_noise)
{
    // 41 masks: the low bit of a sum is the sum of the low bits, without
    // carries, so linear generators would add up to one that is no longer.
    const client me = make_client(1, PARTNERS_MAX);
    mask_zeros(long_words, BITS, 0, &me);
    for (unsigned bit = 0; bit < 64; bit += 21) {
        const size_t complexity = plane_complexity(bit);
        assert_in_range(complexity, BITS / 2 - 32, BITS / 2 + 32);
    }
}

// x^7 + x + 1, from 1: as long as it is, and no longer.
TEST(linear_complexity_of_a_recurrence_is_its_length)
{
    for (size_t i = 0; i < 1000; i++)
        plane[i] = i < 7 ? i == 0 : plane[i - 7] ^ plane[i - 6];
    for (size_t count = 14; count <= 1000; count++)
        assert_int_equal(fl_linear_complexity(plane, count), 7);
    plane[500] ^= 1;
    assert_int_equal(fl_linear_complexity(plane, 501), 501 - 7);
    memset(plane, 0, 100);
    assert_int_equal(fl_linear_complexity(plane, 100), 0);
    plane[99] = 1;
    assert_int_equal(fl_linear_complexity(plane, 100), 100);
}

/* ---- what masks must not be made with ---- */

enum { TWISTER_WORDS = 624, TWISTER_BITS = 19937 };

typedef struct {
    uint32_t state[TWISTER_WORDS];
    unsigned at;
} twister;

static twister make_twister(uint32_t seed)
{
    twister made = {.at = 0};
    for (uint32_t i = 0; i < TWISTER_WORDS; i++) {
        made.state[i] = seed;
        seed = 1812433253 * (seed ^ seed >> 30) + i + 1;
    }
    return made;
}

// Matsumoto and Nishimura 1998, a word at a time.
static uint32_t next_of(twister *from)
{
    uint32_t *state = from->state;
    const unsigned at = from->at, after = (at + 1) % TWISTER_WORDS;
    const uint32_t joined =
        (state[at] & 0x80000000) | (state[after] & 0x7fffffff);
    state[at] = state[(at + 397) % TWISTER_WORDS] ^ joined >> 1 ^
                (joined & 1) * 0x9908b0df;
    uint32_t y = state[at];
    from->at = after;
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680;
    y ^= y << 15 & 0xefc60000;
    return y ^ y >> 18;
}

TEST(linear_complexity_gives_away_41_sums_of_a_mersenne_twister)
{
    memset(long_words, 0, sizeof long_words);
    for (uint32_t seed = 5489; seed < 5489 + 41; seed++) {
        twister masks = make_twister(seed);
        for (size_t i = 0; i < BITS; i++) {
            const uint32_t word = next_of(&masks);
            if (seed == 5489 && i == 0) assert_int_equal(word, 3499211612);
            long_words[i] += word;
        }
    }
    assert_int_equal(plane_complexity(0), TWISTER_BITS);
}

RUN_TESTS(cmocka_unit_test(mask_of_ten_million_words_has_no_bias),
          cmocka_unit_test(mask_words_do_not_follow_from_those_before),
          cmocka_unit_test(mask_of_one_session_says_nothing_about_the_next),
          cmocka_unit_test(mask_statistics_see_what_is_not_noise),
          cmocka_unit_test(mask_planes_are_as_complex_as_noise),
          cmocka_unit_test(linear_complexity_of_a_recurrence_is_its_length),
          cmocka_unit_test(
              linear_complexity_gives_away_41_sums_of_a_mersenne_twister))
