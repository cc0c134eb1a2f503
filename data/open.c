/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/random.h"
#include "data/loader.h"

#define FORMS                                               \
    "fashion-mnist, idx:DIR, idx:IMAGES,LABELS, csv:FILE, " \
    "npy:VALUES,LABELS, images:DIR, or a path"

// The first that claims a path without a name gets it.
static const fl_loader *const LOADERS[] = {
    &fl_loader_fashion, &fl_loader_idx,    &fl_loader_csv,
    &fl_loader_npy,     &fl_loader_images, NULL,
};

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

/* ---- the spec ---- */

static const fl_loader *find_named(const char **place, const char *spec)
{
    for (const fl_loader *const *at = LOADERS; *at; at++) {
        const size_t len = strlen((*at)->name);
        if (strncmp(spec, (*at)->name, len) != 0) continue;
        if (spec[len] != ':' && spec[len] != '\0') continue;
        *place = spec + len + (spec[len] == ':');
        return *at;
    }
    return NULL;
}

static const fl_loader *find_claiming(const char *path)
{
    // "VALUES,LABELS" is no file, but its ending tells just the same.
    struct stat status;
    const bool is_folder = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    for (const fl_loader *const *at = LOADERS; *at; at++) {
        if ((*at)->claims(path, is_folder)) return *at;
    }
    return NULL;
}

static fl_err say_unknown(const char *spec, fl_reason *why)
{
    if (access(spec, F_OK) == 0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%s: its ending tells no format; use " FORMS,
                             spec);
    }
    return fl_reason_set(why, FL_ERR_NOT_FOUND,
                         "%s: no such file or folder; use " FORMS, spec);
}

const char *fl_loader_place(const char *spec)
{
    const char *place = spec;
    return find_named(&place, spec) ? place : spec;
}

fl_err fl_loader_load(fl_dataset *dataset, const char *spec,
                      const fl_source *wanted, fl_reason *why)
{
    fl_source source = *wanted;
    if (!spec || !*spec) {
        return fl_reason_set(why, FL_ERR_RANGE, "no data given; use " FORMS);
    }
    source.place = spec;
    const fl_loader *loader = find_named(&source.place, spec);
    if (!loader) loader = find_claiming(spec);
    if (!loader) return say_unknown(spec, why);
    fl_names_init(&dataset->class_names, FL_DATA_CLASSES_MAX);
    fl_names_init(&dataset->columns, FL_DATA_VALUES_MAX);
    fl_names_init(&dataset->row_names, FL_DATA_ROWS_MAX);
    return loader->load(dataset, &source, why);
}

/* ---- two parts of one dataset ---- */

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

static uint32_t *shuffled_rows(uint32_t count, uint64_t seed)
{
    uint32_t *rows = malloc(count * sizeof *rows);
    if (!rows) return NULL;
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = i;
    }
    fl_random random;
    fl_random_init(&random, seed, FL_RANDOM_SPLIT, 0);
    fl_random_shuffle(&random, rows, count);
    return rows;
}

// Drops the rows that belong to the other part.
static fl_err hold_out(fl_dataset *dataset, fl_data_part part, uint64_t seed,
                       fl_reason *why)
{
    const uint32_t count = dataset->row_count;
    const bool is_test = part == FL_DATA_TEST;
    if (count == 1 && !is_test) return FL_OK;
    if (count == 1) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "the data has a single row, none to test with; "
                             "give separate test data");
    }
    uint32_t *rows = shuffled_rows(count, seed);
    if (!rows) return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    const uint32_t test_count = count < TEST_SHARE ? 1 : count / TEST_SHARE;
    uint32_t *kept = is_test ? rows : rows + test_count;
    const uint32_t kept_count = is_test ? test_count : count - test_count;
    qsort(kept, kept_count, sizeof *kept, compare_rows);
    fl_err err = fl_dataset_keep(dataset, kept, kept_count);
    if (err) fl_reason_set(why, err, "out of memory");
    free(rows);
    return err;
}

fl_err fl_loader_resize(fl_dataset *dataset, const fl_data_options *options,
                        fl_reason *why)
{
    if (!options->resize) return FL_OK;
    FL_TRY(
        fl_resize_new(&dataset->resize, dataset->shape, options->resize, why));
    dataset->shape = fl_resize_to(dataset->resize);
    return FL_OK;
}

/*
 * Loads the part, and of the other one what both must agree on, unless all
 * rows come from one place: then *has_other is false.
 */
static fl_err load_parts(fl_dataset *dataset, fl_dataset *other,
                         bool *has_other, const fl_source *wanted,
                         fl_reason *why)
{
    const fl_data_options *options = wanted->options;
    const fl_data_part part = wanted->part;
    const fl_data_part other_part =
        part == FL_DATA_TEST ? FL_DATA_TRAIN : FL_DATA_TEST;
    fl_source source = *wanted;
    FL_TRY(
        fl_loader_load(dataset, fl_loader_spec(options, part), &source, why));
    *has_other = dataset->has_parts || options->test_spec;
    if (!*has_other) return FL_OK;

    source.part = other_part;
    source.labels_only = true;
    FL_TRY(fl_loader_load(other, fl_loader_spec(options, other_part), &source,
                          why));
    return check_alike(dataset, other, why);
}

