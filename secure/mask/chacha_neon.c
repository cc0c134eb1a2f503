/*
 * The kernel for NEON, which every arm64 has.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "secure/mask/chacha.h"

#if defined(__aarch64__)

#    include <arm_neon.h>

#    define TARGET
#    define LANE_NUMBERS ((vec){0, 1, 2, 3})

typedef uint32x4_t vec;
typedef uint64x2_t wide;

enum { LANES = 4 };

static inline vec vec_rotate_16(vec v)
{
    return vreinterpretq_u32_u16(vrev32q_u16(vreinterpretq_u16_u32(v)));
}

static inline vec vec_rotate_8(vec v)
{
    const uint8x16_t from = {3,  0, 1, 2,  7,  4,  5,  6,
                             11, 8, 9, 10, 15, 12, 13, 14};
    return vreinterpretq_u32_u8(vqtbl1q_u8(vreinterpretq_u8_u32(v), from));
}

static inline vec vec_zip_low(vec a, vec b)
{
    return vzip1q_u32(a, b);
}

static inline vec vec_zip_high(vec a, vec b)
{
    return vzip2q_u32(a, b);
}

static inline wide wide_zip_low(wide a, wide b)
{
    return vzip1q_u64(a, b);
}

static inline wide wide_zip_high(wide a, wide b)
{
    return vzip2q_u64(a, b);
}

static inline void join_blocks(wide v[4], wide a, wide b, wide c, wide d)
{
    v[0] = a;
    v[1] = b;
    v[2] = c;
    v[3] = d;
}

#    include "secure/mask/chacha_lanes.h"

const fl_chacha fl_chacha_neon = {"neon", LANES, add, subtract};

#endif
