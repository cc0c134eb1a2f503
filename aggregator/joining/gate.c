/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/joining/gate.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

enum { LOOK_MS = 1000, FIRST_ITEMS = 64 };

/* ---- the registry in memory ---- */

typedef struct {
    fl_gate *gate;
    bool is_full;  // no memory
} collection;

static void collect(void *self, const fl_registry_entry *entry)
{
    collection *c = self;
    fl_gate *gate = c->gate;
    if (gate->item_count == gate->item_cap) {
        const uint32_t cap = gate->item_cap ? gate->item_cap * 2 : FIRST_ITEMS;
        fl_registration *more = realloc(gate->items, cap * sizeof *more);
        if (!more) {
            c->is_full = true;
            return;
        }
        gate->items = more;
        gate->item_cap = cap;
    }
    gate->items[gate->item_count++] = entry->registration;
}

static fl_err read_registry(fl_gate *gate, fl_reason *why)
{
    collection c = {.gate = gate};
    // First: what is written while we read is seen the next time.
    FL_TRY(fl_registry_version(gate->store, &gate->version, why));
    gate->item_count = 0;
    FL_TRY(fl_registry_each(gate->store, collect, &c, why));
    return c.is_full
               ? fl_reason_set(why, FL_ERR_MEMORY, "no memory for the registry")
               : FL_OK;
}

fl_registry fl_gate_registry(const fl_gate *gate)
{
    return (fl_registry){.items = gate->items,
                         .count = gate->item_count,
                         .list = gate->list,
                         .list_len = gate->list_bytes};
}

/* ---- the list of an authority elsewhere ---- */

static void remember_file(fl_gate *gate, const struct stat *file)
{
    gate->list_changed_ns =
        (int64_t)file->st_mtim.tv_sec * 1000000000 + file->st_mtim.tv_nsec;
    gate->list_len = (int64_t)file->st_size;
}

static bool has_file_changed(fl_gate *gate)
{
    struct stat file;
    if (!gate->list_path || stat(gate->list_path, &file) != 0) return false;
    const fl_gate before = *gate;
    remember_file(gate, &file);
    return before.list_changed_ns != gate->list_changed_ns ||
           before.list_len != gate->list_len;
}

// An older list, or somebody else's, does not take the place of this one.
static fl_err check_follows(const fl_gate *gate, const fl_enrolment *list,
                            fl_reason *why)
{
    if (gate->serial == 0) return FL_OK;
    if (memcmp(gate->authority, list->authority, FL_KEY_BYTES) != 0) {
        return fl_reason_set(why, FL_ERR_AUTH,
                             "signed by another authority than the list "
                             "before; start again to change it");
    }
    if (list->serial > gate->serial) return FL_OK;
    return fl_reason_set(
        why, FL_ERR_STALE, "serial %llu does not follow %llu: an older list",
        (unsigned long long)list->serial, (unsigned long long)gate->serial);
}

static fl_err follow(fl_gate *gate, const fl_enrolment *list, fl_reason *why)
{
    FL_TRY(check_follows(gate, list, why));
    FL_TRY(fl_registry_follow(gate->store, list, fl_clock_wall_ms(), why));
    memcpy(gate->authority, list->authority, FL_KEY_BYTES);
    gate->serial = list->serial;
    return FL_OK;
}

static fl_err follow_list(fl_gate *gate, const uint8_t *bytes, size_t len,
                          fl_reason *why)
{
    fl_enrolment *list = NULL;
    FL_TRY(fl_enrolment_decode(&list, bytes, len, why));
    const fl_err err = follow(gate, list, why);
    fl_enrolment_free(list);
    return err;
}

static void forget_list(fl_gate *gate)
{
    free(gate->list);
    gate->list = NULL;
    gate->list_bytes = 0;
}

static fl_err read_list(fl_gate *gate, fl_reason *why)
{
    FL_TRY(fl_file_read(&gate->list, &gate->list_bytes, gate->list_path,
                        FL_ENROLMENT_BYTES_MAX, why));
    const fl_err err = follow_list(gate, gate->list, gate->list_bytes, why);
    if (!err) return FL_OK;
    forget_list(gate);
    return fl_reason_prefix(why, err, "%s", gate->list_path);
}

