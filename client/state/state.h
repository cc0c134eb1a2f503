/*
 * What a client keeps on disk: one folder, one owner.
 *
 *   STATE/lock              held while a client runs
 *   STATE/identity.key      secure/'s
 *   STATE/starts            how often the folder was opened
 *   STATE/aggregator.pub    the pinned key, 64 hexadecimal digits
 *   STATE/aggregator.address  where it is, unless a person says where
 *   STATE/authority.pub     that of the authority that enrols devices
 *   STATE/session           the last masked session, enrolment list, holdout
 *   STATE/objects/HEX.map   an object's manifest; HEX is its hash, the name
 *   STATE/objects/HEX.part  what has been downloaded of it
 *   STATE/objects/HEX       all of it
 *   STATE/update            what the finished update weighs, its hash
 *   STATE/update.bytes      the update
 *   STATE/residual          what updates have not sent yet
 *   STATE/int8.onnx         the INT8 model that is in use
 *   STATE/int8.previous.onnx  what it took the place of
 *   STATE/int8              what is known of the first
 *   STATE/classes           what the classes of the data are called
 *   STATE/traffic           bytes of this month (traffic.h)
 *   STATE/status.json       what the status command shows
 *
 * Everything is checked when it is read: small files end in the hash of what
 * comes before, chunks have theirs in the manifest. So a chunk need not wait
 * for the disk, and after a crash or a fault of the disk only what is missing
 * or wrong is downloaded again.
 *
 *   load --not found--> begin --> put, put, ... --> finish --> load
 *     \--some missing-------------/
 *
 * Nothing grows: at most FL_STATE_OBJECTS_KEPT complete objects and one that
 * is being downloaded; one update, one residual, two INT8 models. A damaged
 * file is reported once, deleted and then not there; only a damaged pin or
 * session stays, since it is for a person to say whom to trust. Files of other
 * names are left alone.
 *
 * One thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_STATE_H
#define FL_CLIENT_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "proto/proto.h"
#include "secure/secure.h"

enum {
    FL_STATE_OBJECTS_KEPT = 3,  // two models and an enrolment list
    FL_STATE_STATUS_MAX = 64 * 1024,
};

typedef struct fl_state fl_state;

/*
 * Opens or makes the folder (0700), takes the lock, counts this start durably
 * and tidies up after a crash. The caller owns *state: fl_state_close.
 * FL_ERR_STATE: another client runs there. FL_ERR_SYSTEM: not writable, disk
 * full. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_state_open(fl_state **state, const char *folder,
                              fl_reason *why);

/* Accepts NULL. */
void fl_state_close(fl_state *state);

/* Whether a client holds the lock of this folder now. */
bool fl_state_is_running(const char *folder);

/*
 * Has the client of this folder read its options again. FL_ERR_NOT_FOUND: none
 * runs there. FL_ERR_SYSTEM: it is somebody else's.
 */
FL_CHECK fl_err fl_state_ask_to_reload(const char *folder, fl_reason *why);

/*
 * How often this folder has been opened, this time included: never the same
 * twice, so operation ids are built from it. When the count was damaged it
 * goes on from a random number above 2^30.
 */
uint32_t fl_state_start_count(const fl_state *state);

/* What the open found damaged and put right, for the log; "" for nothing. */
const char *fl_state_warning(const fl_state *state);

/* ---- aggregator and authority ---- */

/*
 * FL_ERR_NOT_FOUND: no aggregator is pinned yet. FL_ERR_FORMAT: the file is
 * damaged; it stays as it is.
 */
FL_CHECK fl_err fl_state_pin_get(const fl_state *state,
                                 uint8_t public_key[FL_KEY_BYTES],
                                 fl_reason *why);

/*
 * Pins the aggregator for life; forgets the objects, the update, the residual,
 * INT8 models and the session's number when none was pinned. FL_ERR_STATE:
 * another one is pinned, *why says what to do. FL_ERR_FORMAT: as above, or of
 * fl_state_session_get. FL_ERR_SYSTEM: disk full, ...: nothing is pinned then.
 */
FL_CHECK fl_err fl_state_pin_set(fl_state *state,
                                 const uint8_t public_key[FL_KEY_BYTES],
                                 fl_reason *why);

/*
 * The authority whose enrolment lists count: in the same way, with the same
 * errors. Forgets the serial and hash of the list when none was pinned.
 */
FL_CHECK fl_err fl_state_authority_get(const fl_state *state,
                                       uint8_t public_key[FL_KEY_BYTES],
                                       fl_reason *why);
