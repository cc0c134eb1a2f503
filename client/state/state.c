/* SPDX-License-Identifier: Apache-2.0 */
#include "client/state/state.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/lock.h"
#include "client/state/state_int8.h"
#include "client/state/state_objects.h"
#include "client/state/state_pin.h"
#include "client/state/state_record.h"
#include "client/state/state_session.h"

#define STARTS_KIND   "FEDGEst1"
#define UPDATE_KIND   "FEDGEup2"
#define RESIDUAL_KIND "FEDGEre1"

#define STATUS_NAME   "status.json"
#define CLASSES_NAME  "classes"

enum {
    NO_LOCK = -1,
    RECORD_CAP = 256,  // of the small files
    RANDOM_START = 1 << 30,
    CLASSES_CAP = 16 * 1024 * 1024,
};

struct fl_state {
    int lock;
    uint32_t start_count;
    fl_reason warning;
    uint8_t status_hash[FL_HASH_BYTES];  // of the last one written
    fl_state_objects objects;
    fl_state_pin aggregator, authority;
    char starts[PATH_MAX], session[PATH_MAX];
    char update[PATH_MAX], update_bytes[PATH_MAX], residual[PATH_MAX];
    char status[PATH_MAX], classes[PATH_MAX];
    fl_state_int8 int8;
};

/* ---- open and close ---- */

// A count that is lost must not start over: an operation id would come twice.
static uint32_t random_start(void)
{
    uint32_t number;
    fl_secret_random(&number, sizeof number);
    return RANDOM_START | number >> 2;
}

static fl_err read_starts(fl_state *state, uint32_t *count)
{
    uint8_t *file;
    const uint8_t *payload;
    size_t len;
    fl_err err = fl_state_record_read(&file, &payload, &len, state->starts,
                                      STARTS_KIND, RECORD_CAP, &state->warning);
    if (err) return err;
    fl_reader in = fl_reader_over(payload, len);
    *count = fl_reader_u32(&in);
    err = fl_reader_finish(&in);
    free(file);
    return err || *count == UINT32_MAX ? FL_ERR_FORMAT : FL_OK;
}

static fl_err count_start(fl_state *state, fl_reason *why)
{
    uint32_t count = 0;
    const fl_err err = read_starts(state, &count);
    if (err == FL_ERR_NOT_FOUND) {
        state->warning.text[0] = 0;  // the first start
    } else if (err) {
        count = random_start();
    }
    state->start_count = count + 1;

    uint8_t payload[4];
    fl_writer out = fl_writer_over(payload, sizeof payload);
    fl_writer_u32(&out, state->start_count);
    return fl_state_record_write(state->starts, STARTS_KIND, payload, out.len,
                                 true, why);
}

static fl_err place_files(fl_state *state, const char *folder, fl_reason *why)
{
    FL_TRY(fl_folder_place(state->starts, folder, "starts", why));
    FL_TRY(fl_folder_place(state->session, folder, "session", why));
    FL_TRY(
        fl_folder_place(state->aggregator.path, folder, "aggregator.pub", why));
    FL_TRY(
        fl_folder_place(state->authority.path, folder, "authority.pub", why));
    state->aggregator.owner = "aggregator";
    state->authority.owner = "authority";
    FL_TRY(fl_folder_place(state->update, folder, "update", why));
    FL_TRY(fl_folder_place(state->update_bytes, folder, "update.bytes", why));
    FL_TRY(fl_folder_place(state->residual, folder, "residual", why));
    FL_TRY(fl_state_int8_place(&state->int8, folder, why));
    FL_TRY(fl_folder_place(state->classes, folder, CLASSES_NAME, why));
    return fl_folder_place(state->status, folder, STATUS_NAME, why);
}

