/* SPDX-License-Identifier: Apache-2.0 */
#include "base/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/option.h"
#include "base/spelling.h"

static fl_err read_environment(fl_options *options, fl_reason *why)
{
    for (size_t i = 0; i < options->count; i++) {
        const fl_option *option = &options->table[i];
        if (!option->section) continue;
        char name[FL_OPTION_VARIABLE_CAP];
        fl_option_variable_name(name, option);
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
    const fl_option *option;  // of the table, or one of all programs
    const char *text;
} flag;

// The table's options, and behind them the common ones.
static const fl_option *option_at(const fl_options *options, size_t i)
{
    return i < options->count ? &options->table[i]
                              : &FL_OPTION_COMMON[i - options->count];
}

static const fl_option *find_option(const fl_options *options, const char *name,
                                    size_t name_len)
{
    for (size_t i = 0; i < options->count + FL_OPTION_COMMON_COUNT; i++) {
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
    for (size_t i = 0; i < reader->options->count + FL_OPTION_COMMON_COUNT;
         i++) {
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

// What --help is to print.
static fl_err read_form(fl_asked *asked, const char *text, fl_reason *why)
{
    static const char *const forms[] = {
        [FL_ASKED_HELP] = "true",   [FL_ASKED_MANUAL] = "man",
        [FL_ASKED_BASH] = "bash",   [FL_ASKED_ZSH] = "zsh",
        [FL_ASKED_CONFIG] = "conf",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (!forms[i] || strcmp(forms[i], text) != 0) continue;
        *asked = (fl_asked)i;
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_RANGE,
                         "--help=%.60s: not man, bash, zsh or conf", text);
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
        if (strcmp(key, "help") == 0) FL_TRY(read_form(asked, next.text, why));
        if (strcmp(key, "version") == 0) *asked = FL_ASKED_VERSION;
        if (*asked == FL_ASKED_NOTHING) continue;
        if (why) why->text[0] = 0;
        return FL_OK;
    }
    return first_err;
}

static fl_err read_flags(fl_options *options, flag_reader reader)
{
    while (reader.at < reader.argc) {
        flag next;
        FL_TRY(next_flag(&next, &reader));
        if (!next.option->value) continue;  // heard by scan_flags
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
