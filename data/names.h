/*
 * A set of names, each with a number: classes, groups, columns, files.
 *
 * Numbers count up from 0 in the order of adding, until fl_names_sort gives
 * new ones. All texts lie in one block, found again through a hash table.
 * Not thread-safe while adding.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_DATA_NAMES_H
#define FL_DATA_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FL_NAMES_TEXT_MAX ((size_t)1 << 30)  // bytes of all names together

typedef struct {
    char *text;  // name after name, each ended by a zero byte
    size_t text_len, text_cap;
    uint32_t *starts;  // where in `text` each name begins
    uint32_t count;
    uint32_t *slots;  // hash table of number + 1; 0 is a free slot
    uint32_t slot_count;
    uint32_t count_max;
} fl_names;

/* Allocates nothing yet. Needs count_max <= 2^30. */
void fl_names_init(fl_names *names, uint32_t count_max);

void fl_names_fini(fl_names *names);

/*
 * The number of text[0..len), which gets the next one when it is new.
 * FL_ERR_LIMIT: it would be one name too many, or the texts too long.
 * FL_ERR_FORMAT: it has a zero byte in it. FL_ERR_MEMORY. Nothing is added
 * then.
 */
FL_CHECK fl_err fl_names_add(fl_names *names, uint32_t *number,
                             const char *text, size_t len);

/* Borrowed until the next add or sort; NULL when there is no such number. */
const char *fl_names_get(const fl_names *names, uint32_t number);

/*
 * Renumbers in byte order. ranks[old number] becomes the new number; NULL
 * when nobody asks. FL_ERR_MEMORY: nothing changed.
 */
FL_CHECK fl_err fl_names_sort(fl_names *names, uint32_t *ranks);

/* Bytes of memory taken. */
size_t fl_names_bytes(const fl_names *names);

#endif