static fl_err open_parts(fl_state *state, const char *folder, fl_reason *why)
{
    char objects[PATH_MAX];
    FL_TRY(fl_folder_place(objects, folder, "objects", why));
    FL_TRY(place_files(state, folder, why));
    FL_TRY(fl_folder_make(folder, 0700, why));
    FL_TRY(fl_folder_lock(&state->lock, folder, why));
    FL_TRY(count_start(state, why));
    return fl_state_objects_open(&state->objects, objects, &state->warning,
                                 why);
}

fl_err fl_state_open(fl_state **state, const char *folder, fl_reason *why)
{
    fl_state *made = calloc(1, sizeof *made);
    if (!made) return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    made->lock = NO_LOCK;
    made->objects.download.file = -1;
    const fl_err err = open_parts(made, folder, why);
    if (err) {
        fl_state_close(made);
        return err;
    }
    *state = made;
    return FL_OK;
}

void fl_state_close(fl_state *state)
{
    if (!state) return;
    fl_state_objects_close(&state->objects);
    if (state->lock != NO_LOCK) fl_lock_release(state->lock);
    free(state);
}

bool fl_state_is_running(const char *folder)
{
    return fl_folder_is_locked(folder);
}

fl_err fl_state_ask_to_reload(const char *folder, fl_reason *why)
{
    return fl_folder_ask_to_reload(folder, "client", why);
}

uint32_t fl_state_start_count(const fl_state *state)
{
    return state->start_count;
}

const char *fl_state_warning(const fl_state *state)
{
    return state->warning.text;
}

/* ---- aggregator and authority ---- */

fl_err fl_state_pin_get(const fl_state *state, uint8_t public_key[FL_KEY_BYTES],
                        fl_reason *why)
{
    return fl_state_pin_read(public_key, &state->aggregator, why);
}

fl_err fl_state_authority_get(const fl_state *state,
                              uint8_t public_key[FL_KEY_BYTES], fl_reason *why)
{
    return fl_state_pin_read(public_key, &state->authority, why);
}

/*
 * Before a new pin: after a crash nothing of the one before is left. Another
 * aggregator counts its sessions, another authority its lists, anew; and it is
 * not told which models of other federations were here.
 */
static fl_err forget_aggregator(fl_state *state, fl_reason *why)
{
    FL_TRY(fl_state_update_drop(state, why));
    FL_TRY(fl_state_file_delete(state->residual, why));
    FL_TRY(fl_state_int8_clear(&state->int8, why));
    fl_state_objects_clear(&state->objects);
    fl_state_session left;
    FL_TRY(fl_state_session_read(&left, state->session, why));
    if (left.number == 0 && !left.has_holdout) return FL_OK;
    left.number = 0;
    left.has_holdout = false;
    left.holdout = 0;
    return fl_state_session_write(state->session, &left, why);
}

static fl_err forget_authority(fl_state *state, fl_reason *why)
{
    fl_state_session left;
    FL_TRY(fl_state_session_read(&left, state->session, why));
    if (left.enrolment_serial == 0) return FL_OK;
    left.enrolment_serial = 0;
    memset(left.enrolment_hash, 0, FL_HASH_BYTES);
    return fl_state_session_write(state->session, &left, why);
}

static fl_err set_pin(fl_state *state, const fl_state_pin *pin,
                      fl_err (*forget_old)(fl_state *, fl_reason *),
                      const uint8_t public_key[FL_KEY_BYTES], fl_reason *why)
{
    fl_reason compared = {""};
    const fl_err err = fl_state_pin_compare(pin, public_key, &compared);
    if (err != FL_ERR_NOT_FOUND) {
        if (err && why) *why = compared;
        return err;
    }
    FL_TRY(forget_old(state, why));
    return fl_state_pin_write(pin, public_key, why);
}

fl_err fl_state_pin_set(fl_state *state, const uint8_t public_key[FL_KEY_BYTES],
                        fl_reason *why)
{
    return set_pin(state, &state->aggregator, forget_aggregator, public_key,
                   why);
}

