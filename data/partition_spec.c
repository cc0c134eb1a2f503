/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/data.h"

// A word up to the next colon; the cursor moves behind that colon.
typedef struct {
    const char *at;
    size_t len;
} name_word;

enum { NUMBER_CAP = 32 };

static bool next_word(name_word *word, const char **cursor)
{
    if (!*cursor) return false;
    const char *colon = strchr(*cursor, ':');
    word->at = *cursor;
    word->len = colon ? (size_t)(colon - *cursor) : strlen(*cursor);
    *cursor = colon ? colon + 1 : NULL;
    return true;
}

static bool is_word(name_word word, const char *text)
{
    return word.len == strlen(text) && memcmp(word.at, text, word.len) == 0;
}

// 1 to FL_DATA_ROWS_MAX, digits alone.
static bool read_count(uint32_t *count, const char **cursor)
{
    name_word word;
    uint32_t value = 0;
    if (!next_word(&word, cursor)) return false;
    for (size_t i = 0; i < word.len; i++) {
        if (!isdigit((unsigned char)word.at[i])) return false;
        value = value * 10 + (uint32_t)(word.at[i] - '0');
        if (value > FL_DATA_ROWS_MAX) return false;
    }
    *count = value;
    return value > 0;
}

static bool read_alpha(double *alpha, const char **cursor)
{
    name_word word;
    char text[NUMBER_CAP], *end;
    if (!next_word(&word, cursor)) return false;
    if (word.len == 0 || word.len >= sizeof text) return false;
    memcpy(text, word.at, word.len);
    text[word.len] = '\0';
    // strtod would also take spaces, "inf", "nan" and hexadecimal.
    if (strspn(text, "0123456789.eE+-") != word.len) return false;
    *alpha = strtod(text, &end);
    return *end == '\0' && isfinite(*alpha) && *alpha > 0.0;
}

static bool read_kind(fl_partition_options *options, const char **cursor)
{
    name_word word;
    if (!next_word(&word, cursor)) return false;
    if (is_word(word, "iid")) {
        options->kind = FL_PARTITION_IID;
        return true;
    }
    if (is_word(word, "column")) {
        options->kind = FL_PARTITION_COLUMN;
        return true;
    }
    if (is_word(word, "dirichlet")) {
        options->kind = FL_PARTITION_DIRICHLET;
        return read_alpha(&options->alpha, cursor);
    }
    if (is_word(word, "shards")) {
        options->kind = FL_PARTITION_SHARDS;
        return read_count(&options->shards, cursor);
    }
    return false;
}

fl_err fl_partition_parse(fl_partition_options *options, const char *text,
                          fl_reason *why)
{
    fl_partition_options parsed = *options;
    const char *cursor = text;
    bool is_good = read_kind(&parsed, &cursor);
    if (is_good && cursor) {
        is_good = read_count(&parsed.client_count, &cursor) && !cursor;
    }
    if (!is_good) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "partition '%s': use iid, dirichlet:ALPHA, "
                             "shards:S or column, each with :CLIENTS behind "
                             "it if wanted (dirichlet:0.3:100)",
                             text ? text : "");
    }
    *options = parsed;
    return FL_OK;
}
