/*
 * What a summable codec's update consists of, in numbers that follow from the
 * codec.
 *
 *   3 words     weight, correct, loss
 *   words       EXACT integers, exact.per_word a word
 *   words       integers of LARGE, then of SMALL, sketched.per_word a word
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_UPDATE_H
#define FL_COMPRESS_UPDATE_H

#include <stddef.h>
#include <stdint.h>

#include "compress/update/codec.h"

enum {
    FL_UPDATE_METRICS = 3,        // words
    FL_UPDATE_EXACT_MAX = 32767,  // of an EXACT integer
    FL_UPDATE_EXACT_BITS = 16,
    FL_UPDATE_SKETCHED_GROUPS = 2,  // LARGE and SMALL
};

/* What an object holds at most, and so an update. */
#define FL_UPDATE_BYTES_MAX ((size_t)320 * 1024 * 1024)

/* FL_ERR_RANGE: a value is NaN or infinite; *why names the coordinate. */
FL_CHECK fl_err fl_update_check_values(const float *update, size_t count,
                                       fl_reason *why);

/* Integers of one kind in words. */
typedef struct {
    size_t count;  // integers
    int64_t radix;
    unsigned per_word;
    size_t words;
} fl_update_section;

typedef struct {
    fl_update_section exact, sketched;
    size_t kept[FL_UPDATE_SKETCHED_GROUPS];  // of the sketched ones
} fl_update_form;

fl_update_form fl_update_form_of(const fl_codec *codec);

/* The share of a group's coordinates that is sent: 1 when DENSE. */
float fl_update_density(const fl_codec *codec, fl_group group);

#endif
