/*
 * The public linear map of a group: rotate, keep a sample, put it into random
 * order, rotate again. Whoever knows the seed knows the map.
 *
 *   coordinates --signs, Hadamard--> rotated --support--> kept
 *          kept --order--> shuffled --signs, Hadamard--> what is sent
 *
 * The second rotation makes all that is sent alike in size. It needs the
 * order: neighbours in the sample come from one block of the model, and blocks
 * differ.
 *
 * Lifting is the transpose of all that, times padded / kept: the expected
 * value over seeds of lifting what was sent is what was there.
 *
 * Pure functions: no allocation, callable from any thread.
 * docs/format.md, "Updates", has every bit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_SKETCH_H
#define FL_COMPRESS_SKETCH_H

#include <stddef.h>
#include <stdint.h>

#include "compress/update/layout.h"
#include "compress/update/support.h"

typedef struct {
    const fl_layout *layout;  // borrowed
    fl_group group;
    fl_support support;
    fl_rotation signs, mix;
} fl_sketch;

/* Of one group of a layout, which is borrowed; `density` as fl_support_init. */
void fl_sketch_init(fl_sketch *sketch, const fl_layout *layout, fl_group group,
                    float density, uint64_t seed);

/*
 * sent[0 .. support.kept) of `update` (all parameters), each value limited to
 * +-clip and multiplied by `factor` first. `block` has FL_ROTATION_BLOCK.
 */
void fl_sketch_apply(const fl_sketch *sketch, float *sent, const float *update,
                     float clip, float factor, float *block);

/*
 * Puts `factor` times the lifted values into the group's coordinates of `dst`
 * (all parameters); `sent` is overwritten. `scratch` has
 * fl_sketch_lift_scratch(kept) floats.
 */
void fl_sketch_lift(const fl_sketch *sketch, float *dst, float *sent,
                    double factor, float *scratch);
size_t fl_sketch_lift_scratch(size_t kept);

#endif
