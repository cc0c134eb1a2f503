/*
 * The aggregator as a server: its machine, connected to TCP, the store and
 * workers that evaluate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_SERVER_H
#define FL_AGGREGATOR_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "aggregator/aggregator.h"
#include "base/reload.h"

typedef struct {
    const char *listen;     // tcp://ADDRESS:PORT
    const char *state;      // folder
    const char *enrolment;  // a signed list; NULL: the authority is here
    const char *join;       // how devices get in; NULL: as the list says
    const char *address;    // where clients reach it; NULL: as it listens
    const char *out;        // the model, after each round; NULL: only the store
    const char *http;       // ADDRESS:PORT of the dashboard; NULL: none
    fl_data_settings data;  // what is held out; dataset NULL: none
    fl_federation federation;
    uint64_t min_clients, client_cap, upload_mb, threads;
    double gather_s;
    bool is_json;       // one object a round on standard output
    bool is_quiet;      // no progress line
    fl_reload *reload;  // how to read these again; NULL: SIGHUP ends the
                        // aggregator
} fl_server_options;

/*
 * Runs until the last round, SIGTERM or SIGINT; the options change when they
 * are read again. Tells the service manager how it fares (base/notify.h).
 * FL_ERR_STATE: another
 * aggregator runs in this folder, or it belongs to another federation.
 * FL_ERR_RANGE, FL_ERR_FORMAT, FL_ERR_NOT_FOUND: options, model or data.
 * FL_ERR_SYSTEM: the folder cannot be written, the port is taken.
 */
FL_CHECK fl_err fl_server_run(const fl_server_options *options, fl_reason *why);

#endif
