/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/hadamard.h"

#include "base/cpu.h"

enum { KERNELS_MAX = 2 };

const fl_hadamard *fl_hadamard_at(unsigned index)
{
    const fl_hadamard *usable[KERNELS_MAX];
    unsigned count = 0;
#if defined(__x86_64__)
    if (fl_cpu_allows(FL_CPU_AVX2)) usable[count++] = &fl_hadamard_avx2;
#endif
    usable[count++] = &fl_hadamard_portable;
    return index < count ? usable[index] : NULL;
}
