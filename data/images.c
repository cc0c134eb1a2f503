/*
 * Folders of pictures: DIR/CLASS/NAME.png|jpg|jpeg, or DIR/train and DIR/test
 * with such folders each. A class folder may be empty: it still counts, which
 * is how boards that lack a class agree with those that have it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/file.h"
#include "data/album.h"

static fl_err read_album(fl_album *album)
{
    fl_dataset *dataset = album->dataset;
    FL_TRY(fl_album_list(album));
    dataset->record_count = album->files.count;
    FL_TRY(fl_album_choose_shape(album));
    if (!album->source->labels_only) return fl_album_read(album);
    dataset->row_names = album->files;
    album->files = (fl_names){.count = 0};
    return FL_OK;
}

static fl_err load_album(fl_dataset *dataset, const char *root,
                         const fl_source *source, fl_reason *why)
{
    fl_album album = {
        .dataset = dataset, .source = source, .root = root, .why = why};
    fl_names_init(&album.files, FL_DATA_ROWS_MAX);
    dataset->label_kind = FL_LABELS_CELLS;
    dataset->type = FL_NUMBER_U8;
    const fl_err err = read_album(&album);
    fl_album_fini(&album);
    return err;
}

static fl_err load(fl_dataset *dataset, const fl_source *source, fl_reason *why)
{
    char parts[2][FL_LOADER_PATH_CAP];
    const char *names[] = {"train", "test"};
    for (size_t i = 0; i < 2; i++) {
        if (fl_path_join(parts[i], sizeof parts[i], source->place, names[i])) {
            return fl_album_say_too_long(source->place, names[i], why);
        }
    }
    dataset->has_parts =
        fl_album_is_folder(parts[0]) && fl_album_is_folder(parts[1]);
    const char *root = source->place;
    if (dataset->has_parts) root = parts[source->part == FL_DATA_TEST];
    return load_album(dataset, root, source, why);
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

static fl_err name_rows(fl_album *album)
{
    fl_dataset *dataset = album->dataset;
    for (uint32_t row = 0; row < dataset->row_count; row++) {
        const char *name = fl_names_get(&album->files, album->rows[row]);
        uint32_t number;
        if (fl_names_add(&dataset->row_names, &number, name, strlen(name))) {
            return fl_reason_set(album->why, FL_ERR_MEMORY, "out of memory");
        }
    }
    return FL_OK;
}

static fl_err read_inputs(fl_album *album)
{
    if (album->files.count == 0) {
        return fl_reason_set(album->why, FL_ERR_FORMAT,
                             "%s: holds no .png, .jpg or .jpeg", album->root);
    }
    album->dataset->record_count = album->files.count;
    FL_TRY(fl_album_choose_shape(album));
    FL_TRY(fl_album_read(album));
    return name_rows(album);
}

static fl_err load_inputs(fl_dataset *dataset, const fl_source *source,
                          fl_reason *why)
{
    char folder[FL_LOADER_PATH_CAP];
    const char *name;
    uint32_t number;
    fl_album album = {
        .dataset = dataset, .source = source, .root = folder, .why = why};
    fl_names_init(&album.files, FL_DATA_ROWS_MAX);
    dataset->type = FL_NUMBER_U8;
    fl_err err;
    if (fl_album_is_folder(source->place)) {
        album.root = source->place;
        err = fl_album_list_folder(&album);
    } else {
        err = split_path(folder, &name, source->place, why);
        if (!err) {
            err = fl_names_add(&album.files, &number, name, strlen(name));
        }
    }
    if (!err) err = read_inputs(&album);
    fl_album_fini(&album);
    return err;
}

static bool claims_inputs(const char *path, bool is_folder)
{
    return is_folder || fl_album_has_ending(path);
}

const fl_loader fl_loader_images = {"images", claims, load, claims_inputs,
                                    load_inputs};
