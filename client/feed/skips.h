/*
 * Files and lines of the data that were passed over: how many, the first few by
 * name, and each of them in the log, but once, not in every round.
 *
 *   begin --tell, tell, ...--> end
 *
 * Private to client/. One thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_SKIPS_H
#define FL_CLIENT_SKIPS_H

#include "data/data.h"

enum {
    FL_SKIPS_NAMED = 4,
    FL_SKIPS_TEXT_CAP = FL_SKIPS_NAMED * (FL_REASON_CAP + 2),
    FL_SKIPS_LOGGED = 16,          // new ones of one look; then their number
    FL_SKIPS_KNOWN_MAX = 1 << 16,  // more are counted, but not logged
};

typedef struct fl_skips {
    uint32_t count;
    fl_reason named[FL_SKIPS_NAMED];  // the first ones
    // Digests of what was told, in order after the end.
    uint64_t *known;
    uint32_t known_count, known_cap;
    const struct fl_skips *before;
    bool is_quiet;
    uint32_t new_count;
} fl_skips;

/* `before`: those of the look before, which are not logged again; or NULL. */
void fl_skips_begin(fl_skips *skips, const fl_skips *before);

/* Nothing is logged. */
void fl_skips_begin_quietly(fl_skips *skips);

/* For fl_data_skip: `self` is the fl_skips. */
void fl_skips_tell(void *self, const char *what);

/* From here on `before` may go. */
void fl_skips_end(fl_skips *skips);

/* Accepts one that is all zeros. */
void fl_skips_fini(fl_skips *skips);

/* The first ones, "a: why; b: why"; "" when there are none. */
void fl_skips_list(char text[FL_SKIPS_TEXT_CAP], const fl_skips *skips);

#endif
