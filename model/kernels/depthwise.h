/*
 * The kernels of convolutions that keep their channels apart: channels side
 * by side in vectors, the sums of several pixels, or of a whole kernel, in
 * registers. Part of tile.h, which includes it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_KERNELS_DEPTHWISE_H
#define FL_MODEL_KERNELS_DEPTHWISE_H

enum { PIXELS = 8 };  // of a tile

// A range of pixels, rows or taps: from <= i < to.
typedef struct {
    uint32_t from, to;
} span;

/* ---- a row ---- */

TILE void depthwise_store(const fl_depthwise_row *d, float *y, uint32_t c,
                          vec sum, size_t used)
{
    y += c;
    if (d->bias) sum = vec_add(sum, load_some(d->bias + c, used));
    if (d->add) sum = vec_add(sum, load_some(y, used));
    if (d->relu) sum = vec_relu(sum);
    store_some(y, sum, used);
}

// `pixels` pixels from p on, which share `taps`; `used` channels from c on.
TILE void depthwise_tile(const fl_depthwise_row *d, uint32_t p, span taps,
                         uint32_t c, size_t pixels, size_t used)
{
    const int64_t channels = d->channels, step = d->stride * channels;
    const int64_t at = d->first + p * d->stride + taps.from * d->dilation;
    const float *x_row = d->x + at * channels + c;
    const float *w_row = d->w + taps.from * d->w_step + c;
    vec sum[PIXELS];
    UNROLL
    for (size_t i = 0; i < pixels; i++) {
        sum[i] = vec_zero();
    }
    for (uint32_t j = 0; j < d->row_count; j++) {
        const float *x = x_row, *w = w_row;
        for (uint32_t k = taps.from; k < taps.to; k++) {
            const vec weight = load_some(w, used);
            UNROLL
            for (size_t i = 0; i < pixels; i++) {
                const vec value = load_some(x + (int64_t)i * step, used);
                sum[i] = vec_fma(value, weight, sum[i]);
            }
            x += d->dilation * channels;
            w += d->w_step;
        }
        x_row += d->x_row;
        w_row += d->w_row;
    }
    UNROLL
    for (size_t i = 0; i < pixels; i++) {
        depthwise_store(d, d->y + (p + i) * d->y_step, c, sum[i], used);
    }
}

TILE void depthwise_pixels(const fl_depthwise_row *d, uint32_t p, span taps,
                           size_t pixels)
{
    uint32_t c = 0;
    for (; d->channels - c >= LANES; c += LANES) {
        depthwise_tile(d, p, taps, c, pixels, LANES);
    }
    if (c < d->channels) {
        depthwise_tile(d, p, taps, c, pixels, d->channels - c);
    }
}

// The taps of pixel p that lie within the row: they follow each other.
static span depthwise_taps(const fl_depthwise_row *d, uint32_t p)
{
    span taps = {0, 0};
    int64_t at = d->first + p * d->stride;
    for (uint32_t k = 0; k < d->tap_count; k++) {
        if (at >= 0 && at < d->x_width) {
            if (taps.to == 0) taps.from = k;
            taps.to = k + 1;
        }
        at += d->dilation;
    }
    return taps;
}

// The pixels all of whose taps lie within the row.
static span depthwise_inside(const fl_depthwise_row *d)
{
    const int64_t reach = ((int64_t)d->tap_count - 1) * d->dilation;
    const int64_t low = d->first + (reach < 0 ? reach : 0);
    const int64_t high = d->first + (reach > 0 ? reach : 0);
    int64_t from = low < 0 ? (-low + d->stride - 1) / d->stride : 0;
    int64_t to = (int64_t)d->x_width - high;
    to = to > 0 ? (to + d->stride - 1) / d->stride : 0;
    if (to > d->y_width) to = d->y_width;
    if (d->tap_count == 0 || from >= to) from = to = 0;
    return (span){(uint32_t)from, (uint32_t)to};
}

TARGET static void depthwise(const fl_depthwise_row *d)
{
    const span inside = depthwise_inside(d), all = {0, d->tap_count};
    uint32_t p = 0;
    for (; p < inside.from; p++) {
        depthwise_pixels(d, p, depthwise_taps(d, p), 1);
    }
    for (; inside.to - p >= PIXELS && p < inside.to; p += PIXELS) {
        depthwise_pixels(d, p, all, PIXELS);
    }
    for (; inside.to - p >= 4 && p < inside.to; p += 4) {
        depthwise_pixels(d, p, all, 4);
    }
    for (; p < d->y_width; p++) {
        depthwise_pixels(d, p, depthwise_taps(d, p), 1);
    }
}

/* ---- the gradient of the weight ---- */

// The outputs that see tap k.
static span outputs_of(const fl_window_axis *a, uint32_t k)
{
    const int64_t shift = (int64_t)a->pad - (int64_t)k * a->dilation;
    const int64_t from = shift > 0 ? (shift + a->stride - 1) / a->stride : 0;
    int64_t to = a->x_count + shift;
    to = to > 0 ? (to + a->stride - 1) / a->stride : 0;
    if (to > a->y_count) to = a->y_count;
    if (from >= to) return (span){0, 0};
    return (span){(uint32_t)from, (uint32_t)to};
}

// The outputs that see all of `count` taps from k on.
static span outputs_of_all(const fl_window_axis *a, uint32_t k, uint32_t count)
{
    const span first = outputs_of(a, k), last = outputs_of(a, k + count - 1);
    const bool is_seen = first.from < first.to && first.from < last.to;
    return is_seen ? (span){first.from, last.to} : (span){0, 0};
}

static size_t pixel_of(const fl_window_axis *a, uint32_t output, uint32_t tap)
{
    return (size_t)output * a->stride + (size_t)tap * a->dilation - a->pad;
}

