/*
 * A model as 8 bits see it: batch norms folded away, and for each value with
 * which others it shares a range.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_FOLDED_H
#define FL_MODEL_INT8_FOLDED_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/int8/sharing.h"
#include "model/model.h"

typedef struct {
    fl_model *model;
    fl_sharing *sharing;  // one a node
    size_t range_count;
    fl_precision *precisions;  // one a node; NULL: all INT8
} fl_folded;

/* The model is borrowed for the call. Errors of fl_int8_range_count. */
FL_CHECK fl_err fl_folded_init(fl_folded *folded, const fl_model *model,
                               fl_reason *why);

/* The same with the layers that options name. Also FL_ERR_NOT_FOUND,
 * FL_ERR_RANGE as of fl_int8_quantize. */
FL_CHECK fl_err fl_folded_init_mixed(fl_folded *folded, const fl_model *model,
                                     const fl_int8_options *options,
                                     fl_reason *why);

/* Accepts a zeroed struct. */
void fl_folded_fini(fl_folded *folded);

/* FL_ERR_RANGE: range_count is not the model's. */
FL_CHECK fl_err fl_folded_check_count(const fl_folded *folded,
                                      size_t range_count, fl_reason *why);

/* The same, and: low <= 0 <= high does not hold, or one is no number. */
FL_CHECK fl_err fl_folded_check(const fl_folded *folded, const fl_range *ranges,
                                size_t range_count, fl_reason *why);

/* The rows to look at. Borrowed. */
typedef struct {
    const fl_dataset *dataset;
    const uint32_t *rows;
    size_t row_count;
} fl_sample;

/* FL_ERR_RANGE: there are none, they do not exist, or do not fit the model. */
FL_CHECK fl_err fl_sample_check(const fl_sample *rows, const fl_model *model,
                                fl_reason *why);

/* x[0..count): numbers of one range, of some examples. */
typedef void (*fl_folded_look)(void *self, uint32_t range, const float *x,
                               size_t count);

/*
 * Runs the model in float32 over rows that fit it and shows all the numbers
 * that say something about a range. FL_ERR_RANGE: one is NaN or infinite
 * (*why names the node). FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_folded_watch(const fl_folded *folded, const fl_sample *rows,
                                fl_folded_look look, void *self,
                                fl_reason *why);

#endif
