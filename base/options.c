/* SPDX-License-Identifier: Apache-2.0 */
#include "base/options.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/option.h"
#include "base/spelling.h"

enum {
    VARIABLE_CAP = 160,
    HELP_COLUMN = 26,
    HELP_WIDTH = 80,
};

// What every program has. A table may have an option "config" of its own,
// to learn which file it was; it names the file all the same.
static const fl_option COMMON[] = {
    {NULL, "config", FL_OPTION_TEXT, NULL, 0, 0, "FILE",
     "read this configuration file, then FILE.d/*.conf"},
    {NULL, "help", FL_OPTION_FLAG, NULL, 0, 0, NULL, "show this text"},
    {NULL, "version", FL_OPTION_FLAG, NULL, 0, 0, NULL, "show the version"},
};

enum { COMMON_COUNT = sizeof COMMON / sizeof *COMMON };

// FEDGE_TRAIN_LOCAL_EPOCHS
static void variable_name(char dst[VARIABLE_CAP], const fl_option *option)
{
    snprintf(dst, VARIABLE_CAP, "FEDGE_%s_%s", option->section, option->key);
    for (; *dst; dst++) {
        *dst = (char)(*dst == '-' ? '_' : toupper((unsigned char)*dst));
    }
}

static fl_err read_environment(fl_options *options, fl_reason *why)
{
    for (size_t i = 0; i < options->count; i++) {
        const fl_option *option = &options->table[i];
        if (!option->section) continue;
        char name[VARIABLE_CAP];
        variable_name(name, option);
        const char *text = getenv(name);
        if (!text) continue;
        const fl_option_origin origin = {name, FL_ERR_FORMAT, why};
        FL_TRY(fl_option_set(options, option, text, &origin));
    }
    return FL_OK;
}

typedef struct {
    const fl_options *options;
    int argc;
    char *const *argv;
    int at;  // the next word
    fl_reason *why;
} flag_reader;

typedef struct {
    const fl_option *option;  // of the table, or COMMON
    const char *text;
} flag;

// The table's options, and behind them the common ones.
static const fl_option *option_at(const fl_options *options, size_t i)
{
    return i < options->count ? &options->table[i]
                              : &COMMON[i - options->count];
}

static const fl_option *find_option(const fl_options *options, const char *name,
                                    size_t name_len)
{
    for (size_t i = 0; i < options->count + COMMON_COUNT; i++) {
        const fl_option *option = option_at(options, i);
        if (strlen(option->key) == name_len &&
            memcmp(option->key, name, name_len) == 0) {
            return option;
        }
    }
    return NULL;
}

static void refuse_option(const flag_reader *reader, const char *name,
                          size_t name_len)
{
    char wanted[FL_SPELLING_CAP];
    snprintf(wanted, sizeof wanted, "%.*s", (int)name_len, name);
    fl_spelling near = {.wanted = wanted};
    for (size_t i = 0; i < reader->options->count + COMMON_COUNT; i++) {
        fl_spelling_consider(&near, option_at(reader->options, i)->key);
    }
    fl_reason_set(reader->why, FL_ERR_RANGE, "unknown option --%s; %s%s%s",
                  wanted, near.name ? "did you mean --" : "see --help",
                  near.name ? near.name : "", near.name ? "?" : "");
}

// The next option with its value; only when words are left.
static fl_err next_flag(flag *next, flag_reader *reader)
{
    const char *word = reader->argv[reader->at++];
    if (strncmp(word, "--", 2) != 0 || word[2] == 0) {
        fl_reason_set(reader->why, FL_ERR_RANGE,
                      "unexpected \"%.60s\"; options look like --key "
                      "value, see --help",
                      word);
        return FL_ERR_RANGE;
    }
    const char *name = word + 2;
    const size_t name_len = strcspn(name, "=");
    const fl_option *option = find_option(reader->options, name, name_len);
    if (!option) {
        refuse_option(reader, name, name_len);
        return FL_ERR_RANGE;
    }

    *next = (flag){option, "true"};
    if (name[name_len] == '=') {
        next->text = name + name_len + 1;
    } else if (option->kind != FL_OPTION_FLAG) {
        if (reader->at >= reader->argc) {
            fl_reason_set(reader->why, FL_ERR_RANGE,
                          "--%s needs a value: --%s %s", option->key,
                          option->key, option->argument);
            return FL_ERR_RANGE;
        }
        next->text = reader->argv[reader->at++];
    }
    return FL_OK;
}

