/*
 * A binary heap of things that will happen, earliest first; of two that
 * happen at the same time, the one that was set first.
 *
 * A node sits inside the object that it belongs to and is at most once in the
 * heap. Room for it is made when it joins: setting, moving and removing never
 * fail and take O(log n). Not thread-safe.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_NET_EVENT_HEAP_H
#define FL_NET_EVENT_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct {
    int kind;      // the user's word for what will happen
    void *object;  // to what
    size_t place;  // 0: not in the heap; else its index + 1
} fl_event_node;

typedef struct {
    double at;
    uint64_t sequence;
    fl_event_node *node;
} fl_event_entry;

/* {0} is an empty heap. */
typedef struct {
    fl_event_entry *entries;
    size_t count, cap;
    size_t joined;  // nodes that may be in the heap, never above cap
    uint64_t sequence;
} fl_event_heap;

void fl_event_heap_fini(fl_event_heap *heap);

/* Makes room for one more node; it starts outside. FL_ERR_MEMORY: no room. */
FL_CHECK fl_err fl_event_heap_join(fl_event_heap *heap, fl_event_node *node,
                                   int kind, void *object);

/* Removes the node for good. One that never joined is left alone. */
void fl_event_heap_leave(fl_event_heap *heap, fl_event_node *node);

/* Puts a node that joined in at this time, or moves it there. */
void fl_event_heap_set(fl_event_heap *heap, fl_event_node *node, double at);

/* Takes a node out; nothing happens when it is not in. */
void fl_event_heap_remove(fl_event_heap *heap, fl_event_node *node);

/* Takes the earliest one out; NULL when the heap is empty. */
fl_event_node *fl_event_heap_pop(fl_event_heap *heap, double *at);

#endif
