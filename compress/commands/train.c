/*
 * fedge-compress train: a model on a dataset, on this machine alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "compress/pruning.h"
#include "compress/training.h"

static const char USAGE[] =
    "usage: fedge-compress train MODEL --dataset SPEC --out FILE "
    "[OPTION]...\n\n"
    "Trains a model on a dataset and measures it on the test part after every "
    "epoch.\nCtrl-C ends the training early and keeps what was learned.\n\n"
    "  fedge-compress train r8.onnx --dataset fashion-mnist --epochs 5 --out "
    "r8.onnx\n"
    "  fedge-compress train r8.onnx --dataset csv:x.csv --freeze "
    "'conv*,block1.*' \\\n"
    "                       --norm frozen --threads 2 --out tuned.onnx\n"
    "  fedge-compress train small.onnx --teacher large.onnx --dataset "
    "fashion-mnist \\\n"
    "                       --out small.onnx\n\n";

static fl_err report(const fl_training *t, const fl_model *model,
                     fl_reason *why)
{
    fl_metrics m;
    FL_TRY(fl_training_measure(t, &m, model, why));
    const double count = (double)m.sample_count;
    printf("%s: accuracy %.2f %%, loss %.4f on %llu test examples\n",
           t->tool->out, 100.0 * (double)m.correct_count / count,
           m.loss_sum / count, (unsigned long long)m.sample_count);
    return FL_OK;
}

// The rows that hqp's guard will look at are not learned from.
static fl_err learn(fl_training *t, fl_model *model, fl_reason *why)
{
    const fl_tool *tool = t->tool;
    const uint32_t epochs = (uint32_t)tool->epochs;
    if (tool->train_holdout <= 0.0) {
        return fl_training_run(t, model, epochs, why);
    }
    uint32_t *rows = NULL;
    fl_tune_options tune = fl_training_tune(t);
    FL_TRY(fl_pruning_rows(&rows, t->train, tool, why));
    (void)fl_pruning_hold_out(&tune, rows, tool->train_holdout);
    const fl_err err = fl_tune_model(model, &tune, epochs, why);
    fl_progress_finish(&t->progress);
    free(rows);
    return err;
}

static fl_err train(fl_training *t, fl_model *model, fl_reason *why)
{
    const fl_tool *tool = t->tool;
    const fl_err err = learn(t, model, why);
    const bool is_stopped = err == FL_ERR_CANCELLED;
    if (err && !is_stopped) return err;
    FL_TRY(fl_tool_write(model, tool->out, why));
    if (is_stopped) return err;
    return tool->is_quiet ? FL_OK : report(t, model, why);
}

static int run(const void *settings, fl_reason *why)
{
    const fl_tool *tool = settings;
    fl_training t;
    fl_model *model = NULL;
    if (fl_tool_needs_data("train", tool, why)) return FL_EXIT_USAGE;
    if (fl_training_init(&t, tool, tool->lr, why)) return FL_EXIT_USAGE;
    fl_err err = fl_file_check(tool->out, why);
    if (!err) err = fl_tool_read_float(&model, tool->word, why);
    if (!err) err = fl_training_open(&t, why);
    if (!err) err = train(&t, model, why);
    fl_training_close(&t);
    fl_model_free(model);
    return fl_program_exit(err);
}

fl_command fl_train_command(fl_tool *tool)
{
    static fl_option table[FL_DATA_SETTINGS_DATASET + FL_TRAINING_OPTIONS + 4];
    const fl_option own[] = {
        {"training", "holdout", FL_OPTION_NUMBER, &tool->train_holdout, 0, 0.9,
         "X",
         "share of the rows to leave for the guard of hqp, which takes the "
         "same ones with the same seed; 0: none"},
        {"run", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "of the order of rows"},
        {"run", "out", FL_OPTION_TEXT, &tool->out, 0, 0, "FILE",
         "the trained model, ONNX"},
        {"run", "quiet", FL_OPTION_FLAG, &tool->is_quiet, 0, 0, NULL,
         "no progress line and no result"},
    };
    size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_DATASET, &tool->data);
    count = fl_training_list(table, count, tool, &tool->lr);
    return (fl_command){
        .name = "train",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count =
            fl_tool_options(table, count, own, sizeof own / sizeof *own),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
