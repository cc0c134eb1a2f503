/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/digits.h"

#include <assert.h>

static const uint64_t MOST = UINT64_C(1) << 63;

// Powers of the radix that are at most 2^63, from the first one on.
static unsigned powers_below(uint64_t radix)
{
    unsigned count = 0;
    for (uint64_t left = MOST; left >= radix; left /= radix) {
        count++;
    }
    return count;
}

int64_t fl_digits_radix(unsigned per_word)
{
    assert(per_word >= 2 && per_word <= 63);
    // Halving what lies between one that fits and one that does not.
    uint64_t fits = 2, too_large = UINT64_C(1) << 32;
    while (too_large - fits > 1) {
        const uint64_t middle = (fits + too_large) / 2;
        if (powers_below(middle) >= per_word) {
            fits = middle;
        } else {
            too_large = middle;
        }
    }
    return (int64_t)fits;
}

unsigned fl_digits_per_word(int64_t radix)
{
    assert(radix >= 2);
    return powers_below((uint64_t)radix);
}
