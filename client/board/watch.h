/*
 * Looks at the sensors every now and then, and says whether the client may
 * work: the owner's rules, the sensors, the month's bytes and the machine that
 * judges them, together.
 *
 * Private to client/. One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_WATCH_H
#define FL_CLIENT_WATCH_H

#include "client/board/eligibility.h"
#include "client/board/rules.h"
#include "client/board/sensors.h"
#include "client/board/traffic.h"

typedef struct {
    fl_eligibility eligibility;
    fl_sensors sensors;
    fl_traffic traffic;
    int64_t every_ms, next_ms;
    uint32_t fault_count;  // that were logged
} fl_watch;

/* What the program knows of itself. */
typedef struct {
    int64_t now_ms;             // on a clock that never steps
    uint64_t bytes;             // sent and received since the start
    uint64_t samples;           // that could be trained on
    uint32_t own_tasks;         // threads that are at work
    int64_t trainer_rest_ms;    // the owner's trainer is left alone
    uint32_t trainer_failures;  // in a row, of it
} fl_watch_self;

/*
 * FL_ERR_RANGE: a rule makes no sense. FL_ERR_UNSUPPORTED: the folder's count
 * of bytes is of a newer version.
 */
FL_CHECK fl_err fl_watch_open(fl_watch *watch, const fl_rules *rules,
                              const char *folder, fl_reason *why);

/*
 * Other rules, which the next look, due at once, goes by. FL_ERR_RANGE: they
 * make no sense; all stays as it was.
 */
FL_CHECK fl_err fl_watch_follow(fl_watch *watch, const fl_rules *rules,
                                fl_reason *why);

/*
 * Keeps the count, `bytes` since the start. Accepts one that is all zeros.
 */
void fl_watch_close(fl_watch *watch, uint64_t bytes);

/*
 * Takes a look, if it is time. True: fl_watch_away has changed.
 */
bool fl_watch_look(fl_watch *watch, const fl_watch_self *self);

/* When it is time. */
int64_t fl_watch_deadline(const fl_watch *watch);

/* Why the client may not work; NONE: it may. */
fl_away fl_watch_away(const fl_watch *watch);

#endif
