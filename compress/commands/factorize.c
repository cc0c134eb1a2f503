/*
 * fedge-compress factorize: large layers as products of two thin ones.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "compress/pruning.h"
#include "compress/training.h"

static const char USAGE[] =
    "usage: fedge-compress factorize MODEL (--energy X | --budget X) --out "
    "FILE [OPTION]...\n\n"
    "Replaces the weights of convolutions and dense layers by two factors of "
    "low rank\n(singular value decomposition), where that takes fewer weights: "
    "NAME becomes NAME.u\nand NAME.v. With a dataset the result is trained to "
    "recover, and measured.\n\n"
    "  fedge-compress factorize lenet.onnx --energy 0.9 --out thin.onnx\n"
    "  fedge-compress factorize lenet.onnx --layers 'fc*' --budget 0.3 \\\n"
    "                           --dataset fashion-mnist --epochs 2 --out "
    "thin.onnx\n\n";

typedef struct {
    const fl_tool *tool;
    fl_training training;
    fl_model *whole, *thin;
    bool is_stopped;
} factoring;

/* ---- the table ---- */

// A layer of the factored model: as it was, or both halves of it.
typedef struct {
    size_t rank;  // 0: as it was
    size_t param_count;
} outcome;

static outcome outcome_of(const fl_model *thin, const char *name)
{
    outcome found = {0};
    const size_t len = strlen(name);
    for (uint32_t i = 0; i < fl_model_layer_count(thin); i++) {
        const fl_layer_info layer = fl_model_layer(thin, i);
        if (strncmp(layer.name, name, len) != 0) continue;
        const bool is_u = strcmp(layer.name + len, ".u") == 0;
        const bool is_v = strcmp(layer.name + len, ".v") == 0;
        if (!is_u && !is_v && layer.name[len] != '\0') continue;
        if (is_u) found.rank = layer.shape.channels;
        found.param_count += layer.param_count;
    }
    return found;
}

static void print_layers(const factoring *f)
{
    printf("%-32s %8s %12s %12s\n", "layer", "rank", "parameters", "factored");
    for (uint32_t i = 0; i < fl_model_layer_count(f->whole); i++) {
        const fl_layer_info layer = fl_model_layer(f->whole, i);
        const outcome now = outcome_of(f->thin, layer.name);
        if (now.rank == 0) continue;
        printf("%-32s %8zu %12zu %12zu\n", layer.name, now.rank,
               layer.param_count, now.param_count);
    }
    putchar('\n');
}

static fl_err report(factoring *f, fl_reason *why)
{
    fl_pruning_row rows[2] = {
        {.name = "whole", .key = "whole", .model = f->whole},
        {.name = "factored", .key = "factored", .model = f->thin},
    };
    FL_TRY(fl_pruning_measure(rows, 2, &f->training, why));
    if (f->tool->is_json) {
        return fl_tool_print_json(fl_pruning_json(rows, 2), why);
    }
    print_layers(f);
    fl_pruning_print(rows, 2);
    return FL_OK;
}

/* ---- the run ---- */

static fl_err factor(factoring *f, fl_reason *why)
{
    const fl_tool *tool = f->tool;
    const fl_factorize_options options = {
        .layers = tool->layers,
        .energy = tool->energy,
        .budget = tool->budget,
    };
    FL_TRY(fl_file_check(tool->out, why));
    FL_TRY(fl_tool_read_float(&f->whole, tool->word, why));
    if (tool->data.dataset) FL_TRY(fl_training_open(&f->training, why));
    FL_TRY(fl_model_factorize(&f->thin, f->whole, &options, why));
    FL_TRY(fl_training_recover(&f->training, f->thin, &f->is_stopped, why));
    FL_TRY(fl_tool_write(f->thin, tool->out, why));
    if (f->is_stopped) {
        return fl_reason_set(why, FL_ERR_CANCELLED,
                             "stopped: %s is factored, but has not recovered",
                             tool->out);
    }
    return tool->is_quiet ? FL_OK : report(f, why);
}

static fl_err check(factoring *f, fl_reason *why)
{
    const fl_tool *tool = f->tool;
    if (!tool->out) {
        return fl_reason_set(why, FL_ERR_RANGE, "factorize needs --out FILE");
    }
    if ((tool->energy > 0.0) == (tool->budget > 0.0)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "factorize needs --energy or --budget, one of "
                             "the two");
    }
    return fl_training_init(&f->training, tool, tool->factor_lr, why);
}

static int run(const void *settings, fl_reason *why)
{
    factoring f = {.tool = settings};
    if (check(&f, why)) return FL_EXIT_USAGE;
    const fl_err err = factor(&f, why);
    fl_training_close(&f.training);
    fl_model_free(f.thin);
    fl_model_free(f.whole);
    return fl_program_exit(err);
}

fl_command fl_factorize_command(fl_tool *tool)
{
    const fl_option own[] = {
        {"low rank", "layers", FL_OPTION_TEXT, &tool->layers, 0, 0, "LAYERS",
         "names with * and ?, separated by commas; all, unless said"},
        {"low rank", "energy", FL_OPTION_NUMBER, &tool->energy, 0, 1, "X",
         "share of each layer's squared singular values to keep"},
        {"low rank", "budget", FL_OPTION_NUMBER, &tool->budget, 0, 0.999, "X",
         "share of these layers' weights that may be left"},
        {"run", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "of the order of rows"},
        {"run", "out", FL_OPTION_TEXT, &tool->out, 0, 0, "FILE",
         "the factored model, ONNX"},
        {"run", "json", FL_OPTION_FLAG, &tool->is_json, 0, 0, NULL,
         "print one JSON object"},
        {"run", "quiet", FL_OPTION_FLAG, &tool->is_quiet, 0, 0, NULL,
         "no progress line and no result"},
    };
    enum { OWN = sizeof own / sizeof *own };
    static fl_option
        table[FL_DATA_SETTINGS_DATASET + FL_TRAINING_OPTIONS + OWN];
    size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_DATASET, &tool->data);
    count = fl_training_list(table, count, tool, &tool->factor_lr);
    return (fl_command){
        .name = "factorize",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_tool_options(table, count, own, OWN),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
