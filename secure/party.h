/*
 * A client's side of one session: a state machine that is fed what the
 * aggregator says and gives what to answer.
 *
 *   invite -> ADVERTISE -> roster -> SHARES -> inbox -> MASKED -> survivors
 *          -> CONFIRM -> confirmations -> UNMASK -> DONE
 *
 * Whatever is not exactly as it should be ends in ABORTED with a fault, and
 * every secret is wiped: a party never answers anything again. The
 * aggregator's word is trusted for nothing; what the aggregator must be kept
 * from is written at each check in party*.c.
 *
 * All secrets are in one vault. No clock: the owner aborts what stalls.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_PARTY_H
#define FL_SECURE_PARTY_H

#include "secure/enrolment.h"
#include "secure/session.h"

typedef struct fl_party fl_party;

/* What this client knows and accepts; pointers are borrowed for its life. */
typedef struct {
    const fl_identity *identity;
    const fl_enrolment *enrolment;     // the list that this client holds
    uint8_t federation[FL_KEY_BYTES];  // the pinned aggregator
    uint32_t round;                    // of the update
    uint8_t model[FL_HASH_BYTES];
    uint8_t task[FL_HASH_BYTES];
    uint32_t word_count;    // of the update
    uint32_t client_min;    // policy: the fewest clients to hide among
    uint64_t number_after;  // the session's number must be above this
    void (*random_bytes)(void *self, void *dst, size_t len);  // secrets
    void *random_self;
} fl_party_options;

/* The caller owns *party: fl_party_free. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_party_new(fl_party **party, const fl_party_options *options);

/* Wipes. Accepts NULL. */
void fl_party_free(fl_party *party);

/*
 * Takes one of the aggregator's steps (INVITE, ROSTER, NEIGHBOURS, INBOX,
 * SURVIVORS, CONFIRMATIONS) and gives the answer: *answer (ADVERTISE, CHOICE,
 * SHARES, MASKED, CONFIRM, UNMASK) with *len bytes at *bytes, which are the
 * party's until the next call. With MASKED there are none: fl_party_mask is
 * due. After UNMASK the party is done and holds no secrets but those bytes.
 * On any error the party is ABORTED, fl_party_fault says why:
 * FL_ERR_FORMAT, FL_ERR_AUTH, FL_ERR_RANGE, FL_ERR_STATE, FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_party_step(fl_party *party, fl_step step, const uint8_t *src,
                              size_t src_len, fl_step *answer,
                              const uint8_t **bytes, size_t *len);

/*
 * Adds this client's masks to its words, in place. Once: FL_ERR_STATE if it is
 * not due; FL_ERR_RANGE: word_count is not the session's. Nothing changes then,
 * the words are still in the clear.
 * Before the words leave this machine the session's number must be on disk:
 * the same update must never be masked again (the burn rule).
 */
FL_CHECK fl_err fl_party_mask(fl_party *party, uint64_t *words,
                              size_t word_count);

/* The invite; valid from INVITE on. */
const fl_session *fl_party_session(const fl_party *party);

/* The owner ends it: a deadline, a closed round, a lost plan. Wipes. */
void fl_party_abort(fl_party *party, fl_fault fault);

typedef enum {
    FL_PARTY_OPEN,  // a step is awaited
    FL_PARTY_DONE,
    FL_PARTY_ABORTED,
} fl_party_state;

fl_party_state fl_party_get_state(const fl_party *party);
fl_fault fl_party_fault(const fl_party *party);

/* Shares that were sealed wrongly by their sender, so far; for the log. */
uint32_t fl_party_bad_shares(const fl_party *party);

#endif
