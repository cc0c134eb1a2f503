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
 * Packed weights: panels of VECS * LANES columns, the last one rounded up to
 * whole vectors. A panel: biases, factors, then for each quad of each
 * segment its vectors one after the other; what fills up a quad is 0.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_QTILE_H
#define FL_MODEL_INT8_QTILE_H

#include <string.h>

#include "base/bytes.h"

// Tiles are functions of constants: they exist once unrolled or not at all.
#define TILE TARGET static inline __attribute__((always_inline))
#if defined(__clang__)
#    define UNROLL _Pragma("clang loop unroll(full)")
#else
#    define UNROLL _Pragma("GCC unroll 16")
#endif

static inline size_t round_up(size_t count, size_t unit)
{
    return (count + unit - 1) / unit * unit;
}

/* ---- from sums to bytes ---- */

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

/* ---- packing ---- */

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

static inline size_t quads_of(const fl_qweights *w)
{
    return (size_t)w->segment_count * ((w->segment_len + 3) / 4);
}

// Bytes of a panel, or of a block of channels, for each of its LANES columns.
static inline size_t panel_bytes(size_t steps, size_t step_bytes)
{
    return steps * step_bytes + LANES * (sizeof(int32_t) + sizeof(float));
}

static size_t product_bytes(const fl_qweights *w)
{
    size_t bytes;
    if (fl_size_mul(&bytes, quads_of(w), QUAD_BYTES)) return SIZE_MAX;
    bytes += panel_bytes(0, 0);
    if (fl_size_mul(&bytes, bytes, ((size_t)w->columns + LANES - 1) / LANES)) {
        return SIZE_MAX;
    }
    return bytes;
}

// Weights of LANES columns from `column` on, bytes 4q to 4q + 3 of segment s.
static void pack_quad(uint8_t *dst, const fl_qweights *w, size_t column,
                      uint32_t s, uint32_t q)
{
    int8_t quad_weights[LANES * 4] = {0};
    for (size_t n = 0; n < LANES && column + n < w->columns; n++) {
        const int8_t *from =
            w->weights + ((column + n) * w->segment_count + s) * w->segment_len;
        for (uint32_t k = 0; k < 4 && 4 * q + k < w->segment_len; k++) {
            quad_weights[4 * n + k] = from[4 * q + k];
        }
    }
    weight_store(dst, quad_weights);
}

static void pack_product(uint8_t *dst, const fl_qweights *w)
{
    enum { PANEL = VECS * LANES };
    for (size_t column = 0; column < w->columns; column += PANEL) {
        const size_t left = w->columns - column;
        const size_t used = left < PANEL ? left : PANEL;
        const size_t width = round_up(used, LANES);
        pack_ends(dst, w, column, used, width, A_ZERO);
        dst += width * (sizeof(int32_t) + sizeof(float));
        for (uint32_t s = 0; s < w->segment_count; s++) {
            for (uint32_t q = 0; q < (w->segment_len + 3) / 4; q++) {
                for (size_t n = 0; n < width; n += LANES) {
                    pack_quad(dst, w, column + n, s, q);
                    dst += QUAD_BYTES;
                }
            }
        }
    }
}

/* ---- product ---- */

#ifndef OWN_STRETCH

enum { STRETCH = 1 };

typedef quad stretch;

TILE stretch stretch_load(const uint8_t *a)
{
    return quad_load(a);
}

TILE quad stretch_quad(stretch left, size_t i __attribute__((unused)))
{
    return left;
}

#endif

TILE ivec panel_bias(const uint8_t *panel, size_t v)
{
    return ivec_load(panel + v * LANES * sizeof(int32_t));
}

TILE fvec panel_factor(const uint8_t *panel, size_t v, size_t vecs)
{
    return fvec_load((const float *)(const void *)(panel + (vecs + v) * LANES *
                                                               sizeof(float)));
}

// Adds a quad of a row of A times what `vecs` vectors of columns have for it.
TILE void add_quad(ivec *sum, quad left, const uint8_t *w, size_t vecs)
{
    UNROLL
    for (size_t v = 0; v < vecs; v++) {
        sum[v] = ivec_dot(sum[v], left, w + v * QUAD_BYTES);
    }
}

