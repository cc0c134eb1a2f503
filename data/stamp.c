/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/file.h"
#include "data/loader.h"

enum { DEPTH_MAX = 3 };  // ROOT/train/CLASS/NAME

typedef struct {
    const fl_own_options *own;
    const char *root;
    uint64_t stamp;  // a sum: folders are read in any order
    uint64_t file_count, byte_count;
    fl_reason *why;
} look;

static fl_err say_too_much(const look *l, uint64_t file_max, uint64_t byte_max)
{
    return fl_reason_set(l->why, FL_ERR_LIMIT,
                         "%s: holds more than %" PRIu64
                         " files, or than %" PRIu64
                         " MB of them; move older ones elsewhere",
                         l->root, file_max, byte_max / 1000000);
}

static fl_err note(look *l, const char *path, const uint64_t *facts,
                   size_t facts_len, uint64_t byte_count)
{
    const uint64_t file_max =
        l->own->file_max ? l->own->file_max : FL_OWN_FILES_MAX;
    const uint64_t byte_max =
        l->own->file_bytes_max ? l->own->file_bytes_max : FL_OWN_BYTES_MAX;
    const uint64_t name = fl_digest(0, path, strlen(path));
    l->stamp += fl_digest(name, facts, facts_len);
    l->file_count++;
    l->byte_count += byte_count;
    if (l->file_count <= file_max && l->byte_count <= byte_max) return FL_OK;
    return say_too_much(l, file_max, byte_max);
}

static fl_err note_file(look *l, const char *path, const struct stat *found)
{
    const uint64_t facts[] = {
        (uint64_t)found->st_size,         (uint64_t)found->st_mtim.tv_sec,
        (uint64_t)found->st_mtim.tv_nsec, (uint64_t)found->st_ino,
        (uint64_t)found->st_mode,
    };
    const bool is_regular = S_ISREG(found->st_mode);
    return note(l, path, facts, sizeof facts,
                is_regular ? (uint64_t)found->st_size : 0);
}

// A folder counts by its name: what is in it is looked at by itself.
static fl_err note_folder(look *l, const char *path)
{
    return note(l, path, NULL, 0, 0);
}

// Folders in folders, no deeper than DEPTH_MAX.
// NOLINTNEXTLINE(misc-no-recursion)
static fl_err look_into(look *l, const char *folder, int depth)
{
    char path[FL_LOADER_PATH_CAP];
    fl_err err = FL_OK;
    DIR *dir = opendir(folder);
    if (!dir) return FL_OK;  // for the loader to say
    const struct dirent *entry;
    while (!err && (entry = readdir(dir))) {
        struct stat found;
        if (entry->d_name[0] == '.' ||
            fl_path_join(path, sizeof path, folder, entry->d_name) ||
            stat(path, &found)) {
            continue;
        }
        if (!S_ISDIR(found.st_mode)) {
            err = note_file(l, path, &found);
            continue;
        }
        err = note_folder(l, path);
        if (!err && depth < DEPTH_MAX) err = look_into(l, path, depth + 1);
    }
    closedir(dir);
    return err;
}

static fl_err look_at(look *l, const char *path)
{
    struct stat found;
    if (stat(path, &found)) {
        const int cause = errno;
        return fl_reason_set(l->why,
                             cause == ENOENT ? FL_ERR_NOT_FOUND : FL_ERR_SYSTEM,
                             "%s: %s", path, strerror(cause));
    }
    if (!S_ISDIR(found.st_mode)) return note_file(l, path, &found);
    FL_TRY(note_folder(l, path));
    return look_into(l, path, 1);
}

// "VALUES,LABELS", unless there is a file of that name.
static fl_err look_at_both(look *l, const char *place)
{
    char values[FL_LOADER_PATH_CAP];
    struct stat found;
    const char *comma = strrchr(place, ',');
    if (!comma || stat(place, &found) == 0 ||
        (size_t)(comma - place) >= sizeof values) {
        return look_at(l, place);
    }
    memcpy(values, place, (size_t)(comma - place));
    values[comma - place] = '\0';
    FL_TRY(look_at(l, values));
    return look_at(l, comma + 1);
}

fl_err fl_own_stamp(uint64_t *stamp, const char *spec,
                    const fl_own_options *own, fl_reason *why)
{
    look l = {.own = own, .root = fl_loader_place(spec), .why = why};
    // A data set of the system, which does not grow.
    if (!*l.root) {
        *stamp = 1;
        return FL_OK;
    }
    FL_TRY(look_at_both(&l, l.root));
    *stamp = l.stamp | 1;
    return FL_OK;
}
