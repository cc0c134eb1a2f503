/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/shamir.h"

#include <stdbool.h>
#include <stdlib.h>

#include "secure/secure.h"
#include "tests/support/torch.h"
#include "tests/support/vector.h"
#include "tests/test.h"

enum { LEN = FL_SHARE_BYTES, MAX = FL_SHARES_MAX };

// As many as the largest test needs: 255 of 255.
static uint8_t secret[LEN], joined[LEN], shares[MAX][LEN];
static uint8_t coefficients[(MAX - 1) * LEN];

static void draw_all(uint32_t first)
{
    for (uint32_t i = 0; i < LEN; i++)
        secret[i] = (uint8_t)torch_hash(first + i);
    for (uint32_t i = 0; i < sizeof coefficients; i++)
        coefficients[i] = (uint8_t)torch_hash(first + LEN + i);
}

/* ---- the field ---- */

// Polynomials over two elements, multiplied and divided as on paper.
static uint8_t slow_product(unsigned a, unsigned b)
{
    unsigned product = 0;
    for (unsigned i = 0; i < 8; i++)
        for (unsigned j = 0; j < 8; j++)
            product ^= (a >> i & 1) << (i + j) & (b >> j & 1) << (i + j);
    for (unsigned degree = 14; degree >= 8; degree--)
        if (product >> degree & 1) product ^= 0x11bu << (degree - 8);
    return (uint8_t)product;
}

TEST(shamir_multiplies_like_paper_for_all_pairs)
{
    // The polynomial c x, for 64 c at a time and all x: 255 * 256 products.
    memset(secret, 0, sizeof secret);
    for (unsigned first = 0; first < 256; first += LEN) {
        for (unsigned i = 0; i < LEN; i++)
            coefficients[i] = (uint8_t)(first + i);
        fl_shamir_deal(shares, MAX, 2, secret, coefficients);
        for (unsigned x = 1; x <= MAX; x++)
            for (unsigned i = 0; i < LEN; i++)
                assert_int_equal(shares[x - 1][i], slow_product(first + i, x));
    }
}

TEST(shamir_weighs_all_pairs_of_points)
{
    const uint8_t one = 1, zero = 0, *const both[] = {&one, &zero};
    uint8_t quotients[256][256];  // [dividend][divisor]
    for (unsigned a = 1; a < 256; a++)
        for (unsigned b = 1; b < 256; b++)
            quotients[slow_product(a, b)][a] = (uint8_t)b;
    for (unsigned x0 = 1; x0 <= MAX; x0++) {
        for (unsigned x1 = 1; x1 <= MAX; x1++) {
            const uint8_t x[] = {(uint8_t)x0, (uint8_t)x1};
            if (x0 == x1) continue;
            assert_ok(fl_shamir_join(joined, 1, both, x, 2));
            assert_int_equal(joined[0], quotients[x1][x0 ^ x1]);
        }
    }
}

/* ---- known answers ---- */

static const char VECTORS[] = "tests/vectors/secure/shamir.md";

static void assert_vector(const char *name, const void *bytes, size_t len)
{
    size_t expected_len;
    uint8_t *expected = fl_vector_read(&expected_len, VECTORS, name);
    assert_non_null(expected);
    assert_int_equal(len, expected_len);
    assert_memory_equal(bytes, expected, len);
    free(expected);
}

TEST(shamir_deals_as_computed_by_other_means)
{
    uint8_t hash[FL_HASH_BYTES];
    draw_all(0);
    assert_vector("secret", secret, LEN);
    fl_shamir_deal(shares, 5, 3, secret, coefficients);
    assert_vector("shares 3 of 5", shares, 5 * sizeof *shares);
    fl_shamir_deal(shares, 100, 67, secret, coefficients);
    fl_hash(hash, shares, 100 * sizeof *shares);
    assert_vector("hash 67 of 100", hash, sizeof hash);
}

/* ---- enough shares ---- */

