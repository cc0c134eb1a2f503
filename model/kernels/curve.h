/*
 * Activations: value by value, alone or of a sum of two, and their gradients.
 * Part of tile.h, which includes this at its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_KERNELS_CURVE_H
#define FL_MODEL_KERNELS_CURVE_H

// NaN is not less than anything, so these leave it as it is.
TILE vec at_least(vec low, vec v)
{
    return vec_if_less(v, low, low, v);
}

TILE vec at_most(vec high, vec v)
{
    return vec_if_less(high, v, high, v);
}

// Adding and taking away 1.5 * 2^23 rounds to a whole number.
TILE vec to_whole(vec x)
{
    const vec whole = vec_set(0x1.8p23F);
    return vec_sub(vec_add(x, whole), whole);
}

/*
 * e^x - 1, exact near 0 too: with x = n ln 2 + r it is 2^n (e^r - 1) + 2^n - 1,
 * where |r| <= ln(2) / 2 and e^r - 1 is a polynomial (that of expf in Moshier's
 * Cephes library). Below -87 it is -1 and above 88 what it is at 88.
 */
TILE vec exp_minus_1(vec x)
{
    x = at_most(vec_set(88.0F), at_least(vec_set(-87.0F), x));
    const vec n = to_whole(vec_mul(x, vec_set(1.44269504F)));
    // ln 2 in two parts, of which the first times n is exact.
    vec r = vec_fma(n, vec_set(-0.693359375F), x);
    r = vec_fma(n, vec_set(2.12194440e-4F), r);

    vec p = vec_set(1.9875691500e-4F);
    p = vec_fma(p, r, vec_set(1.3981999507e-3F));
    p = vec_fma(p, r, vec_set(8.3334519073e-3F));
    p = vec_fma(p, r, vec_set(4.1665795894e-2F));
    p = vec_fma(p, r, vec_set(1.6666665459e-1F));
    p = vec_fma(p, r, vec_set(5.0000001201e-1F));
    p = vec_fma(vec_mul(r, r), p, r);
    const vec scale = vec_exp2(n);
    return vec_fma(scale, p, vec_sub(scale, vec_set(1.0F)));
}

TILE vec sigmoid(vec x)
{
    const vec power = exp_minus_1(vec_sub(vec_zero(), x));
    return vec_div(vec_set(1.0F), vec_add(power, vec_set(2.0F)));
}

// By the power of a negative number, which cannot overflow.
TILE vec hyperbolic_tangent(vec x)
{
    const vec minus_x = vec_sub(vec_zero(), x);
    const vec size = vec_if_less(x, vec_zero(), minus_x, x);
    const vec power = exp_minus_1(vec_mul(vec_set(-2.0F), size));
    const vec y = vec_div(power, vec_add(power, vec_set(2.0F)));
    return vec_if_less(x, vec_zero(), y, vec_sub(vec_zero(), y));
}

TILE vec ramp(vec x, float alpha, float beta, float low, float high)
{
    const vec v = vec_fma(vec_set(alpha), x, vec_set(beta));
    return at_most(vec_set(high), at_least(vec_set(low), v));
}

TILE vec to_level(const fl_curve *c, vec x)
{
    const vec scale = vec_set(c->alpha);
    const vec at = at_least(vec_set(c->low), vec_div(x, scale));
    return vec_mul(to_whole(at_most(vec_set(c->high), at)), scale);
}

// `kind` is c->kind, but known to the compiler.
TILE vec curve_at(const fl_curve *c, fl_curve_kind kind, vec x)
{
    switch (kind) {
    case FL_CURVE_LINE: break;
    case FL_CURVE_RAMP: return ramp(x, c->alpha, c->beta, c->low, c->high);
    case FL_CURVE_LEAK:
        return vec_if_less(x, vec_zero(), vec_mul(vec_set(c->alpha), x), x);
    case FL_CURVE_HARD_SWISH:
        return vec_mul(x, ramp(x, 1.0F / 6.0F, 0.5F, 0.0F, 1.0F));
    case FL_CURVE_SIGMOID: return sigmoid(x);
    case FL_CURVE_TANH: return hyperbolic_tangent(x);
    case FL_CURVE_LEVELS: return to_level(c, x);
    }
    return x;
}

// (2x + 3) / 6 between -3 and 3, as x * ramp has it.
TILE vec hard_swish_slope(vec x)
{
    const vec inside = vec_fma(x, vec_set(1.0F / 3.0F), vec_set(0.5F));
    const vec below = vec_if_less(vec_set(-3.0F), x, inside, vec_zero());
    return vec_if_less(x, vec_set(3.0F), below, vec_set(1.0F));
}

