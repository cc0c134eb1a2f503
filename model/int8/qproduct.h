/*
 * A matrix of bytes times packed weights, and how they are packed. Part of
 * qtile.h, which includes this at its end.
 *
 * Packed weights: panels of VECS * LANES columns, the last one rounded up to
 * whole vectors. A panel: biases, factors, then for each quad of each
 * segment its vectors one after the other; what fills up a quad is 0.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_QPRODUCT_H
#define FL_MODEL_INT8_QPRODUCT_H

#include <string.h>

#include "base/bytes.h"

/* ---- packing ---- */

static inline size_t round_up(size_t count, size_t unit)
{
    return (count + unit - 1) / unit * unit;
}

static inline size_t quads_of(const fl_qweights *w)
{
    return (size_t)w->segment_count * ((w->segment_len + 3) / 4);
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

#endif
