/*
 * Which records of a source are wanted: a bit each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_DATA_PICKS_H
#define FL_DATA_PICKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "data/names.h"

typedef struct {
    uint8_t *bits;
    uint32_t record_count;
    uint32_t picked_count;
} fl_picks;

/* None is picked yet. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_picks_init(fl_picks *picks, uint32_t record_count);

/* Accepts one that is all zeros. */
void fl_picks_fini(fl_picks *picks);

void fl_picks_add(fl_picks *picks, uint32_t record);

/* Of a record behind the last one: false. */
static inline bool fl_picks_has(const fl_picks *picks, uint32_t record)
{
    return record < picks->record_count &&
           (picks->bits[record / 8] >> record % 8 & 1);
}

/*
 * Picks at most `cap` of the records, but more than half as many: those with a
 * key below a half, a quarter, ... of all keys, whichever is the first that
 * fits. A record's key is made of its name, or of its number where there are
 * no names. So, while records are added, one that has been left out never
 * comes in, and the order of adding does not matter.
 */
void fl_picks_sample(fl_picks *picks, const fl_names *names, uint32_t cap);

#endif
