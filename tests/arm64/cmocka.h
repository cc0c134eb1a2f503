/*
 * As much of cmocka as the engine's tests need, on machines for which there
 * is no package of it: the tests themselves run on arm64. A test that fails
 * says so and ends the program.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_ARM64_CMOCKA_H
#define FL_TESTS_ARM64_CMOCKA_H

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*CMFixtureFunction)(void **state);

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
    CMFixtureFunction setup, teardown;
};

#define cmocka_unit_test(f) \
    {                       \
#        f, f, NULL, NULL   \
    }
#define cmocka_unit_test_setup(f, setup) \
    {                                    \
#        f, f, setup, NULL               \
    }
#define cmocka_unit_test_teardown(f, teardown) \
    {                                          \
#        f, f, NULL, teardown                  \
    }

#define cmocka_run_group_tests(tests, setup, teardown) \
    run_tests(tests, sizeof(tests) / sizeof *(tests))

static inline int run_tests(const struct CMUnitTest *tests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *state = NULL;
        fprintf(stderr, "%s\n", tests[i].name);
        if (tests[i].setup && tests[i].setup(&state)) exit(1);
        tests[i].test(&state);
        if (tests[i].teardown && tests[i].teardown(&state)) exit(1);
    }
    return 0;
}

__attribute__((format(printf, 1, 2))) static inline void
print_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
}

#define assert_true(what)                                                  \
    do {                                                                   \
        if (!(what)) {                                                     \
            print_error("%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
            exit(1);                                                       \
        }                                                                  \
    } while (0)

#define fail() assert_true(!"it fails")
#define fail_msg(...)             \
    do {                          \
        print_error(__VA_ARGS__); \
        fail();                   \
    } while (0)
#define assert_false(what)                  assert_true(!(what))
#define assert_null(what)                   assert_true((what) == NULL)
#define assert_non_null(what)               assert_true((what) != NULL)
#define assert_int_equal(a, b)              assert_true((a) == (b))
#define assert_memory_equal(a, b, size)     assert_true(memcmp(a, b, size) == 0)
#define assert_memory_not_equal(a, b, size) assert_true(memcmp(a, b, size) != 0)
#define assert_float_equal(a, b, epsilon) \
    assert_true(fabsf((a) - (b)) <= (epsilon))
#define assert_string_equal(a, b) assert_true(strcmp(a, b) == 0)

#endif
