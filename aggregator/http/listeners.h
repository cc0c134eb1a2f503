/*
 * Those who follow the events (text/event-stream), each over a connection that
 * stays open:
 *
 *   round    with the round's number as its id: every finished round once
 *   clients  how many are in which state, when that has changed
 *   session  what the aggregator does, when that has changed
 *   :        a comment when nothing else is said, so that both sides notice a
 * cut link
 *
 * Nothing is queued for anybody. A listener has a place in the rounds, which it
 * reads from the store, and remembers which state it was told last; who reads
 * slowly misses states in between, and who does not read at all is dropped when
 * the connection has stood still for the server's patience.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_HTTP_LISTENERS_H
#define FL_AGGREGATOR_HTTP_LISTENERS_H

#include <stdbool.h>
#include <stdint.h>

#include <microhttpd.h>

#include "aggregator/snapshot.h"
#include "base/err.h"

struct fl_site;

/* The text of a state, and how often it has changed. */
typedef struct {
    char *text;  // NULL: none yet
    uint64_t version;
} fl_listeners_news;

typedef struct {
    struct fl_listener *first;
    uint32_t count, cap;
    int64_t heartbeat_ms;
    fl_listeners_news clients, session;
    bool is_closing;
} fl_listeners;

/* A new snapshot is there: what has changed in it is news. */
void fl_listeners_update(fl_listeners *listeners, const fl_snapshot *snapshot);

/* Answers with the events after round `after`. */
enum MHD_Result fl_listeners_answer(struct fl_site *site,
                                    struct MHD_Connection *connection,
                                    uint32_t after);

/* Resumes those who are to hear something. */
void fl_listeners_wake(const struct fl_site *site);

/* When the next one wants its comment; INT64_MAX: nobody listens. */
int64_t fl_listeners_deadline(const fl_listeners *listeners);

/* Ends all streams, once the server has run again. */
void fl_listeners_close(struct fl_site *site);

void fl_listeners_fini(fl_listeners *listeners);

#endif
