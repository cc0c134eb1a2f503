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

#include "client/client.h"
#include "client/state.h"
#include "client/trainer/external.h"
#include "client/watch.h"

typedef struct {
    const char *aggregator;
    const char *activity;       // fl_client_activity
    const uint8_t *public_key;  // FL_KEY_BYTES
    uint64_t sample_count;
    const fl_client_status *status;
    const fl_state_installed *installed;  // INT8 model in use; NULL: none
    size_t installed_bytes;
    const fl_watch *watch;
    uint64_t peak_kb;            // the most memory that the program has had
    fl_footprint footprint;      // of the last training; zeros: none yet
    const char *trouble;         // with the disk; "": none
    const fl_external *trainer;  // the owner's; NULL: the engine trains
} fl_activity;

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
