/* SPDX-License-Identifier: Apache-2.0 */
#include "client/board/eligibility.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const double LOAD_RESUME = 0.75;     // of the limit
static const double PRESSURE_RESUME = 0.5;  // likewise
static const double MEMORY_RESUME = 1.25;

// The first one that holds is the one that is told: those of the link before
// all others, since they end the connection.
static const fl_away ORDER[] = {
    FL_AWAY_METERED,     FL_AWAY_BYTE_BUDGET, FL_AWAY_HOT,  FL_AWAY_THROTTLED,
    FL_AWAY_ON_BATTERY,  FL_AWAY_LOW_MEMORY,  FL_AWAY_BUSY, FL_AWAY_QUIET_HOURS,
    FL_AWAY_LITTLE_DATA, FL_AWAY_TRAINER,
};

enum { ORDER_COUNT = sizeof ORDER / sizeof *ORDER };

void fl_eligibility_init(fl_eligibility *e,
                         const fl_eligibility_options *options)
{
    *e = (fl_eligibility){.options = *options};
    for (size_t i = 0; i < FL_AWAY_COUNT; i++) {
        e->latches[i].turning_ms = INT64_MAX;
    }
}

void fl_eligibility_limit(fl_eligibility *e,
                          const fl_eligibility_options *options)
{
    e->options = *options;
}

/* ---- what a sample says ---- */

typedef enum { UNKNOWN, GOOD, BETWEEN, BAD } quality;

static quality worse(quality a, quality b)
{
    return a > b ? a : b;
}

// Too high at `bad`, fine below `good`.
static quality at_most(const fl_reading *reading, double bad, double good)
{
    if (!reading->is_known) return UNKNOWN;
    if (reading->value >= bad) return BAD;
    return reading->value < good ? GOOD : BETWEEN;
}

static quality at_least(const fl_reading *reading, double bad, double good)
{
    if (!reading->is_known) return UNKNOWN;
    if (reading->value < bad) return BAD;
    return reading->value >= good ? GOOD : BETWEEN;
}

static quality of_battery(const fl_eligibility_options *o, const fl_sample *s)
{
    if (!s->mains.is_known) return UNKNOWN;
    if (s->mains.value > 0) return GOOD;
    if (!o->works_on_battery) return BAD;
    return at_least(&s->battery, o->min_battery, o->resume_battery);
}

static quality of_work(const fl_eligibility_options *o, const fl_sample *s)
{
    quality q = UNKNOWN;
    if (o->max_load > 0) {
        q = at_most(&s->load, o->max_load, o->max_load * LOAD_RESUME);
    }
    if (o->max_pressure > 0) {
        q = worse(q, at_most(&s->pressure, o->max_pressure,
                             o->max_pressure * PRESSURE_RESUME));
    }
    return q;
}

static quality bad_if(bool is_bad)
{
    return is_bad ? BAD : GOOD;
}

static quality judge(const fl_eligibility *e, fl_away away, int64_t wall_s)
{
    const fl_eligibility_options *o = &e->options;
    const fl_sample *s = &e->sample;
    switch (away) {
    case FL_AWAY_METERED: return at_most(&s->metered, 1, 1);
    case FL_AWAY_BYTE_BUDGET:
        return bad_if(o->byte_budget > 0 && s->bytes >= o->byte_budget);
    case FL_AWAY_HOT:
        if (o->max_celsius <= 0) return UNKNOWN;
        return at_most(&s->celsius, o->max_celsius, o->resume_celsius);
    case FL_AWAY_THROTTLED: return at_most(&s->throttled, 1, 1);
    case FL_AWAY_ON_BATTERY: return of_battery(o, s);
    case FL_AWAY_LOW_MEMORY:
        return at_least(&s->memory, o->min_memory,
                        o->min_memory * MEMORY_RESUME);
    case FL_AWAY_BUSY: return of_work(o, s);
    case FL_AWAY_QUIET_HOURS:
        return bad_if(fl_quiet_contains(&o->quiet, wall_s));
    case FL_AWAY_LITTLE_DATA: return bad_if(s->samples < o->min_samples);
    case FL_AWAY_TRAINER: return bad_if(s->trainer_rest_s > 0);
    case FL_AWAY_NONE:
    case FL_AWAY_OTHER:
    case FL_AWAY_COUNT: break;
    }
    return UNKNOWN;
}

