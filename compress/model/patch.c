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

/* ---- which channels are left ---- */

// In front of a patch for a smaller model; no model has so many parameters.
#define SHRINKS (UINT32_C(1) << 31)

enum { BYTE_BITS = 8 };

static size_t mask_len(size_t channel_count)
{
    return (channel_count + BYTE_BITS - 1) / BYTE_BITS;
}

size_t fl_patch_mask_bytes(size_t channel_count)
{
    return sizeof(uint32_t) + mask_len(channel_count);
}

static void put_mask(fl_writer *out, const fl_patch_mask *mask)
{
    fl_writer_u32(out, SHRINKS | (uint32_t)mask->count);
    for (size_t i = 0; i < mask->count; i += BYTE_BITS) {
        uint8_t byte = 0;
        for (size_t j = i; j < mask->count && j < i + BYTE_BITS; j++) {
            if (mask->keep[j]) byte |= (uint8_t)(1U << (j - i));
        }
        fl_writer_u8(out, byte);
    }
}

static bool has_mask(fl_reader in)
{
    return (fl_reader_u32(&in) & SHRINKS) != 0 && !in.failed;
}

// keep[0..count); FL_ERR_FORMAT: it is not the mask of so many channels.
static fl_err get_mask(bool *keep, size_t count, fl_reader *in, fl_reason *why)
{
    const size_t told = fl_reader_u32(in) & ~SHRINKS;
    if (told != count) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "a patch of a model of %zu channels, this one has "
                             "%zu",
                             told, count);
    }
    const uint8_t *bytes = fl_reader_bytes(in, mask_len(count));
    if (in->failed) {
        return fl_reason_set(why, FL_ERR_FORMAT, "a patch that is cut off");
    }
    for (size_t i = 0; i < count; i++) {
        keep[i] = bytes[i / BYTE_BITS] >> i % BYTE_BITS & 1;
    }
    if (count % BYTE_BITS && bytes[count / BYTE_BITS] >> count % BYTE_BITS) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "a patch keeps channels beyond the last one");
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

fl_err fl_patch_encode_shrunk(uint8_t *dst, size_t dst_cap, size_t *len,
                              const fl_patch_mask *mask, const fl_model *model,
                              const fl_grid *grid, const float *from,
                              const float *to)
{
    const size_t head_len = fl_patch_mask_bytes(mask->count);
    if (dst_cap < head_len) return FL_ERR_SPACE;
    fl_writer out = fl_writer_over(dst, head_len);
    put_mask(&out, mask);
    FL_TRY(fl_writer_finish(&out));
    FL_TRY(fl_patch_encode(dst + head_len, dst_cap - head_len, len, model, grid,
                           from, to));
    *len += head_len;
    return FL_OK;
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
static fl_err move_params(fl_model *model, fl_reader in, fl_reason *why)
{
    fl_grid *grid = NULL;
    fl_matrix *matrix = NULL;
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

// Of the model, whose place the smaller one takes.
static fl_err keep_channels(fl_model **model, fl_patch_map *map,
                            const fl_channels *channels, fl_reader *in,
                            fl_reason *why)
{
    fl_model *smaller = NULL;
    const size_t count = fl_channels_count(channels);
    bool *keep = malloc(count + 1);
    if (!keep) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu channels",
                             count);
    }
    fl_err err = get_mask(keep, count, in, why);
    if (err) goto out;
    err = fl_model_shrink(&smaller, &map->from, *model, channels, keep, why);
    if (err == FL_ERR_RANGE) {
        err = fl_reason_prefix(why, FL_ERR_FORMAT, "a patch");
    }
    if (err) goto out;
    map->count = fl_model_param_count(smaller);
    fl_model_free(*model);
    *model = smaller;

out:
    free(keep);
    return err;
}

static fl_err shrink(fl_model **model, fl_patch_map *map, fl_reader *in,
                     fl_reason *why)
{
    fl_channels *channels = NULL;
    if (!has_mask(*in)) return FL_OK;
    FL_TRY(fl_channels_new(&channels, *model, why));
    const fl_err err = keep_channels(model, map, channels, in, why);
    fl_channels_free(channels);
    return err;
}

// The ONNX file of the model; the caller frees it.
static fl_err write_model(uint8_t **bytes, size_t *len, const fl_model *model,
                          fl_reason *why)
{
    const size_t made_len = fl_model_bytes(model);
    uint8_t *made = malloc(made_len);
    if (!made) {
        return fl_reason_set(why, FL_ERR_MEMORY,
                             "no memory for a model of %zu bytes", made_len);
    }
    const fl_err err = fl_model_encode(model, made, made_len);
    if (err) {
        free(made);
        return err;
    }
    *bytes = made;
    *len = made_len;
    return FL_OK;
}

fl_err fl_patch_apply_mapped(uint8_t **bytes, size_t *len, fl_patch_map *map,
                             const uint8_t *base, size_t base_len,
                             const uint8_t *patch, size_t patch_len,
                             fl_reason *why)
{
    fl_model *model = NULL;
    fl_reader in = fl_reader_over(patch, patch_len);
    *map = (fl_patch_map){NULL, 0};
    FL_TRY(fl_model_decode(&model, base, base_len, why));
    fl_err err = shrink(&model, map, &in, why);
    if (!err) err = move_params(model, in, why);
    if (!err) err = write_model(bytes, len, model, why);
    fl_model_free(model);
    if (err) {
        free(map->from);
        *map = (fl_patch_map){NULL, 0};
    }
    return err;
}

fl_err fl_patch_apply(uint8_t **bytes, size_t *len, const uint8_t *base,
                      size_t base_len, const uint8_t *patch, size_t patch_len,
                      fl_reason *why)
{
    fl_patch_map map;
    FL_TRY(fl_patch_apply_mapped(bytes, len, &map, base, base_len, patch,
                                 patch_len, why));
    free(map.from);
    return FL_OK;
}
