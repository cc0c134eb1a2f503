/*
 * The kernels' one source. Included by a file that defines, for its
 * instruction set, TARGET, vec, the vec_ functions and
 *   LANES                    floats of a vec
 *   ROWS                     rows of A in a tile of `product`, two vecs wide
 *   OUTER_ROWS, OUTER_VECS   the tile of `outer`
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
#    define UNROLL _Pragma("GCC unroll 16")
#endif

// Where a tile's sums go; `used` columns of the tile are real.
TILE void store_row(const fl_product *p, float *c, uint32_t column, vec sum,
                    unsigned used)
{
    const bool is_whole = used >= LANES;
    c += column;
    if (p->bias) {
        const float *bias = p->bias + column;
        sum =
            vec_add(sum, is_whole ? vec_load(bias) : vec_load_part(bias, used));
    }
    if (p->add)
        sum = vec_add(sum, is_whole ? vec_load(c) : vec_load_part(c, used));
    if (p->relu) sum = vec_relu(sum);
    if (is_whole)
        vec_store(c, sum);
    else
        vec_store_part(c, sum, used);
}

TILE void product_tile(const fl_product *p, const float *b, uint32_t row,
                       uint32_t column, unsigned rows, unsigned vecs)
{
    vec sum[ROWS][2];
    UNROLL for (unsigned m = 0; m < rows; m++)
    {
        UNROLL for (unsigned v = 0; v < vecs; v++) sum[m][v] = vec_zero();
    }
    const size_t a_step = p->a_step;
    const float *segment = p->a + row * a_step;
    for (uint32_t s = 0; s < p->segment_count; s++) {
        const float *a = segment;
        for (uint32_t k = 0; k < p->segment_len; k++) {
            vec right[2];
            UNROLL for (unsigned v = 0; v < vecs; v++) right[v] =
                vec_load(b + v * LANES);
            UNROLL for (unsigned m = 0; m < rows; m++)
            {
                const vec left = vec_set(a[m * a_step]);
                UNROLL for (unsigned v = 0; v < vecs; v++) sum[m][v] =
                    vec_fma(left, right[v], sum[m][v]);
            }
            a++;
            b += vecs * LANES;
        }
        segment += p->segment_step;
    }
    for (unsigned v = 0; v < vecs; v++) {
        const uint32_t at = column + v * LANES;
        UNROLL for (unsigned m = 0; m < rows; m++) store_row(
            p, p->c + (row + m) * p->c_step, at, sum[m][v], p->columns - at);
    }
}

// One panel of B, `vecs` vectors wide, against all rows of A.
TILE void product_panel(const fl_product *p, const float *b, uint32_t column,
                        unsigned vecs)
{
    uint32_t row = 0;
    for (; p->rows - row >= ROWS; row += ROWS)
        product_tile(p, b, row, column, ROWS, vecs);
    for (; ROWS > 8 && p->rows - row >= 8; row += 8)
        product_tile(p, b, row, column, ROWS > 8 ? 8 : 1, vecs);
    for (; p->rows - row >= 4; row += 4)
        product_tile(p, b, row, column, 4, vecs);
    for (; p->rows - row >= 2; row += 2)
        product_tile(p, b, row, column, 2, vecs);
    for (; p->rows - row >= 1; row++)
        product_tile(p, b, row, column, 1, vecs);
}

TARGET static void product(const fl_product *p)
{
    const size_t depth = (size_t)p->segment_count * p->segment_len;
    for (uint32_t column = 0; column < p->columns; column += 2 * LANES) {
        const float *panel = p->b + column * depth;
        if (p->columns - column > LANES)
            product_panel(p, panel, column, 2);
        else
            product_panel(p, panel, column, 1);
    }
}

// `last`: floats of the tile's last vector that are real.
TILE void outer_tile(const fl_outer *o, uint32_t m_at, uint32_t n_at,
                     unsigned rows, unsigned vecs, unsigned last)
{
    const bool is_whole = last >= LANES;
    vec sum[OUTER_ROWS][OUTER_VECS];
    UNROLL for (unsigned m = 0; m < rows; m++)
    {
        UNROLL for (unsigned v = 0; v < vecs; v++) sum[m][v] = vec_zero();
    }
    for (uint32_t y = 0; y < o->row_count; y++) {
        const float *a = o->a + y * o->a_row + m_at;
        const float *b = o->b + y * o->b_row + n_at;
        for (uint32_t p = 0; p < o->step_count; p++) {
            vec right[OUTER_VECS];
            UNROLL for (unsigned v = 0; v < vecs; v++) right[v] =
                v + 1 < vecs || is_whole ? vec_load(b + v * LANES)
                                         : vec_load_part(b + v * LANES, last);
            UNROLL for (unsigned m = 0; m < rows; m++)
            {
                const vec left = vec_set(a[m]);
                UNROLL for (unsigned v = 0; v < vecs; v++) sum[m][v] =
                    vec_fma(left, right[v], sum[m][v]);
            }
            a += o->a_step;
            b += o->b_step;
        }
    }
    UNROLL for (unsigned m = 0; m < rows; m++)
    {
        float *g = o->g + (m_at + m) * o->g_step + n_at;
        UNROLL for (unsigned v = 0; v < vecs; v++)
        {
            float *to = g + v * LANES;
            if (v + 1 < vecs || is_whole)
                vec_store(to, vec_add(vec_load(to), sum[m][v]));
            else
                vec_store_part(to, vec_add(vec_load_part(to, last), sum[m][v]),
                               last);
        }
    }
}

TILE void outer_rows(const fl_outer *o, uint32_t n_at, unsigned vecs,
                     unsigned last)
{
    uint32_t m = 0;
    for (; o->m_count - m >= OUTER_ROWS; m += OUTER_ROWS)
        outer_tile(o, m, n_at, OUTER_ROWS, vecs, last);
    for (; o->m_count - m >= 2; m += 2)
        outer_tile(o, m, n_at, 2, vecs, last);
    for (; o->m_count - m >= 1; m++)
        outer_tile(o, m, n_at, 1, vecs, last);
}

TARGET static void outer(const fl_outer *o)
{
    uint32_t n = 0;
    for (; o->n_count - n >= OUTER_VECS * LANES; n += OUTER_VECS * LANES)
        outer_rows(o, n, OUTER_VECS, LANES);
    for (; o->n_count - n >= 2 * LANES; n += 2 * LANES)
        outer_rows(o, n, 2, LANES);
    for (; o->n_count - n >= LANES; n += LANES)
        outer_rows(o, n, 1, LANES);
    if (o->n_count > n) outer_rows(o, n, 1, o->n_count - n);
}

/* ---- element by element ------------------------------------------------- */

