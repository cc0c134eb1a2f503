/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trainer/handover.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "client/trainer/safetensors.h"

enum { ROWS_AT_ONCE = 16 };

_Static_assert((int)FL_SAFETENSORS_NAME_CAP >= (int)FL_NAMED_CAP,
               "there is room for a name");
_Static_assert((int)FL_SAFETENSORS_DIMS_MAX >= (int)FL_NAMED_DIMS_MAX,
               "there is room for dimensions");

/* ---- bytes ---- */

// Floats are written and read in place.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "memory is in the file's order");

static fl_err put_bytes(const fl_workdir *dir, const char *name,
                        const void *bytes, size_t len, fl_reason *why)
{
    FILE *file;
    FL_TRY(fl_workdir_create(&file, dir, name, why));
    fwrite(bytes, 1, len, file);
    return fl_workdir_finish(file, name, why);
}

// The header of a file whose data the caller writes next.
static fl_err begin(FILE **file, const fl_workdir *dir, const char *name,
                    fl_safetensor *tensors, size_t count, fl_reason *why)
{
    uint8_t *header = NULL;
    size_t len;
    FL_TRY(fl_safetensors_encode(&header, &len, tensors, count, why));
    const fl_err err = fl_workdir_create(file, dir, name, why);
    if (!err) fwrite(header, 1, len, *file);
    free(header);
    return err;
}

static void *new_array(size_t count, size_t size, fl_reason *why)
{
    void *array = calloc(count + 1, size);
    if (!array) {
        (void)!fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu numbers",
                             count);
    }
    return array;
}

/* ---- the model ---- */

typedef struct {
    fl_named *named;
    fl_safetensor *tensors;  // the same, as a file has them
    size_t count;
    float *numbers;  // room for all parameters
} parts;

static void fini_parts(parts *p)
{
    free(p->named);
    free(p->tensors);
    free(p->numbers);
}

static void describe(fl_safetensor *tensor, const fl_named *named)
{
    tensor->type = FL_SAFETENSORS_F32;
    tensor->dim_count = named->dim_count;
    for (uint32_t i = 0; i < named->dim_count; i++) {
        tensor->dims[i] = named->dims[i];
    }
    memcpy(tensor->name, named->name, sizeof named->name);
}

// fini_parts frees them, also after an error.
static fl_err init_parts(parts *p, const fl_model *model, fl_reason *why)
{
    *p = (parts){.named = NULL};
    FL_TRY(fl_named_list(&p->named, &p->count, model, why));
    p->tensors = new_array(p->count, sizeof *p->tensors, why);
    p->numbers =
        new_array(fl_model_param_count(model), sizeof *p->numbers, why);
    if (!p->tensors || !p->numbers) return FL_ERR_MEMORY;
    for (size_t i = 0; i < p->count; i++) {
        describe(&p->tensors[i], &p->named[i]);
    }
    return FL_OK;
}

static fl_err give_params(const fl_workdir *dir, const fl_model *model,
                          const float *params, fl_reason *why)
{
    parts p;
    FILE *file;
    fl_err err = init_parts(&p, model, why);
    if (err) goto out;
    err = begin(&file, dir, FL_TALK_MODEL, p.tensors, p.count, why);
    if (err) goto out;
    for (size_t i = 0; i < p.count; i++) {
        fl_named_get(p.numbers, &p.named[i], params);
        fwrite(p.numbers, sizeof *p.numbers, p.named[i].count, file);
    }
    err = fl_workdir_finish(file, FL_TALK_MODEL, why);

out:
    fini_parts(&p);
    return err;
}

static fl_err give_graph(const fl_workdir *dir, const fl_model *model,
                         fl_reason *why)
{
    const size_t len = fl_model_bytes(model);
    uint8_t *bytes = new_array(len, 1, why);
    if (!bytes) return FL_ERR_MEMORY;
    fl_err err = fl_model_encode(model, bytes, len);
    if (err) {
        (void)!fl_reason_set(why, err, "the model cannot be written as ONNX");
    } else {
        err = put_bytes(dir, FL_TALK_GRAPH, bytes, len, why);
    }
    free(bytes);
    return err;
}

