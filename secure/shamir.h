/*
 * Shamir's secret sharing (Shamir 1979), byte by byte over GF(2^8) modulo
 * x^8 + x^4 + x^3 + x + 1, for secrets of 64 bytes.
 *
 * Public: the number of shares, the threshold and the x of each share. Nothing
 * branches on, or looks up a table by, bytes of secrets, shares or
 * coefficients.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_SHAMIR_H
#define FL_SECURE_SHAMIR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    FL_SHARE_BYTES = 64,
    FL_SHARES_MAX = 255,
};

/*
 * Deals `share_count` shares of `secret`, of which any `threshold` give it
 * back; the share at i has x = i + 1. `coefficients` are
 * (threshold - 1) * FL_SHARE_BYTES secret random bytes (the coefficient of
 * x^(i+1) of all 64 polynomials at i); the caller wipes them.
 * Needs 1 <= threshold <= share_count <= FL_SHARES_MAX.
 */
void fl_shamir_deal(uint8_t (*shares)[FL_SHARE_BYTES], unsigned share_count,
                    unsigned threshold, const uint8_t secret[FL_SHARE_BYTES],
                    const uint8_t *coefficients);

/*
 * Rebuilds `len` bytes (all, or one half) of a secret from `count` shares of
 * that many bytes, with count the threshold; x[i] belongs to shares[i].
 * FL_ERR_RANGE: count is 0 or above FL_SHARES_MAX, an x is 0 or there twice,
 * or len is above FL_SHARE_BYTES.
 */
FL_CHECK fl_err fl_shamir_join(uint8_t *secret, size_t len,
                               const uint8_t *const *shares, const uint8_t *x,
                               unsigned count);

#endif
