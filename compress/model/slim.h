/*
 * One step of structured pruning: what each channel matters (importance.h),
 * which go (prune.h), and the network without them (fl_model_shrink).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_SLIM_H
#define FL_COMPRESS_SLIM_H

#include "base/err.h"
#include "base/reason.h"
#include "compress/model/importance.h"
#include "compress/model/prune.h"
#include "model/model.h"

typedef struct {
    fl_importance_kind importance;
    fl_importance_data data;    // MAGNITUDE looks at `stop` alone
    fl_prune_options choosing;  // but for `latency`, which is measured
} fl_slim_options;

/*
 * The caller owns *smaller: fl_model_free; NULL: nothing can go. What is left
 * is not trained again. keep[0..fl_channels_count of the model): what has
 * stayed; NULL: it does not matter. Errors of fl_importance_channels,
 * fl_latency_groups, fl_prune_choose and fl_model_shrink.
 */
FL_CHECK fl_err fl_slim_model(fl_model **smaller, bool *keep,
                              const fl_model *model,
                              const fl_slim_options *options, fl_reason *why);

/* The same model again. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_slim_copy(fl_model **copy, const fl_model *model,
                             fl_reason *why);

/* What it costs, all layers together. */
fl_model_cost fl_slim_cost(const fl_model *model);

#endif
