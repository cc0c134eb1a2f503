/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/joining/office.h"

#include <string.h>

#include "base/clock.h"

static const char *state_name(fl_registration_state state)
{
    switch (state) {
    case FL_REGISTRATION_PENDING: return "pending";
    case FL_REGISTRATION_ENROLLED: return "enrolled";
    case FL_REGISTRATION_REVOKED: break;
    }
    return "revoked";
}

/* ---- list ---- */

typedef struct {
    FILE *out;
    fl_json *json;  // NULL: a table
} listing;

static void print_row(FILE *out, const char *id, const fl_registry_entry *entry)
{
    char since[FL_OFFICE_TIME_CAP], seen[FL_OFFICE_TIME_CAP];
    fl_office_time(since, entry->since_ms);
    fl_office_time(seen, entry->last_seen_ms);
    fprintf(out, "%-17s  %-17s  %-8s  %-16s  %-16s  %u\n", id,
            entry->registration.device.name,
            state_name(entry->registration.state), since, seen,
            entry->round_count);
}

static void add_object(fl_json *json, const char *id,
                       const fl_registry_entry *entry)
{
    char key[FL_HEX_CAP], token[FL_TOKEN_ID_CAP] = "";
    const fl_device *device = &entry->registration.device;
    fl_json *item = fl_json_new();
    fl_hex_encode(key, sizeof key, device->identity, FL_KEY_BYTES);
    if (entry->token) fl_token_id_encode(token, entry->token);
    fl_json_text_set(item, "id", id);
    fl_json_text_set(item, "name", device->name);
    fl_json_text_set(item, "state", state_name(entry->registration.state));
    fl_json_count_set(item, "since_ms", (uint64_t)entry->since_ms);
    fl_json_count_set(item, "last_seen_ms", (uint64_t)entry->last_seen_ms);
    fl_json_count_set(item, "rounds", entry->round_count);
    fl_json_text_set(item, "token", token);
    fl_json_text_set(item, "key", key);
    fl_json_object_add(json, "clients", item);
}

static void list_client(void *self, const fl_registry_entry *entry)
{
    listing *l = self;
    char id[FL_DEVICE_ID_CAP];
    fl_device_id(id, entry->registration.device.identity);
    if (l->json) {
        add_object(l->json, id, entry);
    } else {
        print_row(l->out, id, entry);
    }
}

static fl_err list_clients(FILE *out, const fl_office *office, fl_reason *why)
{
    listing l = {.out = out};
    if (office->options->is_json) {
        l.json = fl_json_new();
        fl_json_text_set(l.json, "event", "clients");
        fl_json_text_set(l.json, "join", fl_join_mode_name(office->mode));
        fl_json_text_set(l.json, "version", FL_VERSION);
    } else {
        fprintf(out, "%-17s  %-17s  %-8s  %-16s  %-16s  %s\n", "ID", "NAME",
                "STATE", "SINCE (UTC)", "LAST SEEN (UTC)", "ROUNDS");
    }
    const fl_err err = fl_registry_each(office->store, list_client, &l, why);
    if (!err && l.json) return fl_office_print(out, l.json, why);
    fl_json_free(l.json);
    return err;
}

/* ---- approve, revoke, rename ---- */

static fl_err say(FILE *out, const fl_office *office, const char *what,
                  const fl_registry_entry *entry, fl_reason *why)
{
    char id[FL_DEVICE_ID_CAP];
    fl_device_id(id, entry->registration.device.identity);
    if (!office->options->is_json) {
        fprintf(out, "%s %s %s\n", what, entry->registration.device.name, id);
        return FL_OK;
    }
    fl_json *line = fl_json_new();
    fl_json_text_set(line, "event", what);
    fl_json_text_set(line, "id", id);
    fl_json_text_set(line, "name", entry->registration.device.name);
    fl_json_text_set(line, "state", state_name(entry->registration.state));
    return fl_office_print(out, line, why);
}

static fl_err set_state(FILE *out, const fl_office *office, const char *what,
                        fl_registry_entry *entry, fl_registration_state state,
                        fl_reason *why)
{
    FL_TRY(fl_registry_set_state(office->store,
                                 entry->registration.device.identity, state,
                                 fl_clock_wall_ms(), why));
    entry->registration.state = state;
    return say(out, office, what, entry, why);
}

// Elsewhere somebody has to sign the card: nothing else is wanted of `out`.
static fl_err print_card(FILE *out, const fl_office *office,
                         const fl_registry_entry *entry, fl_reason *why)
{
    char line[FL_DEVICE_LINE_CAP];
    const fl_device *device = &entry->registration.device;
    if (entry->registration.state == FL_REGISTRATION_REVOKED) {
        FL_TRY(fl_registry_set_state(office->store, device->identity,
                                     FL_REGISTRATION_PENDING,
                                     fl_clock_wall_ms(), why));
    }
    fl_device_encode(line, device);
    fputs(line, out);
    fprintf(stderr,
            "%s: the authority is elsewhere. Give it this card: fedge-keys "
            "sign - --authority KEY --list LIST; then copy the list here.\n",
            device->name);
    return FL_OK;
}