FL_CHECK fl_err fl_state_authority_set(fl_state *state,
                                       const uint8_t public_key[FL_KEY_BYTES],
                                       fl_reason *why);

/* ---- sessions ---- */

typedef struct {
    uint64_t number;  // highest whose masked update may have been sent
    uint64_t enrolment_serial;
    uint8_t enrolment_hash[FL_HASH_BYTES];
    bool has_holdout;  // no plan may have another one
    uint32_t holdout;
} fl_state_session;

/*
 * Zeros when there has been none. FL_ERR_FORMAT: damaged; it stays as it is,
 * *why says what to do. FL_ERR_SYSTEM, FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_state_session_get(const fl_state *state,
                                     fl_state_session *session, fl_reason *why);

/*
 * It is on the disk when this returns; call it before the masked form of an
 * update is sent. Raising the number burns the update that is saved: it is not
 * loaded again, not even after a crash right behind. FL_ERR_STATE: number or
 * serial would go down, the serial names another list, or the holdout would
 * change. FL_ERR_FORMAT: as above. After an error, FL_ERR_SYSTEM and
 * FL_ERR_MEMORY too, the old one holds.
 */
FL_CHECK fl_err fl_state_session_set(fl_state *state,
                                     const fl_state_session *session,
                                     fl_reason *why);

/* ---- objects ---- */

typedef struct {
    uint8_t *manifest;  // as it travelled; its hash is the object's name
    size_t manifest_len;
    uint8_t *bytes;  // missing chunks are zeros
    size_t len;
    uint8_t *bitmap;  // as in fl_grant: which chunks are there
    size_t bitmap_len;
    uint32_t chunk_count, missing_count;
} fl_state_object;

/*
 * Reads an object, complete or not; every chunk has been checked. One with
 * missing chunks is the one being downloaded from now on. The caller owns
 * *object: fl_state_object_fini. FL_ERR_NOT_FOUND: nothing is here of it.
 * FL_ERR_FORMAT: its manifest is damaged; nothing is here of it any more.
 * FL_ERR_SYSTEM, FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_state_object_load(fl_state *state, fl_state_object *object,
                                     const uint8_t name[FL_HASH_BYTES],
                                     fl_reason *why);

void fl_state_object_fini(fl_state_object *object);

/*
 * Reads the complete model that was begun last, and its name: what changed
 * since then may be all that has to be downloaded. Nothing is being downloaded
 * on its account. FL_ERR_NOT_FOUND: there is none. FL_ERR_FORMAT: it is
 * damaged, and deleted; the one before it is found next time.
 * FL_ERR_SYSTEM, FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_state_model_load(fl_state *state, fl_state_object *object,
                                    uint8_t name[FL_HASH_BYTES],
                                    fl_reason *why);

/*
 * Starts to download an object that is not here, instead of the one being
 * downloaded; takes the room on the disk. FL_ERR_RANGE: not the manifest of
 * this object, or malformed. FL_ERR_STATE: the object is here. FL_ERR_SYSTEM:
 * disk full, ...: nothing is left of it.
 */
FL_CHECK fl_err fl_state_object_begin(fl_state *state,
                                      const uint8_t name[FL_HASH_BYTES],
                                      const uint8_t *manifest,
                                      size_t manifest_len, fl_reason *why);

/*
 * Writes a chunk, which the caller has checked; not durably, since load
 * checks it again. FL_ERR_STATE: not the object being downloaded.
 * FL_ERR_RANGE: no such chunk, or not its length. FL_ERR_SYSTEM: the chunk
 * is missing still.
 */
FL_CHECK fl_err fl_state_object_put(fl_state *state,
                                    const uint8_t name[FL_HASH_BYTES],
                                    uint32_t index, const uint8_t *bytes,
                                    size_t len, fl_reason *why);

/*
 * Makes the object complete. When there are more than FL_STATE_OBJECTS_KEPT,
 * deletes the oldest of the kind that there is most of. FL_ERR_STATE: not the
 * object being downloaded, or chunks are missing. FL_ERR_SYSTEM: not complete
 * yet.
 */
FL_CHECK fl_err fl_state_object_finish(fl_state *state,
                                       const uint8_t name[FL_HASH_BYTES],
                                       fl_reason *why);

/* ---- update ---- */