TILE void product_tile(const fl_qproduct *p, const uint8_t *panel, uint32_t row,
                       uint32_t column, size_t rows, size_t vecs)
{
    ivec sum[ROWS][VECS];
    UNROLL
    for (size_t m = 0; m < rows; m++) {
        UNROLL
        for (size_t v = 0; v < vecs; v++) {
            sum[m][v] = panel_bias(panel, v);
        }
    }
    const size_t a_step = p->a_step;
    const uint32_t quads = (p->segment_len + 3) / 4;
    const uint8_t *w = panel + vecs * LANES * (sizeof(int32_t) + sizeof(float));
    for (uint32_t s = 0; s < p->segment_count; s++) {
        const uint8_t *a = p->a + row * a_step + p->segments[s];
        uint32_t q = 0;
        for (; q + STRETCH <= quads; q += STRETCH) {
            UNROLL
            for (size_t m = 0; m < rows; m++) {
                const stretch left = stretch_load(a + m * a_step);
                UNROLL
                for (size_t i = 0; i < STRETCH; i++) {
                    add_quad(sum[m], stretch_quad(left, i),
                             w + i * vecs * QUAD_BYTES, vecs);
                }
            }
            a += (size_t)4 * STRETCH;
            w += STRETCH * vecs * QUAD_BYTES;
        }
        for (; STRETCH > 1 && q < quads; q++) {
            UNROLL
            for (size_t m = 0; m < rows; m++) {
                add_quad(sum[m], quad_load(a + m * a_step), w, vecs);
            }
            a += 4;
            w += vecs * QUAD_BYTES;
        }
    }
    const fl_qresult out = p->out;  // for the compiler, y could point at *p
    const uint32_t columns = p->columns;
    UNROLL
    for (size_t v = 0; v < vecs; v++) {
        const fvec factor = panel_factor(panel, v, vecs);
        const size_t at = column + v * LANES;
        UNROLL
        for (size_t m = 0; m < rows; m++) {
            store_result(&out, row + m, at, sum[m][v], factor, columns - at);
        }
    }
}

// A single row has too few sums to keep the multipliers busy: four of each.
TILE void product_row(const fl_qproduct *p, const uint8_t *panel, uint32_t row,
                      uint32_t column, size_t vecs)
{
    enum { CHAINS = 4 };
    ivec sum[CHAINS][VECS];
    UNROLL
    for (size_t c = 0; c < CHAINS; c++) {
        UNROLL
        for (size_t v = 0; v < vecs; v++) {
            sum[c][v] = c == 0 ? panel_bias(panel, v) : ivec_set(0);
        }
    }
    const uint32_t quads = (p->segment_len + 3) / 4;
    const uint8_t *w = panel + vecs * LANES * (sizeof(int32_t) + sizeof(float));
    for (uint32_t s = 0; s < p->segment_count; s++) {
        const uint8_t *a = p->a + row * p->a_step + p->segments[s];
        uint32_t q = 0;
        for (; q + CHAINS <= quads; q += CHAINS) {
            UNROLL
            for (size_t c = 0; c < CHAINS; c++) {
                const size_t first = c / STRETCH * STRETCH;
                const stretch left = stretch_load(a + 4 * first);
                add_quad(sum[c], stretch_quad(left, c - first),
                         w + c * vecs * QUAD_BYTES, vecs);
            }
            a += 4 * (size_t)CHAINS;
            w += CHAINS * vecs * QUAD_BYTES;
        }
        for (; q < quads; q++) {
            add_quad(sum[0], quad_load(a), w, vecs);
            a += 4;
            w += vecs * QUAD_BYTES;
        }
    }
    UNROLL
    for (size_t v = 0; v < vecs; v++) {
        const size_t at = column + v * LANES;
        const ivec all = ivec_add(ivec_add(sum[0][v], sum[1][v]),
                                  ivec_add(sum[2][v], sum[3][v]));
        store_result(&p->out, row, at, all, panel_factor(panel, v, vecs),
                     p->columns - at);
    }
}

// A tile of `n` rows; one that is too high for the set is never asked for.
#define TILE_CASE(n)                                                      \
case (n):                                                                 \
    if ((n) <= ROWS)                                                      \
        product_tile(p, panel, row, column, (n) <= ROWS ? (n) : 1, vecs); \
    break;

