/*
 * A long answer is made piece by piece, while it is read: this one is being
 * read. So an answer takes the same memory however long it is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_HTTP_PIECE_H
#define FL_AGGREGATOR_HTTP_PIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

/* Zeroed: empty. */
typedef struct {
    char *text;
    size_t len, at;
    FILE *out;  // while it is written
} fl_piece;

/* Drops what was there; write to piece->out until the finish. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_piece_begin(fl_piece *piece);

/* FL_ERR_MEMORY: the piece is empty. */
FL_CHECK fl_err fl_piece_finish(fl_piece *piece);

bool fl_piece_is_read(const fl_piece *piece);

/* Hands out up to dst_cap bytes of what is left; returns how many. */
size_t fl_piece_read(fl_piece *piece, char *dst, size_t dst_cap);

void fl_piece_fini(fl_piece *piece);

#endif
