/* SPDX-License-Identifier: Apache-2.0 */
#include "client/state/state_objects.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/file.h"
#include "client/state/state_map.h"

#define COMPLETE_ENDING ""
#define PART_ENDING     ".part"
#define MAP_ENDING      ".map"
#define CUT_ENDING      ".map.tmp"  // what fl_file_write leaves when it is killed

enum {
    HASH_DIGITS = 2 * FL_HASH_BYTES,
    ENTRY_COUNT = FL_STATE_ENTRIES,
};

static fl_err path_of(char path[PATH_MAX], const fl_state_objects *objects,
                      const uint8_t name[FL_HASH_BYTES], const char *ending)
{
    char digits[FL_HEX_CAP], file[FL_HEX_CAP + sizeof CUT_ENDING];
    fl_hex_encode(digits, sizeof digits, name, FL_HASH_BYTES);
    snprintf(file, sizeof file, "%s%s", digits, ending);
    return fl_path_join(path, PATH_MAX, objects->folder, file);
}

static fl_err failure(fl_reason *why, const char *path, const char *doing)
{
    return fl_reason_set(why, FL_ERR_SYSTEM,
                         "%s: cannot %s: %s; see that the disk is writable and "
                         "has room",
                         path, doing, strerror(errno));
}

/* ---- chunks ---- */

static bool has_chunk(const uint8_t *bitmap, uint32_t index)
{
    return bitmap[index / 8] >> index % 8 & 1;
}

static void add_chunk(uint8_t *bitmap, uint32_t index)
{
    bitmap[index / 8] |= (uint8_t)(1u << index % 8);
}

static size_t chunk_len(uint64_t size, uint32_t index)
{
    const uint64_t left = size - (uint64_t)index * FL_PROTO_CHUNK_BYTES;
    return left < FL_PROTO_CHUNK_BYTES ? (size_t)left : FL_PROTO_CHUNK_BYTES;
}

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

/* ---- the table of objects ---- */

static fl_state_entry *find(fl_state_objects *objects,
                            const uint8_t name[FL_HASH_BYTES])
{
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        fl_state_entry *entry = &objects->entries[i];
        if (entry->serial && memcmp(entry->name, name, FL_HASH_BYTES) == 0) {
            return entry;
        }
    }
    return NULL;
}

static uint64_t next_serial(const fl_state_objects *objects)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        const uint64_t serial = objects->entries[i].serial;
        if (serial > newest) newest = serial;
    }
    return newest + 1;
}

static fl_state_entry *find_newest(fl_state_objects *objects,
                                   fl_object_kind kind)
{
    fl_state_entry *newest = NULL;
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        fl_state_entry *entry = &objects->entries[i];
        if (!entry->serial || !entry->is_complete || entry->kind != kind) {
            continue;
        }
        if (!newest || entry->serial > newest->serial) newest = entry;
    }
    return newest;
}

static size_t count_entries(const fl_state_objects *objects, bool is_complete,
                            fl_object_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        const fl_state_entry *entry = &objects->entries[i];
        count += entry->serial && entry->is_complete == is_complete &&
                 entry->kind == kind;
    }
    return count;
}

// With more than `max`, the oldest of the kind there is most of: an enrolment
// list outlives the models that come and go.
static fl_state_entry *find_surplus(fl_state_objects *objects, bool is_complete,
                                    size_t max)
{
    size_t count = 0, most = 0;
    fl_state_entry *surplus = NULL;
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        fl_state_entry *entry = &objects->entries[i];
        if (!entry->serial || entry->is_complete != is_complete) continue;
        const size_t alike = count_entries(objects, is_complete, entry->kind);
        if (!surplus || alike > most ||
            (alike == most && entry->serial < surplus->serial)) {
            surplus = entry;
            most = alike;
        }
        count++;
    }
    return count > max ? surplus : NULL;
}

static size_t kept_max(bool is_complete)
{
    return is_complete ? FL_STATE_OBJECTS_KEPT : 1;
}

