/* SPDX-License-Identifier: Apache-2.0 */
#include "client/infer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/json.h"
#include "client/feed/skips.h"
#include "client/state/state.h"
#include "data/data.h"
#include "model/model.h"

typedef struct {
    const fl_infer_options *options;
    FILE *out;
    fl_model *model;      // one of the two
    fl_int8_model *form;  //
    fl_runner *runner;
    char *classes;       // what the classes are called, a line each; or NULL
    const char **names;  // of each class; NULL: it has none
    uint32_t class_count;
    float *x, *logits;
    double *shares;  // of the probability
    uint32_t *order;
} inference;

/* ---- the model ---- */

static fl_err read_model(uint8_t **bytes, size_t *len,
                         const fl_infer_options *options, fl_reason *why)
{
    fl_state_installed installed;
    if (options->model) {
        return fl_file_read(bytes, len, options->model, FL_MODEL_BYTES_MAX,
                            why);
    }
    const fl_err err =
        fl_state_installed_load(&installed, bytes, len, options->state, why);
    if (err != FL_ERR_NOT_FOUND) return err;
    return fl_reason_set(why, err,
                         "%s: no model is in use here yet; fedge-client run "
                         "gets one when the federation publishes an INT8 form "
                         "(fedge-aggregator run --int8), or name a file with "
                         "--model",
                         options->state);
}

static fl_err decode_model(inference *in, const uint8_t *bytes, size_t len,
                           fl_reason *why)
{
    if (fl_int8_is_encoded(bytes, len)) {
        FL_TRY(fl_int8_decode(&in->form, bytes, len, why));
        return fl_runner_new_int8(&in->runner, in->form, 1, why);
    }
    FL_TRY(fl_model_decode(&in->model, bytes, len, why));
    return fl_runner_new(&in->runner, in->model, 1, why);
}

static fl_err load_model(inference *in, fl_reason *why)
{
    const fl_infer_options *options = in->options;
    uint8_t *bytes = NULL;
    size_t len = 0;
    fl_reason first = {""};
    FL_TRY(read_model(&bytes, &len, options, why));
    const fl_err err = decode_model(in, bytes, len, &first);
    free(bytes);
    if (!err) return FL_OK;
    return fl_reason_set(why, err, "%s: %s",
                         options->model ? options->model : "int8.onnx",
                         first.text);
}

// The names that the client of this folder has written down, if they fit.
static void load_names(inference *in)
{
    char *line;
    if (!in->options->state || in->options->model ||
        fl_state_classes_read(&in->classes, in->options->state, NULL)) {
        return;
    }
    line = in->classes;
    for (uint32_t i = 0; i < in->class_count && *line; i++) {
        char *end = strchr(line, '\n');
        if (!end) break;
        *end = 0;
        in->names[i] = line;
        line = end + 1;
    }
}

static fl_err make_room(inference *in, fl_reason *why)
{
    const size_t size = fl_shape_size(fl_runner_input(in->runner));
    in->class_count = fl_runner_class_count(in->runner);
    in->x = calloc(size, sizeof *in->x);
    in->logits = calloc(in->class_count, sizeof *in->logits);
    in->shares = calloc(in->class_count, sizeof *in->shares);
    in->order = calloc(in->class_count, sizeof *in->order);
    in->names = calloc(in->class_count, sizeof *in->names);
    if (in->x && in->logits && in->shares && in->order && in->names) {
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %u classes",
                         in->class_count);
}

/* ---- one row ---- */

static void take_softmax(inference *in)
{
    double sum = 0.0, top = -INFINITY;
    for (uint32_t i = 0; i < in->class_count; i++) {
        top = fmax(top, (double)in->logits[i]);
    }
    for (uint32_t i = 0; i < in->class_count; i++) {
        in->shares[i] = exp((double)in->logits[i] - top);
        sum += in->shares[i];
    }
    for (uint32_t i = 0; i < in->class_count; i++) {
        in->shares[i] /= sum;
    }
}

// The best `count` come first; of equals the one with the lower number.
static void rank(inference *in, uint32_t count)
{
    for (uint32_t i = 0; i < in->class_count; i++) {
        in->order[i] = i;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t best = i;
        for (uint32_t j = i + 1; j < in->class_count; j++) {
            const double a = in->shares[in->order[j]];
            const double b = in->shares[in->order[best]];
            if (a > b || (a >= b && in->order[j] < in->order[best])) best = j;
        }
        const uint32_t class = in->order[best];
        in->order[best] = in->order[i];
        in->order[i] = class;
    }
}

static void print_text(const inference *in, const char *place, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t class = in->order[i];
        const char *name = in->names[class];
        fprintf(in->out, "%s\t%" PRIu32 "\t%s%s%.4f\n", place, class,
                name ? name : "", name ? "\t" : "", in->shares[class]);
    }
}

