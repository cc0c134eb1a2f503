/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/coder.h"

static const uint32_t RANGE_MIN = UINT32_C(1) << 24;

enum {
    CODE_BYTES = 4,
    CHANCE_ONE = 1 << 24,
    SEEN_MAX = 255,  // from here on a chance moves by 1/256 of the way
    TREE_BITS = 4,   // bits of a number behind its first that are modelled
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

void fl_chance_init(fl_chance *chances, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        chances[i] = (fl_chance){CHANCE_ONE / 2, 0};
    }
}

// The truncation keeps it above 0 and below CHANCE_ONE.
static void adapt(fl_chance *chance, bool bit)
{
    const uint32_t halves = 2 * chance->seen + 3;
    if (bit) {
        chance->one += (CHANCE_ONE - chance->one) * 2 / halves;
    } else {
        chance->one -= chance->one * 2 / halves;
    }
    if (chance->seen < SEEN_MAX) chance->seen++;
}

// A 1 has the lower part of the interval.
bool fl_coder_bit(fl_coder *coder, fl_chance *chance, bool bit)
{
    if (coder->has_failed) return false;
    const uint32_t part =
        (uint32_t)((uint64_t)coder->range * chance->one / CHANCE_ONE);
    if (!coder->dst) bit = coder->low < part;
    if (bit) {
        coder->range = part;
    } else {
        coder->range -= part;
        if (coder->dst && coder->low > UINT32_MAX - part) carry(coder);
        coder->low += coder->dst ? part : 0 - part;
    }
    adapt(chance, bit);
    while (coder->range < RANGE_MIN) {
        shift(coder);
    }
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
        fl_chance even = {CHANCE_ONE / 2, 0};
        fl_chance *chance = i < TREE_BITS ? &number->tree[length][made] : &even;
        const bool bit = (value + 1) >> (length - 1 - i) & 1;
        made = made << 1 | fl_coder_bit(coder, chance, bit);
    }
    return made - 1;
}
