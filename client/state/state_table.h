/*
 * Which objects a client has: a table, without the files. There is room for
 * one more than is kept, complete ones and the one being downloaded.
 *
 * Private to client/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_STATE_TABLE_H
#define FL_CLIENT_STATE_TABLE_H

#include "client/state/state.h"

typedef struct {
    uint8_t name[FL_HASH_BYTES];
    uint64_t serial;  // 0: no object
    fl_object_kind kind;
    bool is_complete;
} fl_state_entry;

enum { FL_STATE_ENTRIES = FL_STATE_OBJECTS_KEPT + 2 };

typedef struct {
    fl_state_entry entries[FL_STATE_ENTRIES];
} fl_state_table;

/* NULL: there is none. */
fl_state_entry *fl_state_table_find(fl_state_table *table,
                                    const uint8_t name[FL_HASH_BYTES]);
fl_state_entry *fl_state_table_newest(fl_state_table *table,
                                      fl_object_kind kind);

/* Above that of every object. */
uint64_t fl_state_table_next_serial(const fl_state_table *table);

/*
 * Of those that are complete, or not, if there are more than `max`: the one to
 * forget, the oldest of the kind that there is most of. Else NULL.
 */
fl_state_entry *fl_state_table_surplus(fl_state_table *table, bool is_complete,
                                       size_t max);

/* Adds a copy, and takes out what is then too much. */
void fl_state_table_admit(fl_state_table *table, const fl_state_entry *entry);

#endif
