/*
 * Numbers in as few bytes as they need: varints, and fields of bits.
 *
 *   varint   7 bits a byte, the lowest first; bit 7: more follows
 *   bits     each value from its lowest bit on, into bytes from their lowest
 *            bit on; the last byte is filled up with zeros
 *
 * One value has one encoding. They work on the cursors of base/bytes.h and
 * fail as these do: once, and to be asked for at the end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_BITS_H
#define FL_COMPRESS_BITS_H

#include <stdint.h>

#include "base/bytes.h"

enum { FL_BITS_VARINT_MAX = 10 };  // bytes

void fl_bits_put_varint(fl_writer *out, uint64_t value);

/* Fails on one that is longer than it has to be, or than 64 bits. */
uint64_t fl_bits_get_varint(fl_reader *in);

typedef struct {
    fl_writer *out;
    uint64_t held;   // not written yet, the oldest lowest
    unsigned count;  // below 8 between two values
} fl_bits_writer;

fl_bits_writer fl_bits_writer_over(fl_writer *out);

/* `width` up to 32; value below 2^width. */
void fl_bits_put(fl_bits_writer *bits, uint32_t value, unsigned width);

/* Fills the last byte up; the writer behind may go on. */
void fl_bits_end(fl_bits_writer *bits);

typedef struct {
    fl_reader *in;
    uint64_t held;
    unsigned count;
} fl_bits_reader;

fl_bits_reader fl_bits_reader_over(fl_reader *in);
uint32_t fl_bits_get(fl_bits_reader *bits, unsigned width);

/* Fails when what fills the last byte is not zeros. */
void fl_bits_close(fl_bits_reader *bits);

#endif
