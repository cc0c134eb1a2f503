/* SPDX-License-Identifier: Apache-2.0 */
#if defined(__x86_64__)

#    include <immintrin.h>

#    include "model/kernels/kernels.h"

#    define TARGET __attribute__((target("avx512f")))

typedef __m512 vec;

enum { LANES = 16, ROWS = 12, OUTER_ROWS = 8, OUTER_VECS = 3 };

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

INLINE vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}

// The second operand wins when it is NaN: a broken model shows in the loss.
INLINE vec vec_relu(vec v)
{
    return _mm512_max_ps(_mm512_setzero_ps(), v);
}

#    undef INLINE
#    include "model/kernels/tile.h"

const fl_kernels fl_kernels_avx512 = {
    .name = "avx512",
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