// There is always room for one more than is kept.
static void admit(fl_state_objects *objects, const fl_state_entry *entry)
{
    fl_state_entry *place = NULL;
    for (size_t i = 0; !place && i < ENTRY_COUNT; i++) {
        if (!objects->entries[i].serial) place = &objects->entries[i];
    }
    assert(place);
    *place = *entry;
    fl_state_entry *surplus =
        find_surplus(objects, entry->is_complete, kept_max(entry->is_complete));
    if (surplus) *surplus = (fl_state_entry){.serial = 0};
}

static void end_download(fl_state_download *download)
{
    if (download->file >= 0) close(download->file);
    *download = (fl_state_download){.file = -1};
}

// What cannot be deleted now is deleted by the next open.
static void delete_file(const fl_state_objects *objects,
                        const uint8_t name[FL_HASH_BYTES], const char *ending)
{
    char path[PATH_MAX];
    if (!path_of(path, objects, name, ending)) (void)unlink(path);
}

static bool is_downloading(const fl_state_objects *objects,
                           const uint8_t name[FL_HASH_BYTES])
{
    return objects->download.file >= 0 &&
           memcmp(objects->download.name, name, FL_HASH_BYTES) == 0;
}

static void forget(fl_state_objects *objects, fl_state_entry *entry)
{
    if (is_downloading(objects, entry->name)) end_download(&objects->download);
    delete_file(objects, entry->name, COMPLETE_ENDING);
    delete_file(objects, entry->name, PART_ENDING);
    delete_file(objects, entry->name, MAP_ENDING);
    *entry = (fl_state_entry){.serial = 0};
}

// To be freed also after an error.
static fl_err read_map(fl_state_map *map, const fl_state_objects *objects,
                       const uint8_t name[FL_HASH_BYTES], fl_reason *why)
{
    char path[PATH_MAX];
    *map = (fl_state_map){.file = NULL};
    FL_TRY(path_of(path, objects, name, MAP_ENDING));
    return fl_state_map_read(map, path, name, why);
}

/* ---- open and close ---- */

// Whether the file is one of ours; *ending then points to one of the four.
static bool parse_name(const char *file, uint8_t name[FL_HASH_BYTES],
                       const char **ending)
{
    static const char *const endings[] = {COMPLETE_ENDING, PART_ENDING,
                                          MAP_ENDING, CUT_ENDING};
    char digits[HASH_DIGITS + 1];
    if (strspn(file, "0123456789abcdef") != HASH_DIGITS) return false;
    memcpy(digits, file, HASH_DIGITS);
    digits[HASH_DIGITS] = 0;
    if (fl_hex_decode(name, FL_HASH_BYTES, digits)) return false;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        *ending = endings[i];
        if (strcmp(file + HASH_DIGITS, endings[i]) == 0) return true;
    }
    return false;
}

static bool exists(const fl_state_objects *objects,
                   const uint8_t name[FL_HASH_BYTES], const char *ending)
{
    char path[PATH_MAX];
    return !path_of(path, objects, name, ending) && access(path, F_OK) == 0;
}

// Puts the object into the table when its map is sound and data is there.
static fl_err admit_map(fl_state_objects *objects,
                        const uint8_t name[FL_HASH_BYTES], fl_reason *warning)
{
    fl_state_map opened;
    const fl_err err = read_map(&opened, objects, name, warning);
    if (!err) {
        fl_state_entry entry = {
            .serial = opened.serial,
            .kind = opened.manifest.kind,
            .is_complete = exists(objects, name, COMPLETE_ENDING),
        };
        memcpy(entry.name, name, sizeof entry.name);
        if (entry.is_complete || exists(objects, name, PART_ENDING)) {
            admit(objects, &entry);
        }
    }
    fl_state_map_fini(&opened);
    return err == FL_ERR_MEMORY ? err : FL_OK;
}

static bool is_known(fl_state_objects *objects,
                     const uint8_t name[FL_HASH_BYTES], const char *ending)
{
    const fl_state_entry *entry = find(objects, name);
    if (!entry) return false;
    return strcmp(ending, MAP_ENDING) == 0 ||
           strcmp(ending, entry->is_complete ? COMPLETE_ENDING : PART_ENDING) ==
               0;
}

