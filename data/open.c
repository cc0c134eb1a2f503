/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/random.h"
#include "data/loader.h"

#define FORMS                                               \
    "fashion-mnist, idx:DIR, idx:IMAGES,LABELS, csv:FILE, " \
    "npy:VALUES,LABELS, images:DIR, or a path"

// The first that claims a path without a name gets it.
static const fl_loader *const LOADERS[] = {
    &fl_loader_fashion,
    &fl_loader_idx,
};
enum { LOADER_COUNT = sizeof LOADERS / sizeof *LOADERS };

// One row in so many is held out when a source has no test part.
enum { TEST_SHARE = 10 };

bool fl_loader_has_ending(const char *path, const char *ending)
{
    size_t len = strlen(path);
    const size_t ending_len = strlen(ending);
    if (len > 3 && strcmp(path + len - 3, ".gz") == 0) len -= 3;
    return len > ending_len &&
           strncmp(path + len - ending_len, ending, ending_len) == 0;
}

/* ---- the spec --------------------------------------------------------- */

static const fl_loader *find_named(const char **place, const char *spec)
{
    for (size_t i = 0; i < LOADER_COUNT; i++) {
        const size_t len = strlen(LOADERS[i]->name);
        if (strncmp(spec, LOADERS[i]->name, len) != 0) continue;
        if (spec[len] != ':' && spec[len] != '\0') continue;
        *place = spec + len + (spec[len] == ':');
        return LOADERS[i];
    }
    return NULL;
}

static const fl_loader *find_claiming(const char *path, bool is_folder)
{
    for (size_t i = 0; i < LOADER_COUNT; i++) {
        if (LOADERS[i]->claims(path, is_folder)) return LOADERS[i];
    }
    return NULL;
}

static fl_err find_loader(const fl_loader **loader, const char **place,
                          const char *spec, fl_reason *why)
{
    struct stat status;
    if (!spec || !*spec) {
        return fl_reason_set(why, FL_ERR_RANGE, "no data given; use " FORMS);
    }
    *loader = find_named(place, spec);
    if (*loader) return FL_OK;

    // "VALUES,LABELS" is no file, but its ending tells just the same.
    *place = spec;
    const bool is_there = stat(spec, &status) == 0;
    *loader = find_claiming(spec, is_there && S_ISDIR(status.st_mode));
    if (*loader) return FL_OK;
    if (is_there) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%s: its ending tells no format; use " FORMS,
                             spec);
    }
    return fl_reason_set(why, FL_ERR_NOT_FOUND,
                         "%s: no such file or folder; use " FORMS, spec);
}

static fl_err load(fl_dataset **dataset, const char *spec,
                   const fl_source *wanted, fl_reason *why)
{
    const fl_loader *loader = NULL;
    fl_source source = *wanted;
    FL_TRY(find_loader(&loader, &source.place, spec, why));
    fl_dataset *loaded = calloc(1, sizeof *loaded);
    if (!loaded) return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    fl_names_init(&loaded->class_names, FL_DATA_CLASSES_MAX);
    fl_names_init(&loaded->columns, FL_DATA_VALUES_MAX);
    const fl_err err = loader->load(loaded, &source, why);
    if (err) {
        fl_dataset_free(loaded);
        return err;
    }
    *dataset = loaded;
    return FL_OK;
}

/* ---- two parts of one dataset ----------------------------------------- */

static fl_err check_columns(const fl_names *columns, const fl_names *others,
                            fl_reason *why)
{
    for (uint32_t i = 0; i < columns->count && i < others->count; i++) {
        const char *name = fl_names_get(columns, i);
        const char *other = fl_names_get(others, i);
        if (strcmp(name, other) == 0) continue;
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "training and test rows differ in feature column "
                             "%" PRIu32 ": '%s' and '%s'; give both files the "
                             "same columns in the same order",
                             i + 1, name, other);
    }
    return FL_OK;
}

static fl_err check_alike(const fl_dataset *dataset, const fl_dataset *other,
                          fl_reason *why)
{
    const fl_shape a = dataset->shape, b = other->shape;
    FL_TRY(check_columns(&dataset->columns, &other->columns, why));
    if (a.height == b.height && a.width == b.width &&
        a.channels == b.channels) {
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "training and test rows differ in shape: %" PRIu32
                         "x%" PRIu32 "x%" PRIu32 " and %" PRIu32 "x%" PRIu32
                         "x%" PRIu32 " (height, width, channels)",
                         a.height, a.width, a.channels, b.height, b.width,
                         b.channels);
}

static int compare_rows(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// Drops the rows that belong to the other part.
static fl_err hold_out(fl_dataset *dataset, fl_data_part part, uint64_t seed,
                       fl_reason *why)
{
    const uint32_t count = dataset->row_count;
    uint32_t test_count = count / TEST_SHARE;
    if (test_count == 0 && count > 1) test_count = 1;
    if (test_count == 0) {
        if (part == FL_DATA_TRAIN) return FL_OK;
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "the data has a single row, none to test with; "
                             "give separate test data");
    }
    uint32_t *rows = malloc(count * sizeof *rows);
    if (!rows) return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = i;
    }
    fl_random random;
    fl_random_init(&random, seed, FL_RANDOM_SPLIT, 0);
    fl_random_shuffle(&random, rows, count);
    uint32_t *kept = part == FL_DATA_TEST ? rows : rows + test_count;
    const uint32_t kept_count =
        part == FL_DATA_TEST ? test_count : count - test_count;
    qsort(kept, kept_count, sizeof *kept, compare_rows);
    fl_err err = fl_dataset_keep(dataset, kept, kept_count);
    if (err) fl_reason_set(why, err, "out of memory");
    free(rows);
    return err;
}

static const char *spec_of(const fl_data_options *options, fl_data_part part)
{
    return part == FL_DATA_TEST && options->test_spec ? options->test_spec
                                                      : options->spec;
}

// Loads the part, and of the other one what both must agree on.
static fl_err load_parts(fl_dataset **dataset, fl_dataset **other,
                         fl_data_part part, const fl_data_options *options,
                         fl_reason *why)
{
    const fl_data_part other_part =
        part == FL_DATA_TEST ? FL_DATA_TRAIN : FL_DATA_TEST;
    fl_source source = {.part = part, .options = options};
    FL_TRY(load(dataset, spec_of(options, part), &source, why));
    if (!(*dataset)->has_parts && !options->test_spec) return FL_OK;

    source.part = other_part;
    source.labels_only = true;
    FL_TRY(load(other, spec_of(options, other_part), &source, why));
    return check_alike(*dataset, *other, why);
}

fl_err fl_dataset_open(fl_dataset **dataset, fl_data_part part,
                       const fl_data_options *options, fl_reason *why)
{
    fl_dataset *opened = NULL, *other = NULL;
    fl_err err = load_parts(&opened, &other, part, options, why);
    if (!err) err = fl_classes_number(opened, other, why);
    if (!err && !other) err = hold_out(opened, part, options->seed, why);
    fl_dataset_free(other);
    if (err) {
        fl_dataset_free(opened);
        return err;
    }
    fl_names_fini(&opened->columns);
    malloc_trim(0);
    *dataset = opened;
    return FL_OK;
}
