/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "client/state/state_objects_core.h"

void fl_state_download_end(fl_state_download *download)
{
    if (download->file >= 0) close(download->file);
    *download = (fl_state_download){.file = -1};
}

bool fl_state_download_is_of(const fl_state_download *download,
                             const uint8_t name[FL_HASH_BYTES])
{
    return download->file >= 0 &&
           memcmp(download->name, name, FL_HASH_BYTES) == 0;
}

// Makes the object the one being downloaded; takes `file`.
static void start_download(fl_state_objects *objects, int file,
                           const uint8_t name[FL_HASH_BYTES], uint64_t size)
{
    fl_state_download_end(&objects->download);
    fl_state_download *download = &objects->download;
    download->file = file;
    memcpy(download->name, name, sizeof download->name);
    download->size = size;
    download->chunk_count = fl_manifest_chunk_count(size);
    download->missing_count = download->chunk_count;
}

// Room for the whole object, so that a full disk shows at once.
static fl_err reserve(int file, uint64_t size, const char *path, fl_reason *why)
{
    const int number = posix_fallocate(file, 0, (off_t)size);
    if (number == 0) return FL_OK;
    errno = number;
    return fl_state_objects_failure(why, path, "make room");
}

static void abandon_download(fl_state_objects *objects)
{
    fl_state_entry *entry = fl_state_table_surplus(&objects->table, false, 0);
    if (entry) fl_state_objects_forget(objects, entry);
}

static fl_err demote(fl_state_objects *objects, fl_state_entry *entry,
                     fl_reason *why)
{
    char path[PATH_MAX], part[PATH_MAX];
    abandon_download(objects);
    FL_TRY(
        fl_state_objects_path(path, objects, entry->name, FL_STATE_COMPLETE));
    FL_TRY(fl_state_objects_path(part, objects, entry->name, FL_STATE_PART));
    if (rename(path, part) != 0) {
        return fl_state_objects_failure(why, path, "rename");
    }
    entry->is_complete = false;
    return FL_OK;
}

fl_err fl_state_download_resume(fl_state_objects *objects,
                                fl_state_entry *entry, int file,
                                const fl_state_object *object, fl_reason *why)
{
    fl_err err = FL_OK;
    if (object->missing_count > 0) {
        err = reserve(file, object->len, objects->folder, why);
        if (!err && entry->is_complete) err = demote(objects, entry, why);
    }
    if (err || entry->is_complete) {
        close(file);
        return err;
    }
    start_download(objects, file, entry->name, object->len);
    memcpy(objects->download.bitmap, object->bitmap, object->bitmap_len);
    objects->download.missing_count = object->missing_count;
    if (object->missing_count > 0) return FL_OK;
    return fl_state_objects_finish(objects, entry->name, why);
}

/* ---- begin, put, finish ---- */

static fl_err check_manifest(uint64_t *size, fl_object_kind *kind,
                             const uint8_t name[FL_HASH_BYTES],
                             const uint8_t *manifest, size_t manifest_len,
                             fl_reason *why)
{
    if (!fl_state_map_is_named(name, manifest, manifest_len)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the manifest is not that of the object asked "
                             "for");
    }
    fl_arena arena;
    fl_arena_init(&arena, FL_STATE_MAP_DECODE_CAP);
    fl_manifest decoded = {.size = 0};
    const fl_err err =
        fl_manifest_decode(&decoded, &arena, manifest, manifest_len, why);
    *size = decoded.size;
    *kind = decoded.kind;
    fl_arena_fini(&arena);
    return err == FL_ERR_FORMAT ? FL_ERR_RANGE : err;
}

// The map comes last and syncs the folder: with it, the other file is there.
static fl_err make_files(int *file, const fl_state_objects *objects,
                         const uint8_t name[FL_HASH_BYTES], uint64_t size,
                         const uint8_t *manifest, size_t manifest_len,
                         fl_reason *why)
{
    char path[PATH_MAX];
    FL_TRY(fl_state_objects_path(path, objects, name, FL_STATE_PART));
    *file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (*file < 0) return fl_state_objects_failure(why, path, "make");
    FL_TRY(reserve(*file, size, path, why));
    FL_TRY(fl_state_objects_path(path, objects, name, FL_STATE_MAP));
    return fl_state_map_write(path, fl_state_table_next_serial(&objects->table),
                              manifest, manifest_len, why);
}

