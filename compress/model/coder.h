/*
 * Bits that are likely cost less: an adaptive binary range coder (Martin 1979)
 * and what can be said with it about whole numbers.
 *
 * Each bit is coded with a chance that learns from the bits coded with it: the
 * first moves it by 2/3 of the way, the next by 2/5, then 2/7, so that it is
 * quick at first and calm later. Integers alone, the same on every CPU.
 *
 * One coder goes in either direction, so that a model of what is coded is
 * written once: functions take the value and return it. A coder that decodes
 * ignores what it is given and returns what it finds.
 *
 * Safe on any bytes: a coder that has failed returns zeros and touches nothing.
 * docs/format.md, "Coder", has the arithmetic.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_CODER_H
#define FL_COMPRESS_CODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct {
    uint8_t *dst;        // NULL: it decodes
    const uint8_t *src;  // what is left of it
    size_t len, cap;     // of dst; `cap` of src: what is left
    uint32_t low;        // of the interval; decoding: the code's place in it
    uint32_t range;      // its length, at least 2^24 between two bits
    bool has_failed;
} fl_coder;

fl_coder fl_coder_encode(uint8_t *dst, size_t dst_cap);
fl_coder fl_coder_decode(const uint8_t *src, size_t src_len);

/*
 * Ends it; encoding, coder->len is then the number of bytes. FL_ERR_SPACE: they
 * did not fit. FL_ERR_FORMAT: the source is cut off, has bytes left over, or
 * was not written by a coder that coded these values.
 */
FL_CHECK fl_err fl_coder_finish(fl_coder *coder);

/* How likely a 1 is, in 2^24ths, and how many bits have told. */
typedef struct {
    uint32_t one;
    uint32_t seen;
} fl_chance;

#define FL_CHANCE_ONE (UINT32_C(1) << 24)

void fl_chance_init(fl_chance *chances, size_t count);
void fl_chance_learn(fl_chance *chance, bool bit);

/* A bit that is 1 with a chance of one / 2^24, above 0 and below 1. */
bool fl_coder_code(fl_coder *coder, uint32_t one, bool bit);

/* The same with a chance, which learns from it. */
bool fl_coder_bit(fl_coder *coder, fl_chance *chance, bool bit);

/* Chances of whole numbers; those up to 30 each have their own. */
enum { FL_NUMBER_BITS = 24, FL_NUMBER_TREE = 16 };
typedef struct {
    fl_chance length[FL_NUMBER_BITS];
    fl_chance tree[FL_NUMBER_BITS][FL_NUMBER_TREE];
} fl_number;

void fl_number_init(fl_number *number);

/* `value` is below 2^24 - 1. */
uint32_t fl_coder_number(fl_coder *coder, fl_number *number, uint32_t value);

#endif
