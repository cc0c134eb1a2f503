/*
 * Floats in 16 bits with all their range: the upper half of a float ("top"),
 * 8 bits of precision; for scales, whose size nobody knows beforehand.
 * (base/half.h has those with more precision and less range.)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_NARROW_H
#define FL_COMPRESS_NARROW_H

#include <stdint.h>

/* Tops from here on are infinite, NaN or negative: no scale. */
enum { FL_NARROW_TOP_INFINITY = 0x7f80 };

/*
 * The top below a value from 0 to 2^126, or the one above it when what is cut
 * off and `more` are 2^16 together. With a random `more` the result is exact
 * on average.
 */
enum {
    FL_NARROW_BELOW = 0,
    FL_NARROW_NEAREST = 0x8000,
    FL_NARROW_ABOVE = 0xffff,
};
uint16_t fl_narrow_encode_top(float value, uint16_t more);

float fl_narrow_decode_top(uint16_t top);

#endif
