/*
 * Time, injected: everything that asks for the time is given a clock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_CLOCK_H
#define FL_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds on the system's monotonic clock. */
int64_t fl_clock_monotonic_ms(void);

/* Microseconds and nanoseconds on the same clock, for measuring. */
int64_t fl_clock_monotonic_us(void);
int64_t fl_clock_monotonic_ns(void);

/* Microseconds of CPU that this process has used, all threads. */
int64_t fl_clock_cpu_us(void);

/* And nanoseconds that the calling thread has used. */
int64_t fl_clock_thread_ns(void);

/* Milliseconds since 1970, UTC; for people to read, never for deadlines. */
int64_t fl_clock_wall_ms(void);

/* A clock to inject: calls `now_ms` with `self`. */
typedef struct {
    int64_t (*now_ms)(void *self);
    void *self;
} fl_clock;

fl_clock fl_clock_system(void);

/* A clock that shows *now_ms, for tests and simulations. */
fl_clock fl_clock_manual(int64_t *now_ms);

/* Of two deadlines the first. */
static inline int64_t fl_clock_earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t fl_clock_now(fl_clock clock)
{
    return clock.now_ms(clock.self);
}

#endif
