/*
 * The aggregator's side of the protocol: a state machine that is fed events
 * and returns effects. No socket, clock, thread or randomness of its own; the
 * daemon connects it to TCP and SQLite, the simulator to virtual time.
 *
 *   GATHERING --cohort is there: plans go out--> TRAINING
 *      ^  ^                                       |    | enough are ready
 *      |  +------ deadline, no quorum ------------+    v
 *      |  +------ too few left, aborted -------------- SESSION --> UNMASKING
 *      |                          (in the clear: no session)         |
 *      +------ SAVING <------ EVALUATING <---------------------------+
 *                 |
 *                 +-- the last round --> FINISHED; of a model that was made
 *                     smaller, after a FAREWELL in which clients fetch it,
 *                     also those who come back after a restart
 *
 * Updates are summed in integers, masked or not: the new model does not depend
 * on the order in which they arrive. A round exists once it is saved; a crash
 * before that loses nothing that was finished, and clients offer their updates
 * again.
 *
 * One owner, one thread. Effects are to be carried out in their order and
 * before the next event; what they point to is valid until then.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_AGGREGATOR_H
#define FL_AGGREGATOR_AGGREGATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregator/evaluation.h"
#include "aggregator/export.h"
#include "aggregator/federation.h"
#include "aggregator/joining/registration.h"
#include "aggregator/master.h"
#include "aggregator/reduction.h"
#include "aggregator/store.h"
#include "aggregator/totals.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "base/reason.h"
#include "compress/compress.h"
#include "model/model.h"
#include "net/net.h"
#include "proto/proto.h"
#include "secure/secure.h"

/* ---- events ---- */

typedef enum {
    FL_AGGREGATOR_TICK,       // time has passed; also the first event
    FL_AGGREGATOR_OPENED,     // conn: a client has connected
    FL_AGGREGATOR_FRAME,      // conn, bytes, len
    FL_AGGREGATOR_CLOSED,     // conn
    FL_AGGREGATOR_EVALUATED,  // answers EVALUATE: metrics, or err
    FL_AGGREGATOR_UNMASKED,   // answers UNMASK: err and why
    FL_AGGREGATOR_SAVED,      // answers SAVE_ROUND: err
    FL_AGGREGATOR_REGISTRY,   // registry: who is enrolled and who is not has
                              // changed
    FL_AGGREGATOR_JOINED,     // conn, standing: answers JOIN
    FL_AGGREGATOR_SETTINGS,   // settings: hold from the next round on
    FL_AGGREGATOR_STOP,       // leave politely: close all, then LEAVE
} fl_aggregator_event_kind;

/* What of the options may change between two rounds. */
typedef struct {
    fl_plan training;
    uint32_t quorum;
    int64_t deadline_ms, farewell_ms;
    uint32_t phase_ms;
    uint32_t evaluate_every;
} fl_aggregator_settings;

typedef struct {
    fl_aggregator_event_kind kind;
    int64_t now_ms;
    fl_conn conn;
    const uint8_t *bytes;  // borrowed
    size_t len;
    fl_metrics metrics;
    fl_metrics int8_metrics;  // EVALUATED: of the INT8 form; sample_count 0:
                              // it was not asked for, or has failed
    fl_err err;
    const char *why;  // UNMASKED: the sentence, when err is not FL_OK
    const fl_registry *registry;             // REGISTRY: borrowed
    fl_standing standing;                    // JOINED
    const fl_aggregator_settings *settings;  // SETTINGS: borrowed
} fl_aggregator_event;

/* ---- effects ---- */

typedef enum {
    FL_AGGREGATOR_SEND,         // conn, bytes, len: one frame
    FL_AGGREGATOR_CLOSE,        // conn; CLOSED follows
    FL_AGGREGATOR_EVALUATE,     // model: EVALUATED answers; it does not change
                                // until then; with bytes, len: also its INT8
                                // form with these ranges (fl_ranges_decode)
    FL_AGGREGATOR_UNMASK,       // secagg: fl_secagg_unmask it; UNMASKED
                                // answers, nobody else touches it until then
    FL_AGGREGATOR_SAVE_LIST,    // bytes, len: the enrolment list to start with
                                // next time, on disk before the next effect
    FL_AGGREGATOR_SAVE_ROUND,   // round, bytes, len (ONNX), master: SAVED
                                // answers
    FL_AGGREGATOR_SAVE_CLIENT,  // client; device: when it has checked in
    FL_AGGREGATOR_JOIN,         // conn, device, join: a stranger asks to be
                                // enrolled; JOINED answers, and REGISTRY goes
                                // before it when that has changed it
    FL_AGGREGATOR_LOG,          // level, event, text
    FL_AGGREGATOR_LEAVE,        // stop the program
} fl_aggregator_effect_kind;

typedef struct {
    fl_aggregator_effect_kind kind;
    fl_conn conn;
    const uint8_t *bytes;
    size_t len;
    fl_model *model;
    fl_secagg *secagg;
    const uint8_t *master;
    size_t master_len;
    const fl_round_record *round;
    const fl_client_record *client;
    const fl_device *device;  // or NULL
    const fl_join *join;      // secret
    fl_log_level level;
    const char *event;
    const char *text;
} fl_aggregator_effect;

/* ---- the machine ---- */

