/*
 * The real aggregator and real clients, joined by wires that a test cuts.
 *
 * Frames travel one by one, in the order in which they were sent. Time moves
 * on when nothing is on its way. Training takes no time and gives an update of
 * one value (with disks: of values around it), to a client that has the very
 * model that was saved last. A cut takes everything with it that is on its way
 * on that wire. No client may ever burn a number that is not above its last
 * one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_WIRE_H
#define FL_TESTS_SUPPORT_WIRE_H

#include "aggregator/aggregator.h"
#include "client/client.h"

enum { FL_WIRE_CLIENTS = 5, FL_WIRE_ROUNDS = 64 };

typedef struct fl_wire_frame fl_wire_frame;

typedef struct {
    struct fl_wires *wires;
    fl_client *client;  // NULL: switched off
    uint8_t key;
    uint64_t start_count;
    fl_conn conn;
    bool is_dialling, is_training, must_find, must_burn;
    fl_client_event found;  // the answer to FIND
    fl_enrolment *enrolment;
    fl_plan plan;  // of the training
    uint32_t train_count, trained_count, saved_count;
    // The disk: the pins, the update and the last session.
    uint8_t pin[FL_KEY_BYTES], authority[FL_KEY_BYTES];
    bool has_pin, has_authority;
    uint32_t kept_round;  // 0: none
    uint8_t kept_recipe[FL_HASH_BYTES];
    fl_client_past past;
    uint32_t burn_count;
    // The newest model and the residual, when wires keep them.
    uint8_t *model, *residual;
    size_t model_len, residual_len;
    uint8_t model_name[FL_HASH_BYTES];
    uint32_t patched_count, plain_count;  // how models came
    uint32_t patch_refused_count;
    uint32_t finished_count;  // how often it heard that all is over
    bool is_stuck;            // its training does not end
    bool is_offline;          // dials reach nobody
    uint32_t dial_count;      // of those
    bool is_lying;            // its counts in surveys are as large as can be
} fl_wire_end;

typedef struct fl_wires {
    fl_aggregator_options options;
    fl_aggregator *aggregator;
    uint64_t start_count;
    fl_wire_end ends[FL_WIRE_CLIENTS];
    uint32_t client_count;
    fl_arena scratch;
    uint32_t random;
    int64_t now_ms;
    fl_conn last_conn;
    fl_wire_frame *first, *last;  // on their way
    uint32_t delivered_count;
    bool has_left;
    // The aggregator's disk.
    uint32_t rounds_done;
    uint8_t *bytes;
    size_t len;
    uint8_t *list;
    size_t list_len;
    uint8_t *master;
    size_t master_len;
    fl_round_record rounds[FL_WIRE_ROUNDS];
    uint32_t failed_count;  // rounds, and all that begins again
    // A test may change these.
    bool has_disks;  // clients keep models and residuals
    float value;     // what an update adds to every parameter, about
    // What surveys say: of 1000 rows so many are right, and of the float32
    // model beside an INT8 form so many.
    uint32_t right, whole;
} fl_wires;

/* As fl_lab_options; rounds, cohort, ... are the test's matter. */
void fl_wires_init(fl_wires *wires, const fl_aggregator_options *options,
                   uint32_t client_count);
void fl_wires_fini(fl_wires *wires);

/* One thing happens: a frame, the end of a training, or the next deadline. */
void fl_wires_step(fl_wires *wires);

/* Steps until so many rounds are saved; fails when that takes for ever. */
void fl_wires_run_to(fl_wires *wires, uint32_t round);

/* Frames on their way are gone; both sides hear of it. */
void fl_wires_cut(fl_wires *wires, uint32_t client);

/* Power off and on again: what is on disk is what is left. */
void fl_wires_restart_client(fl_wires *wires, uint32_t client);
void fl_wires_restart_aggregator(fl_wires *wires);

/* A parameter of the model that was saved last. */
float fl_wires_param(const fl_wires *wires);

/* What the client's disk holds from now on: this model under this name. */
void fl_wires_put_model(fl_wires *wires, uint32_t client,
                        const uint8_t name[FL_HASH_BYTES], const uint8_t *bytes,
                        size_t len);

/* What a training adds to parameter i, with disks. */
float fl_wires_update(const fl_wires *wires, size_t i);

/* What every update adds to every parameter, unless a test says otherwise. */
#define FL_WIRE_VALUE 0.5F

#endif
