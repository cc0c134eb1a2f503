/*
 * An aggregator's machine on a bench, and clients moved by hand: they say
 * whatever a test wants, true or not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_LAB_H
#define FL_TESTS_SUPPORT_LAB_H

#include "aggregator/aggregator.h"

enum { FL_LAB_HANDS = 8, FL_LAB_INBOX = 64 };

/* A client moved by hand. What it was sent waits in its inbox. */
typedef struct {
    struct fl_lab *lab;
    fl_conn conn;
    bool is_closed;  // the aggregator hung up
    fl_identity identity;
    fl_line line;
    uint64_t operation;
    const uint8_t *frame;  // the last one that came, as it travelled
    size_t frame_len;
    fl_message inbox[FL_LAB_INBOX];
    size_t inbox_len;
} fl_hand;

typedef struct fl_lab {
    fl_aggregator *aggregator;
    fl_arena scratch, kept;  // kept: what inbox messages borrow
    int64_t now_ms;
    uint32_t random;
    fl_hand hands[FL_LAB_HANDS];
    fl_err save_err;        // what the disk says to the next saves
    fl_metrics metrics;     // what evaluations give
    fl_round_record round;  // the last one saved
    uint32_t saved_count, tried_count;
    fl_err unmask_err;          // what unmasking says, when it is not tried
    bool keeps_unmask_waiting;  // fl_lab_unmask is the test's matter
    fl_secagg *secagg;          // that waits
    uint8_t *list;              // the enrolment list to start with next time
    size_t list_len;
    uint32_t list_count;  // how often it was saved
    uint32_t join_count;  // strangers that have asked to be enrolled
    fl_conn asking;       // the last one
    fl_device asking_device;
    fl_join asked;
    bool has_left;
    float *params;  // of the model that was saved last
    size_t param_count;
} fl_lab;

/* Cohort 2, quorum 1, 3 rounds, LeNet, in the clear; a test may change
 * `options` first. */
fl_aggregator_options fl_lab_options(void);

/* The same in sessions, of 3 clients at least; it holds the authority. */
fl_aggregator_options fl_lab_secure_options(uint32_t cohort);
void fl_lab_init(fl_lab *lab, const fl_aggregator_options *options);
void fl_lab_fini(fl_lab *lab);

/* Lets time pass, then gives the machine a TICK. */
void fl_lab_wait(fl_lab *lab, int64_t ms);
void fl_lab_stop(fl_lab *lab);

/* Any other event; its time is filled in. */
void fl_lab_tell(fl_lab *lab, fl_aggregator_event event);

/* The UNMASK that waits is done. */
void fl_lab_unmask(fl_lab *lab);

/* Connects hand `i` (its key is named by `key`), greets and checks in. */
fl_hand *fl_lab_join(fl_lab *lab, int i, uint8_t key);

/* Only connects. */
fl_hand *fl_lab_connect(fl_lab *lab, int i, uint8_t key);

/* Says HELLO and hears WELCOME; after that NOISE; and hears its answer. */
fl_greeting fl_hand_hello(fl_hand *hand);
void fl_hand_noise(fl_hand *hand, const fl_greeting *greeting);
void fl_hand_join(fl_hand *hand);

/* All three: the line is sealed. */
void fl_hand_greet(fl_hand *hand);

/* A client's first sealed message. */
fl_message fl_hand_check_in(void);
void fl_hand_disconnect(fl_hand *hand);

/* Sends, sealed when it can be; a new operation is filled in when 0. */
void fl_hand_send(fl_hand *hand, fl_message *message);

/*
 * Sends this header and this body in a frame that opens, if the line is
 * sealed: what it says is the test's matter. The counter and the session are
 * those of the line when 0. Needs len <= 4096.
 */
void fl_hand_send_body(fl_hand *hand, const fl_message *header,
                       const uint8_t *body, size_t len);

/* Sends these very bytes. */
void fl_hand_send_bytes(fl_hand *hand, const uint8_t *bytes, size_t len);

/* The oldest message in the inbox, taken out; NULL: it is empty. */
const fl_message *fl_hand_next(fl_hand *hand);

/* Takes messages out up to the first of this type; NULL: there is none. */
const fl_message *fl_hand_take(fl_hand *hand, fl_message_type type);

/* An update as a plan asks for it, ready to be offered. */
typedef struct {
    uint8_t *bytes;
    size_t len;
    uint8_t *manifest;
    size_t manifest_len;
    uint8_t name[FL_HASH_BYTES];
    uint32_t chunk_count;
} fl_parcel;

/*
 * An update of param_count values, all `value`, by a client with 10 examples,
 * 5 of them right, and a loss of 20. A value beyond the plan's clip makes one
 * that no honest client packs.
 */
void fl_parcel_init(fl_parcel *parcel, const fl_plan *plan, size_t param_count,
                    float value);

/* Any object. Takes the bytes. */
void fl_parcel_wrap(fl_parcel *parcel, fl_object_kind kind, uint32_t round,
                    uint8_t *bytes, size_t len);
void fl_parcel_fini(fl_parcel *parcel);

/* OPEN for this plan. */
void fl_hand_open(fl_hand *hand, const fl_plan *plan, const fl_parcel *parcel);
void fl_hand_put(fl_hand *hand, const fl_plan *plan, const fl_parcel *parcel,
                 uint32_t index);
void fl_hand_commit(fl_hand *hand, const fl_plan *plan,
                    const fl_parcel *parcel);

/* All of these, and the answer to COMMIT. */
const fl_message *fl_hand_deliver(fl_hand *hand, const fl_plan *plan,
                                  const fl_parcel *parcel);

#endif
