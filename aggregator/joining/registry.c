/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/joining/registry.h"

#include <stdio.h>
#include <string.h>

#include "aggregator/joining/registry_core.h"
#include "aggregator/joining/tokens.h"
#include "aggregator/store_db.h"

#define DEVICE_COLUMNS                                                    \
    "identity, channel, card, name, state, since_ms, coalesce(token, 0)," \
    " coalesce(client.last_seen_ms, 0), coalesce(client.round_count, 0)"
#define DEVICES \
    " FROM device LEFT JOIN client ON client.public_key = device.identity"

/* ---- reading devices ---- */

static void take_entry(fl_store_query *query, fl_registry_entry *entry)
{
    memset(entry, 0, sizeof *entry);  // devices are compared as bytes
    fl_device *device = &entry->registration.device;
    fl_store_query_bytes(query, device->identity, FL_KEY_BYTES);
    fl_store_query_bytes(query, device->channel, FL_KEY_BYTES);
    fl_store_query_bytes(query, device->card, FL_SIGNATURE_BYTES);
    fl_store_query_copy_text(query, device->name, sizeof device->name);
    entry->registration.state =
        (fl_registration_state)fl_store_query_u32(query);
    entry->since_ms = fl_store_query_i64(query);
    entry->token = fl_store_query_u32(query);
    entry->last_seen_ms = fl_store_query_i64(query);
    entry->round_count = fl_store_query_u32(query);
}

fl_err fl_registry_each(fl_store *store,
                        void (*visit)(void *self, const fl_registry_entry *),
                        void *self, fl_reason *why)
{
    fl_store_query query;
    fl_registry_entry entry;
    FL_TRY(fl_store_query_begin(
        &query, fl_store_database(store),
        "SELECT " DEVICE_COLUMNS DEVICES " ORDER BY identity", why));
    while (fl_store_query_step(&query)) {
        take_entry(&query, &entry);
        if (fl_store_query_is_ok(&query)) visit(self, &entry);
    }
    return fl_store_query_end(&query, why);
}

fl_err fl_registry_get(fl_store *store, fl_registry_entry *entry, bool *found,
                       const uint8_t identity[FL_KEY_BYTES], fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(
        &query, fl_store_database(store),
        "SELECT " DEVICE_COLUMNS DEVICES " WHERE identity = ?", why));
    fl_store_query_bind_bytes(&query, identity, FL_KEY_BYTES);
    *found = fl_store_query_step(&query);
    if (*found) take_entry(&query, entry);
    return fl_store_query_end(&query, why);
}

typedef struct {
    const char *name;
    uint8_t key[FL_KEY_BYTES];
    bool is_key;
    fl_registry_entry *found;
    unsigned by_name, by_id;
} search;

static bool is_same_id(const char *id, const char *said)
{
    for (; *id && *said; id++, said++) {
        const int c = *said >= 'A' && *said <= 'Z' ? *said + 'a' - 'A' : *said;
        if (*id != c) return false;
    }
    return *id == *said;
}

// A name goes before an id that reads the same: it was given on purpose, and
// nobody can be called by the id of another.
static void compare(void *self, const fl_registry_entry *entry)
{
    search *s = self;
    char id[FL_DEVICE_ID_CAP];
    const fl_device *device = &entry->registration.device;
    fl_device_id(id, device->identity);
    const bool has_name = strcmp(device->name, s->name) == 0;
    const bool is_it = s->is_key
                           ? memcmp(device->identity, s->key, FL_KEY_BYTES) == 0
                           : has_name || is_same_id(id, s->name);
    if (!is_it) return;
    s->by_name += has_name;
    s->by_id += !has_name;
    *s->found = *entry;
}

fl_err fl_registry_find(fl_store *store, fl_registry_entry *entry,
                        const char *who, fl_reason *why)
{
    search s = {.name = who, .found = entry};
    s.is_key = fl_hex_decode(s.key, sizeof s.key, who) == FL_OK;
    FL_TRY(fl_registry_each(store, compare, &s, why));
    if (s.by_name + s.by_id == 1) return FL_OK;
    if (s.by_name + s.by_id == 0) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND,
                             "no device is called %s; fedge-aggregator clients "
                             "list prints names and ids",
                             who);
    }
    return fl_reason_set(why, FL_ERR_RANGE,
                         "%s is the id of several devices; name the one by "
                         "its key, as fedge-aggregator clients list --json "
                         "prints it",
                         who);
}

/* ---- writing devices ---- */

