/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/linear.h"

#include <string.h>

// A word more than the bits take, so that 64 may be read from any of them.
enum { WORDS = FL_LINEAR_BITS_MAX / 64 + 1 };

typedef struct {
    uint64_t at[WORDS];
} bit_array;

static uint64_t word_from(const bit_array *bits, size_t first)
{
    const size_t i = first / 64, shift = first % 64;
    const uint64_t low = bits->at[i] >> shift;
    return shift > 0 ? low | bits->at[i + 1] << (64 - shift) : low;
}

static void set_bit(bit_array *bits, size_t i)
{
    bits->at[i / 64] |= UINT64_C(1) << i % 64;
}

// The parity of taps[i] & window[first + i] over i <= degree, where taps has
// no more.
static unsigned parity(const bit_array *taps, size_t degree,
                       const bit_array *window, size_t first)
{
    uint64_t sum = 0;
    for (size_t i = 0; i <= degree; i += 64)
        sum ^= taps->at[i / 64] & word_from(window, first + i);
    return (unsigned)__builtin_parityll(sum);
}

// dst += src x^shift, for src of that degree.
static void add_shifted(bit_array *dst, const bit_array *src, size_t degree,
                        size_t shift)
{
    const size_t words = shift / 64, bits = shift % 64;
    for (size_t i = 0; i <= degree / 64; i++) {
        dst->at[i + words] ^= src->at[i] << bits;
        if (bits > 0 && i + words + 1 < WORDS)
            dst->at[i + words + 1] ^= src->at[i] >> (64 - bits);
    }
}

size_t fl_linear_complexity(const uint8_t *bits, size_t count)
{
    static bit_array reversed, taps, before, old;
    memset(&reversed, 0, sizeof reversed);
    taps = before = reversed;
    for (size_t i = 0; i < count; i++)
        if (bits[i]) set_bit(&reversed, count - 1 - i);
    set_bit(&taps, 0);
    set_bit(&before, 0);

    size_t length = 0, length_before = 0, steps = 1;
    for (size_t n = 0; n < count; n++, steps++) {
        // Where the sequence ends that the recurrence does not foresee.
        if (!parity(&taps, length, &reversed, count - 1 - n)) continue;
        old = taps;
        add_shifted(&taps, &before, length_before, steps);
        if (2 * length > n) continue;
        length_before = length;
        length = n + 1 - length;
        before = old;
        steps = 0;
    }
    return length;
}
