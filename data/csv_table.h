/*
 * A CSV while it is being read: libcsv hands over fields and ends of rows, and
 * rows of a dataset come out.
 *
 *   init --take_field, take_row, ...--> finish
 *
 * What is wrong with a row is in `err` until its end, which passes it over
 * where that is wanted; otherwise `err` stays, and nothing more is taken.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_DATA_CSV_TABLE_H
#define FL_DATA_CSV_TABLE_H

#include "data/loader.h"

// Text that outlives the call in which libcsv hands it over.
typedef struct {
    char *text;
    size_t len, cap;
} fl_csv_cell;

typedef struct {
    fl_dataset *dataset;
    const fl_source *source;
    const char *path;
    fl_reason *why;
    fl_err err;     // the first failure; what libcsv still brings is ignored
    uint64_t line;  // the one being fed, from 1
    fl_names header;
    bool has_header;
    uint32_t label_column, group_column;
    fl_names group_names;
    // Classes and groups are those of rows that are good to their end.
    fl_csv_cell label, group;
    uint32_t field;    // fields of the row seen so far
    uint32_t feature;  // feature columns among them
    size_t row_cap;
} fl_csv_table;

/* dataset, source, path and why are set, all else is zero. */
void fl_csv_table_init(fl_csv_table *table);

void fl_csv_table_fini(fl_csv_table *table);

/* For libcsv: `context` is the table. */
void fl_csv_take_field(void *text, size_t len, void *context);
void fl_csv_take_row(int terminator, void *context);

/* The row that has begun is none: a record, but a bad one. */
void fl_csv_table_drop_row(fl_csv_table *table);

/* FL_ERR_FORMAT, FL_ERR_NOT_FOUND (fl_source_empty): there are no rows. */
FL_CHECK fl_err fl_csv_table_finish(fl_csv_table *table);

fl_err fl_csv_table_say_memory(const fl_csv_table *table);

#endif
