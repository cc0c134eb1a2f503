/*
 * Formats that are a header and then numbers in C order: IDX and .npy.
 *
 * A format reads its header into fl_array; what follows is the same for both:
 * the first dimension counts the rows, (N, F), (N, H, W) or (N, H, W, C).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_DATA_ARRAY_H
#define FL_DATA_ARRAY_H

#include "data/loader.h"
#include "data/stream.h"

enum { FL_ARRAY_DIMS_MAX = 4 };

typedef struct {
    fl_number_type type;
    bool big_endian;
    unsigned dim_count;
    uint64_t dims[FL_ARRAY_DIMS_MAX];
} fl_array;

/* Reads a header and stops at the first number. */
typedef fl_err fl_array_header(fl_array *array, fl_stream *stream,
                               fl_reason *why);

/*
 * Fills the dataset from a file of values and a file of labels.
 * FL_ERR_FORMAT: a header announces what the file does not hold, the two
 * disagree about the rows, a value is not finite, a label is no class.
 * FL_ERR_LIMIT: too many rows, values or classes. Nothing is allocated
 * before the announced sizes fit into the file.
 */
FL_CHECK fl_err fl_array_load(fl_dataset *dataset, const char *values_path,
                              const char *labels_path,
                              fl_array_header *read_header,
                              const fl_source *source, fl_reason *why);

/* Only the values, without labels: inputs. Errors as above. */
FL_CHECK fl_err fl_array_load_values(fl_dataset *dataset, const char *path,
                                     fl_array_header *read_header,
                                     const fl_source *source, fl_reason *why);

/*
 * Cuts "VALUES,LABELS" at its last comma and loads the two.
 * FL_ERR_RANGE: there is no comma, or a path is too long.
 */
FL_CHECK fl_err fl_array_load_pair(fl_dataset *dataset, const fl_source *source,
                                   fl_array_header *read_header,
                                   const char *format_name, fl_reason *why);

#endif
