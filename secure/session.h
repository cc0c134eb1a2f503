/*
 * A session: one run of secure aggregation (docs/format.md has every byte,
 * docs/threat-model.md what it protects).
 *
 *   clients                                   aggregator
 *   (trained)  READY       ---------------->
 *                          <----------------  INVITE
 *   fresh keys ADVERTISE   ---------------->
 *                          <----------------  ROSTER
 *   [n > 128:  CHOICE      ---------------->
 *                          <----------------  NEIGHBOURS]
 *   secrets    SHARES      ---------------->
 *                          <----------------  INBOX
 *   vector     MASKED      ---------------->
 *                          <----------------  SURVIVORS
 *   signature  CONFIRM     ---------------->
 *                          <----------------  CONFIRMATIONS
 *   shares     UNMASK      ---------------->
 *                                             the sum
 *
 * fl_party (party.h) is a client's side of one session, fl_secagg (secagg.h)
 * the aggregator's. Both are pure: bytes in, bytes out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_SESSION_H
#define FL_SECURE_SESSION_H

#include "secure/secure.h"

enum {
    FL_SESSION_ID_BYTES = 32,
    FL_SESSION_CLIENTS_MAX = 16384,
    FL_SESSION_COMPLETE_MAX = 128,  // above: each client chooses neighbours
    FL_SESSION_MIN_CLIENTS = 8,     // the least that the defaults accept
    FL_SESSION_STEP_MAX = 256 * 1024 - 512,   // bytes of any step
    FL_SESSION_WORDS_MAX = 40 * 1024 * 1024,  // 320 MiB
    FL_INVITE_BYTES = 256,
};

typedef enum {
    FL_STEP_READY = 1,
    FL_STEP_INVITE = 2,
    FL_STEP_ADVERTISE = 3,
    FL_STEP_ROSTER = 4,
    FL_STEP_CHOICE = 5,
    FL_STEP_NEIGHBOURS = 6,
    FL_STEP_SHARES = 7,
    FL_STEP_INBOX = 8,
    FL_STEP_MASKED = 9,  // travels as an object, not as a step
    FL_STEP_SURVIVORS = 10,
    FL_STEP_CONFIRM = 11,
    FL_STEP_CONFIRMATIONS = 12,
    FL_STEP_UNMASK = 13,
    FL_STEP_DECLINE = 14,  // client: not with me
} fl_step;

/* "advertise", for logs; never NULL. */
const char *fl_step_name(fl_step step);

/* What a session is about: the invite, but for its signature. */
typedef struct {
    uint32_t client_min, client_cap;  // fewest at any step; most
    uint32_t word_count;              // of each vector, and of the sum
    uint32_t phase_ms;
    uint32_t round;
    uint64_t number;  // rises from session to session
    uint8_t id[FL_SESSION_ID_BYTES];
    uint8_t federation[FL_KEY_BYTES];  // the aggregator's identity
    uint8_t model[FL_HASH_BYTES];
    uint8_t task[FL_HASH_BYTES];  // how updates become words
    uint8_t enrolment[FL_HASH_BYTES];
} fl_session;

/* The fewest clients of a session with so many: max(8, ceil(2 n / 3)). */
uint32_t fl_session_client_min(uint32_t client_count);

/* The threshold and the neighbours (0: all) that n clients must have. */
uint32_t fl_session_threshold(uint32_t n);
uint32_t fl_session_neighbours(uint32_t n);

/* Signs; `federation` is filled in. */
void fl_session_encode(uint8_t dst[FL_INVITE_BYTES], fl_session *session,
                       const fl_identity *aggregator);

/*
 * Safe on any bytes. FL_ERR_FORMAT: not an invite, or a count outside its
 * range. FL_ERR_AUTH: not signed by the federation it names.
 */
FL_CHECK fl_err fl_session_decode(fl_session *session, const uint8_t *src,
                                  size_t src_len);

/*
 * Everything that a client refuses, by name: event=session_refused
 * fault=roster_too_small.
 */
#define FL_FAULT_LIST(X)                                                      \
    X(NONE, "none", "no fault")                                               \
    X(FORMAT, "malformed", "bytes that do not follow the format")             \
    X(ORDER, "out_of_order", "a step that is not due")                        \
    X(FEDERATION, "other_federation", "an invite of another aggregator")      \
    X(MODEL, "other_model", "a session about another round, model or task")   \
    X(ENROLMENT, "other_enrolment", "a session of another enrolment list")    \
    X(POLICY, "outside_policy", "parameters outside this client's policy")    \
    X(NUMBER, "number_does_not_grow", "a session that is not a new one")      \
    X(BURNED, "burned", "an update that was masked before")                   \
    X(UNENROLLED, "unenrolled", "a device that is not enrolled")              \
    X(DUPLICATE, "duplicate", "a device or a key that is there twice")        \
    X(SIGNATURE, "bad_signature", "a signature that is not valid")            \
    X(SELF, "self_altered", "this client missing or altered in the roster")   \
    X(ROSTER_SMALL, "roster_too_small", "fewer clients than agreed on")       \
    X(ROSTER_LARGE, "roster_too_large", "more clients than agreed on")        \
    X(THRESHOLD, "threshold_too_low", "a threshold below its formula")        \
    X(PROOF, "bad_proof", "an entry that is not in the roster")               \
    X(NEIGHBOURS, "other_neighbours", "neighbours that were not chosen")      \
    X(SENDERS, "bad_senders", "senders that are not in the roster, or few")   \
    X(SHARES_TWICE, "shares_twice", "a second request for shares")            \
    X(SURVIVORS, "bad_survivors", "survivors that sent nothing, or too few")  \
    X(CONFIRMATIONS, "too_few_confirmations", "no agreement on who survived") \
    X(STALLED, "stalled", "a phase that took too long")

typedef enum {
#define FL_FAULT_ENUM(name, text, meaning) FL_FAULT_##name,
    FL_FAULT_LIST(FL_FAULT_ENUM)
#undef FL_FAULT_ENUM
} fl_fault;

/* "roster_too_small", and what it means; never NULL. */
const char *fl_fault_name(fl_fault fault);
const char *fl_fault_meaning(fl_fault fault);

#endif