fl_err fl_state_authority_set(fl_state *state,
                              const uint8_t public_key[FL_KEY_BYTES],
                              fl_reason *why)
{
    return set_pin(state, &state->authority, forget_authority, public_key, why);
}

/* ---- sessions ---- */

fl_err fl_state_session_get(const fl_state *state, fl_state_session *session,
                            fl_reason *why)
{
    return fl_state_session_read(session, state->session, why);
}

fl_err fl_state_session_set(fl_state *state, const fl_state_session *session,
                            fl_reason *why)
{
    fl_state_session now;
    FL_TRY(fl_state_session_read(&now, state->session, why));
    FL_TRY(fl_state_session_check(&now, session, state->session, why));
    return fl_state_session_write(state->session, session, why);
}

/* ---- objects ---- */

fl_err fl_state_object_load(fl_state *state, fl_state_object *object,
                            const uint8_t name[FL_HASH_BYTES], fl_reason *why)
{
    return fl_state_objects_load(&state->objects, object, name, why);
}

fl_err fl_state_model_load(fl_state *state, fl_state_object *object,
                           uint8_t name[FL_HASH_BYTES], fl_reason *why)
{
    return fl_state_objects_load_model(&state->objects, object, name, why);
}

fl_err fl_state_object_begin(fl_state *state, const uint8_t name[FL_HASH_BYTES],
                             const uint8_t *manifest, size_t manifest_len,
                             fl_reason *why)
{
    return fl_state_objects_begin(&state->objects, name, manifest, manifest_len,
                                  why);
}

fl_err fl_state_object_put(fl_state *state, const uint8_t name[FL_HASH_BYTES],
                           uint32_t index, const uint8_t *bytes, size_t len,
                           fl_reason *why)
{
    return fl_state_objects_put(&state->objects, name, index, bytes, len, why);
}

fl_err fl_state_object_finish(fl_state *state,
                              const uint8_t name[FL_HASH_BYTES], fl_reason *why)
{
    return fl_state_objects_finish(&state->objects, name, why);
}

/* ---- update ---- */

// Without its header it is gone, even where the bytes cannot be deleted.
static void forget_update(const fl_state *state)
{
    (void)unlink(state->update);
    (void)unlink(state->update_bytes);
}

/*
 * What it weighs, the length and hash of the file beside it, and the last
 * session before it: when a later one is known, its masked form may be out.
 */
static fl_err write_update_header(const fl_state *state,
                                  const fl_state_update *update, fl_reason *why)
{
    uint8_t payload[RECORD_CAP], hash[FL_HASH_BYTES];
    fl_state_session session;
    FL_TRY(fl_state_session_read(&session, state->session, why));
    fl_hash(hash, update->bytes, update->len);
    fl_writer out = fl_writer_over(payload, sizeof payload);
    fl_writer_u64(&out, session.number);
    fl_writer_u32(&out, update->round);
    fl_writer_bytes(&out, update->recipe, sizeof update->recipe);
    fl_writer_u64(&out, update->sample_count);
    fl_writer_u64(&out, update->correct_count);
    fl_writer_u64(&out, (uint64_t)update->loss_sum_micro);
    fl_writer_u64(&out, update->len);
    fl_writer_bytes(&out, hash, sizeof hash);
    FL_TRY(fl_writer_finish(&out));
    return fl_state_record_write(state->update, UPDATE_KIND, payload, out.len,
                                 false, why);
}

static fl_err check_unmasked(const fl_state *state, uint64_t number,
                             fl_reason *why)
{
    fl_state_session session;
    FL_TRY(fl_state_session_read(&session, state->session, why));
    if (session.number == number) return FL_OK;
    return fl_reason_set(why, FL_ERR_NOT_FOUND,
                         "%s: its masked form may have been sent in session "
                         "%" PRIu64 "; it never enters another one",
                         state->update, session.number);
}

