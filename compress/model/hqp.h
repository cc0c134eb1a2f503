/*
 * HQP, hybrid quantisation and pruning: as small as a network gets before it
 * knows noticeably less.
 *
 *   measure --> prune a step --> recover --> within max_drop? --yes--+
 *                 ^                               |                  |
 *                 |                               no: step halved,   |
 *                 |                               once, then end     |
 *                 +--------------------------------------------------+
 *   end --> recover for longer --> INT8 --> within max_drop? --yes--> done
 *                 ^                               |
 *                 +--- one pruning step fewer ----+ no, whatever the ranges,
 *                                                   nor by training in INT8
 *
 * Every step is judged against the first model on rows that it never learns
 * from (the guard's). What fails is thrown away, and the model from before it
 * goes on, as it was.
 *
 * All models that were accepted are kept until the end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_HQP_H
#define FL_COMPRESS_HQP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "compress/model/importance.h"
#include "compress/model/prune.h"
#include "compress/model/tune.h"
#include "model/model.h"

enum { FL_HQP_STEPS_MAX = 64 };

typedef enum {
    FL_HQP_MEASURED,  // nothing to judge: what the others are held against
    FL_HQP_ACCEPTED,
    FL_HQP_ROLLED_BACK,  // the model from before it goes on
} fl_hqp_verdict;

/* What has been done, and what came of it. */
typedef struct {
    char name[32];  // "dense", "prune 3", "recover", "INT8 minmax",
                    // "INT8 trained"
    fl_model_cost cost;
    double before, after;  // accuracy, 0 to 1; before: not yet recovered
    fl_hqp_verdict verdict;
} fl_hqp_step;

/* Everything that it points to is borrowed. */
typedef struct {
    fl_tune_options tune;  // rows to learn from and how; its `stop` ends all
    const uint32_t *guard_rows;  // of the same dataset
    size_t guard_count;
    double max_drop;  // points of accuracy that the result may be worse by
    double step;      // share of the cost that one step removes, 0 to 1
    double target;    // share of the parameters that is to go; 0: as many as
                      // the guard lets
    fl_importance_kind importance;
    size_t importance_count;  // rows for it, the first of tune's; 0: all
    fl_prune_cost cost;
    uint32_t multiple;  // as in fl_prune_options
    double keep_min;
    uint32_t step_epochs;    // of training after each step; 0: statistics alone
    uint32_t final_epochs;   // after the last one
    uint32_t qat_epochs;     // in INT8, where no calibration is good enough
    fl_int8_options int8;    // the calibration that is tried first
    size_t calibrate_count;  // rows for it, the first of tune's; 0: all
    void (*on_step)(void *self, const fl_hqp_step *step);  // or NULL
    void *on_step_self;
} fl_hqp_options;

typedef struct {
    fl_model *model;           // float32, pruned
    fl_int8_model *quantized;  // NULL: no INT8 form is good enough
    fl_metrics reference, metrics, int8_metrics;  // on the guard's rows
    uint32_t step_count;                          // that were accepted
} fl_hqp_result;

/*
 * `dense` stays as it is. The caller owns *result: fl_hqp_fini.
 * FL_ERR_CANCELLED: *stop was set; the result is the last model that was
 * accepted, with its INT8 form if that is good enough without more training.
 * FL_ERR_RANGE: an option, no rows, or as of training. FL_ERR_UNSUPPORTED: an
 * operator has no integer form; said before anything is trained.
 * FL_ERR_MEMORY. There is no result after any of these but the first.
 */
FL_CHECK fl_err fl_hqp_run(fl_hqp_result *result, const fl_model *dense,
                           const fl_hqp_options *options, fl_reason *why);

/* Frees what it holds. Accepts a zeroed one. */
void fl_hqp_fini(fl_hqp_result *result);

#endif
