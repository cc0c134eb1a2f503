/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "base/file.h"
#include "base/option.h"
#include "base/spelling.h"

enum {
    FILE_BYTES_MAX = 1 << 20,
    LINE_BYTES_MAX = 4096,
    DROP_IN_MAX = 1000,  // files in FILE.d
};

typedef struct {
    fl_options *options;
    const char *path;
    const char *rest;  // what inih has not been given yet
    int line;          // the number of the one it was given last
    fl_err err;
    fl_reason *why;
} config_reader;

// `what` is unknown: adds the nearest name, if any is near.
static fl_err refuse_unknown(const config_reader *reader, const char *what,
                             const fl_spelling *near)
{
    return fl_reason_set(reader->why, FL_ERR_FORMAT, "%s:%d: unknown %s%s%s%s",
                         reader->path, reader->line, what,
                         near->name ? "; did you mean \"" : "",
                         near->name ? near->name : "", near->name ? "\"?" : "");
}

static fl_err refuse_section(const config_reader *reader, const char *section)
{
    if (section[0] == 0) {
        return fl_reason_set(reader->why, FL_ERR_FORMAT,
                             "%s:%d: a key needs a [section] line above it",
                             reader->path, reader->line);
    }
    fl_spelling near = {.wanted = section};
    for (size_t i = 0; i < reader->options->count; i++) {
        const char *known = reader->options->table[i].section;
        if (known) fl_spelling_consider(&near, known);
    }
    char what[100];
    snprintf(what, sizeof what, "section [%.60s]", section);
    return refuse_unknown(reader, what, &near);
}

static fl_err refuse_key(const config_reader *reader, const char *section,
                         const char *key)
{
    bool is_section_known = false;
    fl_spelling near = {.wanted = key};
    for (size_t i = 0; i < reader->options->count; i++) {
        const fl_option *option = &reader->options->table[i];
        if (!option->section) continue;
        if (strcmp(option->section, section) == 0) {
            is_section_known = true;
            fl_spelling_consider(&near, option->key);
        } else if (strcmp(option->key, key) == 0) {
            return fl_reason_set(reader->why, FL_ERR_FORMAT,
                                 "%s:%d: the key \"%s\" belongs below a "
                                 "line [%s]",
                                 reader->path, reader->line, key,
                                 option->section);
        }
    }
    if (!is_section_known) return refuse_section(reader, section);
    char what[160];
    snprintf(what, sizeof what, "key \"%.60s\" in [%.60s]", key, section);
    return refuse_unknown(reader, what, &near);
}

static fl_err apply_key(config_reader *reader, const char *section,
                        const char *key, const char *text)
{
    fl_options *options = reader->options;
    for (size_t i = 0; i < options->count; i++) {
        const fl_option *option = &options->table[i];
        if (!option->section || strcmp(option->section, section) != 0 ||
            strcmp(option->key, key) != 0) {
            continue;
        }
        char where[PATH_MAX + 100];
        snprintf(where, sizeof where, "%s:%d: %s", reader->path, reader->line,
                 key);
        const fl_option_origin origin = {where, FL_ERR_FORMAT, reader->why};
        return fl_option_set(options, option, text, &origin);
    }
    return refuse_key(reader, section, key);
}

// inih calls it for every key; 0 is its "no".
static int on_key(void *self, const char *section, const char *key,
                  const char *text)
{
    config_reader *reader = self;
    if (!reader->err) reader->err = apply_key(reader, section, key, text);
    return !reader->err;
}

