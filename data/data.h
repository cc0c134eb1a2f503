/*
 * Labelled examples and how they are dealt to clients.
 *
 * A dataset is a table in memory: one row an example, each row a picture-like
 * block of (height, width, channels) values, NHWC, and a class label. Tables
 * (CSV) are (1, 1, columns). Rows are kept in the type they came in (bytes
 * stay bytes) and become floats batch by batch, so that 60,000 pictures cost
 * 47 MB, not 188 MB. Bytes read as value / 255, in [0, 1]; other numbers
 * as they are. Standardising is the model's first layer, not done here.
 *
 * A partition says which rows belong to which client. It depends only on the
 * labels, the groups, the options and the seed.
 *
 * Read-only after loading; then any number of threads may read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_DATA_DATA_H
#define FL_DATA_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"

#define FL_DATA_ROWS_MAX    (1u << 24)
#define FL_DATA_VALUES_MAX  (1u << 22)  // of one row
#define FL_DATA_CLASSES_MAX (1u << 16)

typedef struct {
    uint32_t height, width, channels;
} fl_shape;

/* Values in one row; fits size_t for every shape that a loader accepts. */
static inline size_t fl_shape_size(fl_shape shape)
{
    return (size_t)shape.height * shape.width * shape.channels;
}

typedef enum {
    FL_DATA_TRAIN,  // the part to learn from
    FL_DATA_TEST,   // the part held out
} fl_data_part;

/* `what` names the file or line, and what is wrong with it; borrowed. */
typedef struct {
    void (*tell)(void *self, const char *what);
    void *self;
} fl_data_skip;

typedef struct {
    /*
     * What to load, one of
     *   fashion-mnist             Debian's dataset-fashion-mnist
     *   idx:DIR                   the four MNIST file names, .gz or not
     *   idx:IMAGES,LABELS
     *   csv:FILE                  with a header line
     *   npy:VALUES,LABELS         (N, ...) numbers and (N) integers
     *   images:DIR                DIR/CLASS/NAME.png|jpg; or DIR/train and
     *                             DIR/test, each with CLASS folders
     * or a path alone: a folder, or a file whose ending tells.
     */
    const char *spec;
    /*
     * Another spec for the test part; NULL: the one that comes with `spec`
     * (fashion-mnist, idx:DIR, images:DIR/test), else a tenth of the rows,
     * picked by `seed`.
     */
    const char *test_spec;
    const char *label_column;  // CSV: its name; NULL: "label", else the last
    const char *group_column;  // CSV: whose rows they are; NULL: none
    /*
     * HEIGHTxWIDTH that pictures are read at, bilinear; NULL: as they are.
     * They stay in memory as they are, and so cost no more.
     */
    const char *resize;
    uint64_t seed;
    /*
     * Who is told of files and lines that are bad and so passed over; NULL:
     * the first of them is an error.
     */
    const fl_data_skip *skip;
} fl_data_options;

typedef struct fl_dataset fl_dataset;

/*
 * Loads one part. The caller owns *dataset: fl_dataset_free.
 * FL_ERR_NOT_FOUND: no such file, or Debian's package is not installed.
 * FL_ERR_FORMAT: the file does not follow its format, holds NaN or infinity,
 * or has no rows. FL_ERR_LIMIT: beyond the maxima above. FL_ERR_RANGE: the
 * spec or a column does not exist, or rows of a table are to be resized.
 * FL_ERR_SYSTEM: a file cannot be read.
 * FL_ERR_MEMORY. *why names file, offset and remedy.
 */
FL_CHECK fl_err fl_dataset_open(fl_dataset **dataset, fl_data_part part,
                                const fl_data_options *options, fl_reason *why);

/*
 * The same without values, for those who want only some rows: it costs memory
 * for the labels alone. Choose rows with fl_dataset_keep, then fl_dataset_fill;
 * nothing else that asks for values may be called before.
 */
FL_CHECK fl_err fl_dataset_open_outline(fl_dataset **dataset, fl_data_part part,
                                        const fl_data_options *options,
                                        fl_reason *why);

/*
 * Reads the values of the rows that are left of an outline, and of no others.
 * `part` and `options` are those that it was opened with. FL_ERR_STATE: the
 * files have changed since. Errors of fl_dataset_open. It is an outline still
 * after an error.
 */
FL_CHECK fl_err fl_dataset_fill(fl_dataset *dataset, fl_data_part part,
                                const fl_data_options *options, fl_reason *why);

