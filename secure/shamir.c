/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include "secure/shamir.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "secure/secure.h"

/* ---- 64 secrets side by side ---- */

// 16 elements of the field, each a byte. As signed numbers those with the top
// bit are "below 0": one instruction finds them on every CPU.
typedef uint8_t lane __attribute__((vector_size(16)));
typedef int8_t signed_lane __attribute__((vector_size(16)));

enum { LANE_BYTES = sizeof(lane), LANES = FL_SHARE_BYTES / LANE_BYTES };

typedef struct {
    lane at[LANES];
} block;

static inline void block_load(block *dst, const uint8_t *src, size_t len)
{
    memset(dst, 0, sizeof *dst);
    memcpy(dst, src, len);
}

static inline void block_add(block *sum, const block *b)
{
#pragma GCC unroll 4
    for (unsigned i = 0; i < LANES; i++) {
        sum->at[i] ^= b->at[i];
    }
}

// Times the field's element "x", which is 2: a shift, and what leaves at the
// top comes back as x^8 = x^4 + x^3 + x + 1.
static inline void block_double(block *b)
{
#pragma GCC unroll 4
    for (unsigned i = 0; i < LANES; i++) {
        const lane carries = (lane)((signed_lane)b->at[i] < 0);
        b->at[i] = (b->at[i] + b->at[i]) ^ (carries & 0x1b);
    }
}

// Times a public element: branches on its bits, never on those of `b`.
static inline void block_scale(block *b, uint8_t by)
{
    const block once = *b;
    block scaled = {0};
    for (unsigned bit = 0x80; bit > 0; bit >>= 1) {
        if (by >= 2 * bit) block_double(&scaled);
        if (by & bit) block_add(&scaled, &once);
    }
    *b = scaled;
}

/* ---- the field, for what is public ---- */

// Without branches because they would be guessed wrong half of the time.
static uint8_t multiply(uint8_t a, uint8_t b)
{
    unsigned product = 0;
    for (int bit = 7; bit >= 0; bit--) {
        product = product << 1 ^ (product >> 7) * 0x11b;
        product ^= a * (b >> bit & 1u);
    }
    return (uint8_t)product;
}

// a^254, since a^255 = 1 for all but 0. 254 = 2 + 4 + ... + 128.
static uint8_t invert(uint8_t a)
{
    uint8_t power = a, inverse = 1;
    for (int i = 0; i < 7; i++) {
        power = multiply(power, power);
        inverse = multiply(inverse, power);
    }
    return inverse;
}

// What each share weighs in the secret (Lagrange at 0): the product over all
// others j of x[j] / (x[j] - x[i]). All rows side by side, because a row on its
// own would wait for each of its products.
static void weigh(uint8_t *weights, const uint8_t *x, unsigned count)
{
    uint8_t product = 1;  // of all x, so what is below has x[i] once more
    memset(weights, 1, count);
    for (unsigned j = 0; j < count; j++) {
        product = multiply(product, x[j]);
        for (unsigned i = 0; i < count; i++) {
            const uint8_t factor = i == j ? x[i] : x[j] ^ x[i];
            weights[i] = multiply(weights[i], factor);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        weights[i] = multiply(product, invert(weights[i]));
    }
}

static bool are_points(const uint8_t *x, unsigned count)
{
    bool seen[FL_SHARES_MAX + 1] = {[0] = true};
    for (unsigned i = 0; i < count; i++) {
        if (seen[x[i]]) return false;
        seen[x[i]] = true;
    }
    return true;
}

/* ---- sharing ---- */

void fl_shamir_deal(uint8_t (*shares)[FL_SHARE_BYTES], unsigned share_count,
                    unsigned threshold, const uint8_t secret[FL_SHARE_BYTES],
                    const uint8_t *coefficients)
{
    assert(threshold >= 1 && threshold <= share_count &&
           share_count <= FL_SHARES_MAX);
    block value, term;
    for (unsigned i = 0; i < share_count; i++) {
        memset(&value, 0, sizeof value);
        for (unsigned k = threshold - 1; k-- > 0;) {
            block_load(&term, coefficients + (size_t)k * FL_SHARE_BYTES,
                       FL_SHARE_BYTES);
            block_add(&value, &term);
            block_scale(&value, (uint8_t)(i + 1));
        }
        block_load(&term, secret, FL_SHARE_BYTES);
        block_add(&value, &term);
        memcpy(shares[i], &value, FL_SHARE_BYTES);
    }
    fl_secret_wipe(&value, sizeof value);
    fl_secret_wipe(&term, sizeof term);
}

fl_err fl_shamir_join(uint8_t *secret, size_t len, const uint8_t *const *shares,
                      const uint8_t *x, unsigned count)
{
    if (count == 0 || count > FL_SHARES_MAX || len > FL_SHARE_BYTES ||
        !are_points(x, count)) {
        return FL_ERR_RANGE;
    }
    uint8_t weights[FL_SHARES_MAX];
    weigh(weights, x, count);
    block sum = {0}, term;
    for (unsigned i = 0; i < count; i++) {
        block_load(&term, shares[i], len);
        block_scale(&term, weights[i]);
        block_add(&sum, &term);
    }
    memcpy(secret, &sum, len);
    fl_secret_wipe(&sum, sizeof sum);
    fl_secret_wipe(&term, sizeof term);
    return FL_OK;
}
