/*
 * The kernels for NEON, which every arm64 has.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/kernels/kernels.h"

#if defined(__aarch64__)

#    include <arm_neon.h>
#    include <string.h>

// As in model/int8/qneon_smlal.c: scheduled before registers are given out,
// tiles outgrow them.
#    define TARGET __attribute__((optimize("no-schedule-insns")))

typedef float32x4_t vec;
typedef int32x4_t ivec;

enum { LANES = 4, ROWS = 8, OUTER_ROWS = 4, OUTER_VECS = 4, OUTER_TILE = 24 };

#    define INLINE TARGET static inline

INLINE vec vec_zero(void)
{
    return vdupq_n_f32(0.0F);
}

INLINE vec vec_set(float x)
{
    return vdupq_n_f32(x);
}

INLINE vec vec_load(const float *src)
{
    return vld1q_f32(src);
}

// One to three lanes, without a call: no call keeps the sums of a tile in
// their registers.
INLINE vec vec_load_part(const float *src, unsigned count)
{
    vec v = vec_zero();
    if (count & 2) v = vcombine_f32(vld1_f32(src), vdup_n_f32(0.0F));
    if (count == 1) v = vld1q_lane_f32(src, v, 0);
    if (count == 3) v = vld1q_lane_f32(src + 2, v, 2);
    return v;
}

INLINE void vec_store(float *dst, vec v)
{
    vst1q_f32(dst, v);
}

INLINE void vec_store_part(float *dst, vec v, unsigned count)
{
    if (count & 2) vst1_f32(dst, vget_low_f32(v));
    if (count == 1) vst1q_lane_f32(dst, v, 0);
    if (count == 3) vst1q_lane_f32(dst + 2, v, 2);
}

INLINE vec vec_fma(vec a, vec b, vec c)
{
    return vfmaq_f32(c, a, b);
}

INLINE vec vec_mul(vec a, vec b)
{
    return vmulq_f32(a, b);
}

INLINE vec vec_add(vec a, vec b)
{
    return vaddq_f32(a, b);
}

INLINE vec vec_sub(vec a, vec b)
{
    return vsubq_f32(a, b);
}

INLINE vec vec_div(vec a, vec b)
{
    return vdivq_f32(a, b);
}

INLINE vec vec_sqrt(vec v)
{
    return vsqrtq_f32(v);
}

// In each lane: a < b ? yes : no.
INLINE vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    return vbslq_f32(vcltq_f32(a, b), yes, no);
}

INLINE vec keep_where(uint32x4_t mask, vec v)
{
    return vreinterpretq_f32_u32(vandq_u32(mask, vreinterpretq_u32_f32(v)));
}

// 2^n of whole numbers n, -126 to 127.
INLINE vec vec_exp2(vec n)
{
    const ivec exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23));
}

// NaN wins: a broken model shows in the loss.
INLINE vec vec_relu(vec v)
{
    return vmaxq_f32(v, vec_zero());
}

INLINE vec vec_where_positive(vec v, vec y)
{
    return keep_where(vcgtq_f32(y, vec_zero()), v);
}

INLINE ivec ivec_set(int x)
{
    return vdupq_n_s32(x);
}

// The larger of both, and in *from where it came from; NaN wins.
INLINE vec vec_max_from(vec best, vec v, ivec *from, ivec k)
{
    const uint32x4_t is_number = vceqq_f32(v, v);
    const uint32x4_t wins = vornq_u32(vcgtq_f32(v, best), is_number);
    *from = vbslq_s32(wins, k, *from);
    return vbslq_f32(wins, v, best);
}

INLINE vec vec_where_equal(vec v, ivec a, ivec b)
{
    return keep_where(vceqq_s32(a, b), v);
}

INLINE ivec ivec_load_bytes(const uint8_t *src)
{
    uint32_t bytes;
    memcpy(&bytes, src, sizeof bytes);
    const uint8x8_t narrow = vreinterpret_u8_u32(vdup_n_u32(bytes));
    const uint16x4_t words = vget_low_u16(vmovl_u8(narrow));
    return vreinterpretq_s32_u32(vmovl_u16(words));
}

INLINE void ivec_store_bytes(uint8_t *dst, ivec v)
{
    const uint16x4_t words = vmovn_u32(vreinterpretq_u32_s32(v));
    const uint8x8_t narrow = vmovn_u16(vcombine_u16(words, words));
    const uint32_t bytes = vget_lane_u32(vreinterpret_u32_u8(narrow), 0);
    memcpy(dst, &bytes, sizeof bytes);
}

#    undef INLINE
#    include "model/kernels/tile.h"

const fl_kernels fl_kernels_neon = KERNELS("neon");

#endif
