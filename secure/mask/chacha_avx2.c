/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/mask/chacha.h"

#if defined(__x86_64__)

#    include <immintrin.h>

#    define TARGET       __attribute__((target("avx2")))
#    define LANE_NUMBERS ((vec){0, 1, 2, 3, 4, 5, 6, 7})

typedef uint32_t vec __attribute__((vector_size(32)));
typedef uint64_t wide __attribute__((vector_size(32)));

enum { LANES = 8 };

// Whole bytes move in one shuffle; other rotations take three instructions.
TARGET static inline vec vec_rotate_16(vec v)
{
    const __m256i from =
        _mm256_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13,
                         2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    return (vec)_mm256_shuffle_epi8((__m256i)v, from);
}

TARGET static inline vec vec_rotate_8(vec v)
{
    const __m256i from =
        _mm256_setr_epi8(3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14,
                         3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14);
    return (vec)_mm256_shuffle_epi8((__m256i)v, from);
}

TARGET static inline vec vec_zip_low(vec a, vec b)
{
    return (vec)_mm256_unpacklo_epi32((__m256i)a, (__m256i)b);
}

TARGET static inline vec vec_zip_high(vec a, vec b)
{
    return (vec)_mm256_unpackhi_epi32((__m256i)a, (__m256i)b);
}

TARGET static inline wide wide_zip_low(wide a, wide b)
{
    return (wide)_mm256_unpacklo_epi64((__m256i)a, (__m256i)b);
}

TARGET static inline wide wide_zip_high(wide a, wide b)
{
    return (wide)_mm256_unpackhi_epi64((__m256i)a, (__m256i)b);
}

TARGET static inline void join_blocks(wide v[4], wide a, wide b, wide c, wide d)
{
    v[0] = (wide)_mm256_permute2x128_si256((__m256i)a, (__m256i)b, 0x20);
    v[1] = (wide)_mm256_permute2x128_si256((__m256i)c, (__m256i)d, 0x20);
    v[2] = (wide)_mm256_permute2x128_si256((__m256i)a, (__m256i)b, 0x31);
    v[3] = (wide)_mm256_permute2x128_si256((__m256i)c, (__m256i)d, 0x31);
}

#    include "secure/mask/chacha_lanes.h"

const fl_chacha fl_chacha_avx2 = {"avx2", LANES, add, subtract};

#endif
