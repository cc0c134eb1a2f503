/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/patch.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "compress/model/matrix.h"

enum {
    HEAD_BYTES = 8,
    STEP_BYTES = 4,
    // A number is at most 49 bits, which cost little more than one each even
    // when all come otherwise than expected; and each chance has to be learnt.
    NUMBER_BYTES_MAX = 8,
    LEARNING_BYTES_MAX = 16384,
};

size_t fl_patch_bound(const fl_model *model)
{
    return HEAD_BYTES + STEP_BYTES * fl_model_tensor_count(model) +
           NUMBER_BYTES_MAX * fl_model_param_count(model) + LEARNING_BYTES_MAX;
}

/* ---- numbers ---- */

static size_t columns_of(const fl_tensor_info *tensor)
{
    return tensor->count / tensor->row_count;
}

static fl_err new_matrix(fl_matrix **matrix, const fl_model *model)
{
    size_t most = 0;
    const size_t count = fl_model_tensor_count(model);
    for (size_t i = 0; i < count; i++) {
        const fl_tensor_info tensor = fl_model_tensor(model, i);
        if (columns_of(&tensor) > most) most = columns_of(&tensor);
    }
    return fl_matrix_new(matrix, most);
}

static void encode_tensor(fl_matrix *matrix, fl_coder *coder, const float *from,
                          const float *to, size_t count, float step)
{
    for (size_t i = 0; i < count; i++) {
        const int32_t moved =
            fl_grid_multiple(to[i], step) - fl_grid_multiple(from[i], step);
        (void)fl_matrix_code(matrix, coder, moved);
    }
}

// FL_ERR_FORMAT: a parameter leaves the grid; *at is which.
static fl_err decode_tensor(fl_matrix *matrix, fl_coder *coder, float *params,
                            size_t count, float step, size_t *at)
{
    for (*at = 0; *at < count; ++*at) {
        const int32_t moved = fl_matrix_code(matrix, coder, 0);
        if (moved == 0) continue;
        float *param = &params[*at];
        const int32_t multiple = fl_grid_multiple(*param, step) + moved;
        if (multiple < -FL_GRID_MULTIPLE_MAX ||
            multiple > FL_GRID_MULTIPLE_MAX) {
            return FL_ERR_FORMAT;
        }
        *param = fl_grid_value(multiple, step);
    }
    return FL_OK;
}

/* ---- encode ---- */

static uint32_t bits_of(float value)
{
    uint32_t bits;
    _Static_assert(sizeof bits == sizeof value, "a float of 32 bits");
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static fl_err put_head(uint8_t *dst, size_t dst_cap, size_t *len,
                       size_t param_count, const float *steps,
                       size_t step_count)
{
    fl_writer out = fl_writer_over(dst, dst_cap);
    fl_writer_u32(&out, (uint32_t)param_count);
    fl_writer_u32(&out, (uint32_t)step_count);
    for (size_t i = 0; i < step_count; i++) {
        fl_writer_u32(&out, bits_of(steps[i]));
    }
    *len = out.len;
    return fl_writer_finish(&out);
}

fl_err fl_patch_encode(uint8_t *dst, size_t dst_cap, size_t *len,
                       const fl_model *model, const fl_grid *grid,
                       const float *from, const float *to)
{
    size_t head_len, count;
    if (dst_cap < fl_patch_bound(model)) return FL_ERR_SPACE;
    const float *steps = fl_grid_steps(grid, &count);
    FL_TRY(put_head(dst, dst_cap, &head_len, fl_model_param_count(model), steps,
                    count));
    fl_matrix *matrix;
    FL_TRY(new_matrix(&matrix, model));

    fl_coder coder = fl_coder_encode(dst + head_len, dst_cap - head_len);
    for (size_t i = 0; i < count; i++) {
        const fl_tensor_info tensor = fl_model_tensor(model, i);
        fl_matrix_start(matrix, tensor.role, columns_of(&tensor));
        encode_tensor(matrix, &coder, from + tensor.offset, to + tensor.offset,
                      tensor.count, steps[i]);
    }
    fl_matrix_free(matrix);
    const fl_err err = fl_coder_finish(&coder);
    *len = head_len + coder.len;
    return err;
}

/* ---- apply ---- */

static fl_err refuse_size(const char *what, size_t has, size_t needs,
                          fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "a patch of a model of %zu %s, this one has %zu", has,
                         what, needs);
}

