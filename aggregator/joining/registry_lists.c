/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "aggregator/joining/registry_core.h"
#include "aggregator/store_db.h"

// Under its own name, or its id where that is another's.
static fl_err import_device(fl_store *store, bool *changed,
                            const fl_device *device, int64_t now_ms,
                            fl_reason *why)
{
    bool is_known, taken;
    fl_registry_entry entry;
    char name[FL_ENROLMENT_NAME_CAP];
    FL_TRY(fl_registry_get(store, &entry, &is_known, device->identity, why));
    if (is_known && entry.registration.state != FL_REGISTRATION_PENDING) {
        return FL_OK;
    }
    FL_TRY(fl_registry_is_channel_taken(store, &taken, device, why));
    if (taken) return FL_OK;
    memcpy(name, device->name, sizeof name);
    FL_TRY(
        fl_registry_is_name_taken(store, &taken, device->identity, name, why));
    if (taken) fl_device_id(name, device->identity);
    *changed = true;
    return fl_registry_put(store, device, name, FL_REGISTRATION_ENROLLED,
                           is_known ? entry.token : 0, now_ms, why);
}

static fl_err import_all(fl_store *store, bool *changed,
                         const fl_device *devices, uint32_t device_count,
                         int64_t now_ms, fl_reason *why)
{
    *changed = false;
    for (uint32_t i = 0; i < device_count; i++) {
        FL_TRY(import_device(store, changed, &devices[i], now_ms, why));
    }
    return FL_OK;
}

fl_err fl_registry_import(fl_store *store, bool *changed,
                          const fl_device *devices, uint32_t device_count,
                          int64_t now_ms, fl_reason *why)
{
    fl_store_db *db = fl_store_database(store);
    FL_TRY(fl_store_db_begin(db, why));
    const fl_err err =
        import_all(store, changed, devices, device_count, now_ms, why);
    return fl_store_db_finish(db, err, why);
}

fl_err fl_registry_import_lightly(fl_store *store, const fl_device *device,
                                  int64_t now_ms, fl_reason *why)
{
    bool changed;
    fl_store_db *db = fl_store_database(store);
    FL_TRY(fl_store_db_run(db, "PRAGMA synchronous = NORMAL", why));
    const fl_err err =
        fl_registry_import(store, &changed, device, 1, now_ms, why);
    const fl_err run_err =
        fl_store_db_run(db, "PRAGMA synchronous = FULL", err ? NULL : why);
    return err ? err : run_err;
}

// Names may have been swapped, and none may be there twice: first all get one
// that people cannot give.
static fl_err take_names_away(fl_store *store, const fl_enrolment *list,
                              fl_reason *why)
{
    fl_store_query query;
    for (uint32_t i = 0; i < list->device_count; i++) {
        FL_TRY(fl_store_query_begin(&query, fl_store_database(store),
                                    "UPDATE device SET name ="
                                    " substr(hex(identity), 1, 62) || '!'"
                                    " WHERE identity = ?",
                                    why));
        fl_store_query_bind_bytes(&query, list->devices[i].identity,
                                  FL_KEY_BYTES);
        FL_TRY(fl_store_query_run(&query, why));
    }
    return FL_OK;
}

// Those whose name was not taken away are not in the list.
static fl_err suspend_others(fl_store *store, int64_t now_ms, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, fl_store_database(store),
                                "UPDATE device SET state = 1, since_ms = ?"
                                " WHERE state = 2 AND name NOT LIKE '%!'",
                                why));
    fl_store_query_bind_i64(&query, now_ms);
    return fl_store_query_run(&query, why);
}

static fl_err give_names(fl_store *store, const fl_enrolment *list,
                         fl_reason *why)
{
    for (uint32_t i = 0; i < list->device_count; i++) {
        bool taken;
        char id[FL_DEVICE_ID_CAP];
        const fl_device *device = &list->devices[i];
        FL_TRY(fl_registry_is_name_taken(store, &taken, device->identity,
                                         device->name, why));
        fl_device_id(id, device->identity);
        FL_TRY(fl_registry_set_name(store, device->identity,
                                    taken ? id : device->name, why));
    }
    return FL_OK;
}

static fl_err follow(fl_store *store, const fl_enrolment *list, int64_t now_ms,
                     fl_reason *why)
{
    bool changed;
    FL_TRY(take_names_away(store, list, why));
    FL_TRY(suspend_others(store, now_ms, why));
    FL_TRY(import_all(store, &changed, list->devices, list->device_count,
                      now_ms, why));
    return give_names(store, list, why);
}

fl_err fl_registry_follow(fl_store *store, const fl_enrolment *list,
                          int64_t now_ms, fl_reason *why)
{
    fl_store_db *db = fl_store_database(store);
    FL_TRY(fl_store_db_begin(db, why));
    const fl_err err = follow(store, list, now_ms, why);
    return fl_store_db_finish(db, err, why);
}
