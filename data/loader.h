/*
 * What a file format must do to be loaded, and the table of all formats.
 *
 * To add a format: write data/FORMAT.c with one `const fl_loader`, declare it
 * below and name it in the table of open.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_DATA_LOADER_H
#define FL_DATA_LOADER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/data.h"
#include "data/names.h"
#include "data/number.h"
#include "data/picks.h"
#include "data/resize.h"

#define FL_LOADER_PATH_CAP 4096

/* What the labels that a loader hands over mean. */
typedef enum {
    FL_LABELS_NUMBERS,  // classes; the names, if any, are in their order
    FL_LABELS_NAMES,    // places in class_names; sorting numbers the classes
    FL_LABELS_CELLS,    // the same, but numbers stay when all names are such
} fl_label_kind;

struct fl_dataset {
    fl_shape shape;       // as rows are read
    fl_resize *resize;    // from the shape that they are kept in; or NULL
    fl_number_type type;  // of values; one that fl_number_kept_as gives
    fl_label_kind label_kind;
    bool has_parts;  // the source keeps training and test rows apart
    uint32_t row_count;
    uint32_t class_count;  // at least 1 + the highest label
    void *values;          // (row_count, H, W, C) as kept; NULL for labels_only
    uint32_t *labels;      // (row_count)
    uint32_t *groups;      // (row_count) or NULL
    fl_names class_names;
    fl_names columns;       // of a table; empty again once it is opened
    fl_names row_names;     // of inputs and outlines that are files; else empty
    uint32_t record_count;  // rows of the source, also those that are not here
    uint32_t *origins;      // of an outline: which of these; else NULL
};

typedef struct {
    const char *place;  // the spec without the format's name
    fl_data_part part;  // which one, if the source keeps them apart
    bool labels_only;   // leave `values` out: only the classes are asked for
    bool values_only;   // load_inputs: there need not be labels
    bool is_growing;    // what stands behind the last line break may be torn
    const fl_picks *picks;    // records that are wanted; NULL: all
    const atomic_bool *stop;  // set by anyone: leave soon; or NULL
    const fl_data_options *options;
} fl_source;

/* What it is when a source has no rows. */
static inline fl_err fl_source_empty(const fl_source *source)
{
    return source->is_growing ? FL_ERR_NOT_FOUND : FL_ERR_FORMAT;
}

static inline bool fl_source_wants(const fl_source *source, uint32_t record)
{
    return !source->picks || fl_picks_has(source->picks, record);
}

/*
 * What becomes of a bad file or line: FL_OK when somebody has been told that
 * it is passed over, else `err`. Memory that is out is no fault of a file.
 */
fl_err fl_source_pass_over(const fl_source *source, fl_err err, fl_reason *why);

typedef struct {
    const char *name;  // what stands before the colon
    /* Whether a path without a name in front is of this format. */
    bool (*claims)(const char *path, bool is_folder);
    /*
     * Fills a dataset that is all zero but for the maxima of its names. What
     * it holds after an error is freed by the caller.
     */
    fl_err (*load)(fl_dataset *dataset, const fl_source *source,
                   fl_reason *why);
    /*
     * The same for rows without labels, of source->place; NULL: the format has
     * no such files. What there is of labels is left out.
     */
    bool (*claims_inputs)(const char *path, bool is_folder);
    fl_err (*load_inputs)(fl_dataset *dataset, const fl_source *source,
                          fl_reason *why);
} fl_loader;

extern const fl_loader fl_loader_fashion, fl_loader_idx, fl_loader_csv,
    fl_loader_npy, fl_loader_images;

/*
 * Loads by whatever format the spec names or its files show. What the dataset
 * holds after an error is freed by the caller.
 */
FL_CHECK fl_err fl_loader_load(fl_dataset *dataset, const char *spec,
                               const fl_source *wanted, fl_reason *why);

/* The spec without the name of a format; the whole, if it has none. */
const char *fl_loader_place(const char *spec);

/* The spec of a part. */
static inline const char *fl_loader_spec(const fl_data_options *options,
                                         fl_data_part part)
{
    return part == FL_DATA_TEST && options->test_spec ? options->test_spec
                                                      : options->spec;
}

/* Has pictures read at another size, if the options want that. */
FL_CHECK fl_err fl_loader_resize(fl_dataset *dataset,
                                 const fl_data_options *options,
                                 fl_reason *why);

/* Loads the four MNIST files of a folder; has_parts if both pairs are there. */
FL_CHECK fl_err fl_idx_load_folder(fl_dataset *dataset, const char *folder,
                                   const fl_source *source, fl_reason *why);

/* The same, with the names of Fashion-MNIST's classes. */
FL_CHECK fl_err fl_fashion_load_folder(fl_dataset *dataset, const char *folder,
                                       const fl_source *source, fl_reason *why);

/* Whether `path` ends in `ending` or in `ending` and ".gz". */
bool fl_loader_has_ending(const char *path, const char *ending);

/*
 * Numbers the dataset's classes, which are those of both parts, so that each
 * part numbers them alike; `other` may be NULL.
 * FL_ERR_FORMAT: one part has numbers for labels, the other names.
 * FL_ERR_LIMIT: together they name too many.
 */
FL_CHECK fl_err fl_classes_number(fl_dataset *dataset, const fl_dataset *other,
                                  fl_reason *why);

/*
 * The same for the data of one device. Classes are those of `known`, if there
 * are any, else numbers, if most names of the outline are such, else all names
 * of the outline. Rows of others are passed over, which `skip` is told once a
 * class. FL_ERR_NOT_FOUND: no row is left.
 */
FL_CHECK fl_err fl_classes_number_own(fl_dataset *dataset,
                                      const fl_dataset *outline,
                                      const fl_names *known,
                                      const fl_data_skip *skip, fl_reason *why);

#endif
