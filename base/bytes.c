/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <string.h>

fl_reader fl_reader_over(const uint8_t *src, size_t src_len)
{
    return (fl_reader){.at = src, .left = src_len};
}

const uint8_t *fl_reader_bytes(fl_reader *reader, size_t len)
{
    if (reader->failed || len > reader->left) {
        reader->failed = true;
        return NULL;
    }
    // An empty source may be NULL, and NULL + 0 is undefined.
    const uint8_t *bytes = reader->at;
    if (len > 0) reader->at += len;
    reader->left -= len;
    return bytes;
}

static uint64_t read_little_endian(fl_reader *reader, unsigned byte_count)
{
    const uint8_t *bytes = fl_reader_bytes(reader, byte_count);
    if (!bytes) return 0;
    uint64_t value = 0;
    for (unsigned i = 0; i < byte_count; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

uint8_t fl_reader_u8(fl_reader *reader)
{
    return (uint8_t)read_little_endian(reader, 1);
}

uint16_t fl_reader_u16(fl_reader *reader)
{
    return (uint16_t)read_little_endian(reader, 2);
}

uint32_t fl_reader_u32(fl_reader *reader)
{
    return (uint32_t)read_little_endian(reader, 4);
}

uint64_t fl_reader_u64(fl_reader *reader)
{
    return read_little_endian(reader, 8);
}

fl_err fl_reader_finish(const fl_reader *reader)
{
    return reader->failed || reader->left > 0 ? FL_ERR_FORMAT : FL_OK;
}

fl_writer fl_writer_over(uint8_t *dst, size_t dst_cap)
{
    return (fl_writer){.dst = dst, .cap = dst_cap};
}

void fl_writer_bytes(fl_writer *writer, const void *src, size_t src_len)
{
    if (writer->failed || src_len > writer->cap - writer->len) {
        writer->failed = true;
        return;
    }
    if (src_len == 0) return;
    memcpy(writer->dst + writer->len, src, src_len);
    writer->len += src_len;
}

static void write_little_endian(fl_writer *writer, uint64_t value,
                                unsigned byte_count)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < byte_count; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    fl_writer_bytes(writer, bytes, byte_count);
}

void fl_writer_u8(fl_writer *writer, uint8_t value)
{
    write_little_endian(writer, value, 1);
}

void fl_writer_u16(fl_writer *writer, uint16_t value)
{
    write_little_endian(writer, value, 2);
}

void fl_writer_u32(fl_writer *writer, uint32_t value)
{
    write_little_endian(writer, value, 4);
}

void fl_writer_u64(fl_writer *writer, uint64_t value)
{
    write_little_endian(writer, value, 8);
}

fl_err fl_writer_finish(const fl_writer *writer)
{
    return writer->failed ? FL_ERR_SPACE : FL_OK;
}

fl_err fl_size_mul(size_t *product, size_t a, size_t b)
{
    return __builtin_mul_overflow(a, b, product) ? FL_ERR_LIMIT : FL_OK;
}

fl_err fl_size_add(size_t *sum, size_t a, size_t b)
{
    return __builtin_add_overflow(a, b, sum) ? FL_ERR_LIMIT : FL_OK;
}
