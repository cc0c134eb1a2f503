/*
 * fedge-compress hqp: pruned and in INT8, as small as a guard lets it get.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compress/model/hqp.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "compress/calibration.h"
#include "compress/pruning.h"

static const char USAGE[] =
    "usage: fedge-compress hqp MODEL --dataset SPEC --out FILE [OPTION]...\n\n"
    "Hybrid quantisation and pruning: removes the channels that matter least, "
    "step by\nstep, and trains after each, as long as no more than --max-drop "
    "points of accuracy\nare lost; then quantises to INT8, held to the same "
    "guard. A step that fails is\nrolled back. The guard looks at training "
    "rows that are put aside (--holdout); the\ntable at the end is of the "
    "test part. Where the dense model has learned from these\nrows, it is "
    "better on them than it really is, and the guard stricter: train it "
    "with\nthe same --holdout and --seed, and it has not seen them. Ctrl-C "
    "ends it with the\nlast model that was accepted.\n\n"
    "  fedge-compress train r8.onnx --dataset fashion-mnist --holdout 0.1 "
    "--out r8.onnx\n"
    "  fedge-compress hqp r8.onnx --dataset fashion-mnist --out r8-small.onnx\n"
    "  fedge-compress hqp r8.onnx --dataset fashion-mnist --target 0.55 "
    "--teacher r8.onnx \\\n"
    "                     --float-out pruned.onnx --out r8-small.onnx\n\n";

typedef struct {
    const fl_tool *tool;
    fl_pruning_choices choices;
    fl_calibration calibration;
    fl_training training;
    fl_model *dense;
    uint32_t *rows;  // the guard's first
    fl_hqp_result result;
} hqp;

/* ---- what is seen of it ---- */

static void show_step(void *self, const fl_hqp_step *step)
{
    static const char *const verdicts[] = {"", ", accepted", ", rolled back"};
    hqp *h = self;
    if (h->tool->is_quiet) return;
    fl_progress_finish(&h->training.progress);
    fprintf(stderr, "%-16s %10zu parameters, %10.2f MMAC, accuracy ",
            step->name, step->cost.param_count,
            (double)step->cost.mac_count / 1e6);
    if (step->verdict == FL_HQP_MEASURED) {
        fprintf(stderr, "%.2f %%", 100.0 * step->after);
    } else {
        fprintf(stderr, "%.2f -> %.2f %%", 100.0 * step->before,
                100.0 * step->after);
    }
    fprintf(stderr, "%s\n", verdicts[step->verdict]);
}

static fl_err report(hqp *h, fl_reason *why)
{
    const fl_hqp_result *result = &h->result;
    fl_pruning_row rows[3] = {
        {.name = "dense float32", .key = "dense", .model = h->dense},
        {.name = "pruned", .key = "pruned", .model = result->model},
        {.name = "pruned + INT8",
         .key = "int8",
         .quantized = result->quantized,
         .profile = h->calibration.profile,
         .cost = fl_slim_cost(result->model)},
    };
    FL_TRY(fl_pruning_measure(rows, 3, &h->training, why));
    if (h->tool->is_json) {
        return fl_tool_print_json(fl_pruning_json(rows, 3), why);
    }
    fl_pruning_print(rows, 3);
    return FL_OK;
}

/* ---- the run ---- */

static fl_err check(hqp *h, fl_reason *why)
{
    const fl_tool *tool = h->tool;
    FL_TRY(fl_tool_needs_data("hqp", tool, why));
    FL_TRY(fl_pruning_read(&h->choices, tool, why));
    FL_TRY(fl_calibration_init(&h->calibration, tool, why));
    return fl_training_init(&h->training, tool, tool->prune_lr, why);
}

static fl_err open_all(hqp *h, fl_reason *why)
{
    const fl_tool *tool = h->tool;
    FL_TRY(fl_file_check(tool->out, why));
    if (tool->float_out) FL_TRY(fl_file_check(tool->float_out, why));
    FL_TRY(fl_tool_read_float(&h->dense, tool->word, why));
    FL_TRY(fl_training_open(&h->training, why));
    return fl_pruning_rows(&h->rows, h->training.train, tool, why);
}

static fl_hqp_options options_of(hqp *h)
{
    const fl_tool *tool = h->tool;
    fl_hqp_options options = {
        .tune = fl_training_tune(&h->training),
        .guard_rows = h->rows,
        .max_drop = tool->max_drop,
        .step = tool->step,
        .target = tool->target,
        .importance = h->choices.importance,
        .importance_count = (size_t)tool->row_count,
        .cost = h->choices.cost,
        .multiple = (uint32_t)tool->multiple,
        .keep_min = tool->keep_min,
        .step_epochs = (uint32_t)tool->epochs,
        .final_epochs = (uint32_t)tool->final_epochs,
        .qat_epochs = (uint32_t)tool->qat_epochs,
        .int8 = h->calibration.options,
        .calibrate_count = (size_t)tool->row_count,
        .on_step = show_step,
        .on_step_self = h,
    };
    options.guard_count =
        fl_pruning_hold_out(&options.tune, h->rows, tool->holdout);
    return options;
}

