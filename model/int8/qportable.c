/*
 * The INT8 kernels in plain C: four lanes, which the compiler maps to what
 * every CPU of an architecture has.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "model/int8/qkernels.h"

#define TARGET

typedef int32_t ivec __attribute__((vector_size(16)));
typedef uint32_t uvec __attribute__((vector_size(16)));
typedef float fvec __attribute__((vector_size(16)));
typedef uint8_t bvec __attribute__((vector_size(16)));

typedef struct {
    int32_t byte[4];
} quad;

// Panels of VECS vectors, tiles of ROWS rows: sums for 16 registers.
enum {
    LANES = 4,
    BYTES = 16,
    ROWS = 4,
    VECS = 2,
    A_ZERO = 0,
    QUAD_BYTES = LANES * 8,  // widened to int16
};

static inline ivec ivec_set(int32_t x)
{
    return (ivec){x, x, x, x};
}

static inline ivec ivec_load(const uint8_t *src)
{
    ivec v;
    memcpy(&v, src, sizeof v);
    return v;
}

// Sums may wrap around on their way; that is defined for unsigned ones.
static inline ivec ivec_add(ivec a, ivec b)
{
    return (ivec)((uvec)a + (uvec)b);
}

static inline ivec ivec_sub(ivec a, ivec b)
{
    return (ivec)((uvec)a - (uvec)b);
}

static inline ivec ivec_mul(ivec a, ivec b)
{
    return (ivec)((uvec)a * (uvec)b);
}

static inline ivec ivec_load_bytes(const uint8_t *src)
{
    return (ivec){src[0], src[1], src[2], src[3]};
}

static inline ivec ivec_load_bytes_part(const uint8_t *src, unsigned count)
{
    ivec v = ivec_set(0);
    for (unsigned i = 0; i < count; i++) {
        v[i] = src[i];
    }
    return v;
}

static inline void ivec_store_bytes_part(uint8_t *dst, ivec v, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        dst[i] = (uint8_t)v[i];
    }
}

static inline void ivec_store_bytes(uint8_t *dst, ivec v)
{
    ivec_store_bytes_part(dst, v, LANES);
}

static inline fvec ivec_to_float(ivec v)
{
    return __builtin_convertvector(v, fvec);
}

static inline fvec fvec_set(float x)
{
    return (fvec){x, x, x, x};
}

static inline fvec fvec_load(const float *src)
{
    fvec v;
    memcpy(&v, src, sizeof v);
    return v;
}

static inline fvec fvec_load_part(const float *src, unsigned count)
{
    fvec v = fvec_set(0.0F);
    for (unsigned i = 0; i < count; i++) {
        v[i] = src[i];
    }
    return v;
}

static inline void fvec_store(float *dst, fvec v)
{
    memcpy(dst, &v, sizeof v);
}

static inline void fvec_store_part(float *dst, fvec v, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        dst[i] = v[i];
    }
}

static inline fvec fvec_add(fvec a, fvec b)
{
    return a + b;
}

static inline fvec fvec_sub(fvec a, fvec b)
{
    return a - b;
}

static inline fvec fvec_mul(fvec a, fvec b)
{
    return a * b;
}

static inline fvec fvec_div(fvec a, fvec b)
{
    return a / b;
}

// The bound where v is NaN.
static inline fvec fvec_max(fvec v, fvec bound)
{
    for (unsigned i = 0; i < LANES; i++) {
        v[i] = v[i] > bound[i] ? v[i] : bound[i];
    }
    return v;
}

static inline fvec fvec_min(fvec v, fvec bound)
{
    for (unsigned i = 0; i < LANES; i++) {
        v[i] = v[i] < bound[i] ? v[i] : bound[i];
    }
    return v;
}

// At 1.5 * 2^23 the last bit of a float is 1, and adding rounds half to even.
static inline ivec fvec_round(fvec v)
{
    const fvec unit = fvec_set(12582912.0F);
    return __builtin_convertvector((v + unit) - unit, ivec);
}

static inline bvec bvec_load(const uint8_t *src)
{
    bvec v;
    memcpy(&v, src, sizeof v);
    return v;
}

static inline void bvec_store(uint8_t *dst, bvec v)
{
    memcpy(dst, &v, sizeof v);
}

static inline bvec bvec_load_part(const uint8_t *src, unsigned count)
{
    uint8_t bytes[BYTES] = {0};
    memcpy(bytes, src, count);
    return bvec_load(bytes);
}

static inline void bvec_store_part(uint8_t *dst, bvec v, unsigned count)
{
    uint8_t bytes[BYTES];
    bvec_store(bytes, v);
    memcpy(dst, bytes, count);
}

static inline bvec bvec_max(bvec a, bvec b)
{
    const bvec a_wins = (bvec)(a > b);
    return (a & a_wins) | (b & ~a_wins);
}

static inline quad quad_load(const uint8_t *a)
{
    return (quad){{a[0], a[1], a[2], a[3]}};
}

// (4, LANES), widened: the loop below is over columns.
static inline void weight_store(uint8_t *dst, const int8_t *weights)
{
    int16_t wide[4][LANES];
    for (unsigned k = 0; k < 4; k++) {
        for (unsigned n = 0; n < LANES; n++) {
            wide[k][n] = weights[4 * n + k];
        }
    }
    memcpy(dst, wide, sizeof wide);
}

static inline ivec ivec_dot(ivec sum, quad a, const uint8_t *w)
{
    int16_t wide[4][LANES];
    memcpy(wide, w, sizeof wide);
    for (unsigned k = 0; k < 4; k++) {
        const ivec column = {wide[k][0], wide[k][1], wide[k][2], wide[k][3]};
        sum = ivec_add(sum, ivec_mul(ivec_set(a.byte[k]), column));
    }
    return sum;
}

static inline ivec ivec_dot2(ivec sum, ivec x0, ivec x1, ivec w)
{
    const ivec w0 = (ivec)((uvec)w << 16) >> 16;
    sum = ivec_add(sum, ivec_mul(x0, w0));
    return ivec_add(sum, ivec_mul(x1, w >> 16));
}

#include "model/int8/qtile.h"

const fl_qkernels fl_qkernels_portable = QKERNELS("portable");