/*
 * Loads rows that a model is to classify: of the options `spec`, which is a
 * PNG or JPEG, a folder of them, an .npy or IDX file of values, or a CSV;
 * `label_column`, a column that is left out where there is one, and `resize`.
 * A FORMAT: in front is understood as above. All labels are 0. The caller owns
 * *dataset: fl_dataset_free. Errors of fl_dataset_open.
 */
FL_CHECK fl_err fl_dataset_open_inputs(fl_dataset **dataset,
                                       const fl_data_options *options,
                                       fl_reason *why);

/* The file that a row of inputs is, without its folder; NULL: it is none. */
const char *fl_dataset_row_name(const fl_dataset *dataset, uint32_t row);

/* Accepts NULL. */
void fl_dataset_free(fl_dataset *dataset);

uint32_t fl_dataset_row_count(const fl_dataset *dataset);
fl_shape fl_dataset_shape(const fl_dataset *dataset);
uint32_t fl_dataset_class_count(const fl_dataset *dataset);

/* Labels, one a row, each below the class count; borrowed. */
const uint32_t *fl_dataset_labels(const fl_dataset *dataset);

/* Group numbers, one a row, or NULL when there is no group column. */
const uint32_t *fl_dataset_groups(const fl_dataset *dataset);

/*
 * What the labels and the groups were called in the source: "7", "T-shirt".
 * NULL when out of range or when the source has only numbers.
 */
const char *fl_dataset_class_name(const fl_dataset *dataset, uint32_t label);

/* Bytes of memory that the rows and labels take. */
size_t fl_dataset_bytes(const fl_dataset *dataset);

/*
 * Keeps only rows[0..count), in that order, and gives the other memory back.
 * FL_ERR_RANGE: no rows, more than there are, or one that does not exist.
 * FL_ERR_MEMORY. The dataset is unchanged after an error.
 */
FL_CHECK fl_err fl_dataset_keep(fl_dataset *dataset, const uint32_t *rows,
                                size_t count);

/*
 * Writes the values of rows[0..count) to x (count, H, W, C). Every row
 * must exist (asserted): callers hold row lists made by a partition.
 */
void fl_dataset_read(float *x, const fl_dataset *dataset, const uint32_t *rows,
                     size_t count);

/*
 * Mean and standard deviation of every channel over all rows and pixels, in
 * the unit of fl_dataset_read but before resizing; a constant channel gets
 * deviation 1. mean (C), deviation (C).
 */
void fl_dataset_moments(float *mean, float *deviation,
                        const fl_dataset *dataset);

/* ---- partitions ---- */

typedef enum {
    FL_PARTITION_IID,        // iid: rows at random
    FL_PARTITION_DIRICHLET,  // dirichlet:ALPHA: label mix of each client is
                             // drawn from Dir(ALPHA) (Hsu et al. 2019)
    FL_PARTITION_SHARDS,     // shards:S: sorted by label, S pieces a client
                             // (McMahan et al. 2017)
    FL_PARTITION_COLUMN,     // column: one client a group
} fl_partition_kind;

typedef struct {
    fl_partition_kind kind;
    double alpha;           // DIRICHLET, above 0
    uint32_t shards;        // SHARDS, a client's; at least 1
    uint32_t client_count;  // COLUMN: 0 = as many as there are groups
    uint32_t sample_count;  // rows of each client; 0 = as many as there are,
                            // row_count / client_count; COLUMN: the group
    uint64_t seed;
} fl_partition_options;

typedef struct fl_partition fl_partition;

/*
 * Reads `iid`, `dirichlet:0.3`, `shards:2`, `column`, each with an optional
 * `:CLIENTS` behind it (dirichlet:0.3:100), into kind, alpha, shards and, when
 * given, client_count; leaves the other fields alone.
 * FL_ERR_RANGE: none of these; *why shows the forms.
 */
FL_CHECK fl_err fl_partition_parse(fl_partition_options *options,
                                   const char *text, fl_reason *why);

/*
 * Deals the dataset's rows out. No row is dealt twice. The caller owns
 * *partition: fl_partition_free.
 * FL_ERR_RANGE: fewer rows than client_count * max(sample_count, 1), no group
 * column for COLUMN, or an option outside its range.
 */
FL_CHECK fl_err fl_partition_new(fl_partition **partition,
                                 const fl_dataset *dataset,
                                 const fl_partition_options *options,
                                 fl_reason *why);

/* Accepts NULL. */
void fl_partition_free(fl_partition *partition);

uint32_t fl_partition_client_count(const fl_partition *partition);

/* Rows of one client, borrowed; client < fl_partition_client_count. */
const uint32_t *fl_partition_rows(const fl_partition *partition,
                                  uint32_t client, uint32_t *row_count);

#include "data/own.h"
#include "data/settings.h"

#endif