fl_err fl_state_objects_begin(fl_state_objects *objects,
                              const uint8_t name[FL_HASH_BYTES],
                              const uint8_t *manifest, size_t manifest_len,
                              fl_reason *why)
{
    if (fl_state_table_find(&objects->table, name)) {
        return fl_reason_set(why, FL_ERR_STATE,
                             "%s: this object is here already",
                             objects->folder);
    }
    uint64_t size = 0;
    const uint64_t serial = fl_state_table_next_serial(&objects->table);
    fl_state_entry entry = {.serial = serial};
    FL_TRY(
        check_manifest(&size, &entry.kind, name, manifest, manifest_len, why));
    abandon_download(objects);
    memcpy(entry.name, name, sizeof entry.name);
    int file = -1;
    const fl_err err =
        make_files(&file, objects, name, size, manifest, manifest_len, why);
    if (err) {
        if (file >= 0) close(file);
        fl_state_objects_forget(objects, &entry);
        return err;
    }
    fl_state_table_admit(&objects->table, &entry);
    start_download(objects, file, name, size);
    return FL_OK;
}

static fl_err check_downloading(const fl_state_objects *objects,
                                const uint8_t name[FL_HASH_BYTES],
                                fl_reason *why)
{
    if (fl_state_download_is_of(&objects->download, name)) return FL_OK;
    return fl_reason_set(why, FL_ERR_STATE,
                         "%s: this object is not being downloaded",
                         objects->folder);
}

static bool has_chunk(const uint8_t *bitmap, uint32_t index)
{
    return bitmap[index / 8] >> index % 8 & 1;
}

static fl_err write_at(int file, const uint8_t *src, size_t len, off_t at)
{
    while (len > 0) {
        const ssize_t put = pwrite(file, src, len, at);
        if (put < 0 && errno != EINTR) return FL_ERR_SYSTEM;
        if (put > 0) {
            src += put;
            len -= (size_t)put;
            at += put;
        }
    }
    return FL_OK;
}

fl_err fl_state_objects_put(fl_state_objects *objects,
                            const uint8_t name[FL_HASH_BYTES], uint32_t index,
                            const uint8_t *bytes, size_t len, fl_reason *why)
{
    FL_TRY(check_downloading(objects, name, why));
    fl_state_download *download = &objects->download;
    if (index >= download->chunk_count ||
        len != fl_state_chunk_len(download->size, index)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the object has no chunk %u with %zu bytes", index,
                             len);
    }
    const off_t at = (off_t)index * FL_PROTO_CHUNK_BYTES;
    if (write_at(download->file, bytes, len, at)) {
        return fl_state_objects_failure(why, objects->folder, "write a chunk");
    }
    if (!has_chunk(download->bitmap, index)) download->missing_count--;
    fl_state_chunk_add(download->bitmap, index);
    return FL_OK;
}

fl_err fl_state_objects_finish(fl_state_objects *objects,
                               const uint8_t name[FL_HASH_BYTES],
                               fl_reason *why)
{
    FL_TRY(check_downloading(objects, name, why));
    if (objects->download.missing_count > 0) {
        return fl_reason_set(why, FL_ERR_STATE,
                             "%s: %u chunks of this object are missing",
                             objects->folder, objects->download.missing_count);
    }
    char part[PATH_MAX], path[PATH_MAX];
    FL_TRY(fl_state_objects_path(part, objects, name, FL_STATE_PART));
    FL_TRY(fl_state_objects_path(path, objects, name, FL_STATE_COMPLETE));
    // Chunks that a loss of power damages are found by their hashes.
    if (rename(part, path) != 0) {
        return fl_state_objects_failure(why, part, "rename");
    }

    fl_state_download_end(&objects->download);
    fl_state_entry *entry = fl_state_table_find(&objects->table, name);
    if (entry) entry->is_complete = true;
    fl_state_entry *oldest =
        fl_state_table_surplus(&objects->table, true, FL_STATE_OBJECTS_KEPT);
    if (oldest) fl_state_objects_forget(objects, oldest);
    return FL_OK;
}
