/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/coder.h"

static const uint32_t RANGE_MIN = UINT32_C(1) << 24;

enum {
    CODE_BYTES = 4,
    TREE_BITS = 4,  // bits of a number behind its first that are modelled
};

/* ---- bytes ---- */

// The next byte; decoding one that is not there is a failure.
static uint32_t take(fl_coder *coder)
{
    if (coder->cap == 0) {
        coder->has_failed = true;
        return 0;
    }
    coder->cap--;
    return *coder->src++;
}

static void put(fl_coder *coder, uint8_t byte)
{
    if (coder->len == coder->cap) {
        coder->has_failed = true;
        return;
    }
    coder->dst[coder->len++] = byte;
}

// The interval lies below 1, so a carry ends before the first byte does.
static void carry(fl_coder *coder)
{
    for (size_t i = coder->len; i-- > 0 && ++coder->dst[i] == 0;) {
    }
}

static void shift(fl_coder *coder)
{
    if (coder->dst) {
        put(coder, (uint8_t)(coder->low >> 24));
        coder->low <<= 8;
    } else {
        coder->low = coder->low << 8 | take(coder);
    }
    coder->range <<= 8;
}

/* ---- life ---- */

fl_coder fl_coder_encode(uint8_t *dst, size_t dst_cap)
{
    return (fl_coder){.dst = dst, .cap = dst_cap, .range = UINT32_MAX};
}

fl_coder fl_coder_decode(const uint8_t *src, size_t src_len)
{
    fl_coder coder = {.src = src, .cap = src_len, .range = UINT32_MAX};
    for (int i = 0; i < CODE_BYTES; i++) {
        coder.low = coder.low << 8 | take(&coder);
    }
    return coder;
}

// The encoder ends with all of `low`, so a decoder is left with nothing.
fl_err fl_coder_finish(fl_coder *coder)
{
    if (!coder->dst) {
        const bool is_whole =
            !coder->has_failed && coder->cap == 0 && coder->low == 0;
        return is_whole ? FL_OK : FL_ERR_FORMAT;
    }
    for (int i = 0; i < CODE_BYTES; i++) {
        put(coder, (uint8_t)(coder->low >> 24));
        coder->low <<= 8;
    }
    return coder->has_failed ? FL_ERR_SPACE : FL_OK;
}

/* ---- bits ---- */

// 2 / (2 n + 3) in 65536ths, for n = 0 to 255.
#define RATE(n)    (uint16_t)(131072 / (2 * (n) + 3))
#define RATE_4(n)  RATE(n), RATE((n) + 1), RATE((n) + 2), RATE((n) + 3)
#define RATE_16(n) RATE_4(n), RATE_4((n) + 4), RATE_4((n) + 8), RATE_4((n) + 12)
#define RATE_64(n) \
    RATE_16(n), RATE_16((n) + 16), RATE_16((n) + 32), RATE_16((n) + 48)
static const uint16_t RATES[] = {RATE_64(0), RATE_64(64), RATE_64(128),
                                 RATE_64(192)};
enum { SEEN_MAX = sizeof RATES / sizeof *RATES - 1 };

void fl_chance_init(fl_chance *chances, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        chances[i] = (fl_chance){FL_CHANCE_ONE / 2, 0};
    }
}

// Rounding down keeps it above 0 and below FL_CHANCE_ONE.
void fl_chance_learn(fl_chance *chance, bool bit)
{
    const uint64_t rate = RATES[chance->seen];
    const uint64_t way = bit ? FL_CHANCE_ONE - chance->one : chance->one;
    const uint32_t step = (uint32_t)(way * rate >> 16);
    chance->one += bit ? step : 0 - step;
    chance->seen += chance->seen < SEEN_MAX;
}

// A 1 has the lower part of the interval.
bool fl_coder_code(fl_coder *coder, uint32_t one, bool bit)
{
    if (coder->has_failed) return false;
    const uint32_t part = (uint32_t)((uint64_t)coder->range * one >> 24);
    if (!coder->dst) bit = coder->low < part;
    if (bit) {
        coder->range = part;
    } else {
        coder->range -= part;
        if (coder->dst && coder->low > UINT32_MAX - part) carry(coder);
        coder->low += coder->dst ? part : 0 - part;
    }
    while (coder->range < RANGE_MIN) {
        shift(coder);
    }
    return bit;
}

bool fl_coder_bit(fl_coder *coder, fl_chance *chance, bool bit)
{
    bit = fl_coder_code(coder, chance->one, bit);
    fl_chance_learn(chance, bit);
    return bit;
}

/* ---- numbers ---- */

void fl_number_init(fl_number *number)
{
    fl_chance_init(number->length, FL_NUMBER_BITS);
    fl_chance_init(number->tree[0], FL_NUMBER_BITS * (size_t)FL_NUMBER_TREE);
}

// The number of bits behind the first one of value + 1, in unary.
static unsigned code_length(fl_coder *coder, fl_number *number, uint32_t value)
{
    unsigned length = 0;
    while (fl_coder_bit(coder, &number->length[length],
                        (value + 1) >> (length + 1) != 0)) {
        if (++length < FL_NUMBER_BITS) continue;
        coder->has_failed = true;  // no encoder says this
        return 0;
    }
    return length;
}

// Bits behind the first, the highest first: the first four each with a chance
// that depends on those before, the others as they are.
uint32_t fl_coder_number(fl_coder *coder, fl_number *number, uint32_t value)
{
    const unsigned length = code_length(coder, number, value);
    uint32_t made = 1;
    for (unsigned i = 0; i < length; i++) {
        const bool bit = (value + 1) >> (length - 1 - i) & 1;
        const bool is_modelled = i < TREE_BITS;
        made =
            made << 1 |
            (is_modelled ? fl_coder_bit(coder, &number->tree[length][made], bit)
                         : fl_coder_code(coder, FL_CHANCE_ONE / 2, bit));
    }
    return made - 1;
}
