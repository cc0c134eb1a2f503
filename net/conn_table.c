/* SPDX-License-Identifier: Apache-2.0 */
#include "net/conn_table.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"

enum { SLOT_BITS = 24, FIRST_ROOM = 64 };

static uint32_t slot_of(fl_conn conn)
{
    return (uint32_t)(conn & FL_CONN_TABLE_CAP_MAX);
}

void fl_conn_table_init(fl_conn_table *table, uint32_t cap)
{
    assert(cap >= 1 && cap <= FL_CONN_TABLE_CAP_MAX);
    *table = (fl_conn_table){.cap = cap};
}

void fl_conn_table_fini(fl_conn_table *table)
{
    free(table->slots);
    *table = (fl_conn_table){0};
}

static fl_err grow(fl_conn_table *table)
{
    uint32_t room = table->room ? table->room * 2 : FIRST_ROOM;
    if (room > table->cap) room = table->cap;
    size_t bytes;
    FL_TRY(fl_size_mul(&bytes, room, sizeof *table->slots));
    fl_conn_slot *slots = realloc(table->slots, bytes);
    if (!slots) return FL_ERR_MEMORY;
    table->slots = slots;
    table->room = room;
    return FL_OK;
}

fl_err fl_conn_table_add(fl_conn_table *table, fl_conn *conn, void *object)
{
    if (table->count == table->cap) return FL_ERR_LIMIT;
    uint32_t i = table->first_free;
    if (i) {
        table->first_free = table->slots[i - 1].after;
    } else {
        if (table->touched == table->room) FL_TRY(grow(table));
        i = ++table->touched;
        table->slots[i - 1] = (fl_conn_slot){0};
    }
    fl_conn_slot *slot = &table->slots[i - 1];
    slot->object = object;
    table->count++;
    *conn = slot->uses << SLOT_BITS | i;
    return FL_OK;
}

void *fl_conn_table_get(const fl_conn_table *table, fl_conn conn)
{
    const uint32_t i = slot_of(conn);
    if (i == 0 || i > table->touched) return NULL;
    const fl_conn_slot *slot = &table->slots[i - 1];
    return slot->uses == conn >> SLOT_BITS ? slot->object : NULL;
}

void fl_conn_table_remove(fl_conn_table *table, fl_conn conn)
{
    assert(fl_conn_table_get(table, conn));
    const uint32_t i = slot_of(conn);
    fl_conn_slot *slot = &table->slots[i - 1];
    slot->object = NULL;
    slot->uses++;
    slot->after = table->first_free;
    table->first_free = i;
    table->count--;
}
