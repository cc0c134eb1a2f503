/*
 * CSV after RFC 4180: a header line with the columns' names, then one row a
 * line. One column is the label, one may be the group, all others are numbers.
 *
 * libcsv is fed line by line, so that every sentence can say which one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <csv.h>

#include "base/bytes.h"
#include "data/loader.h"
#include "data/stream.h"

enum {
    CHUNK_LEN = 1 << 16,
    FIELD_LEN_MAX = 1 << 20,
    ROWS_FIRST = 256,
    LIST_CAP = 160,
};

static const uint32_t NO_COLUMN = UINT32_MAX;

// Text that outlives the call in which libcsv hands it over.
typedef struct {
    char *text;
    size_t len, cap;
} csv_cell;

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
    csv_cell label, group;
    uint32_t field;    // fields of the row seen so far
    uint32_t feature;  // feature columns among them
    size_t row_cap;
} csv_table;

static fl_err say_memory(csv_table *table)
{
    return fl_reason_set(table->why, FL_ERR_MEMORY,
                         "%s: line %" PRIu64 ": out of memory", table->path,
                         table->line);
}

/* ---- the header line ---- */

static void read_name(csv_table *table, const char *text, size_t len)
{
    uint32_t number = 0;
    const uint32_t before = table->header.count;
    if (len == 0) {
        table->err =
            fl_reason_set(table->why, FL_ERR_FORMAT,
                          "%s: line %" PRIu64 ": column %" PRIu32
                          " has no name (pandas: to_csv(..., index=False))",
                          table->path, table->line, table->field + 1);
        return;
    }
    const fl_err err = fl_names_add(&table->header, &number, text, len);
    if (err) {
        table->err =
            fl_reason_set(table->why, err,
                          "%s: line %" PRIu64 ": column %" PRIu32
                          ": %s (at most %u columns; text without zero bytes)",
                          table->path, table->line, table->field + 1,
                          fl_err_text(err), FL_DATA_VALUES_MAX);
    } else if (table->header.count == before) {
        table->err =
            fl_reason_set(table->why, FL_ERR_FORMAT,
                          "%s: line %" PRIu64 ": two columns are named '%s'",
                          table->path, table->line, text);
    }
    table->field++;
}

static uint32_t find_column(const fl_names *header, const char *name)
{
    for (uint32_t i = 0; i < header->count; i++) {
        if (strcmp(fl_names_get(header, i), name) == 0) return i;
    }
    return NO_COLUMN;
}

static fl_err say_no_column(const csv_table *table, const char *name)
{
    char list[LIST_CAP] = "";
    size_t len = 0;
    for (uint32_t i = 0; i < table->header.count && len < sizeof list; i++) {
        const int more =
            snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "",
                     fl_names_get(&table->header, i));
        if (more > 0) len += (size_t)more;
    }
    return fl_reason_set(table->why, FL_ERR_RANGE,
                         "%s: there is no column '%s'; line 1 names %s%s",
                         table->path, name, list,
                         len < sizeof list ? "" : "...");
}

// Of inputs: what there is of labels and groups is no value of a row.
static void leave_out_columns(csv_table *table)
{
    const fl_data_options *options = table->source->options;
    const char *label = options->label_column;
    table->label_column = find_column(&table->header, label ? label : "label");
    table->group_column =
        options->group_column
            ? find_column(&table->header, options->group_column)
            : NO_COLUMN;
}

static fl_err choose_columns(csv_table *table)
{
    const fl_data_options *options = table->source->options;
    if (table->source->values_only) {
        leave_out_columns(table);
        return FL_OK;
    }
    const char *label = options->label_column;
    table->label_column = find_column(&table->header, label ? label : "label");
    if (table->label_column == NO_COLUMN) {
        if (label) return say_no_column(table, label);
        table->label_column = table->header.count - 1;
    }
    table->group_column = NO_COLUMN;
    if (!options->group_column) return FL_OK;
    table->group_column = find_column(&table->header, options->group_column);
    if (table->group_column == NO_COLUMN) {
        return say_no_column(table, options->group_column);
    }
    if (table->group_column == table->label_column) {
        return fl_reason_set(table->why, FL_ERR_RANGE,
                             "%s: column '%s' cannot be both the label and "
                             "the group",
                             table->path, options->group_column);
    }
    return FL_OK;
}

static bool read_number(float *value, const char *text)
{
    char *end;
    // strtod would also take spaces, "inf", "nan" and hexadecimal.
    if (!*text || text[strspn(text, "0123456789.eE+-")]) return false;
    *value = (float)strtod(text, &end);
    return !*end && isfinite(*value);
}

