/*
 * The kernel in plain C: four lanes, which gcc maps to SSE2 on x86-64.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "secure/mask/chacha.h"

#define TARGET
#define LANE_NUMBERS ((vec){0, 1, 2, 3})

typedef uint32_t vec __attribute__((vector_size(16)));
typedef uint64_t wide __attribute__((vector_size(16)));

enum { LANES = 4 };

static inline vec vec_rotate_16(vec v)
{
    return v << 16 | v >> 16;
}

static inline vec vec_rotate_8(vec v)
{
    return v << 8 | v >> 24;
}

static inline vec vec_zip_low(vec a, vec b)
{
    return __builtin_shufflevector(a, b, 0, 4, 1, 5);
}

static inline vec vec_zip_high(vec a, vec b)
{
    return __builtin_shufflevector(a, b, 2, 6, 3, 7);
}

static inline wide wide_zip_low(wide a, wide b)
{
    return __builtin_shufflevector(a, b, 0, 2);
}

static inline wide wide_zip_high(wide a, wide b)
{
    return __builtin_shufflevector(a, b, 1, 3);
}

static inline void join_blocks(wide v[4], wide a, wide b, wide c, wide d)
{
    v[0] = a;
    v[1] = b;
    v[2] = c;
    v[3] = d;
}

#include "secure/mask/chacha_lanes.h"

const fl_chacha fl_chacha_portable = {"portable", LANES, add, subtract};
