/*
 * How long a linear recurrence must be to produce a sequence of bits
 * (Berlekamp and Massey 1969): about half of the sequence's length when it is
 * random, and less when a linear generator is behind it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_LINEAR_H
#define FL_TESTS_SUPPORT_LINEAR_H

#include <stddef.h>
#include <stdint.h>

enum { FL_LINEAR_BITS_MAX = 1 << 16 };

/* bits[i] is 0 or 1. Needs count <= FL_LINEAR_BITS_MAX. */
size_t fl_linear_complexity(const uint8_t *bits, size_t count);

#endif
