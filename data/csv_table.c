/* SPDX-License-Identifier: Apache-2.0 */
#include "data/csv_table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { ROWS_FIRST = 256, LIST_CAP = 160 };

static const uint32_t NO_COLUMN = UINT32_MAX;

void fl_csv_table_init(fl_csv_table *table)
{
    table->line = 1;
    // A label and a group beside the numbers.
    fl_names_init(&table->header, FL_DATA_VALUES_MAX + 2);
    fl_names_init(&table->group_names, FL_DATA_ROWS_MAX);
}

void fl_csv_table_fini(fl_csv_table *table)
{
    fl_names_fini(&table->header);
    fl_names_fini(&table->group_names);
    free(table->label.text);
    free(table->group.text);
}

fl_err fl_csv_table_say_memory(const fl_csv_table *table)
{
    return fl_reason_set(table->why, FL_ERR_MEMORY,
                         "%s: line %" PRIu64 ": out of memory", table->path,
                         table->line);
}

/* ---- the header line ---- */

static void read_name(fl_csv_table *table, const char *text, size_t len)
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

static fl_err say_no_column(const fl_csv_table *table, const char *name)
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
static void leave_out_columns(fl_csv_table *table)
{
    const fl_data_options *options = table->source->options;
    const char *label = options->label_column;
    table->label_column = find_column(&table->header, label ? label : "label");
    table->group_column =
        options->group_column
            ? find_column(&table->header, options->group_column)
            : NO_COLUMN;
}

static fl_err choose_columns(fl_csv_table *table)
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

static fl_err check_header(const fl_csv_table *table)
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

static fl_err finish_header(fl_csv_table *table)
{
    fl_dataset *dataset = table->dataset;
    FL_TRY(check_header(table));
    FL_TRY(choose_columns(table));
    for (uint32_t i = 0; i < table->header.count; i++) {
        if (i == table->label_column || i == table->group_column) continue;
        const char *name = fl_names_get(&table->header, i);
        uint32_t number;
        if (fl_names_add(&dataset->columns, &number, name, strlen(name))) {
            return fl_csv_table_say_memory(table);
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

static fl_err resize_rows(fl_csv_table *table, size_t count)
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
    if (!is_done) return fl_csv_table_say_memory(table);
    table->row_cap = count;
    return FL_OK;
}

static fl_err make_room(fl_csv_table *table)
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

static fl_err say_value(const fl_csv_table *table, fl_err err, const char *text,
                        const char *fault)
{
    return fl_reason_set(
        table->why, err, "%s: line %" PRIu64 ", column '%s': value '%.40s' %s",
        table->path, table->line, fl_names_get(&table->header, table->field),
        text, fault);
}

static fl_err read_feature(fl_csv_table *table, const char *text)
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

static fl_err save_cell(fl_csv_cell *cell, fl_csv_table *table,
                        const char *text, size_t len)
{
    if (len == 0) return say_value(table, FL_ERR_FORMAT, text, "is empty");
    if (cell->cap <= len) {
        char *grown = realloc(cell->text, 2 * (len + 1));
        if (!grown) return fl_csv_table_say_memory(table);
        cell->text = grown;
        cell->cap = 2 * (len + 1);
    }
    memcpy(cell->text, text, len);
    cell->text[len] = '\0';
    cell->len = len;
    return FL_OK;
}

static fl_err number_cell(uint32_t *number, fl_names *names,
                          fl_csv_table *table, const fl_csv_cell *cell,
                          uint32_t column)
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
    default: return fl_csv_table_say_memory(table);
    }
}

static fl_err read_cell(fl_csv_table *table, const char *text, size_t len)
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

static fl_err finish_row(fl_csv_table *table)
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

static bool is_wanted(const fl_csv_table *table)
{
    return !table->has_header ||
           fl_source_wants(table->source, table->dataset->record_count);
}

void fl_csv_take_field(void *text, size_t len, void *context)
{
    fl_csv_table *table = context;
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
static void end_record(fl_csv_table *table)
{
    if (is_wanted(table) && !table->err) table->err = finish_row(table);
    if (table->err) {
        table->err = fl_source_pass_over(table->source, table->err, table->why);
    }
    if (!table->err) table->dataset->record_count++;
}

void fl_csv_take_row(int terminator, void *context)
{
    (void)terminator;
    fl_csv_table *table = context;
    if (table->has_header) {
        end_record(table);
    } else if (!table->err) {
        table->err = finish_header(table);
    }
    table->field = 0;
    table->feature = 0;
}

void fl_csv_table_drop_row(fl_csv_table *table)
{
    table->err = FL_OK;
    table->field = 0;
    table->feature = 0;
    table->dataset->record_count++;
}

/* ---- the end ---- */

// Groups are numbered in byte order, whatever the order of the rows.
static fl_err number_groups(fl_csv_table *table)
{
    fl_names *names = &table->group_names;
    if (names->count == 0) return FL_OK;
    uint32_t *ranks = calloc(names->count, sizeof *ranks);
    if (!ranks || fl_names_sort(names, ranks)) {
        free(ranks);
        return fl_csv_table_say_memory(table);
    }
    for (uint32_t i = 0; i < table->dataset->row_count; i++) {
        table->dataset->groups[i] = ranks[table->dataset->groups[i]];
    }
    free(ranks);
    return FL_OK;
}

fl_err fl_csv_table_finish(fl_csv_table *table)
{
    if (table->dataset->row_count == 0) {
        return fl_reason_set(table->why, fl_source_empty(table->source),
                             "%s: has no rows%s", table->path,
                             table->has_header ? "" : " and no header line");
    }
    FL_TRY(resize_rows(table, table->dataset->row_count));
    return number_groups(table);
}
