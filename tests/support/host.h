/*
 * A client's machine on a bench, and an aggregator moved by hand: it says
 * whatever a test wants, true or not.
 *
 * The bench carries out what the client asks for: FIND is answered at once
 * with what the test has put on the disk, TRAIN when the test says so, BURN at
 * once unless the test keeps it waiting. After every TICK it demands that the
 * next one lies in the future: a deadline in the past would make the daemon's
 * loop spin.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_HOST_H
#define FL_TESTS_SUPPORT_HOST_H

#include "client/client.h"
#include "tests/support/lab.h"

enum {
    FL_HOST_INBOX = 160,
    FL_HOST_CHUNKS = 20,
    // Fewer floats than fill the chunks: numbers come before them.
    FL_HOST_SPARE = 8,
    FL_HOST_PEERS = 3,  // devices in the list beside the client
    FL_HOST_BURNS = 8,
};

/* Names the authority's key, and the peers' from here on. */
#define FL_HOST_AUTHORITY ((uint8_t)77)
#define FL_HOST_PEER      ((uint8_t)201)

typedef struct {
    fl_client *client;
    fl_arena scratch, kept;  // kept: what inbox messages borrow
    int64_t now_ms;
    uint32_t random;
    bool is_dialling, is_open, has_hung_up, has_left;
    fl_err left_with;

    // The aggregator.
    fl_identity identity;
    fl_line line;
    uint64_t mail;
    uint8_t frame[FL_LINE_GREETING_CAP];  // the last one in clear that came
    size_t frame_len;
    fl_message inbox[FL_HOST_INBOX];
    size_t inbox_len;
    fl_parcel model;   // FL_HOST_CHUNKS chunks; the last one is short
    fl_parcel list;    // for sessions; fl_host_enrol
    fl_parcel ranges;  // fl_host_make_ranges

    // What the client has asked for.
    uint32_t counts[FL_CLIENT_LEAVE + 1];  // effects by kind
    uint8_t pin[FL_KEY_BYTES];
    uint32_t chunks;  // of the update that plans ask for; 1 unless changed
    bool is_training;
    const uint8_t *job;  // what TRAIN lent
    size_t job_len;
    const uint8_t *job_ranges;  // and this, or NULL
    size_t job_ranges_len;
    bool is_installing;
    const uint8_t *install, *install_ranges;  // what INSTALL lent
    size_t install_len, install_ranges_len;
    fl_plan install_plan;
    fl_plan plan;                         // of the last TRAIN
    size_t trained_len;                   // of the update that it gave
    bool is_downloading;                  // from BEGIN to END
    uint8_t begun[FL_HASH_BYTES];         // what
    uint8_t authority[FL_KEY_BYTES];      // pinned
    fl_client_past burns[FL_HOST_BURNS];  // numbers that went to the disk
    bool keeps_burn_waiting;              // fl_host_burned is the test's matter
    bool is_burning;
    fl_err burn_err;          // what the disk says
    fl_enrolment *enrolment;  // the client's
    fl_device card;           // of the client
    uint8_t *disk;            // the update that is kept; NULL: none
    size_t disk_len;          //
    uint8_t *residual;        // the one that is kept; NULL: none
    size_t residual_len;
    bool takes_base;           // of the last FIND
    char event[64];            // of the last line
    char why[1024];            // pairs of the last line about trouble
    char session[64];          // event of the last line about a session
    char session_pairs[1024];  // and its pairs

    // What FIND finds; taken.
    uint8_t *found_model;
    size_t found_model_len;
    fl_parts *found_parts;
    uint8_t *found_base;
    size_t found_base_len;
    uint8_t base_name[FL_HASH_BYTES];
} fl_host;

/* A key of its own, no pin, 10 samples; a test may change them first. */
fl_client_options fl_host_options(void);
void fl_host_init(fl_host *host, const fl_client_options *options);
void fl_host_fini(fl_host *host);