// One panel against all rows, in tiles of about the same height.
TILE void product_panel(const fl_qproduct *p, const uint8_t *panel,
                        uint32_t column, size_t vecs)
{
    uint32_t row = 0;
    uint32_t tiles = (p->rows + ROWS - 1) / ROWS;
    for (; tiles > 0; tiles--) {
        const uint32_t rows = (p->rows - row + tiles - 1) / tiles;
        switch (rows) {
        case 1:
            product_row(p, panel, row, column, vecs);
            break;
            TILE_CASE(2)
            TILE_CASE(3)
            TILE_CASE(4)
            TILE_CASE(5)
            TILE_CASE(6)
            TILE_CASE(7)
            TILE_CASE(8)
            TILE_CASE(9)
            TILE_CASE(10)
            TILE_CASE(11)
            TILE_CASE(12)
            TILE_CASE(13)
            TILE_CASE(14)
        default: break;
        }
        row += rows;
    }
}

TARGET static void product(const fl_qproduct *p)
{
    const size_t quads = (size_t)p->segment_count * ((p->segment_len + 3) / 4);
    const uint8_t *panel = p->packed;
    for (uint32_t column = 0; column < p->columns; column += VECS * LANES) {
        const uint32_t left = p->columns - column;
        if (left > LANES) {
            product_panel(p, panel, column, 2);
            panel += 2 * panel_bytes(quads, QUAD_BYTES);
        } else {
            product_panel(p, panel, column, 1);
            panel += panel_bytes(quads, QUAD_BYTES);
        }
    }
}
_Static_assert(VECS == 2, "product has a case for each number of vectors");

#undef TILE_CASE

/* ---- windows ---- */

TILE ivec load_bytes(const uint8_t *x, size_t count)
{
    return count >= LANES ? ivec_load_bytes(x)
                          : ivec_load_bytes_part(x, (unsigned)count);
}

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

/* ---- element by element ---- */

TILE void add_block(const fl_qpair *p, size_t i, size_t count)
{
    const ivec a = ivec_sub(load_bytes(p->a + i, count), ivec_set(p->a_zero));
    const ivec b = ivec_sub(load_bytes(p->b + i, count), ivec_set(p->b_zero));
    const fvec v = fvec_add(fvec_mul(ivec_to_float(a), fvec_set(p->a_factor)),
                            fvec_mul(ivec_to_float(b), fvec_set(p->b_factor)));
    store_bytes(p->y + i, clamp(v, p->low, p->high), p->zero_point, count);
}

TARGET static void add(const fl_qpair *pair)
{
    const fl_qpair p = *pair;  // for the compiler, y could point at *pair
    size_t i = 0;
    for (; i + LANES <= p.count; i += LANES) {
        add_block(&p, i, LANES);
    }
    if (i < p.count) add_block(&p, i, p.count - i);
}

TILE void mul_block(const fl_qpair *p, size_t i, size_t count)
{
    const ivec a = ivec_sub(load_bytes(p->a + i, count), ivec_set(p->a_zero));
    const ivec b = ivec_sub(load_bytes(p->b + i, count), ivec_set(p->b_zero));
    const fvec v =
        fvec_mul(ivec_to_float(ivec_mul(a, b)), fvec_set(p->a_factor));
    store_bytes(p->y + i, clamp(v, p->low, p->high), p->zero_point, count);
}

TARGET static void mul(const fl_qpair *pair)
{
    const fl_qpair p = *pair;
    size_t i = 0;
    for (; i + LANES <= p.count; i += LANES) {
        mul_block(&p, i, LANES);
    }
    if (i < p.count) mul_block(&p, i, p.count - i);
}

#ifndef OWN_LOOKUP

TARGET static void lookup(uint8_t *y, const uint8_t *x,
                          const uint8_t table[256], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        y[i] = table[x[i]];
    }
}

#endif

TILE fvec load_floats(const float *x, size_t count)
{
    return count >= LANES ? fvec_load(x) : fvec_load_part(x, (unsigned)count);
}

TILE void quantize_block(const fl_qinput *in, size_t i, size_t count)
{
    fvec v = load_floats(in->x + i, count);
    for (uint32_t k = 0; k < in->change_count; k++) {
        const fl_qchange *change = &in->changes[k];
        const fvec operand = load_floats(change->operand + i, count);
        v = change->divides ? fvec_div(v, operand) : fvec_sub(v, operand);
    }
    v = fvec_div(v, fvec_set(in->scale));
    v = clamp(v, (float)-in->zero_point, (float)(255 - in->zero_point));
    store_bytes(in->y + i, v, in->zero_point, count);
}

TARGET static void quantize(const fl_qinput *in)
{
    size_t i = 0;
    for (; i + LANES <= in->count; i += LANES) {
        quantize_block(in, i, LANES);
    }
    if (i < in->count) quantize_block(in, i, in->count - i);
}

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
