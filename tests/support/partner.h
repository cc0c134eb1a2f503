/*
 * A hand (lab.h) that takes part in sessions: an honest party behind it, and
 * the test says when it speaks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_PARTNER_H
#define FL_TESTS_SUPPORT_PARTNER_H

#include "tests/support/lab.h"

typedef struct {
    fl_hand *hand;
    float value;  // of its update
    fl_plan plan;
    fl_enrolment *list;
    fl_party *party;   // of the session that is on
    fl_parcel vector;  // masked; nothing before the inbox has come
    bool is_lying;     // its vector holds no fields
    fl_step answer;    // said last
    uint8_t *said;     // its bytes
    size_t said_len;
    size_t heard_len;  // of the step that was read last
} fl_partner;

/* Wipes and frees; zeros again, but for hand and value. */
void fl_partner_fini(fl_partner *partner);

/* Takes the PLAN out of the inbox. */
void fl_partner_plan(fl_partner *partner);

/* Says this; the aggregator's answer to it. */
const fl_message *fl_partner_say(fl_partner *partner, fl_step step,
                                 const uint8_t *bytes, size_t len);

/* READY, which must be acknowledged. */
void fl_partner_ready(fl_partner *partner);

/*
 * Takes the step out of the inbox that it has been mailed and thinks about it:
 * the answer is in `answer` and `said`, or in `vector`.
 */
void fl_partner_read(fl_partner *partner, fl_step step);

/* Says what it has thought, or delivers it; the aggregator's answer. */
const fl_message *fl_partner_reply(fl_partner *partner);

/* Both, and it must be acknowledged. */
void fl_partner_answer(fl_partner *partner, fl_step step);

#endif
