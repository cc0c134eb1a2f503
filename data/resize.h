/*
 * Pictures read at another size than they are kept in: bilinear, pixel
 * centres on pixel centres, which is what PyTorch calls bilinear with
 * align_corners=False.
 *
 *   kept:    |  0  |  1  |  2  |      a pixel lies between the two of the
 *   read:    | 0 | 1 | 2 | 3 | 4 |    source whose centres surround its own
 *
 * Where a centre lies is a ratio of whole numbers, and each step is one
 * float operation, so a picture has the same bits on every CPU. Shrinking by
 * more than a half skips pixels: there is no averaging.
 *
 * Read-only once made; then any number of threads may read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_DATA_RESIZE_H
#define FL_DATA_RESIZE_H

#include <stddef.h>

#include "base/err.h"
#include "base/reason.h"
#include "data/data.h"
#include "data/number.h"

typedef struct fl_resize fl_resize;

/*
 * To `text`, which is HEIGHTxWIDTH. The caller owns *resize: fl_resize_free.
 * FL_ERR_RANGE: the text is something else, or `from` is a row of a table.
 * FL_ERR_LIMIT: more values than a row may have. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_resize_new(fl_resize **resize, fl_shape from,
                              const char *text, fl_reason *why);

/* Accepts NULL. */
void fl_resize_free(fl_resize *resize);

fl_shape fl_resize_from(const fl_resize *resize);
fl_shape fl_resize_to(const fl_resize *resize);

/* x (to) of the picture whose values begin at number `first` of `kept`. */
void fl_resize_read(float *x, const fl_resize *resize, const void *kept,
                    size_t first, fl_number_type type);

#endif
