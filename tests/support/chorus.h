/*
 * The rest of a session around a client's machine on a bench (host.h): the
 * aggregator's side of it, and the parties of the other devices, all honest.
 *
 *   fl_chorus_open(&chorus);
 *   fl_chorus_play_to(&chorus, FL_STEP_INBOX);  // the client knows the roster
 *   fl_chorus_tell(&chorus);                    // and now the senders
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_CHORUS_H
#define FL_TESTS_SUPPORT_CHORUS_H

#include "tests/support/host.h"

enum { FL_CHORUS_PHASE_MS = 1000 };

typedef struct {
    fl_host *host;
    fl_session session;  // what the invite will say; a test may change it
    fl_enrolment *enrolment;
    fl_identity identities[FL_HOST_PEERS];
    fl_party *peers[FL_HOST_PEERS];
    uint32_t places[FL_HOST_PEERS], place;  // the peers', the client's
    fl_secagg *secagg;
    uint8_t *message;       // FL_SESSION_STEP_MAX
    const uint8_t *vector;  // of the client, as it came; the host's
    size_t vector_len;
} fl_chorus;

/* A session as the plan has it. `host` is borrowed for its life. */
void fl_chorus_init(fl_chorus *chorus, fl_host *host, const fl_plan *plan);
void fl_chorus_fini(fl_chorus *chorus);

/* Signs the invite. */
void fl_chorus_open(fl_chorus *chorus);

/* Mails to the client what it is to be told now. */
void fl_chorus_tell(fl_chorus *chorus);

/* Takes the client's step, which the session must accept, unacknowledged. */
const fl_message *fl_chorus_hear(fl_chorus *chorus, fl_step step);

/* From the client's OPEN to its COMMIT, which is returned unacknowledged. */
const fl_message *fl_chorus_hear_vector(fl_chorus *chorus);

/* The peers say what is due, and the phase ends. */
void fl_chorus_sing(fl_chorus *chorus);

/* Everything before the client is told this step. */
void fl_chorus_play_to(fl_chorus *chorus, fl_step step);

#endif
