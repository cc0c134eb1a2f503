/*
 * Measuring a model on held-out rows with several workers: fixed blocks of
 * rows, their sums added in the order of the blocks, so that the result does
 * not depend on the number of workers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_EVALUATION_H
#define FL_AGGREGATOR_EVALUATION_H

#include "base/err.h"
#include "base/pool.h"
#include "base/reason.h"
#include "data/data.h"
#include "model/model.h"

typedef struct fl_evaluation fl_evaluation;

/*
 * All borrowed for its life. As many trainers are made as `worker_count`
 * (at least one), which costs memory. The caller owns it: fl_evaluation_free.
 * FL_ERR_RANGE: the model does not fit the dataset.
 */
FL_CHECK fl_err fl_evaluation_new(fl_evaluation **evaluation, fl_pool *pool,
                                  unsigned worker_count,
                                  const fl_dataset *dataset,
                                  const fl_model *model, fl_reason *why);

/* Accepts NULL. */
void fl_evaluation_free(fl_evaluation *evaluation);

/* Returns when all rows are measured. FL_ERR_RANGE: a loss is no number. */
FL_CHECK fl_err fl_evaluation_run(fl_evaluation *evaluation,
                                  fl_metrics *metrics, const float *params,
                                  fl_reason *why);

#endif