static fl_err read_update_header(const fl_state *state, fl_state_update *update,
                                 uint8_t hash[FL_HASH_BYTES], fl_reason *why)
{
    uint8_t *file;
    const uint8_t *payload;
    size_t len;
    FL_TRY(fl_state_record_read(&file, &payload, &len, state->update,
                                UPDATE_KIND, RECORD_CAP, why));
    fl_reader in = fl_reader_over(payload, len);
    const uint64_t session = fl_reader_u64(&in);
    *update = (fl_state_update){.round = fl_reader_u32(&in)};
    const uint8_t *recipe = fl_reader_bytes(&in, sizeof update->recipe);
    if (recipe) memcpy(update->recipe, recipe, sizeof update->recipe);
    update->sample_count = fl_reader_u64(&in);
    update->correct_count = fl_reader_u64(&in);
    update->loss_sum_micro = (int64_t)fl_reader_u64(&in);
    update->len = (size_t)fl_reader_u64(&in);
    const uint8_t *found = fl_reader_bytes(&in, FL_HASH_BYTES);
    if (found) memcpy(hash, found, FL_HASH_BYTES);
    const fl_err err = fl_reader_finish(&in);
    free(file);
    if (err) return fl_reason_set(why, err, "%s: damaged", state->update);
    return check_unmasked(state, session, why);
}

fl_err fl_state_update_save(fl_state *state, const fl_state_update *update,
                            fl_reason *why)
{
    FL_TRY(fl_state_update_drop(state, why));
    if (update->len > FL_PROTO_OBJECT_BYTES_MAX) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "an update of %zu bytes is longer than an object "
                             "may be",
                             update->len);
    }
    // The header last: without one the other file counts for nothing.
    fl_err err = fl_state_file_write(state->update_bytes, update->bytes,
                                     update->len, 0600, false, why);
    if (!err) err = write_update_header(state, update, why);
    if (err) forget_update(state);
    return err;
}

static fl_err read_update_bytes(const fl_state *state, fl_state_update *update,
                                const uint8_t hash[FL_HASH_BYTES],
                                fl_reason *why)
{
    uint8_t *bytes = NULL, found[FL_HASH_BYTES] = {0};
    size_t len = 0;
    const fl_err err = fl_file_read(&bytes, &len, state->update_bytes,
                                    FL_PROTO_OBJECT_BYTES_MAX, why);
    if (err) {
        const bool is_damage = err == FL_ERR_NOT_FOUND || err == FL_ERR_LIMIT;
        return is_damage ? FL_ERR_FORMAT : err;
    }
    fl_hash(found, bytes, len);
    if (len != update->len || memcmp(found, hash, sizeof found) != 0) {
        free(bytes);
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s: damaged, does not have its checksum; the "
                             "round is trained again",
                             state->update_bytes);
    }
    update->bytes = bytes;
    return FL_OK;
}

fl_err fl_state_update_load(fl_state *state, fl_state_update *update,
                            fl_reason *why)
{
    uint8_t hash[FL_HASH_BYTES] = {0};
    fl_err err = read_update_header(state, update, hash, why);
    if (!err) err = read_update_bytes(state, update, hash, why);
    if (err == FL_ERR_FORMAT || err == FL_ERR_NOT_FOUND) forget_update(state);
    return err;
}

fl_err fl_state_update_drop(fl_state *state, fl_reason *why)
{
    FL_TRY(fl_state_file_delete(state->update, why));
    return fl_state_file_delete(state->update_bytes, why);
}

/* ---- residual ---- */

fl_err fl_state_residual_save(fl_state *state, const uint8_t *bytes, size_t len,
                              fl_reason *why)
{
    fl_err err = FL_ERR_LIMIT;
    if (len > FL_PROTO_OBJECT_BYTES_MAX) {
        (void)!fl_reason_set(why, err,
                             "a residual of %zu bytes is longer than an object "
                             "may be",
                             len);
    } else {
        err = fl_state_record_write(state->residual, RESIDUAL_KIND, bytes, len,
                                    false, why);
    }
    if (err) (void)unlink(state->residual);
    return err;
}

