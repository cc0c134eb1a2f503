/*
 * A .map file of the folder of objects: an object's manifest, and its serial
 * number.
 *
 * Private to client/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_STATE_MAP_H
#define FL_CLIENT_STATE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/reason.h"
#include "proto/proto.h"
#include "secure/secure.h"

enum {
    FL_STATE_MAP_DECODE_CAP = 1024 * 1024,  // memory for a manifest; its bound
                                            // is 164 KiB
};

/* A manifest as it travelled, and as it reads. */
typedef struct {
    uint8_t *file;
    const uint8_t *encoded;
    size_t len;
    uint64_t serial;  // from 1
    fl_arena arena;
    fl_manifest manifest;
} fl_state_map;

/* Whether this is the hash of these bytes. */
bool fl_state_map_is_named(const uint8_t hash[FL_HASH_BYTES], const void *src,
                           size_t src_len);

/*
 * Reads that of object `name`. fl_state_map_fini also after an error, which is
 * fl_state_record_read's; FL_ERR_FORMAT: of another object.
 */
FL_CHECK fl_err fl_state_map_read(fl_state_map *map, const char *path,
                                  const uint8_t name[FL_HASH_BYTES],
                                  fl_reason *why);
void fl_state_map_fini(fl_state_map *map);

/* Atomically; errors of fl_state_record_write. */
FL_CHECK fl_err fl_state_map_write(const char *path, uint64_t serial,
                                   const uint8_t *manifest, size_t manifest_len,
                                   fl_reason *why);

#endif
