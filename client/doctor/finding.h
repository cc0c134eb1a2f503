/*
 * What a check has found, collected; private to client/doctor*.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_FINDING_H
#define FL_CLIENT_FINDING_H

#include "base/reason.h"
#include "client/service.h"

enum { FL_FINDINGS_MAX = 40 };

typedef enum {
    FL_FINDING_OK,
    FL_FINDING_WARNING,
    FL_FINDING_ERROR
} fl_severity;

typedef struct {
    fl_severity severity;
    const char *name;    // "clock"
    fl_reason text;      // what was found
    const char *remedy;  // NULL: there is nothing to do
} fl_finding;

typedef struct {
    const fl_service_options *options;
    fl_finding findings[FL_FINDINGS_MAX];
    size_t count;
} fl_findings;

void fl_finding_add(fl_findings *findings, fl_severity severity,
                    const char *name, const char *remedy, const char *format,
                    ...) __attribute__((format(printf, 5, 6)));

/* ---- doctor_link.c ---- */

/* Name, connection, pin and protocol of the aggregator. */
void fl_finding_link(fl_findings *all);

/* ---- doctor_board.c ---- */

/* Clock, disk, memory, processor, cgroup. */
void fl_finding_board(fl_findings *all);

/* Sensors, the link's price, and whether the client might work now. */
void fl_finding_sensors(fl_findings *all);

/* ---- doctor_data.c ---- */

/* The program that trains, if it is one of the owner's. */
void fl_finding_trainer(fl_findings *all);

/* The data set, and whether the model of the state folder fits it. */
void fl_finding_data(fl_findings *all);

#endif
