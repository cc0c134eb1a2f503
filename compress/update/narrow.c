/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/narrow.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { TOP_DROPPED = 16 };

uint16_t fl_narrow_encode_top(float value, uint16_t more)
{
    assert(value >= 0.0F && value <= 0x1p126F);
    uint32_t bits;
    const float size = fabsf(value);
    memcpy(&bits, &size, sizeof bits);
    return (uint16_t)((bits + more) >> TOP_DROPPED);
}

float fl_narrow_decode_top(uint16_t top)
{
    const uint32_t bits = (uint32_t)top << TOP_DROPPED;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
