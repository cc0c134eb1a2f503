/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/versions.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is kept ---- */

// Their target is not the newest any more.
static void drop_objects(fl_versions *versions)
{
    for (size_t i = 0; i < versions->count; i++) {
        fl_object_withdraw(&versions->kept[i].patch);
    }
    fl_object_withdraw(&versions->packed);
}

static void drop_oldest(fl_versions *versions)
{
    fl_version *oldest = &versions->kept[--versions->count];
    free(oldest->undo);
    free(oldest->keep);
    fl_object_withdraw(&oldest->patch);
}

void fl_versions_fini(fl_versions *versions)
{
    while (versions->count > 0) {
        drop_oldest(versions);
    }
    fl_object_withdraw(&versions->packed);
    free(versions->params);
    *versions = (fl_versions){.count = 0};
}

static size_t kept_bytes(const fl_versions *versions)
{
    size_t bytes = 0;
    for (size_t i = 0; i < versions->count; i++) {
        const fl_version *version = &versions->kept[i];
        bytes += version->undo_count * sizeof(fl_version_change) +
                 version->keep_count * sizeof(bool);
    }
    return bytes;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    _Static_assert(sizeof bits == sizeof value, "a float of 32 bits");
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// Not as floats: 0 and -0 are different bytes of a model.
static bool differs(float a, float b)
{
    return bits_of(a) != bits_of(b);
}

// What the newest version until now has to tell when it is not any more.
static fl_err remember_changes(fl_version *version, const float *before,
                               const float *after, size_t param_count)
{
    size_t count = 0;
    for (size_t i = 0; i < param_count; i++) {
        count += differs(before[i], after[i]);
    }
    version->undo = malloc(count * sizeof *version->undo + 1);
    if (!version->undo) return FL_ERR_MEMORY;
    version->undo_count = count;
    fl_version_change *change = version->undo;
    for (size_t i = 0; i < param_count; i++) {
        if (!differs(before[i], after[i])) continue;
        *change++ = (fl_version_change){(uint32_t)i, before[i]};
    }
    return FL_OK;
}

static fl_err begin(fl_versions *versions, const fl_model *model,
                    const fl_grid *grid)
{
    const size_t param_count = fl_model_param_count(model);
    fl_versions_fini(versions);
    versions->params = malloc(param_count * sizeof *versions->params + 1);
    if (!versions->params) return FL_ERR_MEMORY;
    versions->param_count = param_count;
    versions->model = model;
    versions->grid = grid;
    return FL_OK;
}

// The newest so far becomes the one before, and `params` the newest.
static fl_err advance(fl_versions *versions, const float *params)
{
    fl_version *kept = versions->kept;
    const size_t param_count = versions->param_count;
    drop_objects(versions);
    if (versions->count > 0) {
        FL_TRY(
            remember_changes(&kept[0], versions->params, params, param_count));
    }
    memcpy(versions->params, params, param_count * sizeof *params);
    if (versions->count == FL_VERSIONS_MAX) drop_oldest(versions);
    memmove(kept + 1, kept, versions->count * sizeof *kept);
    kept[0] = (fl_version){.undo_count = 0};
    versions->count++;
    while (versions->count > 2 &&
           kept_bytes(versions) > FL_VERSIONS_BYTES_MAX) {
        drop_oldest(versions);
    }
    return FL_OK;
}

fl_err fl_versions_push(fl_versions *versions,
                        const uint8_t name[FL_HASH_BYTES],
                        const fl_model *model, const fl_grid *grid,
                        const float *params, uint32_t round)
{
    if (!grid) {
        fl_versions_fini(versions);
        return FL_OK;
    }
    if (model != versions->model || grid != versions->grid) {
        FL_TRY(begin(versions, model, grid));
    }
    const fl_err err = advance(versions, params);
    if (err) {
        fl_versions_fini(versions);
        return err;
    }
    memcpy(versions->kept[0].name, name, FL_HASH_BYTES);
    versions->round = round;
    return FL_OK;
}

/* ---- fewer channels ---- */

#define GONE UINT32_MAX  // no model has so many parameters

// Where each parameter from before is now; the caller frees it. NULL: no
// memory.
static uint32_t *follow(size_t before, const uint32_t *from, size_t count)
{
    uint32_t *now = malloc(before * sizeof *now + 1);
    if (!now) return NULL;
    memset(now, 0xff, before * sizeof *now);  // GONE
    for (size_t i = 0; i < count; i++) {
        now[from[i]] = (uint32_t)i;
    }
    return now;
}

static void renumber_changes(fl_version *version, const uint32_t *now)
{
    size_t left = 0;
    if (!version->undo) return;
    for (size_t i = 0; i < version->undo_count; i++) {
        const fl_version_change change = version->undo[i];
        if (now[change.index] == GONE) continue;
        version->undo[left++] =
            (fl_version_change){now[change.index], change.value};
    }
    version->undo_count = left;
    void *shorter = realloc(version->undo, left * sizeof *version->undo + 1);
    if (shorter) version->undo = shorter;
}

// Whether `mask` speaks of the channels that this version has left: where a
// depthwise convolution has become one of a single channel, it does not.
static bool fits(const fl_version *version, const fl_patch_mask *mask)
{
    size_t left = 0;
    for (size_t c = 0; c < version->keep_count; c++) {
        left += version->keep[c];
    }
    return !version->keep || left == mask->count;
}

// `mask` is of the channels that the version's own mask has left so far.
static fl_err compose_masks(fl_version *version, const fl_patch_mask *mask)
{
    if (!version->keep) {
        version->keep = malloc(mask->count * sizeof *version->keep + 1);
        if (!version->keep) return FL_ERR_MEMORY;
        memcpy(version->keep, mask->keep, mask->count * sizeof *version->keep);
        version->keep_count = mask->count;
        return FL_OK;
    }
    size_t next = 0;
    for (size_t c = 0; c < version->keep_count; c++) {
        if (version->keep[c]) version->keep[c] = mask->keep[next++];
    }
    return FL_OK;
}

static fl_err keep_params(fl_versions *versions, const uint32_t *from,
                          size_t count)
{
    float *params = malloc(count * sizeof *params + 1);
    if (!params) return FL_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        assert(from[i] < versions->param_count);
        params[i] = versions->params[from[i]];
    }
    free(versions->params);
    versions->params = params;
    versions->param_count = count;
    return FL_OK;
}