static bool is_all_numbers(const fl_names *names)
{
    float value;
    for (uint32_t i = 0; i < names->count; i++) {
        if (!read_number(&value, fl_names_get(names, i))) return false;
    }
    return true;
}

static fl_err check_header(const csv_table *table)
{
    if (is_all_numbers(&table->header)) {
        return fl_reason_set(table->why, FL_ERR_FORMAT,
                             "%s: line %" PRIu64
                             ": must name the columns, holds only numbers",
                             table->path, table->line);
    }
    if (table->header.count == 1 && !table->source->values_only) {
        return fl_reason_set(table->why, FL_ERR_FORMAT,
                             "%s: line %" PRIu64
                             ": names a single column; separate columns by "
                             "commas",
                             table->path, table->line);
    }
    return FL_OK;
}

static fl_err finish_header(csv_table *table)
{
    fl_dataset *dataset = table->dataset;
    FL_TRY(check_header(table));
    FL_TRY(choose_columns(table));
    for (uint32_t i = 0; i < table->header.count; i++) {
        if (i == table->label_column || i == table->group_column) continue;
        const char *name = fl_names_get(&table->header, i);
        uint32_t number;
        if (fl_names_add(&dataset->columns, &number, name, strlen(name))) {
            return say_memory(table);
        }
    }
    if (dataset->columns.count == 0) {
        return fl_reason_set(table->why, FL_ERR_FORMAT,
                             "%s: has a label and a group, but no column of "
                             "numbers",
                             table->path);
    }
    dataset->type = FL_NUMBER_F32;
    dataset->label_kind = FL_LABELS_CELLS;
    dataset->shape = (fl_shape){1, 1, dataset->columns.count};
    table->has_header = true;
    return FL_OK;
}

/* ---- rows ---- */

static bool resize(void **items, size_t count, size_t item_len)
{
    size_t len;
    if (fl_size_mul(&len, count, item_len)) return false;
    void *resized = realloc(*items, len);
    if (resized) *items = resized;
    return resized != NULL;
}

static fl_err resize_rows(csv_table *table, size_t count)
{
    fl_dataset *dataset = table->dataset;
    const size_t row_len = dataset->columns.count * sizeof(float);
    void *values = dataset->values, *labels = dataset->labels,
         *groups = dataset->groups;
    const bool is_done =
        (table->source->labels_only || resize(&values, count, row_len)) &&
        resize(&labels, count, sizeof *dataset->labels) &&
        (table->group_column == NO_COLUMN || table->source->values_only ||
         resize(&groups, count, sizeof *dataset->groups));
    dataset->values = values;
    dataset->labels = labels;
    dataset->groups = groups;
    if (!is_done) return say_memory(table);
    table->row_cap = count;
    return FL_OK;
}

static fl_err make_room(csv_table *table)
{
    if (table->dataset->row_count < table->row_cap) return FL_OK;
    if (table->row_cap >= FL_DATA_ROWS_MAX) {
        return fl_reason_set(table->why, FL_ERR_LIMIT,
                             "%s: line %" PRIu64
                             ": more than %u rows; split the file",
                             table->path, table->line, FL_DATA_ROWS_MAX);
    }
    const fl_picks *picks = table->source->picks;
    if (picks) return resize_rows(table, picks->picked_count);
    return resize_rows(table, table->row_cap ? 2 * table->row_cap : ROWS_FIRST);
}

static fl_err say_value(const csv_table *table, fl_err err, const char *text,
                        const char *fault)
{
    return fl_reason_set(
        table->why, err, "%s: line %" PRIu64 ", column '%s': value '%.40s' %s",
        table->path, table->line, fl_names_get(&table->header, table->field),
        text, fault);
}

static fl_err read_feature(csv_table *table, const char *text)
{
    const size_t place =
        (size_t)table->dataset->row_count * table->dataset->columns.count +
        table->feature++;
    float value = 0.0F;
    if (table->source->labels_only) return FL_OK;
    if (!read_number(&value, text)) {
        return say_value(table, FL_ERR_FORMAT, text,
                         "is not a finite number; fill it in or leave the "
                         "row out");
    }
    ((float *)table->dataset->values)[place] = value;
    return FL_OK;
}

