/* SPDX-License-Identifier: Apache-2.0 */
#include "data/array.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { CHUNK_NUMBERS = 8192 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static fl_err check_dims(const fl_array *array, const fl_stream *stream,
                         fl_reason *why)
{
    const char *path = fl_stream_path(stream);
    for (unsigned i = 0; i < array->dim_count; i++) {
        if (array->dims[i] > 0) continue;
        return fl_reason_set(why, FL_ERR_FORMAT,
                             i == 0 ? "%s: has no rows"
                                    : "%s: a dimension of its rows is 0",
                             path);
    }
    if (array->dims[0] > FL_DATA_ROWS_MAX) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "%s: announces %" PRIu64
                             " rows, at most %u are possible",
                             path, array->dims[0], FL_DATA_ROWS_MAX);
    }
    uint64_t values = 1;
    for (unsigned i = 1; i < array->dim_count; i++) {
        // Both factors are checked to be small: no overflow.
        if (array->dims[i] <= FL_DATA_VALUES_MAX) values *= array->dims[i];
        if (array->dims[i] > FL_DATA_VALUES_MAX ||
            values > FL_DATA_VALUES_MAX) {
            return fl_reason_set(why, FL_ERR_LIMIT,
                                 "%s: announces more than %u values in a row",
                                 path, FL_DATA_VALUES_MAX);
        }
    }
    return FL_OK;
}

// Needs check_dims to have passed.
static size_t row_values(const fl_array *array)
{
    uint64_t values = 1;
    for (unsigned i = 1; i < array->dim_count; i++) {
        values *= array->dims[i];
    }
    return (size_t)values;
}

// The numbers that follow the header must be able to be in the file.
static fl_err check_length(size_t *number_count, const fl_array *array,
                           const fl_stream *stream, fl_reason *why)
{
    size_t bytes;
    if (fl_size_mul(number_count, (size_t)array->dims[0], row_values(array)) ||
        fl_size_mul(&bytes, *number_count, fl_number_len(array->type))) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "%s: is too large for this machine's memory",
                             fl_stream_path(stream));
    }
    const uint64_t held = fl_stream_left_max(stream);
    if (bytes <= held) return FL_OK;
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "%s: byte %" PRIu64 ": the header announces %" PRIu64
                         " rows, %zu bytes, but at most %" PRIu64
                         " bytes follow; copy or download the file again",
                         fl_stream_path(stream), fl_stream_offset(stream),
                         array->dims[0], bytes, held);
}

static fl_err read_dims(fl_array *array, size_t *number_count,
                        fl_stream *stream, fl_array_header *read_header,
                        fl_reason *why)
{
    FL_TRY(read_header(array, stream, why));
    FL_TRY(check_dims(array, stream, why));
    return check_length(number_count, array, stream, why);
}

static fl_shape shape_of(const fl_array *array)
{
    const uint32_t first = (uint32_t)array->dims[1];
    switch (array->dim_count) {
    case 2: return (fl_shape){1, 1, first};
    case 3: return (fl_shape){first, (uint32_t)array->dims[2], 1};
    default:
        return (fl_shape){first, (uint32_t)array->dims[2],
                          (uint32_t)array->dims[3]};
    }
}

static fl_err say_not_finite(uint64_t row, uint64_t place,
                             const fl_stream *stream, fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "%s: row %" PRIu64 ", value %" PRIu64
                         ": is NaN, infinite or beyond float; replace it or "
                         "leave the row out",
                         fl_stream_path(stream), row, place);
}

