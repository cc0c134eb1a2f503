/*
 * The INT8 kernels' one source. Included by a file that defines, for its
 * instruction set, TARGET, the vectors ivec (int32), fvec (float) and bvec
 * (bytes) with their functions, and
 *   LANES           numbers of an ivec and of an fvec
 *   BYTES           bytes of a bvec
 *   ROWS, VECS      tile of `product`: rows of A, and ivecs of columns
 *   A_ZERO          what a byte of A is seen as: q - A_ZERO
 *   quad            4 bytes of a row of A, as ivec_dot wants them
 *   QUAD_BYTES      of the weights that LANES columns have for a quad
 *   weight_store    packs those, given as (LANES, 4)
 *   ivec_dot        adds a quad times such weights to LANES sums
 *   ivec_dot2       adds x0 * w0 + x1 * w1, w of one ivec: (LANES, 2) int16;
 *                   not with OWN_DEPTHWISE, which replaces its only user
 * and, if it loads several quads of a row at once (OWN_STRETCH), also
 *   STRETCH         how many
 *   stretch         those, as stretch_load has them
 *   stretch_quad    one of them
 *
 * Here is what the kernels share: the way from sums to bytes, and the biases
 * and factors at the head of packed weights. The kernels follow:
 *
 *   qproduct.h   a matrix times packed weights
 *   qwindows.h   depthwise convolution, pools
 *   qelements.h  element by element
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_QTILE_H
#define FL_MODEL_INT8_QTILE_H

#include <string.h>

// Tiles are functions of constants: they exist once unrolled or not at all.
#define TILE TARGET static inline __attribute__((always_inline))
#if defined(__clang__)
#    define UNROLL _Pragma("clang loop unroll(full)")
#else
#    define UNROLL _Pragma("GCC unroll 16")
#endif

/* ---- bytes in, sums to bytes ---- */

TILE ivec load_bytes(const uint8_t *x, size_t count)
{
    return count >= LANES ? ivec_load_bytes(x)
                          : ivec_load_bytes_part(x, (unsigned)count);
}

TILE fvec clamp(fvec v, float low, float high)
{
    return fvec_min(fvec_max(v, fvec_set(low)), fvec_set(high));
}

// `count` is LANES everywhere but at the end of a row.
TILE void store_bytes(uint8_t *y, fvec v, uint8_t zero_point, size_t count)
{
    const ivec q = ivec_add(fvec_round(v), ivec_set(zero_point));
    if (count >= LANES) {
        ivec_store_bytes(y, q);
    } else {
        ivec_store_bytes_part(y, q, (unsigned)count);
    }
}

TILE void store_result(const fl_qresult *out, size_t row, size_t column,
                       ivec sum, fvec factor, size_t count)
{
    fvec v = fvec_mul(ivec_to_float(sum), factor);
    v = clamp(v, out->low, out->high);
    const size_t at = row * out->y_step + column;
    if (out->y) {
        store_bytes(out->y + at, v, out->zero_point, count);
    } else if (count >= LANES) {
        fvec_store(out->logits + at, v);
    } else {
        fvec_store_part(out->logits + at, v, (unsigned)count);
    }
}

/* ---- biases and factors ---- */

// Makes up for what a set does not subtract: sum (q - zero_point) * w from
// sum (q - a_zero) * w. Wraps around where the sum itself does not.
static inline int32_t packed_bias(const fl_qweights *w, uint32_t column,
                                  int a_zero)
{
    const size_t depth = (size_t)w->segment_count * w->segment_len;
    const int8_t *from = w->weights + column * depth;
    uint32_t sum = 0;
    for (size_t k = 0; k < depth; k++) {
        sum += (uint32_t)from[k];
    }
    return (int32_t)((uint32_t)w->biases[column] +
                     (uint32_t)(a_zero - w->zero_point) * sum);
}

// Biases and factors of `used` columns; what fills up is 0.
static inline void pack_ends(uint8_t *dst, const fl_qweights *w, size_t column,
                             size_t used, size_t width, int a_zero)
{
    memset(dst, 0, width * (sizeof(int32_t) + sizeof(float)));
    for (size_t n = 0; n < used; n++) {
        const int32_t bias = packed_bias(w, (uint32_t)(column + n), a_zero);
        memcpy(dst + n * sizeof bias, &bias, sizeof bias);
        memcpy(dst + (width + n) * sizeof bias, &w->factors[column + n],
               sizeof(float));
    }
}

// Bytes of a panel, or of a block of channels, for each of its LANES columns.
static inline size_t panel_bytes(size_t steps, size_t step_bytes)
{
    return steps * step_bytes + LANES * (sizeof(int32_t) + sizeof(float));
}

TILE ivec panel_bias(const uint8_t *panel, size_t v)
{
    return ivec_load(panel + v * LANES * sizeof(int32_t));
}

TILE fvec panel_factor(const uint8_t *panel, size_t v, size_t vecs)
{
    return fvec_load((const float *)(const void *)(panel + (vecs + v) * LANES *
                                                               sizeof(float)));
}

#include "model/int8/qelements.h"
#include "model/int8/qproduct.h"
#include "model/int8/qwindows.h"

/* Every kernel of a set whose functions are the ones above. */
#define QKERNELS(set_name)                                                    \
    {                                                                         \
        .name = (set_name), .product_bytes = product_bytes,                   \
        .pack_product = pack_product, .product = product,                     \
        .depthwise_bytes = depthwise_bytes, .pack_depthwise = pack_depthwise, \
        .depthwise = depthwise, .maxpool = maxpool, .average = average,       \
        .add = add, .mul = mul, .lookup = lookup, .quantize = quantize,       \
    }

#endif
