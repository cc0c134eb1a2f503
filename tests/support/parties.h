/*
 * Whole sessions in memory: one fl_secagg, a fl_party for every client, and in
 * between a post that can lose what they say, or change it.
 *
 *   fl_parties *p = fl_parties_new(7);           // enrols 7 devices
 *   fl_parties_open(p, &options);                // invites them
 *   if (!fl_parties_run(p)) fl_parties_check_sum(p);
 *   fl_parties_free(p);
 *
 * Whatever must not happen in a session fails the test that runs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_PARTIES_H
#define FL_TESTS_SUPPORT_PARTIES_H

#include "base/random.h"
#include "secure/secure.h"

typedef struct fl_parties fl_parties;

/* One client, and what happened to it. */
typedef struct {
    uint32_t device;
    fl_party *party;
    fl_step gone_at;  // says neither this step nor any later one; 0: stays
    bool is_gone;
    fl_err err;      // of its party
    fl_err refused;  // of the aggregator, the first
    fl_reason why;
    size_t down_bytes, up_bytes;  // control messages, not the vector
    uint32_t message_count;
    int64_t took_ns[FL_STEP_DECLINE];  // CPU, by the step that it answered
} fl_guest;

typedef struct {
    uint32_t client_count;   // invited; 0: all
    uint32_t first, stride;  // devices first, first + stride ...; 0: 1
    uint32_t client_min;     // 0: 2
    uint32_t client_cap;     // 0: as many as there are clients
    uint32_t word_count;     // 0: 5
    bool repeats;            // everything is asked for and said twice
    unsigned thread_count;   // 0: 1

    /*
     * Sees every answer of guest i before the aggregator does, and may change
     * it; there is room for FL_SESSION_STEP_MAX bytes. False: it is lost.
     */
    bool (*meddle)(void *self, fl_parties *parties, uint32_t i, fl_step step,
                   uint8_t *bytes, size_t *len);
    void *meddle_self;
} fl_parties_options;

struct fl_parties {
    fl_parties_options options;  // of the session, defaults filled in
    fl_random random;
    fl_identity aggregator;
    uint32_t device_count;
    fl_identity *identities;  // by place in the list
    fl_enrolment *enrolment;

    uint64_t number;  // of the session
    fl_secagg *secagg;
    fl_guest *guests;
    uint32_t guest_count;
    fl_reason why;  // of the phase that failed

    uint8_t *down, *up;  // a message each way
    uint64_t *words;     // of whoever masks
    uint64_t *expected;
};

/* Enrols so many devices. */
fl_parties *fl_parties_new(uint32_t device_count);
void fl_parties_free(fl_parties *parties);

/* Opens a session; one that was open is over. */
void fl_parties_open(fl_parties *parties, const fl_parties_options *options);

/* Guest i is told and answers, once; false: it says nothing in this phase. */
bool fl_parties_ask(fl_parties *parties, uint32_t i);

/* All are, in random order. */
void fl_parties_ask_all(fl_parties *parties);

/* The phase ends with those who have answered (UNMASK: with the sum). */
fl_err fl_parties_advance(fl_parties *parties);

/* All phases up to this one; false: the session was aborted before. */
bool fl_parties_run_to(fl_parties *parties, fl_secagg_phase phase);

/* All phases. FL_ERR_STATE and so on: aborted. */
fl_err fl_parties_run(fl_parties *parties);

/* The session is done, and its sum is that of the survivors' words. */
void fl_parties_check_sum(fl_parties *parties);

/* Whether it survived. */
bool fl_parties_survived(const fl_parties *parties, uint32_t i);

/* Word j of guest i. */
uint64_t fl_parties_word(const fl_parties *parties, uint32_t i, size_t j);

/* Signs as guest i does. */
const fl_identity *fl_parties_identity(const fl_parties *parties, uint32_t i);

#endif
