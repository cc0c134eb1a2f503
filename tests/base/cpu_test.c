/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <stdlib.h>

#include "tests/test.h"

#if defined(__x86_64__)
#    define FOREIGN "sdot"
#else
#    define FOREIGN "avx2"
#endif

static void force(const char *name)
{
    assert_int_equal(setenv("FEDGE_CPU", name, 1), 0);
}

static int let_go(void **state __attribute__((unused)))
{
    return unsetenv("FEDGE_CPU");
}

TEST(cpu_runs_portable_code)
{
    assert_true(fl_cpu_allows(FL_CPU_PORTABLE));
    assert_ok(fl_cpu_check(NULL));
}

TEST(cpu_can_be_held_to_portable_code)
{
    force("portable");
    assert_ok(fl_cpu_check(NULL));
    assert_true(fl_cpu_allows(FL_CPU_PORTABLE));
    assert_false(fl_cpu_allows(FL_CPU_SMLAL));
    assert_false(fl_cpu_allows(FL_CPU_AVX2));
    assert_false(fl_cpu_allows(FL_CPU_AVX512VNNI));
}

TEST(cpu_names_what_runs_when_a_name_is_unknown)
{
    fl_reason why = {""};
    force("pentium");
    assert_err(fl_cpu_check(&why), FL_ERR_RANGE);
    assert_reason_names(why, "pentium");
    assert_reason_names(why, "portable");
    assert_true(fl_cpu_allows(FL_CPU_PORTABLE));
}

TEST(cpu_refuses_what_another_architecture_runs)
{
    fl_reason why = {""};
    force(FOREIGN);
    assert_err(fl_cpu_check(&why), FL_ERR_RANGE);
    assert_reason_names(why, FOREIGN);
    assert_reason_names(why, "does not run");
}

RUN_TESTS(cmocka_unit_test_teardown(cpu_runs_portable_code, let_go),
          cmocka_unit_test_teardown(cpu_can_be_held_to_portable_code, let_go),
          cmocka_unit_test_teardown(cpu_names_what_runs_when_a_name_is_unknown,
                                    let_go),
          cmocka_unit_test_teardown(cpu_refuses_what_another_architecture_runs,
                                    let_go))