// Joins the shares whose bits are set in `chosen`, the last first.
static void join_chosen(uint8_t *dst, size_t offset, size_t len,
                        unsigned chosen)
{
    const uint8_t *some[MAX];
    uint8_t x[MAX];
    unsigned count = 0;
    for (unsigned i = 32; i-- > 0;) {
        if (!(chosen >> i & 1)) continue;
        some[count] = shares[i] + offset;
        x[count++] = (uint8_t)(i + 1);
    }
    assert_ok(fl_shamir_join(dst, len, some, x, count));
}

TEST(shamir_gives_the_secret_to_any_t_of_n)
{
    const unsigned n_max = 9;
    for (unsigned n = 1; n <= n_max; n++) {
        for (unsigned t = 1; t <= n; t++) {
            draw_all(n << 8 | t);
            fl_shamir_deal(shares, n, t, secret, coefficients);
            for (unsigned chosen = 1; chosen < 1u << n; chosen++) {
                if ((unsigned)__builtin_popcount(chosen) < t) continue;
                join_chosen(joined, 0, LEN, chosen);
                assert_memory_equal(joined, secret, LEN);
            }
        }
    }
}

TEST(shamir_joins_either_half_alone)
{
    uint8_t guarded[LEN + 1];
    draw_all(1);
    fl_shamir_deal(shares, 9, 4, secret, coefficients);
    for (size_t offset = 0; offset < LEN; offset += LEN / 2) {
        memset(guarded, 0xee, sizeof guarded);
        join_chosen(guarded, offset, LEN / 2, 0x1a4);
        assert_memory_equal(guarded, secret + offset, LEN / 2);
        assert_int_equal(guarded[LEN / 2], 0xee);
    }
}

TEST(shamir_joins_any_length_up_to_a_whole_share)
{
    uint8_t guarded[LEN + 1];
    draw_all(2);
    fl_shamir_deal(shares, 3, 3, secret, coefficients);
    for (size_t len = 0; len <= LEN; len++) {
        memset(guarded, 0xee, sizeof guarded);
        join_chosen(guarded, 0, len, 7);
        assert_memory_equal(guarded, secret, len);
        assert_int_equal(guarded[len], 0xee);
    }
}

static void join_first(unsigned count, unsigned first)
{
    const uint8_t *some[MAX];
    uint8_t x[MAX];
    for (unsigned i = 0; i < count; i++) {
        some[i] = shares[first + i];
        x[i] = (uint8_t)(first + i + 1);
    }
    assert_ok(fl_shamir_join(joined, LEN, some, x, count));
}

TEST(shamir_deals_the_most_shares)
{
    draw_all(3);
    fl_shamir_deal(shares, MAX, MAX, secret, coefficients);
    join_first(MAX, 0);
    assert_memory_equal(joined, secret, LEN);
    fl_shamir_deal(shares, MAX, 1, secret, NULL);
    for (unsigned i = 0; i < MAX; i++)
        assert_memory_equal(shares[i], secret, LEN);
    fl_shamir_deal(shares, 100, 67, secret, coefficients);
    for (unsigned first = 0; first <= 33; first++) {
        join_first(67, first);
        assert_memory_equal(joined, secret, LEN);
    }
}

/* ---- too few shares ---- */

// Three shares at x = 1, 2, 3 and the threshold 3: how often the first two are
// each pair, over all coefficients; 64 of them a call.
static void count_pairs(uint8_t counts[256 * 256], uint8_t secret_byte)
{
    memset(counts, 0, (size_t)256 * 256);
    memset(secret, secret_byte, sizeof secret);
    for (unsigned both = 0; both < 256 * 256; both += LEN) {
        for (unsigned i = 0; i < LEN; i++) {
            coefficients[i] = (uint8_t)((both + i) >> 8);
            coefficients[LEN + i] = (uint8_t)(both + i);
        }
        fl_shamir_deal(shares, 3, 3, secret, coefficients);
        for (unsigned i = 0; i < LEN; i++)
            counts[shares[0][i] << 8 | shares[1][i]]++;
    }
}

