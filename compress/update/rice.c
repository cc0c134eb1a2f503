/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/rice.h"

#include <stdbool.h>
#include <string.h>

enum { CANDIDATES = 4 };  // k0 - 1 to k0 + 2

// Walks from value to value.
typedef struct {
    const float *x;
    size_t len, at;
    uint32_t gap;  // before the value that was found last
} walk;

static bool next(walk *w)
{
    const size_t from = w->at;
    while (w->at < w->len && w->x[w->at] == 0.0F) {
        w->at++;
    }
    w->gap = (uint32_t)(w->at - from);
    return w->at++ < w->len;
}

// floor(log2(0.69 mean)) or 0: for gaps of a fair coin's kind, half of them
// are below 0.69 times their mean.
static unsigned guess(uint64_t gap_sum, uint64_t count)
{
    unsigned k = 0;
    while (k < FL_RICE_K_MAX && 69 * gap_sum >= (200 * count) << k) {
        k++;
    }
    return k;
}

unsigned fl_rice_fit(const float *x, size_t len)
{
    uint64_t gap_sum = 0, count = 0;
    for (walk w = {x, len, 0, 0}; next(&w); count++) {
        gap_sum += w.gap;
    }
    if (count == 0) return 0;

    const unsigned k0 = guess(gap_sum, count);
    const unsigned first = k0 > 0 ? k0 - 1 : 0;
    uint64_t bits[CANDIDATES];
    for (unsigned i = 0; i < CANDIDATES; i++) {
        bits[i] = count * (1 + first + i);
    }
    for (walk w = {x, len, 0, 0}; next(&w);) {
        for (unsigned i = 0; i < CANDIDATES; i++) {
            bits[i] += w.gap >> (first + i);
        }
    }
    unsigned best = 0;
    for (unsigned i = 1; i < CANDIDATES; i++) {
        if (first + i <= FL_RICE_K_MAX && bits[i] < bits[best]) best = i;
    }
    return first + best;
}

uint64_t fl_rice_bound(uint64_t count, uint64_t len)
{
    // With k0 the ones take less than 2.9 bits a value, and k0 is at most
    // log2(len / count) - 0.5.
    if (count == 0) return 0;
    unsigned log = 0;
    while (count << log < len) {
        log++;
    }
    return count * (4 + log);
}

void fl_rice_encode(fl_bits_writer *out, const float *x, size_t len, unsigned k)
{
    for (walk w = {x, len, 0, 0}; next(&w);) {
        for (uint32_t ones = w.gap >> k; ones > 0; ones--) {
            fl_bits_put(out, 1, 1);
        }
        fl_bits_put(out, 0, 1);
        fl_bits_put(out, w.gap & ((UINT32_C(1) << k) - 1), k);
    }
}

void fl_rice_decode(float *x, size_t len, size_t count, fl_bits_reader *in,
                    unsigned k)
{
    size_t at = 0;
    memset(x, 0, len * sizeof *x);
    for (; count > 0; count--, at++) {
        // A reader that has failed gives zeros, which end the ones.
        while (at < len && fl_bits_get(in, 1)) {
            at += (size_t)1 << k;
        }
        if (at < len) at += fl_bits_get(in, k);
        if (at >= len) {
            in->in->failed = true;
            return;
        }
        x[at] = 1.0F;
    }
}
