/* SPDX-License-Identifier: Apache-2.0 */
#if defined(__x86_64__)

#    include <immintrin.h>

#    include "model/kernels/kernels.h"

#    define TARGET __attribute__((target("avx2,fma")))

typedef __m256 vec;

enum { LANES = 8, ROWS = 6, OUTER_ROWS = 4, OUTER_VECS = 3 };

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

INLINE vec vec_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}

// The second operand wins when it is NaN: a broken model shows in the loss.
INLINE vec vec_relu(vec v)
{
    return _mm256_max_ps(_mm256_setzero_ps(), v);
}

#    undef INLINE
#    include "model/kernels/tile.h"

const fl_kernels fl_kernels_avx2 = {
    .name = "avx2",
    .panel = 2 * LANES,
    .lanes = LANES,
    .product = product,
    .outer = outer,
    .update = update,
    .sum_squares = sum_squares,
    .relu_mask = relu_mask,
    .bias_sum = bias_sum,
};

#endif
