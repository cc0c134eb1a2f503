/*
 * Folders of pictures: DIR/CLASS/NAME.png|jpg|jpeg, or DIR/train and DIR/test
 * with such folders each. A class folder may be empty: it still counts, which
 * is how boards that lack a class agree with those that have it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/file.h"
#include "data/loader.h"
#include "data/picture.h"

static const size_t FILE_LEN_MAX = (size_t)1 << 26;

typedef struct {
    fl_dataset *dataset;
    const char *root;
    fl_names files;  // "CLASS/NAME", the number is the row
    fl_reason *why;
} picture_album;

static bool is_folder_at(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool has_picture_ending(const char *name)
{
    const char *ending = strrchr(name, '.');
    return ending && (strcasecmp(ending, ".png") == 0 ||
                      strcasecmp(ending, ".jpg") == 0 ||
                      strcasecmp(ending, ".jpeg") == 0);
}

static fl_err say_too_long(const char *folder, const char *name, fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_LIMIT,
                         "%s: with '%s' behind it the path is too long", folder,
                         name);
}

// Adds an entry if it is of the kind wanted; others are passed over.
static fl_err add_entry(fl_names *names, const char *folder, const char *name,
                        bool want_folders, fl_reason *why)
{
    char path[FL_LOADER_PATH_CAP];
    uint32_t number;
    if (name[0] == '.') return FL_OK;
    if (fl_path_join(path, sizeof path, folder, name)) {
        return say_too_long(folder, name, why);
    }
    const bool is_folder = is_folder_at(path);
    if (is_folder != want_folders) return FL_OK;
    if (!is_folder && !has_picture_ending(name)) return FL_OK;
    const fl_err err = fl_names_add(names, &number, name, strlen(name));
    if (err) {
        return fl_reason_set(why, err,
                             "%s: holds more than %" PRIu32
                             " entries, or memory is out",
                             folder, names->count_max);
    }
    return FL_OK;
}

// In byte order, so that rows do not depend on the file system.
static fl_err list_folder(fl_names *names, const char *folder,
                          bool want_folders, fl_reason *why)
{
    DIR *dir = opendir(folder);
    if (!dir) {
        const int cause = errno;
        return fl_reason_set(why,
                             cause == ENOENT    ? FL_ERR_NOT_FOUND
                             : cause == ENOTDIR ? FL_ERR_RANGE
                                                : FL_ERR_SYSTEM,
                             "%s: %s", folder, strerror(cause));
    }
    fl_err err = FL_OK;
    const struct dirent *entry;
    while (!err && (entry = readdir(dir)) != NULL) {
        err = add_entry(names, folder, entry->d_name, want_folders, why);
    }
    closedir(dir);
    if (!err && fl_names_sort(names, NULL)) {
        err = fl_reason_set(why, FL_ERR_MEMORY, "%s: out of memory", folder);
    }
    return err;
}

/* ---- which picture is of which class ---- */

// Rows that have come since the last class get this one.
static fl_err label_rows(picture_album *album, uint32_t label)
{
    fl_dataset *dataset = album->dataset;
    const uint32_t count = album->files.count;
    if (count == dataset->row_count) return FL_OK;
    uint32_t *labels =
        realloc(dataset->labels, count * sizeof *dataset->labels);
    if (!labels) {
        return fl_reason_set(album->why, FL_ERR_MEMORY, "%s: out of memory",
                             album->root);
    }
    dataset->labels = labels;
    while (dataset->row_count < count) {
        labels[dataset->row_count++] = label;
    }
    return FL_OK;
}

static fl_err add_file(picture_album *album, const char *class_name,
                       const char *name)
{
    char place[FL_LOADER_PATH_CAP];
    uint32_t number;
    if (fl_path_join(place, sizeof place, class_name, name)) {
        return say_too_long(class_name, name, album->why);
    }
    if (fl_names_add(&album->files, &number, place, strlen(place))) {
        return fl_reason_set(album->why, FL_ERR_LIMIT,
                             "%s: more than %u pictures, or memory is out",
                             album->root, FL_DATA_ROWS_MAX);
    }
    return FL_OK;
}

static fl_err add_class(picture_album *album, uint32_t label)
{
    char folder[FL_LOADER_PATH_CAP];
    const char *class_name = fl_names_get(&album->dataset->class_names, label);
    if (fl_path_join(folder, sizeof folder, album->root, class_name)) {
        return say_too_long(album->root, class_name, album->why);
    }
    fl_names names;
    fl_names_init(&names, FL_DATA_ROWS_MAX);
    fl_err err = list_folder(&names, folder, false, album->why);
    for (uint32_t i = 0; i < names.count && !err; i++) {
        err = add_file(album, class_name, fl_names_get(&names, i));
    }
    fl_names_fini(&names);
    if (!err) err = label_rows(album, label);
    return err;
}

static fl_err list_album(picture_album *album)
{
    fl_names *classes = &album->dataset->class_names;
    FL_TRY(list_folder(classes, album->root, true, album->why));
    for (uint32_t label = 0; label < classes->count; label++) {
        FL_TRY(add_class(album, label));
    }
    if (album->files.count > 0) return FL_OK;
    return fl_reason_set(album->why, FL_ERR_FORMAT,
                         "%s: has no rows; pictures belong into a folder of "
                         "their class: %s/CLASS/NAME.png or .jpg",
                         album->root, album->root);
}

