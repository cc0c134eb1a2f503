/*
 * The INT8 kernels for AVX2. Bytes are widened to 16 bits before they are
 * multiplied: vpmaddubsw would saturate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/int8/qkernels.h"

#if defined(__x86_64__)

#    include <immintrin.h>
#    include <string.h>

#    define TARGET __attribute__((target("avx2")))

typedef __m256i ivec;
typedef __m256 fvec;
typedef __m256i bvec;

// Bytes 0 and 2, and 1 and 3, as 16-bit numbers in every lane.
typedef struct {
    __m256i even, odd;
} quad;

enum {
    LANES = 8,
    BYTES = 32,
    ROWS = 4,
    VECS = 2,
    A_ZERO = 0,
    QUAD_BYTES = LANES * 8,  // widened to int16
};

#    define INLINE TARGET static inline

INLINE ivec ivec_set(int32_t x)
{
    return _mm256_set1_epi32(x);
}

INLINE ivec ivec_load(const uint8_t *src)
{
    return _mm256_loadu_si256((const __m256i_u *)src);
}

INLINE ivec ivec_add(ivec a, ivec b)
{
    return _mm256_add_epi32(a, b);
}

INLINE ivec ivec_sub(ivec a, ivec b)
{
    return _mm256_sub_epi32(a, b);
}

INLINE ivec ivec_mul(ivec a, ivec b)
{
    return _mm256_mullo_epi32(a, b);
}

INLINE ivec ivec_load_bytes(const uint8_t *src)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i_u *)src));
}

INLINE ivec ivec_load_bytes_part(const uint8_t *src, unsigned count)
{
    uint8_t bytes[LANES] = {0};
    memcpy(bytes, src, count);
    return ivec_load_bytes(bytes);
}

// Every lane holds 0 to 255.
INLINE __m128i lanes_to_bytes(ivec v)
{
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v),
                                          _mm256_extracti128_si256(v, 1));
    return _mm_packus_epi16(words, words);
}

INLINE void ivec_store_bytes(uint8_t *dst, ivec v)
{
    _mm_storel_epi64((__m128i_u *)dst, lanes_to_bytes(v));
}

INLINE void ivec_store_bytes_part(uint8_t *dst, ivec v, unsigned count)
{
    uint8_t bytes[LANES];
    ivec_store_bytes(bytes, v);
    memcpy(dst, bytes, count);
}

INLINE fvec ivec_to_float(ivec v)
{
    return _mm256_cvtepi32_ps(v);
}

INLINE fvec fvec_set(float x)
{
    return _mm256_set1_ps(x);
}

INLINE fvec fvec_load(const float *src)
{
    return _mm256_loadu_ps(src);
}

INLINE __m256i first_lanes(unsigned count)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane);
}

INLINE fvec fvec_load_part(const float *src, unsigned count)
{
    return _mm256_maskload_ps(src, first_lanes(count));
}

INLINE void fvec_store(float *dst, fvec v)
{
    _mm256_storeu_ps(dst, v);
}

INLINE void fvec_store_part(float *dst, fvec v, unsigned count)
{
    _mm256_maskstore_ps(dst, first_lanes(count), v);
}

INLINE fvec fvec_add(fvec a, fvec b)
{
    return _mm256_add_ps(a, b);
}

INLINE fvec fvec_sub(fvec a, fvec b)
{
    return _mm256_sub_ps(a, b);
}

INLINE fvec fvec_mul(fvec a, fvec b)
{
    return _mm256_mul_ps(a, b);
}

INLINE fvec fvec_div(fvec a, fvec b)
{
    return _mm256_div_ps(a, b);
}

// The second operand where the first is NaN.
INLINE fvec fvec_max(fvec v, fvec bound)
{
    return _mm256_max_ps(v, bound);
}

INLINE fvec fvec_min(fvec v, fvec bound)
{
    return _mm256_min_ps(v, bound);
}

INLINE ivec fvec_round(fvec v)
{
    return _mm256_cvtps_epi32(v);
}

INLINE bvec bvec_load(const uint8_t *src)
{
    return _mm256_loadu_si256((const __m256i_u *)src);
}

INLINE void bvec_store(uint8_t *dst, bvec v)
{
    _mm256_storeu_si256((__m256i_u *)dst, v);
}

// Half a vector is what layers of 16 channels have.
INLINE bvec bvec_load_part(const uint8_t *src, unsigned count)
{
    uint8_t bytes[BYTES] = {0};
    if (count == BYTES / 2) {
        return _mm256_zextsi128_si256(_mm_loadu_si128((const __m128i_u *)src));
    }
    memcpy(bytes, src, count);
    return bvec_load(bytes);
}

INLINE void bvec_store_part(uint8_t *dst, bvec v, unsigned count)
{
    uint8_t bytes[BYTES];
    bvec_store(bytes, v);
    memcpy(dst, bytes, count);
}

INLINE bvec bvec_max(bvec a, bvec b)
{
    return _mm256_max_epu8(a, b);
}

INLINE quad quad_load(const uint8_t *a)
{
    int32_t bytes;
    memcpy(&bytes, a, sizeof bytes);
    const __m256i all = _mm256_set1_epi32(bytes);
    return (quad){
        .even = _mm256_and_si256(all, _mm256_set1_epi16(0xFF)),
        .odd = _mm256_srli_epi16(all, 8),
    };
}

// Weights 0 and 2 of every column, then 1 and 3.
static inline void weight_store(uint8_t *dst, const int8_t *weights)
{
    int16_t wide[2][LANES][2];
    for (unsigned n = 0; n < LANES; n++) {
        for (unsigned k = 0; k < 4; k++) {
            wide[k % 2][n][k / 2] = weights[4 * n + k];
        }
    }
    memcpy(dst, wide, sizeof wide);
}

INLINE ivec ivec_dot(ivec sum, quad a, const uint8_t *w)
{
    const ivec even = _mm256_madd_epi16(a.even, ivec_load(w));
    const ivec odd = _mm256_madd_epi16(a.odd, ivec_load(w + sizeof(ivec)));
    return ivec_add(sum, ivec_add(even, odd));
}

INLINE ivec ivec_dot2(ivec sum, ivec x0, ivec x1, ivec w)
{
    const ivec pairs = _mm256_or_si256(x0, _mm256_slli_epi32(x1, 16));
    return ivec_add(sum, _mm256_madd_epi16(pairs, w));
}

#    undef INLINE
#    include "model/int8/qtile.h"

const fl_qkernels fl_qkernels_avx2 = QKERNELS("avx2");

#endif