// All versions become ones of the smaller model, to which `cut` leads from the
// newest.
static fl_err shrink(fl_versions *versions, const fl_model *model,
                     const fl_grid *grid, const fl_version_cut *cut)
{
    const size_t count = fl_model_param_count(model);
    uint32_t *now = follow(versions->param_count, cut->from, count);
    if (!now) return FL_ERR_MEMORY;
    for (size_t i = 0; i < versions->count; i++) {
        renumber_changes(&versions->kept[i], now);
    }
    free(now);
    for (size_t i = 0; i < versions->count; i++) {
        FL_TRY(compose_masks(&versions->kept[i], &cut->mask));
    }
    FL_TRY(keep_params(versions, cut->from, count));
    versions->model = model;
    versions->grid = grid;
    return FL_OK;
}

fl_err fl_versions_push_shrunk(fl_versions *versions,
                               const uint8_t name[FL_HASH_BYTES],
                               const fl_model *model, const fl_grid *grid,
                               const float *params, uint32_t round,
                               const fl_version_cut *cut)
{
    while (versions->count > 0 &&
           !fits(&versions->kept[versions->count - 1], &cut->mask)) {
        drop_oldest(versions);
    }
    if (versions->count > 0) {
        const fl_err err = shrink(versions, model, grid, cut);
        if (err) {
            fl_versions_fini(versions);
            return err;
        }
    }
    return fl_versions_push(versions, name, model, grid, params, round);
}

/* ---- what is made of it ---- */

static bool has_name(const uint8_t *name, const uint8_t *wanted)
{
    return memcmp(name, wanted, FL_HASH_BYTES) == 0;
}

bool fl_versions_is_newest(const fl_versions *versions,
                           const uint8_t name[FL_HASH_BYTES])
{
    return versions->count > 0 && has_name(versions->kept[0].name, name);
}

// What the newest model has of the parameters of version `behind`; the caller
// frees them. NULL: no memory.
static float *recall(const fl_versions *versions, size_t behind)
{
    const size_t param_count = versions->param_count;
    float *params = malloc(param_count * sizeof *params + 1);
    if (!params) return NULL;
    memcpy(params, versions->params, param_count * sizeof *params);
    for (size_t i = 1; i <= behind; i++) {
        const fl_version *version = &versions->kept[i];
        for (size_t j = 0; j < version->undo_count; j++) {
            params[version->undo[j].index] = version->undo[j].value;
        }
    }
    return params;
}

