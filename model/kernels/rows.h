/*
 * Rows of channels: copied, scaled, spread and summed. Part of tile.h, which
 * includes this at its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_KERNELS_ROWS_H
#define FL_MODEL_KERNELS_ROWS_H

TILE void move_vec(const fl_rows *m, float *dst, const float *src, size_t c,
                   size_t left)
{
    vec v = load_some(src + c, left);
    if (m->factor) v = vec_mul(v, load_some(m->factor + c, left));
    if (m->add) v = vec_add(v, load_some(dst + c, left));
    store_some(dst + c, v, left);
}

TARGET static void move_rows(const fl_rows *rows)
{
    const fl_rows m = *rows;  // no store can change this one
    for (size_t r = 0; r < m.rows; r++) {
        float *dst = m.dst + r * m.dst_step;
        const float *src = m.src + r * m.src_step;
        size_t c = 0;
        for (; m.columns - c >= LANES; c += LANES) {
            move_vec(&m, dst, src, c, LANES);
        }
        if (c < m.columns) move_vec(&m, dst, src, c, m.columns - c);
    }
}

/* ---- sums ---- */

// Adds a row of a, times that of b if there is one, `vecs` vectors wide.
TILE void add_row(vec *sums, const float *a, const float *b, size_t at,
                  size_t vecs, size_t left)
{
    UNROLL
    for (size_t i = 0; i < vecs; i++) {
        vec v = load_some(a + at + i * LANES, left);
        if (b) v = vec_mul(v, load_some(b + at + i * LANES, left));
        sums[i] = vec_add(sums[i], v);
    }
}

// Each column in four sums, of every fourth row: an addition alone would wait
// for the one before it. A column's sum has the same bits whatever is beside
// it, so that a network without some channels adds up the others as before.
TILE void sum_tile(float *sum, const float *a, const float *b, size_t rows,
                   size_t step, size_t vecs, size_t left)
{
    enum { CHAINS = 4, VECS_MAX = 2 };
    vec sums[CHAINS * VECS_MAX];
    UNROLL
    for (size_t i = 0; i < CHAINS * vecs; i++) {
        sums[i] = vec_zero();
    }
    size_t r = 0;
    for (; rows - r >= CHAINS; r += CHAINS) {
        UNROLL
        for (size_t i = 0; i < CHAINS; i++) {
            add_row(sums + i * vecs, a, b, (r + i) * step, vecs, left);
        }
    }
    for (; r < rows; r++) {
        add_row(sums, a, b, r * step, vecs, left);
    }
    UNROLL
    for (size_t i = vecs; i < CHAINS * vecs; i++) {
        sums[i % vecs] = vec_add(sums[i % vecs], sums[i]);
    }
    UNROLL
    for (size_t i = 0; i < vecs; i++) {
        float *to = sum + i * LANES;
        store_some(to, vec_add(load_some(to, left), sums[i]), left);
    }
}

TILE void sum_columns(float *sum, const float *a, const float *b, size_t rows,
                      size_t columns)
{
    const size_t wide = 2;
    size_t c = 0;
    for (; columns - c >= wide * LANES; c += wide * LANES) {
        sum_tile(sum + c, a + c, b ? b + c : NULL, rows, columns, wide, LANES);
    }
    if (columns - c >= LANES) {
        sum_tile(sum + c, a + c, b ? b + c : NULL, rows, columns, 1, LANES);
        c += LANES;
    }
    if (c < columns) {
        sum_tile(sum + c, a + c, b ? b + c : NULL, rows, columns, 1,
                 columns - c);
    }
}

TARGET static void bias_sum(float *sum, const float *dy, size_t rows,
                            uint32_t columns)
{
    sum_columns(sum, dy, NULL, rows, columns);
}

TARGET static void dot_rows(float *sum, const float *a, const float *b,
                            size_t rows, uint32_t columns)
{
    sum_columns(sum, a, b, rows, columns);
}

#endif
