/*
 * The kernels' one source. Included by a file that defines, for its
 * instruction set, TARGET, vec, the vec_ functions and
 *   LANES                    floats of a vec
 *   ROWS                     rows of A in a tile of `product`, two vecs wide
 *   OUTER_ROWS, OUTER_VECS   a tile of `outer`, at most OUTER_TILE vecs
 * so that a tile's sums stay in registers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_KERNELS_TILE_H
#define FL_MODEL_KERNELS_TILE_H

#include <math.h>

// Tiles are functions of constants: they exist once unrolled or not at all.
#define TILE TARGET static inline __attribute__((always_inline))
#if defined(__clang__)
#    define UNROLL _Pragma("clang loop unroll(full)")
#else
#    define UNROLL _Pragma("GCC unroll 32")
#endif

// `count` is LANES everywhere but at the end of an array.
TILE vec load_some(const float *src, size_t count)
{
    return count >= LANES ? vec_load(src) : vec_load_part(src, (unsigned)count);
}

TILE void store_some(float *dst, vec v, size_t count)
{
    if (count >= LANES) {
        vec_store(dst, v);
    } else {
        vec_store_part(dst, v, (unsigned)count);
    }
}

// Where a tile's sums go; `used` columns of the tile are real.
TILE void store_row(const fl_product *p, float *c, size_t column, vec sum,
                    size_t used)
{
    c += column;
    if (p->bias) sum = vec_add(sum, load_some(p->bias + column, used));
    if (p->add) sum = vec_add(sum, load_some(c, used));
    if (p->relu) sum = vec_relu(sum);
    store_some(c, sum, used);
}

// One column of A times one row of B.
TILE void product_step(vec (*sum)[2], const float *a, size_t a_step,
                       const float *b, size_t rows, size_t vecs)
{
    vec right[2];
    UNROLL
    for (size_t v = 0; v < vecs; v++) {
        right[v] = vec_load(b + v * LANES);
    }
    UNROLL
    for (size_t m = 0; m < rows; m++) {
        const vec left = vec_set(a[m * a_step]);
        UNROLL
        for (size_t v = 0; v < vecs; v++) {
            sum[m][v] = vec_fma(left, right[v], sum[m][v]);
        }
    }
}

TILE void product_tile(const fl_product *p, const float *b, uint32_t row,
                       uint32_t column, size_t rows, size_t vecs)
{
    vec sum[ROWS][2];
    UNROLL
    for (size_t m = 0; m < rows; m++) {
        UNROLL
        for (size_t v = 0; v < vecs; v++) {
            sum[m][v] = vec_zero();
        }
    }
    const size_t a_step = p->a_step;
    const float *segment = p->a + row * a_step;
    for (uint32_t s = 0; s < p->segment_count; s++) {
        const float *piece = segment;
        for (uint32_t i = 0; i < p->piece_count; i++) {
            const float *a = piece;
            for (uint32_t k = 0; k < p->piece_len; k++) {
                product_step(sum, a, a_step, b, rows, vecs);
                a++;
                b += vecs * LANES;
            }
            piece += p->piece_step;
        }
        segment += p->segment_step;
    }
    UNROLL
    for (size_t v = 0; v < vecs; v++) {
        const size_t at = column + v * LANES;
        UNROLL
        for (size_t m = 0; m < rows; m++) {
            store_row(p, p->c + (row + m) * p->c_step, at, sum[m][v],
                      p->columns - at);
        }
    }
}

TILE void product_rows(const fl_product *p, const float *b, uint32_t row,
                       uint32_t column, uint32_t rows, size_t vecs)
{
#define ROWS_CASE(n) \
case n: product_tile(p, b, row, column, (n) <= ROWS ? (n) : 1, vecs); break
    switch (rows) {
        ROWS_CASE(1);
        ROWS_CASE(2);
        ROWS_CASE(3);
        ROWS_CASE(4);
        ROWS_CASE(5);
        ROWS_CASE(6);
        ROWS_CASE(7);
        ROWS_CASE(8);
        ROWS_CASE(9);
        ROWS_CASE(10);
        ROWS_CASE(11);
        ROWS_CASE(12);
        ROWS_CASE(13);
        ROWS_CASE(14);
    default: break;
    }
#undef ROWS_CASE
}

// Rows of A against one panel of B.
TILE void product_panel(const fl_product *p, const float *b, uint32_t row,
                        uint32_t column, uint32_t rows)
{
    if (p->columns - column > LANES) {
        product_rows(p, b, row, column, rows, 2);
    } else {
        product_rows(p, b, row, column, rows, 1);
    }
}

// Rows `from` on in tiles of about one size: small ones wait for their sums.
TILE uint32_t rows_of_tile(const fl_product *p, uint32_t from)
{
    const uint32_t tiles = (p->rows - from + ROWS - 1) / ROWS;
    return (p->rows - from + tiles - 1) / tiles;
}

// A small B stays in the first cache: A and C are then walked once.
TARGET static void product(const fl_product *p)
{
    enum { SMALL = 4096 };
    const size_t depth =
        (size_t)p->segment_count * p->piece_count * p->piece_len;
    const bool is_small = depth * p->columns <= SMALL;
    uint32_t row = 0, column = 0;
    while (row < p->rows && column < p->columns) {
        const uint32_t rows = rows_of_tile(p, row);
        product_panel(p, p->b + column * depth, row, column, rows);
        if (is_small) {
            column += 2 * LANES;
            if (column < p->columns) continue;
            column = 0;
            row += rows;
        } else {
            row += rows;
            if (row < p->rows) continue;
            row = 0;
            column += 2 * LANES;
        }
    }
}

/*
 * A tile of `segments` times `rows` rows of G, from row m_at of segment s_at;
 * `last`: floats of the tile's last vector that are real.
 */