// Takes `bytes`, of which `len` are used, in any case.
static fl_err publish(const fl_versions *versions, fl_published *published,
                      fl_object_kind kind, uint8_t *bytes, size_t len)
{
    uint8_t *shrunk = realloc(bytes, len);
    if (shrunk) bytes = shrunk;
    const fl_err err =
        fl_object_publish(published, kind, versions->round, bytes, len);
    if (err) free(bytes);
    return err;
}

// `from` is what is left of the parameters of that version.
static fl_err encode_patch(uint8_t *dst, size_t dst_cap, size_t *len,
                           const fl_versions *versions,
                           const fl_version *version, const float *from)
{
    const fl_patch_mask mask = {version->keep, version->keep_count};
    if (!mask.keep) {
        return fl_patch_encode(dst, dst_cap, len, versions->model,
                               versions->grid, from, versions->params);
    }
    return fl_patch_encode_shrunk(dst, dst_cap, len, &mask, versions->model,
                                  versions->grid, from, versions->params);
}

static fl_err make_patch(fl_versions *versions, size_t behind)
{
    size_t len = 0;
    const fl_version *version = &versions->kept[behind];
    const size_t cap = fl_patch_bound(versions->model) +
                       fl_patch_mask_bytes(version->keep_count);
    float *from = recall(versions, behind);
    uint8_t *bytes = malloc(cap);
    fl_err err = FL_ERR_MEMORY;
    if (from && bytes) {
        err = encode_patch(bytes, cap, &len, versions, version, from);
    }
    free(from);
    if (err) {
        free(bytes);
        return err;
    }
    return publish(versions, &versions->kept[behind].patch, FL_OBJECT_PATCH,
                   bytes, len);
}

static fl_err make_packed(fl_versions *versions)
{
    size_t len = 0;
    const size_t cap = fl_packed_bound(versions->model);
    uint8_t *bytes = malloc(cap);
    if (!bytes) return FL_ERR_MEMORY;
    const fl_err err = fl_packed_encode(bytes, cap, &len, versions->model,
                                        versions->grid, versions->params);
    if (err) {
        free(bytes);
        return err;
    }
    return publish(versions, &versions->packed, FL_OBJECT_PACKED, bytes, len);
}

// FL_ERR_NOT_FOUND: there is no older version so far behind.
static fl_err get_patch(fl_versions *versions, size_t behind,
                        const fl_published **published)
{
    if (behind < 1 || behind >= versions->count) return FL_ERR_NOT_FOUND;
    fl_published *patch = &versions->kept[behind].patch;
    if (!patch->bytes) FL_TRY(make_patch(versions, behind));
    *published = patch;
    return FL_OK;
}

fl_err fl_versions_patch(fl_versions *versions,
                         const uint8_t base[FL_HASH_BYTES],
                         const fl_published **published)
{
    size_t behind = 1;
    while (behind < versions->count &&
           !has_name(versions->kept[behind].name, base)) {
        behind++;
    }
    return get_patch(versions, behind, published);
}

fl_err fl_versions_packed(fl_versions *versions, const fl_published **published)
{
    if (versions->count == 0) return FL_ERR_NOT_FOUND;
    if (!versions->packed.bytes) FL_TRY(make_packed(versions));
    *published = &versions->packed;
    return FL_OK;
}

static bool is_named(const fl_published *published, const uint8_t *name)
{
    return published->bytes && has_name(published->name, name);
}

const fl_published *fl_versions_find(const fl_versions *versions,
                                     const uint8_t name[FL_HASH_BYTES])
{
    if (is_named(&versions->packed, name)) return &versions->packed;
    for (size_t i = 1; i < versions->count; i++) {
        if (is_named(&versions->kept[i].patch, name)) {
            return &versions->kept[i].patch;
        }
    }
    return NULL;
}

size_t fl_versions_patch_bytes(fl_versions *versions, size_t behind)
{
    const fl_published *patch;
    return get_patch(versions, behind, &patch) ? 0 : patch->len;
}

size_t fl_versions_packed_bytes(fl_versions *versions)
{
    const fl_published *packed;
    return fl_versions_packed(versions, &packed) ? 0 : packed->len;
}
