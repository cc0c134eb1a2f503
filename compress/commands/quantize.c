/*
 * fedge-compress quantize: float32 to INT8, as QDQ ONNX.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "compress/calibration.h"

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

static fl_err quantize(const fl_tool *tool, const fl_calibration *c,
                       fl_reason *why)
{
    fl_model *model = NULL;
    fl_dataset *train = NULL;
    fl_int8_model *quantized = NULL;
    uint32_t *rows = NULL;
    size_t count = 0;
    fl_err err = fl_file_check(tool->out, why);
    if (!err) err = fl_tool_read_float(&model, tool->word, why);
    if (!err) err = fl_tool_dataset(&train, FL_DATA_TRAIN, tool, why);
    if (!err) err = fl_calibration_rows(&rows, &count, tool, train, why);
    if (!err) {
        err = fl_int8_quantize(&quantized, model, train, rows, count,
                               &c->options, why);
    }
    if (!err) {
        err = fl_tool_write_int8(quantized, c->profile, tool->out, why);
    }
    if (!err && !tool->is_quiet) {
        printf("%s: %zu bytes, float32 has %zu (calibrated on %zu rows)\n",
               tool->out, fl_int8_bytes(quantized, c->profile),
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
    const fl_tool *tool = settings;
    fl_calibration c;
    if (fl_tool_needs_data("quantize", tool, why)) return FL_EXIT_USAGE;
    if (fl_calibration_init(&c, tool, why)) return FL_EXIT_USAGE;
    return fl_program_exit(quantize(tool, &c, why));
}

fl_command fl_quantize_command(fl_tool *tool)
{
    static fl_option
        table[FL_DATA_SETTINGS_DATASET + FL_CALIBRATION_OPTIONS + 3];
    const fl_option own[] = {
        {"run", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "picks the rows"},
        {"run", "out", FL_OPTION_TEXT, &tool->out, 0, 0, "FILE",
         "the quantised model, ONNX"},
        {"run", "quiet", FL_OPTION_FLAG, &tool->is_quiet, 0, 0, NULL,
         "print nothing"},
    };
    size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_DATASET, &tool->data);
    count = fl_calibration_list(table, count, tool);
    return (fl_command){
        .name = "quantize",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_tool_options(table, count, own, 3),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
