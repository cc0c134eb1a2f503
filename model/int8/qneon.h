/*
 * What the sets of INT8 kernels for NEON have in common: all but the product
 * of a quad. Included by a file that defines TARGET, ROWS, QUAD_BYTES, quad,
 * stretch and their functions, as qtile.h has them; this includes qtile.h.
 *
 * Bytes of A are seen as signed ones, since NEON multiplies two of a kind.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_QNEON_H
#define FL_MODEL_INT8_QNEON_H

#include <arm_neon.h>
#include <string.h>

typedef int32x4_t ivec;
typedef float32x4_t fvec;
typedef uint8x16_t bvec;

enum { LANES = 4, BYTES = 16, VECS = 2, A_ZERO = 128 };

#define INLINE TARGET static inline

INLINE ivec ivec_set(int32_t x)
{
    return vdupq_n_s32(x);
}

INLINE ivec ivec_load(const uint8_t *src)
{
    return vreinterpretq_s32_u8(vld1q_u8(src));
}

INLINE ivec ivec_add(ivec a, ivec b)
{
    return vaddq_s32(a, b);
}

INLINE ivec ivec_sub(ivec a, ivec b)
{
    return vsubq_s32(a, b);
}

INLINE ivec ivec_mul(ivec a, ivec b)
{
    return vmulq_s32(a, b);
}

INLINE ivec ivec_load_bytes_part(const uint8_t *src, unsigned count)
{
    uint32_t bytes = 0;
    memcpy(&bytes, src, count);
    const uint8x8_t narrow = vreinterpret_u8_u32(vdup_n_u32(bytes));
    const uint16x4_t words = vget_low_u16(vmovl_u8(narrow));
    return vreinterpretq_s32_u32(vmovl_u16(words));
}

INLINE ivec ivec_load_bytes(const uint8_t *src)
{
    return ivec_load_bytes_part(src, LANES);
}

// Every lane holds 0 to 255.
INLINE uint32_t lanes_to_bytes(ivec v)
{
    const uint16x4_t words = vmovn_u32(vreinterpretq_u32_s32(v));
    const uint8x8_t narrow = vmovn_u16(vcombine_u16(words, words));
    return vget_lane_u32(vreinterpret_u32_u8(narrow), 0);
}

INLINE void ivec_store_bytes(uint8_t *dst, ivec v)
{
    const uint32_t bytes = lanes_to_bytes(v);
    memcpy(dst, &bytes, sizeof bytes);
}

// One to three lanes, without a call: no call keeps the sums of a tile in their
// registers.
INLINE void ivec_store_bytes_part(uint8_t *dst, ivec v, unsigned count)
{
    const uint32_t bytes = lanes_to_bytes(v);
    if (count & 2) memcpy(dst, &bytes, 2);
    if (count & 1) dst[count - 1] = (uint8_t)(bytes >> 8 * (count - 1));
}

INLINE fvec ivec_to_float(ivec v)
{
    return vcvtq_f32_s32(v);
}

INLINE fvec fvec_set(float x)
{
    return vdupq_n_f32(x);
}

INLINE fvec fvec_load(const float *src)
{
    return vld1q_f32(src);
}

INLINE fvec fvec_load_part(const float *src, unsigned count)
{
    float lanes[LANES] = {0.0F};
    memcpy(lanes, src, count * sizeof *lanes);
    return vld1q_f32(lanes);
}

INLINE void fvec_store(float *dst, fvec v)
{
    vst1q_f32(dst, v);
}

// As above.
INLINE void fvec_store_part(float *dst, fvec v, unsigned count)
{
    if (count & 2) vst1_f32(dst, vget_low_f32(v));
    if (count == 1) vst1q_lane_f32(dst, v, 0);
    if (count == 3) vst1q_lane_f32(dst + 2, v, 2);
}

INLINE fvec fvec_add(fvec a, fvec b)
{
    return vaddq_f32(a, b);
}

INLINE fvec fvec_sub(fvec a, fvec b)
{
    return vsubq_f32(a, b);
}

INLINE fvec fvec_mul(fvec a, fvec b)
{
    return vmulq_f32(a, b);
}

INLINE fvec fvec_div(fvec a, fvec b)
{
    return vdivq_f32(a, b);
}

// The number where the other one is NaN.
INLINE fvec fvec_max(fvec v, fvec bound)
{
    return vmaxnmq_f32(v, bound);
}

INLINE fvec fvec_min(fvec v, fvec bound)
{
    return vminnmq_f32(v, bound);
}

INLINE ivec fvec_round(fvec v)
{
    return vcvtnq_s32_f32(v);
}

INLINE bvec bvec_load(const uint8_t *src)
{
    return vld1q_u8(src);
}

INLINE void bvec_store(uint8_t *dst, bvec v)
{
    vst1q_u8(dst, v);
}

// Half a vector is what layers of 8 channels have.
INLINE bvec bvec_load_part(const uint8_t *src, unsigned count)
{
    uint8_t bytes[BYTES] = {0};
    if (count == BYTES / 2) return vcombine_u8(vld1_u8(src), vdup_n_u8(0));
    memcpy(bytes, src, count);
    return vld1q_u8(bytes);
}

INLINE void bvec_store_part(uint8_t *dst, bvec v, unsigned count)
{
    uint8_t bytes[BYTES];
    if (count == BYTES / 2) {
        vst1_u8(dst, vget_low_u8(v));
        return;
    }
    vst1q_u8(bytes, v);
    memcpy(dst, bytes, count);
}

INLINE bvec bvec_max(bvec a, bvec b)
{
    return vmaxq_u8(a, b);
}

INLINE int8x16_t minus_128(uint8x16_t bytes)
{
    return vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(A_ZERO)));
}

INLINE stretch stretch_load(const uint8_t *a)
{
    return minus_128(vld1q_u8(a));
}

INLINE quad quad_load(const uint8_t *a)
{
    uint32_t bytes;
    memcpy(&bytes, a, sizeof bytes);
    const uint8x16_t all = vreinterpretq_u8_u32(vdupq_n_u32(bytes));
    return stretch_quad(minus_128(all), 0);
}

#define OWN_STRETCH
#define OWN_DEPTHWISE
#define OWN_LOOKUP
#include "model/int8/qtile.h"

/*
 * Depthwise: blocks of 8 channels, widened to 16 bits, a few pixels at once so
 * that they share the weights. A packed block: biases, factors, then the
 * weights of each tap as 16-bit numbers.
 */