static const float *x_at(const fl_depthwise_outer *d, uint32_t y, uint32_t j,
                         uint32_t x, uint32_t k)
{
    const size_t row = pixel_of(&d->rows, y, j) * d->columns.x_count;
    return d->x + (row + pixel_of(&d->columns, x, k)) * d->channels;
}

static const float *dy_at(const fl_depthwise_outer *d, uint32_t y, uint32_t x)
{
    return d->dy + ((size_t)y * d->columns.y_count + x) * d->channels;
}

// Adds one tap's products over a rectangle of outputs.
TARGET static vec strip(const fl_depthwise_outer *d, vec sum, uint32_t j,
                        uint32_t k, span ys, span xs, uint32_t c, size_t used)
{
    const size_t x_step = (size_t)d->columns.stride * d->channels;
    if (xs.from >= xs.to) return sum;
    for (uint32_t y = ys.from; y < ys.to; y++) {
        const float *x = x_at(d, y, j, xs.from, k) + c;
        const float *dy = dy_at(d, y, xs.from) + c;
        for (uint32_t p = xs.from; p < xs.to; p++) {
            sum = vec_fma(load_some(x, used), load_some(dy, used), sum);
            x += x_step;
            dy += d->channels;
        }
    }
    return sum;
}

// What tap (j, k) sees beyond the rectangle of ys and xs: above and below it,
// then left and right of it.
TARGET static vec border(const fl_depthwise_outer *d, vec sum, uint32_t j,
                         uint32_t k, span ys, span xs, uint32_t c, size_t used)
{
    const span own_ys = outputs_of(&d->rows, j);
    const span own_xs = outputs_of(&d->columns, k);
    if (xs.from >= xs.to) ys.from = ys.to = 0;
    if (ys.from >= ys.to) {
        return strip(d, sum, j, k, own_ys, own_xs, c, used);
    }
    const span above = {own_ys.from, ys.from}, below = {ys.to, own_ys.to};
    const span left = {own_xs.from, xs.from}, right = {xs.to, own_xs.to};
    sum = strip(d, sum, j, k, above, own_xs, c, used);
    sum = strip(d, sum, j, k, below, own_xs, c, used);
    sum = strip(d, sum, j, k, ys, left, c, used);
    return strip(d, sum, j, k, ys, right, c, used);
}

// `rows` times `taps` taps from (j, k) on: the outputs that see all of them
// in one walk, then what each sees beyond.
TILE void depthwise_taps_tile(const fl_depthwise_outer *d, uint32_t j,
                              uint32_t k, size_t rows, size_t taps, uint32_t c,
                              size_t used)
{
    const span ys = outputs_of_all(&d->rows, j, (uint32_t)rows);
    const span xs = outputs_of_all(&d->columns, k, (uint32_t)taps);
    const size_t channels = d->channels;
    const size_t x_step = d->columns.stride * channels;
    const size_t x_tap = d->columns.dilation * channels;
    vec sum[OUTER_TILE];
    UNROLL
    for (size_t i = 0; i < rows * taps; i++) {
        sum[i] = vec_zero();
    }
    for (uint32_t y = ys.from; y < ys.to && xs.from < xs.to; y++) {
        const float *dy = dy_at(d, y, xs.from) + c;
        const float *x[OUTER_TILE];
        UNROLL
        for (size_t i = 0; i < rows; i++) {
            x[i] = x_at(d, y, j + (uint32_t)i, xs.from, k) + c;
        }
        for (uint32_t p = xs.from; p < xs.to; p++) {
            const vec grad = load_some(dy, used);
            UNROLL
            for (size_t i = 0; i < rows * taps; i++) {
                const float *at = x[i / taps] + i % taps * x_tap;
                sum[i] = vec_fma(load_some(at, used), grad, sum[i]);
            }
            UNROLL
            for (size_t i = 0; i < rows; i++) {
                x[i] += x_step;
            }
            dy += channels;
        }
    }
    float *grad = d->grad + (j * d->columns.kernel + k) * channels + c;
    UNROLL
    for (size_t i = 0; i < rows * taps; i++) {
        const uint32_t tap_j = j + (uint32_t)(i / taps);
        const uint32_t tap_k = k + (uint32_t)(i % taps);
        float *to = grad + (i / taps * d->columns.kernel + i % taps) * channels;
        sum[i] = border(d, sum[i], tap_j, tap_k, ys, xs, c, used);
        store_some(to, vec_add(load_some(to, used), sum[i]), used);
    }
}

TILE void depthwise_channels(const fl_depthwise_outer *d, uint32_t c,
                             size_t used)
{
    const uint32_t kernel_h = d->rows.kernel, kernel_w = d->columns.kernel;
    if (kernel_h == 3 && kernel_w == 3) {
        depthwise_taps_tile(d, 0, 0, 3, 3, c, used);
        return;
    }
    if (OUTER_TILE >= 25 && kernel_h == 5 && kernel_w == 5) {
        depthwise_taps_tile(d, 0, 0, OUTER_TILE >= 25 ? 5 : 1, 5, c, used);
        return;
    }
    for (uint32_t j = 0; j < kernel_h; j++) {
        uint32_t k = 0;
        for (; kernel_w - k >= 3; k += 3) {
            depthwise_taps_tile(d, j, k, 1, 3, c, used);
        }
        for (; k < kernel_w; k++) {
            depthwise_taps_tile(d, j, k, 1, 1, c, used);
        }
    }
}

TARGET static void depthwise_outer(const fl_depthwise_outer *d)
{
    uint32_t c = 0;
    for (; d->channels - c >= LANES; c += LANES) {
        depthwise_channels(d, c, LANES);
    }
    if (c < d->channels) depthwise_channels(d, c, d->channels - c);
}

#endif
