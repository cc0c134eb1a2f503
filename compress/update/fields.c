/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "compress/update/fields.h"

#include <assert.h>
#include <stdbool.h>

enum { BITS_MAX = 24, CLIENTS_MAX = 1 << 14 };

/* ---- layout ---- */

// The largest m with radix^m <= 2^64.
static unsigned count_per_word(uint64_t radix)
{
    unsigned count = 1;
    // floor(2^64 / radix^count); the first one from 2^64 - radix, which fits.
    uint64_t room = -radix / radix + 1;
    for (; room >= radix; room /= radix) {
        count++;
    }
    return count;
}

// The largest radix of which `per_word` go into a word; no more than 64 bits.
static uint64_t widest_radix(unsigned per_word)
{
    uint64_t low = 2, high = UINT64_MAX;
    while (low < high) {
        const uint64_t middle = high - (high - low) / 2;
        if (count_per_word(middle) >= per_word) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

fl_err fl_fields_init(fl_fields *fields, size_t field_count, uint64_t radix,
                      uint32_t client_cap, uint32_t field_max)
{
    if (field_count == 0 || client_cap == 0 || field_max == 0) {
        return FL_ERR_RANGE;
    }
    if (radix <= (uint64_t)client_cap * field_max) return FL_ERR_RANGE;

    fields->radix = radix;
    fields->field_count = field_count;
    fields->per_word = count_per_word(radix);
    fields->word_count = (field_count - 1) / fields->per_word + 1;
    return FL_OK;
}

uint32_t fl_fields_max(unsigned bits, uint32_t client_cap)
{
    assert(bits >= 1 && bits <= BITS_MAX);
    assert(client_cap >= 1 && client_cap <= CLIENTS_MAX);
    const uint64_t wanted = (UINT64_C(1) << bits) - 1;
    const unsigned per_word = count_per_word(client_cap * wanted + 1);
    const uint64_t most = (widest_radix(per_word) - 1) / client_cap;
    return most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
}

/* ---- fields and words ---- */

// The fields of word j; the last word may have fewer than the others.
static unsigned fields_of_word(const fl_fields *fields, size_t j)
{
    const size_t left = fields->field_count - j * fields->per_word;
    return left < fields->per_word ? (unsigned)left : fields->per_word;
}

fl_err fl_fields_pack(uint64_t *words, const fl_fields *fields,
                      const uint32_t *values, uint32_t field_max)
{
    bool is_bad = false;  // one branch at the end: the values are secret
    for (size_t j = 0; j < fields->word_count; j++) {
        const unsigned count = fields_of_word(fields, j);
        uint64_t word = 0;
        for (unsigned i = count; i-- > 0;) {
            word = word * fields->radix + values[i];
            is_bad |= values[i] > field_max;
        }
        words[j] = word;
        values += count;
    }
    return is_bad ? FL_ERR_RANGE : FL_OK;
}

fl_err fl_fields_unpack(uint64_t *sums, const fl_fields *fields,
                        const uint64_t *words)
{
    const uint64_t radix = fields->radix;
    for (size_t j = 0; j < fields->word_count; j++) {
        const unsigned count = fields_of_word(fields, j);
        uint64_t rest = words[j];
        for (unsigned i = 0; i < count; i++) {
            const uint64_t quotient = rest / radix;
            sums[i] = rest - quotient * radix;
            rest = quotient;
        }
        if (rest > 0) return FL_ERR_FORMAT;
        sums += count;
    }
    return FL_OK;
}