TEST(shamir_shows_t_less_1_holders_every_pair_once_whatever_the_secret)
{
    static uint8_t counts[256 * 256];
    const uint8_t secrets[] = {0, 1, 0x53, 0xff};
    for (size_t i = 0; i < sizeof secrets; i++) {
        count_pairs(counts, secrets[i]);
        for (unsigned pair = 0; pair < 256 * 256; pair++)
            assert_int_equal(counts[pair], 1);
    }
}

TEST(shamir_leaves_every_secret_possible_to_t_less_1_shares)
{
    // Five of six shares are known; the sixth takes all 256 values.
    draw_all(4);
    fl_shamir_deal(shares, 6, 6, secret, coefficients);
    bool seen[LEN][256] = {{false}};
    for (unsigned guess = 0; guess < 256; guess++) {
        memset(shares[3], (int)guess, LEN);
        join_first(6, 0);
        for (unsigned i = 0; i < LEN; i++) {
            assert_false(seen[i][joined[i]]);
            seen[i][joined[i]] = true;
        }
    }
}

TEST(shamir_gives_noise_to_fewer_than_t)
{
    enum { DEALS = 4000 };
    unsigned counts[256] = {0};
    for (unsigned deal = 0; deal < DEALS; deal++) {
        fl_secret_random(coefficients, 3 * LEN);
        memset(secret, 0x42, sizeof secret);
        fl_shamir_deal(shares, 5, 4, secret, coefficients);
        join_first(3, deal % 3);
        for (unsigned i = 0; i < LEN; i++)
            counts[joined[i]]++;
    }
    // Chi-square with 255 degrees of freedom: mean 255, deviation 22.6.
    const double expected = DEALS * LEN / 256.0;
    double chi_square = 0;
    for (unsigned value = 0; value < 256; value++) {
        const double off = counts[value] - expected;
        chi_square += off * off / expected;
    }
    assert_true(chi_square > 255 - 6 * 22.6 && chi_square < 255 + 6 * 22.6);
}

/* ---- refusals ---- */

static void assert_refused(size_t len, const uint8_t *x, unsigned count)
{
    const uint8_t *some[MAX + 1];
    for (unsigned i = 0; i <= MAX; i++)
        some[i] = shares[0];
    memset(joined, 0xee, sizeof joined);
    assert_err(fl_shamir_join(joined, len, some, x, count), FL_ERR_RANGE);
    for (unsigned i = 0; i < LEN; i++)
        assert_int_equal(joined[i], 0xee);
}

TEST(shamir_join_refuses_counts_points_and_lengths)
{
    uint8_t x[MAX + 1];
    for (unsigned i = 0; i <= MAX; i++)
        x[i] = (uint8_t)(i + 1);
    assert_refused(LEN, x, 0);
    assert_refused(LEN, x, MAX + 1);
    assert_refused(LEN + 1, x, 3);
    assert_refused(SIZE_MAX, x, 3);
    assert_refused(LEN, (const uint8_t[]){0}, 1);
    assert_refused(LEN, (const uint8_t[]){1, 2, 0}, 3);
    assert_refused(LEN, (const uint8_t[]){7, 7}, 2);
    assert_refused(LEN, (const uint8_t[]){255, 2, 3, 255}, 4);
}

RUN_TESTS(
    cmocka_unit_test(shamir_multiplies_like_paper_for_all_pairs),
    cmocka_unit_test(shamir_weighs_all_pairs_of_points),
    cmocka_unit_test(shamir_deals_as_computed_by_other_means),
    cmocka_unit_test(shamir_gives_the_secret_to_any_t_of_n),
    cmocka_unit_test(shamir_joins_either_half_alone),
    cmocka_unit_test(shamir_joins_any_length_up_to_a_whole_share),
    cmocka_unit_test(shamir_deals_the_most_shares),
    cmocka_unit_test(
        shamir_shows_t_less_1_holders_every_pair_once_whatever_the_secret),
    cmocka_unit_test(shamir_leaves_every_secret_possible_to_t_less_1_shares),
    cmocka_unit_test(shamir_gives_noise_to_fewer_than_t),
    cmocka_unit_test(shamir_join_refuses_counts_points_and_lengths))
