/* SPDX-License-Identifier: Apache-2.0 */
#include "data/album.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/file.h"
#include "data/picture.h"

static const size_t FILE_LEN_MAX = (size_t)1 << 26;

// So many of the first pictures are asked what size all should have.
enum { VOTER_COUNT = 32 };

bool fl_album_is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool fl_album_has_ending(const char *name)
{
    const char *ending = strrchr(name, '.');
    return ending && (strcasecmp(ending, ".png") == 0 ||
                      strcasecmp(ending, ".jpg") == 0 ||
                      strcasecmp(ending, ".jpeg") == 0);
}

fl_err fl_album_say_too_long(const char *folder, const char *name,
                             fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_LIMIT,
                         "%s: with '%s' behind it the path is too long", folder,
                         name);
}

/* ---- what is there ---- */

// Somebody takes it for data, but nobody will learn from it.
static void tell_misplaced(const fl_album *album, const char *path,
                           const char *fault)
{
    fl_reason what;
    const fl_err err =
        fl_reason_set(&what, FL_ERR_FORMAT, "%s: %s", path, fault);
    if (!album->source->labels_only) {
        (void)!fl_source_pass_over(album->source, err, &what);
    }
}

// Adds an entry if it is of the kind wanted; others are passed over.
static fl_err add_entry(fl_names *names, const fl_album *album,
                        const char *folder, const char *name, bool want_folders)
{
    char path[FL_LOADER_PATH_CAP];
    uint32_t number;
    if (name[0] == '.') return FL_OK;
    if (fl_path_join(path, sizeof path, folder, name)) {
        return fl_album_say_too_long(folder, name, album->why);
    }
    const bool is_folder = fl_album_is_folder(path);
    if (!is_folder && !fl_album_has_ending(name)) return FL_OK;
    if (is_folder != want_folders) {
        tell_misplaced(album, path,
                       is_folder ? "is a folder; pictures in it are too deep"
                                 : "is in no class's folder");
        return FL_OK;
    }
    const fl_err err = fl_names_add(names, &number, name, strlen(name));
    if (err) {
        return fl_reason_set(album->why, err,
                             "%s: holds more than %" PRIu32
                             " entries, or memory is out",
                             folder, names->count_max);
    }
    return FL_OK;
}

// In byte order, so that rows do not depend on the file system.
static fl_err list_folder(fl_names *names, const fl_album *album,
                          const char *folder, bool want_folders)
{
    DIR *dir = opendir(folder);
    if (!dir) {
        const int cause = errno;
        return fl_reason_set(album->why,
                             cause == ENOENT    ? FL_ERR_NOT_FOUND
                             : cause == ENOTDIR ? FL_ERR_RANGE
                                                : FL_ERR_SYSTEM,
                             "%s: %s", folder, strerror(cause));
    }
    fl_err err = FL_OK;
    const struct dirent *entry;
    while (!err && (entry = readdir(dir)) != NULL) {
        err = add_entry(names, album, folder, entry->d_name, want_folders);
    }
    closedir(dir);
    if (!err && fl_names_sort(names, NULL)) {
        err = fl_reason_set(album->why, FL_ERR_MEMORY, "%s: out of memory",
                            folder);
    }
    return err;
}

fl_err fl_album_list_folder(fl_album *album)
{
    return list_folder(&album->files, album, album->root, false);
}

/* ---- which picture is of which class ---- */

// Rows that have come since the last class get this one.
static fl_err label_rows(fl_album *album, uint32_t label)
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

static fl_err add_file(fl_album *album, const char *class_name,
                       const char *name)
{
    char place[FL_LOADER_PATH_CAP];
    uint32_t number;
    if (fl_path_join(place, sizeof place, class_name, name)) {
        return fl_album_say_too_long(class_name, name, album->why);
    }
    if (fl_names_add(&album->files, &number, place, strlen(place))) {
        return fl_reason_set(album->why, FL_ERR_LIMIT,
                             "%s: more than %u pictures, or memory is out",
                             album->root, FL_DATA_ROWS_MAX);
    }
    return FL_OK;
}

static fl_err add_class(fl_album *album, uint32_t label)
{
    char folder[FL_LOADER_PATH_CAP];
    const char *class_name = fl_names_get(&album->dataset->class_names, label);
    if (fl_path_join(folder, sizeof folder, album->root, class_name)) {
        return fl_album_say_too_long(album->root, class_name, album->why);
    }
    fl_names names;
    fl_names_init(&names, FL_DATA_ROWS_MAX);
    fl_err err = list_folder(&names, album, folder, false);
    if (err) err = fl_source_pass_over(album->source, err, album->why);
    for (uint32_t i = 0; i < names.count && !err; i++) {
        err = add_file(album, class_name, fl_names_get(&names, i));
    }
    fl_names_fini(&names);
    if (!err) err = label_rows(album, label);
    return err;
}

fl_err fl_album_list(fl_album *album)
{
    fl_names *classes = &album->dataset->class_names;
    FL_TRY(list_folder(classes, album, album->root, true));
    for (uint32_t label = 0; label < classes->count; label++) {
        FL_TRY(add_class(album, label));
    }
    if (album->files.count > 0) return FL_OK;
    return fl_reason_set(album->why, fl_source_empty(album->source),
                         "%s: has no rows; pictures belong into a folder of "
                         "their class: %s/CLASS/NAME.png or .jpg",
                         album->root, album->root);
}