/* An update that is finished and not committed yet. */
typedef struct {
    uint32_t round;
    uint8_t recipe[FL_HASH_BYTES];  // fl_plan_recipe's: how it was made
    uint64_t sample_count, correct_count;
    int64_t loss_sum_micro;
    uint8_t *bytes;
    size_t len;
} fl_state_update;

/*
 * Saves it instead of the one before; borrows everything. After an
 * error, FL_ERR_SYSTEM, FL_ERR_RANGE (longer than an object may be), or those
 * of fl_state_session_get, there is none.
 */
FL_CHECK fl_err fl_state_update_save(fl_state *state,
                                     const fl_state_update *update,
                                     fl_reason *why);

/*
 * The caller frees update->bytes. FL_ERR_NOT_FOUND: there is none, or the
 * session's number has risen since it was saved. FL_ERR_FORMAT: it or the
 * session is damaged; there is none from now on.
 */
FL_CHECK fl_err fl_state_update_load(fl_state *state, fl_state_update *update,
                                     fl_reason *why);

/*
 * FL_OK when there is none. Not durable at once: after a loss of power it may
 * be back, and the aggregator calls it stale. FL_ERR_SYSTEM: still there.
 */
FL_CHECK fl_err fl_state_update_drop(fl_state *state, fl_reason *why);

/* ---- residual ---- */

/*
 * Saves it instead of the one before; not durable at once. FL_ERR_LIMIT:
 * longer than an object may be. FL_ERR_MEMORY, FL_ERR_SYSTEM. After an error
 * the old one is gone too: it has been sent.
 */
FL_CHECK fl_err fl_state_residual_save(fl_state *state, const uint8_t *bytes,
                                       size_t len, fl_reason *why);

/*
 * The caller frees *bytes. FL_ERR_NOT_FOUND: there is none. FL_ERR_FORMAT: it
 * is damaged; there is none from now on. FL_ERR_SYSTEM, FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_state_residual_load(fl_state *state, uint8_t **bytes,
                                       size_t *len, fl_reason *why);

/* ---- the INT8 model in use ---- */

/* All zeros: nothing is known of it. */
typedef struct {
    uint8_t model[FL_HASH_BYTES];   // object that it was made of
    uint8_t ranges[FL_HASH_BYTES];  // and its ranges
    uint32_t round;
    uint32_t row_count, correct_count;  // measured here, when it was installed
    int64_t wall_ms;                    // then
} fl_state_installed;

/*
 * Takes these bytes into use; what was, is kept as the previous one, unless it
 * is the same. After an error, FL_ERR_SYSTEM or FL_ERR_MEMORY, the old one is
 * in use still, or the new one, of which nothing is known.
 */
FL_CHECK fl_err fl_state_installed_save(fl_state *state,
                                        const fl_state_installed *installed,
                                        const uint8_t *bytes, size_t len,
                                        fl_reason *why);

/*
 * Reads it, also beside a running client. The caller frees *bytes.
 * FL_ERR_NOT_FOUND: none is in use. FL_ERR_SYSTEM, FL_ERR_MEMORY,
 * FL_ERR_LIMIT: too long to be one.
 */
FL_CHECK fl_err fl_state_installed_load(fl_state_installed *installed,
                                        uint8_t **bytes, size_t *len,
                                        const char *folder, fl_reason *why);

/* As fl_state_installed_load, of what the one in use took the place of. */
FL_CHECK fl_err fl_state_previous_load(uint8_t **bytes, size_t *len,
                                       const char *folder, fl_reason *why);

/* ---- classes ---- */

/* One name a line; NULL: they have none. FL_ERR_SYSTEM. */
FL_CHECK fl_err fl_state_classes_write(fl_state *state, const char *text,
                                       fl_reason *why);

/* Likewise. FL_ERR_NOT_FOUND: they have no names, or no client has run. */
FL_CHECK fl_err fl_state_classes_read(char **text, const char *folder,
                                      fl_reason *why);

/* ---- status ---- */

/*
 * Replaces the status; the same text again is not written. FL_ERR_LIMIT:
 * longer than FL_STATE_STATUS_MAX. FL_ERR_SYSTEM: the old one stays.
 */
FL_CHECK fl_err fl_state_status_write(fl_state *state, const char *text,
                                      fl_reason *why);

/*
 * Reads the last status beside a running client. The caller frees *text.
 * FL_ERR_NOT_FOUND: there is none. FL_ERR_FORMAT: too long to be one.
 */
FL_CHECK fl_err fl_state_status_read(char **text, const char *folder,
                                     fl_reason *why);

#endif
