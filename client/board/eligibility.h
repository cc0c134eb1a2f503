/*
 * Whether this board may work now, and if not, why: a machine that is fed what
 * the sensors say and the time, and nothing else.
 *
 * Every reason is a latch of its own:
 *
 *   off --bad, for as long as it must hold--> on
 *   on  --good, for as long as it must hold--> off
 *
 * Between the two limits (80 C and 70 C) it stays as it is. A sensor that falls
 * silent leaves its latch alone for a minute, then is as good as none. The
 * verdict follows the latches, but not faster than it may change: a board that
 * pauses does so for a while.
 *
 * Pure but for the time zone (quiet hours, months). One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_ELIGIBILITY_H
#define FL_CLIENT_ELIGIBILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/board/quiet.h"
#include "proto/proto.h"

enum {
    FL_SENSOR_NAME_CAP = 48,
    FL_ELIGIBILITY_TEXT_CAP = 200,
    // How long a sensor that falls silent is believed.
    FL_ELIGIBILITY_STALE_MS = 60 * 1000,
    // After the last sign of throttling.
    FL_ELIGIBILITY_THROTTLED_MS = 60 * 1000,
    // Load and pressure: how long they must be too high, or low again.
    FL_ELIGIBILITY_BUSY_MS = 30 * 1000,
};

/* ---- what is measured ---- */

typedef struct {
    bool is_known;
    double value;
    char source[FL_SENSOR_NAME_CAP];  // "cpu-thermal", for people
} fl_reading;

typedef struct {
    fl_reading celsius;       // of the hottest part
    fl_reading throttled;     // 1: now, or since the last sample
    fl_reading mains;         // 0: on battery
    fl_reading battery;       // charge, %
    fl_reading metered;       // 1: the link costs money
    fl_reading load;          // tasks a CPU, without ours
    fl_reading pressure;      // % of the time that tasks wait for something
    fl_reading memory;        // MB that are available
    double bytes;             // sent and received this month
    double samples;           // that could be trained on
    double trainer_rest_s;    // the owner's trainer is left alone for so long
    double trainer_failures;  // in a row, of it
} fl_sample;

/* ---- limits ---- */

typedef struct {
    double max_celsius, resume_celsius;  // max 0: any
    bool works_on_battery;
    double min_battery, resume_battery;  // %, where it does
    double max_load;                     // tasks a CPU; 0: any
    double max_pressure;                 // %; 0: any
    double min_memory;                   // MB
    double byte_budget;                  // a month; 0: any
    double min_samples;
    fl_quiet quiet;
    int64_t rest_ms;  // a pause lasts so long at least; work a third of it
} fl_eligibility_options;

/* ---- the machine ---- */

typedef struct {
    bool is_on;
    int64_t turning_ms;  // since when it would turn; INT64_MAX: it would not
    int64_t seen_ms;     // the sensor
    int64_t since_s;     // when it turned on, wall clock
} fl_latch;

typedef struct {
    fl_eligibility_options options;
    fl_latch latches[FL_AWAY_COUNT];
    fl_sample sample;  // the last one
    bool has_looked;
    int64_t changed_ms;  // the verdict
    fl_away reasons[FL_AWAY_COUNT];
    size_t reason_count;  // 0: it may work
} fl_eligibility;

void fl_eligibility_init(fl_eligibility *eligibility,
                         const fl_eligibility_options *options);

/*
 * Other limits, from the next look on. What is on stays on until that look says
 * otherwise.
 */
void fl_eligibility_limit(fl_eligibility *eligibility,
                          const fl_eligibility_options *options);

/*
 * Takes a sample. now_ms: on a clock that never steps; wall_s: seconds since
 * 1970, UTC. True: the verdict, or its first reason, has changed.
 */
bool fl_eligibility_look(fl_eligibility *eligibility, const fl_sample *sample,
                         int64_t now_ms, int64_t wall_s);

/* Why it may not work: the first reason, what the link forbids before all
 * others; NONE: it may. */
fl_away fl_eligibility_away(const fl_eligibility *eligibility);

/* Since when that reason holds, seconds since 1970. */
int64_t fl_eligibility_since(const fl_eligibility *eligibility, fl_away away);

/*
 * When the answer will be another one, if that is known: quiet hours end, a
 * month begins. Else 0: with some later sample.
 */
int64_t fl_eligibility_until(const fl_eligibility *eligibility, fl_away away,
                             int64_t wall_s);

/* "cpu-thermal is at 83 C; it goes on below 70 C". */
void fl_eligibility_explain(const fl_eligibility *eligibility, fl_away away,
                            char text[FL_ELIGIBILITY_TEXT_CAP]);

#endif
