/* SPDX-License-Identifier: Apache-2.0 */
#include "model/place.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/bytes.h"

enum { UNIT = 16 };  // floats: 64 bytes, a cache line and the widest vector

// A reference that sorting moves about.
typedef struct {
    fl_block *block;
} slot;

void fl_span_widen(fl_span *span, uint32_t tick)
{
    if (tick < span->first) span->first = tick;
    if (tick > span->last) span->last = tick;
}

static bool overlap_in_time(const fl_block *a, const fl_block *b)
{
    return a->used.first <= b->used.last && b->used.first <= a->used.last;
}

// The largest first; equal ones in the order given, so that a plan is a
// function of its graph.
static int compare_size(const void *a, const void *b)
{
    const fl_block *x = ((const slot *)a)->block, *y = ((const slot *)b)->block;
    if (x->floats != y->floats) return x->floats > y->floats ? -1 : 1;
    return x < y ? -1 : x > y;
}

static int compare_offset(const void *a, const void *b)
{
    const fl_block *x = ((const slot *)a)->block, *y = ((const slot *)b)->block;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    return x < y ? -1 : x > y;
}

// The lowest free offset for `block` beside placed[0..count), which is used
// as room for a list of the neighbours in time.
static void place_block(fl_block *block, const slot *placed, size_t count,
                        slot *neighbours)
{
    size_t neighbour_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (overlap_in_time(placed[i].block, block)) {
            neighbours[neighbour_count++] = placed[i];
        }
    }
    qsort(neighbours, neighbour_count, sizeof *neighbours, compare_offset);

    size_t at = 0;
    for (size_t i = 0; i < neighbour_count; i++) {
        const fl_block *other = neighbours[i].block;
        if (at + block->floats <= other->at) break;
        if (other->at + other->floats > at) at = other->at + other->floats;
    }
    block->at = at;
}

static fl_err round_sizes(fl_block *blocks, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        FL_TRY(fl_size_add(&blocks[i].floats, blocks[i].floats, UNIT - 1));
        blocks[i].floats = blocks[i].floats / UNIT * UNIT;
        FL_TRY(fl_size_add(&sum, sum, blocks[i].floats));
    }
    return fl_size_mul(&sum, sum, sizeof(float));
}

fl_err fl_place_blocks(fl_block *blocks, size_t count, size_t *floats)
{
    FL_TRY(round_sizes(blocks, count));
    // The blocks by size, and behind them room for one block's neighbours.
    slot *order = malloc((2 * count + 1) * sizeof *order);
    if (!order) return FL_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        order[i].block = &blocks[i];
    }
    qsort(order, count, sizeof *order, compare_size);

    *floats = 0;
    for (size_t i = 0; i < count; i++) {
        fl_block *block = order[i].block;
        place_block(block, order, i, order + count);
        const size_t end = block->at + block->floats;
        if (end > *floats) *floats = end;
    }
    free(order);
    return FL_OK;
}

static size_t bytes_of(size_t floats)
{
    size_t bytes;
    return fl_size_mul(&bytes, floats, sizeof(float)) ? SIZE_MAX : bytes;
}

fl_err fl_place_refuse(const fl_block *blocks, size_t count, size_t more,
                       const fl_graph *graph, uint32_t batch_cap,
                       fl_reason *why)
{
    const fl_block *largest = &blocks[0];
    size_t sum = more;
    for (size_t i = 0; i < count; i++) {
        if (blocks[i].floats > largest->floats) largest = &blocks[i];
        if (fl_size_add(&sum, sum, blocks[i].floats)) sum = SIZE_MAX;
    }
    const fl_node *node = &graph->nodes[largest->node];
    return fl_reason_set(why, FL_ERR_MEMORY,
                         "a batch of %u needs more memory than there is: up "
                         "to %zu bytes, %zu of them for node \"%s\" (%s); "
                         "lower the batch",
                         batch_cap, bytes_of(sum), bytes_of(largest->floats),
                         node->name, fl_op_name(node->op));
}
