/* SPDX-License-Identifier: Apache-2.0 */
#include "model/int8/qkernels.h"

#include "base/cpu.h"

enum { KERNELS_MAX = 3 };

const fl_qkernels *fl_qkernels_at(unsigned index)
{
    const fl_qkernels *usable[KERNELS_MAX];
    unsigned count = 0;
#if defined(__x86_64__)
    if (fl_cpu_allows(FL_CPU_AVX512VNNI)) {
        usable[count++] = &fl_qkernels_avx512vnni;
    }
    if (fl_cpu_allows(FL_CPU_AVX2)) usable[count++] = &fl_qkernels_avx2;
#elif defined(__aarch64__)
    if (fl_cpu_allows(FL_CPU_SDOT)) usable[count++] = &fl_qkernels_sdot;
    if (fl_cpu_allows(FL_CPU_SMLAL)) usable[count++] = &fl_qkernels_smlal;
#endif
    usable[count++] = &fl_qkernels_portable;
    return index < count ? usable[index] : NULL;
}
