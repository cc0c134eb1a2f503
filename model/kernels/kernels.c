/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels/kernels.h"

#include <string.h>

#include "base/bytes.h"
#include "base/cpu.h"

enum { KERNELS_MAX = 3 };

const fl_kernels *fl_kernels_at(unsigned index)
{
    const fl_kernels *usable[KERNELS_MAX];
    unsigned count = 0;
#if defined(__x86_64__)
    if (fl_cpu_allows(FL_CPU_AVX512)) usable[count++] = &fl_kernels_avx512;
    if (fl_cpu_allows(FL_CPU_AVX2)) usable[count++] = &fl_kernels_avx2;
#elif defined(__aarch64__)
    if (fl_cpu_allows(FL_CPU_SMLAL)) usable[count++] = &fl_kernels_neon;
#endif
    usable[count++] = &fl_kernels_portable;
    return index < count ? usable[index] : NULL;
}

static size_t round_up(size_t count, size_t unit)
{
    return (count + unit - 1) / unit * unit;
}

size_t fl_pack_floats(const fl_kernels *kernels, size_t depth, size_t columns)
{
    size_t floats;
    if (columns > SIZE_MAX - kernels->lanes) return SIZE_MAX;
    if (fl_size_mul(&floats, depth, round_up(columns, kernels->lanes))) {
        return SIZE_MAX;
    }
    return floats;
}

// Columns of the panel that starts at `column`, with and without padding.
static size_t panel_columns(const fl_kernels *kernels, size_t columns,
                            size_t column)
{
    const size_t left = columns - column;
    return left < kernels->panel ? left : kernels->panel;
}

void fl_pack_columns(const fl_kernels *kernels, float *dst, const float *src,
                     size_t src_step, size_t depth, size_t columns)
{
    enum { BLOCK = 16 };  // rows of dst that stay in the first-level cache
    for (size_t column = 0; column < columns; column += kernels->panel) {
        const size_t used = panel_columns(kernels, columns, column);
        const size_t width = round_up(used, kernels->lanes);
        for (size_t k = 0; k < depth; k += BLOCK) {
            size_t rows = depth - k;
            if (rows > BLOCK) rows = BLOCK;
            if (used < width) memset(dst, 0, rows * width * sizeof *dst);
            for (size_t n = 0; n < used; n++) {
                const float *from = src + (column + n) * src_step + k;
                for (size_t i = 0; i < rows; i++) {
                    dst[i * width + n] = from[i];
                }
            }
            dst += rows * width;
        }
    }
}

void fl_pack_rows(const fl_kernels *kernels, float *dst, const float *src,
                  size_t src_step, size_t at, size_t rows, size_t depth,
                  size_t columns)
{
    for (size_t column = 0; column < columns; column += kernels->panel) {
        const size_t used = panel_columns(kernels, columns, column);
        const size_t width = round_up(used, kernels->lanes);
        float *to = dst + at * width;
        for (size_t k = 0; k < rows; k++) {
            memcpy(to, src + k * src_step + column, used * sizeof *to);
            memset(to + used, 0, (width - used) * sizeof *to);
            to += width;
        }
        dst += depth * width;
    }
}
