/*
 * The options of a federation: what is trained, how, and by how many. The
 * daemon and the simulator offer the same ones.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_FEDERATION_H
#define FL_AGGREGATOR_FEDERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/options.h"
#include "base/reason.h"
#include "data/data.h"
#include "model/model.h"

enum { FL_FEDERATION_OPTIONS = 43 };

typedef struct {
    const char *model, *schedule;
    uint64_t local_epochs, batch, schedule_steps, norm_rounds;
    double lr, momentum, weight_decay, clip_norm, schedule_factor, lr_decay;
    uint64_t round_count, cohort, quorum, evaluate_every;
    double over_select, deadline_s, farewell_s;
    uint64_t seed;
    const char *aggregation;
    uint64_t weight_max, min_survivors;
    double value_clip, phase_s;
    const char *codec;              // NULL: what suits the aggregation
    double density, density_small;  // 0: what suits the codec
    double release, grid;
    bool is_overflow_free;
    // Making the model smaller.
    double prune, prune_step;
    uint64_t prune_start, prune_recover, prune_multiple;
    const char *prune_importance, *prune_cost;
    double max_drop;  // percentage points
    bool has_int8;
    double holdout;
    uint64_t survey_cohort, survey_rows;
} fl_federation;

/* What holds when nothing is said. */
#define FL_FEDERATION_INIT                                                     \
    {                                                                          \
        .model = "lenet", .schedule = "constant", .local_epochs = 1,           \
        .batch = 32, .lr = 0.05, .schedule_factor = 0.1, .lr_decay = 1.0,      \
        .round_count = 50, .cohort = 10, .evaluate_every = 1,                  \
        .deadline_s = 600.0, .farewell_s = 60.0, .seed = 1,                    \
        .aggregation = "secure", .value_clip = 4.0, .weight_max = 1000,        \
        .phase_s = 10.0, .release = 0.04, .grid = 0.6, .prune_step = 0.15,     \
        .prune_start = 20, .prune_recover = 3, .prune_multiple = 8,            \
        .prune_importance = "fisher", .prune_cost = "params", .max_drop = 1.5, \
        .holdout = 0.1, .survey_rows = 256,                                    \
    }

/* Writes FL_FEDERATION_OPTIONS options, bound to *federation. */
void fl_federation_list(fl_option *table, fl_federation *federation);

/* FL_ERR_RANGE: options that do not go together; *why names them. */
FL_CHECK fl_err fl_federation_check(const fl_federation *federation,
                                    fl_reason *why);

typedef fl_err (*fl_federation_keep)(void *self, const char *key,
                                     const char *value, fl_reason *why);

/*
 * Hands `keep` the settings that a federation keeps for life, as texts: those
 * that would make a saved model or its residual mean something else. Stops at
 * an error, which it returns. Needs options that have passed the check.
 */
FL_CHECK fl_err fl_federation_each_setting(const fl_federation *federation,
                                           fl_federation_keep keep, void *self,
                                           fl_reason *why);

/*
 * The first global model: an ONNX file, or a built-in architecture made for
 * this dataset (NULL: only a file will do). The caller owns *model.
 * FL_ERR_RANGE: a built-in one without a dataset. Errors of fl_file_read,
 * fl_model_decode and fl_model_new.
 */
FL_CHECK fl_err fl_federation_model(const fl_federation *federation,
                                    fl_model **model, const fl_dataset *dataset,
                                    fl_reason *why);

#endif
