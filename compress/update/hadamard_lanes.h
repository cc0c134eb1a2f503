/*
 * The transform for vectors of LANES floats; included once by each kernel,
 * which defines before:
 *
 *   TARGET                the instruction set, as an attribute
 *   LANES                 4 or 8; vec of floats, ivec of as many uint32_t
 *   LANE_BITS             (ivec){1, 2, 4, ..}
 *   ODD_1, ODD_2, ODD_4   the sign bit in lanes whose number has this bit
 *   vec_swap_1, _2, _4    each lane from that whose number differs in this bit
 *                         (_4 for eight lanes only)
 *
 * Two stages at a time go through the registers, so that a block is read and
 * written half as often. That changes no result: what is added to what is laid
 * down by the stages alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <string.h>

static const uint32_t SIGN_BIT = UINT32_C(1) << 31;

TARGET static inline vec load(const float *src)
{
    vec v;
    memcpy(&v, src, sizeof v);
    return v;
}

TARGET static inline void store(float *dst, vec v)
{
    memcpy(dst, &v, sizeof v);
}

/* ---- signs ---- */

TARGET static inline vec flip_lanes(vec v, uint32_t bits)
{
    const ivec is_set = (ivec)(((bits & LANE_BITS) != 0));
    return (vec)((ivec)v ^ (is_set & SIGN_BIT));
}

static void flip_one(float *value, uint32_t word, size_t bit)
{
    if (word >> bit & 1) *value = -*value;
}

TARGET static void flip(float *block, size_t size, const uint32_t *signs)
{
    size_t i = 0;
    for (; i + LANES <= size; i += LANES) {
        store(block + i, flip_lanes(load(block + i), signs[i / 32] >> i % 32));
    }
    for (; i < size; i++) {
        flip_one(block + i, signs[i / 32], i % 32);
    }
}

/* ---- stages ---- */

// a + b where the lane's number has no such bit, else b - a: its partner's
// value comes first.
TARGET static inline vec cross(vec v, vec partner, ivec odd)
{
    return partner + (vec)((ivec)v ^ odd);
}

// The stages within a vector.
TARGET static inline vec cross_lanes(vec v)
{
    v = cross(v, vec_swap_1(v), ODD_1);
    v = cross(v, vec_swap_2(v), ODD_2);
#if LANES > 4
    v = cross(v, vec_swap_4(v), ODD_4);
#endif
    return v;
}

TARGET static void first_stages(float *block, size_t size)
{
    for (size_t i = 0; i < size; i += LANES) {
        store(block + i, cross_lanes(load(block + i)));
    }
}

// Stage h.
TARGET static void one_stage(float *block, size_t size, size_t h)
{
    for (size_t base = 0; base < size; base += 2 * h) {
        for (float *x = block + base; x < block + base + h; x += LANES) {
            const vec a = load(x), b = load(x + h);
            store(x, a + b);
            store(x + h, a - b);
        }
    }
}

// Stages h and 2 h.
TARGET static void two_stages(float *block, size_t size, size_t h)
{
    for (size_t base = 0; base < size; base += 4 * h) {
        for (float *x = block + base; x < block + base + h; x += LANES) {
            const vec a = load(x), b = load(x + h);
            const vec c = load(x + 2 * h), d = load(x + 3 * h);
            const vec low = a + b, low_odd = a - b;
            const vec high = c + d, high_odd = c - d;
            store(x, low + high);
            store(x + h, low_odd + high_odd);
            store(x + 2 * h, low - high);
            store(x + 3 * h, low_odd - high_odd);
        }
    }
}

static void transform_small(float *block, size_t size)
{
    for (size_t h = 1; h < size; h *= 2) {
        for (size_t i = 0; i < size; i++) {
            if (i & h) continue;
            const float a = block[i], b = block[i + h];
            block[i] = a + b;
            block[i + h] = a - b;
        }
    }
}

TARGET static void transform(float *block, size_t size)
{
    const float scale = (float)(1.0 / sqrt((double)size));
    if (size < LANES) {
        transform_small(block, size);
    } else {
        first_stages(block, size);
        size_t h = LANES;
        for (; 2 * h < size; h *= 4) {
            two_stages(block, size, h);
        }
        if (h < size) one_stage(block, size, h);
    }
    for (size_t i = 0; i < size; i++) {
        block[i] *= scale;
    }
}
