/*
 * Reads ONNX files, writes them again as fedge does, and computes what they
 * give for random rows:
 *
 *   rewrite FOLDER FILE...    and all built-in models
 *
 * FOLDER/NAME.onnx is the model, FOLDER/NAME.json its input and its logits,
 * for compare.js beside this file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "model/model.h"
#include "tests/support/onnx.h"

enum { ROWS = 3 };

static void stop(const char *name, const fl_reason *why)
{
    fprintf(stderr, "%s: %s\n", name, why->text);
    exit(1);
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory) abort();
    return memory;
}

static FILE *create(const char *folder, const char *name, const char *ending)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.%s", folder, name, ending);
    FILE *file = fopen(path, "wb");
    if (!file) {
        perror(path);
        exit(1);
    }
    return file;
}

static void write_file(const char *folder, const char *name, const void *bytes,
                       size_t len)
{
    FILE *file = create(folder, name, "onnx");
    if (fwrite(bytes, 1, len, file) != len || fclose(file) != 0) exit(1);
}

static void print_dims(FILE *file, const uint8_t *bytes, size_t len)
{
    Onnx__ModelProto *proto = onnx__model_proto__unpack(NULL, len, bytes);
    if (!proto) abort();
    const Onnx__TensorShapeProto *shape =
        proto->graph->input[0]->type->tensor_type->shape;
    fprintf(file, "{\"dims\": [%d", ROWS);
    for (size_t i = 1; i < shape->n_dim; i++) {
        fprintf(file, ", %d", (int)shape->dim[i]->dim_value);
    }
    fprintf(file, "]");
    onnx__model_proto__free_unpacked(proto, NULL);
}

static void print_numbers(FILE *file, const char *key, const float *numbers,
                          size_t count)
{
    fprintf(file, ",\n\"%s\": [", key);
    for (size_t i = 0; i < count; i++) {
        fprintf(file, "%s%.9g", i ? ", " : "", (double)numbers[i]);
    }
    fprintf(file, "]");
}

// (N, H, W, C) as (N, C, H, W).
static float *transposed(const float *x, fl_shape s)
{
    const size_t pixels = (size_t)s.height * s.width;
    float *y = allocate(ROWS * pixels * s.channels * sizeof *y);
    for (size_t n = 0; n < ROWS; n++) {
        for (size_t p = 0; p < pixels; p++) {
            for (size_t c = 0; c < s.channels; c++) {
                y[(n * s.channels + c) * pixels + p] =
                    x[(n * pixels + p) * s.channels + c];
            }
        }
    }
    return y;
}

static float *predict(fl_model *model, const char *name, const float *x)
{
    fl_reason why = {""};
    fl_trainer *trainer;
    const fl_trainer_options options = {.batch_cap = ROWS};
    if (fl_trainer_new(&trainer, model, &options, &why)) stop(name, &why);
    float *logits =
        allocate(ROWS * fl_model_class_count(model) * sizeof *logits);
    if (fl_trainer_predict(trainer, logits, fl_model_params(model), x, ROWS)) {
        abort();
    }
    fl_trainer_free(trainer);
    return logits;
}

// Writes both files; frees the model.
static void rewrite(const char *folder, const char *name, fl_model *model)
{
    const fl_shape input = fl_model_input(model);
    const size_t len = fl_model_bytes(model);
    const size_t count = ROWS * fl_shape_size(input);
    uint8_t *bytes = allocate(len);
    if (fl_model_encode(model, bytes, len)) abort();
    write_file(folder, name, bytes, len);

    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_INIT, 0);
    float *x = allocate(count * sizeof *x);
    for (size_t i = 0; i < count; i++) {
        x[i] = fl_random_float(&random);
    }
    float *nchw = transposed(x, input), *logits = predict(model, name, x);
    FILE *file = create(folder, name, "json");
    print_dims(file, bytes, len);
    print_numbers(file, "input", nchw, count);
    print_numbers(file, "logits", logits,
                  (size_t)ROWS * fl_model_class_count(model));
    fprintf(file, "}\n");
    if (fclose(file) != 0) exit(1);
    free(nchw);
    free(logits);
    free(x);
    free(bytes);
    fl_model_free(model);
}

static void rewrite_file(const char *folder, const char *path)
{
    fl_model *model;
    fl_reason why = {""};
    size_t len;
    uint8_t *bytes = fl_onnx_edit_read(&len, path);
    if (fl_model_decode(&model, bytes, len, &why)) stop(path, &why);
    free(bytes);

    const char *slash = strrchr(path, '/');
    char name[256];
    snprintf(name, sizeof name, "%s", slash ? slash + 1 : path);
    char *ending = strstr(name, ".onnx");
    if (ending) *ending = '\0';
    rewrite(folder, name, model);
}

static void rewrite_built_in(const char *folder, const char *name)
{
    static const float mean[] = {0.5F, 0.4F, 0.3F};
    static const float deviation[] = {0.3F, 0.2F, 0.25F};
    const fl_model_options options = {
        .name = name,
        .input = {32, 36, 3},
        .class_count = 10,
        .mean = mean,
        .deviation = deviation,
        .seed = 1,
    };
    char label[64];
    fl_model *model;
    fl_reason why = {""};
    if (fl_model_new(&model, &options, &why)) stop(name, &why);
    snprintf(label, sizeof label, "built-in-%s", name);
    rewrite(folder, label, model);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: rewrite FOLDER FILE...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        rewrite_file(argv[1], argv[i]);
    }
    for (size_t i = 0; fl_model_name(i); i++) {
        rewrite_built_in(argv[1], fl_model_name(i));
    }
    return 0;
}
