/*
 * What is served: the page, the metrics, the API. One thread owns all of it;
 * it reads the last snapshot and, through a connection of its own that cannot
 * write, the store.
 *
 *   site.c       which path is answered how, and what is refused
 *   history.c    finished rounds, as long as the answer may be
 *   listeners.c  those who follow the events
 *   answer.c     headers and bodies
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_HTTP_SITE_H
#define FL_AGGREGATOR_HTTP_SITE_H

#include <stdbool.h>
#include <stdint.h>

#include <microhttpd.h>

#include "aggregator/http/listeners.h"
#include "aggregator/http/vitals.h"
#include "aggregator/snapshot.h"
#include "aggregator/store.h"
#include "base/err.h"

enum {
    FL_SITE_ROUNDS_MAX = 1000,  // of one answer
    FL_SITE_BATCH = 8,          // rounds read from the store at a time
};

typedef struct fl_site {
    fl_store *store;        // read-only
    fl_snapshot *snapshot;  // the last one; NULL: none yet
    fl_listeners listeners;
    struct MHD_Response **files;  // of fl_page_files
    char (*tags)[24];             // their names, for caches
    uint64_t request_count;
    bool is_loopback;  // then hosts must be, too
} fl_site;

/* Opens the state folder's store beside its owner's. Errors of fl_store_open.
 * Call fl_site_fini also after an error. */
FL_CHECK fl_err fl_site_init(fl_site *site, const char *state, fl_reason *why);
void fl_site_fini(fl_site *site);

/* Takes the snapshot; listeners hear what has changed. */
void fl_site_update(fl_site *site, fl_snapshot *snapshot);

fl_vitals fl_site_vitals(const fl_site *site);

/* MHD_AccessHandlerCallback; `self` is the site. */
enum MHD_Result fl_site_answer(void *self, struct MHD_Connection *connection,
                               const char *path, const char *method,
                               const char *version, const char *upload,
                               size_t *upload_len, void **seen);

/* ---- history.c ---- */

/* Up to `limit` rounds after `after`. */
enum MHD_Result fl_history_answer(fl_site *site,
                                  struct MHD_Connection *connection,
                                  uint32_t after, uint32_t limit);

#endif
