/*
 * Looks for what could keep a client from working: configuration, keys, clock,
 * aggregator, disk, memory, sensors, data. Changes nothing, and works beside a
 * running client.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_DOCTOR_H
#define FL_CLIENT_DOCTOR_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "base/reason.h"
#include "client/service.h"

/*
 * Prints what it finds, one line each with its remedy, or one JSON object (keys
 * in docs/running.md). *has_errors: something would keep the client from
 * taking part. FL_ERR_MEMORY: there is no report.
 */
FL_CHECK fl_err fl_doctor_run(FILE *out, const fl_service_options *options,
                              bool is_json, bool *has_errors, fl_reason *why);

#endif
