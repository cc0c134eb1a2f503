/*
 * The server's errands: work that takes longer than the loop may wait, done by
 * threads of its own. At most one of a kind is under way, as the machine asks
 * for the next only after an answer.
 *
 *   machine --EVALUATE, UNMASK--> errands --(posted to the loop)--> machine
 *
 * Only the loop thread calls these functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_ERRANDS_H
#define FL_AGGREGATOR_ERRANDS_H

#include "aggregator/aggregator.h"
#include "base/pool.h"

typedef struct fl_errands fl_errands;

typedef struct {
    fl_job job;  // first: the pool hands this address back
    fl_errands *errands;
    fl_aggregator_effect asked;
    fl_metrics metrics, int8_metrics;
    fl_err err, int8_err;
    fl_reason why;
} fl_errand_measure;

typedef struct {
    fl_job job;  // first: the pool hands this address back
    fl_errands *errands;
    fl_secagg *secagg;
    fl_err err;
    fl_reason why;
} fl_errand_unmask;

struct fl_errands {
    fl_net *net;  // borrowed: where results are posted
    unsigned thread_count;
    fl_pool *workers;           // measure blocks of rows
    fl_pool *background;        // waits for them, so that the loop need not
    fl_evaluation *evaluation;  // NULL: nothing is held out
    fl_errand_measure measure;
    fl_errand_unmask unmask;
    bool is_measuring, is_unmasking;
};

/* Starts the threads. fl_errands_fini, also after an error: FL_ERR_SYSTEM. */
FL_CHECK fl_err fl_errands_init(fl_errands *errands, fl_net *net,
                                unsigned thread_count, fl_reason *why);

/* Waits for what is under way. Accepts one that is all zeros. */
void fl_errands_fini(fl_errands *errands);

/*
 * Makes room to measure models like this one on `test`, which is borrowed for
 * life. Errors of fl_evaluation_new.
 */
FL_CHECK fl_err fl_errands_prepare(fl_errands *errands, const fl_dataset *test,
                                   const fl_model *model, fl_reason *why);

/* Does what an EVALUATE or UNMASK effect asks for. */
void fl_errands_measure(fl_errands *errands,
                        const fl_aggregator_effect *effect);
void fl_errands_unmask(fl_errands *errands, fl_secagg *secagg);

/*
 * Something was posted to the loop. True: it is an errand's end, and *event
 * tells the machine; valid until the next errand begins.
 */
bool fl_errands_end(fl_errands *errands, const void *posted,
                    fl_aggregator_event *event);

bool fl_errands_is_busy(const fl_errands *errands);

#endif
