/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

atomic_bool fl_tool_stop;

const fl_tool FL_TOOL_DEFAULTS = {
    .seed = 1,
    .batch = 32,
    .threads = 1,
    .input = "28x28x1",
    .tower = "lenet",
    .class_count = 10,
    .embedding = 64,
    .width = 1.0,
    .epochs = 1,
    .lr = 0.02,
    .momentum = 0.9,
    .margin = 0.2,
    .temperature = 4.0,
    .teacher_share = 0.7,
    .schedule = "cosine",
    .optimizer = "sgd",
    .loss = "softmax",
    .norm = "train",
    .calibrate = "minmax",
    .profile = "plain",
    .percentile = 99.99,
    .row_count = 1024,
    .qat_lr = 0.002,
    .importance = "fisher",
    .cost = "params",
    .prune_lr = 0.01,
    .remove = 0.3,
    .max_drop = 1.5,
    .step = 0.15,
    .holdout = 0.1,
    .multiple = 8,
    .final_epochs = 2,
    .qat_epochs = 2,
    .max_bytes_more = 10.0,
    .base_bits = 8,
    .mode = "int8",
    .factor_lr = 0.01,
    .score = "magnitude",
    .sparsity = 0.8,
    .sparse_lr = 0.01,
    .bench_batch = 1,
    .warmup_runs = 100,
    .run_count = 1000,
    .seconds = 10.0,
};

static fl_err decode(fl_tool_model *model, const uint8_t *bytes, size_t len,
                     fl_reason *why)
{
    model->file_len = len;
    if (fl_int8_is_encoded(bytes, len)) {
        return fl_int8_decode(&model->quantized, bytes, len, why);
    }
    model->storage = fl_model_storage_of(bytes, len);
    return fl_model_decode(&model->model, bytes, len, why);
}

fl_err fl_tool_read(fl_tool_model *model, const char *path, fl_reason *why)
{
    uint8_t *bytes = NULL;
    size_t len;
    *model = (fl_tool_model){0};
    FL_TRY(fl_file_read(&bytes, &len, path, FL_MODEL_BYTES_MAX, why));
    const fl_err err = decode(model, bytes, len, why);
    free(bytes);
    return err ? fl_reason_prefix(why, err, "%s", path) : FL_OK;
}

void fl_tool_model_fini(fl_tool_model *model)
{
    fl_model_free(model->model);
    fl_int8_free(model->quantized);
    *model = (fl_tool_model){0};
}

fl_err fl_tool_read_float(fl_model **model, const char *path, fl_reason *why)
{
    fl_tool_model read;
    FL_TRY(fl_tool_read(&read, path, why));
    *model = read.model;
    if (*model) return FL_OK;
    fl_tool_model_fini(&read);
    return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                         "%s: is quantised already; give the float32 model",
                         path);
}

fl_err fl_tool_write(const fl_model *model, const char *path, fl_reason *why)
{
    return fl_tool_write_as(model, FL_STORAGE_FLOAT32, path, why);
}

fl_err fl_tool_write_as(const fl_model *model, fl_storage storage,
                        const char *path, fl_reason *why)
{
    const size_t len = fl_model_bytes_as(model, storage);
    uint8_t *bytes = malloc(len);
    if (!bytes) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu bytes",
                             len);
    }
    fl_err err = fl_model_encode_as(model, storage, bytes, len, why);
    if (!err) err = fl_file_write(path, bytes, len, 0644, why);
    free(bytes);
    return err;
}

fl_err fl_tool_write_int8(const fl_int8_model *quantized,
                          fl_qdq_profile profile, const char *path,
                          fl_reason *why)
{
    uint8_t *bytes = NULL;
    size_t len;
    FL_TRY(fl_int8_encode_new(&bytes, &len, quantized, profile, why));
    const fl_err err = fl_file_write(path, bytes, len, 0644, why);
    free(bytes);
    return err;
}

fl_err fl_tool_runner(fl_runner **runner, const fl_tool_model *model,
                      uint32_t batch_cap, fl_reason *why)
{
    if (model->quantized) {
        return fl_runner_new_int8(runner, model->quantized, batch_cap, why);
    }
    return fl_runner_new(runner, model->model, batch_cap, why);
}

fl_err fl_tool_needs_data(const char *command, const fl_tool *tool,
                          fl_reason *why)
{
    if (tool->data.dataset && tool->out) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE, "%s needs %s", command,
                         tool->out ? "--dataset SPEC" : "--out FILE");
}

fl_err fl_tool_print_json(fl_json *json, fl_reason *why)
{
    char *text = NULL;
    const fl_err err = fl_json_text(&text, json);
    if (!err) puts(text);
    free(text);
    fl_json_free(json);
    return err ? fl_reason_set(why, err, "no memory for the report") : FL_OK;
}

fl_err fl_tool_dataset(fl_dataset **dataset, fl_data_part part,
                       const fl_tool *tool, fl_reason *why)
{
    const fl_data_options options =
        fl_data_settings_options(&tool->data, tool->seed);
    return fl_dataset_open(dataset, part, &options, why);
}

uint32_t *fl_tool_rows(size_t count)
{
    uint32_t *rows = malloc((count + 1) * sizeof *rows);
    for (size_t i = 0; rows && i < count; i++) {
        rows[i] = (uint32_t)i;
    }
    return rows;
}

fl_err fl_tool_draw_rows(uint32_t **rows, const fl_dataset *dataset,
                         const fl_tool *tool, fl_random_purpose purpose,
                         fl_reason *why)
{
    const uint32_t count = fl_dataset_row_count(dataset);
    fl_random random;
    *rows = fl_tool_rows(count);
    if (!*rows) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for the rows");
    }
    fl_random_init(&random, tool->seed, purpose, 0);
    fl_random_shuffle(&random, *rows, count);
    return FL_OK;
}

size_t fl_tool_options(fl_option *table, size_t count, const fl_option *own,
                       size_t own_count)
{
    memcpy(table + count, own, own_count * sizeof *own);
    return count + own_count;
}

fl_err fl_tool_choice(unsigned *choice, const char *option, const char *text,
                      const char *const *names, fl_reason *why)
{
    char list[FL_REASON_CAP] = "";
    for (*choice = 0; names[*choice]; (*choice)++) {
        if (strcmp(names[*choice], text) == 0) return FL_OK;
        if (*choice) strncat(list, ", ", sizeof list - strlen(list) - 1);
        strncat(list, names[*choice], sizeof list - strlen(list) - 1);
    }
    return fl_reason_set(why, FL_ERR_RANGE, "--%s %s: not one of %s", option,
                         text, list);
}
