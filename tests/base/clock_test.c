/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

#include "tests/test.h"

TEST(clock_goes_forward)
{
    const int64_t ms = fl_clock_monotonic_ms();
    const int64_t us = fl_clock_monotonic_us();
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    assert_true(fl_clock_monotonic_us() - us >= 2000);
    assert_true(fl_clock_monotonic_ms() - ms >= 2);
    assert_true(fl_clock_monotonic_us() / 1000 - ms < 60000);
}

TEST(clock_counts_the_cpu_used)
{
    const int64_t before = fl_clock_cpu_us();
    const int64_t deadline_us = fl_clock_monotonic_us() + 10000000;
    while (fl_clock_cpu_us() - before < 2000)
        assert_true(fl_clock_monotonic_us() < deadline_us);
}

TEST(clock_knows_the_year)
{
    assert_true(fl_clock_wall_ms() > INT64_C(1600000000000));  // 2020
    assert_true(fl_clock_wall_ms() / 1000 - (int64_t)time(NULL) <= 1);
}

TEST(clock_can_be_injected)
{
    int64_t now = 41;
    const fl_clock manual = fl_clock_manual(&now);
    now++;
    assert_int_equal(fl_clock_now(manual), 42);

    const int64_t before = fl_clock_monotonic_ms();
    assert_true(fl_clock_now(fl_clock_system()) >= before);
}

RUN_TESTS(cmocka_unit_test(clock_goes_forward),
          cmocka_unit_test(clock_counts_the_cpu_used),
          cmocka_unit_test(clock_knows_the_year),
          cmocka_unit_test(clock_can_be_injected))
