/*
 * Advice: what fits comes first, the smallest and fastest before the others.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compress/model/advice.h"
#include "tests/test.h"

static const fl_advice PLANS[] = {
    {"as it is", 0.900, 8.0, 4000, 900},
    {"float16", 0.900, 8.0, 2000, 900},
    {"INT8", 0.893, 3.0, 1000, 400},
    {"pruned", 0.880, 1.0, 300, 200},
};

enum { PLAN_COUNT = sizeof PLANS / sizeof *PLANS };

static void assert_order(const fl_advice_limits *limits,
                         const char *const *names)
{
    fl_advice list[PLAN_COUNT];
    memcpy(list, PLANS, sizeof list);
    fl_advice_sort(list, PLAN_COUNT, limits);
    for (size_t i = 0; i < PLAN_COUNT; i++)
        assert_string_equal(list[i].name, names[i]);
}

TEST(advice_prefers_what_is_small_and_fast_among_what_fits)
{
    const fl_advice_limits limits = {.drop = 1.5, .accuracy = 0.9};
    assert_order(&limits,
                 (const char *[]){"INT8", "float16", "as it is", "pruned"});
}

TEST(advice_allows_no_drop_when_there_is_none_to_allow)
{
    const fl_advice_limits limits = {.accuracy = 0.9};
    assert_order(&limits,
                 (const char *[]){"float16", "as it is", "INT8", "pruned"});
}

TEST(advice_prefers_what_is_beyond_its_limits_by_less)
{
    const fl_advice_limits limits = {
        .drop = 1.0, .accuracy = 0.9, .latency_ms = 2.0};
    assert_order(&limits,
                 (const char *[]){"INT8", "pruned", "as it is", "float16"});
    assert_true(fl_advice_excess(&PLANS[2], &limits) > 1.49);
    assert_true(fl_advice_excess(&PLANS[2], &limits) < 1.51);
}

TEST(advice_names_the_limits_that_are_broken)
{
    const fl_advice_limits limits = {.file_bytes = 999,
                                     .memory_bytes = 400,
                                     .latency_ms = 2.0,
                                     .drop = 0.5,
                                     .accuracy = 0.9};
    char text[FL_ADVICE_TEXT_CAP];
    fl_advice_verdict(text, &PLANS[0], &limits);
    assert_string_equal(text, "too much: bytes, latency, memory");
    fl_advice_verdict(text, &PLANS[2], &limits);
    assert_string_equal(text, "too much: bytes, latency, drop");
    fl_advice_verdict(text, &PLANS[3],
                      &(fl_advice_limits){.drop = 2.1, .accuracy = 0.9});
    assert_string_equal(text, "fits");
}

RUN_TESTS(
    cmocka_unit_test(advice_prefers_what_is_small_and_fast_among_what_fits),
    cmocka_unit_test(advice_allows_no_drop_when_there_is_none_to_allow),
    cmocka_unit_test(advice_prefers_what_is_beyond_its_limits_by_less),
    cmocka_unit_test(advice_names_the_limits_that_are_broken))
