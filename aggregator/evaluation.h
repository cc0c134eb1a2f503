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
 * Pool and dataset are borrowed for its life, the model for the call. Each of
 * `worker_count` workers (at least one) takes memory while it measures. The
 * caller owns it: fl_evaluation_free. FL_ERR_RANGE: the model does not fit the
 * dataset. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_evaluation_new(fl_evaluation **evaluation, fl_pool *pool,
                                  unsigned worker_count,
                                  const fl_dataset *dataset,
                                  const fl_model *model, fl_reason *why);

/* Accepts NULL. */
void fl_evaluation_free(fl_evaluation *evaluation);

/*
 * Measures the model with its parameters; returns when all rows are done.
 * FL_ERR_RANGE: a loss is no number, or the model does not fit the dataset.
 * FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_evaluation_run(fl_evaluation *evaluation,
                                  fl_metrics *metrics, const fl_model *model,
                                  fl_reason *why);

/*
 * The same for the model's INT8 form with these ranges, as fl_ranges_encode
 * writes them. Also the errors of fl_ranges_decode and fl_int8_quantize_ranges.
 */
FL_CHECK fl_err fl_evaluation_run_int8(fl_evaluation *evaluation,
                                       fl_metrics *metrics,
                                       const fl_model *model,
                                       const uint8_t *ranges, size_t ranges_len,
                                       fl_reason *why);

#endif