TILE void outer_tile(const fl_outer *o, uint32_t s_at, uint32_t m_at,
                     uint32_t n_at, size_t segments, size_t rows, size_t vecs,
                     size_t last)
{
    const bool is_whole = last >= LANES;
    vec sum[OUTER_TILE];
    UNROLL
    for (size_t i = 0; i < segments * rows * vecs; i++) {
        sum[i] = vec_zero();
    }
    const float *a_row = o->a + s_at * o->segment_step + m_at;
    const float *b_row = o->b + n_at;
    for (uint32_t y = 0; y < o->row_count; y++) {
        const float *a = a_row, *b = b_row;
        for (uint32_t p = 0; p < o->step_count; p++) {
            vec right[OUTER_VECS];
            UNROLL
            for (size_t v = 0; v < vecs; v++) {
                right[v] = v + 1 < vecs || is_whole
                               ? vec_load(b + v * LANES)
                               : vec_load_part(b + v * LANES, (unsigned)last);
            }
            UNROLL
            for (size_t i = 0; i < segments * rows; i++) {
                const vec left =
                    vec_set(a[i / rows * o->segment_step + i % rows]);
                UNROLL
                for (size_t v = 0; v < vecs; v++) {
                    sum[i * vecs + v] =
                        vec_fma(left, right[v], sum[i * vecs + v]);
                }
            }
            a += o->a_step;
            b += o->b_step;
        }
        a_row += o->a_row;
        b_row += o->b_row;
    }
    UNROLL
    for (size_t i = 0; i < segments * rows; i++) {
        const size_t s = s_at + i / rows, m = m_at + i % rows;
        float *g = o->g + (s * o->m_count + m) * o->g_step + n_at;
        UNROLL
        for (size_t v = 0; v < vecs; v++) {
            const size_t real = v + 1 < vecs ? LANES : last;
            const vec old = load_some(g + v * LANES, real);
            store_some(g + v * LANES, vec_add(old, sum[i * vecs + v]), real);
        }
    }
}

// All rows of G, in tiles that lie within one segment.
TILE void outer_rows(const fl_outer *o, uint32_t n_at, size_t vecs, size_t last)
{
    for (uint32_t s = 0; s < o->segment_count; s++) {
        uint32_t m = 0;
        for (; o->m_count - m >= OUTER_ROWS; m += OUTER_ROWS) {
            outer_tile(o, s, m, n_at, 1, OUTER_ROWS, vecs, last);
        }
        for (; o->m_count - m >= 2; m += 2) {
            outer_tile(o, s, m, n_at, 1, 2, vecs, last);
        }
        for (; o->m_count - m >= 1; m++) {
            outer_tile(o, s, m, n_at, 1, 1, vecs, last);
        }
    }
}

// The same for segments of exactly `rows` rows, several in a tile.
TILE void outer_segments(const fl_outer *o, uint32_t n_at, size_t rows,
                         uint32_t segments, size_t last)
{
    uint32_t s = 0;
    for (; o->segment_count - s >= segments; s += segments) {
        outer_tile(o, s, 0, n_at, segments, rows, 1, last);
    }
    for (; s < o->segment_count; s++) {
        outer_tile(o, s, 0, n_at, 1, rows, 1, last);
    }
}