static fl_err save_cell(csv_cell *cell, csv_table *table, const char *text,
                        size_t len)
{
    if (len == 0) return say_value(table, FL_ERR_FORMAT, text, "is empty");
    if (cell->cap <= len) {
        char *grown = realloc(cell->text, 2 * (len + 1));
        if (!grown) return say_memory(table);
        cell->text = grown;
        cell->cap = 2 * (len + 1);
    }
    memcpy(cell->text, text, len);
    cell->text[len] = '\0';
    cell->len = len;
    return FL_OK;
}

static fl_err number_cell(uint32_t *number, fl_names *names, csv_table *table,
                          const csv_cell *cell, uint32_t column)
{
    const fl_err err = fl_names_add(names, number, cell->text, cell->len);
    table->field = column;  // for the sentence
    switch ((int)err) {
    case FL_OK: return FL_OK;
    case FL_ERR_FORMAT:
        return say_value(table, err, cell->text, "has a zero byte in it");
    case FL_ERR_LIMIT:
        return say_value(table, err, cell->text,
                         "is one too many; is this the right column?");
    default: return say_memory(table);
    }
}

static fl_err read_cell(csv_table *table, const char *text, size_t len)
{
    if (table->field == 0) FL_TRY(make_room(table));
    if (table->source->values_only && (table->field == table->label_column ||
                                       table->field == table->group_column)) {
        return FL_OK;
    }
    if (table->field == table->label_column) {
        return save_cell(&table->label, table, text, len);
    }
    if (table->field == table->group_column) {
        return save_cell(&table->group, table, text, len);
    }
    return read_feature(table, text);
}

static fl_err finish_row(csv_table *table)
{
    fl_dataset *dataset = table->dataset;
    const uint32_t row = dataset->row_count;
    if (table->field != table->header.count) {
        return fl_reason_set(table->why, FL_ERR_FORMAT,
                             "%s: line %" PRIu64 ": %" PRIu32
                             " values, but line 1 names %" PRIu32 " columns",
                             table->path, table->line, table->field,
                             table->header.count);
    }
    if (!table->source->values_only) {
        FL_TRY(number_cell(&dataset->labels[row], &dataset->class_names, table,
                           &table->label, table->label_column));
    }
    if (!table->source->values_only && table->group_column != NO_COLUMN) {
        FL_TRY(number_cell(&dataset->groups[row], &table->group_names, table,
                           &table->group, table->group_column));
    }
    dataset->row_count++;
    return FL_OK;
}

static bool is_wanted(const csv_table *table)
{
    return !table->has_header ||
           fl_source_wants(table->source, table->dataset->record_count);
}

static void on_field(void *text, size_t len, void *context)
{
    csv_table *table = context;
    if (table->err || !is_wanted(table)) return;
    if (!table->has_header) {
        read_name(table, text, len);
        return;
    }
    if (table->field < table->header.count) {
        table->err = read_cell(table, text, len);
    }
    table->field++;
}

// A bad row costs no other one, if somebody is told of it.
static void end_record(csv_table *table)
{
    if (is_wanted(table) && !table->err) table->err = finish_row(table);
    if (table->err) {
        table->err = fl_source_pass_over(table->source, table->err, table->why);
    }
    if (!table->err) table->dataset->record_count++;
}

static void on_row(int terminator, void *context)
{
    (void)terminator;
    csv_table *table = context;
    if (table->has_header) {
        end_record(table);
    } else if (!table->err) {
        table->err = finish_header(table);
    }
    table->field = 0;
    table->feature = 0;
}

/* ---- the file ---- */

// A quote that is never closed would otherwise swallow the whole file.
static void *realloc_field(void *field, size_t len)
{
    return len <= FIELD_LEN_MAX ? realloc(field, len) : NULL;
}

static fl_err say_libcsv(const csv_table *table, struct csv_parser *parser)
{
    if (csv_error(parser) == CSV_EPARSE) {
        return fl_reason_set(table->why, FL_ERR_FORMAT,
                             "%s: line %" PRIu64
                             ": a quote is out of place; a quoted value ends "
                             "with one, and one inside is written twice",
                             table->path, table->line);
    }
    return fl_reason_set(table->why, FL_ERR_LIMIT,
                         "%s: line %" PRIu64
                         ": a value of more than %d bytes; is a quote not "
                         "closed?",
                         table->path, table->line, FIELD_LEN_MAX);
}

static fl_err start_parser(csv_table *table, struct csv_parser *parser)
{
    if (csv_init(parser, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL)) {
        return say_memory(table);
    }
    csv_set_realloc_func(parser, realloc_field);
    return FL_OK;
}

