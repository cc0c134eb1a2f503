/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trainer/lines.h"

#include <string.h>

static fl_err end_line(fl_lines *lines,
                       fl_err (*take)(void *self, const fl_lines *line),
                       void *self)
{
    lines->text[lines->len] = 0;
    const fl_err err = take(self, lines);
    lines->len = 0;
    lines->is_cut = false;
    return err;
}

static void append(fl_lines *lines, const char *piece, size_t len)
{
    const size_t room = FL_LINES_CAP - lines->len;
    if (len > room) {
        lines->is_cut = true;
        len = room;
    }
    memcpy(lines->text + lines->len, piece, len);
    lines->len += len;
}

fl_err fl_lines_add(fl_lines *lines, const char *piece, size_t len,
                    fl_err (*take)(void *self, const fl_lines *line),
                    void *self)
{
    while (len > 0) {
        const char *newline = memchr(piece, '\n', len);
        const size_t part = newline ? (size_t)(newline - piece) : len;
        append(lines, piece, part);
        if (!newline) return FL_OK;
        FL_TRY(end_line(lines, take, self));
        piece += part + 1;
        len -= part + 1;
    }
    return FL_OK;
}

fl_err fl_lines_finish(fl_lines *lines,
                       fl_err (*take)(void *self, const fl_lines *line),
                       void *self)
{
    return lines->len > 0 ? end_line(lines, take, self) : FL_OK;
}
