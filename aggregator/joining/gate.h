/*
 * The gate of an aggregator that runs: the registry as its machine is to see
 * it, and what changes it, here or in another process.
 *
 *   STATE/fedge.sqlite     looked at once a second
 *   --enrolment FILE       likewise, when the authority is elsewhere
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_JOINING_GATE_H
#define FL_AGGREGATOR_JOINING_GATE_H

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
} fl_gate;

/*
 * Opens it: writes down who is in `list` (NULL: there is none yet), and for
 * other programs how devices get in and where. fl_gate_fini, also after an
 * error.
 */
FL_CHECK fl_err fl_gate_init(fl_gate *gate, fl_store *store, fl_join_mode mode,
                             const char *list_path, const uint8_t *list,
                             size_t list_len, fl_reason *why);

/* Accepts one that is all zeros. */
void fl_gate_fini(fl_gate *gate);

/* Who is registered now; valid until the next call. */
fl_registry fl_gate_registry(const fl_gate *gate);

/*
 * Looks, when it is time, whether somebody else has changed something. True:
 * fl_gate_registry has it.
 */
bool fl_gate_look(fl_gate *gate, int64_t now_ms);

/* When it is time; on the clock of `now_ms` above. */
int64_t fl_gate_deadline(const fl_gate *gate);

/*
 * A device asks to be let in. True: the registry is another one. What cannot be
 * written down is refused.
 */
bool fl_gate_join(fl_gate *gate, fl_standing *standing, const fl_device *device,
                  const fl_join *join);

/* A device has checked in: an open federation writes it down. */
void fl_gate_came(fl_gate *gate, const fl_device *device);

#endif