fl_err fl_state_residual_load(fl_state *state, uint8_t **bytes, size_t *len,
                              fl_reason *why)
{
    uint8_t *file = NULL;
    const uint8_t *payload;
    const fl_err err =
        fl_state_record_read(&file, &payload, len, state->residual,
                             RESIDUAL_KIND, FL_PROTO_OBJECT_BYTES_MAX, why);
    if (err == FL_ERR_FORMAT) (void)unlink(state->residual);
    if (err) return err;
    memmove(file, payload, *len);
    *bytes = file;
    return FL_OK;
}

/* ---- the INT8 model in use, classes ---- */

fl_err fl_state_installed_save(fl_state *state,
                               const fl_state_installed *installed,
                               const uint8_t *bytes, size_t len, fl_reason *why)
{
    return fl_state_int8_save(&state->int8, installed, bytes, len, why);
}

fl_err fl_state_installed_load(fl_state_installed *installed, uint8_t **bytes,
                               size_t *len, const char *folder, fl_reason *why)
{
    fl_state_int8 int8;
    FL_TRY(fl_state_int8_place(&int8, folder, why));
    return fl_state_int8_load(&int8, installed, bytes, len, why);
}

fl_err fl_state_previous_load(uint8_t **bytes, size_t *len, const char *folder,
                              fl_reason *why)
{
    fl_state_int8 int8;
    FL_TRY(fl_state_int8_place(&int8, folder, why));
    return fl_state_int8_load_previous(&int8, bytes, len, why);
}

fl_err fl_state_classes_write(fl_state *state, const char *text, fl_reason *why)
{
    if (!text) return fl_state_file_delete(state->classes, why);
    return fl_state_file_write(state->classes, text, strlen(text), 0644, false,
                               why);
}

fl_err fl_state_classes_read(char **text, const char *folder, fl_reason *why)
{
    char path[PATH_MAX];
    FL_TRY(fl_folder_place(path, folder, CLASSES_NAME, why));
    uint8_t *bytes = NULL;
    size_t len = 0;
    FL_TRY(fl_file_read(&bytes, &len, path, CLASSES_CAP, why));
    *text = (char *)bytes;
    return FL_OK;
}

/* ---- status ---- */

fl_err fl_state_status_write(fl_state *state, const char *text, fl_reason *why)
{
    const size_t len = strlen(text);
    if (len > FL_STATE_STATUS_MAX) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "a status of %zu bytes is longer than %d", len,
                             FL_STATE_STATUS_MAX);
    }
    uint8_t hash[FL_HASH_BYTES] = {0};
    fl_hash(hash, text, len);
    if (memcmp(hash, state->status_hash, sizeof hash) == 0) return FL_OK;
    FL_TRY(fl_state_file_write(state->status, text, len, 0644, false, why));
    memcpy(state->status_hash, hash, sizeof hash);
    return FL_OK;
}

fl_err fl_state_status_read(char **text, const char *folder, fl_reason *why)
{
    char path[PATH_MAX];
    FL_TRY(fl_folder_place(path, folder, STATUS_NAME, why));
    uint8_t *bytes = NULL;
    size_t len = 0;
    const fl_err err =
        fl_file_read(&bytes, &len, path, FL_STATE_STATUS_MAX, why);
    if (err == FL_ERR_LIMIT) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s: not a status, longer than %d bytes", path,
                             FL_STATE_STATUS_MAX);
    }
    if (err == FL_ERR_NOT_FOUND) {
        return fl_reason_set(why, err,
                             "%s: no client has kept anything here yet; start "
                             "fedge-client run, or name another state folder",
                             path);
    }
    if (err) return err;
    *text = (char *)bytes;
    return FL_OK;
}
