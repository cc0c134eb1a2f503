/*
 * ChaCha20 (Bernstein 2008; RFC 8439), LANES blocks side by side: vector i
 * holds word i of every block, one block a lane. Then the blocks are put
 * together in registers and meet the words they mask: the stream itself is
 * never in memory.
 *
 * A kernel's .c includes this after it has defined
 *
 *   TARGET        attributes that name the instruction set
 *   LANES         4, 8 or 16: 32-bit lanes in a vector
 *   LANE_NUMBERS  a vec: 0, 1, 2 ...
 *   vec, wide     a vector as LANES uint32_t and as LANES / 2 uint64_t
 *   vec_rotate_16, vec_rotate_8
 *                 each lane rotated left
 *   vec_zip_low, vec_zip_high, wide_zip_low, wide_zip_high
 *                 a0 b0 a1 b1 of the lower or upper halves of a and b; every
 *                 128 bits on their own
 *   join_blocks(v, a, b, c, d)
 *                 transposes as if 128 bits were one element: what is first in
 *                 a, b, c and d, then what is second ..., to v[0] and so on
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "secure/mask/chacha.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the stream is read as little-endian words");

#define INLINE TARGET static inline __attribute__((always_inline))

enum {
    DOUBLE_ROUNDS = 10,
    QUADS = 4,                // a block in pieces of 4 words
    BLOCK_VECS = 16 / LANES,  // vectors that a block fills
    GROUP_WORDS = 8 * LANES,  // of 64 bits
};

INLINE vec splat(uint32_t word)
{
    return word - (vec){0};
}

INLINE vec vec_rotate(vec v, int bits)
{
    return v << bits | v >> (32 - bits);
}

/* ---- blocks ---- */

INLINE void quarter_round(vec *a, vec *b, vec *c, vec *d)
{
    *a += *b;
    *d = vec_rotate_16(*d ^ *a);
    *c += *d;
    *b = vec_rotate(*b ^ *c, 12);
    *a += *b;
    *d = vec_rotate_8(*d ^ *a);
    *c += *d;
    *b = vec_rotate(*b ^ *c, 7);
}

INLINE void double_round(vec x[16])
{
    quarter_round(&x[0], &x[4], &x[8], &x[12]);
    quarter_round(&x[1], &x[5], &x[9], &x[13]);
    quarter_round(&x[2], &x[6], &x[10], &x[14]);
    quarter_round(&x[3], &x[7], &x[11], &x[15]);
    quarter_round(&x[0], &x[5], &x[10], &x[15]);
    quarter_round(&x[1], &x[6], &x[11], &x[12]);
    quarter_round(&x[2], &x[7], &x[8], &x[13]);
    quarter_round(&x[3], &x[4], &x[9], &x[14]);
}

// "expand 32-byte k", the key, the number of the block, a nonce of 0.
INLINE void start(vec x[16], const uint8_t *key, uint64_t block)
{
    x[0] = splat(0x61707865);
    x[1] = splat(0x3320646e);
    x[2] = splat(0x79622d32);
    x[3] = splat(0x6b206574);
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; i++) {
        x[4 + i] = splat(fl_bytes_get_u32(key + 4 * i));
    }
    const vec low = splat((uint32_t)block);
    x[12] = low + LANE_NUMBERS;
    // A lane whose lower half has wrapped is -1 in the comparison.
    x[13] = splat((uint32_t)(block >> 32)) - (vec)(x[12] < low);
    x[14] = splat(0);
    x[15] = splat(0);
}

INLINE void compute(vec x[16], const uint8_t *key, uint64_t block)
{
    vec input[16];
    start(x, key, block);
    for (int i = 0; i < DOUBLE_ROUNDS; i++) {
        double_round(x);
    }
    start(input, key, block);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        x[i] += input[i];
    }
}

/* ---- words ---- */

INLINE void merge(uint64_t *words, wide mask, bool is_subtracted)
{
    wide v;
    memcpy(&v, words, sizeof v);
    v = is_subtracted ? v - mask : v + mask;
    memcpy(words, &v, sizeof v);
}

// Transposes 4 by 4 in every 128 bits: quad[b] gets words x[0 .. 4) of block b
// in the lowest 128 bits, of block 4 + b in the next ones, and so on.
INLINE void gather_quads(wide quad[4], const vec x[4])
{
    const wide low01 = (wide)vec_zip_low(x[0], x[1]);
    const wide low23 = (wide)vec_zip_low(x[2], x[3]);
    const wide high01 = (wide)vec_zip_high(x[0], x[1]);
    const wide high23 = (wide)vec_zip_high(x[2], x[3]);
    quad[0] = wide_zip_low(low01, low23);
    quad[1] = wide_zip_high(low01, low23);
    quad[2] = wide_zip_low(high01, high23);
    quad[3] = wide_zip_high(high01, high23);
}

INLINE void put_blocks(uint64_t *words, const vec x[16], bool is_subtracted)
{
    wide quad[QUADS][4];
#pragma GCC unroll 4
    for (size_t i = 0; i < QUADS; i++) {
        gather_quads(quad[i], x + 4 * i);
    }
#pragma GCC unroll 4
    for (size_t b = 0; b < 4; b++) {
        // Blocks b, 4 + b, 8 + b ..., BLOCK_VECS vectors each.
        wide v[4];
        join_blocks(v, quad[0][b], quad[1][b], quad[2][b], quad[3][b]);
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++) {
            const size_t block = 4 * (i / BLOCK_VECS) + b;
            const size_t piece = i % BLOCK_VECS;
            merge(words + 8 * block + LANES / 2 * piece, v[i], is_subtracted);
        }
    }
}

INLINE void run(uint64_t *words, size_t group_count, uint64_t first,
                const uint8_t *key, bool is_subtracted)
{
    for (size_t i = 0; i < group_count; i++) {
        vec x[16];
        compute(x, key, first + i * LANES);
        put_blocks(words + i * GROUP_WORDS, x, is_subtracted);
    }
}

/* ---- the kernel ---- */

TARGET static void add(uint64_t *words, size_t group_count, uint64_t first,
                       const uint8_t *key)
{
    run(words, group_count, first, key, false);
}

TARGET static void subtract(uint64_t *words, size_t group_count, uint64_t first,
                            const uint8_t *key)
{
    run(words, group_count, first, key, true);
}
