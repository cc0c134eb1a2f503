/*
 * Vectors of small integers, packed so that packed vectors can be added: each
 * 64-bit word holds as many fields as fit, in mixed radix.
 *
 *   word j = field[jm] + field[jm+1] r + ... + field[jm+m-1] r^(m-1)
 *   m      = the largest with r^m <= 2^64
 *
 * As long as no field of a sum reaches r, the fields of a sum of words are the
 * sums of the fields: no carry from one to the next, whatever the order.
 *
 * Pure functions, callable from any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_FIELDS_H
#define FL_COMPRESS_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* How fields lie in words. */
typedef struct {
    uint64_t radix;      // at least 2
    size_t field_count;  // at least 1
    unsigned per_word;   // fields in a word, 1 to 64
    size_t word_count;
} fl_fields;

/*
 * The layout for sums of at most `client_cap` vectors with fields up to
 * `field_max`. FL_ERR_RANGE: one of the numbers is 0, or radix is below
 * client_cap * field_max + 1, so that a sum could overflow.
 */
FL_CHECK fl_err fl_fields_init(fl_fields *fields, size_t field_count,
                               uint64_t radix, uint32_t client_cap,
                               uint32_t field_max);

/*
 * The largest field_max of at least 2^bits - 1 that takes no more room in a
 * word than 2^bits - 1 does, so that no room is wasted, but UINT32_MAX at most;
 * the radix is then client_cap * field_max + 1. Needs bits 1 to 24 and
 * client_cap 1 to 2^14.
 */
uint32_t fl_fields_max(unsigned bits, uint32_t client_cap);

/*
 * Packs fields.field_count values into fields.word_count words.
 * FL_ERR_RANGE: a value is above field_max; words is undefined then.
 */
FL_CHECK fl_err fl_fields_pack(uint64_t *words, const fl_fields *fields,
                               const uint32_t *values, uint32_t field_max);

/*
 * The sums, one a field. FL_ERR_FORMAT: a word is r^m or more: it is no sum of
 * packed words.
 */
FL_CHECK fl_err fl_fields_unpack(uint64_t *sums, const fl_fields *fields,
                                 const uint64_t *words);

#endif
