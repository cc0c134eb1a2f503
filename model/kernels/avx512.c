/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels/kernels.h"

#if defined(__x86_64__)

#    include <immintrin.h>

#    define TARGET __attribute__((target("avx512f")))

typedef __m512 vec;
typedef __m512i ivec;

enum { LANES = 16, ROWS = 14, OUTER_ROWS = 8, OUTER_VECS = 3, OUTER_TILE = 27 };

#    define INLINE TARGET static inline

INLINE vec vec_zero(void)
{
    return _mm512_setzero_ps();
}

INLINE vec vec_set(float x)
{
    return _mm512_set1_ps(x);
}

INLINE vec vec_load(const float *src)
{
    return _mm512_loadu_ps(src);
}

INLINE __mmask16 first_lanes(unsigned count)
{
    return (__mmask16)((1u << count) - 1);
}

INLINE vec vec_load_part(const float *src, unsigned count)
{
    return _mm512_maskz_loadu_ps(first_lanes(count), src);
}

INLINE void vec_store(float *dst, vec v)
{
    _mm512_storeu_ps(dst, v);
}

INLINE void vec_store_part(float *dst, vec v, unsigned count)
{
    _mm512_mask_storeu_ps(dst, first_lanes(count), v);
}

INLINE vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

INLINE vec vec_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

INLINE vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}

INLINE vec vec_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}

INLINE vec vec_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}

INLINE vec vec_sqrt(vec v)
{
    return _mm512_sqrt_ps(v);
}

// In each lane: a < b ? yes : no.
INLINE vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    return _mm512_mask_mov_ps(no, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), yes);
}

// 2^n of whole numbers n, -126 to 127.
INLINE vec vec_exp2(vec n)
{
    return _mm512_scalef_ps(_mm512_set1_ps(1.0F), n);
}

// The second operand wins when it is NaN: a broken model shows in the loss.
INLINE vec vec_relu(vec v)
{
    return _mm512_max_ps(_mm512_setzero_ps(), v);
}

INLINE vec vec_where_positive(vec v, vec y)
{
    const __mmask16 is_positive =
        _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_GT_OQ);
    return _mm512_maskz_mov_ps(is_positive, v);
}

INLINE ivec ivec_set(int x)
{
    return _mm512_set1_epi32(x);
}

// The larger of both, and in *from where it came from; NaN wins.
INLINE vec vec_max_from(vec best, vec v, ivec *from, ivec k)
{
    const __mmask16 wins = _mm512_cmp_ps_mask(v, best, _CMP_GT_OQ) |
                           _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    *from = _mm512_mask_mov_epi32(*from, wins, k);
    return _mm512_mask_mov_ps(best, wins, v);
}

INLINE vec vec_where_equal(vec v, ivec a, ivec b)
{
    return _mm512_maskz_mov_ps(_mm512_cmpeq_epi32_mask(a, b), v);
}

INLINE ivec ivec_load_bytes(const uint8_t *src)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i_u *)src));
}

INLINE void ivec_store_bytes(uint8_t *dst, ivec v)
{
    _mm_storeu_si128((__m128i_u *)dst, _mm512_cvtepi32_epi8(v));
}

#    undef INLINE
#    include "model/kernels/tile.h"

const fl_kernels fl_kernels_avx512 = KERNELS("avx512");

#endif
