/*
 * A fixed number of worker threads that run jobs in the order submitted.
 *
 *   submit -> queued -> running -> done        fl_pool_wait returns at "done"
 *
 * A job is a function and the struct it owns; it touches nothing else that
 * changes, so results do not depend on the number of threads. With 0 threads
 * a job runs inside fl_pool_submit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_POOL_H
#define FL_BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

typedef struct fl_pool fl_pool;

/* Embed it in the job's own struct; it must live until the job is done. */
typedef struct fl_job {
    void (*run)(struct fl_job *job);   // on a worker thread
    void (*done)(struct fl_job *job);  // after run, same thread; or NULL
    void *owner;                       // whose it is: for `done`
    struct fl_job *next;               // the pool's
    int state;                         // the pool's
} fl_job;

/* Owner: fl_pool_free. FL_ERR_SYSTEM: a thread could not be started. */
FL_CHECK fl_err fl_pool_new(fl_pool **pool, unsigned thread_count);

/* Finishes every submitted job first. Accepts NULL. */
void fl_pool_free(fl_pool *pool);

/* Hands the job over; `run` must be set. Jobs are a list: no maximum here. */
void fl_pool_submit(fl_pool *pool, fl_job *job);

/* Returns when this job, submitted before and without `done`, has run. */
void fl_pool_wait(fl_pool *pool, fl_job *job);

#endif
