/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels/kernels.h"

#if defined(__x86_64__)

#    include <immintrin.h>

#    define TARGET __attribute__((target("avx2,fma")))

typedef __m256 vec;
typedef __m256i ivec;

enum { LANES = 8, ROWS = 6, OUTER_ROWS = 4, OUTER_VECS = 3, OUTER_TILE = 12 };

#    define INLINE TARGET static inline

INLINE vec vec_zero(void)
{
    return _mm256_setzero_ps();
}

INLINE vec vec_set(float x)
{
    return _mm256_set1_ps(x);
}

INLINE vec vec_load(const float *src)
{
    return _mm256_loadu_ps(src);
}

INLINE __m256i first_lanes(unsigned count)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane);
}

INLINE vec vec_load_part(const float *src, unsigned count)
{
    return _mm256_maskload_ps(src, first_lanes(count));
}

INLINE void vec_store(float *dst, vec v)
{
    _mm256_storeu_ps(dst, v);
}

INLINE void vec_store_part(float *dst, vec v, unsigned count)
{
    _mm256_maskstore_ps(dst, first_lanes(count), v);
}

INLINE vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

INLINE vec vec_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}

INLINE vec vec_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}

INLINE vec vec_sub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}

INLINE vec vec_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}

INLINE vec vec_sqrt(vec v)
{
    return _mm256_sqrt_ps(v);
}

// In each lane: a < b ? yes : no.
INLINE vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

// 2^n of whole numbers n, -126 to 127.
INLINE vec vec_exp2(vec n)
{
    const __m256i exponent =
        _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}

// The second operand wins when it is NaN: a broken model shows in the loss.
INLINE vec vec_relu(vec v)
{
    return _mm256_max_ps(_mm256_setzero_ps(), v);
}

INLINE vec vec_where_positive(vec v, vec y)
{
    return _mm256_and_ps(_mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_GT_OQ), v);
}

INLINE ivec ivec_set(int x)
{
    return _mm256_set1_epi32(x);
}

// The larger of both, and in *from where it came from; NaN wins.
INLINE vec vec_max_from(vec best, vec v, ivec *from, ivec k)
{
    const __m256 wins = _mm256_or_ps(_mm256_cmp_ps(v, best, _CMP_GT_OQ),
                                     _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    *from = _mm256_blendv_epi8(*from, k, _mm256_castps_si256(wins));
    return _mm256_blendv_ps(best, v, wins);
}

INLINE vec vec_where_equal(vec v, ivec a, ivec b)
{
    return _mm256_and_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)), v);
}

INLINE ivec ivec_load_bytes(const uint8_t *src)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i_u *)src));
}

INLINE void ivec_store_bytes(uint8_t *dst, ivec v)
{
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v),
                                          _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((__m128i_u *)dst, _mm_packus_epi16(words, words));
}

#    undef INLINE
#    include "model/kernels/tile.h"

const fl_kernels fl_kernels_avx2 = KERNELS("avx2");

#endif
