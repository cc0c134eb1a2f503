/*
 * Numbers as files hold them, and the few types that stay in memory.
 *
 * Types of up to 16 bits and float are kept as they are; wider ones become
 * float while loading, which is what they would be read as anyway.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_DATA_NUMBER_H
#define FL_DATA_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef enum {
    FL_NUMBER_U8,
    FL_NUMBER_I8,
    FL_NUMBER_U16,
    FL_NUMBER_I16,
    FL_NUMBER_I32,
    FL_NUMBER_I64,
    FL_NUMBER_F32,
    FL_NUMBER_F64,
} fl_number_type;

/* Bytes of one number. */
size_t fl_number_len(fl_number_type type);

/* How numbers of this type are kept: U8, I8, U16, I16 or F32. */
fl_number_type fl_number_kept_as(fl_number_type type);

bool fl_number_is_integer(fl_number_type type);

/* The number at src, in the byte order given. */
double fl_number_get(const uint8_t *src, fl_number_type type, bool big_endian);

/*
 * Turns `count` numbers from a file into dst, an array of the type that
 * fl_number_kept_as names. FL_ERR_FORMAT: number *bad is not finite as float.
 */
FL_CHECK fl_err fl_number_decode(void *dst, size_t *bad, const uint8_t *src,
                                 size_t count, fl_number_type type,
                                 bool big_endian);

/*
 * x[0..count) = numbers first, first + 1, ... of an array kept in memory:
 * bytes as value / 255, others as they are.
 */
void fl_number_read(float *x, const void *kept, size_t first, size_t count,
                    fl_number_type type);

#endif