// Looks for what comes before everything else. Whoever asks for help gets it
// even beside a mistake.
static fl_err scan_flags(fl_asked *asked, const char **config_path,
                         flag_reader reader)
{
    fl_reason *why = reader.why;
    fl_err first_err = FL_OK;
    while (reader.at < reader.argc) {
        flag next;
        const fl_err err = next_flag(&next, &reader);
        if (err && !first_err) {
            first_err = err;
            reader.why = NULL;  // the first sentence stays
        }
        if (err) continue;
        const char *key = next.option->key;
        if (strcmp(key, "config") == 0) *config_path = next.text;
        if (strcmp(key, "help") == 0) *asked = FL_ASKED_HELP;
        if (strcmp(key, "version") == 0) *asked = FL_ASKED_VERSION;
        if (*asked == FL_ASKED_NOTHING) continue;
        if (why) why->text[0] = 0;
        return FL_OK;
    }
    return first_err;
}

static bool is_common(const fl_option *option)
{
    for (size_t i = 0; i < COMMON_COUNT; i++) {
        if (option == &COMMON[i]) return true;
    }
    return false;
}

static fl_err read_flags(fl_options *options, flag_reader reader)
{
    while (reader.at < reader.argc) {
        flag next;
        FL_TRY(next_flag(&next, &reader));
        if (is_common(next.option)) continue;
        char where[FL_SPELLING_CAP + 8];
        snprintf(where, sizeof where, "--%s", next.option->key);
        const fl_option_origin origin = {where, FL_ERR_RANGE, reader.why};
        FL_TRY(fl_option_set(options, next.option, next.text, &origin));
    }
    return FL_OK;
}

static fl_options *new_options(const fl_option *table, size_t count)
{
    fl_options *options = calloc(1, sizeof *options);
    if (!options) return NULL;
    options->table = table;
    options->count = count;
    options->texts = calloc(count + 1, sizeof *options->texts);
    if (options->texts) return options;
    free(options);
    return NULL;
}

fl_err fl_options_read(fl_options **options, fl_asked *asked,
                       const fl_option *table, size_t count,
                       const char *config_path, int argc, char *const *argv,
                       fl_reason *why)
{
    *asked = FL_ASKED_NOTHING;
    *options = new_options(table, count);
    if (!*options) return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");

    const flag_reader flags = {*options, argc, argv, 1, why};
    const char *named_path = NULL;
    FL_TRY(scan_flags(asked, &named_path, flags));
    if (*asked != FL_ASKED_NOTHING) return FL_OK;

    if (named_path) {
        FL_TRY(fl_config_read(*options, named_path, false, why));
    } else if (config_path) {
        FL_TRY(fl_config_read(*options, config_path, true, why));
    }
    FL_TRY(read_environment(*options, why));
    return read_flags(*options, flags);
}

void fl_options_free(fl_options *options)
{
    if (!options) return;
    for (size_t i = 0; i < options->count; i++) {
        free(options->texts[i]);
    }
    free(options->texts);
    free(options);
}

// Words of `text` from `column` on, broken before HELP_WIDTH.
static void print_wrapped(FILE *out, int column, const char *text)
{
    int at = column;
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        const int len = (int)strcspn(text, " ");
        if (at > column && at + 1 + len > HELP_WIDTH) {
            fprintf(out, "\n%*s", column, "");
            at = column;
        }
        at += fprintf(out, "%s%.*s", at > column ? " " : "", len, text);
        text += len;
    }
    fputc('\n', out);
}

