/*
 * Small datasets made of numbers that a test knows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_TABLES_H
#define FL_TESTS_SUPPORT_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include "data/data.h"

/*
 * Rows of (1, 1, columns) floats, two classes in turn. Both end the test when
 * the files cannot be written or read back; the caller owns what they return.
 */
fl_dataset *table_of(const float *values, uint32_t row_count, uint32_t columns);

/*
 * Pictures of (side, side, 1), row_count of them, with labels in turn: a dim
 * pattern of each class under as much noise again.
 */
fl_dataset *table_of_pictures(uint32_t row_count, uint32_t side,
                              uint32_t class_count);

#endif
