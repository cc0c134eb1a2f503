/*
 * The INT8 kernels for AVX-512 with VNNI, whose vpdpbusd multiplies 64 bytes
 * and adds up fours.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/int8/qkernels.h"

#if defined(__x86_64__)

#    include <immintrin.h>
#    include <string.h>

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

#    define OWN_DEPTHWISE
#    include "model/int8/qtile.h"

/*
 * Depthwise: blocks of 64 channels. Bytes of four window rows are interleaved
 * by unpacking within 128-bit lanes, which leaves the channels of a block in
 * four sums, sum s lane l element i having channel 16 l + 4 s + i; packing the
 * sums into bytes at the end undoes just that. An interleaved column serves
 * every pixel of the tile whose window it is in.
 *
 * A packed block: biases, factors, then for each column and each four rows of
 * the window one vector for each sum.
 */
enum { BLOCK = 64, SUMS = 4, TILE_PIXELS = 4 };

#    define ENDS (BLOCK * (sizeof(int32_t) + sizeof(float)))

static size_t row_groups(size_t kernel_h)
{
    return (kernel_h + 3) / 4;
}

static size_t block_bytes(size_t kernel_h, size_t kernel_w)
{
    return ENDS + row_groups(kernel_h) * kernel_w * BLOCK * 4;
}

static size_t depthwise_bytes(const fl_qweights *w)
{
    size_t bytes;
    if (w->segment_len > SIZE_MAX / BLOCK / 8 / (w->segment_count + 4)) {
        return SIZE_MAX;
    }
    bytes = block_bytes(w->segment_count, w->segment_len);
    if (fl_size_mul(&bytes, bytes, ((size_t)w->columns + BLOCK - 1) / BLOCK)) {
        return SIZE_MAX;
    }
    return bytes;
}

// The channel whose sum is number n of a block's four vectors.
static size_t channel_of(size_t n)
{
    const size_t sum = n / LANES, lane = n % LANES / 4;
    return 16 * lane + 4 * sum + n % 4;
}

static void pack_channel(uint8_t *block, const fl_qweights *w, size_t n,
                         size_t channel)
{
    const int32_t bias = packed_bias(w, (uint32_t)channel, A_ZERO);
    memcpy(block + n * sizeof bias, &bias, sizeof bias);
    memcpy(block + (BLOCK + n) * sizeof bias, &w->factors[channel],
           sizeof(float));
    const size_t groups = row_groups(w->segment_count);
    const size_t depth = (size_t)w->segment_count * w->segment_len;
    const int8_t *from = w->weights + channel * depth;
    for (size_t row = 0; row < w->segment_count; row++) {
        for (size_t k = 0; k < w->segment_len; k++) {
            uint8_t *quads = block + ENDS + (k * groups + row / 4) * BLOCK * 4;
            quads[4 * n + row % 4] = (uint8_t)*from++;
        }
    }
}

static void pack_depthwise(uint8_t *dst, const fl_qweights *w)
{
    const size_t bytes = block_bytes(w->segment_count, w->segment_len);
    for (size_t from = 0; from < w->columns; from += BLOCK) {
        memset(dst, 0, bytes);
        for (size_t n = 0; n < BLOCK; n++) {
            const size_t channel = from + channel_of(n);
            if (channel < w->columns) pack_channel(dst, w, n, channel);
        }
        dst += bytes;
    }
}

// What a row of pixels and a block of channels have in common.
typedef struct {
    const fl_qdepthwise *task;
    const uint8_t *block;
    size_t channel;
    __mmask64 mask;  // channels that are real
} strip;

// Four rows of a column, from `row` on; rows below the window are 0.
TILE void interleave(__m512i column[SUMS], const strip *s, const uint8_t *x,
                     uint32_t row)
{
    const fl_qwindows *in = &s->task->in;
    __m512i rows[4];
    UNROLL
    for (uint32_t i = 0; i < 4; i++) {
        const __mmask64 mask = row + i < in->kernel_h ? s->mask : 0;
        rows[i] = _mm512_maskz_loadu_epi8(mask, x + (row + i) * in->row_step);
    }
    const __m512i low01 = _mm512_unpacklo_epi8(rows[0], rows[1]);
    const __m512i high01 = _mm512_unpackhi_epi8(rows[0], rows[1]);
    const __m512i low23 = _mm512_unpacklo_epi8(rows[2], rows[3]);
    const __m512i high23 = _mm512_unpackhi_epi8(rows[2], rows[3]);
    column[0] = _mm512_unpacklo_epi16(low01, low23);
    column[1] = _mm512_unpackhi_epi16(low01, low23);
    column[2] = _mm512_unpacklo_epi16(high01, high23);
    column[3] = _mm512_unpackhi_epi16(high01, high23);
}

TARGET static void store_logits(const strip *s, uint32_t pixel,
                                const fvec v[SUMS])
{
    float values[BLOCK];
    for (size_t k = 0; k < SUMS; k++) {
        fvec_store(values + k * LANES, v[k]);
    }
    float *y = s->task->out.logits + pixel * s->task->out.y_step + s->channel;
    for (size_t n = 0; n < BLOCK; n++) {
        const size_t channel = channel_of(n);
        if (s->mask >> channel & 1) y[channel] = values[n];
    }
}

