/*
 * The kernels in plain C: four lanes, which gcc maps to SSE2 on x86-64.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <string.h>

#include "model/kernels/kernels.h"

#define TARGET

typedef float vec __attribute__((vector_size(16)));
typedef int32_t ivec __attribute__((vector_size(16)));
typedef uint32_t uvec __attribute__((vector_size(16)));

// Tiles for 16 registers.
enum { LANES = 4, ROWS = 6, OUTER_ROWS = 4, OUTER_VECS = 2, OUTER_TILE = 10 };

static inline vec vec_zero(void)
{
    return (vec){0.0F, 0.0F, 0.0F, 0.0F};
}

static inline vec vec_set(float x)
{
    return (vec){x, x, x, x};
}

static inline vec vec_load(const float *src)
{
    vec v;
    memcpy(&v, src, sizeof v);
    return v;
}

static inline vec vec_load_part(const float *src, unsigned count)
{
    vec v = vec_zero();
    for (unsigned i = 0; i < count; i++) {
        v[i] = src[i];
    }
    return v;
}

static inline void vec_store(float *dst, vec v)
{
    memcpy(dst, &v, sizeof v);
}

static inline void vec_store_part(float *dst, vec v, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        dst[i] = v[i];
    }
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return a * b + c;
}

static inline vec vec_mul(vec a, vec b)
{
    return a * b;
}

static inline vec vec_add(vec a, vec b)
{
    return a + b;
}

static inline vec vec_sub(vec a, vec b)
{
    return a - b;
}

static inline vec vec_div(vec a, vec b)
{
    return a / b;
}

static inline vec vec_sqrt(vec v)
{
    for (unsigned i = 0; i < LANES; i++) {
        v[i] = sqrtf(v[i]);
    }
    return v;
}

// Comparing vectors gives all ones or all zeros in each lane.
static inline ivec pick(ivec mask, ivec yes, ivec no)
{
    return (mask & yes) | (~mask & no);
}

// In each lane: a < b ? yes : no.
static inline vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    return (vec)pick(a < b, (ivec)yes, (ivec)no);
}

// 2^n of whole numbers n, -126 to 127. The sum's low bits are n + 127: the
// exponent, once they are shifted to its place.
static inline vec vec_exp2(vec n)
{
    return (vec)((uvec)(n + vec_set(0x1.8p23F + 127.0F)) << 23);
}

// NaN stays NaN, so that a broken model shows in the loss.
static inline vec vec_relu(vec v)
{
    for (unsigned i = 0; i < LANES; i++) {
        v[i] = v[i] < 0.0F ? 0.0F : v[i];
    }
    return v;
}

static inline vec vec_where_positive(vec v, vec y)
{
    for (unsigned i = 0; i < LANES; i++) {
        v[i] = y[i] > 0.0F ? v[i] : 0.0F;
    }
    return v;
}

static inline ivec ivec_set(int x)
{
    return (ivec){x, x, x, x};
}

// The larger of both, and in *from where it came from; NaN wins.
static inline vec vec_max_from(vec best, vec v, ivec *from, ivec k)
{
    const ivec best_is_number = best <= vec_set(INFINITY);
    const ivec wins = ~(v <= best) & best_is_number;
    *from = pick(wins, k, *from);
    return (vec)pick(wins, (ivec)v, (ivec)best);
}

static inline vec vec_where_equal(vec v, ivec a, ivec b)
{
    for (unsigned i = 0; i < LANES; i++) {
        v[i] = a[i] == b[i] ? v[i] : 0.0F;
    }
    return v;
}

static inline ivec ivec_load_bytes(const uint8_t *src)
{
    return (ivec){src[0], src[1], src[2], src[3]};
}

static inline void ivec_store_bytes(uint8_t *dst, ivec v)
{
    for (unsigned i = 0; i < LANES; i++) {
        dst[i] = (uint8_t)v[i];
    }
}

#include "model/kernels/tile.h"

const fl_kernels fl_kernels_portable = KERNELS("portable");
