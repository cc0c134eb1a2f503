/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/vitals.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

// statm(5): all pages, then those in memory.
static uint64_t read_resident(void)
{
    char text[128] = "";
    char *rest;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return 0;
    if (!fgets(text, sizeof text, file)) text[0] = 0;
    fclose(file);
    (void)strtoull(text, &rest, 10);
    return strtoull(rest, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

void fl_vitals_read(fl_vitals *vitals)
{
    vitals->resident_bytes = read_resident();
    vitals->cpu_s = (double)fl_clock_cpu_us() * 1e-6;
}
