/* SPDX-License-Identifier: Apache-2.0 */
#include "client/disk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/state/state_address.h"

enum { MANIFEST_CAP = 1024 * 1024 };  // memory for one; its bound is 164 KiB

void fl_disk_report(fl_err err, const char *what, const fl_reason *why)
{
    if (err) {
        fl_log(FL_LOG_WARN, "not_saved", "what=%s why=%s", what, why->text);
    }
}

// What is not there is no fault of the disk.
static void report_read(fl_err err, const char *what, const fl_reason *why)
{
    if (err != FL_ERR_NOT_FOUND) fl_disk_report(err, what, why);
}

/* ---- updates and residuals ---- */

static fl_err save_update(fl_state *state, const fl_client_effect *effect,
                          fl_reason *why)
{
    const fl_result *result = effect->result;
    if (!result->update) return FL_OK;  // no memory to go on: dropped again
    fl_state_update update = {
        .round = effect->plan->round,
        .sample_count = result->sample_count,
        .correct_count = result->correct_count,
        .loss_sum_micro = result->loss_sum_micro,
        .bytes = result->update,
        .len = result->update_len,
    };
    fl_plan_recipe(update.recipe, effect->plan);
    return fl_state_update_save(state, &update, why);
}

static void restore_update(const fl_disk *disk, fl_client *client)
{
    fl_state_update update;
    fl_reason why;
    const fl_err err = fl_state_update_load(disk->state, &update, &why);
    if (err) {
        report_read(err, "update", &why);
        return;
    }
    fl_result result = {
        .sample_count = update.sample_count,
        .correct_count = update.correct_count,
        .loss_sum_micro = update.loss_sum_micro,
        .update = update.bytes,
        .update_len = update.len,
    };
    fl_client_restore(client, update.round, update.recipe, &result);
}

static void restore_residual(const fl_disk *disk, fl_client *client)
{
    uint8_t *bytes;
    size_t len;
    fl_reason why;
    const fl_err err = fl_state_residual_load(disk->state, &bytes, &len, &why);
    if (err) {
        report_read(err, "residual", &why);
    } else {
        fl_client_restore_residual(client, bytes, len);
    }
}

void fl_disk_restore(const fl_disk *disk, fl_client *client)
{
    restore_update(disk, client);
    restore_residual(disk, client);
}

// The number first: whatever happens next, it is not used again.
static void burn(fl_disk *disk, const fl_client_past *past)
{
    fl_state_session session = {.number = past->number,
                                .enrolment_serial = past->enrolment_serial,
                                .has_holdout = past->has_holdout,
                                .holdout = past->holdout};
    memcpy(session.enrolment_hash, past->enrolment_hash, FL_HASH_BYTES);
    disk->has_burned = true;
    disk->burn_err =
        fl_state_session_set(disk->state, &session, &disk->burn_why);
    if (!disk->burn_err) {
        disk->burn_err = fl_state_update_drop(disk->state, &disk->burn_why);
    }
}

/* ---- objects ---- */

// What is here of a half-finished download, chunk by chunk.
static fl_parts *resume_parts(const fl_state_object *object)
{
    fl_arena arena;
    fl_manifest manifest;
    fl_parts *parts = NULL;
    fl_arena_init(&arena, MANIFEST_CAP);
    if (fl_manifest_decode(&manifest, &arena, object->manifest,
                           object->manifest_len, NULL) ||
        fl_parts_new(&parts, manifest.size, manifest.chunk_bytes,
                     manifest.chunk_hashes, FL_MODEL_BYTES_MAX)) {
        goto out;
    }
    for (uint32_t i = 0; i < parts->chunk_count; i++) {
        if (!fl_parts_bitmap_has(object->bitmap, i)) continue;
        const size_t at = (size_t)i * manifest.chunk_bytes;
        // One that does not fit is simply asked for again.
        (void)!fl_parts_put(parts, i, object->bytes + at,
                            fl_parts_chunk_len(parts, i), fl_hash);
    }

out:
    fl_arena_fini(&arena);
    return parts;
}

static uint8_t *take_bytes(fl_state_object *object, size_t *len)
{
    uint8_t *bytes = object->bytes;
    *len = object->len;
    object->bytes = NULL;
    return bytes;
}

static void find_base(fl_disk *disk, fl_client_event *found)
{
    fl_state_object object;
    fl_reason why;
    const fl_err err =
        fl_state_model_load(disk->state, &object, disk->base_name, &why);
    if (err) {
        report_read(err, "model", &why);
        return;
    }
    found->base = take_bytes(&object, &found->base_len);
    found->base_name = disk->base_name;
    fl_state_object_fini(&object);
}