/* ---- the examples ---- */

// (H, W, C) to (C, H, W).
static void reorder(float *dst, const float *src, fl_shape shape)
{
    const size_t pixels = (size_t)shape.height * shape.width;
    for (size_t p = 0; p < pixels; p++) {
        for (size_t c = 0; c < shape.channels; c++) {
            dst[c * pixels + p] = *src++;
        }
    }
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static fl_err write_inputs(FILE *file, const fl_local_job *job, fl_reason *why)
{
    const fl_dataset *dataset = job->data->dataset;
    const fl_shape shape = fl_dataset_shape(dataset);
    const size_t row_len = fl_shape_size(shape);
    float *rows = new_array(row_len * ROWS_AT_ONCE, sizeof *rows, why);
    float *turned = new_array(row_len, sizeof *turned, why);
    const bool has_memory = rows && turned;
    for (size_t at = 0; has_memory && at < job->row_count;) {
        const size_t count = smaller(job->row_count - at, ROWS_AT_ONCE);
        fl_dataset_read(rows, dataset, job->rows + at, count);
        for (size_t i = 0; i < count; i++) {
            reorder(turned, rows + i * row_len, shape);
            fwrite(turned, sizeof *turned, row_len, file);
        }
        at += count;
    }
    free(rows);
    free(turned);
    return has_memory ? FL_OK : FL_ERR_MEMORY;
}

static void write_labels(FILE *file, const fl_local_job *job)
{
    const uint32_t *labels = fl_dataset_labels(job->data->dataset);
    for (size_t i = 0; i < job->row_count; i++) {
        const int64_t label = labels[job->rows[i]];
        fwrite(&label, sizeof label, 1, file);
    }
}

// Labels first: they are aligned to eight bytes then.
static fl_err give_examples(const fl_workdir *dir, const fl_local_job *job,
                            fl_reason *why)
{
    FILE *file;
    const fl_shape shape = fl_dataset_shape(job->data->dataset);
    fl_safetensor tensors[] = {
        {.name = "labels",
         .type = FL_SAFETENSORS_I64,
         .dims = {job->row_count},
         .dim_count = 1},
        {.name = "inputs",
         .type = FL_SAFETENSORS_F32,
         .dims = {job->row_count, shape.channels, shape.height, shape.width},
         .dim_count = 4},
    };
    FL_TRY(begin(&file, dir, FL_TALK_EXAMPLES, tensors, 2, why));
    write_labels(file, job);
    const fl_err err = write_inputs(file, job, why);
    const fl_err end = fl_workdir_finish(file, FL_TALK_EXAMPLES, why);
    return err ? err : end;
}

static fl_err give_task(const fl_workdir *dir, const fl_talk_task *task,
                        fl_reason *why)
{
    char *line = NULL;
    FILE *file;
    fl_err err = fl_talk_encode(&line, task);
    if (err) return fl_reason_set(why, err, "no memory for a task");
    err = fl_workdir_create(&file, dir, FL_TALK_TASK, why);
    if (!err) {
        fprintf(file, "%s\n", line);
        err = fl_workdir_finish(file, FL_TALK_TASK, why);
    }
    free(line);
    return err;
}

fl_err fl_handover_give(const fl_workdir *dir, const fl_local_job *job,
                        const float *params, const fl_talk_task *task,
                        fl_reason *why)
{
    FL_TRY(give_params(dir, job->model, params, why));
    FL_TRY(give_graph(dir, job->model, why));
    FL_TRY(give_examples(dir, job, why));
    return give_task(dir, task, why);
}

/* ---- the result ---- */

static fl_err check_shape(const fl_safetensor *found,
                          const fl_safetensor *wanted, fl_reason *why)
{
    if (found->type != FL_SAFETENSORS_F32) {
        return fl_reason_set(why, FL_ERR_FORMAT, "\"%s\" is %s, not F32",
                             found->name, fl_safetensors_word(found->type));
    }
    if (found->dim_count == wanted->dim_count &&
        memcmp(found->dims, wanted->dims,
               wanted->dim_count * sizeof *wanted->dims) == 0) {
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "\"%s\" has another shape than in the model",
                         found->name);
}

static fl_err check_numbers(const float *numbers, const fl_named *named,
                            fl_reason *why)
{
    for (size_t i = 0; i < named->count; i++) {
        if (!isfinite(numbers[i])) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "\"%s\": number %zu is NaN or infinite; a "
                                 "lower --lr may help",
                                 named->name, i);
        }
        if (named->is_variance && numbers[i] < 0) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "\"%s\": variance %zu is below 0", named->name,
                                 i);
        }
    }
    return FL_OK;
}

