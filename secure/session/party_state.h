/*
 * What a party knows, and its steps: private to party*.c.
 *
 * A take function gets one message of the aggregator, checks it and calls
 * fl_party_answer, or gives fl_party_refuse's error. What it leaves behind
 * after an error does not matter: the party is aborted then.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_SESSION_PARTY_STATE_H
#define FL_SECURE_SESSION_PARTY_STATE_H

#include "base/bytes.h"
#include "secure/secure.h"
#include "secure/session/transcript.h"
#include "secure/shamir.h"
#include "secure/vault.h"

/* One of the others, with whom this client shares masks. */
typedef struct {
    uint32_t slot, device;
    unsigned x;      // of the share that it gets of this client; 0: none
    bool is_owner;   // this client gets a share of it
    bool has_share;  // and has opened it
    bool is_sender;
    uint8_t cipher_key[FL_KEY_BYTES], mask_key[FL_KEY_BYTES];
} fl_party_peer;

/* Shared with one peer; at the same place as the peer. */
typedef struct {
    uint8_t cipher[32];
    uint8_t mask[32];               // when masking: the pair mask's key
    uint8_t share[FL_SHARE_BYTES];  // of the peer's secret
} fl_party_pair;

typedef struct {
    uint8_t c[32];
    uint8_t b_s[FL_SHARE_BYTES];        // what is shared: b || s
    uint8_t own_share[FL_SHARE_BYTES];  // complete graph: of the own b || s
} fl_party_secrets;

struct fl_party {
    fl_party_options options;
    fl_party_state state;
    fl_fault fault;
    fl_step due;  // what comes next; MASKED: fl_party_mask

    fl_session session;
    fl_transcript transcript;
    uint8_t entry[FL_ENTRY_BYTES];  // the own device and advertise

    uint32_t n, k, t;  // k 0: the complete graph
    uint32_t slot, device;
    uint8_t root[FL_NODE_BYTES];
    size_t bitmap_len;
    uint8_t *chosen, *senders, *survivors;  // bitmaps; one block, `chosen`
    fl_party_peer *peers;                   // slots rising
    uint32_t peer_count;
    uint32_t bad_shares;

    fl_vault *vault;
    fl_party_secrets *secrets;
    fl_party_pair *pairs;  // peer_count

    fl_step answer;
    uint8_t *out;  // the answer's bytes
    size_t out_len;
};

/* Notes why the party ends; returns err. */
fl_err fl_party_refuse(fl_party *party, fl_fault fault, fl_err err);

/* What is answered, and what is due after it. */
void fl_party_answer(fl_party *party, fl_step answer, fl_step due);

/*
 * Room for an answer, zeroed, and none for len 0; the one before is wiped.
 * FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_party_out(fl_party *party, size_t len);

/* Wipes the vault and gives it back. */
void fl_party_wipe(fl_party *party);

static inline bool fl_party_is_complete(const fl_party *party)
{
    return party->k == 0;
}

/* In the complete graph a client holds a share of its own, too. */
static inline uint32_t fl_party_holder_count(const fl_party *party)
{
    return party->k > 0 ? party->k : party->n;
}

/* ---- party_roster.c: with whom ---- */

FL_CHECK fl_err fl_party_take_roster(fl_party *party, fl_reader *in);
FL_CHECK fl_err fl_party_take_neighbours(fl_party *party, fl_reader *in);

/* ---- party_shares.c: shares dealt and kept ---- */

FL_CHECK fl_err fl_party_deal(fl_party *party);
FL_CHECK fl_err fl_party_take_inbox(fl_party *party, fl_reader *in);

/* ---- party_unmask.c: who survived, and what that opens ---- */

FL_CHECK fl_err fl_party_take_survivors(fl_party *party, fl_reader *in);
FL_CHECK fl_err fl_party_take_confirmations(fl_party *party, fl_reader *in);

#endif