static fl_err tidy_up(fl_state_objects *objects, DIR *files, fl_reason *warning)
{
    uint8_t name[FL_HASH_BYTES];
    const char *ending;
    for (struct dirent *file; (file = readdir(files));) {
        if (parse_name(file->d_name, name, &ending) &&
            strcmp(ending, MAP_ENDING) == 0) {
            FL_TRY(admit_map(objects, name, warning));
        }
    }
    rewinddir(files);
    for (struct dirent *file; (file = readdir(files));) {
        if (parse_name(file->d_name, name, &ending) &&
            !is_known(objects, name, ending)) {
            delete_file(objects, name, ending);
        }
    }
    return FL_OK;
}

fl_err fl_state_objects_open(fl_state_objects *objects, const char *folder,
                             fl_reason *warning, fl_reason *why)
{
    *objects = (fl_state_objects){.download = {.file = -1}};
    snprintf(objects->folder, sizeof objects->folder, "%s", folder);
    FL_TRY(fl_folder_make(folder, 0700, why));
    DIR *files = opendir(folder);
    if (!files) return failure(why, folder, "read the folder");
    const fl_err err = tidy_up(objects, files, warning);
    closedir(files);
    return err ? fl_reason_set(why, err, "%s: out of memory", folder) : FL_OK;
}

void fl_state_objects_clear(fl_state_objects *objects)
{
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        if (objects->entries[i].serial) forget(objects, &objects->entries[i]);
    }
}

void fl_state_objects_close(fl_state_objects *objects)
{
    end_download(&objects->download);
}

/* ---- load ---- */

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
        const size_t len = chunk_len(manifest->size, i);
        uint8_t *chunk = object->bytes + at;
        if (!read_at(file, chunk, len, (off_t)at) &&
            fl_state_map_is_named(manifest->chunk_hashes +
                                      (size_t)i * FL_HASH_BYTES,
                                  chunk, len)) {
            add_chunk(object->bitmap, i);
        } else {
            memset(chunk, 0, len);
            object->missing_count++;
        }
    }
}

// Makes the object the one being downloaded; takes `file`.
static void start_download(fl_state_objects *objects, int file,
                           const uint8_t name[FL_HASH_BYTES], uint64_t size)
{
    end_download(&objects->download);
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
    return failure(why, path, "make room");
}

static void abandon_download(fl_state_objects *objects)
{
    fl_state_entry *entry = find_surplus(objects, false, 0);
    if (entry) forget(objects, entry);
}

static fl_err demote(fl_state_objects *objects, fl_state_entry *entry,
                     fl_reason *why)
{
    char path[PATH_MAX], part[PATH_MAX];
    abandon_download(objects);
    FL_TRY(path_of(path, objects, entry->name, COMPLETE_ENDING));
    FL_TRY(path_of(part, objects, entry->name, PART_ENDING));
    if (rename(path, part) != 0) return failure(why, path, "rename");
    entry->is_complete = false;
    return FL_OK;
}

// Goes on with an object that is not complete; takes `file`.
static fl_err resume(fl_state_objects *objects, fl_state_entry *entry, int file,
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

// What is here of an object; the caller closes *file, -1 after an error.
static fl_err read_object(const fl_state_objects *objects,
                          const fl_state_entry *entry, fl_state_object *object,
                          int *file, fl_reason *why)
{
    char path[PATH_MAX];
    fl_state_map opened;
    *file = -1;
    *object = (fl_state_object){.manifest = NULL};
    fl_err err = read_map(&opened, objects, entry->name, why);
    if (err) goto out;
    err = path_of(path, objects, entry->name,
                  entry->is_complete ? COMPLETE_ENDING : PART_ENDING);
    if (err) goto out;
    err = object_init(object, &opened, why);
    if (err) goto out;
    *file = open(path, O_RDWR | O_CLOEXEC);
    if (*file >= 0) {
        read_chunks(object, *file, &opened.manifest);
    } else if (errno == ENOENT) {
        err = fl_reason_set(why, FL_ERR_NOT_FOUND, "%s: no such file", path);
    } else {
        err = failure(why, path, "open");
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
    if (err == FL_ERR_FORMAT || err == FL_ERR_NOT_FOUND) forget(objects, entry);
    return err;
}

fl_err fl_state_objects_load(fl_state_objects *objects, fl_state_object *object,
                             const uint8_t name[FL_HASH_BYTES], fl_reason *why)
{
    fl_state_entry *entry = find(objects, name);
    if (!entry) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND,
                             "%s: this object was not downloaded yet",
                             objects->folder);
    }
    int file;
    fl_err err = read_object(objects, entry, object, &file, why);
    if (!err) err = resume(objects, entry, file, object, why);
    return end_load(objects, entry, object, err);
}

