/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t read_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);  // cannot fail: these clocks always exist
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t fl_clock_monotonic_ms(void)
{
    return read_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t fl_clock_monotonic_us(void)
{
    return read_ns(CLOCK_MONOTONIC) / 1000;
}

int64_t fl_clock_monotonic_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t fl_clock_cpu_us(void)
{
    return read_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000;
}

int64_t fl_clock_thread_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

int64_t fl_clock_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000;
}

static int64_t system_now_ms(void *self)
{
    (void)self;
    return fl_clock_monotonic_ms();
}

fl_clock fl_clock_system(void)
{
    return (fl_clock){.now_ms = system_now_ms};
}

static int64_t manual_now_ms(void *self)
{
    return *(const int64_t *)self;
}

fl_clock fl_clock_manual(int64_t *now_ms)
{
    return (fl_clock){.now_ms = manual_now_ms, .self = now_ms};
}