static double squared_change(const float *params, const float *before,
                             const fl_named *named)
{
    double sum = 0;
    for (size_t i = named->offset; i < named->offset + named->count; i++) {
        const double change = (double)params[i] - (double)before[i];
        sum += change * change;
    }
    return sum;
}

static fl_err take_tensor(float *params, parts *p, size_t i,
                          const fl_safetensors *file, fl_reason *why)
{
    const fl_named *named = &p->named[i];
    const fl_safetensor *found = fl_safetensors_find(file, named->name);
    if (!found) {
        return fl_reason_set(why, FL_ERR_FORMAT, "it has no tensor \"%s\"",
                             named->name);
    }
    FL_TRY(check_shape(found, &p->tensors[i], why));
    memcpy(p->numbers, file->data + found->at, found->len);
    FL_TRY(check_numbers(p->numbers, named, why));
    fl_named_set(params, named, p->numbers);
    return FL_OK;
}

static fl_err check_change(double squares, size_t count, const fl_plan *plan,
                           fl_reason *why)
{
    const double change = sqrt(squares);
    const double most = (double)plan->value_clip * sqrt((double)count);
    if (change <= most) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "the parameters have moved by %.4g (norm), the round "
                         "takes %.4g at most; a lower --lr may help",
                         change, most);
}

static fl_err take_tensors(float *params, const float *before, parts *p,
                           const fl_safetensors *file, const fl_plan *plan,
                           fl_reason *why)
{
    double squares = 0;
    size_t learning = 0;
    if (file->count != p->count) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "it has %zu tensors, the model %zu", file->count,
                             p->count);
    }
    for (size_t i = 0; i < p->count; i++) {
        const fl_named *named = &p->named[i];
        if (named->is_statistic && plan->norm == FL_NORM_FROZEN) continue;
        FL_TRY(take_tensor(params, p, i, file, why));
        if (named->is_statistic) continue;
        squares += squared_change(params, before, named);
        learning += named->count;
    }
    return check_change(squares, learning, plan, why);
}

// A header of any length that we would read, and the parameters.
static size_t result_cap(const fl_local_job *job)
{
    return FL_SAFETENSORS_LENGTH_BYTES + FL_SAFETENSORS_HEADER_MAX +
           fl_model_param_count(job->model) * sizeof(float);
}

fl_err fl_handover_take(float *params, const fl_workdir *dir,
                        const fl_local_job *job, fl_reason *why)
{
    parts p = {.named = NULL};
    uint8_t *bytes = NULL;
    size_t len;
    fl_safetensors file = {.count = 0};
    fl_err err = fl_workdir_read(&bytes, &len, dir, FL_TALK_RESULT,
                                 result_cap(job), why);
    if (err) return err;
    err = fl_safetensors_decode(&file, bytes, len, why);
    if (!err) err = init_parts(&p, job->model, why);
    if (!err) {
        err = take_tensors(params, fl_model_get_params(job->model), &p, &file,
                           job->plan, why);
    }
    if (err) (void)!fl_reason_prefix(why, err, "%s", FL_TALK_RESULT);
    fini_parts(&p);
    fl_safetensors_fini(&file);
    free(bytes);
    return err;
}
