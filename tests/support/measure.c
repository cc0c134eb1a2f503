/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WARM_UP_CALLS = 1000, CALLS = 5000 };

/* ---- time ---- */

static int compare_number(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double measure_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_number);
    return (values[(count - 1) / 2] + values[count / 2]) / 2.0;
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

double measure_call_us(void (*call)(void *self), void *self)
{
    static double took_us[CALLS];
    for (size_t i = 0; i < WARM_UP_CALLS; i++)
        call(self);
    for (size_t i = 0; i < CALLS; i++) {
        const double start_us = now_us();
        call(self);
        took_us[i] = now_us() - start_us;
    }
    return measure_median(took_us, CALLS);
}

/* ---- memory ---- */

// From here on the peak counts anew (proc(5), clear_refs).
void measure_reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file) return;
    fputs("5", file);
    fclose(file);
}

double measure_peak_bytes(void)
{
    char line[128];
    double kib = 0.0;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return 0.0;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "VmHWM:", 6) == 0) kib = strtod(line + 6, NULL);
    }
    fclose(file);
    return kib * 1024.0;
}
