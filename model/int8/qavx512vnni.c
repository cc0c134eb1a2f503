/*
 * The INT8 kernels for AVX-512 with VNNI, whose vpdpbusd multiplies 64 bytes
 * and adds up fours.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#if defined(__x86_64__)

#    include <immintrin.h>
#    include <string.h>

#    include "model/int8/qkernels.h"

#    define TARGET \
        __attribute__((target("avx512f,avx512vl,avx512bw,avx512vnni")))

typedef __m512i ivec;
typedef __m512 fvec;
typedef __m512i bvec;
typedef __m512i quad;

enum {
    LANES = 16,
    BYTES = 64,
    ROWS = 14,
    VECS = 2,
    A_ZERO = 0,
    QUAD_BYTES = LANES * 4,
};

#    define INLINE TARGET static inline

INLINE ivec ivec_set(int32_t x)
{
    return _mm512_set1_epi32(x);
}

INLINE ivec ivec_load(const uint8_t *src)
{
    return _mm512_loadu_si512(src);
}

INLINE ivec ivec_add(ivec a, ivec b)
{
    return _mm512_add_epi32(a, b);
}

INLINE ivec ivec_sub(ivec a, ivec b)
{
    return _mm512_sub_epi32(a, b);
}

INLINE ivec ivec_mul(ivec a, ivec b)
{
    return _mm512_mullo_epi32(a, b);
}

INLINE __mmask16 first_lanes(unsigned count)
{
    return (__mmask16)((1u << count) - 1);
}

INLINE ivec ivec_load_bytes(const uint8_t *src)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i_u *)src));
}

INLINE ivec ivec_load_bytes_part(const uint8_t *src, unsigned count)
{
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first_lanes(count), src));
}

INLINE void ivec_store_bytes(uint8_t *dst, ivec v)
{
    _mm_storeu_si128((__m128i_u *)dst, _mm512_cvtepi32_epi8(v));
}

INLINE void ivec_store_bytes_part(uint8_t *dst, ivec v, unsigned count)
{
    _mm_mask_storeu_epi8(dst, first_lanes(count), _mm512_cvtepi32_epi8(v));
}

INLINE fvec ivec_to_float(ivec v)
{
    return _mm512_cvtepi32_ps(v);
}

INLINE fvec fvec_set(float x)
{
    return _mm512_set1_ps(x);
}

INLINE fvec fvec_load(const float *src)
{
    return _mm512_loadu_ps(src);
}

INLINE fvec fvec_load_part(const float *src, unsigned count)
{
    return _mm512_maskz_loadu_ps(first_lanes(count), src);
}

INLINE void fvec_store(float *dst, fvec v)
{
    _mm512_storeu_ps(dst, v);
}

INLINE void fvec_store_part(float *dst, fvec v, unsigned count)
{
    _mm512_mask_storeu_ps(dst, first_lanes(count), v);
}

INLINE fvec fvec_add(fvec a, fvec b)
{
    return _mm512_add_ps(a, b);
}

INLINE fvec fvec_sub(fvec a, fvec b)
{
    return _mm512_sub_ps(a, b);
}

INLINE fvec fvec_mul(fvec a, fvec b)
{
    return _mm512_mul_ps(a, b);
}

INLINE fvec fvec_div(fvec a, fvec b)
{
    return _mm512_div_ps(a, b);
}

// The second operand where the first is NaN.
INLINE fvec fvec_max(fvec v, fvec bound)
{
    return _mm512_max_ps(v, bound);
}

INLINE fvec fvec_min(fvec v, fvec bound)
{
    return _mm512_min_ps(v, bound);
}

INLINE ivec fvec_round(fvec v)
{
    return _mm512_cvtps_epi32(v);
}

INLINE bvec bvec_load(const uint8_t *src)
{
    return _mm512_loadu_si512(src);
}

INLINE void bvec_store(uint8_t *dst, bvec v)
{
    _mm512_storeu_si512(dst, v);
}

INLINE __mmask64 first_bytes(size_t count)
{
    return count >= BYTES ? ~(__mmask64)0 : ((__mmask64)1 << count) - 1;
}

INLINE bvec bvec_load_part(const uint8_t *src, unsigned count)
{
    return _mm512_maskz_loadu_epi8(first_bytes(count), src);
}

INLINE void bvec_store_part(uint8_t *dst, bvec v, unsigned count)
{
    _mm512_mask_storeu_epi8(dst, first_bytes(count), v);
}

INLINE bvec bvec_max(bvec a, bvec b)
{
    return _mm512_max_epu8(a, b);
}

INLINE quad quad_load(const uint8_t *a)
{
    int32_t bytes;
    memcpy(&bytes, a, sizeof bytes);
    return _mm512_set1_epi32(bytes);
}

static inline void weight_store(uint8_t *dst, const int8_t *weights)
{
    memcpy(dst, weights, QUAD_BYTES);
}

INLINE ivec ivec_dot(ivec sum, quad a, const uint8_t *w)
{
    return _mm512_dpbusd_epi32(sum, a, ivec_load(w));
}

INLINE ivec ivec_dot2(ivec sum, ivec x0, ivec x1, ivec w)
{
    const ivec pairs = _mm512_or_si512(x0, _mm512_slli_epi32(x1, 16));
    return _mm512_dpwssd_epi32(sum, pairs, w);
}

#    undef INLINE
#    include "model/int8/qtile.h"

const fl_qkernels fl_qkernels_avx512vnni = QKERNELS("avx512vnni");

#endif
