/* SPDX-License-Identifier: Apache-2.0 */
#include "net/event_heap.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/bytes.h"

enum { FIRST_CAP = 64 };

static bool is_before(const fl_event_entry *a, const fl_event_entry *b)
{
    if (a->at < b->at) return true;
    return a->at == b->at && a->sequence < b->sequence;
}

static void put(fl_event_heap *heap, size_t i, fl_event_entry entry)
{
    heap->entries[i] = entry;
    entry.node->place = i + 1;
}

static void sift_up(fl_event_heap *heap, size_t i, fl_event_entry entry)
{
    while (i > 0) {
        const size_t parent = (i - 1) / 2;
        if (!is_before(&entry, &heap->entries[parent])) break;
        put(heap, i, heap->entries[parent]);
        i = parent;
    }
    put(heap, i, entry);
}

static void sift_down(fl_event_heap *heap, size_t i, fl_event_entry entry)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= heap->count) break;
        if (child + 1 < heap->count &&
            is_before(&heap->entries[child + 1], &heap->entries[child])) {
            child++;
        }
        if (!is_before(&heap->entries[child], &entry)) break;
        put(heap, i, heap->entries[child]);
        i = child;
    }
    put(heap, i, entry);
}

void fl_event_heap_fini(fl_event_heap *heap)
{
    free(heap->entries);
    *heap = (fl_event_heap){0};
}

fl_err fl_event_heap_join(fl_event_heap *heap, fl_event_node *node, int kind,
                          void *object)
{
    if (heap->joined == heap->cap) {
        size_t cap, bytes;
        FL_TRY(fl_size_mul(&cap, heap->cap ? heap->cap : FIRST_CAP, 2));
        FL_TRY(fl_size_mul(&bytes, cap, sizeof *heap->entries));
        fl_event_entry *entries = realloc(heap->entries, bytes);
        if (!entries) return FL_ERR_MEMORY;
        heap->entries = entries;
        heap->cap = cap;
    }
    heap->joined++;
    *node = (fl_event_node){.kind = kind, .object = object};
    return FL_OK;
}

void fl_event_heap_leave(fl_event_heap *heap, fl_event_node *node)
{
    if (!node->object) return;
    assert(heap->joined > 0);
    fl_event_heap_remove(heap, node);
    heap->joined--;
    node->object = NULL;
}

void fl_event_heap_set(fl_event_heap *heap, fl_event_node *node, double at)
{
    fl_event_heap_remove(heap, node);
    assert(heap->count < heap->joined);
    sift_up(
        heap, heap->count++,
        (fl_event_entry){.at = at, .sequence = heap->sequence++, .node = node});
}

void fl_event_heap_remove(fl_event_heap *heap, fl_event_node *node)
{
    if (node->place == 0) return;
    const size_t i = node->place - 1;
    node->place = 0;
    const fl_event_entry last = heap->entries[--heap->count];
    if (i == heap->count) return;
    // The last one fills the gap; it may belong above or below it.
    if (i > 0 && is_before(&last, &heap->entries[(i - 1) / 2])) {
        sift_up(heap, i, last);
    } else {
        sift_down(heap, i, last);
    }
}

fl_event_node *fl_event_heap_pop(fl_event_heap *heap, double *at)
{
    if (heap->count == 0) return NULL;
    fl_event_node *node = heap->entries[0].node;
    *at = heap->entries[0].at;
    fl_event_heap_remove(heap, node);
    return node;
}
