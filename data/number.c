/* SPDX-License-Identifier: Apache-2.0 */
#include "data/number.h"

#include <assert.h>
#include <math.h>
#include <string.h>

size_t fl_number_len(fl_number_type type)
{
    switch (type) {
    case FL_NUMBER_U8:
    case FL_NUMBER_I8: return 1;
    case FL_NUMBER_U16:
    case FL_NUMBER_I16: return 2;
    case FL_NUMBER_I32:
    case FL_NUMBER_F32: return 4;
    case FL_NUMBER_I64:
    case FL_NUMBER_F64: return 8;
    }
    return 0;
}

fl_number_type fl_number_kept_as(fl_number_type type)
{
    return fl_number_len(type) <= 2 ? type : FL_NUMBER_F32;
}

bool fl_number_is_integer(fl_number_type type)
{
    return type != FL_NUMBER_F32 && type != FL_NUMBER_F64;
}

static uint64_t get_bits(const uint8_t *src, size_t len, bool big_endian)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | src[big_endian ? i : len - 1 - i];
    }
    return bits;
}

static double float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double fl_number_get(const uint8_t *src, fl_number_type type, bool big_endian)
{
    const uint64_t bits = get_bits(src, fl_number_len(type), big_endian);
    switch (type) {
    case FL_NUMBER_U8: return (uint8_t)bits;
    case FL_NUMBER_I8: return (int8_t)bits;
    case FL_NUMBER_U16: return (uint16_t)bits;
    case FL_NUMBER_I16: return (int16_t)bits;
    case FL_NUMBER_I32: return (int32_t)bits;
    case FL_NUMBER_I64: return (double)(int64_t)bits;
    case FL_NUMBER_F32: return float_of((uint32_t)bits);
    case FL_NUMBER_F64: return double_of(bits);
    }
    return 0.0;
}

static fl_err decode_floats(float *dst, size_t *bad, const uint8_t *src,
                            size_t count, fl_number_type type, bool big_endian)
{
    const size_t len = fl_number_len(type);
    for (size_t i = 0; i < count; i++) {
        dst[i] = (float)fl_number_get(src + i * len, type, big_endian);
        if (!isfinite(dst[i])) {
            *bad = i;
            return FL_ERR_FORMAT;
        }
    }
    return FL_OK;
}

static void decode_words(uint16_t *dst, const uint8_t *src, size_t count,
                         bool big_endian)
{
    for (size_t i = 0; i < count; i++) {
        dst[i] = (uint16_t)get_bits(src + i * 2, 2, big_endian);
    }
}

fl_err fl_number_decode(void *dst, size_t *bad, const uint8_t *src,
                        size_t count, fl_number_type type, bool big_endian)
{
    switch (fl_number_len(type)) {
    case 1: memcpy(dst, src, count); return FL_OK;
    case 2: decode_words(dst, src, count, big_endian); return FL_OK;
    default: return decode_floats(dst, bad, src, count, type, big_endian);
    }
}

/*
 * The training loop waits for this one. Steps of a fixed width let gcc -O2
 * vectorise it, which it does for no loop that needs a remainder.
 */
static void read_bytes(float *restrict x, const uint8_t *restrict src,
                       size_t count)
{
    enum { STEP = 16 };
    const float scale = 1.0F / 255.0F;
    size_t i = 0;
    for (; i + STEP <= count; i += STEP) {
        for (size_t j = 0; j < STEP; j++) {
            x[i + j] = (float)src[i + j] * scale;
        }
    }
    for (; i < count; i++) {
        x[i] = (float)src[i] * scale;
    }
}

void fl_number_read(float *x, const void *kept, size_t first, size_t count,
                    fl_number_type type)
{
    switch (type) {
    case FL_NUMBER_U8:
        read_bytes(x, (const uint8_t *)kept + first, count);
        return;
    case FL_NUMBER_I8:
        for (size_t i = 0; i < count; i++) {
            x[i] = ((const int8_t *)kept)[first + i];
        }
        return;
    case FL_NUMBER_U16:
        for (size_t i = 0; i < count; i++) {
            x[i] = ((const uint16_t *)kept)[first + i];
        }
        return;
    case FL_NUMBER_I16:
        for (size_t i = 0; i < count; i++) {
            x[i] = ((const int16_t *)kept)[first + i];
        }
        return;
    case FL_NUMBER_F32:
        memcpy(x, (const float *)kept + first, count * sizeof *x);
        return;
    case FL_NUMBER_I32:
    case FL_NUMBER_I64:
    case FL_NUMBER_F64: break;
    }
    assert(false);  // a type that is not kept in memory
}
