/*
 * The client as a service: its machine, connected to TCP, the disk and a
 * worker that trains.
 *
 *   network --events--> loop thread: machine --effects--> network, disk
 *                            ^                               |
 *                            +--------- result --- worker <--+ train
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_SERVICE_H
#define FL_CLIENT_SERVICE_H

#include "base/err.h"
#include "base/options.h"
#include "base/reason.h"
#include "base/reload.h"
#include "client/board/rules.h"
#include "client/client.h"
#include "client/state/state.h"
#include "client/trainer/external.h"

typedef struct {
    const char *aggregator;   // tcp://ADDRESS:PORT; NULL: where it has joined
    const char *state;        // folder
    const char *pin;          // the aggregator's key, 64 hex digits; or NULL
    const char *authority;    // the enrolment authority's, likewise
    const char *aggregation;  // "secure", or "clear": asked for either way
    uint64_t min_survivors;   // fewest clients to hide among
    uint64_t min_fields;      // fewest numbers of an update
    double min_step;          // finest step that updates are rounded to
    double max_drop;          // points that a new INT8 model may lose here
    bool refuses_surveys;
    fl_data_settings data;
    const char *own_data;  // instead of data.dataset: rows of this device
    const char *classes;   // of own_data: "cat,dog"; NULL: see stock.h
    uint64_t clients, slice, seed;
    bool leave_when_finished;
    fl_rules rules;
    fl_external_options trainer;
    fl_reload *reload;  // how to read these again; NULL: SIGHUP ends the
                        // client
} fl_service_options;

/* FL_ERR_RANGE: options that make no sense, whatever the machine. */
FL_CHECK fl_err fl_service_check(const fl_service_options *options,
                                 fl_reason *why);

/*
 * Runs with the aggregator at `url`, as the options say, also when a reload
 * changes them, until SIGTERM, SIGINT, or the machine leaves. Tells the service
 * manager how it fares (base/notify.h). FL_ERR_AUTH: refused by
 * the aggregator, or its key has changed. FL_ERR_STATE: another client runs in
 * this folder. FL_ERR_RANGE, FL_ERR_FORMAT, FL_ERR_NOT_FOUND: the options or
 * the data. FL_ERR_SYSTEM: the folder cannot be written.
 */
FL_CHECK fl_err fl_service_run(const fl_service_options *options,
                               const char *url, fl_reason *why);

#endif
