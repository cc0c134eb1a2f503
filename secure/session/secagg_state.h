/*
 * What fl_secagg's files share: the state of a session on the aggregator.
 *
 *   secagg.c          its life, and who is there
 *   secagg_phases.c   what the end of a phase means
 *   secagg_message.c  what each device is told
 *   secagg_receive.c  what devices say, checked
 *   secagg_unmask.c   the sum
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_SESSION_SECAGG_STATE_H
#define FL_SECURE_SESSION_SECAGG_STATE_H

#include "base/map.h"
#include "secure/secure.h"
#include "secure/session/secagg_graph.h"
#include "secure/session/transcript.h"
#include "secure/vault.h"

/* An invited device; from the roster on, its place in the array is its slot. */
typedef struct {
    uint32_t device;
    bool is_there;       // has not dropped out
    bool has_answered;   // in this phase
    bool has_confirmed;  // still true when it drops out later
    fl_step said;        // its latest step and what it was, to know a retry
    uint8_t said_hash[FL_HASH_BYTES];
    uint8_t entry[FL_ENTRY_BYTES];  // in the roster
    uint8_t *shares;                // SHARES without its signature
    uint8_t confirm[FL_SIGNATURE_BYTES];
    uint32_t half_count;  // halves of its shares that have come, up to t
} fl_secagg_client;

struct fl_secagg {
    fl_secagg_phase phase;
    fl_session session;
    uint8_t invite[FL_INVITE_BYTES];
    const fl_enrolment *enrolment;

    fl_secagg_client *clients;  // by device, rising
    uint32_t client_count;      // those invited; from the roster on n
    uint32_t awaited_count;
    fl_map keys;  // the first 8 bytes of each key advertised

    // From the roster on.
    uint32_t threshold;
    fl_secagg_graph graph;
    uint8_t (*tree)[FL_NODE_BYTES];  // leaves first, root last
    size_t tree_len;
    fl_transcript transcript;
    uint8_t *senders, *survivors;  // bitmaps

    uint64_t *words;             // the sum; masked until DONE
    uint32_t *survivor_devices;  // from MASKED's end on
    uint32_t survivor_count;

    // In UNMASK: the first t halves of each client that are good.
    fl_vault *vault;
    uint8_t (*halves)[FL_HALF_BYTES];  // (n,t)
    uint8_t *half_x;                   // (n,t)
    uint32_t short_count;  // senders of whom fewer than t halves have come
};

/* NULL: the device was not invited, or is not in the roster. */
fl_secagg_client *fl_secagg_find(const fl_secagg *secagg, uint32_t device);

uint32_t fl_secagg_slot(const fl_secagg *secagg,
                        const fl_secagg_client *client);

/* The device's name, for sentences. */
const char *fl_secagg_name(const fl_secagg *secagg,
                           const fl_secagg_client *client);

/* The step that clients send in this phase; 0: none. */
fl_step fl_secagg_due(const fl_secagg *secagg);

/* Nothing more is awaited of the client in this phase: it has answered. */
void fl_secagg_answered(fl_secagg *secagg, fl_secagg_client *client);

/* The same, since it dropped out. Both need a client that is awaited. */
void fl_secagg_leave(fl_secagg *secagg, fl_secagg_client *client);

/* Ends the session without a sum; wipes what has come of shares. */
void fl_secagg_abort(fl_secagg *secagg);

/* The bytes of SHARES but for the signature. */
size_t fl_secagg_shares_len(const fl_secagg *secagg);

/* The sealed share for the holder at this place, in an owner's SHARES. */
const uint8_t *fl_secagg_sealed_share(const fl_secagg *secagg, uint32_t owner,
                                      uint32_t place);

/* The hash of a half of the share for the holder at this place. */
const uint8_t *fl_secagg_half_hash(const fl_secagg *secagg, uint32_t owner,
                                   uint32_t place, unsigned half);

/* How long NEIGHBOURS is. */
size_t fl_secagg_neighbours_len(const fl_secagg *secagg, uint32_t slot);

#endif
