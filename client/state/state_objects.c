/* SPDX-License-Identifier: Apache-2.0 */
#include "client/state/state_objects.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/folder.h"
#include "client/state/state_objects_core.h"

#define CUT_ENDING ".map.tmp"  // what fl_file_write leaves when it is killed

enum { HASH_DIGITS = 2 * FL_HASH_BYTES };

fl_err fl_state_objects_path(char path[PATH_MAX],
                             const fl_state_objects *objects,
                             const uint8_t name[FL_HASH_BYTES],
                             const char *ending)
{
    char digits[FL_HEX_CAP], file[FL_HEX_CAP + sizeof CUT_ENDING];
    fl_hex_encode(digits, sizeof digits, name, FL_HASH_BYTES);
    snprintf(file, sizeof file, "%s%s", digits, ending);
    return fl_path_join(path, PATH_MAX, objects->folder, file);
}

fl_err fl_state_objects_failure(fl_reason *why, const char *path,
                                const char *doing)
{
    return fl_reason_set(why, FL_ERR_SYSTEM,
                         "%s: cannot %s: %s; see that the disk is writable and "
                         "has room",
                         path, doing, strerror(errno));
}

// What cannot be deleted now is deleted by the next open.
static void delete_file(const fl_state_objects *objects,
                        const uint8_t name[FL_HASH_BYTES], const char *ending)
{
    char path[PATH_MAX];
    if (!fl_state_objects_path(path, objects, name, ending)) (void)unlink(path);
}

void fl_state_objects_forget(fl_state_objects *objects, fl_state_entry *entry)
{
    fl_state_download *download = &objects->download;
    if (fl_state_download_is_of(download, entry->name)) {
        fl_state_download_end(download);
    }
    delete_file(objects, entry->name, FL_STATE_COMPLETE);
    delete_file(objects, entry->name, FL_STATE_PART);
    delete_file(objects, entry->name, FL_STATE_MAP);
    *entry = (fl_state_entry){.serial = 0};
}

fl_err fl_state_objects_read_map(fl_state_map *map,
                                 const fl_state_objects *objects,
                                 const uint8_t name[FL_HASH_BYTES],
                                 fl_reason *why)
{
    char path[PATH_MAX];
    *map = (fl_state_map){.file = NULL};
    FL_TRY(fl_state_objects_path(path, objects, name, FL_STATE_MAP));
    return fl_state_map_read(map, path, name, why);
}

/* ---- open and close ---- */

// Whether the file is one of ours; *ending then points to one of the four.
static bool parse_name(const char *file, uint8_t name[FL_HASH_BYTES],
                       const char **ending)
{
    static const char *const endings[] = {FL_STATE_COMPLETE, FL_STATE_PART,
                                          FL_STATE_MAP, CUT_ENDING};
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
    return !fl_state_objects_path(path, objects, name, ending) &&
           access(path, F_OK) == 0;
}

// Puts the object into the table when its map is sound and data is there.
static fl_err admit_map(fl_state_objects *objects,
                        const uint8_t name[FL_HASH_BYTES], fl_reason *warning)
{
    fl_state_map opened;
    const fl_err err =
        fl_state_objects_read_map(&opened, objects, name, warning);
    if (!err) {
        fl_state_entry entry = {
            .serial = opened.serial,
            .kind = opened.manifest.kind,
            .is_complete = exists(objects, name, FL_STATE_COMPLETE),
        };
        memcpy(entry.name, name, sizeof entry.name);
        if (entry.is_complete || exists(objects, name, FL_STATE_PART)) {
            fl_state_table_admit(&objects->table, &entry);
        }
    }
    fl_state_map_fini(&opened);
    return err == FL_ERR_MEMORY ? err : FL_OK;
}

static bool is_known(fl_state_objects *objects,
                     const uint8_t name[FL_HASH_BYTES], const char *ending)
{
    const fl_state_entry *entry = fl_state_table_find(&objects->table, name);
    if (!entry) return false;
    return strcmp(ending, FL_STATE_MAP) == 0 ||
           strcmp(ending,
                  entry->is_complete ? FL_STATE_COMPLETE : FL_STATE_PART) == 0;
}

static fl_err tidy_up(fl_state_objects *objects, DIR *files, fl_reason *warning)
{
    uint8_t name[FL_HASH_BYTES];
    const char *ending;
    for (struct dirent *file; (file = readdir(files));) {
        if (parse_name(file->d_name, name, &ending) &&
            strcmp(ending, FL_STATE_MAP) == 0) {
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
    if (!files) return fl_state_objects_failure(why, folder, "read the folder");
    const fl_err err = tidy_up(objects, files, warning);
    closedir(files);
    return err ? fl_reason_set(why, err, "%s: out of memory", folder) : FL_OK;
}

void fl_state_objects_clear(fl_state_objects *objects)
{
    for (size_t i = 0; i < FL_STATE_ENTRIES; i++) {
        fl_state_entry *entry = &objects->table.entries[i];
        if (entry->serial) fl_state_objects_forget(objects, entry);
    }
}

void fl_state_objects_close(fl_state_objects *objects)
{
    fl_state_download_end(&objects->download);
}
