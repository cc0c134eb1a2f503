/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__aarch64__) && defined(__linux__)
#    include <sys/auxv.h>
#endif

static const struct {
    const char *name;
    fl_cpu level;
} NAMES[] = {
    {"portable", FL_CPU_PORTABLE}, {"smlal", FL_CPU_SMLAL},
    {"sdot", FL_CPU_SDOT},         {"avx2", FL_CPU_AVX2},
    {"avx512", FL_CPU_AVX512},     {"avx512vnni", FL_CPU_AVX512VNNI},
};

enum { NAME_COUNT = sizeof NAMES / sizeof *NAMES };

#if defined(__x86_64__)

static bool cpu_has(fl_cpu level)
{
    switch (level) {
    case FL_CPU_PORTABLE: return true;
    case FL_CPU_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case FL_CPU_AVX512: return __builtin_cpu_supports("avx512f");
    case FL_CPU_AVX512VNNI:
        return __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vnni");
    case FL_CPU_SMLAL:
    case FL_CPU_SDOT: break;
    }
    return false;
}

#elif defined(__aarch64__)

static bool has_dot_products(void)
{
#    if defined(__linux__)
    const unsigned long dot_products = 1UL << 20;  // HWCAP_ASIMDDP
    return (getauxval(AT_HWCAP) & dot_products) != 0;
#    else
    return false;
#    endif
}

static bool cpu_has(fl_cpu level)
{
    if (level == FL_CPU_SDOT) return has_dot_products();
    return level == FL_CPU_PORTABLE || level == FL_CPU_SMLAL;
}

#else

static bool cpu_has(fl_cpu level)
{
    return level == FL_CPU_PORTABLE;
}

#endif

// The index in NAMES of what FEDGE_CPU asks for; NAME_COUNT: of nothing known.
static size_t wanted_name(void)
{
    const char *wanted = getenv("FEDGE_CPU");
    size_t i = 0;
    while (i < NAME_COUNT && (!wanted || strcmp(NAMES[i].name, wanted) != 0)) {
        i++;
    }
    return i;
}

bool fl_cpu_allows(fl_cpu level)
{
    if (!cpu_has(level)) return false;
    const size_t i = wanted_name();
    return i == NAME_COUNT || !cpu_has(NAMES[i].level) ||
           level <= NAMES[i].level;
}

fl_err fl_cpu_check(fl_reason *why)
{
    const size_t i = wanted_name();
    const char *wanted = getenv("FEDGE_CPU");
    if (!wanted || (i < NAME_COUNT && cpu_has(NAMES[i].level))) return FL_OK;

    char usable[80] = "";
    size_t len = 0;
    for (size_t k = 0; k < NAME_COUNT; k++) {
        if (!cpu_has(NAMES[k].level)) continue;
        len += (size_t)snprintf(usable + len, sizeof usable - len, "%s%s",
                                len > 0 ? ", " : "", NAMES[k].name);
    }
    return fl_reason_set(
        why, FL_ERR_RANGE, "FEDGE_CPU is \"%s\", which %s; this CPU runs: %s",
        wanted,
        i < NAME_COUNT ? "this CPU does not run" : "names no set of kernels",
        usable);
}