// What inih calls in the place of fgets. Blanks in front are dropped, since
// inih takes an indented line for more of the value above it.
static char *next_line(char *dst, int dst_cap, void *self)
{
    config_reader *reader = self;
    if (reader->err || reader->rest[0] == 0) return NULL;
    reader->line++;
    const size_t end = strcspn(reader->rest, "\n");
    const size_t blanks = strspn(reader->rest, " \t\r");  // at most `end`
    const char *line = reader->rest + blanks;
    const size_t len = end - blanks;
    reader->rest += end + (reader->rest[end] == '\n');
    if (len + 2 > (size_t)dst_cap) {
        reader->err = fl_reason_set(reader->why, FL_ERR_FORMAT,
                                    "%s:%d: the line is longer than %d bytes",
                                    reader->path, reader->line, dst_cap - 2);
        return NULL;
    }
    memcpy(dst, line, len);
    memcpy(dst + len, "\n", 2);
    return dst;
}

static fl_err read_text(fl_options *options, const char *path, const char *text,
                        size_t text_len, fl_reason *why)
{
    config_reader reader = {options, path, text, 0, FL_OK, why};
    ini_max_line = LINE_BYTES_MAX;
    ini_stop_on_first_error = true;
    const int bad_line = ini_parse_stream(next_line, &reader, on_key, &reader);
    if (reader.err) return reader.err;
    if (bad_line > 0) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s:%d: neither [section] nor key = value", path,
                             bad_line);
    }
    if (strlen(text) != text_len) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s:%d: a zero byte; is this a text file?", path,
                             reader.line);
    }
    return FL_OK;
}

static fl_err read_file(fl_options *options, const char *path,
                        bool may_be_missing, fl_reason *why)
{
    uint8_t *bytes = NULL;
    size_t len;
    fl_reason read_why;
    // A pipe has its content once, and a reload would wait for more of it.
    fl_err err =
        fl_file_read_plain(&bytes, &len, path, FILE_BYTES_MAX, &read_why);
    if (err == FL_ERR_NOT_FOUND && may_be_missing) return FL_OK;
    if (err != FL_OK) {
        err = err == FL_ERR_MEMORY ? err : FL_ERR_FORMAT;
        return fl_reason_set(why, err, "%s", read_why.text);
    }
    err = read_text(options, path, (const char *)bytes, len, why);
    free(bytes);
    return err;
}

static int is_drop_in(const struct dirent *entry)
{
    const char *suffix = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && suffix && strcmp(suffix, ".conf") == 0;
}

// Not alphasort: its order depends on the user's language.
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static fl_err read_drop_in(fl_options *options, const char *folder,
                           const char *name, fl_reason *why)
{
    char path[PATH_MAX];
    if (fl_path_join(path, sizeof path, folder, name)) {
        return fl_reason_set(why, FL_ERR_FORMAT, "%s/%s: the name is too long",
                             folder, name);
    }
    return read_file(options, path, false, why);
}

static fl_err read_drop_ins(fl_options *options, const char *folder,
                            fl_reason *why)
{
    struct dirent **entries = NULL;
    const int count = scandir(folder, &entries, is_drop_in, by_name);
    if (count < 0 && (errno == ENOENT || errno == ENOTDIR)) return FL_OK;
    if (count < 0) {
        return fl_reason_set(why, FL_ERR_FORMAT, "%s: cannot read: %s", folder,
                             strerror(errno));
    }
    fl_err err = FL_OK;
    if (count > DROP_IN_MAX) {
        err = fl_reason_set(why, FL_ERR_FORMAT,
                            "%s: %d files where at most %d are read", folder,
                            count, DROP_IN_MAX);
    }
    for (int i = 0; i < count; i++) {
        if (!err) err = read_drop_in(options, folder, entries[i]->d_name, why);
        free(entries[i]);
    }
    free(entries);
    return err;
}

fl_err fl_config_read(fl_options *options, const char *path,
                      bool may_be_missing, fl_reason *why)
{
    char folder[PATH_MAX];
    const int len = snprintf(folder, sizeof folder, "%s.d", path);
    if (len < 0 || (size_t)len >= sizeof folder) {
        return fl_reason_set(why, FL_ERR_FORMAT, "%s: the name is too long",
                             path);
    }
    FL_TRY(read_file(options, path, may_be_missing, why));
    return read_drop_ins(options, folder, why);
}
