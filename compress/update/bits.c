/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/bits.h"

#include <assert.h>

enum { VARINT_BITS = 7, VARINT_MORE = 1 << VARINT_BITS, WIDTH_MAX = 32 };

void fl_bits_put_varint(fl_writer *out, uint64_t value)
{
    for (; value >= VARINT_MORE; value >>= VARINT_BITS) {
        fl_writer_u8(out, (uint8_t)(value | VARINT_MORE));
    }
    fl_writer_u8(out, (uint8_t)value);
}

uint64_t fl_bits_get_varint(fl_reader *in)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < FL_BITS_VARINT_MAX; i++) {
        const uint8_t byte = fl_reader_u8(in);
        const uint64_t digit = byte & (VARINT_MORE - 1);
        value |= digit << (VARINT_BITS * i);
        if (byte & VARINT_MORE) continue;
        // The tenth byte holds bit 63 alone, and no byte but the first may be
        // left out.
        if ((i > 0 && byte == 0) || (i == FL_BITS_VARINT_MAX - 1 && byte > 1)) {
            break;
        }
        return in->failed ? 0 : value;
    }
    in->failed = true;
    return 0;
}

fl_bits_writer fl_bits_writer_over(fl_writer *out)
{
    return (fl_bits_writer){.out = out};
}

void fl_bits_put(fl_bits_writer *bits, uint32_t value, unsigned width)
{
    assert(width <= WIDTH_MAX && (uint64_t)value >> width == 0);
    bits->held |= (uint64_t)value << bits->count;
    for (bits->count += width; bits->count >= 8; bits->count -= 8) {
        fl_writer_u8(bits->out, (uint8_t)bits->held);
        bits->held >>= 8;
    }
}

void fl_bits_end(fl_bits_writer *bits)
{
    if (bits->count > 0) fl_writer_u8(bits->out, (uint8_t)bits->held);
    *bits = fl_bits_writer_over(bits->out);
}

fl_bits_reader fl_bits_reader_over(fl_reader *in)
{
    return (fl_bits_reader){.in = in};
}

uint32_t fl_bits_get(fl_bits_reader *bits, unsigned width)
{
    assert(width <= WIDTH_MAX);
    for (; bits->count < width; bits->count += 8) {
        bits->held |= (uint64_t)fl_reader_u8(bits->in) << bits->count;
    }
    const uint64_t mask = (UINT64_C(1) << width) - 1;
    const uint32_t value = (uint32_t)(bits->held & mask);
    bits->held >>= width;
    bits->count -= width;
    return bits->in->failed ? 0 : value;
}

void fl_bits_close(fl_bits_reader *bits)
{
    if (bits->held != 0) bits->in->failed = true;
    *bits = fl_bits_reader_over(bits->in);
}
