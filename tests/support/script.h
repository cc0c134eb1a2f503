/*
 * A scripted aggregator with as many parties as you like: honest by itself,
 * so that a test can change one message and see who notices.
 *
 *   fl_script *s = fl_script_new(5);
 *   fl_script_run(s, FL_STEP_INBOX);              // all before the inbox
 *   size_t len = fl_script_message(s, FL_STEP_INBOX, 0);
 *   s->message[0] ^= 1;
 *   assert_err(fl_script_send(s, FL_STEP_INBOX, 0, len), FL_ERR_RANGE);
 *   fl_script_free(s);
 *
 * It is written from docs/format.md, apart from secure/session/secagg*.c. The
 * device at slot i is 2 i + 1; those between are enrolled and not there. All
 * randomness is a function of the number of clients.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_SCRIPT_H
#define FL_TESTS_SUPPORT_SCRIPT_H

#include "base/random.h"
#include "secure/secure.h"
#include "secure/session/transcript.h"

enum { FL_SCRIPT_WORDS = 5 };

typedef struct {
    fl_party *party;
    fl_party_options options;
    fl_random random;
    fl_step leaves_at;  // neither says this nor anything after it; 0: stays
    uint8_t entry[FL_ENTRY_BYTES];
    uint8_t *choice;  // bitmap
    uint8_t *shares;
    uint8_t confirm[FL_SIGNATURE_BYTES];
    uint8_t *unmask;
    size_t unmask_len;
    uint64_t plain[FL_SCRIPT_WORDS], words[FL_SCRIPT_WORDS];  // masked
} fl_script_client;

typedef struct {
    uint32_t n, k, t;
    fl_identity aggregator, *identities;  // by device
    fl_enrolment enrolment;
    fl_session session;
    fl_script_client *clients;  // by slot
    fl_transcript transcript;
    uint8_t (*tree)[FL_NODE_BYTES];
    size_t tree_len, bitmap_len;
    bool is_closed;                // the tree is that of the entries
    uint8_t *senders, *survivors;  // bitmaps
    uint8_t *message;              // the last one, FL_SESSION_STEP_MAX
} fl_script;

fl_script *fl_script_new(uint32_t n);
void fl_script_free(fl_script *script);

/* The aggregator's honest message to a slot; its length, in `message`. */
size_t fl_script_message(fl_script *script, fl_step step, uint32_t slot);

/* Gives a party what is in `message` and keeps the answer. */
FL_CHECK fl_err fl_script_send(fl_script *script, fl_step step, uint32_t slot,
                               size_t len);

/* Everything before this step of the aggregator, honestly, to everybody. */
void fl_script_run(fl_script *script, fl_step before);

/* A new script, honest until it is this step's turn. */
fl_script *fl_script_at(uint32_t n, fl_step before);

/*
 * Sends what is in `message` to slot 1, which must refuse it so and answer
 * nothing any more. Frees the script.
 */
void fl_script_refused(fl_script *script, fl_step step, size_t len, fl_err err,
                       fl_fault fault);

/* Takes the masks away with what came in UNMASK. */
void fl_script_sum(fl_script *script, uint64_t sum[FL_SCRIPT_WORDS]);

/* Puts the invite into `message`, after a change of `session`. */
size_t fl_script_invite(fl_script *script);

/* Makes the entry at a slot this device's, which signs it and plays along. */
void fl_script_sign(fl_script *script, uint32_t slot, uint32_t device);

#endif
