/* SPDX-License-Identifier: Apache-2.0 */
#include "base/option.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const fl_option FL_OPTION_COMMON[FL_OPTION_COMMON_COUNT] = {
    {NULL, "config", FL_OPTION_TEXT, NULL, 0, 0, "FILE",
     "read this configuration file, then FILE.d/*.conf"},
    {NULL, "help", FL_OPTION_FLAG, NULL, 0, 0, NULL,
     "show this text; --help=man: all commands as a manual page; --help=bash "
     "or zsh: completion for that shell; --help=conf: a configuration file "
     "with all keys"},
    {NULL, "version", FL_OPTION_FLAG, NULL, 0, 0, NULL, "show the version"},
};

// A maximum from here on means that there is none.
static const double UNLIMITED = 1e15;

void fl_option_range_text(char dst[FL_OPTION_RANGE_CAP],
                          const fl_option *option)
{
    if (option->max < UNLIMITED) {
        snprintf(dst, FL_OPTION_RANGE_CAP, "%.15g to %.15g", option->min,
                 option->max);
    } else {
        snprintf(dst, FL_OPTION_RANGE_CAP, "at least %.15g", option->min);
    }
}

static bool read_flag(bool *value, const char *text)
{
    const bool is_true = strcmp(text, "true") == 0;
    if (!is_true && strcmp(text, "false") != 0) return false;
    *value = is_true;
    return true;
}

// Digits alone: no sign, no blank, no hexadecimal, nothing behind them.
static bool read_count(const fl_option *option, const char *text)
{
    if (text[0] == 0 || text[strspn(text, "0123456789")] != 0) return false;
    errno = 0;
    const uint64_t count = strtoull(text, NULL, 10);
    if (errno != 0) return false;
    if ((double)count < option->min || (double)count > option->max) {
        return false;
    }
    *(uint64_t *)option->value = count;
    return true;
}

// What strtod takes beyond decimals (nan, inf, 0x1p3, blanks) is refused, and
// what it calls out of range: infinite, or so small that it may be 0.
static bool read_number(const fl_option *option, const char *text)
{
    if (text[0] == 0 || text[strspn(text, "0123456789+-.eE")] != 0) {
        return false;
    }
    char *end;
    errno = 0;
    const double number = strtod(text, &end);
    if (*end != 0 || errno != 0) return false;
    if (number < option->min || number > option->max) return false;
    *(double *)option->value = number;
    return true;
}

static fl_err refuse_number(const fl_option *option, const char *text,
                            const fl_option_origin *origin)
{
    char range[FL_OPTION_RANGE_CAP];
    fl_option_range_text(range, option);
    return fl_reason_set(
        origin->why, origin->err, "%s: \"%.60s\" must be a %s, %s",
        origin->where, text,
        option->kind == FL_OPTION_COUNT ? "whole number" : "number", range);
}

static fl_err set_text(fl_options *options, const fl_option *option,
                       const char *text, const fl_option_origin *origin)
{
    char *copy = strdup(text);
    if (!copy) {
        return fl_reason_set(origin->why, FL_ERR_MEMORY, "%s: out of memory",
                             origin->where);
    }
    char **owned = &options->texts[option - options->table];
    free(*owned);
    *owned = copy;
    *(const char **)option->value = copy;
    return FL_OK;
}

fl_err fl_option_set(fl_options *options, const fl_option *option,
                     const char *text, const fl_option_origin *origin)
{
    switch (option->kind) {
    case FL_OPTION_FLAG:
        if (read_flag(option->value, text)) return FL_OK;
        return fl_reason_set(origin->why, origin->err,
                             "%s: \"%.60s\" must be true or false",
                             origin->where, text);
    case FL_OPTION_COUNT:
        if (read_count(option, text)) return FL_OK;
        return refuse_number(option, text, origin);
    case FL_OPTION_NUMBER:
        if (read_number(option, text)) return FL_OK;
        return refuse_number(option, text, origin);
    case FL_OPTION_TEXT: break;
    }
    return set_text(options, option, text, origin);
}

/* ---- showing ---- */

