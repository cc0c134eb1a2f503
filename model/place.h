/*
 * Where blocks of memory lie in one arena, given when each is in use: blocks
 * that are never in use at the same time may share addresses. What plans of
 * both kinds place are the values and the scratch of their graph's nodes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_PLACE_H
#define FL_MODEL_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/graph.h"

/* Ticks of first and last use, both included. */
typedef struct {
    uint32_t first, last;
} fl_span;

#define FL_SPAN_NEVER UINT32_MAX  // as `first`: not in use at all

typedef struct {
    size_t floats;  // 0: takes no room
    fl_span used;
    size_t at;      // the result: offset in floats, a multiple of 16
    uint32_t node;  // whose it is, for messages
} fl_block;

/* Makes it last from or to `tick`, if it does not. */
void fl_span_widen(fl_span *span, uint32_t tick);

/*
 * Fills every block's `at`; *floats: what the arena must hold. Larger blocks
 * are placed first, each at the lowest offset that is free in its ticks.
 * FL_ERR_LIMIT: the sum does not fit size_t. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_place_blocks(fl_block *blocks, size_t count, size_t *floats);

/*
 * FL_ERR_MEMORY: says that a batch of so many needs more than there is, up to
 * how much (the blocks and `more` floats), and which node of `graph` needs
 * most.
 */
fl_err fl_place_refuse(const fl_block *blocks, size_t count, size_t more,
                       const fl_graph *graph, uint32_t batch_cap,
                       fl_reason *why);

#endif