fl_err fl_state_objects_load_model(fl_state_objects *objects,
                                   fl_state_object *object,
                                   uint8_t name[FL_HASH_BYTES], fl_reason *why)
{
    fl_state_entry *entry = find_newest(objects, FL_OBJECT_MODEL);
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

/* ---- download ---- */

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
    FL_TRY(path_of(path, objects, name, PART_ENDING));
    *file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (*file < 0) return failure(why, path, "make");
    FL_TRY(reserve(*file, size, path, why));
    FL_TRY(path_of(path, objects, name, MAP_ENDING));
    return fl_state_map_write(path, next_serial(objects), manifest,
                              manifest_len, why);
}

fl_err fl_state_objects_begin(fl_state_objects *objects,
                              const uint8_t name[FL_HASH_BYTES],
                              const uint8_t *manifest, size_t manifest_len,
                              fl_reason *why)
{
    if (find(objects, name)) {
        return fl_reason_set(why, FL_ERR_STATE,
                             "%s: this object is here already",
                             objects->folder);
    }
    uint64_t size = 0;
    fl_state_entry entry = {.serial = next_serial(objects)};
    FL_TRY(
        check_manifest(&size, &entry.kind, name, manifest, manifest_len, why));
    abandon_download(objects);
    memcpy(entry.name, name, sizeof entry.name);
    int file = -1;
    const fl_err err =
        make_files(&file, objects, name, size, manifest, manifest_len, why);
    if (err) {
        if (file >= 0) close(file);
        forget(objects, &entry);
        return err;
    }
    admit(objects, &entry);
    start_download(objects, file, name, size);
    return FL_OK;
}

static fl_err check_downloading(const fl_state_objects *objects,
                                const uint8_t name[FL_HASH_BYTES],
                                fl_reason *why)
{
    if (is_downloading(objects, name)) return FL_OK;
    return fl_reason_set(why, FL_ERR_STATE,
                         "%s: this object is not being downloaded",
                         objects->folder);
}

fl_err fl_state_objects_put(fl_state_objects *objects,
                            const uint8_t name[FL_HASH_BYTES], uint32_t index,
                            const uint8_t *bytes, size_t len, fl_reason *why)
{
    FL_TRY(check_downloading(objects, name, why));
    fl_state_download *download = &objects->download;
    if (index >= download->chunk_count ||
        len != chunk_len(download->size, index)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the object has no chunk %u with %zu bytes", index,
                             len);
    }
    const off_t at = (off_t)index * FL_PROTO_CHUNK_BYTES;
    if (write_at(download->file, bytes, len, at)) {
        return failure(why, objects->folder, "write a chunk");
    }
    if (!has_chunk(download->bitmap, index)) download->missing_count--;
    add_chunk(download->bitmap, index);
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
    FL_TRY(path_of(part, objects, name, PART_ENDING));
    FL_TRY(path_of(path, objects, name, COMPLETE_ENDING));
    // Chunks that a loss of power damages are found by their hashes.
    if (rename(part, path) != 0) return failure(why, part, "rename");

    end_download(&objects->download);
    fl_state_entry *entry = find(objects, name);
    if (entry) entry->is_complete = true;
    fl_state_entry *oldest = find_surplus(objects, true, FL_STATE_OBJECTS_KEPT);
    if (oldest) forget(objects, oldest);
    return FL_OK;
}
