/*
 * Connection numbers: each names one object, and no number comes back.
 *
 * A number is a slot and how often the slot has been used before: 24 and 40
 * bits, enough for a thousand new connections a second in one slot for 34
 * years. Adding, finding and removing take constant time. Not thread-safe.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_NET_CONN_TABLE_H
#define FL_NET_CONN_TABLE_H

#include <stdint.h>

#include "base/err.h"
#include "net/net.h"

#define FL_CONN_TABLE_CAP_MAX ((UINT32_C(1) << 24) - 1)

typedef struct {
    void *object;    // NULL: the slot is free
    uint64_t uses;   // before this one
    uint32_t after;  // of a free slot: the next free one, 0 is none
} fl_conn_slot;

typedef struct {
    fl_conn_slot *slots;  // slot i is slots[i - 1]
    uint32_t room;        // slots allocated
    uint32_t touched;     // slots that have ever been used
    uint32_t first_free;
    uint32_t count;
    uint32_t cap;
} fl_conn_table;

/* At most `cap` objects, up to FL_CONN_TABLE_CAP_MAX. */
void fl_conn_table_init(fl_conn_table *table, uint32_t cap);
void fl_conn_table_fini(fl_conn_table *table);

/* FL_ERR_LIMIT: full. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_conn_table_add(fl_conn_table *table, fl_conn *conn,
                                  void *object);

/* NULL: no such connection, or not any more. */
void *fl_conn_table_get(const fl_conn_table *table, fl_conn conn);

/* The number must be in the table. */
void fl_conn_table_remove(fl_conn_table *table, fl_conn conn);

#endif
