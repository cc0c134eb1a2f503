/*
 * One picture from bytes: PNG or JPEG, 1 channel (grey) or 3 (red, green,
 * blue), 8 bits each. Palettes become colours, transparency is left out,
 * 16 bits become 8.
 *
 * Safe on untrusted bytes: sizes are checked before anything is decoded, and
 * damaged data is refused, not patched up.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_DATA_PICTURE_H
#define FL_DATA_PICTURE_H

#include "data/data.h"

/*
 * With `pixels` NULL: reads only the header, into *shape. Else *shape is what
 * the header must say, and pixels (H, W, C) gets the picture.
 * FL_ERR_FORMAT: neither PNG nor JPEG, damaged, cut short, or of another
 * shape. FL_ERR_LIMIT: more than FL_DATA_VALUES_MAX values. *why does not
 * name the file: the caller knows it. `pixels` is undefined after an error.
 */
FL_CHECK fl_err fl_picture_decode(uint8_t *pixels, fl_shape *shape,
                                  const uint8_t *src, size_t src_len,
                                  fl_reason *why);

/* The two formats behind it, with the same contract. */
FL_CHECK fl_err fl_png_decode(uint8_t *pixels, fl_shape *shape,
                              const uint8_t *src, size_t src_len,
                              fl_reason *why);
FL_CHECK fl_err fl_jpeg_decode(uint8_t *pixels, fl_shape *shape,
                               const uint8_t *src, size_t src_len,
                               fl_reason *why);

/*
 * For the formats: whether a picture of this shape is wanted. Sets *wanted
 * when `any` is, and compares with it otherwise.
 */
FL_CHECK fl_err fl_picture_check(fl_shape *wanted, bool any, fl_shape shape,
                                 fl_reason *why);

#endif