// Begins anew behind the line that libcsv did not understand.
static fl_err recover(csv_table *table, struct csv_parser *parser)
{
    const fl_err err = say_libcsv(table, parser);
    if (!table->has_header) return err;
    FL_TRY(fl_source_pass_over(table->source, err, table->why));
    csv_free(parser);
    FL_TRY(start_parser(table, parser));
    table->err = FL_OK;
    table->field = 0;
    table->feature = 0;
    table->dataset->record_count++;
    return FL_OK;
}

// What is wrong with a row is for its end to say, where others may go on.
static bool is_lost(const csv_table *table)
{
    const bool goes_on = table->source->options->skip && table->has_header &&
                         table->err != FL_ERR_MEMORY;
    return table->err && !goes_on;
}

static fl_err feed_chunk(csv_table *table, struct csv_parser *parser,
                         const char *chunk, size_t len)
{
    while (len > 0) {
        const char *newline = memchr(chunk, '\n', len);
        const size_t part = newline ? (size_t)(newline - chunk) + 1 : len;
        if (csv_parse(parser, chunk, part, on_field, on_row, table) != part) {
            FL_TRY(recover(table, parser));
        }
        if (is_lost(table)) return table->err;
        if (newline) table->line++;
        chunk += part;
        len -= part;
    }
    return FL_OK;
}

static fl_err feed_file(csv_table *table, struct csv_parser *parser,
                        fl_stream *stream)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    const size_t mark_len = sizeof byte_order_mark - 1;
    char chunk[CHUNK_LEN];
    for (;;) {
        const bool is_first = fl_stream_offset(stream) == 0;
        size_t len = 0;
        FL_TRY(fl_stream_read(&len, chunk, sizeof chunk, stream, table->why));
        if (len == 0) break;
        // Spreadsheets put it in front; it is no part of the first name.
        const size_t skipped =
            is_first && len >= mark_len &&
                    memcmp(chunk, byte_order_mark, mark_len) == 0
                ? mark_len
                : 0;
        FL_TRY(feed_chunk(table, parser, chunk + skipped, len - skipped));
    }
    // Who writes it may be in the middle of its last line.
    if (table->source->is_growing) return FL_OK;
    if (csv_fini(parser, on_field, on_row, table) != 0) {
        return say_libcsv(table, parser);
    }
    return table->err;
}

// Groups are numbered in byte order, whatever the order of the rows.
static fl_err number_groups(csv_table *table)
{
    fl_names *names = &table->group_names;
    if (names->count == 0) return FL_OK;
    uint32_t *ranks = calloc(names->count, sizeof *ranks);
    if (!ranks || fl_names_sort(names, ranks)) {
        free(ranks);
        return say_memory(table);
    }
    for (uint32_t i = 0; i < table->dataset->row_count; i++) {
        table->dataset->groups[i] = ranks[table->dataset->groups[i]];
    }
    free(ranks);
    return FL_OK;
}

static fl_err load_table(csv_table *table, fl_stream *stream)
{
    struct csv_parser parser;
    FL_TRY(start_parser(table, &parser));
    const fl_err err = feed_file(table, &parser, stream);
    csv_free(&parser);
    FL_TRY(err);
    if (table->dataset->row_count == 0) {
        return fl_reason_set(table->why, fl_source_empty(table->source),
                             "%s: has no rows%s", table->path,
                             table->has_header ? "" : " and no header line");
    }
    FL_TRY(resize_rows(table, table->dataset->row_count));
    return number_groups(table);
}

static fl_err load(fl_dataset *dataset, const fl_source *source, fl_reason *why)
{
    fl_stream *stream = NULL;
    FL_TRY(fl_stream_open(&stream, source->place, why));
    csv_table table = {.dataset = dataset,
                       .source = source,
                       .path = source->place,
                       .why = why,
                       .line = 1};
    // A label and a group beside the numbers.
    fl_names_init(&table.header, FL_DATA_VALUES_MAX + 2);
    fl_names_init(&table.group_names, FL_DATA_ROWS_MAX);
    const fl_err err = load_table(&table, stream);
    fl_names_fini(&table.header);
    fl_names_fini(&table.group_names);
    free(table.label.text);
    free(table.group.text);
    fl_stream_close(stream);
    return err;
}

static bool claims(const char *path, bool is_folder)
{
    return !is_folder && fl_loader_has_ending(path, ".csv");
}

static fl_err load_inputs(fl_dataset *dataset, const fl_source *source,
                          fl_reason *why)
{
    fl_source inputs = *source;
    inputs.values_only = true;
    return load(dataset, &inputs, why);
}

const fl_loader fl_loader_csv = {"csv", claims, load, claims, load_inputs};
