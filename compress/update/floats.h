/*
 * Floats as bytes: IEEE 754 binary32, little-endian.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_FLOATS_H
#define FL_COMPRESS_FLOATS_H

#include <stddef.h>
#include <string.h>

#include "base/bytes.h"

static inline void fl_floats_put(fl_writer *out, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        fl_writer_u32(out, bits);
    }
}

static inline void fl_floats_get(float *x, size_t count, fl_reader *in)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = fl_reader_u32(in);
        memcpy(&x[i], &bits, sizeof bits);
    }
}

#endif