static fl_err write_result(const hqp *h, fl_reason *why)
{
    const fl_tool *tool = h->tool;
    const fl_hqp_result *result = &h->result;
    if (tool->float_out) {
        FL_TRY(fl_tool_write(result->model, tool->float_out, why));
    }
    if (result->quantized) {
        return fl_tool_write_int8(result->quantized, h->calibration.profile,
                                  tool->out, why);
    }
    return fl_reason_set(why, FL_ERR_STATE,
                         "no INT8 form stays within %g points of the dense "
                         "model: %s is not written; more --rows or --epochs, "
                         "or a larger --max-drop may help",
                         tool->max_drop, tool->out);
}

static fl_err run_all(hqp *h, fl_reason *why)
{
    FL_TRY(open_all(h, why));
    const fl_hqp_options options = options_of(h);
    const fl_err err = fl_hqp_run(&h->result, h->dense, &options, why);
    fl_progress_finish(&h->training.progress);
    if (err && err != FL_ERR_CANCELLED) return err;
    FL_TRY(write_result(h, why));
    if (err) {
        return fl_reason_set(
            why, err, "stopped: %s is as it was after step %u of pruning",
            h->tool->out, h->result.step_count);
    }
    return h->tool->is_quiet ? FL_OK : report(h, why);
}

static int run(const void *settings, fl_reason *why)
{
    hqp h = {.tool = settings};
    if (check(&h, why)) return FL_EXIT_USAGE;
    const fl_err err = run_all(&h, why);
    fl_hqp_fini(&h.result);
    free(h.rows);
    fl_training_close(&h.training);
    fl_model_free(h.dense);
    return fl_program_exit(err);
}

fl_command fl_hqp_command(fl_tool *tool)
{
    const fl_option own[] = {
        {"guard", "max-drop", FL_OPTION_NUMBER, &tool->max_drop, 0, 100, "X",
         "points of accuracy that may be lost"},
        {"guard", "holdout", FL_OPTION_NUMBER, &tool->holdout, 0.001, 0.9, "X",
         "share of the training rows that only the guard sees"},
        {"pruning", "step", FL_OPTION_NUMBER, &tool->step, 0.001, 0.9, "X",
         "share of the cost that one step removes"},
        {"pruning", "target", FL_OPTION_NUMBER, &tool->target, 0, 0.99, "X",
         "share of the parameters that is to go; 0: as far as the guard lets"},
        {"training", "final-epochs", FL_OPTION_COUNT, &tool->final_epochs, 0,
         100000, "N", "passes after the last step; --epochs: after each step"},
        {"training", "qat-epochs", FL_OPTION_COUNT, &tool->qat_epochs, 0,
         100000, "N",
         "passes of training in INT8, where no calibration is good enough"},
        {"quantization", "calibrate", FL_OPTION_TEXT, &tool->calibrate, 0, 0,
         "HOW", "what is tried first: minmax, percentile or entropy"},
        {"quantization", "percentile", FL_OPTION_NUMBER, &tool->percentile, 99,
         100, "X", "share of the values within the range"},
        {"quantization", "profile", FL_OPTION_TEXT, &tool->profile, 0, 0,
         "NAME", "plain, or tensorrt: signed activations, zero point 0"},
        {"run", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "picks the rows, and their order"},
        {"run", "out", FL_OPTION_TEXT, &tool->out, 0, 0, "FILE",
         "the pruned model in INT8, ONNX"},
        {"run", "float-out", FL_OPTION_TEXT, &tool->float_out, 0, 0, "FILE",
         "the pruned model in float32, ONNX"},
        {"run", "json", FL_OPTION_FLAG, &tool->is_json, 0, 0, NULL,
         "print one JSON object"},
        {"run", "quiet", FL_OPTION_FLAG, &tool->is_quiet, 0, 0, NULL,
         "no progress and no result"},
    };
    enum { OWN = sizeof own / sizeof *own };
    static fl_option table[FL_DATA_SETTINGS_DATASET + FL_PRUNING_OPTIONS +
                           FL_TRAINING_OPTIONS + OWN];
    size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_DATASET, &tool->data);
    count = fl_pruning_list(table, count, tool);
    count = fl_training_list(table, count, tool, &tool->prune_lr);
    return (fl_command){
        .name = "hqp",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_tool_options(table, count, own, OWN),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
