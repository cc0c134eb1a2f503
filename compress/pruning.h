/*
 * What the commands that prune share: options, the rows that they look at, and
 * the table of what a model was and has become.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_PRUNING_H
#define FL_COMPRESS_PRUNING_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/options.h"
#include "base/reason.h"
#include "compress/model/slim.h"
#include "compress/tool.h"
#include "compress/training.h"

/* ---- options ---- */

enum { FL_PRUNING_OPTIONS = 5 };  // that fl_pruning_list adds

size_t fl_pruning_list(fl_option *table, size_t count, fl_tool *tool);

typedef struct {
    fl_importance_kind importance;
    fl_prune_cost cost;
} fl_pruning_choices;

/* FL_ERR_RANGE: one is none of its words: wrong usage. */
FL_CHECK fl_err fl_pruning_read(fl_pruning_choices *choices,
                                const fl_tool *tool, fl_reason *why);

/*
 * All rows of a dataset, in an order that --seed draws: whoever takes the first
 * ones has a sample. The caller frees *rows. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_pruning_rows(uint32_t **rows, const fl_dataset *dataset,
                                const fl_tool *tool, fl_reason *why);

/*
 * Leaves this share of `rows`, the first ones of fl_pruning_rows, to a guard,
 * and the others to training: how many are left to it.
 */
uint32_t fl_pruning_hold_out(fl_tune_options *tune, const uint32_t *rows,
                             double share);

/* ---- the table ---- */

/* One of both models is NULL. */
typedef struct {
    const char *name;  // "pruned + INT8"
    const char *key;   // in JSON: "int8"
    const fl_model *model;
    const fl_int8_model *quantized;
    fl_qdq_profile profile;
    fl_metrics metrics;  // of the test part; no samples: not measured
    fl_model_cost cost;
    size_t byte_count;
    double us;  // an example, as fl_latency_runner has it
} fl_pruning_row;

/* Fills in what follows from the models; the test part may be missing. */
FL_CHECK fl_err fl_pruning_measure(fl_pruning_row *rows, size_t count,
                                   const fl_training *training, fl_reason *why);

void fl_pruning_print(const fl_pruning_row *rows, size_t count);

/* An array "models"; the caller owns it: fl_json_free. NULL: no memory. */
fl_json *fl_pruning_json(const fl_pruning_row *rows, size_t count);

#endif