// dy * curve'(x), known by y = curve(x).
TILE vec grad_by_y(const fl_curve *c, fl_curve_kind kind, vec dy, vec y)
{
    const vec one = vec_set(1.0F);
    vec sloped = vec_mul(dy, vec_set(c->alpha));
    switch (kind) {
    case FL_CURVE_LINE:
    case FL_CURVE_HARD_SWISH:
    case FL_CURVE_LEVELS: break;
    case FL_CURVE_RAMP:
        sloped = vec_if_less(vec_set(c->low), y, sloped, vec_zero());
        return vec_if_less(y, vec_set(c->high), sloped, vec_zero());
    case FL_CURVE_LEAK: return vec_if_less(vec_zero(), y, dy, sloped);
    case FL_CURVE_SIGMOID: return vec_mul(dy, vec_mul(y, vec_sub(one, y)));
    case FL_CURVE_TANH: return vec_mul(dy, vec_sub(one, vec_mul(y, y)));
    }
    return dy;
}

// dy where x is no more than half a level outside.
TILE vec where_level_near(const fl_curve *c, vec dy, vec x)
{
    const vec at = vec_div(x, vec_set(c->alpha));
    dy = vec_if_less(vec_set(c->low - 0.5F), at, dy, vec_zero());
    return vec_if_less(at, vec_set(c->high + 0.5F), dy, vec_zero());
}

TILE vec grad_by_x(const fl_curve *c, fl_curve_kind kind, vec dy, vec x)
{
    if (kind == FL_CURVE_HARD_SWISH) return vec_mul(dy, hard_swish_slope(x));
    if (kind == FL_CURVE_LEVELS) return where_level_near(c, dy, x);
    return grad_by_y(c, kind, dy, curve_at(c, kind, x));
}

/* ---- loops ---- */

TILE void curve_vec(const fl_curve_sum *s, fl_curve_kind kind, size_t i,
                    size_t left)
{
    vec x = load_some(s->a + i, left);
    if (s->b) x = vec_add(x, load_some(s->b + i, left));
    store_some(s->y + i, curve_at(&s->curve, kind, x), left);
}

TILE void curve_all(const fl_curve_sum *sum, fl_curve_kind kind)
{
    const fl_curve_sum s = *sum;  // no store can change this one
    size_t i = 0;
    for (; s.count - i >= LANES; i += LANES) {
        curve_vec(&s, kind, i, LANES);
    }
    if (i < s.count) curve_vec(&s, kind, i, s.count - i);
}

TARGET static void curve(const fl_curve_sum *s)
{
    switch (s->curve.kind) {
    case FL_CURVE_LINE: curve_all(s, FL_CURVE_LINE); break;
    case FL_CURVE_RAMP: curve_all(s, FL_CURVE_RAMP); break;
    case FL_CURVE_LEAK: curve_all(s, FL_CURVE_LEAK); break;
    case FL_CURVE_HARD_SWISH: curve_all(s, FL_CURVE_HARD_SWISH); break;
    case FL_CURVE_SIGMOID: curve_all(s, FL_CURVE_SIGMOID); break;
    case FL_CURVE_TANH: curve_all(s, FL_CURVE_TANH); break;
    case FL_CURVE_LEVELS: curve_all(s, FL_CURVE_LEVELS); break;
    }
}

TILE void curve_grad_vec(const fl_curve_grad *g, fl_curve_kind kind, size_t i,
                         size_t left)
{
    vec d = load_some(g->dy + i, left);
    if (g->y) {
        d = grad_by_y(&g->curve, kind, d, load_some(g->y + i, left));
    } else if (g->x) {
        d = grad_by_x(&g->curve, kind, d, load_some(g->x + i, left));
    }
    UNROLL
    for (size_t k = 0; k < 2; k++) {
        if (!g->dx[k]) continue;
        float *dx = g->dx[k] + i;
        const vec sum = g->is_fresh[k] ? d : vec_add(load_some(dx, left), d);
        store_some(dx, sum, left);
    }
}

TILE void curve_grad_all(const fl_curve_grad *grad, fl_curve_kind kind)
{
    const fl_curve_grad g = *grad;
    size_t i = 0;
    for (; g.count - i >= LANES; i += LANES) {
        curve_grad_vec(&g, kind, i, LANES);
    }
    if (i < g.count) curve_grad_vec(&g, kind, i, g.count - i);
}

TARGET static void curve_grad(const fl_curve_grad *g)
{
    switch (g->curve.kind) {
    case FL_CURVE_LINE: curve_grad_all(g, FL_CURVE_LINE); break;
    case FL_CURVE_RAMP: curve_grad_all(g, FL_CURVE_RAMP); break;
    case FL_CURVE_LEAK: curve_grad_all(g, FL_CURVE_LEAK); break;
    case FL_CURVE_HARD_SWISH: curve_grad_all(g, FL_CURVE_HARD_SWISH); break;
    case FL_CURVE_SIGMOID: curve_grad_all(g, FL_CURVE_SIGMOID); break;
    case FL_CURVE_TANH: curve_grad_all(g, FL_CURVE_TANH); break;
    case FL_CURVE_LEVELS: curve_grad_all(g, FL_CURVE_LEVELS); break;
    }
}

#endif