fl_err fl_registry_put(fl_store *store, const fl_device *device,
                       const char *name, fl_registration_state state,
                       uint32_t token, int64_t now_ms, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(
        &query, fl_store_database(store),
        "INSERT INTO device (identity, channel, card, name, state, since_ms,"
        " token) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (identity) DO UPDATE SET channel = excluded.channel,"
        " card = excluded.card, state = excluded.state,"
        " since_ms = excluded.since_ms, token = excluded.token",
        why));
    fl_store_query_bind_bytes(&query, device->identity, FL_KEY_BYTES);
    fl_store_query_bind_bytes(&query, device->channel, FL_KEY_BYTES);
    fl_store_query_bind_bytes(&query, device->card, FL_SIGNATURE_BYTES);
    fl_store_query_bind_text(&query, name);
    fl_store_query_bind_u64(&query, state);
    fl_store_query_bind_i64(&query, now_ms);
    fl_store_query_bind_u64(&query, token);
    return fl_store_query_run(&query, why);
}

static fl_err update_state(fl_store *store,
                           const uint8_t identity[FL_KEY_BYTES],
                           fl_registration_state state, int64_t now_ms,
                           fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, fl_store_database(store),
                                "UPDATE device SET state = ?, since_ms = ?"
                                " WHERE identity = ?",
                                why));
    fl_store_query_bind_u64(&query, state);
    fl_store_query_bind_i64(&query, now_ms);
    fl_store_query_bind_bytes(&query, identity, FL_KEY_BYTES);
    return fl_store_query_run(&query, why);
}

fl_err fl_registry_set_state(fl_store *store,
                             const uint8_t identity[FL_KEY_BYTES],
                             fl_registration_state state, int64_t now_ms,
                             fl_reason *why)
{
    bool found;
    fl_registry_entry entry;
    fl_store_db *db = fl_store_database(store);
    FL_TRY(fl_store_db_begin(db, why));
    fl_err err = fl_registry_get(store, &entry, &found, identity, why);
    if (!err && !found) {
        err = fl_reason_set(why, FL_ERR_NOT_FOUND, "no such device");
    } else if (!err && entry.registration.state != state) {
        err = update_state(store, identity, state, now_ms, why);
    }
    return fl_store_db_finish(db, err, why);
}

// Whether another device has this name or channel key.
static fl_err is_taken(fl_store *store, bool *taken, const char *sql,
                       const uint8_t identity[FL_KEY_BYTES], const void *bytes,
                       const char *text, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, fl_store_database(store), sql, why));
    fl_store_query_bind_bytes(&query, identity, FL_KEY_BYTES);
    if (text) {
        fl_store_query_bind_text(&query, text);
    } else {
        fl_store_query_bind_bytes(&query, bytes, FL_KEY_BYTES);
    }
    *taken = fl_store_query_step(&query);
    return fl_store_query_end(&query, why);
}

// By another device's name, or what reads like its id.
fl_err fl_registry_is_name_taken(fl_store *store, bool *taken,
                                 const uint8_t identity[FL_KEY_BYTES],
                                 const char *name, fl_reason *why)
{
    char id[FL_DEVICE_ID_CAP];
    fl_device_id(id, identity);
    if (fl_device_is_id(name) && strcmp(name, id) != 0) {
        *taken = true;
        return FL_OK;
    }
    return is_taken(store, taken,
                    "SELECT 1 FROM device WHERE identity != ? AND name = ?",
                    identity, NULL, name, why);
}

fl_err fl_registry_is_channel_taken(fl_store *store, bool *taken,
                                    const fl_device *device, fl_reason *why)
{
    return is_taken(store, taken,
                    "SELECT 1 FROM device WHERE identity != ? AND channel = ?",
                    device->identity, device->channel, NULL, why);
}

fl_err fl_registry_set_name(fl_store *store,
                            const uint8_t identity[FL_KEY_BYTES],
                            const char *name, fl_reason *why)
{
    bool taken;
    fl_store_query query;
    FL_TRY(fl_registry_is_name_taken(store, &taken, identity, name, why));
    if (taken) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%s is another device's name, or reads like its "
                             "id; choose another one",
                             name);
    }
    FL_TRY(fl_store_query_begin(&query, fl_store_database(store),
                                "UPDATE device SET name = ? WHERE identity = ?",
                                why));
    fl_store_query_bind_text(&query, name);
    fl_store_query_bind_bytes(&query, identity, FL_KEY_BYTES);
    return fl_store_query_run(&query, why);
}

fl_err fl_registry_rename(fl_store *store, const uint8_t identity[FL_KEY_BYTES],
                          const char *name, fl_reason *why)
{
    fl_store_db *db = fl_store_database(store);
    if (!fl_device_is_name(name)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%s: a name has 1 to 63 of the characters a-z, "
                             "0-9, \".\", \"_\", \"-\"",
                             name);
    }
    FL_TRY(fl_store_db_begin(db, why));
    const fl_err err = fl_registry_set_name(store, identity, name, why);
    return fl_store_db_finish(db, err, why);
}

/* ---- a device asks ---- */

// What a decision is made of, and what it is made of in turn.
typedef struct {
    fl_admission_question question;
    fl_registry_entry entry;
    fl_token_record token;
    char name[FL_ENROLMENT_NAME_CAP];  // that it gets
} petition;

