/*
 * Random rotations that a public seed names: coordinates in blocks, random
 * signs, then a Walsh-Hadamard transform of each block. Afterwards all values
 * of a block are of much the same size, whatever they were before, and nothing
 * is lost: rotations keep lengths, and can be undone.
 *
 * Pure functions: no allocation, callable from any thread.
 * docs/format.md, "Updates", has every bit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_ROTATION_H
#define FL_COMPRESS_ROTATION_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "compress/update/hadamard.h"

enum { FL_ROTATION_BLOCK = FL_HADAMARD_MAX };

/* Which signs: FL_RANDOM_SIGNS or FL_RANDOM_MIX of a group. */
typedef struct {
    uint64_t seed;
    fl_random_purpose purpose;
    uint32_t group;
} fl_rotation;

/*
 * Size of the next block when `left` coordinates are left: FL_ROTATION_BLOCK,
 * or the largest power of two that fits. Needs left >= 1.
 */
size_t fl_rotation_block(size_t left);

/*
 * Coordinates of `count` with zeros behind, so that at most one block is
 * smaller than FL_ROTATION_BLOCK. At most FL_ROTATION_BLOCK - 1 more, and at
 * most twice as many; 0 of 0.
 */
size_t fl_rotation_padded(size_t count);

/* Rotates block number `index` (fl_rotation_block) in place, and back. */
void fl_rotation_apply(const fl_rotation *rotation, uint32_t index,
                       float *block, size_t size);
void fl_rotation_undo(const fl_rotation *rotation, uint32_t index, float *block,
                      size_t size);

#endif