// "1 to 100, default 3"
static void limits_text(char *dst, size_t dst_cap, const fl_option *option)
{
    char range[FL_OPTION_RANGE_CAP];
    const char *text;
    double number;
    dst[0] = 0;
    switch (option->kind) {
    case FL_OPTION_FLAG:
        if (*(const bool *)option->value) {
            snprintf(dst, dst_cap, "default on, --%s=false", option->key);
        }
        break;
    case FL_OPTION_COUNT:
        fl_option_range_text(range, option);
        snprintf(dst, dst_cap, "%s, default %llu", range,
                 (unsigned long long)*(const uint64_t *)option->value);
        break;
    case FL_OPTION_NUMBER:
        fl_option_range_text(range, option);
        number = *(const double *)option->value;
        // What nobody can say is not said: its help knows what holds then.
        if (number < option->min) {
            snprintf(dst, dst_cap, "%s", range);
        } else {
            snprintf(dst, dst_cap, "%s, default %.15g", range, number);
        }
        break;
    case FL_OPTION_TEXT:
        text = *(const char *const *)option->value;
        if (text && *text) snprintf(dst, dst_cap, "default %s", text);
        break;
    }
}

static void print_option(FILE *out, const fl_option *option)
{
    char limits[200] = "", help[800];
    if (option->value) limits_text(limits, sizeof limits, option);
    snprintf(help, sizeof help, "%s%s%s%s%s", option->help,
             limits[0] ? " (" : "", limits, limits[0] ? ")" : "",
             option->is_live ? " *" : "");

    const int used =
        fprintf(out, "  --%s%s%s", option->key, option->argument ? " " : "",
                option->argument ? option->argument : "");
    if (used + 2 <= HELP_COLUMN) {
        fprintf(out, "%*s", HELP_COLUMN - used, "");
    } else {
        fprintf(out, "\n%*s", HELP_COLUMN, "");
    }
    print_wrapped(out, HELP_COLUMN, help);
}

static bool is_same_section(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

// Whether an option before `i` has opened its section already.
static bool is_section_printed(const fl_option *table, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (is_same_section(table[k].section, table[i].section)) return true;
    }
    return false;
}

static void print_section(FILE *out, const fl_option *table, size_t count,
                          const char *section)
{
    if (section) {
        fprintf(out, "[%s]\n", section);
    } else {
        fprintf(out, "On the command line only:\n");
    }
    for (size_t i = 0; i < count; i++) {
        if (is_same_section(table[i].section, section)) {
            print_option(out, &table[i]);
        }
    }
    fputc('\n', out);
}

static const fl_option *first_with_section(const fl_option *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].section) return &table[i];
    }
    return NULL;
}

// One example says more than the rule.
static void print_other_ways(FILE *out, const fl_option *option)
{
    char name[VARIABLE_CAP], text[800];
    const char *value = option->argument ? option->argument : "true";
    variable_name(name, option);
    snprintf(text, sizeof text,
             "An option below a [section] may also stand in the configuration "
             "file (a line \"%s = %s\" below a line \"[%s]\") or in the "
             "environment (%s=%s). The command line wins over the "
             "environment, that over FILE.d/*.conf, and those over FILE.",
             option->key, value, option->section, name, value);
    print_wrapped(out, 0, text);
}

static void explain_stars(FILE *out, const fl_option *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!table[i].is_live) continue;
        fputc('\n', out);
        print_wrapped(out, 0,
                      "* read again at SIGHUP (systemctl reload), in a program "
                      "that runs");
        return;
    }
}

void fl_options_help(FILE *out, const fl_option *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_section_printed(table, i)) {
            print_section(out, table, count, table[i].section);
        }
    }
    const fl_option *example = first_with_section(table, count);
    const fl_options all = {table, count, NULL};
    fprintf(out, "In every program:\n");
    for (size_t i = 0; i < COMMON_COUNT; i++) {
        const char *key = COMMON[i].key;
        const bool is_in_table =
            find_option(&all, key, strlen(key)) != &COMMON[i];
        const bool is_useless = strcmp(key, "config") == 0 && !example;
        if (!is_in_table && !is_useless) print_option(out, &COMMON[i]);
    }
    if (!example) return;
    fputc('\n', out);
    print_other_ways(out, example);
    explain_stars(out, table, count);
}
