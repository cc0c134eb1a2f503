/*
 * Normalisation: sums over the rows of an array, one a column, and what is
 * made of the array with them. Part of tile.h, which includes this at its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_KERNELS_NORM_ROWS_H
#define FL_MODEL_KERNELS_NORM_ROWS_H

// Rows of a tile: few enough that sums in float are exact to seven digits,
// and that the columns beside them stay in the first-level cache.
enum { NORM_ROWS = 32, NORM_VECS = LANES == 16 ? 4 : 2 };

typedef enum { MOMENTS, APPLY, GRAD_SUMS, GRAD } norm_pass;

// A tile: `rows` rows from `row` on, `vecs` vectors from `column` on, of which
// the last has `last` real floats.
typedef struct {
    size_t row, rows;
    uint32_t column;
    size_t vecs, last;
} norm_tile;

TILE size_t norm_real(const norm_tile *t, size_t v)
{
    return v + 1 < t->vecs ? LANES : t->last;
}

TILE void norm_load(vec *to, const float *from, const norm_tile *t)
{
    UNROLL
    for (size_t v = 0; v < t->vecs; v++) {
        to[v] = load_some(from + t->column + v * LANES, norm_real(t, v));
    }
}

TILE void norm_add(float *to, const vec *sum, const norm_tile *t)
{
    UNROLL
    for (size_t v = 0; v < t->vecs; v++) {
        float *at = to + t->column + v * LANES;
        const size_t real = norm_real(t, v);
        store_some(at, vec_add(load_some(at, real), sum[v]), real);
    }
}

// dy where the activation passes it on.
TILE vec passed(const fl_norm_rows *n, vec dy, vec z)
{
    dy = vec_if_less(z, vec_set(n->high), dy, vec_zero());
    return vec_if_less(vec_set(n->low), z, dy, vec_zero());
}

// Sums of g and g * (x - mean), where g is x - mean itself or the gradient.
TILE void norm_sum_tile(const fl_norm_rows *n, norm_tile t, bool by_dy,
                        bool is_bounded)
{
    vec mean[NORM_VECS], scale[NORM_VECS], bias[NORM_VECS];
    vec sum[NORM_VECS], sum_by_x[NORM_VECS];
    norm_load(mean, n->mean, &t);
    if (is_bounded) {
        norm_load(scale, n->scale, &t);
        norm_load(bias, n->bias, &t);
    }
    UNROLL
    for (size_t v = 0; v < t.vecs; v++) {
        sum[v] = sum_by_x[v] = vec_zero();
    }
    for (size_t r = t.row; r < t.row + t.rows; r++) {
        UNROLL
        for (size_t v = 0; v < t.vecs; v++) {
            const size_t at = r * n->step + t.column + v * LANES;
            const size_t real = norm_real(&t, v);
            const vec x = vec_sub(load_some(n->x + at, real), mean[v]);
            vec g = x;
            if (by_dy) g = load_some(n->dy + at, real);
            if (is_bounded) g = passed(n, g, vec_fma(x, scale[v], bias[v]));
            sum[v] = vec_add(sum[v], g);
            sum_by_x[v] = vec_fma(g, x, sum_by_x[v]);
        }
    }
    norm_add(n->sum, sum, &t);
    norm_add(n->product, sum_by_x, &t);
}

TILE void norm_apply_tile(const fl_norm_rows *n, norm_tile t, bool is_bounded)
{
    vec mean[NORM_VECS], scale[NORM_VECS], bias[NORM_VECS];
    const vec low = vec_set(n->low), high = vec_set(n->high);
    norm_load(mean, n->mean, &t);
    norm_load(scale, n->scale, &t);
    norm_load(bias, n->bias, &t);
    for (size_t r = t.row; r < t.row + t.rows; r++) {
        UNROLL
        for (size_t v = 0; v < t.vecs; v++) {
            const size_t at = r * n->step + t.column + v * LANES;
            const size_t real = norm_real(&t, v);
            const vec x = vec_sub(load_some(n->x + at, real), mean[v]);
            vec y = vec_fma(x, scale[v], bias[v]);
            if (is_bounded) y = at_most(high, at_least(low, y));
            store_some(n->y + at, y, real);
        }
    }
}

TILE void norm_grad_tile(const fl_norm_rows *n, norm_tile t, bool is_bounded)
{
    vec mean[NORM_VECS], scale[NORM_VECS], bias[NORM_VECS];
    vec slope[NORM_VECS], offset[NORM_VECS];
    norm_load(mean, n->mean, &t);
    norm_load(scale, n->scale, &t);
    norm_load(bias, n->bias, &t);
    norm_load(slope, n->slope, &t);
    norm_load(offset, n->offset, &t);
    for (size_t r = t.row; r < t.row + t.rows; r++) {
        UNROLL
        for (size_t v = 0; v < t.vecs; v++) {
            const size_t at = r * n->step + t.column + v * LANES;
            const size_t real = norm_real(&t, v);
            const vec x = vec_sub(load_some(n->x + at, real), mean[v]);
            vec g = load_some(n->dy + at, real);
            if (is_bounded) g = passed(n, g, vec_fma(x, scale[v], bias[v]));
            g = vec_fma(scale[v], g, vec_fma(slope[v], x, offset[v]));
            if (n->add) g = vec_add(g, load_some(n->dx + at, real));
            store_some(n->dx + at, g, real);
        }
    }
}

TILE void norm_some(const fl_norm_rows *n, norm_pass pass, bool is_bounded,
                    norm_tile t)
{
    switch (pass) {
    case MOMENTS: norm_sum_tile(n, t, false, false); break;
    case APPLY: norm_apply_tile(n, t, is_bounded); break;
    case GRAD_SUMS: norm_sum_tile(n, t, true, is_bounded); break;
    case GRAD: norm_grad_tile(n, t, is_bounded); break;
    }
}

TILE void norm_all(const fl_norm_rows *rows, norm_pass pass, bool is_bounded)
{
    const fl_norm_rows n = *rows;  // no store can change this one
    const uint32_t wide = NORM_VECS * LANES;
    for (size_t row = 0; row < n.rows; row += NORM_ROWS) {
        const size_t left = n.rows - row;
        const size_t count = left < NORM_ROWS ? left : NORM_ROWS;
        uint32_t c = 0;
        for (; n.columns - c >= wide; c += wide) {
            norm_some(&n, pass, is_bounded,
                      (norm_tile){row, count, c, NORM_VECS, LANES});
        }
        for (; n.columns - c >= LANES; c += LANES) {
            norm_some(&n, pass, is_bounded,
                      (norm_tile){row, count, c, 1, LANES});
        }
        if (c == n.columns) continue;
        norm_some(&n, pass, is_bounded,
                  (norm_tile){row, count, c, 1, n.columns - c});
    }
}

TARGET static void norm_moments(const fl_norm_rows *n)
{
    norm_all(n, MOMENTS, false);
}

TARGET static void norm_apply(const fl_norm_rows *n)
{
    if (n->low > -INFINITY) {
        norm_all(n, APPLY, true);
    } else {
        norm_all(n, APPLY, false);
    }
}

TARGET static void norm_grad_sums(const fl_norm_rows *n)
{
    if (n->low > -INFINITY) {
        norm_all(n, GRAD_SUMS, true);
    } else {
        norm_all(n, GRAD_SUMS, false);
    }
}

TARGET static void norm_grad(const fl_norm_rows *n)
{
    if (n->low > -INFINITY) {
        norm_all(n, GRAD, true);
    } else {
        norm_all(n, GRAD, false);
    }
}

#endif
