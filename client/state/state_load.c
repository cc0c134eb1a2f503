/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/state/state_objects_core.h"

static fl_err read_at(int file, uint8_t *dst, size_t len, off_t at)
{
    while (len > 0) {
        const ssize_t got = pread(file, dst, len, at);
        if (got == 0 || (got < 0 && errno != EINTR)) return FL_ERR_SYSTEM;
        if (got > 0) {
            dst += got;
            len -= (size_t)got;
            at += got;
        }
    }
    return FL_OK;
}

void fl_state_object_fini(fl_state_object *object)
{
    free(object->manifest);
    free(object->bytes);
    free(object->bitmap);
    *object = (fl_state_object){.manifest = NULL};
}

static fl_err object_init(fl_state_object *object, const fl_state_map *opened,
                          fl_reason *why)
{
    const fl_manifest *manifest = &opened->manifest;
    *object = (fl_state_object){
        .manifest = malloc(opened->len),
        .manifest_len = opened->len,
        .bytes = calloc(1, (size_t)manifest->size),
        .len = (size_t)manifest->size,
        .bitmap = calloc(1, (manifest->chunk_count + 7) / 8),
        .bitmap_len = (manifest->chunk_count + 7) / 8,
        .chunk_count = manifest->chunk_count,
    };
    if (!object->manifest || !object->bytes || !object->bitmap) {
        return fl_reason_set(why, FL_ERR_MEMORY,
                             "out of memory for an object of %zu bytes",
                             object->len);
    }
    memcpy(object->manifest, opened->encoded, opened->len);
    return FL_OK;
}

// A chunk that cannot be read, or does not have its hash, is missing.
static void read_chunks(fl_state_object *object, int file,
                        const fl_manifest *manifest)
{
    for (uint32_t i = 0; i < manifest->chunk_count; i++) {
        const size_t at = (size_t)i * FL_PROTO_CHUNK_BYTES;
        const size_t len = fl_state_chunk_len(manifest->size, i);
        uint8_t *chunk = object->bytes + at;
        if (!read_at(file, chunk, len, (off_t)at) &&
            fl_state_map_is_named(manifest->chunk_hashes +
                                      (size_t)i * FL_HASH_BYTES,
                                  chunk, len)) {
            fl_state_chunk_add(object->bitmap, i);
        } else {
            memset(chunk, 0, len);
            object->missing_count++;
        }
    }
}

// What is here of an object; the caller closes *file, -1 after an error.
static fl_err read_object(const fl_state_objects *objects,
                          const fl_state_entry *entry, fl_state_object *object,
                          int *file, fl_reason *why)
{
    char path[PATH_MAX];
    fl_state_map opened;
    *file = -1;
    *object = (fl_state_object){.manifest = NULL};
    fl_err err = fl_state_objects_read_map(&opened, objects, entry->name, why);
    if (err) goto out;
    err = fl_state_objects_path(path, objects, entry->name,
                                entry->is_complete ? FL_STATE_COMPLETE
                                                   : FL_STATE_PART);
    if (err) goto out;
    err = object_init(object, &opened, why);
    if (err) goto out;
    *file = open(path, O_RDWR | O_CLOEXEC);
    if (*file >= 0) {
        read_chunks(object, *file, &opened.manifest);
    } else if (errno == ENOENT) {
        err = fl_reason_set(why, FL_ERR_NOT_FOUND, "%s: no such file", path);
    } else {
        err = fl_state_objects_failure(why, path, "open");
    }

out:
    fl_state_map_fini(&opened);
    return err;
}

// After an error there is no object, and none to come back to if it is gone.
static fl_err end_load(fl_state_objects *objects, fl_state_entry *entry,
                       fl_state_object *object, fl_err err)
{
    if (err) fl_state_object_fini(object);
    if (err == FL_ERR_FORMAT || err == FL_ERR_NOT_FOUND) {
        fl_state_objects_forget(objects, entry);
    }
    return err;
}

fl_err fl_state_objects_load(fl_state_objects *objects, fl_state_object *object,
                             const uint8_t name[FL_HASH_BYTES], fl_reason *why)
{
    fl_state_entry *entry = fl_state_table_find(&objects->table, name);
    if (!entry) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND,
                             "%s: this object was not downloaded yet",
                             objects->folder);
    }
    int file;
    fl_err err = read_object(objects, entry, object, &file, why);
    if (!err) err = fl_state_download_resume(objects, entry, file, object, why);
    return end_load(objects, entry, object, err);
}

fl_err fl_state_objects_load_model(fl_state_objects *objects,
                                   fl_state_object *object,
                                   uint8_t name[FL_HASH_BYTES], fl_reason *why)
{
    fl_state_entry *entry =
        fl_state_table_newest(&objects->table, FL_OBJECT_MODEL);
    if (!entry) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND,
                             "%s: no model was downloaded yet",
                             objects->folder);
    }
    int file;
    memcpy(name, entry->name, FL_HASH_BYTES);
    fl_err err = read_object(objects, entry, object, &file, why);
    if (file >= 0) close(file);
    if (!err && object->missing_count > 0) {
        err = fl_reason_set(why, FL_ERR_FORMAT,
                            "%s: a model is damaged in %u chunks; it is "
                            "deleted, the next one is downloaded whole",
                            objects->folder, object->missing_count);
    }
    return end_load(objects, entry, object, err);
}
