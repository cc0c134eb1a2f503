/* SPDX-License-Identifier: Apache-2.0 */
#include "client/state/state_record.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "secure/secure.h"

enum { OVERHEAD = FL_STATE_KIND_BYTES + FL_HASH_BYTES };

fl_err fl_state_file_write(const char *path, const void *bytes, size_t len,
                           unsigned mode, bool is_durable, fl_reason *why)
{
    const fl_err err = is_durable
                           ? fl_file_write(path, bytes, len, mode, why)
                           : fl_file_replace(path, bytes, len, mode, why);
    if (!err) return FL_OK;
    return fl_reason_prefix(why, err,
                            "see that the disk is writable and has room");
}

// The caller frees *file, also after an error.
static fl_err encode(uint8_t **file, size_t *file_len, const char *path,
                     const char *kind, const void *payload, size_t len,
                     fl_reason *why)
{
    assert(strlen(kind) == FL_STATE_KIND_BYTES);
    FL_TRY(fl_size_add(file_len, len, OVERHEAD));
    *file = malloc(*file_len);
    if (!*file) {
        return fl_reason_set(why, FL_ERR_MEMORY, "%s: out of memory", path);
    }
    uint8_t hash[FL_HASH_BYTES];
    fl_writer out = fl_writer_over(*file, *file_len);
    fl_writer_bytes(&out, kind, FL_STATE_KIND_BYTES);
    fl_writer_bytes(&out, payload, len);
    fl_hash(hash, *file, out.len);
    fl_writer_bytes(&out, hash, sizeof hash);
    return fl_writer_finish(&out);
}

fl_err fl_state_record_write(const char *path, const char *kind,
                             const void *payload, size_t len, bool is_durable,
                             fl_reason *why)
{
    uint8_t *file = NULL;
    size_t file_len;
    fl_err err = encode(&file, &file_len, path, kind, payload, len, why);
    if (!err) {
        err = fl_state_file_write(path, file, file_len, 0600, is_durable, why);
    }
    free(file);
    return err;
}

fl_err fl_state_record_force(const char *path, const char *kind,
                             const void *payload, size_t len, fl_reason *why)
{
    uint8_t *file = NULL;
    size_t file_len;
    fl_err err = encode(&file, &file_len, path, kind, payload, len, why);
    if (!err) {
        err = fl_state_file_write(path, file, file_len, 0600, true, why);
        if (err == FL_ERR_SYSTEM &&
            !fl_file_overwrite(path, file, file_len, NULL)) {
            err = FL_OK;
        }
    }
    free(file);
    return err;
}

static bool is_whole(const uint8_t *file, size_t file_len, const char *kind)
{
    if (file_len < OVERHEAD) return false;
    uint8_t hash[FL_HASH_BYTES] = {0};
    const size_t hashed_len = file_len - sizeof hash;
    fl_hash(hash, file, hashed_len);
    return memcmp(file, kind, FL_STATE_KIND_BYTES) == 0 &&
           memcmp(file + hashed_len, hash, sizeof hash) == 0;
}

fl_err fl_state_record_read(uint8_t **file, const uint8_t **payload,
                            size_t *len, const char *path, const char *kind,
                            size_t cap, fl_reason *why)
{
    *file = NULL;
    uint8_t *content = NULL;
    size_t content_len = 0;
    const fl_err err =
        fl_file_read(&content, &content_len, path, cap + OVERHEAD, why);
    if (err && err != FL_ERR_LIMIT) return err;
    if (err || !is_whole(content, content_len, kind)) {
        free(content);
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s: damaged, does not have its checksum; it is "
                             "not used",
                             path);
    }
    *file = content;
    *payload = content + FL_STATE_KIND_BYTES;
    *len = content_len - OVERHEAD;
    return FL_OK;
}

fl_err fl_state_file_delete(const char *path, fl_reason *why)
{
    if (unlink(path) == 0 || errno == ENOENT) return FL_OK;
    return fl_reason_set(why, FL_ERR_SYSTEM,
                         "%s: cannot be deleted: %s; see that the state folder "
                         "is writable",
                         path, strerror(errno));
}