static fl_err read_grid(fl_grid **grid, fl_reader *in, const fl_model *model,
                        fl_reason *why)
{
    const size_t param_count = fl_reader_u32(in);
    const size_t step_count = fl_reader_u32(in);
    const size_t tensor_count = fl_model_tensor_count(model);
    if (!in->failed && param_count != fl_model_param_count(model)) {
        return refuse_size("parameters", param_count,
                           fl_model_param_count(model), why);
    }
    if (!in->failed && step_count != tensor_count) {
        return refuse_size("tensors", step_count, tensor_count, why);
    }
    float *steps = malloc((tensor_count + 1) * sizeof *steps);
    if (!steps) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu steps",
                             tensor_count);
    }
    for (size_t i = 0; i < tensor_count; i++) {
        const uint32_t bits = fl_reader_u32(in);
        memcpy(&steps[i], &bits, sizeof bits);
    }
    fl_err err;
    if (in->failed) {
        err = fl_reason_set(why, FL_ERR_FORMAT, "a patch that is cut off");
    } else {
        err = fl_grid_restore(grid, model, steps, tensor_count, why);
        if (err == FL_ERR_RANGE) {
            err = fl_reason_prefix(why, FL_ERR_FORMAT, "a patch");
        }
    }
    free(steps);
    return err;
}

static fl_err decode_params(fl_model *model, const fl_grid *grid,
                            fl_coder *coder, fl_matrix *matrix, fl_reason *why)
{
    size_t count, at;
    const float *steps = fl_grid_steps(grid, &count);
    for (size_t i = 0; i < count; i++) {
        const fl_tensor_info tensor = fl_model_tensor(model, i);
        float *params = fl_model_params(model) + tensor.offset;
        fl_matrix_start(matrix, tensor.role, columns_of(&tensor));
        if (decode_tensor(matrix, coder, params, tensor.count, steps[i], &at)) {
            return fl_reason_set(why, FL_ERR_FORMAT,
                                 "a patch moves parameter %zu out of the grid",
                                 tensor.offset + at);
        }
    }
    if (fl_coder_finish(coder)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "a patch that is cut off, damaged or too long");
    }
    return FL_OK;
}

// Safe on any bytes. After an error the parameters are undefined.
static fl_err patch_model(fl_model *model, const uint8_t *patch,
                          size_t patch_len, fl_reason *why)
{
    fl_grid *grid = NULL;
    fl_matrix *matrix = NULL;
    fl_reader in = fl_reader_over(patch, patch_len);
    fl_err err = read_grid(&grid, &in, model, why);
    if (err) goto out;
    err = new_matrix(&matrix, model);
    if (err) {
        (void)!fl_reason_set(why, err, "no memory for a patch's columns");
        goto out;
    }
    fl_coder coder = fl_coder_decode(in.at, in.left);
    err = decode_params(model, grid, &coder, matrix, why);

out:
    fl_matrix_free(matrix);
    fl_grid_free(grid);
    return err;
}

fl_err fl_patch_apply(uint8_t **bytes, size_t *len, const uint8_t *base,
                      size_t base_len, const uint8_t *patch, size_t patch_len,
                      fl_reason *why)
{
    fl_model *model = NULL;
    uint8_t *made = NULL;
    fl_err err = fl_model_decode(&model, base, base_len, why);
    if (err) return err;
    err = patch_model(model, patch, patch_len, why);
    if (err) goto out;

    const size_t made_len = fl_model_bytes(model);
    made = malloc(made_len);
    if (!made) {
        err = fl_reason_set(why, FL_ERR_MEMORY,
                            "no memory for a model of %zu "
                            "bytes",
                            made_len);
        goto out;
    }
    err = fl_model_encode(model, made, made_len);
    if (err) goto out;
    *bytes = made;
    *len = made_len;
    made = NULL;

out:
    free(made);
    fl_model_free(model);
    return err;
}
