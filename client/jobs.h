/*
 * What a client has its worker do: train, look for new data, make the INT8
 * form. One worker, so one of them at a time, in the order they were asked for.
 *
 *   loop: train, install, seek --> worker --posted to the loop--> take
 *            --> event for the machine --> settle
 *
 * A training of data that grows begins with a look: it learns from what is
 * there now.
 *
 * Private to client/. The loop thread owns it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_JOBS_H
#define FL_CLIENT_JOBS_H

#include "client/feed/feed.h"
#include "client/gate.h"
#include "client/installer.h"
#include "client/service.h"
#include "client/training.h"
#include "net/net.h"

typedef struct {
    const fl_service_options *options;
    fl_state *state;
    fl_net *net;      // gets what is done
    uint64_t number;  // names this client's random streams
    fl_pool *pool;
    fl_gate gate;
    fl_feed feed;
    fl_external external;  // who trains, if not the engine
    fl_training training;
    fl_installer installer;
    fl_footprint footprint;  // of the last training
    bool is_training, is_installing, is_looking;
    bool awaits_data;   // the training, until the feed has looked for more
    bool has_given_up;  // the training that goes on
    int64_t look_at_ms;
} fl_jobs;

/*
 * Loads the data and looks for the trainer. Borrows options and state. The
 * caller owns *jobs, which must not move, and closes it also after an error.
 * Errors: those of fl_external_init, fl_feed_open and fl_gate_init.
 */
FL_CHECK fl_err fl_jobs_open(fl_jobs *jobs, const fl_service_options *options,
                             fl_state *state, uint64_t number, fl_reason *why);

/* Starts the worker; it answers through net. FL_ERR_SYSTEM: no thread. */
FL_CHECK fl_err fl_jobs_start(fl_jobs *jobs, fl_net *net);

/* Waits for the worker. Accepts one that is all zeros. */
void fl_jobs_close(fl_jobs *jobs);

/* Begins what a TRAIN or an INSTALL effect asks for; borrows its bytes. */
void fl_jobs_train(fl_jobs *jobs, const fl_client_effect *effect);
void fl_jobs_install(fl_jobs *jobs, const fl_client_effect *effect);

/*
 * Looks for data where there is too little: then nobody asks this client to
 * train, and so to look. To be called often; mostly does nothing.
 */
void fl_jobs_seek(fl_jobs *jobs);

/*
 * The worker has posted this. True: the machine is to be told *event, which
 * borrows from the jobs until fl_jobs_settle.
 */
bool fl_jobs_take(fl_jobs *jobs, const void *posted, fl_client_event *event);

/* The machine has been told: frees what it borrowed. */
void fl_jobs_settle(fl_jobs *jobs);

/* Stops between two pieces of work, or goes on. */
void fl_jobs_pause(fl_jobs *jobs, bool is_paused);

/* The training that goes on: it ends soon, cancelled, and is taken as others.
 */
void fl_jobs_cancel(fl_jobs *jobs);

/* The machine has left it to others: it is not waited for any more. */
void fl_jobs_give_up(fl_jobs *jobs);

/*
 * The latest time at which a paused training that has to be done at end_ms may
 * go on; INT64_MAX: none is left to wait for.
 */
int64_t fl_jobs_patience(const fl_jobs *jobs, int64_t end_ms);

/* Whether a training does not stop though it was asked to long ago. */
bool fl_jobs_are_stuck(const fl_jobs *jobs);

/* Asks all of them to stop soon; nothing that they post counts any more. */
void fl_jobs_leave(fl_jobs *jobs);
void fl_jobs_forget(fl_jobs *jobs, const void *posted);
bool fl_jobs_are_busy(const fl_jobs *jobs);

#endif