static void find(fl_disk *disk, fl_client_event *found)
{
    fl_state_object object;
    fl_reason why;
    const fl_err err =
        fl_state_object_load(disk->state, &object, disk->sought, &why);
    if (err) {
        report_read(err, "model", &why);
        if (disk->takes_base) find_base(disk, found);
        return;
    }
    if (object.missing_count == 0) {
        found->model = take_bytes(&object, &found->model_len);
    } else {
        found->parts = resume_parts(&object);
    }
    fl_state_object_fini(&object);
}

static fl_err put_chunks(fl_state *state, const fl_client_effect *effect)
{
    uint32_t index = 0;
    for (size_t at = 0; at < effect->len; at += FL_PROTO_CHUNK_BYTES) {
        const size_t left = effect->len - at;
        FL_TRY(fl_state_object_put(
            state, effect->object, index++, effect->bytes + at,
            left < FL_PROTO_CHUNK_BYTES ? left : FL_PROTO_CHUNK_BYTES, NULL));
    }
    return fl_state_object_finish(state, effect->object, NULL);
}

static void seek(fl_disk *disk, const fl_client_effect *effect)
{
    memcpy(disk->sought, effect->object, FL_HASH_BYTES);
    disk->takes_base = effect->takes_base;
    disk->is_asked_to_find = true;
}

/* ---- effects and answers ---- */

// Only what was begun can be added to, and its failure was reported.
static fl_err carry_out(fl_disk *disk, const fl_client_effect *effect,
                        const char **what, fl_reason *why)
{
    fl_state *state = disk->state;
    switch ((int)effect->kind) {
    case FL_CLIENT_PIN:
        *what = "pin";
        return fl_state_pin_set(state, effect->bytes, why);
    case FL_CLIENT_PIN_AUTHORITY:
        *what = "authority";
        return fl_state_authority_set(state, effect->bytes, why);
    case FL_CLIENT_FIND: seek(disk, effect); break;
    case FL_CLIENT_BEGIN:
        *what = "model";
        return fl_state_object_begin(state, effect->object, effect->bytes,
                                     effect->len, why);
    case FL_CLIENT_PUT:
        (void)!fl_state_object_put(state, effect->object, effect->index,
                                   effect->bytes, effect->len, why);
        break;
    case FL_CLIENT_KEEP: (void)!put_chunks(state, effect); break;
    case FL_CLIENT_END:
        (void)!fl_state_object_finish(state, effect->object, why);
        break;
    case FL_CLIENT_SAVE_UPDATE:
        *what = "update";
        return save_update(state, effect, why);
    case FL_CLIENT_DROP_UPDATE:
        *what = "update";
        return fl_state_update_drop(state, why);
    case FL_CLIENT_SAVE_RESIDUAL:
        *what = "residual";
        return fl_state_residual_save(state, effect->bytes, effect->len, why);
    case FL_CLIENT_BURN: burn(disk, effect->past); break;
    default: assert(!"an effect that is none of the disk's");
    }
    return FL_OK;
}

// Whatever has been kept since then, the disk can be written again.
static void remember(fl_disk *disk, fl_err err, const char *what,
                     const fl_reason *why)
{
    if (err) {
        (void)!fl_reason_set(&disk->trouble, err, "%s: %s", what, why->text);
    } else if (*what) {
        disk->trouble.text[0] = 0;
    }
}

void fl_disk_do(fl_disk *disk, const fl_client_effect *effect)
{
    const char *what = "";
    fl_reason why = {""};
    const fl_err err = carry_out(disk, effect, &what, &why);
    fl_disk_report(err, what, &why);
    remember(disk, err, what, &why);
    if (effect->kind == FL_CLIENT_BURN) {
        remember(disk, disk->burn_err, "session", &disk->burn_why);
    }
}

bool fl_disk_answer(fl_disk *disk, fl_client_event *event)
{
    if (disk->is_asked_to_find) {
        disk->is_asked_to_find = false;
        *event = (fl_client_event){.kind = FL_CLIENT_FOUND};
        find(disk, event);
        return true;
    }
    if (disk->has_burned) {
        disk->has_burned = false;
        *event = (fl_client_event){.kind = FL_CLIENT_BURNED,
                                   .err = disk->burn_err,
                                   .why = disk->burn_why.text};
        return true;
    }
    return false;
}
