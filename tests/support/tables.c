/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/tables.h"

#include <stdlib.h>

#include "base/random.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

static fl_dataset *open_spec(const char *spec)
{
    fl_dataset *dataset = NULL;
    fl_reason why = {""};
    // The test part of a split would take rows away: name one of its own.
    const fl_data_options options = {.spec = spec, .test_spec = spec};
    const fl_err err = fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
    return dataset;
}

/* ---- tables ---- */

static size_t put_row(char *text, size_t cap, const float *values,
                      uint32_t columns, uint32_t label)
{
    size_t len = 0;
    for (uint32_t c = 0; c < columns; c++)
        len +=
            (size_t)snprintf(text + len, cap - len, "%.9g,", (double)values[c]);
    return len + (size_t)snprintf(text + len, cap - len, "c%u\n", label);
}

fl_dataset *table_of(const float *values, uint32_t row_count, uint32_t columns)
{
    const size_t cap = (size_t)(row_count + 1) * (columns + 1) * 24;
    char *text = calloc(cap, 1);
    assert_non_null(text);
    size_t len = 0;
    for (uint32_t c = 0; c < columns; c++)
        len += (size_t)snprintf(text + len, cap - len, "x%u,", c);
    len += (size_t)snprintf(text + len, cap - len, "label\n");
    for (uint32_t i = 0; i < row_count; i++)
        len += put_row(text + len, cap - len, values + (size_t)i * columns,
                       columns, i % 2);

    data_files files;
    char spec[4 * DATA_PATH_CAP];
    data_files_init(&files);
    data_files_put_text(&files, "table.csv", text);
    data_files_spec(spec, &files, "csv", "table.csv", NULL);
    fl_dataset *dataset = open_spec(spec);
    data_files_fini(&files);
    free(text);
    return dataset;
}

/* ---- pictures ---- */

static uint8_t pixel_of(uint32_t label, uint32_t at, fl_random *noise)
{
    fl_random pattern;
    fl_random_init(&pattern, at, FL_RANDOM_TEST, label);
    return (uint8_t)(fl_random_below(&pattern, 128) +
                     fl_random_below(noise, 128));
}

fl_dataset *table_of_pictures(uint32_t row_count, uint32_t side,
                              uint32_t class_count)
{
    const uint32_t pixels = side * side;
    const uint32_t sizes[] = {row_count, side, side};
    const size_t len = (size_t)row_count * pixels;
    uint8_t *values = malloc(len), *labels = malloc(row_count);
    uint8_t *idx = malloc(len + 16);
    assert_true(values && labels && idx);
    fl_random noise;
    fl_random_init(&noise, 1, FL_RANDOM_TEST, UINT32_MAX);
    for (uint32_t i = 0; i < row_count; i++) {
        labels[i] = (uint8_t)(i % class_count);
        for (uint32_t k = 0; k < pixels; k++)
            values[(size_t)i * pixels + k] = pixel_of(labels[i], k, &noise);
    }

    data_files files;
    char spec[4 * DATA_PATH_CAP];
    data_files_init(&files);
    data_files_put(&files, "values", idx,
                   data_files_idx(idx, sizes, 3, values, len));
    data_files_put(&files, "labels", idx,
                   data_files_idx(idx, sizes, 1, labels, row_count));
    data_files_spec(spec, &files, "idx", "values", "labels");
    fl_dataset *dataset = open_spec(spec);
    data_files_fini(&files);
    free(values);
    free(labels);
    free(idx);
    return dataset;
}
