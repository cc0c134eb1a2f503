/*
 * The INT8 kernels for every arm64. Two products of a sum are added up in 16
 * bits, which hold 2 * 128 * 127, before they are added to its 32.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/int8/qkernels.h"

#if defined(__aarch64__)

#    include <arm_neon.h>
#    include <string.h>

// Scheduled before registers are given out, a tile's sums outgrow them: 20 %
// more instructions.
#    define TARGET __attribute__((optimize("no-schedule-insns")))

// 12 sums, 8 vectors of weights and 4 of indices leave 8 of 32 registers.
enum { ROWS = 6, STRETCH = 4, QUAD_BYTES = 16 };

typedef int8x16_t stretch;
typedef int8x16_t quad;  // bytes 0 and 1 four times, then 2 and 3

TARGET static inline quad stretch_quad(stretch bytes, size_t i)
{
    const uint8x16_t first = {0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3};
    const uint8x16_t index = vaddq_u8(first, vdupq_n_u8((uint8_t)(4 * i)));
    return vqtbl1q_s8(bytes, index);
}

// Weights 0 and 1 of every column, then 2 and 3.
static inline void weight_store(uint8_t *dst, const int8_t *weights)
{
    for (unsigned n = 0; n < 4; n++) {
        memcpy(dst + 2 * n, weights + 4 * n, 2);
        memcpy(dst + 8 + 2 * n, weights + 4 * n + 2, 2);
    }
}

TARGET static inline int32x4_t ivec_dot(int32x4_t sum, quad a, const uint8_t *w)
{
    const int8x16_t weights = vreinterpretq_s8_u8(vld1q_u8(w));
    int16x8_t pairs = vmull_s8(vget_low_s8(a), vget_low_s8(weights));
    pairs = vmlal_high_s8(pairs, a, weights);
    return vpadalq_s16(sum, pairs);
}

#    include "model/int8/qneon.h"

const fl_qkernels fl_qkernels_smlal = QKERNELS("smlal");

#endif
