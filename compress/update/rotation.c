/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/rotation.h"

#include <assert.h>

size_t fl_rotation_block(size_t left)
{
    size_t size = FL_ROTATION_BLOCK;
    while (size > left) {
        size /= 2;
    }
    return size;
}

size_t fl_rotation_padded(size_t count)
{
    const size_t rest = count % FL_ROTATION_BLOCK;
    if (rest == 0) return count;
    size_t last = 1;
    while (last < rest) {
        last *= 2;
    }
    return count - rest + last;
}

static void flip(const fl_hadamard *kernel, const fl_rotation *rotation,
                 uint32_t index, float *block, size_t size)
{
    uint32_t signs[FL_HADAMARD_SIGN_WORDS];
    fl_random random;
    fl_random_init(&random, rotation->seed, rotation->purpose,
                   (uint64_t)rotation->group << 32 | index);
    for (size_t i = 0; i < (size + 31) / 32; i++) {
        signs[i] = fl_random_u32(&random);
    }
    kernel->flip(block, size, signs);
}

void fl_rotation_apply(const fl_rotation *rotation, uint32_t index,
                       float *block, size_t size)
{
    assert(size >= 1 && size <= FL_ROTATION_BLOCK);
    const fl_hadamard *kernel = fl_hadamard_at(0);
    flip(kernel, rotation, index, block, size);
    kernel->transform(block, size);
}

void fl_rotation_undo(const fl_rotation *rotation, uint32_t index, float *block,
                      size_t size)
{
    assert(size >= 1 && size <= FL_ROTATION_BLOCK);
    const fl_hadamard *kernel = fl_hadamard_at(0);
    kernel->transform(block, size);
    flip(kernel, rotation, index, block, size);
}
