/* SPDX-License-Identifier: Apache-2.0 */
#include "base/option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
