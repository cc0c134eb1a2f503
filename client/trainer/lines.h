/*
 * Lines out of the pieces that a pipe gives, each with a maximum.
 *
 * Private to client/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_TRAINER_LINES_H
#define FL_CLIENT_TRAINER_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { FL_LINES_CAP = 8192 };  // bytes of a line; what follows is dropped

typedef struct {
    char text[FL_LINES_CAP + 1];
    size_t len;
    bool is_cut;  // the line is longer than that
} fl_lines;

/*
 * Takes a piece, and calls `take` for each line that it ends, without its
 * newline; a byte 0 follows the text. Ends with the first error of `take`:
 * no more pieces then.
 */
FL_CHECK fl_err fl_lines_add(fl_lines *lines, const char *piece, size_t len,
                             fl_err (*take)(void *self, const fl_lines *line),
                             void *self);

/* The same for a last line without newline. */
FL_CHECK fl_err fl_lines_finish(fl_lines *lines,
                                fl_err (*take)(void *self,
                                               const fl_lines *line),
                                void *self);

#endif
