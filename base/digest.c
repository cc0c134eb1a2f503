/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

// The finisher of SplitMix64 (Steele, Lea, Flood 2014): FNV-1a alone leaves
// the high bits of short inputs alike.
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t fl_digest(uint64_t key, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    uint64_t hash = UINT64_C(14695981039346656037) ^ mix(key);
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ at[i]) * UINT64_C(1099511628211);
    }
    return mix(hash);
}
