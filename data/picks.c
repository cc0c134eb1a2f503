/* SPDX-License-Identifier: Apache-2.0 */
#include "data/picks.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"

enum { LEVELS = 64 };

fl_err fl_picks_init(fl_picks *picks, uint32_t record_count)
{
    *picks = (fl_picks){.record_count = record_count};
    picks->bits = calloc((size_t)record_count / 8 + 1, 1);
    return picks->bits ? FL_OK : FL_ERR_MEMORY;
}

void fl_picks_fini(fl_picks *picks)
{
    free(picks->bits);
    *picks = (fl_picks){.bits = NULL};
}

void fl_picks_add(fl_picks *picks, uint32_t record)
{
    if (fl_picks_has(picks, record)) return;
    picks->bits[record / 8] |= (uint8_t)(1u << record % 8);
    picks->picked_count++;
}

static uint64_t key_of(const fl_names *names, uint32_t record)
{
    const char *name = fl_names_get(names, record);
    return name ? fl_digest(0, name, strlen(name))
                : fl_digest(0, &record, sizeof record);
}

// How often a half of all keys has been left until this one is left out.
static unsigned level_of(uint64_t key)
{
    unsigned level = 0;
    while (level < LEVELS - 1 && !(key >> (LEVELS - 1 - level) & 1)) {
        level++;
    }
    return level;
}

void fl_picks_sample(fl_picks *picks, const fl_names *names, uint32_t cap)
{
    uint32_t counts[LEVELS] = {0};
    uint32_t left = picks->record_count;
    unsigned lowest = 0;
    for (uint32_t i = 0; i < picks->record_count; i++) {
        counts[level_of(key_of(names, i))]++;
    }
    while (left > cap && lowest < LEVELS - 1) {
        left -= counts[lowest++];
    }
    for (uint32_t i = 0; i < picks->record_count; i++) {
        if (level_of(key_of(names, i)) >= lowest) fl_picks_add(picks, i);
    }
}
