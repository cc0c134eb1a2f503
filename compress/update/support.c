/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/support.h"

#include <assert.h>
#include <math.h>

enum { KEPT_MULTIPLE = 16 };

static fl_random stream(const fl_support *support, uint32_t index)
{
    fl_random random;
    fl_random_init(&random, support->seed, FL_RANDOM_SUPPORT,
                   (uint64_t)support->group << 32 | index);
    return random;
}

size_t fl_support_kept(size_t count, float density)
{
    const size_t padded = fl_rotation_padded(count);
    if (density >= 1.0F) return padded;
    size_t kept = (size_t)floor((double)density * (double)count + 0.5);
    kept -= kept % KEPT_MULTIPLE;
    if (kept < KEPT_MULTIPLE) kept = KEPT_MULTIPLE;
    return kept < padded ? kept : padded;
}

void fl_support_init(fl_support *support, uint64_t seed, uint32_t group,
                     size_t count, float density)
{
    *support = (fl_support){
        .seed = seed,
        .group = group,
        .padded = fl_rotation_padded(count),
        .kept = fl_support_kept(count, density),
    };
    if (count == 0) return;
    fl_random random = stream(support, UINT32_MAX);  // no block has this number
    support->offset = fl_random_u64(&random) % support->padded;
}

// Kept coordinates in front of the rotated coordinate `at`.
static size_t kept_before(const fl_support *support, size_t at)
{
    return (size_t)((support->kept * (uint64_t)at + support->offset) /
                    support->padded);
}

size_t fl_support_draw(const fl_support *support,
                       uint16_t picks[FL_ROTATION_BLOCK], uint32_t index,
                       size_t at, size_t size)
{
    assert(size <= FL_ROTATION_BLOCK && at + size <= support->padded);
    for (size_t i = 0; i < size; i++) {
        picks[i] = (uint16_t)i;
    }
    if (support->kept == support->padded) return size;

    const size_t count =
        kept_before(support, at + size) - kept_before(support, at);
    fl_random random = stream(support, index);
    for (size_t i = 0; i < count; i++) {
        const size_t j = i + fl_random_below(&random, (uint32_t)(size - i));
        const uint16_t pick = picks[j];
        picks[j] = picks[i];
        picks[i] = pick;
    }
    return count;
}
