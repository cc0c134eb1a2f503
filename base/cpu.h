/*
 * Which instruction sets may be used: what the CPU has, at most what the
 * environment variable FEDGE_CPU names.
 *
 *   FEDGE_CPU=avx2 fedge-client ...
 *
 * A level includes those before it of the same architecture. A name that this
 * CPU does not run changes nothing here; whoever can refuse asks
 * fl_cpu_check. Callable from any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_CPU_H
#define FL_BASE_CPU_H

#include <stdbool.h>

#include "base/err.h"
#include "base/reason.h"

/* In the order of their speed. */
typedef enum {
    FL_CPU_PORTABLE,    // what the compiler takes for granted
    FL_CPU_SMLAL,       // arm64: NEON
    FL_CPU_SDOT,        // arm64: NEON with dot products (ARMv8.2)
    FL_CPU_AVX2,        // x86-64: AVX2 and FMA
    FL_CPU_AVX512,      // x86-64: AVX-512 F
    FL_CPU_AVX512VNNI,  // x86-64: AVX-512 F, VL, BW and VNNI
} fl_cpu;

/* True: the CPU has it, and FEDGE_CPU does not forbid it. */
bool fl_cpu_allows(fl_cpu level);

/* FL_ERR_RANGE: FEDGE_CPU is a name that is unknown or does not run here. */
FL_CHECK fl_err fl_cpu_check(fl_reason *why);

#endif
