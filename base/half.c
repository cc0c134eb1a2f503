/* SPDX-License-Identifier: Apache-2.0 */
#include "base/half.h"

#include <math.h>
#include <string.h>

enum {
    FRACTION_DROPPED = 13,  // bits of a float's fraction that a half lacks
    HALF_MAX = 0x7bff,
    HALF_FRACTION = 0x03ff,
    HALF_SIGN = 0x8000,
};

static const uint32_t FLOAT_MAGNITUDE = 0x7fffffff;
static const uint32_t FLOAT_HALF_MAX = 0x477fe000;     // 65504
static const uint32_t FLOAT_HALF_NORMAL = 0x38800000;  // 2^-14
static const uint32_t REBIAS = (127U - 15U) << 23;

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint16_t fl_half_encode(float value)
{
    const uint32_t bits = bits_of(value);
    const uint32_t sign = bits >> 16 & HALF_SIGN;
    const uint32_t size = bits & FLOAT_MAGNITUDE;
    if (size >= FLOAT_HALF_MAX) return (uint16_t)(sign | HALF_MAX);
    if (size < FLOAT_HALF_NORMAL) {
        // The steps of floats from 1/2 on are those of the smallest halves:
        // 2^-24. Adding rounds.
        const uint32_t steps = bits_of(float_of(size) + 0.5F) - bits_of(0.5F);
        return (uint16_t)(sign | steps);
    }
    // To the nearest, of two the even one.
    const uint32_t below_half = (UINT32_C(1) << (FRACTION_DROPPED - 1)) - 1;
    const uint32_t odd = size >> FRACTION_DROPPED & 1;
    const uint32_t rounded = size - REBIAS + below_half + odd;
    return (uint16_t)(sign | rounded >> FRACTION_DROPPED);
}

float fl_half_decode(uint16_t half)
{
    const float sign = half & HALF_SIGN ? -1.0F : 1.0F;
    const uint32_t size = half & ~(uint32_t)HALF_SIGN;
    const uint32_t fraction = half & HALF_FRACTION;
    if (size > HALF_MAX) return sign * (fraction ? NAN : INFINITY);
    if (size <= HALF_FRACTION) return sign * (float)fraction * 0x1p-24F;
    return sign * float_of((size << FRACTION_DROPPED) + REBIAS);
}