// One vector of columns. Short segments are those of a kernel row over one
// or three channels, where a tile of one segment would leave the multipliers
// waiting for their own results.
TILE void outer_column(const fl_outer *o, uint32_t n_at, size_t last)
{
    switch (o->segment_count > 1 ? o->m_count : 0) {
    case 3: outer_segments(o, n_at, 3, 3, last); break;
    case 5: outer_segments(o, n_at, 5, OUTER_TILE / 5, last); break;
    case 9: outer_segments(o, n_at, 9, OUTER_TILE / 9, last); break;
    default: outer_rows(o, n_at, 1, last); break;
    }
}

TARGET static void outer(const fl_outer *o)
{
    uint32_t n = 0;
    if (o->n_count - n >= 2 * LANES) {
        for (; o->n_count - n >= OUTER_VECS * LANES; n += OUTER_VECS * LANES) {
            outer_rows(o, n, OUTER_VECS, LANES);
        }
        for (; o->n_count - n >= 2 * LANES; n += 2 * LANES) {
            outer_rows(o, n, 2, LANES);
        }
    }
    for (; o->n_count - n >= LANES; n += LANES) {
        outer_column(o, n, LANES);
    }
    if (o->n_count > n) outer_column(o, n, o->n_count - n);
}

/* ---- element by element ---- */

TILE float sum_lanes(vec v)
{
    float lanes[LANES], sum = 0.0F;
    vec_store(lanes, v);
    for (size_t i = 0; i < LANES; i++) {
        sum += lanes[i];
    }
    return sum;
}

TARGET static double sum_squares(const float *x, size_t count)
{
    enum { CHUNK = 64 * LANES };  // short enough for sums in float
    double sum = 0.0;
    for (size_t from = 0; from < count; from += CHUNK) {
        const size_t to = count - from < CHUNK ? count : from + CHUNK;
        vec squares = vec_zero();
        for (size_t i = from; i < to; i += LANES) {
            const vec v = load_some(x + i, to - i);
            squares = vec_fma(v, v, squares);
        }
        sum += (double)sum_lanes(squares);
    }
    return sum;
}

/* ---- optimisers ---- */

// The gradient of the loss and what is added to it.
TILE vec whole_gradient(const fl_update *u, vec p, size_t i, size_t left)
{
    vec g = vec_mul(vec_set(u->scale), load_some(u->grads + i, left));
    if (u->anchor) {
        const vec drift = vec_sub(p, load_some(u->anchor + i, left));
        g = vec_fma(vec_set(u->prox_mu), drift, g);
    }
    if (u->control_global) {
        g = vec_add(g, load_some(u->control_global + i, left));
    }
    if (u->control_local) {
        g = vec_sub(g, load_some(u->control_local + i, left));
    }
    return vec_fma(vec_set(u->weight_decay), p, g);
}

// Whether all sums are finite whose elements were multiplied by 0 and added.
TILE bool all_finite(vec zeros)
{
    return !isnan(sum_lanes(zeros));
}

TARGET static bool update(const fl_update *u)
{
    const vec momentum = vec_set(u->momentum), step = vec_set(-u->lr);
    vec zeros = vec_zero();  // 0 * x is NaN when x is not finite
    for (size_t i = 0; i < u->count; i += LANES) {
        const size_t left = u->count - i;
        vec p = load_some(u->params + i, left);
        const vec g = whole_gradient(u, p, i, left);
        const vec v = vec_fma(momentum, load_some(u->first + i, left), g);
        p = vec_fma(step, u->nesterov ? vec_fma(momentum, v, g) : v, p);
        zeros = vec_fma(vec_zero(), p, zeros);
        store_some(u->first + i, v, left);
        store_some(u->params + i, p, left);
    }
    return all_finite(zeros);
}

TARGET static bool update_adam(const fl_update *u)
{
    const vec beta1 = vec_set(u->beta1), share1 = vec_set(u->share1);
    const vec beta2 = vec_set(u->beta2), share2 = vec_set(u->share2);
    const vec root = vec_set(u->root), epsilon = vec_set(u->epsilon);
    const vec keep = vec_set(u->keep), step = vec_set(-u->lr);
    vec zeros = vec_zero();  // as above
    for (size_t i = 0; i < u->count; i += LANES) {
        const size_t left = u->count - i;
        vec p = load_some(u->params + i, left);
        const vec g = whole_gradient(u, p, i, left);
        vec m = vec_mul(beta1, load_some(u->first + i, left));
        m = vec_fma(share1, g, m);
        vec v = vec_mul(beta2, load_some(u->second + i, left));
        v = vec_fma(vec_mul(share2, g), g, v);
        const vec size = vec_fma(root, vec_sqrt(v), epsilon);
        p = vec_fma(step, vec_div(m, size), vec_mul(keep, p));
        zeros = vec_fma(vec_zero(), p, zeros);
        store_some(u->first + i, m, left);
        store_some(u->second + i, v, left);
        store_some(u->params + i, p, left);
    }
    return all_finite(zeros);
}

