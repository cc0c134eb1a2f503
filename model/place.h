/*
 * Where blocks of memory lie in one arena, given when each is in use: blocks
 * that are never in use at the same time may share addresses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_PLACE_H
#define FL_MODEL_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct {
    size_t floats;         // 0: takes no room
    uint32_t first, last;  // ticks of first and last use, both included
    size_t at;             // the result: offset in floats, a multiple of 16
} fl_block;

/*
 * Fills every block's `at`; *floats: what the arena must hold. Larger blocks
 * are placed first, each at the lowest offset that is free in its ticks.
 * FL_ERR_LIMIT: the sum does not fit size_t. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_place_blocks(fl_block *blocks, size_t count, size_t *floats);

#endif