static fl_err approve(FILE *out, const fl_office *office, const char *who,
                      fl_reason *why)
{
    fl_registry_entry entry;
    FL_TRY(fl_registry_find(office->store, &entry, who, why));
    if (office->mode == FL_JOIN_LIST) {
        return print_card(out, office, &entry, why);
    }
    return set_state(out, office, "approved", &entry, FL_REGISTRATION_ENROLLED,
                     why);
}

static fl_err revoke(FILE *out, const fl_office *office, const char *who,
                     fl_reason *why)
{
    fl_registry_entry entry;
    FL_TRY(fl_registry_find(office->store, &entry, who, why));
    FL_TRY(set_state(out, office, "revoked", &entry, FL_REGISTRATION_REVOKED,
                     why));
    if (office->mode == FL_JOIN_LIST) {
        fprintf(stderr,
                "This aggregator refuses it from now on. It is in the list "
                "until the authority says fedge-keys revoke.\n");
    }
    return FL_OK;
}

static fl_err rename_client(FILE *out, const fl_office *office, const char *who,
                            const char *name, fl_reason *why)
{
    fl_registry_entry entry;
    FL_TRY(fl_registry_find(office->store, &entry, who, why));
    if (office->mode == FL_JOIN_LIST) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the authority is elsewhere, and so are the "
                             "names: fedge-keys device --name on the device, "
                             "then fedge-keys sign");
    }
    FL_TRY(fl_registry_rename(office->store, entry.registration.device.identity,
                              name, why));
    memset(entry.registration.device.name, 0,
           sizeof entry.registration.device.name);
    memcpy(entry.registration.device.name, name, strlen(name));
    return say(out, office, "renamed", &entry, why);
}

/* ---- verbs ---- */

typedef struct {
    const char *name;
    size_t word_min, word_max;  // behind the verb
    const char *takes;
    fl_err (*run)(FILE *out, const fl_office *office, char *const *words,
                  size_t word_count, fl_reason *why);
} verb;

static fl_err run_list(FILE *out, const fl_office *office, char *const *words,
                       size_t word_count, fl_reason *why)
{
    (void)words;
    (void)word_count;
    return list_clients(out, office, why);
}

static fl_err run_approve(FILE *out, const fl_office *office,
                          char *const *words, size_t word_count, fl_reason *why)
{
    for (size_t i = 0; i < word_count; i++) {
        FL_TRY(approve(out, office, words[i], why));
    }
    return FL_OK;
}

static fl_err run_revoke(FILE *out, const fl_office *office, char *const *words,
                         size_t word_count, fl_reason *why)
{
    for (size_t i = 0; i < word_count; i++) {
        FL_TRY(revoke(out, office, words[i], why));
    }
    return FL_OK;
}

static fl_err run_rename(FILE *out, const fl_office *office, char *const *words,
                         size_t word_count, fl_reason *why)
{
    (void)word_count;
    return rename_client(out, office, words[0], words[1], why);
}

static const verb VERBS[] = {
    {"list", 0, 0, "no names", run_list},
    {"approve", 1, SIZE_MAX, "names, ids or keys of clients", run_approve},
    {"revoke", 1, SIZE_MAX, "names, ids or keys of clients", run_revoke},
    {"rename", 2, 2, "a client, and its new name", run_rename},
};

// NULL: *why says what is wrong with the words.
static const verb *find_verb(char *const *words, size_t word_count,
                             fl_reason *why)
{
    for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++) {
        const verb *found = &VERBS[i];
        if (strcmp(words[0], found->name) != 0) continue;
        const size_t behind = word_count - 1;
        if (behind >= found->word_min && behind <= found->word_max) {
            return found;
        }
        (void)!fl_reason_set(why, FL_ERR_STATE, "clients %s takes %s",
                             found->name, found->takes);
        return NULL;
    }
    (void)!fl_reason_set(why, FL_ERR_STATE,
                         "clients %s: not list, approve, revoke or rename",
                         words[0]);
    return NULL;
}

fl_err fl_office_clients(FILE *out, const fl_office_options *options,
                         char *const *words, size_t word_count, fl_reason *why)
{
    fl_office office;
    const verb *found = find_verb(words, word_count, why);
    if (!found) return FL_ERR_STATE;
    fl_err err = fl_office_open(&office, options, false, why);
    if (!err) err = found->run(out, &office, words + 1, word_count - 1, why);
    fl_office_close(&office);
    return err;
}
