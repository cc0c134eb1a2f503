/*
 * Did you mean ...? The known name nearest to one that nobody knows.
 *
 *   fl_spelling near = {.wanted = "local-epoch"};
 *   for (each known name) fl_spelling_consider(&near, name);
 *   if (near.name) ...
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_SPELLING_H
#define FL_BASE_SPELLING_H

#include <stddef.h>

#define FL_SPELLING_CAP 64  // of a name; a longer one is near to nothing

typedef struct {
    const char *wanted;
    const char *name;  // the nearest so far, borrowed; NULL: none is near
    size_t distance;   // letters to insert, drop or change
} fl_spelling;

/* Of two names equally near, the first considered stays. */
void fl_spelling_consider(fl_spelling *spelling, const char *name);

#endif
