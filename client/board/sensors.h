/*
 * What the board says about itself, read from the kernel's files:
 *
 *   temperature   /sys/class/thermal/thermal_zoneN/{type,temp}
 *   throttling    Raspberry Pi: the firmware's get_throttled, hwmon rpi_volt;
 *                 Jetson Orin: hwmon soctherm_oc, events since the last look
 *   power         /sys/class/power_supply/NAME
 *   load          /proc/loadavg, /proc/pressure/{cpu,memory,io}
 *   memory        /proc/meminfo
 *   the link      /proc/net/route, /sys/class/net/NAME/uevent: a modem or
 *                 Bluetooth costs money
 *
 * What is not there is not known, which never keeps a board from working. What
 * is there and says nonsense is left out, counted and named.
 *
 * One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_SENSORS_H
#define FL_CLIENT_SENSORS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "client/board/eligibility.h"

enum {
    FL_SENSORS_FAULTS_KEPT = 8,
    FL_SENSORS_FAULT_CAP = 160,
};

typedef enum { FL_METERED_AUTO, FL_METERED_YES, FL_METERED_NO } fl_metered;

typedef struct {
    char root[PATH_MAX / 2];  // what stands before /sys and /proc
    fl_metered metered;
    bool has_events;  // of throttling, at the last look
    uint64_t events;
    // Of the last reading: files that are there and cannot be used.
    uint32_t fault_count;
    char faults[FL_SENSORS_FAULTS_KEPT][FL_SENSORS_FAULT_CAP];
} fl_sensors;

/* "auto", "yes", "no". FL_ERR_RANGE: none of these. */
FL_CHECK fl_err fl_metered_parse(fl_metered *metered, const char *text,
                                 fl_reason *why);

/* root NULL: this machine's. FL_ERR_RANGE: too long a path. */
FL_CHECK fl_err fl_sensors_init(fl_sensors *sensors, const char *root,
                                fl_metered metered, fl_reason *why);

/*
 * Fills in all but `bytes` and `samples`. own_load: tasks that are this
 * program's own, which nobody has to wait for.
 */
void fl_sensors_read(fl_sensors *sensors, fl_sample *sample, double own_load);

#endif
