/*
 * Kernels that go element by element: sum and product of two, looking up, the
 * first quantisation. Part of qtile.h, which includes this at its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_QELEMENTS_H
#define FL_MODEL_INT8_QELEMENTS_H

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

#endif
