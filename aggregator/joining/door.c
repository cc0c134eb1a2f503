/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/joining/door.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

enum { LOOK_MS = 1000, FIRST_ITEMS = 64 };

/* ---- the registry in memory ---- */

typedef struct {
    fl_door *door;
    bool is_full;  // no memory
} collection;

static void collect(void *self, const fl_registry_entry *entry)
{
    collection *c = self;
    fl_door *door = c->door;
    if (door->item_count == door->item_cap) {
        const uint32_t cap = door->item_cap ? door->item_cap * 2 : FIRST_ITEMS;
        fl_registration *more = realloc(door->items, cap * sizeof *more);
        if (!more) {
            c->is_full = true;
            return;
        }
        door->items = more;
        door->item_cap = cap;
    }
    door->items[door->item_count++] = entry->registration;
}

static fl_err read_registry(fl_door *door, fl_reason *why)
{
    collection c = {.door = door};
    // First: what is written while we read is seen the next time.
    FL_TRY(fl_registry_version(door->store, &door->version, why));
    door->item_count = 0;
    FL_TRY(fl_registry_each(door->store, collect, &c, why));
    return c.is_full
               ? fl_reason_set(why, FL_ERR_MEMORY, "no memory for the registry")
               : FL_OK;
}

fl_registry fl_door_registry(const fl_door *door)
{
    return (fl_registry){.items = door->items,
                         .count = door->item_count,
                         .list = door->list,
                         .list_len = door->list_bytes};
}

/* ---- the list of an authority elsewhere ---- */

static void remember_file(fl_door *door, const struct stat *file)
{
    door->list_changed_ns =
        (int64_t)file->st_mtim.tv_sec * 1000000000 + file->st_mtim.tv_nsec;
    door->list_len = (int64_t)file->st_size;
}

static bool has_file_changed(fl_door *door)
{
    struct stat file;
    if (!door->list_path || stat(door->list_path, &file) != 0) return false;
    const fl_door before = *door;
    remember_file(door, &file);
    return before.list_changed_ns != door->list_changed_ns ||
           before.list_len != door->list_len;
}

// An older list, or somebody else's, does not take the place of this one.
static fl_err check_follows(const fl_door *door, const fl_enrolment *list,
                            fl_reason *why)
{
    if (door->serial == 0) return FL_OK;
    if (memcmp(door->authority, list->authority, FL_KEY_BYTES) != 0) {
        return fl_reason_set(why, FL_ERR_AUTH,
                             "signed by another authority than the list "
                             "before; start again to change it");
    }
    if (list->serial > door->serial) return FL_OK;
    return fl_reason_set(
        why, FL_ERR_STALE, "serial %llu does not follow %llu: an older list",
        (unsigned long long)list->serial, (unsigned long long)door->serial);
}

static fl_err follow(fl_door *door, const fl_enrolment *list, fl_reason *why)
{
    FL_TRY(check_follows(door, list, why));
    FL_TRY(fl_registry_follow(door->store, list, fl_clock_wall_ms(), why));
    memcpy(door->authority, list->authority, FL_KEY_BYTES);
    door->serial = list->serial;
    return FL_OK;
}

static fl_err follow_list(fl_door *door, const uint8_t *bytes, size_t len,
                          fl_reason *why)
{
    fl_enrolment *list = NULL;
    FL_TRY(fl_enrolment_decode(&list, bytes, len, why));
    const fl_err err = follow(door, list, why);
    fl_enrolment_free(list);
    return err;
}

static void forget_list(fl_door *door)
{
    free(door->list);
    door->list = NULL;
    door->list_bytes = 0;
}

static fl_err read_list(fl_door *door, fl_reason *why)
{
    FL_TRY(fl_file_read(&door->list, &door->list_bytes, door->list_path,
                        FL_ENROLMENT_BYTES_MAX, why));
    const fl_err err = follow_list(door, door->list, door->list_bytes, why);
    if (!err) return FL_OK;
    forget_list(door);
    return fl_reason_prefix(why, err, "%s", door->list_path);
}

