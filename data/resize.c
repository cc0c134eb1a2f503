/* SPDX-License-Identifier: Apache-2.0 */
#include "data/resize.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Which two of the source a place lies between, and how near to the second.
typedef struct {
    uint32_t low, high;
    float share;
} tap;

struct fl_resize {
    fl_shape from, to;
    tap taps[];  // of the rows, then of the columns
};

enum { CHANNELS_AT_ONCE = 16 };

// A number of one to four digits, not 0, and `end` behind it; NULL: none.
static const char *read_size(uint32_t *size, const char *text, char end)
{
    const size_t digits = strspn(text, "0123456789");
    if (digits < 1 || digits > 4 || text[digits] != end) return NULL;
    *size = (uint32_t)strtoul(text, NULL, 10);
    return *size > 0 ? text + digits + 1 : NULL;
}

static fl_err read_shape(fl_shape *to, fl_shape from, const char *text,
                         fl_reason *why)
{
    *to = from;
    const char *width = read_size(&to->height, text, 'x');
    if (!width || !read_size(&to->width, width, '\0')) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--resize %s: not HEIGHTxWIDTH, such as 64x64",
                             text);
    }
    if (from.height == 1 && from.width == 1) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--resize %s: the rows are lines of a table, no "
                             "pictures; leave it out",
                             text);
    }
    if (fl_shape_size(*to) <= FL_DATA_VALUES_MAX) return FL_OK;
    return fl_reason_set(why, FL_ERR_LIMIT,
                         "--resize %s: more than %u values in a row", text,
                         FL_DATA_VALUES_MAX);
}

/*
 * The centre of place i of `to` is at ((2 i + 1) from / to - 1) / 2 of the
 * source; beyond the outermost centres the edge goes on.
 */
static void set_taps(tap *taps, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < to; i++) {
        const uint64_t unit = 2 * (uint64_t)to;
        const uint64_t ahead = (2 * (uint64_t)i + 1) * from;
        const uint64_t at = ahead > to ? ahead - to : 0;
        const uint32_t low = (uint32_t)(at / unit);
        taps[i].low = low;
        taps[i].high = low + 1 < from ? low + 1 : low;
        taps[i].share = (float)(at % unit) / (float)unit;
    }
}

fl_err fl_resize_new(fl_resize **resize, fl_shape from, const char *text,
                     fl_reason *why)
{
    fl_shape to;
    FL_TRY(read_shape(&to, from, text, why));
    const size_t count = (size_t)to.height + to.width;
    fl_resize *made = malloc(sizeof *made + count * sizeof *made->taps);
    if (!made) return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    made->from = from;
    made->to = to;
    set_taps(made->taps, from.height, to.height);
    set_taps(made->taps + to.height, from.width, to.width);
    *resize = made;
    return FL_OK;
}

void fl_resize_free(fl_resize *resize)
{
    free(resize);
}

fl_shape fl_resize_from(const fl_resize *resize)
{
    return resize->from;
}

fl_shape fl_resize_to(const fl_resize *resize)
{
    return resize->to;
}

/* ---- reading ---- */

// Where the picture is, and in what type.
typedef struct {
    const void *kept;
    size_t first;
    fl_number_type type;
    fl_shape shape;
} picture;

static float between(float low, float high, float share)
{
    return low + (high - low) * share;
}

// line[0..count): channels from c on, between two columns of row y.
static void read_line(float *line, const picture *p, uint32_t y, tap column,
                      size_t c, size_t count)
{
    float high[CHANNELS_AT_ONCE];
    const size_t channels = p->shape.channels;
    const size_t row = p->first + (size_t)y * p->shape.width * channels + c;
    fl_number_read(line, p->kept, row + column.low * channels, count, p->type);
    fl_number_read(high, p->kept, row + column.high * channels, count, p->type);
    for (size_t k = 0; k < count; k++) {
        line[k] = between(line[k], high[k], column.share);
    }
}

static void read_pixel(float *x, const picture *p, tap row, tap column)
{
    const size_t channels = p->shape.channels;
    for (size_t c = 0; c < channels; c += CHANNELS_AT_ONCE) {
        float low[CHANNELS_AT_ONCE], high[CHANNELS_AT_ONCE];
        size_t count = channels - c;
        if (count > CHANNELS_AT_ONCE) count = CHANNELS_AT_ONCE;
        read_line(low, p, row.low, column, c, count);
        read_line(high, p, row.high, column, c, count);
        for (size_t k = 0; k < count; k++) {
            x[c + k] = between(low[k], high[k], row.share);
        }
    }
}

void fl_resize_read(float *x, const fl_resize *resize, const void *kept,
                    size_t first, fl_number_type type)
{
    const picture p = {kept, first, type, resize->from};
    const tap *rows = resize->taps;
    const tap *columns = resize->taps + resize->to.height;
    for (uint32_t i = 0; i < resize->to.height; i++) {
        for (uint32_t j = 0; j < resize->to.width; j++) {
            read_pixel(x, &p, rows[i], columns[j]);
            x += p.shape.channels;
        }
    }
}
