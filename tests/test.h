/*
 * What every unit test needs: cmocka, and a few words of our own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_TEST_H
#define FL_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/reason.h"

/* One behaviour; the name is a sentence that starts with the module. */
#define TEST(name) static void name(void **state __attribute__((unused)))

/* The program: RUN_TESTS(cmocka_unit_test(first), ...) ends a test file. */
#define RUN_TESTS(...)                                    \
    int main(void)                                        \
    {                                                     \
        const struct CMUnitTest tests[] = {__VA_ARGS__};  \
        return cmocka_run_group_tests(tests, NULL, NULL); \
    }

#define assert_err(expr, expected)                                 \
    do {                                                           \
        const fl_err got_ = (expr);                                \
        if (got_ != (expected)) {                                  \
            print_error("%s gave \"%s\", not \"%s\"\n", #expr,     \
                        fl_err_text(got_), fl_err_text(expected)); \
            fail();                                                \
        }                                                          \
    } while (0)

#define assert_ok(expr) assert_err(expr, FL_OK)

/* The sentence of a refusal must name what a person needs to find it. */
#define assert_reason_names(why, word)                                        \
    do {                                                                      \
        if (!strstr((why).text, (word))) {                                    \
            print_error("\"%s\" does not name \"%s\"\n", (why).text, (word)); \
            fail();                                                           \
        }                                                                     \
    } while (0)

#endif
