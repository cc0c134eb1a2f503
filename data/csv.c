/*
 * CSV after RFC 4180: a header line with the columns' names, then one row a
 * line. One column is the label, one may be the group, all others are numbers.
 *
 * libcsv is fed line by line, so that every sentence can say which one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <csv.h>

#include "data/csv_table.h"
#include "data/stream.h"

enum { CHUNK_LEN = 1 << 16, FIELD_LEN_MAX = 1 << 20 };

// A quote that is never closed would otherwise swallow the whole file.
static void *realloc_field(void *field, size_t len)
{
    return len <= FIELD_LEN_MAX ? realloc(field, len) : NULL;
}

static fl_err say_libcsv(const fl_csv_table *table, struct csv_parser *parser)
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

static fl_err start_parser(fl_csv_table *table, struct csv_parser *parser)
{
    if (csv_init(parser, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL)) {
        return fl_csv_table_say_memory(table);
    }
    csv_set_realloc_func(parser, realloc_field);
    return FL_OK;
}

// Begins anew behind the line that libcsv did not understand.
static fl_err recover(fl_csv_table *table, struct csv_parser *parser)
{
    const fl_err err = say_libcsv(table, parser);
    if (!table->has_header) return err;
    FL_TRY(fl_source_pass_over(table->source, err, table->why));
    csv_free(parser);
    FL_TRY(start_parser(table, parser));
    fl_csv_table_drop_row(table);
    return FL_OK;
}

// What is wrong with a row is for its end to say, where others may go on.
static bool is_lost(const fl_csv_table *table)
{
    const bool goes_on = table->source->options->skip && table->has_header &&
                         table->err != FL_ERR_MEMORY;
    return table->err && !goes_on;
}

static fl_err feed_chunk(fl_csv_table *table, struct csv_parser *parser,
                         const char *chunk, size_t len)
{
    while (len > 0) {
        const char *newline = memchr(chunk, '\n', len);
        const size_t part = newline ? (size_t)(newline - chunk) + 1 : len;
        if (csv_parse(parser, chunk, part, fl_csv_take_field, fl_csv_take_row,
                      table) != part) {
            FL_TRY(recover(table, parser));
        }
        if (is_lost(table)) return table->err;
        if (newline) table->line++;
        chunk += part;
        len -= part;
    }
    return FL_OK;
}

// Who writes a table that grows may be in the middle of its last line. But a
// quote that has been open for lines keeps out whatever comes behind it.
static fl_err end_growing(fl_csv_table *table, const struct csv_parser *parser)
{
    uint64_t breaks = 0;
    for (size_t i = 0; parser->quoted && i < parser->entry_pos; i++) {
        breaks += parser->entry_buf[i] == '\n';
    }
    if (breaks == 0) return FL_OK;
    const fl_err err = fl_reason_set(table->why, FL_ERR_FORMAT,
                                     "%s: line %" PRIu64
                                     ": a quote is not closed; nothing behind "
                                     "it is read",
                                     table->path, table->line - breaks);
    return fl_source_pass_over(table->source, err, table->why);
}

static fl_err feed_file(fl_csv_table *table, struct csv_parser *parser,
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
    if (table->source->is_growing) return end_growing(table, parser);
    if (csv_fini(parser, fl_csv_take_field, fl_csv_take_row, table) != 0) {
        return say_libcsv(table, parser);
    }
    return table->err;
}

static fl_err load_table(fl_csv_table *table, fl_stream *stream)
{
    struct csv_parser parser;
    FL_TRY(start_parser(table, &parser));
    const fl_err err = feed_file(table, &parser, stream);
    csv_free(&parser);
    return err ? err : fl_csv_table_finish(table);
}

static fl_err load(fl_dataset *dataset, const fl_source *source, fl_reason *why)
{
    fl_stream *stream = NULL;
    FL_TRY(fl_stream_open(&stream, source->place, why));
    fl_csv_table table = {.dataset = dataset,
                          .source = source,
                          .path = source->place,
                          .why = why};
    fl_csv_table_init(&table);
    const fl_err err = load_table(&table, stream);
    fl_csv_table_fini(&table);
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
