/*
 * A table from 64-bit keys to 32-bit numbers: which slot of an array belongs
 * to a connection, to a public key. Grows as needed up to the maximum given
 * at init. Not thread-safe.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_MAP_H
#define FL_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct fl_map_slot fl_map_slot;

typedef struct {
    fl_map_slot *slots;
    size_t slot_count;  // a power of two, or 0
    size_t len, cap;    // keys held, and how many may be
} fl_map;

/* Allocates nothing yet. */
void fl_map_init(fl_map *map, size_t cap);
void fl_map_fini(fl_map *map);

/*
 * Adds the key or replaces its value. FL_ERR_LIMIT: `cap` keys are in.
 * FL_ERR_MEMORY. Nothing has changed after an error.
 */
FL_CHECK fl_err fl_map_set(fl_map *map, uint64_t key, uint32_t value);

/* False: no such key; *value is untouched then. */
bool fl_map_get(const fl_map *map, uint64_t key, uint32_t *value);

/* Unknown keys are ignored. */
void fl_map_remove(fl_map *map, uint64_t key);

#endif
