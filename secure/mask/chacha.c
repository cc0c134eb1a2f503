/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/mask/chacha.h"

#include "base/cpu.h"

enum { KERNELS_MAX = 3 };

const fl_chacha *fl_chacha_at(unsigned index)
{
    const fl_chacha *usable[KERNELS_MAX];
    unsigned count = 0;
#if defined(__x86_64__)
    if (fl_cpu_allows(FL_CPU_AVX512)) usable[count++] = &fl_chacha_avx512;
    if (fl_cpu_allows(FL_CPU_AVX2)) usable[count++] = &fl_chacha_avx2;
#elif defined(__aarch64__)
    if (fl_cpu_allows(FL_CPU_SMLAL)) usable[count++] = &fl_chacha_neon;
#endif
    usable[count++] = &fl_chacha_portable;
    return index < count ? usable[index] : NULL;
}
