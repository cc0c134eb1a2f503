/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_core.h"

#include <stdlib.h>
#include <string.h>

static fl_err unpack(const fl_client *client, uint8_t **bytes, size_t *len,
                     fl_patch_map *map, fl_reason *why)
{
    const fl_task *task = &client->task;
    const uint8_t *src = task->parts->buffer;
    const size_t src_len = task->parts->size;
    if (task->coming_kind == FL_OBJECT_PATCH) {
        return fl_patch_apply_mapped(bytes, len, map, task->base,
                                     task->base_len, src, src_len, why);
    }
    return fl_packed_decode(bytes, len, client->options.model_cap, src, src_len,
                            why);
}

// The manifest that the aggregator has for these bytes, in the scratch memory.
static fl_err describe(const fl_client *client, const uint8_t **encoded,
                       size_t *encoded_len, const uint8_t *bytes, size_t len)
{
    fl_arena *scratch = client->options.scratch;
    fl_manifest manifest = {
        .kind = FL_OBJECT_MODEL,
        .round = client->task.coming_round,
        .size = len,
        .chunk_bytes = FL_PROTO_CHUNK_BYTES,
        .chunk_count = fl_manifest_chunk_count(len),
    };
    const size_t cap = fl_manifest_bound(manifest.chunk_count);
    uint8_t *hashes =
        fl_arena_take(scratch, (size_t)manifest.chunk_count * FL_HASH_BYTES);
    uint8_t *room = fl_arena_take(scratch, cap);
    if (!hashes || !room) return FL_ERR_MEMORY;
    fl_parts_hash_all(hashes, bytes, len, FL_PROTO_CHUNK_BYTES, fl_hash);
    manifest.chunk_hashes = hashes;
    *encoded = room;
    return fl_manifest_encode(room, cap, encoded_len, &manifest);
}

static fl_err keep(fl_client *client, const uint8_t *bytes, size_t len,
                   fl_reason *why)
{
    const uint8_t *manifest = NULL;
    size_t manifest_len = 0;
    uint8_t name[FL_HASH_BYTES];
    if (len == 0 || len > client->options.model_cap) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "it becomes a model of %zu bytes, the maximum is "
                             "%zu",
                             len, client->options.model_cap);
    }
    const fl_err err = describe(client, &manifest, &manifest_len, bytes, len);
    if (err) {
        return fl_reason_set(why, err, "no manifest for a model of %zu bytes",
                             len);
    }
    fl_hash(name, manifest, manifest_len);
    if (memcmp(name, client->task.wanted, FL_HASH_BYTES) != 0) {
        return fl_reason_set(why, FL_ERR_AUTH,
                             "what it becomes does not have the plan's hash");
    }
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_BEGIN,
                                       .object = client->downloading,
                                       .bytes = manifest,
                                       .len = manifest_len});
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_KEEP,
                                       .object = client->downloading,
                                       .bytes = bytes,
                                       .len = len});
    return FL_OK;
}

fl_err fl_shortcut_finish(fl_client *client, uint8_t **bytes, size_t *len,
                          fl_reason *why)
{
    uint8_t *made = NULL;
    fl_patch_map map = {.from = NULL};
    FL_TRY(unpack(client, &made, len, &map, why));
    const fl_err err = keep(client, made, *len, why);
    if (!err) {
        fl_residual_follow(client, map.from, map.count);
        *bytes = made;
    } else {
        free(made);
    }
    free(map.from);
    return err;
}
