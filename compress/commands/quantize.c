/*
 * fedge-compress quantize: float32 to INT8, as QDQ ONNX.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/random.h"
#include "compress/tool.h"

static const char USAGE[] =
    "usage: fedge-compress quantize MODEL --dataset SPEC --out FILE "
    "[OPTION]...\n\n"
    "Quantises a trained model to INT8: weights per output channel, "
    "activations by the\nranges seen on rows of the training data. Batch "
    "norms are folded into the layers\nbefore them. The result is an ONNX "
    "file in the QDQ form.\n\n"
    "  fedge-compress quantize r8.onnx --dataset fashion-mnist --out "
    "r8-int8.onnx\n"
    "  fedge-compress quantize r8.onnx --dataset fashion-mnist --calibrate "
    "entropy \\\n"
    "                          --profile tensorrt --out r8-trt.onnx\n\n";

static const char *const CALIBRATE[] = {"minmax", "percentile", "entropy",
                                        NULL};
static const char *const PROFILES[] = {"plain", "tensorrt", NULL};

typedef struct {
    unsigned calibrate, profile;
} choices;

static fl_err check(choices *c, const fl_tool *tool, fl_reason *why)
{
    FL_TRY(fl_tool_needs_data("quantize", tool, why));
    FL_TRY(fl_tool_choice(&c->calibrate, "calibrate", tool->calibrate,
                          CALIBRATE, why));
    return fl_tool_choice(&c->profile, "profile", tool->profile, PROFILES, why);
}

// Rows to calibrate with: a sample of the training part.
static fl_err pick_rows(uint32_t **rows, size_t *count, const fl_tool *tool,
                        const fl_dataset *train, fl_reason *why)
{
    fl_random random;
    const uint32_t all = fl_dataset_row_count(train);
    *count = tool->row_count < all ? (size_t)tool->row_count : all;
    *rows = fl_tool_rows(all);
    if (!*rows) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for the rows");
    }
    fl_random_init(&random, tool->seed, FL_RANDOM_SHUFFLE, 0);
    fl_random_shuffle(&random, *rows, all);
    return FL_OK;
}

static fl_err quantize(const fl_tool *tool, const choices *c, fl_reason *why)
{
    const fl_int8_options options = {
        .calibrate = (fl_calibrate)c->calibrate,
        .percentile = tool->percentile,
        .is_symmetric = c->profile == FL_QDQ_TENSORRT,
    };
    fl_model *model = NULL;
    fl_dataset *train = NULL;
    fl_int8_model *quantized = NULL;
    uint32_t *rows = NULL;
    size_t count = 0;
    fl_err err = fl_file_check(tool->out, why);
    if (!err) err = fl_tool_read_float(&model, tool->word, why);
    if (!err) err = fl_tool_dataset(&train, FL_DATA_TRAIN, tool, why);
    if (!err) err = pick_rows(&rows, &count, tool, train, why);
    if (!err) {
        err = fl_int8_quantize(&quantized, model, train, rows, count, &options,
                               why);
    }
    if (!err) {
        err = fl_tool_write_int8(quantized, (fl_qdq_profile)c->profile,
                                 tool->out, why);
    }
    if (!err && !tool->is_quiet) {
        printf("%s: %zu bytes, float32 has %zu (calibrated on %zu rows)\n",
               tool->out, fl_int8_bytes(quantized, (fl_qdq_profile)c->profile),
               fl_model_bytes(model), count);
    }
    free(rows);
    fl_int8_free(quantized);
    fl_dataset_free(train);
    fl_model_free(model);
    return err;
}

static int run(const void *settings, fl_reason *why)
{
    choices c = {0};
    if (check(&c, settings, why)) return FL_EXIT_USAGE;
    return fl_program_exit(quantize(settings, &c, why));
}

fl_command fl_quantize_command(fl_tool *tool)
{
    static fl_option table[12];
    const fl_option own[] = {
        {"quantization", "calibrate", FL_OPTION_TEXT, &tool->calibrate, 0, 0,
         "HOW", "ranges of activations: minmax, percentile or entropy"},
        {"quantization", "percentile", FL_OPTION_NUMBER, &tool->percentile, 99,
         100, "X", "share of the values within the range"},
        {"quantization", "rows", FL_OPTION_COUNT, &tool->row_count, 1, 1 << 24,
         "N", "training rows to calibrate with"},
        {"quantization", "profile", FL_OPTION_TEXT, &tool->profile, 0, 0,
         "NAME", "plain, or tensorrt: signed activations, zero point 0"},
        {"run", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "picks the rows"},
        {"run", "out", FL_OPTION_TEXT, &tool->out, 0, 0, "FILE",
         "the quantised model, ONNX"},
        {"run", "quiet", FL_OPTION_FLAG, &tool->is_quiet, 0, 0, NULL,
         "print nothing"},
    };
    const size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_DATASET, &tool->data);
    return (fl_command){
        .name = "quantize",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_tool_options(table, count, own, 7),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