// The operator's word, else the device's, else its id.
static void choose_name(petition *p, const fl_device *device, bool has_token)
{
    const fl_join *join = p->question.join;
    memset(p->name, 0, sizeof p->name);
    if (p->question.device) {
        memcpy(p->name, p->entry.registration.device.name, sizeof p->name);
    } else if (has_token && p->token.name[0]) {
        memcpy(p->name, p->token.name, sizeof p->name);
    } else if (join->name[0]) {
        memcpy(p->name, join->name, sizeof p->name);
    } else {
        fl_device_id(p->name, device->identity);
    }
}

static fl_err look_up(fl_store *store, petition *p, const fl_device *device,
                      fl_reason *why)
{
    bool is_known, has_token = false;
    uint64_t pending, total;
    fl_store_db *db = fl_store_database(store);
    fl_admission_question *q = &p->question;
    FL_TRY(fl_registry_get(store, &p->entry, &is_known, device->identity, why));
    if (is_known) {
        q->device = &p->entry.registration;
        q->device_token = p->entry.token;
    }
    if (q->join->has_token) {
        FL_TRY(fl_tokens_find(store, &p->token, &has_token, q->join->token.id,
                              why));
    }
    if (has_token) q->token = &p->token;
    choose_name(p, device, has_token);
    FL_TRY(fl_registry_is_name_taken(store, &q->is_name_taken, device->identity,
                                     p->name, why));
    FL_TRY(fl_registry_is_channel_taken(store, &q->is_key_taken, device, why));
    FL_TRY(fl_store_db_count(db, "SELECT count(*) FROM device WHERE state = 1",
                             &pending, why));
    FL_TRY(fl_store_db_count(db, "SELECT count(*) FROM device", &total, why));
    q->is_full =
        pending >= FL_REGISTRY_PENDING_MAX || total >= FL_ENROLMENT_DEVICES_MAX;
    return FL_OK;
}

static fl_err write_down(fl_store *store, const petition *p,
                         const fl_device *device, const fl_admission *admission,
                         fl_reason *why)
{
    const fl_join *join = p->question.join;
    if (admission->uses_token) {
        FL_TRY(fl_tokens_use(store, join->token.id, why));
    }
    return fl_registry_put(
        store, device, p->name,
        admission->state == FL_STANDING_ENROLLED ? FL_REGISTRATION_ENROLLED
                                                 : FL_REGISTRATION_PENDING,
        join->has_token ? join->token.id : 0, p->question.now_ms, why);
}

static fl_err join_within(fl_store *store, petition *p, fl_standing *standing,
                          bool *changed, const fl_device *device,
                          fl_reason *why)
{
    FL_TRY(look_up(store, p, device, why));
    const fl_admission admission = fl_admission_decide(&p->question);
    *standing =
        (fl_standing){.state = admission.state, .cause = admission.cause};
    if (admission.state != FL_STANDING_REFUSED) {
        memcpy(standing->name, p->name, sizeof standing->name);
    }
    *changed = admission.is_new;
    if (!admission.is_new) return FL_OK;
    return write_down(store, p, device, &admission, why);
}

fl_err fl_registry_join(fl_store *store, fl_standing *standing, bool *changed,
                        fl_join_mode mode, const fl_device *device,
                        const fl_join *join, int64_t now_ms, fl_reason *why)
{
    petition p = {.question = {.mode = mode, .now_ms = now_ms, .join = join}};
    fl_store_db *db = fl_store_database(store);
    FL_TRY(fl_store_db_begin(db, why));
    const fl_err err = join_within(store, &p, standing, changed, device, why);
    return fl_store_db_finish(db, err, why);
}

/* ---- between processes ---- */

fl_err fl_registry_version(fl_store *store, int64_t *version, fl_reason *why)
{
    return fl_store_db_version(fl_store_database(store), version, why);
}

static fl_err replace_note(fl_store *store, const char *key, const char *value,
                           fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(
        &query, fl_store_database(store),
        "INSERT OR REPLACE INTO note (key, value) VALUES (?, ?)", why));
    fl_store_query_bind_text(&query, key);
    fl_store_query_bind_text(&query, value);
    return fl_store_query_run(&query, why);
}

fl_err fl_registry_set_note(fl_store *store, const char *key, const char *value,
                            fl_reason *why)
{
    fl_store_db *db = fl_store_database(store);
    FL_TRY(fl_store_db_begin(db, why));
    const fl_err err = replace_note(store, key, value, why);
    return fl_store_db_finish(db, err, why);
}

fl_err fl_registry_get_note(fl_store *store, char *value, size_t value_cap,
                            const char *key, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, fl_store_database(store),
                                "SELECT value FROM note WHERE key = ?", why));
    fl_store_query_bind_text(&query, key);
    const bool found = fl_store_query_step(&query);
    if (found) {
        snprintf(value, value_cap, "%s", fl_store_query_text(&query));
    }
    FL_TRY(fl_store_query_end(&query, why));
    if (found) return FL_OK;
    return fl_reason_set(why, FL_ERR_NOT_FOUND, "%s: nothing is noted", key);
}
