/*
 * A training, or a survey, as a job for a worker: it can be paused, and goes
 * on as if it had not been.
 *
 *   begin --> job: gate, step, gate, step, ... --> done: result, err, why
 *
 * A training waits at the gate between two batches. A survey, which takes
 * seconds and keeps nothing between two of them, is begun anew. Either way
 * the result has the same bits as without a pause.
 *
 * Private to client/. The fields are the worker's until the job is done,
 * except those that are atomic.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_TRAINING_H
#define FL_CLIENT_TRAINING_H

#include "base/pool.h"
#include "client/client.h"
#include "client/gate.h"

enum { FL_TRAINING_STUCK_MS = 10 * 60 * 1000 };

typedef struct {
    fl_job job;  // first: the pool hands this address back; `done` and `owner`
                 // are the owner's
    fl_gate *gate;
    fl_plan plan;
    fl_local_data data;
    atomic_bool stop;
    atomic_bool is_interrupted;  // a survey: stop, or begin anew
    int64_t begun_ms;
    // How far it has come, for whoever asks.
    atomic_llong step, step_count, worked_ms;
    int64_t resumed_ms;
    int64_t stopped_ms;  // when it was first asked to stop; 0: never. Its
                         // owner's, like the two functions that look at it
    fl_result result;
    fl_err err;
    fl_reason why;
} fl_training;

/* The job, ready to be submitted. `effect`: TRAIN. Borrows what data does. */
void fl_training_begin(fl_training *training, fl_gate *gate,
                       const fl_client_effect *effect,
                       const fl_local_data *data);

/* The gate has been closed. */
void fl_training_pause(fl_training *training);

/* Leaves soon, with FL_ERR_CANCELLED. */
void fl_training_stop(fl_training *training);

/*
 * Whether it goes on ten minutes after it was asked to stop: it will never come
 * to its next step.
 */
bool fl_training_is_stuck(const fl_training *training, int64_t now_ms);

/*
 * The latest time at which a paused training may go on and still be done
 * before end_ms, as far as its steps so far tell; a tenth of the round is left
 * for what comes after it.
 */
int64_t fl_training_latest(const fl_training *training, int64_t end_ms);

#endif