static fl_err note_origins(fl_dataset *dataset, fl_reason *why)
{
    dataset->origins = malloc(dataset->row_count * sizeof *dataset->origins);
    if (!dataset->origins) {
        return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < dataset->row_count; i++) {
        dataset->origins[i] = i;
    }
    return FL_OK;
}

static fl_err open_part(fl_dataset *dataset, fl_dataset *other,
                        const fl_source *wanted, fl_reason *why)
{
    const fl_data_options *options = wanted->options;
    bool has_other = false;
    FL_TRY(load_parts(dataset, other, &has_other, wanted, why));
    FL_TRY(fl_classes_number(dataset, has_other ? other : NULL, why));
    if (wanted->labels_only) FL_TRY(note_origins(dataset, why));
    if (!has_other) {
        FL_TRY(hold_out(dataset, wanted->part, options->seed, why));
    }
    fl_names_fini(&dataset->columns);
    return fl_loader_resize(dataset, options, why);
}

static fl_err open_wanted(fl_dataset **dataset, const fl_source *wanted,
                          fl_reason *why)
{
    fl_dataset *opened = calloc(1, sizeof *opened);
    fl_dataset *other = calloc(1, sizeof *other);
    fl_err err = opened && other
                     ? open_part(opened, other, wanted, why)
                     : fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    fl_dataset_free(other);
    if (err) {
        fl_dataset_free(opened);
        return err;
    }
    // What parsing and the other part took is of no use any more.
    fl_memory_trim();
    *dataset = opened;
    return FL_OK;
}

fl_err fl_dataset_open(fl_dataset **dataset, fl_data_part part,
                       const fl_data_options *options, fl_reason *why)
{
    const fl_source wanted = {.part = part, .options = options};
    return open_wanted(dataset, &wanted, why);
}

fl_err fl_dataset_open_outline(fl_dataset **dataset, fl_data_part part,
                               const fl_data_options *options, fl_reason *why)
{
    const fl_source wanted = {
        .part = part, .labels_only = true, .options = options};
    return open_wanted(dataset, &wanted, why);
}

/* ---- inputs ---- */

#define INPUT_FORMS                                                          \
    "a .png, .jpg, .npy, .csv or IDX file, or a folder of pictures; or say " \
    "the format: npy:FILE"

static fl_err find_inputs(const fl_loader **loader, const char **place,
                          const char *spec, fl_reason *why)
{
    struct stat status;
    *place = spec;
    *loader = find_named(place, spec);
    if (*loader && (*loader)->load_inputs) return FL_OK;
    *place = spec;
    if (stat(spec, &status) != 0) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND,
                             "%s: no such file or folder; use " INPUT_FORMS,
                             spec);
    }
    for (const fl_loader *const *at = LOADERS; *at; at++) {
        *loader = *at;
        if ((*at)->claims_inputs &&
            (*at)->claims_inputs(spec, S_ISDIR(status.st_mode))) {
            return FL_OK;
        }
    }
    return fl_reason_set(why, FL_ERR_RANGE,
                         "%s: its ending tells no format; use " INPUT_FORMS,
                         spec);
}

// Labels that say nothing, for those who take it for a dataset.
static fl_err label_inputs(fl_dataset *dataset, fl_reason *why)
{
    free(dataset->labels);
    dataset->labels = calloc(dataset->row_count, sizeof *dataset->labels);
    dataset->class_count = 1;
    if (dataset->labels) return FL_OK;
    return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
}

static fl_err open_inputs(fl_dataset *dataset, const fl_data_options *options,
                          fl_reason *why)
{
    const fl_loader *loader = NULL;
    fl_source source = {.options = options};
    fl_names_init(&dataset->class_names, FL_DATA_CLASSES_MAX);
    fl_names_init(&dataset->columns, FL_DATA_VALUES_MAX);
    fl_names_init(&dataset->row_names, FL_DATA_ROWS_MAX);
    FL_TRY(find_inputs(&loader, &source.place, options->spec, why));
    FL_TRY(loader->load_inputs(dataset, &source, why));
    FL_TRY(label_inputs(dataset, why));
    fl_names_fini(&dataset->columns);
    return fl_loader_resize(dataset, options, why);
}

fl_err fl_dataset_open_inputs(fl_dataset **dataset,
                              const fl_data_options *options, fl_reason *why)
{
    fl_dataset *opened = calloc(1, sizeof *opened);
    const fl_err err = opened
                           ? open_inputs(opened, options, why)
                           : fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    if (err) {
        fl_dataset_free(opened);
        return err;
    }
    *dataset = opened;
    return FL_OK;
}
