/*
 * An object that arrives in chunks, in any order, and is put together here.
 *
 * The hashes of all chunks are known before the first one comes, so each is
 * checked on arrival and a wrong one changes nothing. What is still missing
 * travels as a bitmap: bit i % 8 of byte i / 8 is set when chunk i is there.
 *
 *   new --put, put, ...--> complete --take--> the object's bytes
 *
 * Pure, no I/O. Not thread-safe.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_NET_PARTS_H
#define FL_NET_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { FL_PARTS_HASH_BYTES = 32 };

/* secure/ has one that fits; net/ may not include it. */
typedef void fl_parts_hash(uint8_t hash[FL_PARTS_HASH_BYTES], const void *src,
                           size_t src_len);

/* Read it; only the functions below write it. */
typedef struct {
    size_t size;           // of the object
    uint32_t chunk_bytes;  // of every chunk but the last
    uint32_t chunk_count;
    uint32_t received_count;
    uint8_t *hashes;  // chunk_count times FL_PARTS_HASH_BYTES
    uint8_t *bitmap;
    uint8_t *buffer;  // NULL after fl_parts_take
    bool is_shared;   // the buffer is not its own
} fl_parts;

/*
 * How many chunks an object takes.
 * FL_ERR_RANGE: size or chunk_bytes is 0. FL_ERR_LIMIT: 2^32 chunks or more.
 */
FL_CHECK fl_err fl_parts_count(uint32_t *chunk_count, uint64_t size,
                               uint32_t chunk_bytes);

/* Hashes every chunk of a whole object, as the sender of one has to. */
void fl_parts_hash_all(uint8_t *hashes, const uint8_t *src, size_t src_len,
                       uint32_t chunk_bytes, fl_parts_hash *hash);

/*
 * `hashes` are fl_parts_count times FL_PARTS_HASH_BYTES bytes, copied. The
 * caller owns *parts: fl_parts_free.
 * FL_ERR_RANGE, FL_ERR_LIMIT: as fl_parts_count, or size above size_cap;
 * nothing has been allocated then.
 */
FL_CHECK fl_err fl_parts_new(fl_parts **parts, uint64_t size,
                             uint32_t chunk_bytes, const uint8_t *hashes,
                             uint64_t size_cap);

/* Accepts NULL. */
void fl_parts_free(fl_parts *parts);

/*
 * Puts the object together in `room`, of its size and borrowed for its life,
 * before the first chunk comes. Several that have the same hashes may share
 * one: nothing is written there but what belongs there.
 */
void fl_parts_share(fl_parts *parts, uint8_t *room);

/* The length that chunk `index`, below chunk_count, must have. */
size_t fl_parts_chunk_len(const fl_parts *parts, uint32_t index);

/*
 * Adds a chunk. One that is there already is FL_OK and not looked at.
 * FL_ERR_RANGE: no chunk has this index. FL_ERR_FORMAT: wrong length.
 * FL_ERR_AUTH: the hash differs. After an error nothing has changed.
 */
FL_CHECK fl_err fl_parts_put(fl_parts *parts, uint32_t index,
                             const uint8_t *src, size_t src_len,
                             fl_parts_hash *hash);

bool fl_parts_has(const fl_parts *parts, uint32_t index);
bool fl_parts_is_complete(const fl_parts *parts);

/* The first missing chunk at `from` or after; chunk_count when none is. */
uint32_t fl_parts_next_missing(const fl_parts *parts, uint32_t from);

/*
 * Hands the complete object over; the caller frees *bytes with free().
 * FL_ERR_STATE: chunks are missing, or it has been taken already, or it is in
 * a shared room.
 */
FL_CHECK fl_err fl_parts_take(fl_parts *parts, uint8_t **bytes, size_t *len);

/* ---- the bitmap on its own: a sender keeps its peer's ---- */

size_t fl_parts_bitmap_bytes(uint32_t chunk_count);

/* Writes fl_parts_bitmap_bytes. FL_ERR_SPACE: dst_cap is too small. */
FL_CHECK fl_err fl_parts_bitmap_encode(uint8_t *dst, size_t dst_cap,
                                       const fl_parts *parts);

/*
 * Copies a bitmap that came from outside to dst, of fl_parts_bitmap_bytes.
 * FL_ERR_FORMAT: src_len is not exactly that, or padding bits are set; dst is
 * untouched then.
 */
FL_CHECK fl_err fl_parts_bitmap_decode(uint8_t *dst, uint32_t chunk_count,
                                       const uint8_t *src, size_t src_len);

bool fl_parts_bitmap_has(const uint8_t *bitmap, uint32_t index);

/* The first zero bit at `from` or after; chunk_count when there is none. */
uint32_t fl_parts_bitmap_next_zero(const uint8_t *bitmap, uint32_t chunk_count,
                                   uint32_t from);

#endif
