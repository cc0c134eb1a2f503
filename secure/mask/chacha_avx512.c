/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/mask/chacha.h"

#if defined(__x86_64__)

#    include <immintrin.h>

#    define TARGET __attribute__((target("avx512f")))
#    define LANE_NUMBERS \
        ((vec){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})

typedef uint32_t vec __attribute__((vector_size(64)));
typedef uint64_t wide __attribute__((vector_size(64)));

enum { LANES = 16 };

TARGET static inline vec vec_rotate_16(vec v)
{
    return v << 16 | v >> 16;
}

TARGET static inline vec vec_rotate_8(vec v)
{
    return v << 8 | v >> 24;
}

TARGET static inline vec vec_zip_low(vec a, vec b)
{
    return (vec)_mm512_unpacklo_epi32((__m512i)a, (__m512i)b);
}

TARGET static inline vec vec_zip_high(vec a, vec b)
{
    return (vec)_mm512_unpackhi_epi32((__m512i)a, (__m512i)b);
}

TARGET static inline wide wide_zip_low(wide a, wide b)
{
    return (wide)_mm512_unpacklo_epi64((__m512i)a, (__m512i)b);
}

TARGET static inline wide wide_zip_high(wide a, wide b)
{
    return (wide)_mm512_unpackhi_epi64((__m512i)a, (__m512i)b);
}

TARGET static inline void join_blocks(wide v[4], wide a, wide b, wide c, wide d)
{
    const __m512i ab01 = _mm512_shuffle_i64x2((__m512i)a, (__m512i)b, 0x44);
    const __m512i ab23 = _mm512_shuffle_i64x2((__m512i)a, (__m512i)b, 0xee);
    const __m512i cd01 = _mm512_shuffle_i64x2((__m512i)c, (__m512i)d, 0x44);
    const __m512i cd23 = _mm512_shuffle_i64x2((__m512i)c, (__m512i)d, 0xee);
    v[0] = (wide)_mm512_shuffle_i64x2(ab01, cd01, 0x88);
    v[1] = (wide)_mm512_shuffle_i64x2(ab01, cd01, 0xdd);
    v[2] = (wide)_mm512_shuffle_i64x2(ab23, cd23, 0x88);
    v[3] = (wide)_mm512_shuffle_i64x2(ab23, cd23, 0xdd);
}

#    include "secure/mask/chacha_lanes.h"

const fl_chacha fl_chacha_avx512 = {"avx512", LANES, add, subtract};

#endif
