/*
 * fedge-compress inspect: what a model is made of.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/progress.h"
#include "compress/tool.h"

static const char USAGE[] =
    "usage: fedge-compress inspect MODEL [--json]\n\n"
    "Prints the layers of a model with shapes, parameters, operations and "
    "bits, and the\nmemory that running it on one example takes.\n\n"
    "  fedge-compress inspect r8.onnx\n\n";

// What a table or an object is filled from, whichever kind the model is.
typedef struct {
    fl_tool_model model;
    fl_runner *runner;
    uint32_t count;
    uint64_t param_count, mac_count;  // sums
} inspection;

static fl_layer_info layer_at(const inspection *in, uint32_t i)
{
    if (in->model.model) return fl_model_layer(in->model.model, i);
    const fl_step_info step = fl_runner_step(in->runner, i);
    return (fl_layer_info){.name = step.name,
                           .op = step.op,
                           .shape = step.shape,
                           .param_count = step.param_count,
                           .mac_count = step.mac_count};
}

// Of what the file holds of a layer's weights; "" when it has none.
static const char *precision_at(const inspection *in, uint32_t i)
{
    const fl_layer_info layer = layer_at(in, i);
    if (layer.param_count == 0) return "";
    if (!in->model.model) {
        return fl_precision_name(fl_runner_step(in->runner, i).precision);
    }
    const bool is_layer =
        strcmp(layer.op, "Conv") == 0 || strcmp(layer.op, "Gemm") == 0;
    if (!is_layer || in->model.storage == FL_STORAGE_FLOAT32) return "float32";
    return in->model.storage == FL_STORAGE_FLOAT16 ? "float16" : "weights8";
}

static void print_table(const inspection *in, const char *path)
{
    char file[16], memory[16];
    const fl_shape input = fl_runner_input(in->runner);
    printf("%-28s %-24s %14s %10s %10s %9s\n", "layer", "operator", "output",
           "parameters", "kMAC", "precision");
    for (uint32_t i = 0; i < in->count; i++) {
        const fl_layer_info layer = layer_at(in, i);
        char shape[40];
        snprintf(shape, sizeof shape, "%ux%ux%u", layer.shape.height,
                 layer.shape.width, layer.shape.channels);
        printf("%-28s %-24s %14s %10zu %10.1f %9s\n", layer.name, layer.op,
               shape, layer.param_count, (double)layer.mac_count / 1e3,
               precision_at(in, i));
    }
    fl_bytes_text(file, (double)in->model.file_len);
    fl_bytes_text(memory, (double)fl_runner_bytes(in->runner));
    printf("\n%s: %s, input %ux%ux%u, %u outputs, %llu parameters, %.2f MMAC, "
           "%s, runs in %s\n",
           path, in->model.quantized ? "INT8" : "float32", input.height,
           input.width, input.channels, fl_runner_class_count(in->runner),
           (unsigned long long)in->param_count, (double)in->mac_count / 1e6,
           file, memory);
}

static fl_json *layer_json(const inspection *in, uint32_t i)
{
    const fl_layer_info layer = layer_at(in, i);
    fl_json *json = fl_json_new();
    fl_json_text_set(json, "name", layer.name);
    fl_json_text_set(json, "operator", layer.op);
    fl_json_count_set(json, "height", layer.shape.height);
    fl_json_count_set(json, "width", layer.shape.width);
    fl_json_count_set(json, "channels", layer.shape.channels);
    fl_json_count_set(json, "parameters", layer.param_count);
    fl_json_count_set(json, "macs", layer.mac_count);
    fl_json_text_set(json, "precision", precision_at(in, i));
    return json;
}

static fl_err write_json(const inspection *in, fl_reason *why)
{
    char *text = NULL;
    fl_json *json = fl_json_new();
    fl_json_text_set(json, "kind", in->model.quantized ? "int8" : "float32");
    fl_json_count_set(json, "outputs", fl_runner_class_count(in->runner));
    fl_json_count_set(json, "parameters", in->param_count);
    fl_json_count_set(json, "macs", in->mac_count);
    fl_json_count_set(json, "file_bytes", in->model.file_len);
    fl_json_count_set(json, "arena_bytes", fl_runner_bytes(in->runner));
    for (uint32_t i = 0; i < in->count; i++) {
        fl_json_object_add(json, "layers", layer_json(in, i));
    }
    const fl_err err = fl_json_text(&text, json);
    if (!err) puts(text);
    free(text);
    fl_json_free(json);
    return err ? fl_reason_set(why, err, "no memory for the report") : FL_OK;
}

static void count_all(inspection *in)
{
    in->count = in->model.model ? fl_model_layer_count(in->model.model)
                                : fl_runner_step_count(in->runner);
    for (uint32_t i = 0; i < in->count; i++) {
        const fl_layer_info layer = layer_at(in, i);
        in->param_count += layer.param_count;
        in->mac_count += layer.mac_count;
    }
}

static int run(const void *settings, fl_reason *why)
{
    const fl_tool *tool = settings;
    inspection in = {0};
    fl_err err = fl_tool_read(&in.model, tool->word, why);
    if (!err) err = fl_tool_runner(&in.runner, &in.model, 1, why);
    if (!err) count_all(&in);
    if (!err && tool->is_json) err = write_json(&in, why);
    if (!err && !tool->is_json) print_table(&in, tool->word);
    fl_runner_free(in.runner);
    fl_tool_model_fini(&in.model);
    return fl_program_exit(err);
}

fl_command fl_inspect_command(fl_tool *tool)
{
    static fl_option table[1];
    const fl_option own[] = {
        {"run", "json", FL_OPTION_FLAG, &tool->is_json, 0, 0, NULL,
         "print one JSON object"},
    };
    return (fl_command){
        .name = "inspect",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_tool_options(table, 0, own, 1),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