// `count` numbers, of which the first is that of `row`.
static fl_err read_numbers(void *dst, size_t count, uint32_t row,
                           const fl_array *array, fl_stream *stream,
                           fl_reason *why)
{
    const size_t len = fl_number_len(array->type);
    if (len == 1) return fl_stream_fill(dst, count, stream, why);

    uint8_t chunk[CHUNK_NUMBERS * sizeof(uint64_t)];
    const size_t kept_len = fl_number_len(fl_number_kept_as(array->type));
    for (size_t done = 0; done < count; done += CHUNK_NUMBERS) {
        const size_t part = smaller(count - done, CHUNK_NUMBERS);
        size_t bad = 0;
        FL_TRY(fl_stream_fill(chunk, part * len, stream, why));
        if (fl_number_decode((char *)dst + done * kept_len, &bad, chunk, part,
                             array->type, array->big_endian)) {
            const size_t row_len = row_values(array);
            return say_not_finite(row + (done + bad) / row_len,
                                  (done + bad) % row_len, stream, why);
        }
    }
    return FL_OK;
}

// At least one is: nobody picks none.
static uint32_t count_wanted(const fl_source *source, uint32_t record_count)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < record_count; i++) {
        count += fl_source_wants(source, i);
    }
    return count;
}

// Row by row, without room for those that nobody wants.
static fl_err read_picked(uint8_t *dst, const fl_array *array,
                          const fl_source *source, fl_stream *stream,
                          fl_reason *why)
{
    const size_t count = row_values(array);
    const size_t kept_len =
        count * fl_number_len(fl_number_kept_as(array->type));
    for (uint32_t row = 0; row < array->dims[0]; row++) {
        if (!fl_source_wants(source, row)) {
            FL_TRY(fl_stream_skip(count * fl_number_len(array->type), stream,
                                  why));
            continue;
        }
        FL_TRY(read_numbers(dst, count, row, array, stream, why));
        dst += kept_len;
    }
    return FL_OK;
}

static fl_err read_rows(fl_dataset *dataset, const fl_array *array,
                        const fl_source *source, fl_stream *stream,
                        fl_reason *why)
{
    // check_length has multiplied them for more rows.
    const size_t len =
        dataset->row_count * row_values(array) * fl_number_len(dataset->type);
    dataset->values = len > 0 ? malloc(len) : NULL;
    if (!dataset->values) {
        return fl_reason_set(why, FL_ERR_MEMORY, "%s: %zu bytes do not fit",
                             fl_stream_path(stream), len);
    }
    FL_TRY(source->picks
               ? read_picked(dataset->values, array, source, stream, why)
               : read_numbers(dataset->values,
                              dataset->row_count * row_values(array), 0, array,
                              stream, why));
    return fl_stream_finish(stream, why);
}

fl_err fl_array_load_values(fl_dataset *dataset, const char *path,
                            fl_array_header *read_header,
                            const fl_source *source, fl_reason *why)
{
    fl_stream *stream = NULL;
    fl_array array = {0};
    size_t count = 0;
    fl_err err = fl_stream_open(&stream, path, why);
    if (!err) err = read_dims(&array, &count, stream, read_header, why);
    if (err) goto out;
    if (array.dim_count < 2) {
        err = fl_reason_set(why, FL_ERR_FORMAT,
                            "%s: has one dimension; values need the shape "
                            "(N, F), (N, H, W) or (N, H, W, C)",
                            path);
        goto out;
    }
    dataset->type = fl_number_kept_as(array.type);
    dataset->shape = shape_of(&array);
    dataset->record_count = (uint32_t)array.dims[0];
    dataset->row_count = count_wanted(source, dataset->record_count);
    if (!source->labels_only) {
        err = read_rows(dataset, &array, source, stream, why);
    }

out:
    fl_stream_close(stream);
    return err;
}

static fl_err take_label(fl_dataset *dataset, uint32_t row, uint32_t record,
                         double value, const char *path, fl_reason *why)
{
    if (value < 0) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s: row %" PRIu32
                             ": label %.0f is negative; classes count from 0",
                             path, record, value);
    }
    if (value >= FL_DATA_CLASSES_MAX) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "%s: row %" PRIu32
                             ": label %.0f; classes are below %u",
                             path, record, value, FL_DATA_CLASSES_MAX);
    }
    dataset->labels[row] = (uint32_t)value;
    if (dataset->class_count <= dataset->labels[row]) {
        dataset->class_count = dataset->labels[row] + 1;
    }
    return FL_OK;
}

