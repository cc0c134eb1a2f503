/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS_MAX = 9 };

typedef struct {
    const fl_channels *channels;
    uint32_t group_count;
    const char **texts;  // of each group; NULL: it is not named
    uint32_t *lists;     // of all groups, one behind the other
    size_t *at;          // (group_count + 1): where each begins
    fl_reason *why;
} reading;

/* ---- which group ---- */

// Names may have colons in them, numbers do not.
static const char *last_colon(const char *text, size_t len)
{
    while (len > 0 && text[len - 1] != ':') {
        len--;
    }
    return len > 0 ? text + len - 1 : NULL;
}

// Convolutions that feed several groups give all of them their name.
void fl_keep_name(char dst[FL_KEEP_NAME_CAP], const fl_channels *channels,
                  uint32_t i)
{
    const char *name = fl_channels_group(channels, i).name;
    uint32_t number = 1;
    for (uint32_t j = 0; j < i; j++) {
        number += strcmp(fl_channels_group(channels, j).name, name) == 0;
    }
    if (number == 1) {
        snprintf(dst, FL_KEEP_NAME_CAP, "%s", name);
    } else {
        snprintf(dst, FL_KEEP_NAME_CAP, "%s#%u", name, number);
    }
}

static uint32_t find_group(const reading *r, const char *name, size_t len)
{
    for (uint32_t i = 0; i < r->group_count; i++) {
        char other[FL_KEEP_NAME_CAP];
        fl_keep_name(other, r->channels, i);
        if (strlen(other) == len && memcmp(other, name, len) == 0) return i;
    }
    return r->group_count;
}

// "conv1:0-7,12", up to a semicolon or the end.
static fl_err place_text(const reading *r, const char *text, size_t len)
{
    const char *colon = last_colon(text, len);
    if (!colon) {
        return fl_reason_set(r->why, FL_ERR_RANGE,
                             "\"%.*s\" is no list: write GROUP:0-7,12",
                             (int)len, text);
    }
    const int name_len = (int)(colon - text);
    const uint32_t group = find_group(r, text, (size_t)name_len);
    if (group == r->group_count) {
        return fl_reason_set(r->why, FL_ERR_RANGE,
                             "the model has no group \"%.*s\"", name_len, text);
    }
    if (r->texts[group]) {
        return fl_reason_set(r->why, FL_ERR_RANGE, "%.*s is named twice",
                             name_len, text);
    }
    r->texts[group] = colon + 1;
    return FL_OK;
}

/* ---- which channels ---- */

// NULL: no number there, or one beyond all channels.
static const char *read_number(uint32_t *number, const char *text)
{
    const size_t digits = strspn(text, "0123456789");
    if (digits < 1 || digits > DIGITS_MAX) return NULL;
    *number = (uint32_t)strtoul(text, NULL, 10);
    return text + digits;
}

// "0-7" or "12"; NULL: something else.
static const char *read_range(uint32_t *from, uint32_t *to, const char *text)
{
    text = read_number(from, text);
    *to = *from;
    if (text && *text == '-') text = read_number(to, text + 1);
    return text;
}

static bool is_end(char c)
{
    return c == ';' || c == '\0';
}

static fl_err refuse_text(const reading *r, fl_channel_group group,
                          const char *text)
{
    return fl_reason_set(r->why, FL_ERR_RANGE,
                         "%s: \"%.*s\" is not numbers and ranges that rise, "
                         "such as 0-7,12",
                         group.name, (int)strcspn(text, ";"), text);
}

/*
 * Whether numbers rise is left to fl_channels_keep; but no list becomes longer
 * than its group, so that what is written cannot ask for any memory it likes.
 */
static fl_err read_list(size_t *count, uint32_t *list, const reading *r,
                        fl_channel_group group, const char *text)
{
    *count = 0;
    if (is_end(*text)) return FL_OK;  // empty, which is refused as such
    for (const char *next = text;; next++) {
        uint32_t from = 0, to = 0;
        next = read_range(&from, &to, next);
        if (!next || to < from || !(*next == ',' || is_end(*next))) {
            return refuse_text(r, group, text);
        }
        if (to >= group.count) {
            return fl_reason_set(r->why, FL_ERR_RANGE,
                                 "%s: there is no channel %u, the last is %u",
                                 group.name, to, group.count - 1);
        }
        if (to - from >= group.count - *count) {
            return fl_reason_set(r->why, FL_ERR_RANGE,
                                 "%s: a channel is named twice", group.name);
        }
        for (uint32_t c = from; c <= to; c++) {
            list[(*count)++] = c;
        }
        if (is_end(*next)) return FL_OK;
    }
}

static size_t list_all(uint32_t *list, fl_channel_group group)
{
    for (uint32_t c = 0; c < group.count; c++) {
        list[c] = c;
    }
    return group.count;
}

/* ---- all of it ---- */

static fl_err read_lists(const reading *r, const char *text)
{
    while (*text) {
        const size_t len = strcspn(text, ";");
        if (len > 0) FL_TRY(place_text(r, text, len));
        text += len + (text[len] == ';');
    }
    r->at[0] = 0;
    for (uint32_t i = 0; i < r->group_count; i++) {
        const fl_channel_group group = fl_channels_group(r->channels, i);
        uint32_t *list = r->lists + r->at[i];
        size_t count;
        if (r->texts[i]) {
            FL_TRY(read_list(&count, list, r, group, r->texts[i]));
        } else {
            count = list_all(list, group);
        }
        r->at[i + 1] = r->at[i] + count;
    }
    return FL_OK;
}

fl_err fl_keep_read(bool *keep, const fl_channels *channels, const char *text,
                    fl_reason *why)
{
    const uint32_t groups = fl_channels_group_count(channels);
    const reading r = {
        .channels = channels,
        .group_count = groups,
        .texts = calloc(groups + 1, sizeof *r.texts),
        .lists = calloc(fl_channels_count(channels) + 1, sizeof *r.lists),
        .at = calloc(groups + 1, sizeof *r.at),
        .why = why,
    };
    fl_err err = FL_ERR_MEMORY;
    if (r.texts && r.lists && r.at) {
        err = read_lists(&r, text);
        if (!err) err = fl_channels_keep(keep, channels, r.lists, r.at, why);
    } else {
        (void)!fl_reason_set(why, err, "no memory for lists of channels");
    }
    free((void *)r.texts);
    free(r.lists);
    free(r.at);
    return err;
}