/* ---- max pool ---- */

TILE ivec load_some_bytes(const uint8_t *src, size_t count)
{
    if (count >= LANES) return ivec_load_bytes(src);
    uint8_t bytes[LANES] = {0};
    for (size_t i = 0; i < count; i++) {
        bytes[i] = src[i];
    }
    return ivec_load_bytes(bytes);
}

TILE void store_some_bytes(uint8_t *dst, ivec v, size_t count)
{
    uint8_t bytes[LANES];
    if (count >= LANES) {
        ivec_store_bytes(dst, v);
        return;
    }
    ivec_store_bytes(bytes, v);
    for (size_t i = 0; i < count; i++) {
        dst[i] = bytes[i];
    }
}

TILE void pool_vec(const fl_pool_row *r, const float *window, size_t at,
                   uint32_t left)
{
    vec best = load_some(window, left);
    ivec from = ivec_set(0);
    int k = 0;
    for (uint32_t y = 0; y < r->kernel_h; y++) {
        for (uint32_t x = 0; x < r->kernel_w; x++) {
            const float *src = window + y * r->row_step;
            best = vec_max_from(best,
                                load_some(src + (size_t)x * r->channels, left),
                                &from, ivec_set(k++));
        }
    }
    store_some(r->y + at, best, left);
    if (r->from) store_some_bytes(r->from + at, from, left);
}

TARGET static void pool(const fl_pool_row *r)
{
    const size_t window_step = (size_t)r->kernel_w * r->channels;
    for (uint32_t x = 0; x < r->width; x++) {
        const float *window = r->rows + x * window_step;
        for (uint32_t c = 0; c < r->channels; c += LANES) {
            pool_vec(r, window + c, (size_t)x * r->channels + c,
                     r->channels - c);
        }
    }
}

TILE vec unpool_vec(const fl_pool_row *r, float *window, size_t at,
                    uint32_t left)
{
    const ivec from = load_some_bytes(r->from + at, left);
    vec dy = load_some(r->dy + at, left);
    if (r->y) dy = vec_where_positive(dy, load_some(r->y + at, left));
    int k = 0;
    for (uint32_t y = 0; y < r->kernel_h; y++) {
        for (uint32_t x = 0; x < r->kernel_w; x++) {
            float *dst = window + y * r->row_step + (size_t)x * r->channels;
            store_some(dst, vec_where_equal(dy, from, ivec_set(k++)), left);
        }
    }
    return dy;
}

TARGET static void unpool(const fl_pool_row *r)
{
    const size_t window_step = (size_t)r->kernel_w * r->channels;
    for (uint32_t c = 0; c < r->channels; c += LANES) {
        const uint32_t left = r->channels - c;
        vec sum = vec_zero();
        for (uint32_t x = 0; x < r->width; x++) {
            const size_t at = (size_t)x * r->channels + c;
            sum = vec_add(
                sum, unpool_vec(r, r->rows + x * window_step + c, at, left));
        }
        if (!r->bias_grad) continue;
        float *to = r->bias_grad + c;
        store_some(to, vec_add(load_some(to, left), sum), left);
    }
}

#include "model/kernels/curve.h"
#include "model/kernels/depthwise.h"
#include "model/kernels/norm_rows.h"
#include "model/kernels/rows.h"

/* Every kernel of a set: what such a file defines at its end. */
#define KERNELS(set_name)                                                 \
    {                                                                     \
        .name = (set_name), .panel = 2 * LANES, .lanes = LANES,           \
        .product = product, .outer = outer, .depthwise = depthwise,       \
        .depthwise_outer = depthwise_outer, .update = update,             \
        .update_adam = update_adam, .sum_squares = sum_squares,           \
        .curve = curve, .curve_grad = curve_grad, .move_rows = move_rows, \
        .bias_sum = bias_sum, .dot_rows = dot_rows, .pool = pool,         \
        .unpool = unpool, .norm_moments = norm_moments,                   \
        .norm_apply = norm_apply, .norm_grad_sums = norm_grad_sums,       \
        .norm_grad = norm_grad,                                           \
    }

#undef TILE
#undef UNROLL
#endif