static fl_err read_labels(fl_dataset *dataset, const fl_array *array,
                          const fl_source *source, fl_stream *stream,
                          fl_reason *why)
{
    uint8_t chunk[CHUNK_NUMBERS * sizeof(uint64_t)];
    const size_t len = fl_number_len(array->type);
    const uint32_t count = dataset->record_count;
    uint32_t row = 0;
    for (uint32_t done = 0; done < count; done += CHUNK_NUMBERS) {
        const uint32_t part = (uint32_t)smaller(count - done, CHUNK_NUMBERS);
        FL_TRY(fl_stream_fill(chunk, part * len, stream, why));
        for (uint32_t i = 0; i < part; i++) {
            if (!fl_source_wants(source, done + i)) continue;
            FL_TRY(take_label(
                dataset, row++, done + i,
                fl_number_get(chunk + i * len, array->type, array->big_endian),
                fl_stream_path(stream), why));
        }
    }
    return fl_stream_finish(stream, why);
}

static fl_err check_labels(const fl_array *array, uint32_t row_count,
                           const char *path, const char *values_path,
                           fl_reason *why)
{
    if (!fl_number_is_integer(array->type)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s: labels must be integers, these are "
                             "floating-point numbers",
                             path);
    }
    if (row_values(array) != 1) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s: holds %zu numbers a row; labels are one",
                             path, row_values(array));
    }
    if (array->dims[0] != row_count) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s: holds %" PRIu64
                             " labels, but %s holds %" PRIu32
                             " rows; the two do not belong together",
                             path, array->dims[0], values_path, row_count);
    }
    return FL_OK;
}

static fl_err load_labels(fl_dataset *dataset, const char *path,
                          const char *values_path, fl_array_header *read_header,
                          const fl_source *source, fl_reason *why)
{
    fl_stream *stream = NULL;
    fl_array array = {0};
    size_t count = 0;
    fl_err err = fl_stream_open(&stream, path, why);
    if (!err) err = read_dims(&array, &count, stream, read_header, why);
    if (!err) {
        err =
            check_labels(&array, dataset->record_count, path, values_path, why);
    }
    if (err) goto out;
    dataset->label_kind = FL_LABELS_NUMBERS;
    dataset->labels =
        calloc(dataset->row_count + (size_t)1, sizeof *dataset->labels);
    err = dataset->labels
              ? read_labels(dataset, &array, source, stream, why)
              : fl_reason_set(why, FL_ERR_MEMORY, "%s: out of memory", path);

out:
    fl_stream_close(stream);
    return err;
}

fl_err fl_array_load(fl_dataset *dataset, const char *values_path,
                     const char *labels_path, fl_array_header *read_header,
                     const fl_source *source, fl_reason *why)
{
    FL_TRY(
        fl_array_load_values(dataset, values_path, read_header, source, why));
    return load_labels(dataset, labels_path, values_path, read_header, source,
                       why);
}

fl_err fl_array_load_pair(fl_dataset *dataset, const fl_source *source,
                          fl_array_header *read_header, const char *format_name,
                          fl_reason *why)
{
    char values_path[FL_LOADER_PATH_CAP];
    const char *comma = strrchr(source->place, ',');
    if (!comma || comma == source->place || !comma[1]) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%s: needs a second file with the labels: "
                             "%s:VALUES,LABELS",
                             source->place, format_name);
    }
    const size_t len = (size_t)(comma - source->place);
    if (len >= sizeof values_path) {
        return fl_reason_set(why, FL_ERR_RANGE, "a path of %zu bytes", len);
    }
    memcpy(values_path, source->place, len);
    values_path[len] = '\0';
    return fl_array_load(dataset, values_path, comma + 1, read_header, source,
                         why);
}