void fl_host_tell(fl_host *host, fl_client_event event);

/* The list from now on: the peers and, unless it is left out, the client. */
void fl_host_enrol(fl_host *host, uint8_t authority, uint64_t serial,
                   bool has_client);

/* The BURN that waits is done. */
void fl_host_burned(fl_host *host, fl_err err);

/* Lets time pass, then gives the machine a TICK. */
void fl_host_wait(fl_host *host, int64_t ms);

/* Lets time pass until the client dials; opens the connection. */
void fl_host_open(fl_host *host);

/* The connection is gone. */
void fl_host_lose(fl_host *host);

/* Answers the HELLO that is in the inbox; then the NOISE; or both. */
void fl_host_welcome(fl_host *host);
void fl_host_noise(fl_host *host);
void fl_host_greet(fl_host *host);

/* Opens, greets, takes the check-in. */
void fl_host_join(fl_host *host);

/* Sends, sealed when it can be. */
void fl_host_send(fl_host *host, fl_message *message);

/* As fl_hand_send_body. */
void fl_host_send_body(fl_host *host, const fl_message *header,
                       const uint8_t *body, size_t len);

/* Sends these very bytes. */
void fl_host_send_bytes(fl_host *host, const uint8_t *bytes, size_t len);

/* As fl_host_send, with the operation and the round of `request`. */
void fl_host_answer(fl_host *host, const fl_message *request,
                    fl_message *message);
void fl_host_ack(fl_host *host, const fl_message *request);
void fl_host_refuse(fl_host *host, const fl_message *request, fl_err code);
void fl_host_mail(fl_host *host, fl_mail_kind kind, uint32_t round);

void fl_host_mail_plan(fl_host *host, const fl_plan *plan);
void fl_host_mail_step(fl_host *host, uint32_t round, fl_step step,
                       const uint8_t *bytes, size_t len);

/* GRANT for the OPEN; `has` names the chunks that are there, bit by bit. */
void fl_host_grant(fl_host *host, const fl_message *open, uint32_t window,
                   uint32_t has);

/* Answers a FETCH as an honest aggregator does. */
void fl_host_serve(fl_host *host, const fl_message *fetch);

/* As if this object were the one that was asked for. */
void fl_host_serve_as(fl_host *host, const fl_message *fetch,
                      const fl_parcel *parcel);

/* The oldest message in the inbox, taken out; NULL: it is empty. */
const fl_message *fl_host_next(fl_host *host);

/* Takes messages out up to the first of this type; NULL: there is none. */
const fl_message *fl_host_take(fl_host *host, fl_message_type type);

/* The plan of a round, as MAIL has it. */
fl_plan fl_host_plan(const fl_host *host, uint32_t round);

/* The same for a session: the number is the round's, 3 clients at least. */
fl_plan fl_host_secure_plan(const fl_host *host, uint32_t round);

/* Ranges that the aggregator serves; some bytes, or these, which it copies. */
void fl_host_make_ranges(fl_host *host, const uint8_t *bytes, size_t len);

/* The plan of a survey in the clear, whose answer is `count` counts. */
fl_plan fl_host_survey_plan(const fl_host *host, uint32_t round, fl_work work,
                            size_t count);

/* FINISHED, with the model and the ranges that are served, if there are. */
void fl_host_mail_last(fl_host *host, uint32_t round);

/* The answer to INSTALL: this verdict; or an error. */
void fl_host_installed(fl_host *host, const fl_client_verdict *verdict);

/* The training ends: with an update of `chunks` chunks, or with an error. */
fl_result fl_host_result(uint32_t chunks);
void fl_host_trained(fl_host *host, uint32_t chunks);
void fl_host_failed(fl_host *host, fl_err err);

/* From a plan to the OPEN of an update of `chunks` chunks. */
const fl_message *fl_host_bring_to_open(fl_host *host, uint32_t round,
                                        uint32_t chunks);

#endif
