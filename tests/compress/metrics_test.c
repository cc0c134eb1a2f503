/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/metrics.h"

#include <math.h>

#include "tests/test.h"

enum { WEIGHT_MAX = 1000 };

static fl_metrics_counts count(fl_update_metrics metrics)
{
    fl_metrics_counts counts;
    assert_ok(fl_metrics_count(&counts, &metrics, WEIGHT_MAX, NULL));
    return counts;
}

TEST(metrics_come_back)
{
    const fl_update_metrics metrics = {600, 599, 1234.5};
    const fl_metrics_counts counts = count(metrics);
    fl_update_metrics back;
    assert_ok(fl_metrics_restore(&back, &counts, WEIGHT_MAX, 1, NULL));
    assert_int_equal(back.weight, 600);
    assert_int_equal(back.correct, 599);
    assert_true(back.loss_sum == 1234.5);
}

TEST(metrics_of_more_examples_than_the_largest_weight_count_as_that)
{
    fl_metrics_counts counts = count((fl_update_metrics){4000, 1000, 8000.0});
    assert_int_equal(counts.weight, 1000);
    assert_int_equal(counts.correct, 250);
    assert_int_equal(counts.loss, UINT64_C(2000) << 20);
    counts = count((fl_update_metrics){1600, 4, 0.0});  // 2.5
    assert_int_equal(counts.correct, 3);
    const uint64_t most = FL_UPDATE_EXAMPLES_MAX;
    counts = count((fl_update_metrics){most, most, INFINITY});
    assert_int_equal(counts.correct, 1000);
    assert_int_equal(counts.loss, UINT64_C(64000) << 20);
}

TEST(metrics_limit_the_loss_and_round_it)
{
    assert_int_equal(count((fl_update_metrics){10, 0, 640.5}).loss,
                     UINT64_C(640) << 20);
    assert_int_equal(count((fl_update_metrics){10, 0, INFINITY}).loss,
                     UINT64_C(640) << 20);
    assert_int_equal(count((fl_update_metrics){10, 0, -1.0}).loss, 0);
    assert_int_equal(count((fl_update_metrics){10, 0, 1.6 * 0x1p-20}).loss, 2);
}

TEST(metrics_that_no_training_gives_are_refused)
{
    static const struct {
        fl_update_metrics metrics;
        const char *word;
    } cases[] = {
        {{0, 0, 0.0}, "0 examples"},
        {{FL_UPDATE_EXAMPLES_MAX + 1, 0, 0.0}, "1099511627777 examples"},
        {{10, 11, 0.0}, "11 correct of 10"},
        {{10, 1, NAN}, "loss"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_metrics_counts counts;
        fl_reason why = {""};
        assert_err(
            fl_metrics_count(&counts, &cases[i].metrics, WEIGHT_MAX, &why),
            FL_ERR_RANGE);
        assert_reason_names(why, cases[i].word);
    }
}

TEST(metrics_that_so_many_clients_cannot_have_made_are_refused)
{
    static const fl_metrics_counts cases[] = {
        {1, 0, 0},                          // two have two examples at least
        {2001, 0, 0},                       // and 2,000 at most
        {20, 21, 0},                        // more correct ones than examples
        {20, 0, (UINT64_C(20) << 26) + 1},  // a mean loss above 64
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_update_metrics metrics;
        fl_reason why = {""};
        assert_err(fl_metrics_restore(&metrics, &cases[i], WEIGHT_MAX, 2, &why),
                   FL_ERR_RANGE);
        assert_reason_names(why, "2 clients");
    }
}

RUN_TESTS(
    cmocka_unit_test(metrics_come_back),
    cmocka_unit_test(
        metrics_of_more_examples_than_the_largest_weight_count_as_that),
    cmocka_unit_test(metrics_limit_the_loss_and_round_it),
    cmocka_unit_test(metrics_that_no_training_gives_are_refused),
    cmocka_unit_test(metrics_that_so_many_clients_cannot_have_made_are_refused))