/* ---- latches ---- */

static int64_t hold_ms(fl_away away, bool is_on)
{
    if (away == FL_AWAY_BUSY) return FL_ELIGIBILITY_BUSY_MS;
    if (away == FL_AWAY_THROTTLED && is_on) return FL_ELIGIBILITY_THROTTLED_MS;
    return 0;
}

static void turn(fl_latch *latch, int64_t wall_s)
{
    latch->is_on = !latch->is_on;
    latch->turning_ms = INT64_MAX;
    latch->since_s = wall_s;
}

static void update_latch(fl_eligibility *e, fl_away away, int64_t now_ms,
                         int64_t wall_s)
{
    fl_latch *latch = &e->latches[away];
    const quality q = judge(e, away, wall_s);
    if (q == UNKNOWN) {
        const bool is_stale =
            now_ms - latch->seen_ms >= FL_ELIGIBILITY_STALE_MS;
        latch->turning_ms = INT64_MAX;
        if (latch->is_on && is_stale) turn(latch, wall_s);
        return;
    }
    latch->seen_ms = now_ms;
    if (q != (latch->is_on ? GOOD : BAD)) {
        latch->turning_ms = INT64_MAX;
        return;
    }
    if (latch->turning_ms == INT64_MAX) latch->turning_ms = now_ms;
    if (now_ms - latch->turning_ms >= hold_ms(away, latch->is_on)) {
        turn(latch, wall_s);
    }
}

/* ---- the verdict ---- */

static size_t list_reasons(const fl_eligibility *e,
                           fl_away reasons[FL_AWAY_COUNT])
{
    size_t count = 0;
    for (size_t i = 0; i < ORDER_COUNT; i++) {
        if (e->latches[ORDER[i]].is_on) reasons[count++] = ORDER[i];
    }
    return count;
}

// Not before it has been what it is for a while.
static bool may_become(const fl_eligibility *e, fl_away next, int64_t now_ms)
{
    const int64_t rest_ms = e->options.rest_ms;
    const int64_t least_ms = next == FL_AWAY_NONE ? rest_ms : rest_ms / 3;
    return !e->has_looked || now_ms - e->changed_ms >= least_ms;
}

bool fl_eligibility_look(fl_eligibility *e, const fl_sample *sample,
                         int64_t now_ms, int64_t wall_s)
{
    fl_away reasons[FL_AWAY_COUNT];
    const fl_away before = fl_eligibility_away(e);
    e->sample = *sample;
    for (size_t i = 0; i < ORDER_COUNT; i++) {
        update_latch(e, ORDER[i], now_ms, wall_s);
    }
    const size_t count = list_reasons(e, reasons);
    const fl_away next = count > 0 ? reasons[0] : FL_AWAY_NONE;
    if (next != before && !may_become(e, next, now_ms)) return false;
    if (next != before || !e->has_looked) e->changed_ms = now_ms;
    e->has_looked = true;
    memcpy(e->reasons, reasons, count * sizeof *reasons);
    e->reason_count = count;
    return next != before;
}

fl_away fl_eligibility_away(const fl_eligibility *e)
{
    return e->reason_count > 0 ? e->reasons[0] : FL_AWAY_NONE;
}

int64_t fl_eligibility_since(const fl_eligibility *e, fl_away away)
{
    return e->latches[away].since_s;
}

static int64_t next_month(int64_t wall_s)
{
    struct tm local;
    const time_t now = (time_t)wall_s;
    if (!localtime_r(&now, &local)) return 0;
    struct tm first = {.tm_year = local.tm_year,
                       .tm_mon = local.tm_mon + 1,
                       .tm_mday = 1,
                       .tm_isdst = -1};
    return (int64_t)mktime(&first);
}

int64_t fl_eligibility_until(const fl_eligibility *e, fl_away away,
                             int64_t wall_s)
{
    if (away == FL_AWAY_QUIET_HOURS) {
        const int64_t change_s = fl_quiet_change(&e->options.quiet, wall_s);
        return change_s == INT64_MAX ? 0 : change_s;
    }
    return away == FL_AWAY_BYTE_BUDGET ? next_month(wall_s) : 0;
}

