/* SPDX-License-Identifier: Apache-2.0 */
#include "data/picture.h"

#include <inttypes.h>
#include <string.h>

fl_err fl_picture_check(fl_shape *wanted, bool any, fl_shape shape,
                        fl_reason *why)
{
    const uint64_t pixels = (uint64_t)shape.height * shape.width;
    if (pixels > FL_DATA_VALUES_MAX ||
        pixels * shape.channels > FL_DATA_VALUES_MAX) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "is %" PRIu32 "x%" PRIu32
                             " pixels large, at most %u values are possible; "
                             "scale it down",
                             shape.width, shape.height, FL_DATA_VALUES_MAX);
    }
    if (any) {
        *wanted = shape;
        return FL_OK;
    }
    if (shape.height == wanted->height && shape.width == wanted->width &&
        shape.channels == wanted->channels) {
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "is %" PRIu32 "x%" PRIu32 " with %" PRIu32
                         " channels, the first picture is %" PRIu32 "x%" PRIu32
                         " with %" PRIu32 "; all must be alike",
                         shape.width, shape.height, shape.channels,
                         wanted->width, wanted->height, wanted->channels);
}

// By their first bytes: names of pictures often lie.
fl_err fl_picture_decode(uint8_t *pixels, fl_shape *shape, const uint8_t *src,
                         size_t src_len, fl_reason *why)
{
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    static const uint8_t jpeg[] = {0xff, 0xd8, 0xff};
    if (src_len >= sizeof png && memcmp(src, png, sizeof png) == 0) {
        return fl_png_decode(pixels, shape, src, src_len, why);
    }
    if (src_len >= sizeof jpeg && memcmp(src, jpeg, sizeof jpeg) == 0) {
        return fl_jpeg_decode(pixels, shape, src, src_len, why);
    }
    return fl_reason_set(why, FL_ERR_FORMAT, "is neither PNG nor JPEG");
}
