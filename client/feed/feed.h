/*
 * What a client trains on now, and the job that looks for more.
 *
 *   loop: begin --> worker: look, load --> loop: finish
 *
 * Between begin and finish the rows in use stay as they are; finish puts new
 * ones in their place, whole. So a round has either.
 *
 * Private to client/. The loop thread owns it; what is `next` belongs to the
 * worker between begin and finish.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_FEED_H
#define FL_CLIENT_FEED_H

#include "base/pool.h"
#include "client/feed/stock.h"
#include "client/state/state.h"

/* What one look has found. */
typedef struct {
    bool is_fresh;  // there is another stock
    fl_stock stock;
    uint64_t stamp;
    fl_skips skips;
    uint32_t waiting_count;
    fl_reason trouble;  // why there are no new rows, or none; "": all is well
    fl_err err;         // the model cannot learn from these rows
    fl_reason why;
} fl_feed_look;

typedef struct {
    fl_job job;  // first: the pool hands this address back
    const fl_service_options *options;
    fl_service_options
        seen;  // as they were at the begin: for the worker, since
               // a reload may change them while it is at work
    uint64_t key;
    fl_stock stock;    // in use
    fl_stock retired;  // in use before, for who still has it
    uint64_t stamp;
    fl_skips skips;
    uint32_t waiting_count;
    fl_reason trouble;
    const uint8_t *model;  // to be learnt from the rows; or NULL
    size_t model_len;
    atomic_bool stop;
    fl_feed_look next;
} fl_feed;

/*
 * Loads what there is. Own data need not be there yet, or be good. `key` makes
 * this client's places. FL_ERR_NOT_FOUND, FL_ERR_FORMAT, FL_ERR_RANGE,
 * FL_ERR_LIMIT: the options or the data; FL_ERR_SYSTEM, FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_feed_open(fl_feed *feed, const fl_service_options *options,
                             uint64_t key, fl_reason *why);

/* Accepts one that is all zeros. No job may be under way. */
void fl_feed_close(fl_feed *feed);

/* Whether there can be more. */
bool fl_feed_grows(const fl_feed *feed);

/*
 * Prepares the job; set job.done and submit it then. With a model, borrowed
 * until the end, it is checked whether it can learn from the rows.
 */
void fl_feed_begin(fl_feed *feed, const uint8_t *model, size_t model_len);

/*
 * The job is done: takes new rows into use. is_lent: somebody still has the
 * old ones, until fl_feed_release. FL_ERR_RANGE, FL_ERR_FORMAT: the model
 * cannot learn from the rows. FL_ERR_CANCELLED: it was stopped.
 */
FL_CHECK fl_err fl_feed_finish(fl_feed *feed, bool is_lent, fl_reason *why);

void fl_feed_release(fl_feed *feed);

/* Puts rows, places, and the memory that these leave, into `data`. */
void fl_feed_lend(const fl_feed *feed, fl_local_data *data);

/* Leaves word of what the classes are called, for who has only the model. */
void fl_feed_keep_classes(const fl_feed *feed, fl_state *state);

#endif
