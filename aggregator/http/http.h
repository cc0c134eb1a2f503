/*
 * The aggregator's face to people and programs that look at it: a dashboard,
 * /metrics and a small API over HTTP, from a thread of its own.
 *
 *   loop thread --(snapshot)--> queue --> HTTP thread <--> browsers
 *
 * The HTTP thread shares nothing with the machine: it gets a snapshot a few
 * times a second and answers from the last one. So nothing that a browser does
 * can hold up a round. Memory is bounded: connections, listeners and the bytes
 * of a request have maxima, and long answers are made while they are read.
 *
 * One owner, one thread, apart from the one inside.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_HTTP_HTTP_H
#define FL_AGGREGATOR_HTTP_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "aggregator/snapshot.h"
#include "base/err.h"
#include "base/reason.h"

enum {
    FL_HTTP_CONNECTIONS = 128,
    FL_HTTP_PER_ADDRESS = 96,          // of one address; others find a place
    FL_HTTP_LISTENERS = 32,            // of the events
    FL_HTTP_PATIENCE_S = 10,           // for a connection that stands still
    FL_HTTP_HEARTBEAT_MS = 15 * 1000,  // between two signs of life
    FL_HTTP_REQUEST_BYTES = 16 * 1024,
    FL_HTTP_PUBLISH_MS = 250,  // between two snapshots
};

typedef struct {
    const char *address;    // ADDRESS:PORT
    const char *state;      // folder that an aggregator holds
    uint32_t listener_cap;  // 0: FL_HTTP_LISTENERS
    uint32_t patience_s;    // 0: FL_HTTP_PATIENCE_S
    uint32_t heartbeat_ms;  // 0: FL_HTTP_HEARTBEAT_MS
} fl_http_options;

typedef struct fl_http fl_http;

/* Whether an address can be meant by --http. FL_ERR_RANGE: *why says how. */
FL_CHECK fl_err fl_http_check(const char *address, fl_reason *why);

/*
 * Listens from now on, and logs where; warns when that is not the loopback
 * address, since there is no password. The caller owns *http: fl_http_stop.
 * FL_ERR_RANGE: the address; FL_ERR_SYSTEM: it cannot be had; errors of
 * fl_store_open.
 */
FL_CHECK fl_err fl_http_start(fl_http **http, const fl_http_options *options,
                              fl_reason *why);

/* Shows what was published last, then ends. Accepts NULL. */
void fl_http_stop(fl_http *http);

/* The port, in case any was taken. */
uint16_t fl_http_port(const fl_http *http);

/* Whether it is time for another snapshot. NULL: never. */
bool fl_http_is_due(const fl_http *http, int64_t now_ms);

/* Copies the snapshot. While nobody takes the ones before, it is dropped. */
void fl_http_publish(fl_http *http, const fl_snapshot *snapshot,
                     int64_t now_ms);

#endif
