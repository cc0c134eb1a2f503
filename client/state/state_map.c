/* SPDX-License-Identifier: Apache-2.0 */
#include "client/state/state_map.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "client/state/state_record.h"

#define MAP_KIND "FEDGEmp1"

enum { SERIAL_BYTES = 8 };

bool fl_state_map_is_named(const uint8_t hash[FL_HASH_BYTES], const void *src,
                           size_t src_len)
{
    uint8_t found[FL_HASH_BYTES] = {0};
    fl_hash(found, src, src_len);
    return memcmp(found, hash, sizeof found) == 0;
}

void fl_state_map_fini(fl_state_map *map)
{
    free(map->file);
    fl_arena_fini(&map->arena);
}

fl_err fl_state_map_read(fl_state_map *map, const char *path,
                         const uint8_t name[FL_HASH_BYTES], fl_reason *why)
{
    *map = (fl_state_map){.file = NULL};
    fl_arena_init(&map->arena, FL_STATE_MAP_DECODE_CAP);
    const uint8_t *payload;
    size_t payload_len;
    FL_TRY(fl_state_record_read(
        &map->file, &payload, &payload_len, path, MAP_KIND,
        fl_manifest_bound(FL_PROTO_CHUNKS_MAX) + SERIAL_BYTES, why));

    fl_reader in = fl_reader_over(payload, payload_len);
    map->serial = fl_reader_u64(&in);
    map->len = in.left;
    map->encoded = fl_reader_bytes(&in, map->len);
    if (fl_reader_finish(&in) || map->serial == 0 ||
        !fl_state_map_is_named(name, map->encoded, map->len)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s: damaged, not the manifest of this object; it "
                             "is not used",
                             path);
    }
    return fl_manifest_decode(&map->manifest, &map->arena, map->encoded,
                              map->len, why);
}

fl_err fl_state_map_write(const char *path, uint64_t serial,
                          const uint8_t *manifest, size_t manifest_len,
                          fl_reason *why)
{
    size_t len;
    FL_TRY(fl_size_add(&len, manifest_len, SERIAL_BYTES));
    uint8_t *payload = malloc(len);
    if (!payload) {
        return fl_reason_set(why, FL_ERR_MEMORY, "%s: out of memory", path);
    }
    fl_writer out = fl_writer_over(payload, len);
    fl_writer_u64(&out, serial);
    fl_writer_bytes(&out, manifest, manifest_len);
    fl_err err = fl_writer_finish(&out);
    if (!err) {
        err = fl_state_record_write(path, MAP_KIND, payload, len, false, why);
    }
    free(payload);
    return err;
}