static fl_err print_json(const inference *in, const char *file, uint32_t row,
                         uint32_t count, fl_reason *why)
{
    char *text = NULL;
    fl_json *line = fl_json_new();
    fl_json_text_set(line, "file", file);
    fl_json_count_set(line, "row", row);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t class = in->order[i];
        fl_json *guess = fl_json_new();
        fl_json_count_set(guess, "class", class);
        if (in->names[class]) {
            fl_json_text_set(guess, "name", in->names[class]);
        }
        fl_json_number_set(guess, "probability", in->shares[class]);
        fl_json_object_add(line, "classes", guess);
    }
    const fl_err err = fl_json_text(&text, line);
    if (!err) fprintf(in->out, "%s\n", text);
    free(text);
    fl_json_free(line);
    return err ? fl_reason_set(why, err, "no memory for a line") : FL_OK;
}

static fl_err print_row(inference *in, const char *file,
                        const fl_dataset *dataset, uint32_t row, fl_reason *why)
{
    const uint64_t top = in->options->top;
    const uint32_t count =
        top < in->class_count ? (uint32_t)top : in->class_count;
    char place[FL_REASON_CAP];
    take_softmax(in);
    rank(in, count);
    const char *name = fl_dataset_row_name(dataset, row);
    const bool is_single = fl_dataset_row_count(dataset) == 1;
    if (in->options->is_json) {
        return print_json(in, name && !is_single ? name : file, row, count,
                          why);
    }
    if (is_single) {
        snprintf(place, sizeof place, "%s", file);
    } else if (name) {
        snprintf(place, sizeof place, "%s", name);
    } else {
        snprintf(place, sizeof place, "%s[%" PRIu32 "]", file, row);
    }
    print_text(in, place, count);
    return FL_OK;
}

/* ---- files ---- */

// The model knows no other size; a picture can be brought to it.
static fl_err check_shape(const inference *in, const fl_dataset *dataset,
                          const char *file, fl_reason *why)
{
    const fl_shape is = fl_dataset_shape(dataset);
    const fl_shape takes = fl_runner_input(in->runner);
    char remedy[64] = "";
    if (is.height == takes.height && is.width == takes.width &&
        is.channels == takes.channels) {
        return FL_OK;
    }
    if (is.channels == takes.channels && is.height > 1) {
        snprintf(remedy, sizeof remedy, "; say --resize %" PRIu32 "x%" PRIu32,
                 takes.height, takes.width);
    }
    return fl_reason_set(why, FL_ERR_RANGE,
                         "%s: is %" PRIu32 "x%" PRIu32 "x%" PRIu32
                         " (height, width, channels), the model takes "
                         "%" PRIu32 "x%" PRIu32 "x%" PRIu32 "%s",
                         file, is.height, is.width, is.channels, takes.height,
                         takes.width, takes.channels, remedy);
}

static fl_err classify_rows(inference *in, const char *file,
                            const fl_dataset *dataset, fl_reason *why)
{
    FL_TRY(check_shape(in, dataset, file, why));
    for (uint32_t row = 0; row < fl_dataset_row_count(dataset); row++) {
        fl_dataset_read(in->x, dataset, &row, 1);
        FL_TRY(fl_runner_run(in->runner, in->logits, in->x, 1));
        FL_TRY(print_row(in, file, dataset, row, why));
    }
    return FL_OK;
}

static bool is_folder(const char *path)
{
    struct stat found;
    return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

// One bad picture of a folder is logged, and keeps no other from being
// classified.
static fl_err classify(inference *in, const char *file, fl_reason *why)
{
    fl_skips skips;
    const fl_data_skip skip = {.tell = fl_skips_tell, .self = &skips};
    const fl_data_options options = {.spec = file,
                                     .label_column = in->options->label_column,
                                     .resize = in->options->resize,
                                     .skip = is_folder(file) ? &skip : NULL};
    fl_dataset *dataset = NULL;
    fl_skips_begin(&skips, NULL);
    fl_err err = fl_dataset_open_inputs(&dataset, &options, why);
    fl_skips_end(&skips);
    fl_skips_fini(&skips);
    if (!err) err = classify_rows(in, file, dataset, why);
    fl_dataset_free(dataset);
    return err;
}

static void finish(inference *in)
{
    fl_runner_free(in->runner);
    fl_model_free(in->model);
    fl_int8_free(in->form);
    free(in->classes);
    free(in->names);
    free(in->x);
    free(in->logits);
    free(in->shares);
    free(in->order);
}

fl_err fl_infer_run(FILE *out, const fl_infer_options *options, fl_reason *why)
{
    inference in = {.options = options, .out = out};
    fl_err err = load_model(&in, why);
    if (!err) err = make_room(&in, why);
    if (!err) load_names(&in);
    for (size_t i = 0; i < options->file_count && !err; i++) {
        err = classify(&in, options->files[i], why);
    }
    finish(&in);
    return err;
}