// True: there is another list.
static bool look_at_list(fl_gate *gate)
{
    fl_reason why;
    forget_list(gate);
    if (!has_file_changed(gate)) return false;
    if (!read_list(gate, &why)) return true;
    fl_log(FL_LOG_ERROR, "enrolment_not_read", "why=%s", why.text);
    return false;
}

/* ---- open ---- */

static fl_err import_own(fl_gate *gate, const uint8_t *list, size_t len,
                         fl_reason *why)
{
    bool changed;
    fl_enrolment *enrolment = NULL;
    FL_TRY(fl_enrolment_decode(&enrolment, list, len, why));
    const fl_err err =
        fl_registry_import(gate->store, &changed, enrolment->devices,
                           enrolment->device_count, fl_clock_wall_ms(), why);
    fl_enrolment_free(enrolment);
    return err;
}

fl_err fl_gate_init(fl_gate *gate, fl_store *store, fl_join_mode mode,
                    const char *list_path, const uint8_t *list, size_t list_len,
                    fl_reason *why)
{
    struct stat file;
    *gate = (fl_gate){.store = store, .mode = mode, .list_path = list_path};
    if (list_path && stat(list_path, &file) == 0) remember_file(gate, &file);
    if (list) {
        FL_TRY(list_path ? follow_list(gate, list, list_len, why)
                         : import_own(gate, list, list_len, why));
    }
    FL_TRY(fl_registry_set_note(store, "join", fl_join_mode_name(mode), why));
    return read_registry(gate, why);
}

void fl_gate_fini(fl_gate *gate)
{
    free(gate->items);
    forget_list(gate);
    *gate = (fl_gate){.store = NULL};
}

/* ---- while it runs ---- */

int64_t fl_gate_deadline(const fl_gate *gate)
{
    return gate->look_at_ms;
}

// What cannot be read now is tried again the next time.
static bool refresh(fl_gate *gate)
{
    fl_reason why;
    const fl_err err = read_registry(gate, &why);
    if (!err) return true;
    gate->version = -1;
    fl_log(FL_LOG_ERROR, "registry_not_read", "why=%s", why.text);
    return false;
}

bool fl_gate_look(fl_gate *gate, int64_t now_ms)
{
    int64_t version = gate->version;
    fl_reason why;
    if (now_ms < gate->look_at_ms) return false;
    gate->look_at_ms = now_ms + LOOK_MS;
    const bool has_list = look_at_list(gate);
    if (fl_registry_version(gate->store, &version, &why)) {
        fl_log(FL_LOG_ERROR, "registry_not_read", "why=%s", why.text);
        return false;
    }
    return (has_list || version != gate->version) && refresh(gate);
}

static void log_join(const fl_device *device, const fl_join *join,
                     const fl_standing *standing)
{
    char id[FL_DEVICE_ID_CAP], token[FL_TOKEN_ID_CAP] = "none";
    fl_device_id(id, device->identity);
    if (join->has_token) fl_token_id_encode(token, join->token.id);
    if (standing->state == FL_STANDING_REFUSED) {
        fl_log(FL_LOG_WARN, "join_refused", "id=%s token=%s why=%s", id, token,
               fl_cause_word(standing->cause));
    } else {
        fl_log(FL_LOG_INFO, "join", "id=%s name=%s token=%s state=%s", id,
               standing->name, token,
               standing->state == FL_STANDING_ENROLLED ? "enrolled"
                                                       : "pending");
    }
}

bool fl_gate_join(fl_gate *gate, fl_standing *standing, const fl_device *device,
                  const fl_join *join)
{
    bool changed = false;
    fl_reason why;
    const fl_err err =
        fl_registry_join(gate->store, standing, &changed, gate->mode, device,
                         join, fl_clock_wall_ms(), &why);
    if (err) {
        fl_log(FL_LOG_ERROR, "not_saved", "what=join why=%s", why.text);
        *standing =
            (fl_standing){.state = FL_STANDING_REFUSED, .cause = FL_CAUSE_BUSY};
        return false;
    }
    log_join(device, join, standing);
    return changed && refresh(gate);
}

void fl_gate_came(fl_gate *gate, const fl_device *device)
{
    fl_reason why;
    if (gate->mode != FL_JOIN_OPEN) return;
    if (fl_registry_import_lightly(gate->store, device, fl_clock_wall_ms(),
                                   &why)) {
        fl_log(FL_LOG_WARN, "not_saved", "what=device why=%s", why.text);
    }
}
