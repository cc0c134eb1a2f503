/*
 * Floats in 16 bits: IEEE 754 binary16, with 11 bits of precision, from 6e-8
 * to 65504.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_HALF_H
#define FL_BASE_HALF_H

#include <stdint.h>

#define FL_HALF_MAX 65504.0F

/* The nearest half, of two the even one; beyond the largest: the largest. */
uint16_t fl_half_encode(float value);

/* Exact; infinity and NaN as they are. */
float fl_half_decode(uint16_t half);

#endif
