/*
 * Where a vector is not zero: the gaps between its values, Rice-coded (Golomb
 * 1966; Rice 1979). A gap g, the zeros before a value, is g >> k ones, a zero,
 * and the k low bits of g. The best k grows with the mean gap.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_RICE_H
#define FL_COMPRESS_RICE_H

#include <stddef.h>
#include <stdint.h>

#include "compress/update/bits.h"

enum { FL_RICE_K_MAX = 30 };

/* The best k of the four about log2(0.69 mean gap), the smallest of several;
 * 0 when there is nothing but zeros. `len` is below 2^31. */
unsigned fl_rice_fit(const float *x, size_t len);

/* Most bits of `count` gaps in a vector of `len`, or of fewer gaps, with the k
 * that fits; also for parts of it, each with its own k. */
uint64_t fl_rice_bound(uint64_t count, uint64_t len);

void fl_rice_encode(fl_bits_writer *out, const float *x, size_t len,
                    unsigned k);

/*
 * The inverse for `count` values: x is 1 where they are and 0 elsewhere. Fails
 * as `in` does, and when one lies behind the end of x.
 */
void fl_rice_decode(float *x, size_t len, size_t count, fl_bits_reader *in,
                    unsigned k);

#endif
