/* SPDX-License-Identifier: Apache-2.0 */
#include "net/parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

fl_err fl_parts_count(uint32_t *chunk_count, uint64_t size,
                      uint32_t chunk_bytes)
{
    if (size == 0 || chunk_bytes == 0) return FL_ERR_RANGE;
    const uint64_t count = (size - 1) / chunk_bytes + 1;
    if (count > UINT32_MAX) return FL_ERR_LIMIT;
    *chunk_count = (uint32_t)count;
    return FL_OK;
}

void fl_parts_hash_all(uint8_t *hashes, const uint8_t *src, size_t src_len,
                       uint32_t chunk_bytes, fl_parts_hash *hash)
{
    for (size_t at = 0; at < src_len; at += chunk_bytes) {
        const size_t left = src_len - at;
        hash(hashes, src + at, left < chunk_bytes ? left : chunk_bytes);
        hashes += FL_PARTS_HASH_BYTES;
    }
}

fl_err fl_parts_new(fl_parts **parts, uint64_t size, uint32_t chunk_bytes,
                    const uint8_t *hashes, uint64_t size_cap)
{
    uint32_t chunk_count;
    size_t hashes_len;
    if (size > size_cap || size > SIZE_MAX) return FL_ERR_LIMIT;
    FL_TRY(fl_parts_count(&chunk_count, size, chunk_bytes));
    FL_TRY(fl_size_mul(&hashes_len, chunk_count, FL_PARTS_HASH_BYTES));

    fl_parts *made = calloc(1, sizeof *made);
    if (!made) return FL_ERR_MEMORY;
    made->size = (size_t)size;
    made->chunk_bytes = chunk_bytes;
    made->chunk_count = chunk_count;
    made->hashes = malloc(hashes_len);
    made->bitmap = calloc(1, fl_parts_bitmap_bytes(chunk_count));
    made->buffer = malloc(made->size);
    if (!made->hashes || !made->bitmap || !made->buffer) {
        fl_parts_free(made);
        return FL_ERR_MEMORY;
    }
    memcpy(made->hashes, hashes, hashes_len);
    *parts = made;
    return FL_OK;
}

void fl_parts_free(fl_parts *parts)
{
    if (!parts) return;
    free(parts->hashes);
    free(parts->bitmap);
    if (!parts->is_shared) free(parts->buffer);
    free(parts);
}

void fl_parts_share(fl_parts *parts, uint8_t *room)
{
    assert(parts->received_count == 0 && !parts->is_shared);
    free(parts->buffer);
    parts->buffer = room;
    parts->is_shared = true;
}

static size_t offset_of(const fl_parts *parts, uint32_t index)
{
    return (size_t)index * parts->chunk_bytes;  // below size, so it fits
}

size_t fl_parts_chunk_len(const fl_parts *parts, uint32_t index)
{
    const size_t left = parts->size - offset_of(parts, index);
    return left < parts->chunk_bytes ? left : parts->chunk_bytes;
}

fl_err fl_parts_put(fl_parts *parts, uint32_t index, const uint8_t *src,
                    size_t src_len, fl_parts_hash *hash)
{
    if (index >= parts->chunk_count) return FL_ERR_RANGE;
    if (fl_parts_has(parts, index)) return FL_OK;
    if (src_len != fl_parts_chunk_len(parts, index)) return FL_ERR_FORMAT;

    uint8_t found[FL_PARTS_HASH_BYTES];
    hash(found, src, src_len);
    const uint8_t *expected =
        parts->hashes + (size_t)index * FL_PARTS_HASH_BYTES;
    if (memcmp(found, expected, sizeof found) != 0) return FL_ERR_AUTH;

    memcpy(parts->buffer + offset_of(parts, index), src, src_len);
    parts->bitmap[index / 8] |= (uint8_t)(1U << index % 8);
    parts->received_count++;
    return FL_OK;
}

bool fl_parts_has(const fl_parts *parts, uint32_t index)
{
    return index < parts->chunk_count &&
           fl_parts_bitmap_has(parts->bitmap, index);
}

bool fl_parts_is_complete(const fl_parts *parts)
{
    return parts->received_count == parts->chunk_count;
}

uint32_t fl_parts_next_missing(const fl_parts *parts, uint32_t from)
{
    return fl_parts_bitmap_next_zero(parts->bitmap, parts->chunk_count, from);
}

fl_err fl_parts_take(fl_parts *parts, uint8_t **bytes, size_t *len)
{
    if (!fl_parts_is_complete(parts) || !parts->buffer || parts->is_shared) {
        return FL_ERR_STATE;
    }
    *bytes = parts->buffer;
    *len = parts->size;
    parts->buffer = NULL;
    return FL_OK;
}

size_t fl_parts_bitmap_bytes(uint32_t chunk_count)
{
    return chunk_count / 8 + (chunk_count % 8 ? 1 : 0);
}

fl_err fl_parts_bitmap_encode(uint8_t *dst, size_t dst_cap,
                              const fl_parts *parts)
{
    const size_t len = fl_parts_bitmap_bytes(parts->chunk_count);
    if (dst_cap < len) return FL_ERR_SPACE;
    memcpy(dst, parts->bitmap, len);
    return FL_OK;
}

fl_err fl_parts_bitmap_decode(uint8_t *dst, uint32_t chunk_count,
                              const uint8_t *src, size_t src_len)
{
    if (src_len != fl_parts_bitmap_bytes(chunk_count)) return FL_ERR_FORMAT;
    if (src_len == 0) return FL_OK;
    const unsigned used = chunk_count % 8;  // bits of the last byte; 0: all
    if (used && src[src_len - 1] >> used) return FL_ERR_FORMAT;
    memcpy(dst, src, src_len);
    return FL_OK;
}

bool fl_parts_bitmap_has(const uint8_t *bitmap, uint32_t index)
{
    return bitmap[index / 8] >> index % 8 & 1;
}

uint32_t fl_parts_bitmap_next_zero(const uint8_t *bitmap, uint32_t chunk_count,
                                   uint32_t from)
{
    uint32_t i = from;
    while (i < chunk_count && fl_parts_bitmap_has(bitmap, i)) {
        // Whole bytes at a time: a large object has many chunks in a row.
        const bool skip =
            i % 8 == 0 && chunk_count - i >= 8 && bitmap[i / 8] == UINT8_MAX;
        i += skip ? 8 : 1;
    }
    return i < chunk_count ? i : chunk_count;
}