typedef struct {
    fl_identity identity;
    uint32_t round_count;     // finish after this round
    uint32_t cohort;          // updates that make a round
    uint32_t quorum;          // updates without which a round fails, >= 1
    double over_select;       // ask this share more clients than `cohort`
    uint32_t min_clients;     // wait for so many before the first round
    int64_t gather_ms;        // and at least so long
    int64_t deadline_ms;      // from the plan to the last update
    int64_t farewell_ms;      // for the last model, at most
    uint32_t evaluate_every;  // rounds; 0: never; the last one always is
    fl_plan training;         // how to train; round, model, ... are filled in
    uint32_t norm_rounds;     // then batch norms are frozen
    uint64_t seed;
    uint64_t start_count;     // of this state; mail numbers are built from it
    bool is_copy;             // of a state whose enrolment list is older than
                              // what clients have; start_count says how much
    uint64_t serial_floor;    // of enrolment lists that are lost; 0: none is
    uint32_t client_cap;      // clients known at once
    uint32_t known_count;     // clients of earlier starts: they may come back
    size_t upload_bytes_cap;  // memory for updates on their way
    fl_arena *scratch;        // borrowed; reset at every step
    void (*random_bytes)(void *self, void *dst, size_t len);  // secrets
    void *random_self;

    fl_aggregation aggregation;
    fl_codec_kind codec;
    uint32_t codec_bits;
    bool is_overflow_free;          // sums cannot wrap
    double density, density_small;  // share of coordinates that is sent
    double release;                 // share that moves in a round
    double grid;                    // step of the published model; 0: none
    double lr_decay;                // of the learning rate, a round
    double value_clip;              // largest |value| of an update
    uint32_t weight_max;            // examples that count of one client
    uint32_t min_survivors;         // SECURE: a quorum of at least so many
    uint32_t phase_ms;  // SECURE: how long a phase of a session may take
    // Only who the registry says is enrolled may come; else anybody who is not
    // revoked, or who is in the list of an authority elsewhere.
    bool is_guarded;
    // SECURE: signs the list of those who may come; NULL: `list` says who may,
    // and only an authority elsewhere can change it.
    const fl_identity *authority;
    const uint8_t *list;  // the enrolment list so far; NULL: none
    size_t list_len;
    const uint8_t *master;  // as it was saved with the model; NULL: none
    size_t master_len;
    fl_reduction_options reduction;
} fl_aggregator_options;

typedef struct fl_aggregator fl_aggregator;

/*
 * Goes on after `rounds_done` rounds with `model`, which it takes when the
 * result is FL_OK; without a master (options) the model is moved onto a grid
 * first. `list` and `master` are copied, `authority` is borrowed for life. The
 * caller owns *aggregator: fl_aggregator_free. FL_ERR_RANGE: an option makes no
 * sense. FL_ERR_FORMAT, FL_ERR_AUTH: the list or the master, *why says what is
 * wrong with it.
 */
FL_CHECK fl_err fl_aggregator_new(fl_aggregator **aggregator,
                                  const fl_aggregator_options *options,
                                  uint32_t rounds_done, fl_model *model,
                                  fl_reason *why);

/* Wipes the identity. Accepts NULL. */
void fl_aggregator_free(fl_aggregator *aggregator);

/* Handles one event; *effects: *count of them, until the next step. */
void fl_aggregator_step(fl_aggregator *aggregator,
                        const fl_aggregator_event *event,
                        const fl_aggregator_effect **effects, size_t *count);

/* When the next TICK is due, on the clock of the events' now_ms. */
int64_t fl_aggregator_deadline(const fl_aggregator *aggregator);

typedef struct {
    uint32_t rounds_done, round_count;
    uint32_t attempt;          // above 1: quorums were missed
    uint32_t connected_count;  // clients checked in
    // Clients by what they said last of why they cannot work, whether they are
    // connected or not; of NONE: those that are.
    uint32_t away_counts[FL_AWAY_COUNT];
    uint32_t selected_count, update_count;  // of the round that is on
    uint32_t refused_count;                 // updates refused since the start
    uint32_t aborted_count;                 // sessions, since the start
    bool is_in_session;
    const char *activity;  // "gathering", "training", ...
} fl_aggregator_status;

fl_aggregator_status fl_aggregator_get_status(const fl_aggregator *aggregator);

/*
 * The global model after the last saved round, as ONNX: what clients download.
 * Valid until the next step.
 */
const uint8_t *fl_aggregator_model(const fl_aggregator *aggregator,
                                   size_t *len);

/*
 * The ranges of the model's INT8 form (fl_ranges_decode). NULL: it has none.
 * Valid until the next step.
 */
const uint8_t *fl_aggregator_ranges(const fl_aggregator *aggregator,
                                    size_t *len);

/* What a model of so many parameters costs, for the record of round 0. */
fl_model_cost fl_aggregator_cost(const fl_aggregator *aggregator);

/* What the model follows, to be saved with it. Valid until the next step. */
const fl_master *fl_aggregator_master(const fl_aggregator *aggregator);

/*
 * The clients whose updates made the round that was saved last, by public
 * key, in the order of their keys; for reports. Returns their number.
 */
size_t fl_aggregator_contributors(const fl_aggregator *aggregator,
                                  const uint8_t (**keys)[FL_KEY_BYTES]);

/* What a federation says of them. Needs options that have passed the check. */
fl_aggregator_settings fl_federation_settings(const fl_federation *federation);

/* Fills in what a federation says; the other options stay as they are. */
void fl_federation_apply(const fl_federation *federation,
                         fl_aggregator_options *options);

#endif
