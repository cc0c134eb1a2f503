/*
 * fedge-compress: one model on one machine, no federation needed. A command
 * is a file in compress/commands/ that reads a model, works on it, and writes
 * another one or a report.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_TOOL_H
#define FL_COMPRESS_TOOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/options.h"
#include "base/program.h"
#include "base/random.h"
#include "base/reason.h"
#include "data/data.h"
#include "model/model.h"

/* What the options of all commands are bound to. */
typedef struct {
    const char *word;  // NAME or MODEL
    const char *out;
    fl_data_settings data;
    uint64_t seed, batch, threads;
    bool is_quiet, is_json;
    // new
    const char *input, *tower;
    uint64_t class_count, embedding;
    double width;
    // train
    uint64_t epochs, warmup_steps;
    double lr, momentum, weight_decay, clip_norm, label_smoothing;
    double margin, temperature, teacher_share;
    const char *schedule, *optimizer, *loss, *norm, *freeze, *teacher;
    bool recompute, nesterov;
    // quantize
    const char *calibrate, *profile, *predictions;
    double percentile, max_bytes_more;
    uint64_t row_count, base_bits;
    const char *mode, *float_layers, *half_layers, *nibble_layers;
    // convert
    const char *to;
    // qat
    double qat_lr;
    // train
    double train_holdout;
    // prune, hqp
    const char *importance, *cost, *keep, *float_out;
    double prune_lr, remove, keep_min, max_drop, step, target, holdout;
    uint64_t multiple, final_epochs, qat_epochs;
    bool is_list;
    // factorize
    const char *layers;
    double energy, budget, factor_lr;
    // distill
    const char *student;
    // sparsify
    const char *score;
    double sparsity, sparse_lr;
    bool is_global;
    // evaluate
    uint64_t pair_count;
    // advise
    uint64_t max_bytes, max_memory;
    double max_latency_ms;
    const char *plot;
    // bench
    uint64_t bench_batch, warmup_runs, run_count;
    double seconds;
} fl_tool;

/* What holds when nothing is said. */
extern const fl_tool FL_TOOL_DEFAULTS;

/* Set by the first SIGINT or SIGTERM; work ends soon after. */
extern atomic_bool fl_tool_stop;

/* One command each: usage, options, run. `tool` is bound to the options. */
fl_command fl_new_command(fl_tool *tool);
fl_command fl_train_command(fl_tool *tool);
fl_command fl_evaluate_command(fl_tool *tool);
fl_command fl_quantize_command(fl_tool *tool);
fl_command fl_qat_command(fl_tool *tool);
fl_command fl_prune_command(fl_tool *tool);
fl_command fl_hqp_command(fl_tool *tool);
fl_command fl_convert_command(fl_tool *tool);
fl_command fl_factorize_command(fl_tool *tool);
fl_command fl_distill_command(fl_tool *tool);
fl_command fl_sparsify_command(fl_tool *tool);
fl_command fl_advise_command(fl_tool *tool);
fl_command fl_inspect_command(fl_tool *tool);
fl_command fl_bench_command(fl_tool *tool);

/* ---- shared by commands: tool.c ---- */

/* One of both is NULL. */
typedef struct {
    fl_model *model;
    fl_int8_model *quantized;
    size_t file_len;
    fl_storage storage;  // of `model` in the file
} fl_tool_model;

/* Reads an ONNX file of either kind. *why names the file. */
FL_CHECK fl_err fl_tool_read(fl_tool_model *model, const char *path,
                             fl_reason *why);
void fl_tool_model_fini(fl_tool_model *model);

/* The same, float32 only: FL_ERR_UNSUPPORTED when it is quantised. */
FL_CHECK fl_err fl_tool_read_float(fl_model **model, const char *path,
                                   fl_reason *why);

FL_CHECK fl_err fl_tool_write(const fl_model *model, const char *path,
                              fl_reason *why);
FL_CHECK fl_err fl_tool_write_as(const fl_model *model, fl_storage storage,
                                 const char *path, fl_reason *why);
FL_CHECK fl_err fl_tool_write_int8(const fl_int8_model *quantized,
                                   fl_qdq_profile profile, const char *path,
                                   fl_reason *why);

/* A runner for either kind. */
FL_CHECK fl_err fl_tool_runner(fl_runner **runner, const fl_tool_model *model,
                               uint32_t batch_cap, fl_reason *why);

/* FL_ERR_RANGE: --dataset or --out is missing; *why names the command. */
FL_CHECK fl_err fl_tool_needs_data(const char *command, const fl_tool *tool,
                                   fl_reason *why);

/* Prints an object on a line of standard output; takes it. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_tool_print_json(fl_json *json, fl_reason *why);

/* One part of the dataset that --dataset and --test name. */
FL_CHECK fl_err fl_tool_dataset(fl_dataset **dataset, fl_data_part part,
                                const fl_tool *tool, fl_reason *why);

/* 0, 1, 2, ...; the caller frees it. NULL: no memory. */
uint32_t *fl_tool_rows(size_t count);

/*
 * All rows of a dataset in an order that --seed and `purpose` draw: whoever
 * takes the first ones has a sample. The caller frees *rows. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_tool_draw_rows(uint32_t **rows, const fl_dataset *dataset,
                                  const fl_tool *tool,
                                  fl_random_purpose purpose, fl_reason *why);

/* Copies a command's own options behind those that are there. */
size_t fl_tool_options(fl_option *table, size_t count, const fl_option *own,
                       size_t own_count);

/* The position of `text` in NULL-ended `names`. FL_ERR_RANGE: none of them. */
FL_CHECK fl_err fl_tool_choice(unsigned *choice, const char *option,
                               const char *text, const char *const *names,
                               fl_reason *why);

#endif
