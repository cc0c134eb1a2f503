/*
 * The door of an aggregator that runs: the registry as its machine is to see
 * it, and what changes it, here or in another process.
 *
 *   STATE/fedge.sqlite     looked at once a second
 *   --enrolment FILE       likewise, when the authority is elsewhere
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_JOINING_DOOR_H
#define FL_AGGREGATOR_JOINING_DOOR_H

#include "aggregator/joining/registry.h"

typedef struct {
    fl_store *store;  // borrowed
    fl_join_mode mode;
    const char *list_path;  // of an authority elsewhere; NULL: it is here
    int64_t list_changed_ns, list_len;  // as the file was when it was read
    uint8_t authority[FL_KEY_BYTES];    // of the list
    uint64_t serial;                    // 0: none yet
    int64_t version;                    // of the registry
    int64_t look_at_ms;                 // next; the loop's clock
    fl_registration *items;
    uint32_t item_count, item_cap;
    uint8_t *list;  // to be told once
    size_t list_bytes;
} fl_door;

/*
 * Opens it: writes down who is in `list` (NULL: there is none yet), and for
 * other programs how devices get in and where. fl_door_fini, also after an
 * error.
 */
FL_CHECK fl_err fl_door_init(fl_door *door, fl_store *store, fl_join_mode mode,
                             const char *list_path, const uint8_t *list,
                             size_t list_len, fl_reason *why);

/* Accepts one that is all zeros. */
void fl_door_fini(fl_door *door);

/* Who is registered now; valid until the next call. */
fl_registry fl_door_registry(const fl_door *door);

/*
 * Looks, when it is time, whether somebody else has changed something. True:
 * fl_door_registry has it.
 */
bool fl_door_look(fl_door *door, int64_t now_ms);

/* When it is time; on the clock of `now_ms` above. */
int64_t fl_door_deadline(const fl_door *door);

/*
 * A device asks to be let in. True: the registry is another one. What cannot be
 * written down is refused.
 */
bool fl_door_join(fl_door *door, fl_standing *standing, const fl_device *device,
                  const fl_join *join);

/* A device has checked in: an open federation writes it down. */
void fl_door_came(fl_door *door, const fl_device *device);

#endif
