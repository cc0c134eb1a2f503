/*
 * The registry's rows, for the files that make it up: each call is one
 * statement within a transaction of the caller.
 *
 * Private to aggregator/joining/registry*.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_JOINING_REGISTRY_CORE_H
#define FL_AGGREGATOR_JOINING_REGISTRY_CORE_H

#include "aggregator/joining/registry.h"

FL_CHECK fl_err fl_registry_get(fl_store *store, fl_registry_entry *entry,
                                bool *found,
                                const uint8_t identity[FL_KEY_BYTES],
                                fl_reason *why);

/* Adds the device, or replaces all of it but its name. */
FL_CHECK fl_err fl_registry_put(fl_store *store, const fl_device *device,
                                const char *name, fl_registration_state state,
                                uint32_t token, int64_t now_ms, fl_reason *why);

/* By another device's name, or what reads like its id. */
FL_CHECK fl_err fl_registry_is_name_taken(fl_store *store, bool *taken,
                                          const uint8_t identity[FL_KEY_BYTES],
                                          const char *name, fl_reason *why);

/* Whether another device has its channel key. */
FL_CHECK fl_err fl_registry_is_channel_taken(fl_store *store, bool *taken,
                                             const fl_device *device,
                                             fl_reason *why);

/* FL_ERR_RANGE: the name is taken. */
FL_CHECK fl_err fl_registry_set_name(fl_store *store,
                                     const uint8_t identity[FL_KEY_BYTES],
                                     const char *name, fl_reason *why);

#endif
