/*
 * After some failures in a row a trainer is left alone for a while, longer each
 * time, until it works again.
 *
 * Private to client/. Pure functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_TRAINER_RETREAT_H
#define FL_CLIENT_TRAINER_RETREAT_H

#include <stdbool.h>
#include <stdint.h>

enum {
    FL_RETREAT_FAILURES = 3,  // in a row, before the first rest
    FL_RETREAT_MS = 60 * 1000,
    FL_RETREAT_MAX_MS = 60 * 60 * 1000,  // each rest is twice the one before
};

/* All zeros: nothing has happened yet. */
typedef struct {
    uint32_t failure_count;  // in a row
    int64_t until_ms;        // it rests; 0: it does not
} fl_retreat;

/* A training has ended. */
void fl_retreat_note(fl_retreat *retreat, bool has_failed, int64_t now_ms);

/* How long it still rests; 0: not at all. */
int64_t fl_retreat_left_ms(const fl_retreat *retreat, int64_t now_ms);

#endif
