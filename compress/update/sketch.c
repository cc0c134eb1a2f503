/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/sketch.h"

#include <string.h>

void fl_sketch_init(fl_sketch *sketch, const fl_layout *layout, fl_group group,
                    float density, uint64_t seed)
{
    *sketch = (fl_sketch){
        .layout = layout,
        .group = group,
        .signs = {seed, FL_RANDOM_SIGNS, (uint32_t)group},
        .mix = {seed, FL_RANDOM_MIX, (uint32_t)group},
    };
    fl_support_init(&sketch->support, seed, (uint32_t)group,
                    fl_layout_count(layout, group), density);
}

/* ---- the order ---- */

static fl_random order_stream(const fl_sketch *sketch)
{
    fl_random random;
    fl_random_init(&random, sketch->support.seed, FL_RANDOM_ORDER,
                   (uint64_t)sketch->group);
    return random;
}

static void swap(float *a, float *b)
{
    const float x = *a;
    *a = *b;
    *b = x;
}

// As fl_random_shuffle does with integers.
static void shuffle(const fl_sketch *sketch, float *values)
{
    fl_random random = order_stream(sketch);
    for (size_t i = sketch->support.kept; i > 1; i--) {
        swap(&values[i - 1], &values[fl_random_below(&random, (uint32_t)i)]);
    }
}

// The same swaps, the last one first. Scratch memory is floats, and holds
// integers as they are.
static void unshuffle(const fl_sketch *sketch, float *values, float *scratch)
{
    const size_t count = sketch->support.kept;
    fl_random random = order_stream(sketch);
    for (size_t i = count; i > 1; i--) {
        const uint32_t j = fl_random_below(&random, (uint32_t)i);
        memcpy(&scratch[i - 1], &j, sizeof j);
    }
    for (size_t i = 2; i <= count; i++) {
        uint32_t j;
        memcpy(&j, &scratch[i - 1], sizeof j);
        swap(&values[i - 1], &values[j]);
    }
}

/* ---- the second rotation ---- */

typedef void rotate(const fl_rotation *rotation, uint32_t index, float *block,
                    size_t size);

static void rotate_all(const fl_rotation *rotation, float *values, size_t count,
                       rotate *rotate_block)
{
    uint32_t index = 0;
    for (size_t at = 0, size; at < count; at += size) {
        size = fl_rotation_block(count - at);
        rotate_block(rotation, index++, values + at, size);
    }
}

/* ---- there ---- */

static float limit(float x, float low, float high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

void fl_sketch_apply(const fl_sketch *sketch, float *sent, const float *update,
                     float clip, float factor, float *block)
{
    const fl_support *support = &sketch->support;
    fl_layout_walk walk = fl_layout_walk_over(sketch->layout, sketch->group);
    uint16_t picks[FL_ROTATION_BLOCK];
    float *next = sent;
    uint32_t index = 0;
    for (size_t at = 0, size; at < support->padded; at += size) {
        size = fl_rotation_block(support->padded - at);
        const size_t len = fl_layout_gather(&walk, block, update, size);
        for (size_t i = 0; i < len; i++) {
            block[i] = limit(block[i], -clip, clip) * factor;
        }
        memset(block + len, 0, (size - len) * sizeof *block);
        fl_rotation_apply(&sketch->signs, index, block, size);

        const size_t count = fl_support_draw(support, picks, index++, at, size);
        for (size_t i = 0; i < count; i++) {
            *next++ = block[picks[i]];
        }
    }
    shuffle(sketch, sent);
    rotate_all(&sketch->mix, sent, support->kept, fl_rotation_apply);
}

/* ---- and back ---- */

size_t fl_sketch_lift_scratch(size_t kept)
{
    return kept > FL_ROTATION_BLOCK ? kept : FL_ROTATION_BLOCK;
}

void fl_sketch_lift(const fl_sketch *sketch, float *dst, float *sent,
                    double factor, float *scratch)
{
    const fl_support *support = &sketch->support;
    if (support->padded == 0) return;
    rotate_all(&sketch->mix, sent, support->kept, fl_rotation_undo);
    unshuffle(sketch, sent, scratch);

    const double scale =
        factor * ((double)support->padded / (double)support->kept);
    fl_layout_walk walk = fl_layout_walk_over(sketch->layout, sketch->group);
    uint16_t picks[FL_ROTATION_BLOCK];
    float *block = scratch;
    uint32_t index = 0;
    for (size_t at = 0, size; at < support->padded; at += size) {
        size = fl_rotation_block(support->padded - at);
        memset(block, 0, size * sizeof *block);
        const size_t count = fl_support_draw(support, picks, index, at, size);
        for (size_t i = 0; i < count; i++) {
            block[picks[i]] = (float)((double)*sent++ * scale);
        }
        fl_rotation_undo(&sketch->signs, index++, block, size);
        fl_layout_scatter(&walk, dst, block, size);
    }
}