TILE void store_block(const strip *s, uint32_t pixel, const ivec sum[SUMS])
{
    const fl_qresult *out = &s->task->out;
    fvec v[SUMS];
    UNROLL
    for (size_t k = 0; k < SUMS; k++) {
        const fvec factor =
            _mm512_loadu_ps(s->block + (BLOCK + k * LANES) * sizeof(float));
        v[k] = fvec_mul(ivec_to_float(sum[k]), factor);
        v[k] = clamp(v[k], out->low, out->high);
    }
    if (!out->y) {
        store_logits(s, pixel, v);
        return;
    }
    const __m512i zero = _mm512_set1_epi16(out->zero_point);
    const __m512i low = _mm512_packs_epi32(fvec_round(v[0]), fvec_round(v[1]));
    const __m512i high = _mm512_packs_epi32(fvec_round(v[2]), fvec_round(v[3]));
    const __m512i bytes = _mm512_packus_epi16(_mm512_add_epi16(low, zero),
                                              _mm512_add_epi16(high, zero));
    uint8_t *y = out->y + pixel * out->y_step + s->channel;
    _mm512_mask_storeu_epi8(y, s->mask, bytes);
}

/*
 * `pixels` results of windows `kernel` columns wide, `stride` columns apart,
 * and of `groups` fours of rows.
 */
TILE void depthwise_tile(const strip *s, uint32_t pixel, uint32_t pixels,
                         uint32_t kernel, uint32_t stride, uint32_t groups)
{
    const fl_qwindows *in = &s->task->in;
    ivec sum[TILE_PIXELS][SUMS];
    UNROLL
    for (uint32_t p = 0; p < pixels; p++) {
        UNROLL
        for (size_t k = 0; k < SUMS; k++) {
            sum[p][k] = ivec_load(s->block + k * sizeof(ivec));
        }
    }
    const uint8_t *x = in->x + pixel * in->x_step + s->channel;
    const uint8_t *w = s->block + ENDS;
    UNROLL
    for (uint32_t j = 0; j < (pixels - 1) * stride + kernel; j++) {
        UNROLL
        for (uint32_t g = 0; g < groups; g++) {
            __m512i column[SUMS];
            interleave(column, s, x + j * in->column_step, 4 * g);
            UNROLL
            for (uint32_t p = 0; p < pixels; p++) {
                if (j < p * stride || j >= p * stride + kernel) continue;
                const uint8_t *quads =
                    w + (size_t)((j - p * stride) * groups + g) * BLOCK * 4;
                UNROLL
                for (size_t k = 0; k < SUMS; k++) {
                    sum[p][k] = ivec_dot(sum[p][k], column[k],
                                         quads + k * sizeof(ivec));
                }
            }
        }
    }
    UNROLL
    for (uint32_t p = 0; p < pixels; p++) {
        store_block(s, pixel + p, sum[p]);
    }
}

// Any window, a pixel at a time.
TARGET static void depthwise_pixel(const strip *s, uint32_t pixel)
{
    const fl_qwindows *in = &s->task->in;
    ivec sum[SUMS];
    for (size_t k = 0; k < SUMS; k++) {
        sum[k] = ivec_load(s->block + k * sizeof(ivec));
    }
    const uint8_t *x = in->x + pixel * in->x_step + s->channel;
    const uint8_t *w = s->block + ENDS;
    for (uint32_t j = 0; j < in->kernel_w; j++) {
        for (uint32_t row = 0; row < in->kernel_h; row += 4) {
            __m512i column[SUMS];
            interleave(column, s, x, row);
            for (size_t k = 0; k < SUMS; k++) {
                sum[k] = ivec_dot(sum[k], column[k], w + k * sizeof(ivec));
            }
            w += (size_t)BLOCK * 4;
        }
        x += in->column_step;
    }
    store_block(s, pixel, sum);
}

TILE void depthwise_strip(const strip *s, uint32_t kernel, uint32_t stride,
                          uint32_t groups)
{
    // A tile of large windows would outgrow what the compiler unrolls well.
    const uint32_t pixels = s->task->in.pixels;
    uint32_t p = 0;
    for (; kernel <= 3 && p + 4 <= pixels; p += 4) {
        depthwise_tile(s, p, 4, kernel, stride, groups);
    }
    for (; p + 2 <= pixels; p += 2) {
        depthwise_tile(s, p, 2, kernel, stride, groups);
    }
    if (p < pixels) depthwise_pixel(s, p);
}

TARGET static void strip_3x3(const strip *s)
{
    depthwise_strip(s, 3, 1, 1);
}

TARGET static void strip_3x3_stride_2(const strip *s)
{
    depthwise_strip(s, 3, 2, 1);
}

TARGET static void strip_5x5(const strip *s)
{
    depthwise_strip(s, 5, 1, 2);
}

TARGET static void strip_any(const strip *s)
{
    for (uint32_t p = 0; p < s->task->in.pixels; p++) {
        depthwise_pixel(s, p);
    }
}

TARGET static void depthwise(const fl_qdepthwise *d)
{
    const fl_qwindows *in = &d->in;
    const bool is_dense = in->x_step == in->column_step;
    const bool is_3x3 = in->kernel_h == 3 && in->kernel_w == 3;
    const bool is_5x5 = in->kernel_h == 5 && in->kernel_w == 5;
    void (*run)(const strip *) = strip_any;
    if (is_3x3 && is_dense) run = strip_3x3;
    if (is_3x3 && in->x_step == 2 * in->column_step) run = strip_3x3_stride_2;
    if (is_5x5 && is_dense) run = strip_5x5;

    strip s = {.task = d, .block = d->packed};
    for (; s.channel < in->channels; s.channel += BLOCK) {
        s.mask = first_bytes(in->channels - s.channel);
        run(&s);
        s.block += block_bytes(in->kernel_h, in->kernel_w);
    }
}

const fl_qkernels fl_qkernels_avx512vnni = QKERNELS("avx512vnni");

#endif
