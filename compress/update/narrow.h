/*
 * Floats in 16 bits.
 *
 *   half   IEEE 754 binary16: 11 bits of precision, 6e-8 to 65504
 *   top    the upper half of a float: 8 bits of precision, all its range; for
 *          scales, whose size nobody knows beforehand
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_NARROW_H
#define FL_COMPRESS_NARROW_H

#include <stdint.h>

/* The nearest half, of two the even one; beyond the largest: the largest. */
uint16_t fl_narrow_encode_half(float value);

/* Tops from here on are infinite, NaN or negative: no scale. */
enum { FL_NARROW_TOP_INFINITY = 0x7f80 };

/* Infinity and NaN as they are. */
float fl_narrow_decode_half(uint16_t half);

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
