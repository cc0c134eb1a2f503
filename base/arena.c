/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, BLOCK_MIN = 64 * 1024 };

struct fl_arena_block {
    alignas(ALIGNMENT) struct fl_arena_block *next;
    size_t len, cap;  // of the room behind this header, multiples of 64
};

static size_t round_up(size_t len)
{
    return (len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void fl_arena_init(fl_arena *arena, size_t cap)
{
    *arena = (fl_arena){.cap = cap};
}

// Each block is as large as all before it together, so there are few.
static fl_arena_block *add_block(fl_arena *arena, size_t len)
{
    size_t room = BLOCK_MIN;
    for (const fl_arena_block *b = arena->blocks; b; b = b->next) {
        room += b->cap;
    }
    const size_t allowed = arena->cap - arena->used;
    if (room > allowed) room = round_up(allowed);
    if (room < len) room = len;

    fl_arena_block *block = aligned_alloc(ALIGNMENT, sizeof *block + room);
    if (!block) return NULL;
    *block = (fl_arena_block){.next = arena->blocks, .cap = room};
    arena->blocks = block;
    return block;
}

void *fl_arena_take(fl_arena *arena, size_t len)
{
    if (len == 0) len = 1;  // so that nothing can be taken without end
    if (len > arena->cap - arena->used) return NULL;
    if (len > SIZE_MAX / 2) return NULL;  // beyond any memory; may be rounded

    const size_t rounded = round_up(len);
    fl_arena_block *block = arena->blocks;
    while (block && rounded > block->cap - block->len) {
        block = block->next;
    }
    if (!block) block = add_block(arena, rounded);
    if (!block) return NULL;

    uint8_t *taken = (uint8_t *)(block + 1) + block->len;
    block->len += rounded;
    arena->used += len;
    return memset(taken, 0, len);
}

void fl_arena_reset(fl_arena *arena)
{
    for (fl_arena_block *block = arena->blocks; block; block = block->next) {
        block->len = 0;
    }
    arena->used = 0;
}

void fl_arena_fini(fl_arena *arena)
{
    while (arena->blocks) {
        fl_arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    *arena = (fl_arena){0};
}
