/*
 * Training a model in place, from the start or again after something was taken
 * from it. A plan is compiled for one run and forgotten, so that the model may
 * have another shape the next time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_TUNE_H
#define FL_COMPRESS_TUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/random.h"
#include "base/reason.h"
#include "model/model.h"

/* Batches that the statistics of batch norms follow when nothing is learned. */
enum { FL_TUNE_BATCHES = 100 };

/* Everything that it points to is borrowed. */
typedef struct {
    const fl_dataset *dataset;
    const uint32_t *rows;
    size_t row_count;
    /*
     * As fl_trainer_run takes them; epochs and how long the schedule is follow
     * from the run: cosine covers it, step falls to a tenth after each third.
     */
    fl_train_options train;
    uint32_t thread_count;  // 0: 1
    bool recompute;         // as in fl_trainer_options
    const char *freeze;     // the same
    fl_random *random;      // the order of rows
    /* Before the first step, with how many there will be; or NULL. */
    void (*on_start)(void *on_step_self, uint32_t epochs, uint64_t step_count);
} fl_tune_options;

/*
 * Trains for `epochs` passes over the rows. With 0 nothing is learned: only
 * the running statistics of batch norms, if they are trained at all, follow
 * what the model now computes, over at most FL_TUNE_BATCHES batches. Errors of
 * fl_trainer_new and fl_trainer_run; after FL_ERR_CANCELLED the model has the
 * steps taken.
 */
FL_CHECK fl_err fl_tune_model(fl_model *model, const fl_tune_options *options,
                              uint32_t epochs, fl_reason *why);

#endif