/* ---- pictures ---- */

static fl_err read_picture(uint8_t *pixels, const picture_album *album,
                           uint32_t row)
{
    char path[FL_LOADER_PATH_CAP];
    const char *name = fl_names_get(&album->files, row);
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (fl_path_join(path, sizeof path, album->root, name)) {
        return say_too_long(album->root, name, album->why);
    }
    FL_TRY(fl_file_read(&bytes, &len, path, FILE_LEN_MAX, album->why));
    const fl_err err = fl_picture_decode(pixels, &album->dataset->shape, bytes,
                                         len, album->why);
    free(bytes);
    return err ? fl_reason_prefix(album->why, err, "%s", path) : FL_OK;
}

static fl_err read_album(picture_album *album)
{
    fl_dataset *dataset = album->dataset;
    const size_t row_len = fl_shape_size(dataset->shape);
    size_t len = 0;
    if (!fl_size_mul(&len, dataset->row_count, row_len)) {
        dataset->values = malloc(len);
    }
    if (!dataset->values) {
        return fl_reason_set(album->why, FL_ERR_MEMORY,
                             "%s: %" PRIu32 " pictures of %zu bytes do not fit",
                             album->root, dataset->row_count, row_len);
    }
    for (uint32_t row = 0; row < dataset->row_count; row++) {
        FL_TRY(read_picture((uint8_t *)dataset->values + row * row_len, album,
                            row));
    }
    return FL_OK;
}

static fl_err load_album(fl_dataset *dataset, const char *root,
                         bool labels_only, fl_reason *why)
{
    picture_album album = {.dataset = dataset, .root = root, .why = why};
    fl_names_init(&album.files, FL_DATA_ROWS_MAX);
    dataset->label_kind = FL_LABELS_NAMES;
    dataset->type = FL_NUMBER_U8;
    fl_err err = list_album(&album);
    if (!err) err = read_picture(NULL, &album, 0);  // sets the shape of all
    if (!err && !labels_only) err = read_album(&album);
    fl_names_fini(&album.files);
    return err;
}

static fl_err load(fl_dataset *dataset, const fl_source *source, fl_reason *why)
{
    char parts[2][FL_LOADER_PATH_CAP];
    const char *names[] = {"train", "test"};
    for (size_t i = 0; i < 2; i++) {
        if (fl_path_join(parts[i], sizeof parts[i], source->place, names[i])) {
            return say_too_long(source->place, names[i], why);
        }
    }
    dataset->has_parts = is_folder_at(parts[0]) && is_folder_at(parts[1]);
    const char *root = source->place;
    if (dataset->has_parts) root = parts[source->part == FL_DATA_TEST];
    return load_album(dataset, root, source->labels_only, why);
}

static bool claims(const char *path, bool is_folder)
{
    (void)path;
    return is_folder;
}

/* ---- pictures without classes ---- */

// A picture by itself: the folder that it is in, and its name.
static fl_err split_path(char folder[FL_LOADER_PATH_CAP], const char **name,
                         const char *path, fl_reason *why)
{
    const char *slash = strrchr(path, '/');
    const size_t len = slash ? (size_t)(slash - path) + 1 : 0;
    *name = path + len;
    if (len + sizeof "." > FL_LOADER_PATH_CAP) {
        return fl_reason_set(why, FL_ERR_LIMIT, "%s: the path is too long",
                             path);
    }
    memcpy(folder, len > 0 ? path : "./", len > 0 ? len : 2);
    folder[len > 0 ? len : 2] = 0;
    return FL_OK;
}

static fl_err read_inputs(picture_album *album)
{
    fl_dataset *dataset = album->dataset;
    if (album->files.count == 0) {
        return fl_reason_set(album->why, FL_ERR_FORMAT,
                             "%s: holds no .png, .jpg or .jpeg", album->root);
    }
    dataset->row_count = album->files.count;
    FL_TRY(read_picture(NULL, album, 0));  // sets the shape of all
    return read_album(album);
}

static fl_err load_inputs(fl_dataset *dataset, const fl_source *source,
                          fl_reason *why)
{
    char folder[FL_LOADER_PATH_CAP];
    const char *name;
    uint32_t number;
    picture_album album = {.dataset = dataset, .root = folder, .why = why};
    fl_names_init(&album.files, FL_DATA_ROWS_MAX);
    dataset->type = FL_NUMBER_U8;
    fl_err err;
    if (is_folder_at(source->place)) {
        album.root = source->place;
        err = list_folder(&album.files, album.root, false, why);
    } else {
        err = split_path(folder, &name, source->place, why);
        if (!err) err = fl_names_add(&album.files, &number, name, strlen(name));
    }
    if (!err) err = read_inputs(&album);
    fl_names_fini(&dataset->row_names);
    dataset->row_names = album.files;
    return err;
}

static bool claims_inputs(const char *path, bool is_folder)
{
    return is_folder || has_picture_ending(path);
}

const fl_loader fl_loader_images = {"images", claims, load, claims_inputs,
                                    load_inputs};
