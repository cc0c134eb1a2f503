/*
 * Models on their way down: what has changed since a version that the client
 * holds, or all of it, packed. Both are checked by what comes out: the plan
 * names the model by its hash.
 *
 *   patch    steps, then for each tensor which coordinates have moved and by
 *            how many steps (adaptive range coder with neighbours as context);
 *            in front, where the model has become smaller, which channels of
 *            the base are left
 *   packed   the model's ONNX file, all zeros (zstd), and a patch that turns
 *            these into the parameters
 *
 * Safe on any bytes. docs/format.md, "Patches" and "Packed models".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_PATCH_H
#define FL_COMPRESS_PATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "compress/model/grid.h"
#include "model/model.h"

/* Most bytes of a patch of this model, and of a packed one. */
size_t fl_patch_bound(const fl_model *model);
size_t fl_packed_bound(const fl_model *model);

/*
 * What turns `from` into `to`, parameters of this model on its grid.
 * FL_ERR_SPACE: dst_cap is below fl_patch_bound. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_patch_encode(uint8_t *dst, size_t dst_cap, size_t *len,
                                const fl_model *model, const fl_grid *grid,
                                const float *from, const float *to);

/* Which channels of a model are left, as fl_model_shrink takes them. */
typedef struct {
    const bool *keep;
    size_t count;  // of the larger model's channels, at least 1
} fl_patch_mask;

/* Bytes of such a patch beyond those of fl_patch_bound(model). */
size_t fl_patch_mask_bytes(size_t channel_count);

/*
 * The same where the base has channels that `model` no longer has: the mask
 * says which are left. `from` are the parameters of the base that are left, in
 * the order of `model`, which is what fl_model_shrink makes of it.
 * FL_ERR_SPACE: dst_cap is below fl_patch_bound and fl_patch_mask_bytes
 * together. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_patch_encode_shrunk(uint8_t *dst, size_t dst_cap,
                                       size_t *len, const fl_patch_mask *mask,
                                       const fl_model *model,
                                       const fl_grid *grid, const float *from,
                                       const float *to);

/*
 * Turns the ONNX file `base` into the one that the patch was made for; of
 * another base it makes something else, which its hash tells. The caller frees
 * *bytes. FL_ERR_FORMAT: the patch is malformed, or not one of a model like
 * this. FL_ERR_MEMORY, FL_ERR_LIMIT, and those of fl_model_decode for `base`.
 */
FL_CHECK fl_err fl_patch_apply(uint8_t **bytes, size_t *len,
                               const uint8_t *base, size_t base_len,
                               const uint8_t *patch, size_t patch_len,
                               fl_reason *why);

/* Where the parameters of a model come from. */
typedef struct {
    uint32_t *from;  // for each, which one of the base's it is; NULL: they are
                     // the same ones
    size_t count;    // of the parameters; 0 with NULL
} fl_patch_map;

/* The same, and what follows parameters can follow them: the caller frees
 * map->from. */
FL_CHECK fl_err fl_patch_apply_mapped(uint8_t **bytes, size_t *len,
                                      fl_patch_map *map, const uint8_t *base,
                                      size_t base_len, const uint8_t *patch,
                                      size_t patch_len, fl_reason *why);

/*
 * The model with `params`, which are on its grid, packed; its own are not
 * looked at. FL_ERR_SPACE: dst_cap is below fl_packed_bound. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_packed_encode(uint8_t *dst, size_t dst_cap, size_t *len,
                                 const fl_model *model, const fl_grid *grid,
                                 const float *params);

/*
 * The ONNX file of a packed model, at most `cap` bytes; the caller frees
 * *bytes. FL_ERR_FORMAT, FL_ERR_LIMIT, FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_packed_decode(uint8_t **bytes, size_t *len, size_t cap,
                                 const uint8_t *src, size_t src_len,
                                 fl_reason *why);

#endif
