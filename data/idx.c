/*
 * IDX, the format of the MNIST files (yann.lecun.com/exdb/mnist):
 *
 *   0 0 TYPE DIMS | DIMS sizes, 4 bytes each | numbers     all big-endian
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "data/array.h"

enum { MAGIC_LEN = 4, SIZE_LEN = 4, NAME_CAP = 64 };

static bool type_of(fl_number_type *type, uint8_t code)
{
    switch (code) {
    case 0x08: *type = FL_NUMBER_U8; return true;
    case 0x09: *type = FL_NUMBER_I8; return true;
    case 0x0B: *type = FL_NUMBER_I16; return true;
    case 0x0C: *type = FL_NUMBER_I32; return true;
    case 0x0D: *type = FL_NUMBER_F32; return true;
    case 0x0E: *type = FL_NUMBER_F64; return true;
    default: return false;
    }
}

static fl_err read_header(fl_array *array, fl_stream *stream, fl_reason *why)
{
    uint8_t magic[MAGIC_LEN], sizes[FL_ARRAY_DIMS_MAX * SIZE_LEN];
    FL_TRY(fl_stream_fill(magic, sizeof magic, stream, why));
    const unsigned dim_count = magic[3];
    if (magic[0] != 0 || magic[1] != 0 || !type_of(&array->type, magic[2]) ||
        dim_count < 1 || dim_count > FL_ARRAY_DIMS_MAX) {
        return fl_reason_set(
            why, FL_ERR_FORMAT,
            "%s: byte 0: %02x %02x %02x %02x is not how an IDX file begins "
            "(00 00, a type 08 to 0e, 1 to 4 dimensions)",
            fl_stream_path(stream), magic[0], magic[1], magic[2], magic[3]);
    }
    FL_TRY(fl_stream_fill(sizes, dim_count * (size_t)SIZE_LEN, stream, why));
    array->big_endian = true;
    array->dim_count = dim_count;
    for (unsigned i = 0; i < dim_count; i++) {
        const uint8_t *at = sizes + (size_t)SIZE_LEN * i;
        array->dims[i] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
                         (uint32_t)at[2] << 8 | at[3];
    }
    return FL_OK;
}

// Finds NAME or NAME.gz in the folder; dst is the former when neither is there.
static bool find_file(char *dst, const char *folder, const char *part_name,
                      const char *rest)
{
    char name[NAME_CAP];
    const char *endings[] = {".gz", ""};
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s-%s%s", part_name, rest, endings[i]);
        if (fl_path_join(dst, FL_LOADER_PATH_CAP, folder, name)) return false;
        if (access(dst, F_OK) == 0) return true;
    }
    return false;
}

static bool find_pair(char *images, char *labels, const char *folder,
                      const char *part_name)
{
    return find_file(images, folder, part_name, "images-idx3-ubyte") &&
           find_file(labels, folder, part_name, "labels-idx1-ubyte");
}

fl_err fl_idx_load_folder(fl_dataset *dataset, const char *folder,
                          const fl_source *source, fl_reason *why)
{
    char images[2][FL_LOADER_PATH_CAP], labels[2][FL_LOADER_PATH_CAP];
    const char *names[] = {"train", "t10k"};
    bool found[2];
    for (size_t i = 0; i < 2; i++) {
        found[i] = find_pair(images[i], labels[i], folder, names[i]);
    }
    if (!found[0]) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND,
                             "%s: holds no train-images-idx3-ubyte and "
                             "train-labels-idx1-ubyte, plain or .gz",
                             folder);
    }
    dataset->has_parts = found[1];
    const size_t wanted = found[1] && source->part == FL_DATA_TEST;
    return fl_array_load(dataset, images[wanted], labels[wanted], read_header,
                         source, why);
}

static bool claims(const char *path, bool is_folder)
{
    char images[FL_LOADER_PATH_CAP];
    if (!is_folder) {
        return fl_loader_has_ending(path, "-ubyte") ||
               fl_loader_has_ending(path, ".idx");
    }
    return find_file(images, path, "train", "images-idx3-ubyte");
}

static fl_err load(fl_dataset *dataset, const fl_source *source, fl_reason *why)
{
    if (!strchr(source->place, ',')) {
        return fl_idx_load_folder(dataset, source->place, source, why);
    }
    return fl_array_load_pair(dataset, source, read_header, "idx", why);
}

// Its labels are elsewhere: a folder is none.
static bool claims_inputs(const char *path, bool is_folder)
{
    return !is_folder && claims(path, false);
}

static fl_err load_inputs(fl_dataset *dataset, const fl_source *source,
                          fl_reason *why)
{
    return fl_array_load_values(dataset, source->place, read_header, source,
                                why);
}

const fl_loader fl_loader_idx = {"idx", claims, load, claims_inputs,
                                 load_inputs};
