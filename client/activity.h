/*
 * What a client is doing, and why it may not, left in its state folder for
 * whoever asks. The keys of the JSON object are documented in docs/running.md;
 * "schema" counts changes of their meaning.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_ACTIVITY_H
#define FL_CLIENT_ACTIVITY_H

#include <stdbool.h>
#include <stdio.h>

#include "client/board/watch.h"
#include "client/client.h"
#include "client/feed/feed.h"
#include "client/state/state.h"
#include "client/trainer/external.h"

typedef struct {
    const char *aggregator;
    const char *activity;       // fl_client_activity
    const uint8_t *public_key;  // FL_KEY_BYTES
    const fl_feed *feed;
    const fl_client_status *status;
    const fl_state_installed *installed;  // INT8 model in use; NULL: none
    size_t installed_bytes;
    const fl_watch *watch;
    uint64_t peak_kb;            // fl_activity_peak_kb
    fl_footprint footprint;      // of the last training; zeros: none yet
    const char *trouble;         // with the disk; "": none
    const fl_external *trainer;  // the owner's; NULL: the engine trains
} fl_activity;

/* The most memory that the program has had. It never falls. */
uint64_t fl_activity_peak_kb(void);

enum { FL_ACTIVITY_TEXT_CAP = FL_ELIGIBILITY_TEXT_CAP + 40 };

/* "round 12, training", "resting: hot, ...": one line for the service manager.
 */
void fl_activity_describe(char text[FL_ACTIVITY_TEXT_CAP],
                          const fl_activity *activity);

/* Errors of fl_state_status_write; the old one stays. */
FL_CHECK fl_err fl_activity_write(fl_state *state, const fl_activity *activity,
                                  fl_reason *why);

/*
 * Prints what the client of this folder wrote last; *is_running: whether one
 * runs there now. FL_ERR_NOT_FOUND: no client has ever run there.
 */
FL_CHECK fl_err fl_activity_print(FILE *out, const char *folder, bool is_json,
                                  bool *is_running, fl_reason *why);

#endif
