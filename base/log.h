/*
 * One event a line: `event=round_closed round=12 updates=48 took_ms=912`.
 *
 * Values with blanks, quotes or control characters are quoted and escaped, so
 * a line is always one line and always splits the same way. Where standard
 * error is the journal's (JOURNAL_STREAM names it) a line starts with `<N>` and
 * has no time; elsewhere with the UTC time and the level.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_LOG_H
#define FL_BASE_LOG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"

typedef enum {
    FL_LOG_ERROR,
    FL_LOG_WARN,
    FL_LOG_INFO,
    FL_LOG_DEBUG,
} fl_log_level;

/* Where lines go. `line` has no newline. May be called from any thread. */
typedef void fl_log_sink(void *self, fl_log_level level, const char *line);

/*
 * Lines less important than `level` are dropped. NULL sink: standard error,
 * one write(2) a line. Call before there are threads.
 */
void fl_log_start(fl_log_level level, fl_log_sink *sink, void *self);

/* From now on another level counts; with threads, too. */
void fl_log_set_level(fl_log_level level);

/*
 * What a line on standard error begins with, for those who print one of their
 * own: "<3>" where the journal reads it, else "".
 */
const char *fl_log_priority(fl_log_level level);

/* "error", "warn", "info", "debug". FL_ERR_RANGE: none of these. */
FL_CHECK fl_err fl_log_level_parse(fl_log_level *level, const char *text);

/*
 * fl_log(FL_LOG_INFO, "round_closed", "round=%u why=%s", round, text): every
 * blank-separated piece of `format` is key=value with one conversion (%s %d
 * %u %zu %lld %llu %g, widths and PRI macros); the value is quoted when it
 * needs it, and cut at 512 bytes ("..."). A line has at most 4,096 bytes; what
 * does not fit is left out, pair by pair, and " cut=true" put in its place.
 * NULL format: the event alone.
 */
void fl_log(fl_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The two halves of fl_log, for code that returns what it wants logged: the
 * pairs of `format`, as many as fit dst_cap (then " cut=true"); and a line made
 * of an event and such pairs, or NULL.
 */
void fl_log_format(char *dst, size_t dst_cap, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
void fl_log_line(fl_log_level level, const char *event, const char *pairs);

#endif
