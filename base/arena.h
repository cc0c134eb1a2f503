/*
 * Memory for things that die together: take as often as you like, reset once.
 *
 * Grows in blocks up to the maximum given at init, and keeps its blocks over
 * a reset. Pointers stay valid until then. Not thread-safe.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_ARENA_H
#define FL_BASE_ARENA_H

#include <stddef.h>

#include "base/err.h"

typedef struct fl_arena_block fl_arena_block;

typedef struct {
    fl_arena_block *blocks;
    size_t cap;   // bytes that may be taken in all
    size_t used;  // bytes taken since the last reset
} fl_arena;

/* Allocates nothing yet. */
void fl_arena_init(fl_arena *arena, size_t cap);

/*
 * `len` zeroed bytes, aligned for any type (64 bytes). NULL: the maximum is
 * reached or memory is out.
 */
void *fl_arena_take(fl_arena *arena, size_t len);

/* Forgets everything taken; keeps the memory for the next time. */
void fl_arena_reset(fl_arena *arena);

void fl_arena_fini(fl_arena *arena);

#endif
