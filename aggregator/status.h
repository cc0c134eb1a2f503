/*
 * What a state folder says about its federation, for people and programs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_STATUS_H
#define FL_AGGREGATOR_STATUS_H

#include <stdbool.h>
#include <stdio.h>

#include "aggregator/aggregator.h"

enum { FL_STATUS_LINE_CAP = 160 };

/* "round 3 of 50, training: 4 of 10 updates, 12 clients". */
void fl_status_line(char line[FL_STATUS_LINE_CAP],
                    const fl_aggregator_status *status);

/*
 * Prints rounds and clients; *is_running: whether an aggregator holds the
 * folder now. Errors of fl_store_open.
 */
FL_CHECK fl_err fl_status_print(FILE *out, const char *folder, bool is_json,
                                bool *is_running, fl_reason *why);

#endif
