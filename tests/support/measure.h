/*
 * What benchmarks measure with.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_MEASURE_H
#define FL_TESTS_SUPPORT_MEASURE_H

#include <stddef.h>

/* The middle value; sorts them. */
double measure_median(double *values, size_t count);

/*
 * Microseconds that call(self) takes by the wall clock: the median of many
 * calls, after some that warm up the caches.
 */
double measure_call_us(void (*call)(void *self), void *self);

/* The most memory, in bytes, that was resident since the reset. */
void measure_reset_peak(void);
double measure_peak_bytes(void);

#endif