void fl_option_variable_name(char dst[FL_OPTION_VARIABLE_CAP],
                             const fl_option *option)
{
    snprintf(dst, FL_OPTION_VARIABLE_CAP, "FEDGE_%s_%s", option->section,
             option->key);
    for (; *dst; dst++) {
        *dst = (char)(*dst == '-' ? '_' : toupper((unsigned char)*dst));
    }
}

void fl_option_default_text(char dst[FL_OPTION_LIMITS_CAP],
                            const fl_option *option)
{
    const char *text;
    double number;
    dst[0] = 0;
    if (!option->value) return;
    switch (option->kind) {
    case FL_OPTION_FLAG:
        text = *(const bool *)option->value ? "true" : "false";
        snprintf(dst, FL_OPTION_LIMITS_CAP, "%s", text);
        break;
    case FL_OPTION_COUNT:
        snprintf(dst, FL_OPTION_LIMITS_CAP, "%llu",
                 (unsigned long long)*(const uint64_t *)option->value);
        break;
    case FL_OPTION_NUMBER:
        number = *(const double *)option->value;
        // What nobody can say is not said: its help knows what holds then.
        if (!(number >= option->min)) break;
        snprintf(dst, FL_OPTION_LIMITS_CAP, "%.15g", number);
        break;
    case FL_OPTION_TEXT:
        text = *(const char *const *)option->value;
        if (text) snprintf(dst, FL_OPTION_LIMITS_CAP, "%s", text);
        break;
    }
}

void fl_option_limits_text(char dst[FL_OPTION_LIMITS_CAP],
                           const fl_option *option)
{
    char held[FL_OPTION_LIMITS_CAP], range[FL_OPTION_RANGE_CAP] = "";
    fl_option_default_text(held, option);
    const bool is_flag = option->kind == FL_OPTION_FLAG;
    if (is_flag && strcmp(held, "true") == 0) {
        snprintf(dst, FL_OPTION_LIMITS_CAP, "default on, --%s=false",
                 option->key);
        return;
    }
    if (option->kind == FL_OPTION_COUNT || option->kind == FL_OPTION_NUMBER) {
        fl_option_range_text(range, option);
    }
    dst[0] = 0;
    size_t len = (size_t)snprintf(dst, FL_OPTION_LIMITS_CAP, "%s", range);
    if (is_flag || !held[0]) return;
    snprintf(dst + len, FL_OPTION_LIMITS_CAP - len, "%sdefault %.100s",
             len ? ", " : "", held);
}

const fl_option *fl_option_first_set(const fl_option *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].section) return &table[i];
    }
    return NULL;
}

/* ---- one after another ---- */

static bool is_same_section(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

// Whether an option before `i` has opened its section already.
static bool is_section_told(const fl_option *table, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (is_same_section(table[k].section, table[i].section)) return true;
    }
    return false;
}

static void visit_section(const fl_option *table, size_t count,
                          const char *section, const fl_option_visitor *visitor,
                          void *self)
{
    char title[80] = "On the command line only";
    if (section) snprintf(title, sizeof title, "[%.60s]", section);
    if (visitor->section) visitor->section(self, title);
    for (size_t i = 0; i < count; i++) {
        if (is_same_section(table[i].section, section)) {
            visitor->option(self, &table[i]);
        }
    }
}

static bool has_key(const fl_option *table, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].key, key) == 0) return true;
    }
    return false;
}

void fl_option_visit(const fl_option *table, size_t count,
                     const fl_option_visitor *visitor, void *self)
{
    for (size_t i = 0; i < count; i++) {
        if (is_section_told(table, i)) continue;
        visit_section(table, count, table[i].section, visitor, self);
    }
    if (visitor->section) visitor->section(self, "In every program");
    for (size_t i = 0; i < FL_OPTION_COMMON_COUNT; i++) {
        const fl_option *option = &FL_OPTION_COMMON[i];
        const bool is_useless = strcmp(option->key, "config") == 0 &&
                                !fl_option_first_set(table, count);
        if (!is_useless && !has_key(table, count, option->key)) {
            visitor->option(self, option);
        }
    }
}
