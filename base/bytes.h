/*
 * Cursors over bytes: little-endian, bounds-checked, no struct casts.
 *
 * Both remember the first failure: read or write a whole record, then ask
 * once. After a failure reads give zeros and writes do nothing.
 *
 *   fl_reader in = fl_reader_over(src, src_len);
 *   const uint32_t round = fl_reader_u32(&in);
 *   const uint8_t *hash = fl_reader_bytes(&in, 32);
 *   FL_TRY(fl_reader_finish(&in));         // nothing missing, nothing left
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_BYTES_H
#define FL_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct {
    const uint8_t *at;
    size_t left;
    bool failed;
} fl_reader;

fl_reader fl_reader_over(const uint8_t *src, size_t src_len);
uint8_t fl_reader_u8(fl_reader *reader);
uint16_t fl_reader_u16(fl_reader *reader);
uint32_t fl_reader_u32(fl_reader *reader);
uint64_t fl_reader_u64(fl_reader *reader);

/* The next `len` bytes, borrowed from the source; NULL after a failure. */
const uint8_t *fl_reader_bytes(fl_reader *reader, size_t len);

/* FL_ERR_FORMAT: a read went past the end, or bytes are left over. */
FL_CHECK fl_err fl_reader_finish(const fl_reader *reader);

typedef struct {
    uint8_t *dst;
    size_t len, cap;
    bool failed;
} fl_writer;

fl_writer fl_writer_over(uint8_t *dst, size_t dst_cap);
void fl_writer_u8(fl_writer *writer, uint8_t value);
void fl_writer_u16(fl_writer *writer, uint16_t value);
void fl_writer_u32(fl_writer *writer, uint32_t value);
void fl_writer_u64(fl_writer *writer, uint64_t value);
void fl_writer_bytes(fl_writer *writer, const void *src, size_t src_len);

/* FL_ERR_SPACE: something did not fit. */
FL_CHECK fl_err fl_writer_finish(const fl_writer *writer);

/* One little-endian number at a place that has been checked before. */
static inline void fl_bytes_put_u32(uint8_t *dst, uint32_t value)
{
    dst[0] = (uint8_t)value;
    dst[1] = (uint8_t)(value >> 8);
    dst[2] = (uint8_t)(value >> 16);
    dst[3] = (uint8_t)(value >> 24);
}

static inline uint32_t fl_bytes_get_u32(const uint8_t *src)
{
    return (uint32_t)src[0] | (uint32_t)src[1] << 8 | (uint32_t)src[2] << 16 |
           (uint32_t)src[3] << 24;
}

static inline uint64_t fl_bytes_get_u64(const uint8_t *src)
{
    return fl_bytes_get_u32(src) | (uint64_t)fl_bytes_get_u32(src + 4) << 32;
}

/* a * b and a + b for sizes; FL_ERR_LIMIT: the result does not fit size_t. */
FL_CHECK fl_err fl_size_mul(size_t *product, size_t a, size_t b);
FL_CHECK fl_err fl_size_add(size_t *sum, size_t a, size_t b);

#endif
