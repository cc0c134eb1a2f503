/*
 * The data of one device: rows that nobody else has, in files that grow while
 * a program runs. Part of data/data.h, which includes this at its end.
 *
 * What is bad is passed over, and what is half written waits: a picture that
 * ends too early, a line of a CSV without its line break. Which rows come out
 * depends on what is there, not on when it came.
 *
 * Where pictures lie: ROOT/CLASS/NAME, no deeper. Names that begin with a dot
 * are not looked at, symbolic links are followed; pipes and devices are bad.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_DATA_OWN_H
#define FL_DATA_OWN_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "data/data.h"

#define FL_OWN_FILES_MAX (1u << 18)
#define FL_OWN_BYTES_MAX (UINT64_C(1) << 36)

typedef struct {
    /*
     * What the classes are called, separated by `separator`, in the order of
     * their numbers: rows of others are passed over. NULL: classes are those
     * of the data, numbered in byte order.
     */
    const char *classes;
    char separator;
    uint32_t row_cap;         // more are sampled (picks.h); 0: any
    size_t byte_cap;          // of memory for the rows, likewise
    uint32_t file_max;        // 0: FL_OWN_FILES_MAX
    uint64_t file_bytes_max;  // of all files together; 0: FL_OWN_BYTES_MAX
    const atomic_bool *stop;  // set by anyone: leave soon; or NULL
} fl_own_options;

/*
 * Loads all rows of options->spec, which must have a `skip`. The caller owns
 * *dataset: fl_dataset_free. FL_ERR_NOT_FOUND: nothing there is good to learn
 * from (yet). FL_ERR_LIMIT: byte_cap is less than one row. FL_ERR_CANCELLED:
 * *stop was set. And other errors of fl_dataset_open, of files that are taken
 * whole or not at all: arrays, the header of a CSV.
 */
FL_CHECK fl_err fl_dataset_open_own(fl_dataset **dataset,
                                    const fl_data_options *options,
                                    const fl_own_options *own, fl_reason *why);

/* Rows of the source, also those that are not in a sample. */
uint32_t fl_dataset_record_count(const fl_dataset *dataset);

/*
 * Another number whenever a file of the spec has come, gone, or changed in
 * size, time or inode; never 0. Reads no file. FL_ERR_NOT_FOUND: there is no
 * such place. FL_ERR_LIMIT: too many files or bytes.
 */
FL_CHECK fl_err fl_own_stamp(uint64_t *stamp, const char *spec,
                             const fl_own_options *own, fl_reason *why);

/*
 * A number for every row, made of its values and `key`: digests (row_count).
 * Equal rows have equal numbers, wherever they stand.
 */
void fl_dataset_digest_rows(uint64_t *digests, const fl_dataset *dataset,
                            uint64_t key);

#endif
