/* SPDX-License-Identifier: Apache-2.0 */
#include "client/board/quiet.h"

#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    DAY_MINUTES = 24 * 60,
    EVERY_DAY = 0x7f,
    AHEAD_DAYS = 9,  // a span of one day a week begins or ends by then
};

/* ---- text ---- */

static void skip_blanks(const char **at)
{
    *at += strspn(*at, " \t");
}

static bool read_day(const char **at, unsigned *day)
{
    static const char *const names[] = {"Sun", "Mon", "Tue", "Wed",
                                        "Thu", "Fri", "Sat"};
    for (unsigned i = 0; i < 7; i++) {
        if (strncasecmp(*at, names[i], 3) != 0) continue;
        *at += 3;
        *day = i;
        return true;
    }
    return false;
}

// "Mon" or "Fri-Mon"; without any day, all of them.
static bool read_days(const char **at, uint8_t *days)
{
    unsigned from, to;
    *days = EVERY_DAY;
    if (!read_day(at, &from)) return true;
    to = from;
    if (**at == '-') {
        ++*at;
        if (!read_day(at, &to)) return false;
    }
    *days = (uint8_t)(1u << to);
    for (unsigned day = from; day != to; day = (day + 1) % 7) {
        *days |= (uint8_t)(1u << day);
    }
    return **at == ' ' || **at == '\t';
}

static bool read_two_digits(const char **at, unsigned *number)
{
    const char *s = *at;
    if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9') return false;
    *number = (unsigned)(s[0] - '0') * 10 + (unsigned)(s[1] - '0');
    *at += 2;
    return true;
}

static bool read_time(const char **at, uint16_t *minute)
{
    unsigned hours, minutes;
    if (!read_two_digits(at, &hours) || *(*at)++ != ':' ||
        !read_two_digits(at, &minutes) || minutes > 59) {
        return false;
    }
    *minute = (uint16_t)(hours * 60 + minutes);
    return *minute <= DAY_MINUTES;
}

static bool read_span(const char **at, fl_quiet_span *span)
{
    skip_blanks(at);
    if (!read_days(at, &span->days)) return false;
    skip_blanks(at);
    if (!read_time(at, &span->from) || *(*at)++ != '-' ||
        !read_time(at, &span->to)) {
        return false;
    }
    skip_blanks(at);
    return span->from != span->to && span->from < DAY_MINUTES;
}

fl_err fl_quiet_parse(fl_quiet *quiet, const char *text, fl_reason *why)
{
    const char *at = text ? text : "";
    *quiet = (fl_quiet){.count = 0};
    skip_blanks(&at);
    while (*at) {
        if (quiet->count == FL_QUIET_SPANS_MAX) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "quiet hours: more than %d spans",
                                 FL_QUIET_SPANS_MAX);
        }
        const char *begin = at;
        if (!read_span(&at, &quiet->spans[quiet->count]) ||
            (*at && *at != ',')) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "quiet hours: \"%s\" is not like 22:00-07:00 "
                                 "or Sat-Sun 09:00-12:30",
                                 begin);
        }
        quiet->count++;
        if (*at == ',') at++;
    }
    return FL_OK;
}

/* ---- time ---- */

typedef struct {
    unsigned day, minute;
} local_time;

static local_time local_of(int64_t wall_s)
{
    struct tm local;
    const time_t time = (time_t)wall_s;
    if (!localtime_r(&time, &local)) return (local_time){0, 0};
    return (local_time){(unsigned)local.tm_wday,
                        (unsigned)(local.tm_hour * 60 + local.tm_min)};
}

static bool begins_on(const fl_quiet_span *span, unsigned day)
{
    return span->days >> day % 7 & 1;
}

static bool is_within(const fl_quiet_span *span, local_time now)
{
    if (span->from < span->to) {
        return begins_on(span, now.day) && now.minute >= span->from &&
               now.minute < span->to;
    }
    return (begins_on(span, now.day) && now.minute >= span->from) ||
           (begins_on(span, now.day + 6) && now.minute < span->to);
}

bool fl_quiet_contains(const fl_quiet *quiet, int64_t wall_s)
{
    const local_time now = local_of(wall_s);
    for (size_t i = 0; i < quiet->count; i++) {
        if (is_within(&quiet->spans[i], now)) return true;
    }
    return false;
}

// Clocks are put forward and back at full quarters of an hour, wherever.
static int64_t next_quarter(int64_t wall_s)
{
    enum { QUARTER_S = 15 * 60 };
    return wall_s - wall_s % QUARTER_S + QUARTER_S;
}

// The next time at which a span may begin or end: within a quarter of an hour
// clocks run as they should.
static int64_t next_edge(const fl_quiet *quiet, int64_t wall_s)
{
    const unsigned minute = local_of(wall_s).minute;
    int64_t next_s = next_quarter(wall_s);
    for (size_t i = 0; i < quiet->count; i++) {
        const unsigned edges[] = {quiet->spans[i].from, quiet->spans[i].to};
        for (int k = 0; k < 2; k++) {
            if (edges[k] <= minute) continue;
            const int64_t edge_s =
                wall_s - wall_s % 60 + (int64_t)(edges[k] - minute) * 60;
            if (edge_s < next_s) next_s = edge_s;
        }
    }
    return next_s;
}

int64_t fl_quiet_change(const fl_quiet *quiet, int64_t wall_s)
{
    const bool was = fl_quiet_contains(quiet, wall_s);
    const int64_t end_s = wall_s + (int64_t)AHEAD_DAYS * DAY_MINUTES * 60;
    while (quiet->count > 0 && wall_s < end_s) {
        wall_s = next_edge(quiet, wall_s);
        if (fl_quiet_contains(quiet, wall_s) != was) return wall_s;
    }
    return INT64_MAX;
}
