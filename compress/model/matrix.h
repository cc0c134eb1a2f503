/*
 * A model of whole numbers in rows and columns, mostly zeros, of which the
 * others lie together: steps by which coordinates of a tensor have moved. What
 * surrounds a number and how full its row and its column have been so far
 * says how likely it is not zero (docs/format.md, "Patches").
 *
 * Tensors of one role learn from each other. Not thread-safe.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_MATRIX_H
#define FL_COMPRESS_MATRIX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "compress/model/coder.h"

typedef struct fl_matrix fl_matrix;

/* For tensors of at most `column_cap` columns. The caller owns *matrix. */
FL_CHECK fl_err fl_matrix_new(fl_matrix **matrix, size_t column_cap);

/* Accepts NULL. */
void fl_matrix_free(fl_matrix *matrix);

/* The next numbers are those of a tensor of this role, row by row. */
void fl_matrix_start(fl_matrix *matrix, unsigned role, size_t column_count);

/* The next number, of at most 2^24 - 1; decoding, what it is. */
int32_t fl_matrix_code(fl_matrix *matrix, fl_coder *coder, int32_t value);

#endif
