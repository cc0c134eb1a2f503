/*
 * fedge-compress convert: the same model in another file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "base/file.h"
#include "compress/tool.h"

static const char USAGE[] =
    "usage: fedge-compress convert MODEL --to FORM --out FILE\n\n"
    "Writes a model in another form. What is float32 can be stored as\n\n"
    "  float32   as it is\n"
    "  float16   weights in 16 bits\n"
    "  weights8  weights in 8 bits, a scale for each output channel\n\n"
    "and computes in float32 all the same. What is quantised can be written "
    "as\n\n"
    "  plain     QDQ with activations of u8: ONNX Runtime\n"
    "  tensorrt  QDQ with activations of s8 and zero point 0, if it was "
    "quantised so\n\n"
    "  fedge-compress convert r8.onnx --to float16 --out r8-half.onnx\n"
    "  fedge-compress convert r8-trt.onnx --to plain --out r8-int8.onnx\n\n";

static const char *const FORMS[] = {"float32", "float16",  "weights8",
                                    "plain",   "tensorrt", NULL};

enum { PLAIN = 3, TENSORRT };  // from here on: of what is quantised

static fl_err check(unsigned *form, const fl_tool *tool, fl_reason *why)
{
    if (!tool->to || !tool->out) {
        return fl_reason_set(why, FL_ERR_RANGE, "convert needs %s",
                             tool->out ? "--to FORM" : "--out FILE");
    }
    return fl_tool_choice(form, "to", tool->to, FORMS, why);
}

static fl_err write_quantized(const fl_tool *tool, const fl_int8_model *model,
                              unsigned form, size_t *len, fl_reason *why)
{
    const fl_qdq_profile profile =
        form == TENSORRT ? FL_QDQ_TENSORRT : FL_QDQ_PLAIN;
    if (form < PLAIN) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "%s: is quantised: what was rounded does not come "
                             "back; give the float32 model",
                             tool->word);
    }
    *len = fl_int8_bytes(model, profile);
    const fl_err err = fl_tool_write_int8(model, profile, tool->out, why);
    if (err != FL_ERR_UNSUPPORTED) return err;
    return fl_reason_set(why, err,
                         "%s: has zero points, which TensorRT does not take; "
                         "quantise the float32 model with --profile tensorrt",
                         tool->word);
}

static fl_err write_float(const fl_tool *tool, const fl_model *model,
                          unsigned form, size_t *len, fl_reason *why)
{
    static const fl_storage storages[] = {
        FL_STORAGE_FLOAT32, FL_STORAGE_FLOAT16, FL_STORAGE_WEIGHTS8};
    if (form >= PLAIN) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "%s: is float32; fedge-compress quantize makes "
                             "INT8 of it",
                             tool->word);
    }
    *len = fl_model_bytes_as(model, storages[form]);
    return fl_tool_write_as(model, storages[form], tool->out, why);
}

static fl_err convert(const fl_tool *tool, unsigned form, fl_reason *why)
{
    fl_tool_model model = {0};
    size_t len = 0;
    FL_TRY(fl_file_check(tool->out, why));
    FL_TRY(fl_tool_read(&model, tool->word, why));
    const fl_err err =
        model.quantized
            ? write_quantized(tool, model.quantized, form, &len, why)
            : write_float(tool, model.model, form, &len, why);
    if (!err && !tool->is_quiet) {
        printf("%s: %zu bytes, %s has %zu\n", tool->out, len, tool->word,
               model.file_len);
    }
    fl_tool_model_fini(&model);
    return err;
}

static int run(const void *settings, fl_reason *why)
{
    unsigned form = 0;
    if (check(&form, settings, why)) return FL_EXIT_USAGE;
    return fl_program_exit(convert(settings, form, why));
}

fl_command fl_convert_command(fl_tool *tool)
{
    static fl_option table[3];
    const fl_option own[] = {
        {"conversion", "to", FL_OPTION_TEXT, &tool->to, 0, 0, "FORM",
         "float32, float16, weights8, plain or tensorrt"},
        {"run", "out", FL_OPTION_TEXT, &tool->out, 0, 0, "FILE",
         "the same model, ONNX"},
        {"run", "quiet", FL_OPTION_FLAG, &tool->is_quiet, 0, 0, NULL,
         "print nothing"},
    };
    return (fl_command){
        .name = "convert",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_tool_options(table, 0, own, 3),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