enum {
    BLOCK = 2 * LANES,
    TILE_PIXELS = 4,
    TAP_BYTES = BLOCK * sizeof(int16_t)
};

#define ENDS (BLOCK * (sizeof(int32_t) + sizeof(float)))

static size_t depthwise_bytes(const fl_qweights *w)
{
    size_t bytes;
    if (fl_size_mul(&bytes, w->segment_count, w->segment_len) ||
        bytes > SIZE_MAX / TAP_BYTES - ENDS) {
        return SIZE_MAX;
    }
    bytes = bytes * TAP_BYTES + ENDS;
    if (fl_size_mul(&bytes, bytes, ((size_t)w->columns + BLOCK - 1) / BLOCK)) {
        return SIZE_MAX;
    }
    return bytes;
}

static void pack_depthwise(uint8_t *dst, const fl_qweights *w)
{
    const size_t taps = (size_t)w->segment_count * w->segment_len;
    for (size_t channel = 0; channel < w->columns; channel += BLOCK) {
        const size_t left = w->columns - channel;
        const size_t used = left < BLOCK ? left : BLOCK;
        pack_ends(dst, w, channel, used, BLOCK, 0);
        dst += ENDS;
        for (size_t t = 0; t < taps; t++) {
            int16_t wide[BLOCK] = {0};
            for (size_t n = 0; n < used; n++) {
                wide[n] = w->weights[(channel + n) * taps + t];
            }
            memcpy(dst, wide, sizeof wide);
            dst += sizeof wide;
        }
    }
}

TILE void depthwise_tile(const fl_qdepthwise *d, const uint8_t *block,
                         uint32_t pixel, uint32_t channel, size_t pixels)
{
    const fl_qwindows *in = &d->in;
    ivec sum[TILE_PIXELS][2];
    UNROLL
    for (size_t p = 0; p < pixels; p++) {
        sum[p][0] = panel_bias(block, 0);
        sum[p][1] = panel_bias(block, 1);
    }
    const uint8_t *row = in->x + pixel * in->x_step + channel;
    const uint8_t *w = block + ENDS;
    for (uint32_t i = 0; i < in->kernel_h; i++) {
        const uint8_t *x = row;
        for (uint32_t k = 0; k < in->kernel_w; k++) {
            const int16x8_t weight = vreinterpretq_s16_u8(vld1q_u8(w));
            UNROLL
            for (size_t p = 0; p < pixels; p++) {
                const int16x8_t tap = vreinterpretq_s16_u16(
                    vmovl_u8(vld1_u8(x + p * in->x_step)));
                sum[p][0] = vmlal_s16(sum[p][0], vget_low_s16(tap),
                                      vget_low_s16(weight));
                sum[p][1] = vmlal_high_s16(sum[p][1], tap, weight);
            }
            x += in->column_step;
            w += TAP_BYTES;
        }
        row += in->row_step;
    }
    UNROLL
    for (size_t v = 0; v < 2; v++) {
        const size_t at = channel + v * LANES;
        if (at >= in->channels) break;
        UNROLL
        for (size_t p = 0; p < pixels; p++) {
            store_result(&d->out, pixel + p, at, sum[p][v],
                         panel_factor(block, v, 2), in->channels - at);
        }
    }
}

TARGET static void depthwise(const fl_qdepthwise *d)
{
    const fl_qwindows *in = &d->in;
    const size_t taps = (size_t)in->kernel_h * in->kernel_w;
    const uint8_t *block = d->packed;
    for (uint32_t channel = 0; channel < in->channels; channel += BLOCK) {
        uint32_t p = 0;
        for (; p + TILE_PIXELS <= in->pixels; p += TILE_PIXELS) {
            depthwise_tile(d, block, p, channel, TILE_PIXELS);
        }
        for (; p < in->pixels; p++) {
            depthwise_tile(d, block, p, channel, 1);
        }
        block += ENDS + taps * TAP_BYTES;
    }
}

// 64 bytes of the table at a time; an index beyond those changes nothing.
TARGET static void lookup(uint8_t *y, const uint8_t *x,
                          const uint8_t table[256], size_t count)
{
    const uint8x16x4_t quarters[] = {
        vld1q_u8_x4(table),
        vld1q_u8_x4(table + 64),
        vld1q_u8_x4(table + 128),
        vld1q_u8_x4(table + 192),
    };
    size_t i = 0;
    for (; i + BYTES <= count; i += BYTES) {
        uint8x16_t index = vld1q_u8(x + i);
        uint8x16_t found = vqtbl4q_u8(quarters[0], index);
        UNROLL
        for (size_t k = 1; k < 4; k++) {
            index = vsubq_u8(index, vdupq_n_u8(64));
            found = vqtbx4q_u8(found, quarters[k], index);
        }
        vst1q_u8(y + i, found);
    }
    for (; i < count; i++) {
        y[i] = table[x[i]];
    }
}

#undef INLINE
#endif
