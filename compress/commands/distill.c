/*
 * fedge-compress distill: a small model that learns what a large one answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "compress/pruning.h"
#include "compress/training.h"

static const char USAGE[] =
    "usage: fedge-compress distill TEACHER --student NAME|FILE --dataset SPEC "
    "--out FILE\n"
    "                              [OPTION]...\n\n"
    "Trains a student on the labels and on what the teacher says of the same "
    "rows: of its\nlogits, softened by --temperature; of embeddings, on where "
    "they lie. The student is a\nbuilt-in architecture (a tower, when the "
    "teacher makes embeddings) or an ONNX file.\n\n"
    "  fedge-compress distill r18.onnx --student mobilenetv2-tiny --dataset "
    "fashion-mnist \\\n"
    "                         --epochs 5 --out student.onnx\n"
    "  fedge-compress distill siamese50.onnx --student mobilenetv2 --width 0.5 "
    "\\\n"
    "                         --dataset fashion-mnist --resize 64x64 --out "
    "s.onnx\n\n";

typedef struct {
    fl_tool tool;  // with the word as --teacher
    fl_training training;
    fl_model *student;
} distillation;

static bool makes_embeddings(const fl_model *model)
{
    const uint32_t last = fl_model_layer_count(model) - 1;
    return strcmp(fl_model_layer(model, last).op, "LpNormalization") == 0;
}

static bool is_built_in(const char *name)
{
    for (size_t i = 0; fl_model_name(i); i++) {
        if (strcmp(fl_model_name(i), name) == 0) return true;
    }
    return false;
}

// An architecture with the teacher's input and outputs.
static fl_err make_student(distillation *d, fl_reason *why)
{
    const fl_model *teacher = d->training.teacher;
    const fl_shape input = fl_model_input(teacher);
    const uint32_t outputs = fl_model_class_count(teacher);
    const bool is_siamese = makes_embeddings(teacher);
    float *moments = calloc(2 * (size_t)input.channels, sizeof *moments);
    if (!moments) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    fl_dataset_moments(moments, moments + input.channels, d->training.train);
    const fl_model_options options = {
        .name = is_siamese ? "siamese" : d->tool.student,
        .tower = d->tool.student,
        .input = input,
        .class_count = outputs,
        .embedding = outputs,
        .mean = moments,
        .deviation = moments + input.channels,
        .seed = d->tool.seed,
        .width = d->tool.width,
    };
    const fl_err err = fl_model_new(&d->student, &options, why);
    free(moments);
    return err;
}

static fl_err check_rows(const distillation *d, fl_reason *why)
{
    const fl_shape rows = fl_dataset_shape(d->training.train);
    const fl_shape input = fl_model_input(d->training.teacher);
    if (rows.height == input.height && rows.width == input.width &&
        rows.channels == input.channels) {
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_RANGE,
                         "the dataset's rows are %ux%ux%u, the teacher's input "
                         "is %ux%ux%u; see --resize",
                         rows.height, rows.width, rows.channels, input.height,
                         input.width, input.channels);
}

static fl_err open_all(distillation *d, fl_reason *why)
{
    FL_TRY(fl_file_check(d->tool.out, why));
    FL_TRY(fl_training_open(&d->training, why));
    FL_TRY(check_rows(d, why));
    // Softmax is what holds when nothing is said, and means nothing here.
    if (makes_embeddings(d->training.teacher) &&
        d->training.options.loss.kind == FL_LOSS_SOFTMAX) {
        d->training.options.loss.kind = FL_LOSS_TRIPLET;
    }
    if (is_built_in(d->tool.student)) return make_student(d, why);
    return fl_tool_read_float(&d->student, d->tool.student, why);
}

static fl_err report(distillation *d, fl_reason *why)
{
    fl_pruning_row rows[2] = {
        {.name = "teacher", .key = "teacher", .model = d->training.teacher},
        {.name = "student", .key = "student", .model = d->student},
    };
    FL_TRY(fl_pruning_measure(rows, 2, &d->training, why));
    if (d->tool.is_json) {
        return fl_tool_print_json(fl_pruning_json(rows, 2), why);
    }
    fl_pruning_print(rows, 2);
    return FL_OK;
}

static fl_err distill(distillation *d, fl_reason *why)
{
    FL_TRY(open_all(d, why));
    const fl_err err = fl_training_run(&d->training, d->student,
                                       (uint32_t)d->tool.epochs, why);
    const bool is_stopped = err == FL_ERR_CANCELLED;
    if (err && !is_stopped) return err;
    FL_TRY(fl_tool_write(d->student, d->tool.out, why));
    if (is_stopped || d->tool.is_quiet) return err;
    return report(d, why);
}

static fl_err check(distillation *d, fl_reason *why)
{
    FL_TRY(fl_tool_needs_data("distill", &d->tool, why));
    if (!d->tool.student) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "distill needs --student NAME|FILE");
    }
    if (d->tool.teacher) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the teacher is the word behind distill: leave "
                             "--teacher out");
    }
    d->tool.teacher = d->tool.word;
    return fl_training_init(&d->training, &d->tool, d->tool.lr, why);
}

static int run(const void *settings, fl_reason *why)
{
    distillation d = {.tool = *(const fl_tool *)settings};
    if (check(&d, why)) return FL_EXIT_USAGE;
    const fl_err err = distill(&d, why);
    fl_training_close(&d.training);
    fl_model_free(d.student);
    return fl_program_exit(err);
}

fl_command fl_distill_command(fl_tool *tool)
{
    const fl_option own[] = {
        {"student", "student", FL_OPTION_TEXT, &tool->student, 0, 0,
         "NAME|FILE", "who learns: a built-in architecture, or ONNX"},
        {"student", "width", FL_OPTION_NUMBER, &tool->width, 0.01, 8, "X",
         "mobilenets, shufflenetv2: factor on the channels"},
        {"run", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "of the first parameters and the order of rows"},
        {"run", "out", FL_OPTION_TEXT, &tool->out, 0, 0, "FILE",
         "the student, ONNX"},
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
    count = fl_training_list(table, count, tool, &tool->lr);
    return (fl_command){
        .name = "distill",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_tool_options(table, count, own, OWN),
        .operand = "TEACHER",
        .word = &tool->word,
    };
}