/* ---- pictures ---- */

// With `pixels` NULL: its header alone.
static fl_err read_picture(uint8_t *pixels, fl_shape *shape,
                           const fl_album *album, uint32_t file, fl_reason *why)
{
    char path[FL_LOADER_PATH_CAP];
    const char *name = fl_names_get(&album->files, file);
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (fl_path_join(path, sizeof path, album->root, name)) {
        return fl_album_say_too_long(album->root, name, why);
    }
    FL_TRY(fl_file_read_plain(&bytes, &len, path, FILE_LEN_MAX, why));
    const fl_err err = fl_picture_decode(pixels, shape, bytes, len, why);
    free(bytes);
    return err ? fl_reason_prefix(why, err, "%s", path) : FL_OK;
}

typedef struct {
    fl_shape shape;
    uint32_t votes;
} candidate;

static void vote(candidate *all, uint32_t *count, fl_shape shape)
{
    uint32_t i = 0;
    while (i < *count && memcmp(&all[i].shape, &shape, sizeof shape) != 0) {
        i++;
    }
    if (i == *count) all[(*count)++] = (candidate){.shape = shape};
    all[i].votes++;
}

// The first picture alone may be the odd one out.
static fl_err elect_shape(fl_album *album)
{
    candidate all[VOTER_COUNT];
    uint32_t count = 0, voters = 0, best = 0;
    for (uint32_t i = 0; i < album->files.count && voters < VOTER_COUNT; i++) {
        fl_shape shape;
        fl_reason fault;
        const fl_err err = read_picture(NULL, &shape, album, i, &fault);
        if (err == FL_ERR_MEMORY) {
            return fl_reason_set(album->why, err, "%s", fault.text);
        }
        if (err) continue;
        voters++;
        vote(all, &count, shape);
    }
    if (count == 0) {
        return fl_reason_set(album->why, fl_source_empty(album->source),
                             "%s: none of the %" PRIu32 " pictures can be read",
                             album->root, album->files.count);
    }
    for (uint32_t i = 1; i < count; i++) {
        if (all[i].votes > all[best].votes) best = i;
    }
    album->dataset->shape = all[best].shape;
    return FL_OK;
}

fl_err fl_album_choose_shape(fl_album *album)
{
    if (album->source->options->skip) return elect_shape(album);
    return read_picture(NULL, &album->dataset->shape, album, 0, album->why);
}

static fl_err make_room(fl_album *album, uint32_t row_count)
{
    fl_dataset *dataset = album->dataset;
    const size_t row_len = fl_shape_size(dataset->shape);
    size_t len = 0;
    if (!fl_size_mul(&len, row_count, row_len)) dataset->values = malloc(len);
    if (dataset->values) return FL_OK;
    return fl_reason_set(album->why, FL_ERR_MEMORY,
                         "%s: %" PRIu32 " pictures of %zu bytes do not fit",
                         album->root, row_count, row_len);
}

static fl_err read_row(fl_album *album, uint32_t file)
{
    fl_dataset *dataset = album->dataset;
    const size_t row_len = fl_shape_size(dataset->shape);
    uint8_t *pixels = (uint8_t *)dataset->values + dataset->row_count * row_len;
    const atomic_bool *stop = album->source->stop;
    fl_shape shape = dataset->shape;
    if (stop && atomic_load(stop)) {
        return fl_reason_set(album->why, FL_ERR_CANCELLED,
                             "stopped on request");
    }
    const fl_err err = read_picture(pixels, &shape, album, file, album->why);
    if (err) return fl_source_pass_over(album->source, err, album->why);
    if (dataset->labels) {
        dataset->labels[dataset->row_count] = dataset->labels[file];
    }
    album->rows[dataset->row_count++] = file;
    return FL_OK;
}

static fl_err read_rows(fl_album *album)
{
    fl_dataset *dataset = album->dataset;
    dataset->row_count = 0;
    for (uint32_t file = 0; file < album->files.count; file++) {
        if (!fl_source_wants(album->source, file)) continue;
        FL_TRY(read_row(album, file));
    }
    if (dataset->row_count > 0) return FL_OK;
    return fl_reason_set(album->why, fl_source_empty(album->source),
                         "%s: none of its pictures can be read", album->root);
}

static void give_back(void **items, size_t len)
{
    void *less = len > 0 ? realloc(*items, len) : NULL;
    if (less) *items = less;
}

fl_err fl_album_read(fl_album *album)
{
    fl_dataset *dataset = album->dataset;
    const fl_picks *picks = album->source->picks;
    const uint32_t row_count = picks ? picks->picked_count : album->files.count;
    FL_TRY(make_room(album, row_count));
    album->rows = malloc(row_count * sizeof *album->rows);
    if (!album->rows) {
        return fl_reason_set(album->why, FL_ERR_MEMORY, "%s: out of memory",
                             album->root);
    }
    FL_TRY(read_rows(album));
    void *values = dataset->values, *labels = dataset->labels;
    give_back(&values, dataset->row_count * fl_shape_size(dataset->shape));
    if (labels) give_back(&labels, dataset->row_count * sizeof(uint32_t));
    dataset->values = values;
    dataset->labels = labels;
    return FL_OK;
}

void fl_album_fini(fl_album *album)
{
    fl_names_fini(&album->files);
    free(album->rows);
}
