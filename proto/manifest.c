/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include <assert.h>

#include "proto/check.h"
#include "proto/fedge.pb-c.h"
#include "proto/pb.h"
#include "proto/proto.h"

// Five tags and the varints of the four numbers and of the hashes' length.
enum { OVERHEAD_MAX = 5 + 5 + 5 + 10 + 5 + 5 };

_Static_assert(FL_PROTO_CHUNKS_MAX *FL_PROTO_HASH_BYTES + OVERHEAD_MAX <
                   FL_PROTO_FRAME_MAX - FL_PROTO_HEADER_BYTES - 512,
               "the largest manifest fits an OPEN");

uint32_t fl_manifest_chunk_count(uint64_t size)
{
    const uint64_t count =
        size / FL_PROTO_CHUNK_BYTES + (size % FL_PROTO_CHUNK_BYTES != 0);
    return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

size_t fl_manifest_bound(uint32_t chunk_count)
{
    // No manifest has more hashes, so the product fits any size_t.
    if (chunk_count > FL_PROTO_CHUNKS_MAX) chunk_count = FL_PROTO_CHUNKS_MAX;
    return (size_t)chunk_count * FL_PROTO_HASH_BYTES + OVERHEAD_MAX;
}

static Fedge__Manifest pb_of_manifest(const fl_manifest *manifest)
{
    Fedge__Manifest pb = FEDGE__MANIFEST__INIT;
    pb.kind = (Fedge__ObjectKind)manifest->kind;
    pb.round = manifest->round;
    pb.size = manifest->size;
    pb.chunk_bytes = manifest->chunk_bytes;
    pb.chunk_hashes =
        fl_pb_borrow(manifest->chunk_hashes,
                     (size_t)manifest->chunk_count * FL_PROTO_HASH_BYTES);
    return pb;
}

fl_err fl_manifest_encode(uint8_t *dst, size_t dst_cap, size_t *len,
                          const fl_manifest *manifest)
{
    if (fl_check_manifest(manifest)) return FL_ERR_RANGE;
    assert(manifest->chunk_hashes);
    const Fedge__Manifest pb = pb_of_manifest(manifest);
    fl_writer out = fl_writer_over(dst, dst_cap);
    fl_pb_write(&out, &pb.base);
    FL_TRY(fl_writer_finish(&out));
    *len = out.len;
    return FL_OK;
}

static fl_err unpack(fl_manifest *manifest, fl_pb_source *source)
{
    const Fedge__Manifest *pb =
        fedge__manifest__unpack(&source->memory, source->len, source->bytes);
    if (!pb) return fl_pb_refuse(source);
    if (pb->chunk_hashes.len % FL_PROTO_HASH_BYTES != 0) {
        return fl_reason_set(source->why, FL_ERR_FORMAT,
                             "chunk_hashes has %zu bytes, which is no multiple "
                             "of 32",
                             pb->chunk_hashes.len);
    }
    *manifest = (fl_manifest){
        .kind = (fl_object_kind)pb->kind,
        .round = pb->round,
        .size = pb->size,
        .chunk_bytes = pb->chunk_bytes,
        .chunk_count = (uint32_t)(pb->chunk_hashes.len / FL_PROTO_HASH_BYTES),
        .chunk_hashes = pb->chunk_hashes.data,
    };
    return FL_OK;
}

static fl_err decode(fl_manifest *manifest, fl_pb_source *source)
{
    if (source->len > fl_manifest_bound(FL_PROTO_CHUNKS_MAX)) {
        return fl_reason_set(source->why, FL_ERR_FORMAT,
                             "%zu bytes are more than any manifest has",
                             source->len);
    }
    FL_TRY(unpack(manifest, source));
    const char *fault = fl_check_manifest(manifest);
    if (fault) return fl_reason_set(source->why, FL_ERR_FORMAT, "%s", fault);
    const Fedge__Manifest pb = pb_of_manifest(manifest);
    if (!fl_pb_is_written_as(&pb.base, source->bytes, source->len)) {
        return fl_reason_set(source->why, FL_ERR_FORMAT,
                             "%zu bytes are not the one encoding of what they "
                             "say",
                             source->len);
    }
    return FL_OK;
}

fl_err fl_manifest_decode(fl_manifest *manifest, fl_arena *arena,
                          const uint8_t *src, size_t src_len, fl_reason *why)
{
    fl_pb_source source;
    fl_pb_source_init(&source, arena, src, src_len, why);
    const fl_err err = decode(manifest, &source);
    return err ? fl_reason_prefix(why, err, "manifest") : FL_OK;
}
