/*
 * Kernels that look at each channel alone through windows: depthwise
 * convolution and its packed weights, the two pools. Part of qtile.h, which
 * includes this at its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_QWINDOWS_H
#define FL_MODEL_INT8_QWINDOWS_H

#include <string.h>

#include "base/bytes.h"

#ifndef OWN_DEPTHWISE

// Blocks of LANES channels: biases, factors, then pairs of taps of a row.
static size_t depthwise_bytes(const fl_qweights *w)
{
    size_t bytes;
    const size_t pairs =
        (size_t)w->segment_count * (((size_t)w->segment_len + 1) / 2);
    if (fl_size_mul(&bytes, pairs, sizeof(ivec))) return SIZE_MAX;
    bytes += panel_bytes(0, 0);
    if (fl_size_mul(&bytes, bytes, ((size_t)w->columns + LANES - 1) / LANES)) {
        return SIZE_MAX;
    }
    return bytes;
}

static void pack_pair(uint8_t *dst, const fl_qweights *w, size_t channel,
                      uint32_t s, uint32_t k)
{
    int16_t pairs[LANES * 2] = {0};
    for (size_t n = 0; n < LANES && channel + n < w->columns; n++) {
        const int8_t *from =
            w->weights +
            ((channel + n) * w->segment_count + s) * w->segment_len;
        pairs[2 * n] = from[k];
        if (k + 1 < w->segment_len) pairs[2 * n + 1] = from[k + 1];
    }
    memcpy(dst, pairs, sizeof pairs);
}

static void pack_depthwise(uint8_t *dst, const fl_qweights *w)
{
    for (size_t channel = 0; channel < w->columns; channel += LANES) {
        const size_t left = w->columns - channel;
        pack_ends(dst, w, channel, left < LANES ? left : LANES, LANES, 0);
        dst += panel_bytes(0, 0);
        for (uint32_t s = 0; s < w->segment_count; s++) {
            for (uint32_t k = 0; k < w->segment_len; k += 2) {
                pack_pair(dst, w, channel, s, k);
                dst += sizeof(ivec);
            }
        }
    }
}

TILE ivec depthwise_sum(const fl_qwindows *in, const uint8_t *block,
                        const uint8_t *x, size_t count)
{
    ivec sum = panel_bias(block, 0);
    const uint8_t *w = block + panel_bytes(0, 0);
    for (uint32_t i = 0; i < in->kernel_h; i++) {
        const uint8_t *tap = x + i * in->row_step;
        for (uint32_t k = 0; k < in->kernel_w; k += 2) {
            // Without a partner a tap is its own, with weight 0.
            const uint8_t *next =
                k + 1 < in->kernel_w ? tap + in->column_step : tap;
            sum = ivec_dot2(sum, load_bytes(tap, count),
                            load_bytes(next, count), ivec_load(w));
            tap += 2 * in->column_step;
            w += sizeof(ivec);
        }
    }
    return sum;
}

TARGET static void depthwise(const fl_qdepthwise *d)
{
    const fl_qwindows *in = &d->in;
    const size_t pairs = (size_t)in->kernel_h * ((in->kernel_w + 1) / 2);
    const uint8_t *block = d->packed;
    for (uint32_t channel = 0; channel < in->channels; channel += LANES) {
        const fvec factor = panel_factor(block, 0, 1);
        const size_t left = in->channels - channel;
        for (uint32_t p = 0; p < in->pixels; p++) {
            const uint8_t *x = in->x + p * in->x_step + channel;
            const ivec sum = left >= LANES ? depthwise_sum(in, block, x, LANES)
                                           : depthwise_sum(in, block, x, left);
            store_result(&d->out, p, channel, sum, factor, left);
        }
        block += panel_bytes(pairs, sizeof(ivec));
    }
}

#endif

TILE bvec load_block(const uint8_t *x, size_t count)
{
    return count >= BYTES ? bvec_load(x) : bvec_load_part(x, (unsigned)count);
}

TILE void maxpool_block(const fl_qpool *p, uint32_t pixel, uint32_t channel,
                        size_t count)
{
    const fl_qwindows *in = &p->in;
    const uint8_t *row = in->x + pixel * in->x_step + channel;
    uint8_t *y = p->y + pixel * p->y_step + channel;
    bvec best = load_block(row, count);
    for (uint32_t i = 0; i < in->kernel_h; i++) {
        for (uint32_t k = 0; k < in->kernel_w; k++) {
            const uint8_t *x = row + k * in->column_step;
            best = bvec_max(best, load_block(x, count));
        }
        row += in->row_step;
    }
    if (count >= BYTES) {
        bvec_store(y, best);
    } else {
        bvec_store_part(y, best, (unsigned)count);
    }
}

TARGET static void maxpool(const fl_qpool *p)
{
    for (uint32_t pixel = 0; pixel < p->in.pixels; pixel++) {
        uint32_t c = 0;
        for (; c + BYTES <= p->in.channels; c += BYTES) {
            maxpool_block(p, pixel, c, BYTES);
        }
        if (c < p->in.channels) {
            maxpool_block(p, pixel, c, p->in.channels - c);
        }
    }
}

TILE void average_block(const fl_qpool *p, uint32_t pixel, uint32_t channel,
                        size_t count)
{
    const fl_qwindows *in = &p->in;
    const uint8_t *row = in->x + pixel * in->x_step + channel;
    // Sums of at most 2^26 bytes stay below 2^31 once centred.
    ivec sum = ivec_set(0);
    const ivec zero = ivec_set(p->zero_point);
    for (uint32_t i = 0; i < in->kernel_h; i++) {
        for (uint32_t k = 0; k < in->kernel_w; k++) {
            const uint8_t *x = row + k * in->column_step;
            sum = ivec_add(sum, ivec_sub(load_bytes(x, count), zero));
        }
        row += in->row_step;
    }
    fvec v = fvec_mul(ivec_to_float(sum), fvec_set(p->share));
    v = clamp(v, (float)-p->zero_point, (float)(255 - p->zero_point));
    store_bytes(p->y + pixel * p->y_step + channel, v, p->zero_point, count);
}

TARGET static void average(const fl_qpool *p)
{
    for (uint32_t pixel = 0; pixel < p->in.pixels; pixel++) {
        uint32_t c = 0;
        for (; c + LANES <= p->in.channels; c += LANES) {
            average_block(p, pixel, c, LANES);
        }
        if (c < p->in.channels) {
            average_block(p, pixel, c, p->in.channels - c);
        }
    }
}

#endif
