/* A skeleton, the model with nothing but zeros, and the patch that fills it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/bytes.h"
#include "compress/model/patch.h"

// Nearly all of a skeleton is zeros: the highest level makes LeNet's 44 bytes
// shorter and takes 9.7 MB for it, where this one takes 0.6.
enum { HEAD_BYTES = 4, ZSTD_LEVEL = 1 };

size_t fl_packed_bound(const fl_model *model)
{
    return HEAD_BYTES + ZSTD_compressBound(fl_model_bytes(model)) +
           fl_patch_bound(model);
}

/* ---- encode ---- */

// The ONNX file of the model; the caller frees it.
static fl_err write_model(uint8_t **bytes, size_t *len, const fl_model *model)
{
    *len = fl_model_bytes(model);
    *bytes = malloc(*len);
    if (!*bytes) return FL_ERR_MEMORY;
    return fl_model_encode(model, *bytes, *len);
}

// *skeleton is a copy of the model, its parameters zero.
static fl_err copy_empty(fl_model **skeleton, const fl_model *model)
{
    uint8_t *bytes = NULL;
    size_t len;
    fl_err err = write_model(&bytes, &len, model);
    if (!err) err = fl_model_decode(skeleton, bytes, len, NULL);
    free(bytes);
    if (err) return err;
    memset(fl_model_params(*skeleton), 0,
           fl_model_param_count(*skeleton) * sizeof(float));
    return FL_OK;
}

static fl_err put_skeleton(uint8_t *dst, size_t dst_cap, size_t *len,
                           const fl_model *skeleton)
{
    uint8_t *bytes = NULL;
    size_t bytes_len;
    fl_err err = write_model(&bytes, &bytes_len, skeleton);
    if (!err) {
        *len = ZSTD_compress(dst, dst_cap, bytes, bytes_len, ZSTD_LEVEL);
        if (ZSTD_isError(*len)) err = FL_ERR_MEMORY;
    }
    free(bytes);
    return err;
}

fl_err fl_packed_encode(uint8_t *dst, size_t dst_cap, size_t *len,
                        const fl_model *model, const fl_grid *grid,
                        const float *params)
{
    size_t file_len, patch_len;
    fl_model *skeleton = NULL;
    if (dst_cap < fl_packed_bound(model)) return FL_ERR_SPACE;
    FL_TRY(copy_empty(&skeleton, model));
    fl_err err = put_skeleton(dst + HEAD_BYTES, dst_cap - HEAD_BYTES, &file_len,
                              skeleton);
    if (err) goto out;
    fl_bytes_put_u32(dst, (uint32_t)file_len);
    const size_t at = HEAD_BYTES + file_len;
    err = fl_patch_encode(dst + at, dst_cap - at, &patch_len, model, grid,
                          fl_model_get_params(skeleton), params);
    *len = at + patch_len;

out:
    fl_model_free(skeleton);
    return err;
}

/* ---- decode ---- */

// What the frame of `src` says that it holds.
static fl_err read_size(size_t *len, size_t cap, const uint8_t *src,
                        size_t src_len, fl_reason *why)
{
    const unsigned long long size = ZSTD_getFrameContentSize(src, src_len);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN ||
        ZSTD_findFrameCompressedSize(src, src_len) != src_len) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "a packed model whose first part is not one zstd "
                             "frame with its size");
    }
    if (size > cap) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "a packed model of %llu bytes, at most %zu are "
                             "expected",
                             size, cap);
    }
    *len = (size_t)size;
    return FL_OK;
}

// The skeleton's ONNX file; the caller frees it.
static fl_err unpack(uint8_t **file, size_t *len, size_t cap,
                     const uint8_t *src, size_t src_len, fl_reason *why)
{
    FL_TRY(read_size(len, cap, src, src_len, why));
    uint8_t *made = malloc(*len + 1);  // not malloc(0)
    if (!made) {
        return fl_reason_set(why, FL_ERR_MEMORY,
                             "no memory for a packed model of %zu bytes", *len);
    }
    if (ZSTD_decompress(made, *len, src, src_len) != *len) {
        free(made);
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "a packed model whose zstd frame is damaged");
    }
    *file = made;
    return FL_OK;
}

fl_err fl_packed_decode(uint8_t **bytes, size_t *len, size_t cap,
                        const uint8_t *src, size_t src_len, fl_reason *why)
{
    fl_reader in = fl_reader_over(src, src_len);
    const uint32_t file_len = fl_reader_u32(&in);
    const uint8_t *file = fl_reader_bytes(&in, file_len);
    if (in.failed) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "a packed model that is cut off");
    }
    uint8_t *skeleton = NULL, *made = NULL;
    size_t skeleton_len = 0, made_len = 0;
    FL_TRY(unpack(&skeleton, &skeleton_len, cap, file, file_len, why));
    const fl_err err = fl_patch_apply(&made, &made_len, skeleton, skeleton_len,
                                      in.at, in.left, why);
    free(skeleton);
    if (err) return err;
    if (made_len > cap) {
        free(made);
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "a packed model of %zu bytes, at most %zu are "
                             "expected",
                             made_len, cap);
    }
    *bytes = made;
    *len = made_len;
    return FL_OK;
}