/* ---- sentences ---- */

static void explain_work(const fl_eligibility *e,
                         char text[FL_ELIGIBILITY_TEXT_CAP])
{
    const fl_eligibility_options *o = &e->options;
    const fl_sample *s = &e->sample;
    const bool is_load = o->max_load > 0 && s->load.is_known &&
                         s->load.value >= o->max_load * LOAD_RESUME;
    if (is_load) {
        snprintf(text, FL_ELIGIBILITY_TEXT_CAP,
                 "others have %.1f tasks a CPU running (limit %.1f); it goes "
                 "on below %.1f",
                 s->load.value, o->max_load, o->max_load * LOAD_RESUME);
    } else {
        snprintf(text, FL_ELIGIBILITY_TEXT_CAP,
                 "tasks wait for %s %.0f %% of the time (limit %.0f %%); it "
                 "goes on below %.0f %%",
                 s->pressure.source, s->pressure.value, o->max_pressure,
                 o->max_pressure * PRESSURE_RESUME);
    }
}

static void explain_battery(const fl_eligibility *e,
                            char text[FL_ELIGIBILITY_TEXT_CAP])
{
    const fl_eligibility_options *o = &e->options;
    if (!o->works_on_battery) {
        snprintf(text, FL_ELIGIBILITY_TEXT_CAP,
                 "it runs on battery; it goes on when it is plugged in, or "
                 "with --on-battery");
        return;
    }
    snprintf(text, FL_ELIGIBILITY_TEXT_CAP,
             "the battery is at %.0f %% (limit %.0f %%); it goes on at %.0f %% "
             "or when it is plugged in",
             e->sample.battery.value, o->min_battery, o->resume_battery);
}

void fl_eligibility_explain(const fl_eligibility *e, fl_away away,
                            char text[FL_ELIGIBILITY_TEXT_CAP])
{
    const fl_eligibility_options *o = &e->options;
    const fl_sample *s = &e->sample;
    const size_t cap = FL_ELIGIBILITY_TEXT_CAP;
    switch (away) {
    case FL_AWAY_METERED:
        snprintf(text, cap, "the link costs money: %s", s->metered.source);
        break;
    case FL_AWAY_BYTE_BUDGET:
        snprintf(text, cap,
                 "%.1f MB have been sent and received this month (budget "
                 "%.1f MB)",
                 s->bytes / 1e6, o->byte_budget / 1e6);
        break;
    case FL_AWAY_HOT:
        snprintf(text, cap,
                 "%s is at %.0f C (limit %.0f C); it goes on below %.0f C",
                 s->celsius.source, s->celsius.value, o->max_celsius,
                 o->resume_celsius);
        break;
    case FL_AWAY_THROTTLED:
        snprintf(text, cap,
                 "the board has been slowed down: %s; it goes on %d s after "
                 "the last sign of it",
                 s->throttled.source, FL_ELIGIBILITY_THROTTLED_MS / 1000);
        break;
    case FL_AWAY_ON_BATTERY: explain_battery(e, text); break;
    case FL_AWAY_LOW_MEMORY:
        snprintf(text, cap,
                 "%.0f MB of memory are available (limit %.0f MB); it goes on "
                 "with %.0f MB",
                 s->memory.value, o->min_memory, o->min_memory * MEMORY_RESUME);
        break;
    case FL_AWAY_BUSY: explain_work(e, text); break;
    case FL_AWAY_QUIET_HOURS: snprintf(text, cap, "quiet hours"); break;
    case FL_AWAY_LITTLE_DATA:
        snprintf(text, cap, "there are %.0f examples, at least %.0f are needed",
                 s->samples, o->min_samples);
        break;
    case FL_AWAY_TRAINER:
        snprintf(text, cap,
                 "the trainer has failed %.0f times in a row; it is tried "
                 "again in %.0f s",
                 s->trainer_failures, s->trainer_rest_s);
        break;
    case FL_AWAY_NONE:
    case FL_AWAY_OTHER:
    case FL_AWAY_COUNT: text[0] = 0; break;
    }
}
