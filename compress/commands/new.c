/*
 * fedge-compress new: a built-in architecture with fresh parameters.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "compress/tool.h"

static const char USAGE[] =
    "usage: fedge-compress new NAME --out FILE [OPTION]...\n\n"
    "Writes a built-in architecture as ONNX. NAME: mlp, lenet, resnet8, "
    "resnet18,\nresnet50, mobilenetv2, mobilenetv2-tiny, mobilenetv3-small, "
    "shufflenetv2, siamese.\n"
    "With --dataset the input, the classes and the scaling of the input "
    "follow from\nthe data; without it --input and --classes say them.\n\n"
    "  fedge-compress new mobilenetv2 --width 0.35 --input 96x96x3 --out "
    "m.onnx\n"
    "  fedge-compress new siamese --tower resnet8 --embedding 32 --out "
    "s.onnx\n\n";

// A number of one to four digits and the letter behind it; NULL: none.
static const char *read_size(uint32_t *size, const char *text, char end)
{
    const size_t digits = strspn(text, "0123456789");
    if (digits < 1 || digits > 4 || text[digits] != end) return NULL;
    *size = (uint32_t)strtoul(text, NULL, 10);
    return text + digits + 1;
}

static fl_err read_input(fl_shape *input, const char *text, fl_reason *why)
{
    const char *at = read_size(&input->height, text, 'x');
    if (at) at = read_size(&input->width, at, 'x');
    if (at) at = read_size(&input->channels, at, '\0');
    if (at) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "--input %s: not HEIGHTxWIDTHxCHANNELS, such as "
                         "28x28x1",
                         text);
}

// From the dataset: what goes in, what comes out, and how it is scaled.
static fl_err follow_dataset(fl_model_options *options, float **moments,
                             const fl_tool *tool, fl_reason *why)
{
    fl_dataset *train = NULL;
    FL_TRY(fl_tool_dataset(&train, FL_DATA_TRAIN, tool, why));
    options->input = fl_dataset_shape(train);
    options->class_count = fl_dataset_class_count(train);
    const size_t channels = options->input.channels;
    *moments = calloc(2 * channels, sizeof **moments);
    if (*moments) {
        fl_dataset_moments(*moments, *moments + channels, train);
        options->mean = *moments;
        options->deviation = *moments + channels;
    }
    fl_dataset_free(train);
    return *moments ? FL_OK : fl_reason_set(why, FL_ERR_MEMORY, "no memory");
}

static fl_err make(const fl_tool *tool, fl_reason *why)
{
    float *moments = NULL;
    fl_model *model = NULL;
    fl_model_options options = {
        .name = tool->word,
        .class_count = (uint32_t)tool->class_count,
        .seed = tool->seed,
        .width = tool->width,
        .tower = tool->tower,
        .embedding = (uint32_t)tool->embedding,
    };
    FL_TRY(fl_file_check(tool->out, why));
    fl_err err = tool->data.dataset
                     ? follow_dataset(&options, &moments, tool, why)
                     : read_input(&options.input, tool->input, why);
    if (!err) err = fl_model_new(&model, &options, why);
    if (!err) err = fl_tool_write(model, tool->out, why);
    if (!err && !tool->is_quiet) {
        printf("%s: %s, %ux%ux%u in, %u out, %zu parameters\n", tool->out,
               tool->word, options.input.height, options.input.width,
               options.input.channels, fl_model_class_count(model),
               fl_model_param_count(model));
    }
    fl_model_free(model);
    free(moments);
    return err;
}

static int run(const void *settings, fl_reason *why)
{
    const fl_tool *tool = settings;
    if (tool->out) return fl_program_exit(make(tool, why));
    (void)!fl_reason_set(why, FL_ERR_RANGE, "new needs --out FILE");
    return FL_EXIT_USAGE;
}

fl_command fl_new_command(fl_tool *tool)
{
    static fl_option table[13];
    size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_DATASET, &tool->data);
    const fl_option own[] = {
        {"model", "input", FL_OPTION_TEXT, &tool->input, 0, 0, "HxWxC",
         "what goes in, without --dataset"},
        {"model", "classes", FL_OPTION_COUNT, &tool->class_count, 2, 65536, "N",
         "what comes out, without --dataset"},
        {"model", "width", FL_OPTION_NUMBER, &tool->width, 0.01, 8, "X",
         "mobilenets, shufflenetv2: factor on the channels"},
        {"model", "tower", FL_OPTION_TEXT, &tool->tower, 0, 0, "NAME",
         "siamese: the architecture of the tower"},
        {"model", "embedding", FL_OPTION_COUNT, &tool->embedding, 2, 65536, "N",
         "siamese: numbers that come out"},
        {"run", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "of the first parameters"},
        {"run", "out", FL_OPTION_TEXT, &tool->out, 0, 0, "FILE",
         "the model, ONNX"},
        {"run", "quiet", FL_OPTION_FLAG, &tool->is_quiet, 0, 0, NULL,
         "print nothing"},
    };
    count = fl_tool_options(table, count, own, sizeof own / sizeof *own);
    return (fl_command){
        .name = "new",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = count,
        .operand = "NAME",
        .word = &tool->word,
    };
}
