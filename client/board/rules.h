/*
 * What a board's owner allows: sections [eligibility] and [resources] of the
 * options.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_RULES_H
#define FL_CLIENT_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/options.h"
#include "client/board/eligibility.h"
#include "client/board/sensors.h"

enum { FL_RULES_COUNT = 16 };  // options

typedef struct {
    double max_celsius, resume_celsius;
    bool works_on_battery;
    double min_battery;  // %
    const char *quiet_hours;
    double max_load, max_pressure;
    double min_memory;  // MB that others leave
    const char *metered;
    double byte_budget;  // MB a month; 0: any
    uint64_t min_samples;
    uint64_t rest_s, look_s;
    const char *sensors_root;
    uint64_t memory;  // MB for the data and a training; 0: any
    uint64_t threads;
} fl_rules;

fl_rules fl_rules_defaults(void);

/* Appends to a table with room for FL_RULES_COUNT; returns how many. */
size_t fl_rules_list(fl_option *table, fl_rules *rules);

/* FL_ERR_RANGE: *why says which rule makes no sense. */
FL_CHECK fl_err fl_rules_read(fl_eligibility_options *options,
                              fl_metered *metered, const fl_rules *rules,
                              fl_reason *why);

#endif
