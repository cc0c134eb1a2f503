/*
 * Quiet hours: when a board's owner wants nothing to be done, by the clock on
 * the wall.
 *
 *   22:00-07:00, Sat-Sun 09:00-12:30, Mon 00:00-24:00
 *
 * The days are those on which a span begins; without any, it is every day. A
 * span that ends before it begins ends on the next day. When clocks are put
 * forward or back, it still is what they show that counts.
 *
 * Pure but for the time zone, which is that of the process (TZ).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_QUIET_H
#define FL_CLIENT_QUIET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"

enum { FL_QUIET_SPANS_MAX = 16 };

typedef struct {
    uint8_t days;       // bit 0: those that begin on a Sunday, ...
    uint16_t from, to;  // minutes of the day; to: up to 24 * 60
} fl_quiet_span;

typedef struct {
    fl_quiet_span spans[FL_QUIET_SPANS_MAX];
    size_t count;
} fl_quiet;

/* NULL and "": none. FL_ERR_RANGE: *why says what is wrong with the text. */
FL_CHECK fl_err fl_quiet_parse(fl_quiet *quiet, const char *text,
                               fl_reason *why);

/* Whether it is quiet at that time, in seconds since 1970 (UTC). */
bool fl_quiet_contains(const fl_quiet *quiet, int64_t wall_s);

/* The next time at which that changes; INT64_MAX: it never does. */
int64_t fl_quiet_change(const fl_quiet *quiet, int64_t wall_s);

#endif
