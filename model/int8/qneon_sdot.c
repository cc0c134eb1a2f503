/*
 * The INT8 kernels for arm64 with dot products (Cortex-A55, A76 and younger):
 * sdot multiplies 16 bytes and adds up fours.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/int8/qkernels.h"

#if defined(__aarch64__)

#    include <arm_neon.h>
#    include <string.h>

#    define TARGET __attribute__((target("arch=armv8.2-a+dotprod")))

// 14 sums, 8 vectors of weights and 7 of A: all but 3 of 32 registers.
enum { ROWS = 7, STRETCH = 4, QUAD_BYTES = 16 };

typedef int8x16_t stretch;

// sdot takes four bytes of a vector by themselves.
typedef struct {
    int8x16_t bytes;
    size_t lane;
} quad;

TARGET static inline quad stretch_quad(stretch bytes, size_t i)
{
    return (quad){bytes, i};
}

static inline void weight_store(uint8_t *dst, const int8_t *weights)
{
    memcpy(dst, weights, QUAD_BYTES);
}

TARGET static inline int32x4_t ivec_dot(int32x4_t sum, quad a, const uint8_t *w)
{
    const int8x16_t weights = vreinterpretq_s8_u8(vld1q_u8(w));
    switch (a.lane) {
    case 0: return vdotq_laneq_s32(sum, weights, a.bytes, 0);
    case 1: return vdotq_laneq_s32(sum, weights, a.bytes, 1);
    case 2: return vdotq_laneq_s32(sum, weights, a.bytes, 2);
    default: return vdotq_laneq_s32(sum, weights, a.bytes, 3);
    }
}

#    include "model/int8/qneon.h"

const fl_qkernels fl_qkernels_sdot = QKERNELS("sdot");

#endif
