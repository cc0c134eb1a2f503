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
    for (; o->n_count - n >= LANES; n += LANES)
        outer_rows(o, n, 1, LANES);
    if (o->n_count > n) outer_rows(o, n, 1, o->n_count - n);
}

/* ---- element by element ------------------------------------------------- */

TARGET static bool update(const fl_update *u)
{
    float broken = 0.0F;  // 0 * x is NaN when x is not finite
    for (size_t i = 0; i < u->count; i++) {
        const float g = u->scale * u->grads[i] + u->weight_decay * u->params[i];
        const float v = u->momentum * u->velocity[i] + g;
        u->velocity[i] = v;
        u->params[i] -= u->lr * v;
        broken += 0.0F * u->params[i];
    }
    return !isnan(broken);
}

TARGET static double sum_squares(const float *x, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

TARGET static void relu_mask(float *dy, const float *y, size_t count)
{
    for (size_t i = 0; i < count; i++)
        dy[i] = y[i] > 0.0F ? dy[i] : 0.0F;
}

TARGET static void bias_sum(float *sum, const float *dy, size_t rows,
                            uint32_t columns)
{
    for (size_t r = 0; r < rows; r++) {
        for (uint32_t c = 0; c < columns; c++)
            sum[c] += dy[c];
        dy += columns;
    }
}

#undef TILE
#undef UNROLL
#endif
