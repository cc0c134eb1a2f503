/*
 * Which of a group's rotated coordinates are sent: a random sample that a
 * public seed names, spread evenly over the blocks. Every coordinate is in it
 * with the probability kept / padded, so what is decoded from a sample has to
 * be multiplied by padded / kept.
 *
 * Pure functions: no allocation, callable from any thread.
 * docs/format.md, "Updates", has every bit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_SUPPORT_H
#define FL_COMPRESS_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#include "compress/update/rotation.h"

typedef struct {
    uint64_t seed;
    uint32_t group;
    size_t padded;    // coordinates after rotation, fl_rotation_padded
    size_t kept;      // of them; padded: all, in their order
    uint64_t offset;  // below padded: where the blocks' shares are rounded up
} fl_support;

/*
 * Of a group of `count` coordinates, the share `density` (above 0, at most 1)
 * and at least 16. An empty group keeps nothing.
 */
void fl_support_init(fl_support *support, uint64_t seed, uint32_t group,
                     size_t count, float density);

/* What fl_support_init makes of it, without the seed. */
size_t fl_support_kept(size_t count, float density);

/*
 * The sample of block number `index`, which begins at coordinate `at`
 * (rotated) and has `size`: places in the block, in the order in which they
 * are sent. Returns how many; picks behind them are undefined.
 */
size_t fl_support_draw(const fl_support *support,
                       uint16_t picks[FL_ROTATION_BLOCK], uint32_t index,
                       size_t at, size_t size);

#endif