// `count` is LANES everywhere but at the end of an array.
TILE vec load_some(const float *src, size_t count)
{
    return count >= LANES ? vec_load(src) : vec_load_part(src, (unsigned)count);
}

TILE void store_some(float *dst, vec v, size_t count)
{
    if (count >= LANES)
        vec_store(dst, v);
    else
        vec_store_part(dst, v, (unsigned)count);
}

TILE float sum_lanes(vec v)
{
    float lanes[LANES], sum = 0.0F;
    vec_store(lanes, v);
    for (unsigned i = 0; i < LANES; i++)
        sum += lanes[i];
    return sum;
}

TARGET static bool update(const fl_update *u)
{
    const vec scale = vec_set(u->scale), decay = vec_set(u->weight_decay);
    const vec momentum = vec_set(u->momentum), step = vec_set(-u->lr);
    vec broken = vec_zero();  // 0 * x is NaN when x is not finite
    for (size_t i = 0; i < u->count; i += LANES) {
        const size_t left = u->count - i;
        vec p = load_some(u->params + i, left);
        vec v = load_some(u->velocity + i, left);
        v = vec_fma(momentum, v, vec_mul(scale, load_some(u->grads + i, left)));
        v = vec_fma(decay, p, v);
        p = vec_fma(step, v, p);
        broken = vec_fma(vec_zero(), p, broken);
        store_some(u->velocity + i, v, left);
        store_some(u->params + i, p, left);
    }
    return !isnan(sum_lanes(broken));
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

TARGET static void relu_mask(float *dy, const float *y, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        const size_t left = count - i;
        const vec v =
            vec_where_positive(load_some(dy + i, left), load_some(y + i, left));
        store_some(dy + i, v, left);
    }
}

TARGET static void bias_sum(float *sum, const float *dy, size_t rows,
                            uint32_t columns)
{
    for (uint32_t c = 0; c < columns; c += LANES) {
        const uint32_t left = columns - c;
        vec v = load_some(sum + c, left);
        for (size_t r = 0; r < rows; r++)
            v = vec_add(v, load_some(dy + r * columns + c, left));
        store_some(sum + c, v, left);
    }
}

/* ---- max pool ----------------------------------------------------------- */

TILE ivec load_some_bytes(const uint8_t *src, size_t count)
{
    if (count >= LANES) return ivec_load_bytes(src);
    uint8_t bytes[LANES] = {0};
    for (size_t i = 0; i < count; i++)
        bytes[i] = src[i];
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
    for (size_t i = 0; i < count; i++)
        dst[i] = bytes[i];
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
        for (uint32_t c = 0; c < r->channels; c += LANES)
            pool_vec(r, window + c, (size_t)x * r->channels + c,
                     r->channels - c);
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

#undef TILE
#undef UNROLL
#endif