// True: there is another list.
static bool look_at_list(fl_door *door)
{
    fl_reason why;
    forget_list(door);
    if (!has_file_changed(door)) return false;
    if (!read_list(door, &why)) return true;
    fl_log(FL_LOG_ERROR, "enrolment_not_read", "why=%s", why.text);
    return false;
}

/* ---- open ---- */

static fl_err import_own(fl_door *door, const uint8_t *list, size_t len,
                         fl_reason *why)
{
    bool changed;
    fl_enrolment *enrolment = NULL;
    fl_err err = fl_enrolment_decode(&enrolment, list, len, why);
    if (err) {
        return fl_reason_prefix(why, err,
                                "enrolment.list in the state folder (restore "
                                "it from a backup, or delete it: it is signed "
                                "anew)");
    }
    err = fl_registry_import(door->store, &changed, enrolment->devices,
                             enrolment->device_count, fl_clock_wall_ms(), why);
    fl_enrolment_free(enrolment);
    return err;
}

fl_err fl_door_init(fl_door *door, fl_store *store, fl_join_mode mode,
                    const char *list_path, const uint8_t *list, size_t list_len,
                    fl_reason *why)
{
    struct stat file;
    *door = (fl_door){.store = store, .mode = mode, .list_path = list_path};
    if (list_path && stat(list_path, &file) == 0) remember_file(door, &file);
    if (list && list_path) {
        const fl_err err = follow_list(door, list, list_len, why);
        if (err) return fl_reason_prefix(why, err, "%s", list_path);
    } else if (list) {
        FL_TRY(import_own(door, list, list_len, why));
    }
    FL_TRY(fl_registry_set_note(store, "join", fl_join_mode_name(mode), why));
    return read_registry(door, why);
}

void fl_door_fini(fl_door *door)
{
    free(door->items);
    forget_list(door);
    *door = (fl_door){.store = NULL};
}

/* ---- while it runs ---- */

int64_t fl_door_deadline(const fl_door *door)
{
    return door->look_at_ms;
}

// What cannot be read now is tried again the next time.
static bool refresh(fl_door *door)
{
    fl_reason why;
    const fl_err err = read_registry(door, &why);
    if (!err) return true;
    door->version = -1;
    fl_log(FL_LOG_ERROR, "registry_not_read", "why=%s", why.text);
    return false;
}

bool fl_door_look(fl_door *door, int64_t now_ms)
{
    int64_t version = door->version;
    fl_reason why;
    if (now_ms < door->look_at_ms) return false;
    door->look_at_ms = now_ms + LOOK_MS;
    const bool has_list = look_at_list(door);
    if (fl_registry_version(door->store, &version, &why)) {
        fl_log(FL_LOG_ERROR, "registry_not_read", "why=%s", why.text);
        return false;
    }
    return (has_list || version != door->version) && refresh(door);
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

bool fl_door_join(fl_door *door, fl_standing *standing, const fl_device *device,
                  const fl_join *join)
{
    bool changed = false;
    fl_reason why;
    const fl_err err =
        fl_registry_join(door->store, standing, &changed, door->mode, device,
                         join, fl_clock_wall_ms(), &why);
    if (err) {
        fl_log(FL_LOG_ERROR, "not_saved", "what=join why=%s", why.text);
        *standing =
            (fl_standing){.state = FL_STANDING_REFUSED, .cause = FL_CAUSE_BUSY};
        return false;
    }
    log_join(device, join, standing);
    return changed && refresh(door);
}

void fl_door_came(fl_door *door, const fl_device *device)
{
    fl_reason why;
    if (door->mode != FL_JOIN_OPEN) return;
    if (fl_registry_import_lightly(door->store, device, fl_clock_wall_ms(),
                                   &why)) {
        fl_log(FL_LOG_WARN, "not_saved", "what=device why=%s", why.text);
    }
}
