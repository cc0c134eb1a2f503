/* SPDX-License-Identifier: Apache-2.0 */
#include "client/state/state_table.h"

#include <assert.h>
#include <string.h>

fl_state_entry *fl_state_table_find(fl_state_table *table,
                                    const uint8_t name[FL_HASH_BYTES])
{
    for (size_t i = 0; i < FL_STATE_ENTRIES; i++) {
        fl_state_entry *entry = &table->entries[i];
        if (entry->serial && memcmp(entry->name, name, FL_HASH_BYTES) == 0) {
            return entry;
        }
    }
    return NULL;
}

uint64_t fl_state_table_next_serial(const fl_state_table *table)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < FL_STATE_ENTRIES; i++) {
        const uint64_t serial = table->entries[i].serial;
        if (serial > newest) newest = serial;
    }
    return newest + 1;
}

fl_state_entry *fl_state_table_newest(fl_state_table *table,
                                      fl_object_kind kind)
{
    fl_state_entry *newest = NULL;
    for (size_t i = 0; i < FL_STATE_ENTRIES; i++) {
        fl_state_entry *entry = &table->entries[i];
        if (!entry->serial || !entry->is_complete || entry->kind != kind) {
            continue;
        }
        if (!newest || entry->serial > newest->serial) newest = entry;
    }
    return newest;
}

static size_t count_entries(const fl_state_table *table, bool is_complete,
                            fl_object_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < FL_STATE_ENTRIES; i++) {
        const fl_state_entry *entry = &table->entries[i];
        count += entry->serial && entry->is_complete == is_complete &&
                 entry->kind == kind;
    }
    return count;
}

// An enrolment list is to outlive the models that come and go.
fl_state_entry *fl_state_table_surplus(fl_state_table *table, bool is_complete,
                                       size_t max)
{
    size_t count = 0, most = 0;
    fl_state_entry *surplus = NULL;
    for (size_t i = 0; i < FL_STATE_ENTRIES; i++) {
        fl_state_entry *entry = &table->entries[i];
        if (!entry->serial || entry->is_complete != is_complete) continue;
        const size_t alike = count_entries(table, is_complete, entry->kind);
        if (!surplus || alike > most ||
            (alike == most && entry->serial < surplus->serial)) {
            surplus = entry;
            most = alike;
        }
        count++;
    }
    return count > max ? surplus : NULL;
}

static size_t kept_max(bool is_complete)
{
    return is_complete ? FL_STATE_OBJECTS_KEPT : 1;
}

void fl_state_table_admit(fl_state_table *table, const fl_state_entry *entry)
{
    fl_state_entry *place = NULL;
    for (size_t i = 0; !place && i < FL_STATE_ENTRIES; i++) {
        if (!table->entries[i].serial) place = &table->entries[i];
    }
    assert(place);
    *place = *entry;
    fl_state_entry *surplus = fl_state_table_surplus(
        table, entry->is_complete, kept_max(entry->is_complete));
    if (surplus) *surplus = (fl_state_entry){.serial = 0};
}
