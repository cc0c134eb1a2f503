/*
 * fedge-compress quantize: float32 to fewer bits: INT8 or a mix as QDQ ONNX,
 * or float32 models whose weights are stored small.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "compress/calibration.h"
#include "compress/mix.h"

static const char USAGE[] =
    "usage: fedge-compress quantize MODEL --out FILE [OPTION]...\n\n"
    "Makes a trained model smaller by fewer bits a number. --mode says how:\n\n"
    "  int8     weights per output channel, activations by the ranges seen on "
    "rows of\n"
    "           the training data, batch norms folded; layers that are named "
    "stay in\n"
    "           float32 or float16, or get weights of 4 bits\n"
    "  mixed    the same, and the layers are found: each one alone in 8 and in "
    "4 bits,\n"
    "           then those stay in float16 that gain most a byte\n"
    "  float16  stores weights in 16 bits, computes in float32; needs no data\n"
    "  dynamic  stores weights in 8 bits, computes in float32; needs no "
    "data\n\n"
    "int8 and mixed write ONNX in the QDQ form.\n\n"
    "  fedge-compress quantize r8.onnx --dataset fashion-mnist --out "
    "r8-int8.onnx\n"
    "  fedge-compress quantize r8.onnx --dataset fashion-mnist --half-layers "
    "'conv1,fc*' \\\n"
    "                          --out r8-mixed.onnx\n"
    "  fedge-compress quantize r8.onnx --mode mixed --dataset fashion-mnist "
    "\\\n"
    "                          --max-bytes-more 10 --out r8-mixed.onnx\n"
    "  fedge-compress quantize r8.onnx --mode float16 --out r8-half.onnx\n\n";

static const char *const MODES[] = {"int8", "mixed", "float16", "dynamic",
                                    NULL};

enum { MODE_INT8, MODE_MIXED, MODE_FLOAT16, MODE_DYNAMIC };

static bool names_layers(const fl_tool *tool)
{
    return tool->float_layers || tool->half_layers || tool->nibble_layers;
}

static fl_err check(unsigned *mode, const fl_tool *tool, fl_reason *why)
{
    FL_TRY(fl_tool_choice(mode, "mode", tool->mode, MODES, why));
    if (names_layers(tool) && *mode != MODE_INT8) {
        return fl_reason_set(
            why, FL_ERR_RANGE, "--mode %s takes no lists of layers: %s",
            tool->mode,
            *mode == MODE_MIXED ? "it finds them; --mode int8 takes them"
                                : "it treats all alike");
    }
    if (*mode == MODE_INT8 || *mode == MODE_MIXED) {
        return fl_tool_needs_data("quantize", tool, why);
    }
    if (tool->out) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE, "quantize needs --out FILE");
}

static void print_result(const fl_tool *tool, size_t len, const fl_model *model,
                         size_t row_count)
{
    if (tool->is_quiet || tool->is_json) return;
    printf("%s: %zu bytes, float32 has %zu", tool->out, len,
           fl_model_bytes(model));
    if (row_count) printf(" (calibrated on %zu rows)", row_count);
    printf("\n");
}

// By the ranges of values, and by a sweep over layers when that is wanted.
static fl_err quantize(const fl_tool *tool, const fl_calibration *c,
                       bool is_mixed, fl_reason *why)
{
    fl_mix mix = {.tool = tool, .options = c->options};
    mix.options.float_layers = tool->float_layers;
    mix.options.half_layers = tool->half_layers;
    mix.options.nibble_layers = tool->nibble_layers;
    fl_model *model = NULL;
    fl_dataset *train = NULL;
    fl_int8_model *quantized = NULL;
    uint32_t *rows = NULL;
    size_t count = 0;
    fl_err err = fl_file_check(tool->out, why);
    if (!err) err = fl_tool_read_float(&model, tool->word, why);
    if (!err) err = fl_tool_dataset(&train, FL_DATA_TRAIN, tool, why);
    if (!err) err = fl_calibration_rows(&rows, &count, tool, train, why);
    if (!err && is_mixed) {
        err = fl_mix_find(&mix, model, train, rows, count, why);
    }
    if (!err) {
        err = fl_int8_quantize(&quantized, model, train, rows, count,
                               &mix.options, why);
    }
    if (!err) err = fl_tool_write_int8(quantized, c->profile, tool->out, why);
    if (!err && is_mixed) {
        err = fl_mix_report(&mix, quantized, c->profile, why);
    }
    if (!err) {
        print_result(tool, fl_int8_bytes(quantized, c->profile), model, count);
    }
    fl_mix_fini(&mix);
    free(rows);
    fl_int8_free(quantized);
    fl_dataset_free(train);
    fl_model_free(model);
    return err;
}

static fl_err store(const fl_tool *tool, fl_storage storage, fl_reason *why)
{
    fl_model *model = NULL;
    fl_err err = fl_file_check(tool->out, why);
    if (!err) err = fl_tool_read_float(&model, tool->word, why);
    if (!err) err = fl_tool_write_as(model, storage, tool->out, why);
    if (!err) print_result(tool, fl_model_bytes_as(model, storage), model, 0);
    fl_model_free(model);
    return err;
}

static int run(const void *settings, fl_reason *why)
{
    unsigned mode = 0;
    fl_calibration c;
    if (check(&mode, settings, why)) return FL_EXIT_USAGE;
    if (fl_calibration_init(&c, settings, why)) return FL_EXIT_USAGE;
    switch (mode) {
    case MODE_FLOAT16:
        return fl_program_exit(store(settings, FL_STORAGE_FLOAT16, why));
    case MODE_DYNAMIC:
        return fl_program_exit(store(settings, FL_STORAGE_WEIGHTS8, why));
    default:
        return fl_program_exit(quantize(settings, &c, mode == MODE_MIXED, why));
    }
}

fl_command fl_quantize_command(fl_tool *tool)
{
    enum { OWN = 10 };
    static fl_option
        table[FL_DATA_SETTINGS_DATASET + FL_CALIBRATION_OPTIONS + OWN];
    const fl_option own[OWN] = {
        {"quantization", "mode", FL_OPTION_TEXT, &tool->mode, 0, 0, "HOW",
         "int8, mixed, float16 or dynamic"},
        {"layers", "float-layers", FL_OPTION_TEXT, &tool->float_layers, 0, 0,
         "LIST", "stay in float32: names or patterns with * and ?"},
        {"layers", "half-layers", FL_OPTION_TEXT, &tool->half_layers, 0, 0,
         "LIST", "the same, stored as float16"},
        {"layers", "nibble-layers", FL_OPTION_TEXT, &tool->nibble_layers, 0, 0,
         "LIST", "get weights of 4 bits"},
        {"layers", "max-bytes-more", FL_OPTION_NUMBER, &tool->max_bytes_more,
         0.1, 1600, "X", "mixed: what it may add to the weights, in percent"},
        {"layers", "base-bits", FL_OPTION_COUNT, &tool->base_bits, 4, 8, "N",
         "mixed: of the weights of all other layers, 8 or 4"},
        {"run", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "picks the rows"},
        {"run", "out", FL_OPTION_TEXT, &tool->out, 0, 0, "FILE",
         "the quantised model, ONNX"},
        {"run", "quiet", FL_OPTION_FLAG, &tool->is_quiet, 0, 0, NULL,
         "print nothing"},
        {"run", "json", FL_OPTION_FLAG, &tool->is_json, 0, 0, NULL,
         "mixed: print the layers as one JSON object"},
    };
    size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_DATASET, &tool->data);
    count = fl_calibration_list(table, count, tool);
    return (fl_command){
        .name = "quantize",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_tool_options(table, count, own, OWN),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
