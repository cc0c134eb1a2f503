/*
 * The registry: which devices may take part (the tokens: tokens.h).
 * It lives in the store's database, so that fedge-aggregator's commands change
 * it beside an aggregator that runs, which notices.
 *
 * One thread at a time a store; any number of processes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_JOINING_REGISTRY_H
#define FL_AGGREGATOR_JOINING_REGISTRY_H

#include "aggregator/joining/admission.h"
#include "aggregator/store.h"

enum { FL_REGISTRY_PENDING_MAX = 1024 };  // devices that nobody has approved

/* ---- devices ---- */

/* A registration, and what else people ask about it. */
typedef struct {
    fl_registration registration;
    int64_t since_ms;      // it has been so; wall clock
    int64_t last_seen_ms;  // 0: never
    uint32_t round_count;
    uint32_t token;  // that it came with; 0: none
} fl_registry_entry;

/* In rising order of identities. */
FL_CHECK fl_err fl_registry_each(fl_store *store,
                                 void (*visit)(void *self,
                                               const fl_registry_entry *),
                                 void *self, fl_reason *why);

/*
 * The one that a person means: by name, id or key (64 hexadecimal digits).
 * FL_ERR_NOT_FOUND: nobody. FL_ERR_RANGE: an id that several have.
 */
FL_CHECK fl_err fl_registry_find(fl_store *store, fl_registry_entry *entry,
                                 const char *who, fl_reason *why);

/* FL_ERR_NOT_FOUND: no such device. */
FL_CHECK fl_err fl_registry_set_state(fl_store *store,
                                      const uint8_t identity[FL_KEY_BYTES],
                                      fl_registration_state state,
                                      int64_t now_ms, fl_reason *why);

/* FL_ERR_RANGE: not a name, another device's, or what reads like its id. */
FL_CHECK fl_err fl_registry_rename(fl_store *store,
                                   const uint8_t identity[FL_KEY_BYTES],
                                   const char *name, fl_reason *why);

/*
 * A device asks: decides (admission.h) and writes that down, durably and in one
 * transaction. *changed: the registry is another one. FL_ERR_SYSTEM, ...: it
 * is as it was.
 */
FL_CHECK fl_err fl_registry_join(fl_store *store, fl_standing *standing,
                                 bool *changed, fl_join_mode mode,
                                 const fl_device *device, const fl_join *join,
                                 int64_t now_ms, fl_reason *why);

/*
 * Writes down devices that are enrolled by other means, as the list of an
 * authority or, in an open federation, by coming. Who is known already stays as
 * it is, but for PENDING ones, which are ENROLLED then. *changed as above.
 */
FL_CHECK fl_err fl_registry_import(fl_store *store, bool *changed,
                                   const fl_device *devices, uint32_t count,
                                   int64_t now_ms, fl_reason *why);

/*
 * The same for one that has come, without waiting for the disk: it will come
 * again.
 */
FL_CHECK fl_err fl_registry_import_lightly(fl_store *store,
                                           const fl_device *device,
                                           int64_t now_ms, fl_reason *why);

/*
 * An authority elsewhere has signed this list: who is ENROLLED and not in it is
 * PENDING; who is in it has its name there. Then as fl_registry_import.
 */
FL_CHECK fl_err fl_registry_follow(fl_store *store, const fl_enrolment *list,
                                   int64_t now_ms, fl_reason *why);

/* ---- between processes ---- */

/* A number that changes when another process has written. */
FL_CHECK fl_err fl_registry_version(fl_store *store, int64_t *version,
                                    fl_reason *why);

/* What an aggregator lets other programs know: "address", "join". */
FL_CHECK fl_err fl_registry_set_note(fl_store *store, const char *key,
                                     const char *value, fl_reason *why);

/* Text of at most value_cap - 1 bytes; FL_ERR_NOT_FOUND: nothing is noted. */
FL_CHECK fl_err fl_registry_get_note(fl_store *store, char *value,
                                     size_t value_cap, const char *key,
                                     fl_reason *why);

#endif
