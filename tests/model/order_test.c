/* SPDX-License-Identifier: Apache-2.0 */
#include "model/order.h"

#include <math.h>
#include <stdbool.h>

#include "tests/test.h"

enum { COUNT_MAX = 1030 };

TEST(order_visits_every_number_once)
{
    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_TEST, 0);
    for (uint32_t count = 1; count <= COUNT_MAX; count += count < 70 ? 1 : 64) {
        bool seen[COUNT_MAX] = {false};
        fl_order order;
        fl_order_init(&order, count, &random);
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t at = fl_order_at(&order, i);
            assert_true(at < count);
            assert_false(seen[at]);
            seen[at] = true;
        }
    }
}

TEST(order_reaches_across_large_counts)
{
    fl_random random;
    fl_order order;
    fl_random_init(&random, 1, FL_RANDOM_TEST, 0);
    const uint32_t counts[] = {(1u << 24) - 3, 1u << 31};
    for (size_t k = 0; k < 2; k++) {
        fl_order_init(&order, counts[k], &random);
        double sum = 0.0;
        for (uint32_t i = 0; i < 1000; i++)
            sum += fl_order_at(&order, i) / (double)counts[k];
        assert_true(fabs(sum / 1000 - 0.5) < 5.0 * 0.29 / sqrt(1000.0));
    }
}

TEST(order_puts_every_number_everywhere_equally_often)
{
    enum { COUNT = 10, ORDERS = 10000 };
    unsigned hits[COUNT][COUNT] = {{0}};
    fl_random random;
    fl_random_init(&random, 2, FL_RANDOM_TEST, 0);
    for (unsigned i = 0; i < ORDERS; i++) {
        fl_order order;
        fl_order_init(&order, COUNT, &random);
        for (uint32_t k = 0; k < COUNT; k++)
            hits[k][fl_order_at(&order, k)]++;
    }
    // 1000 expected; five deviations of a binomial count are 150.
    for (unsigned i = 0; i < COUNT * COUNT; i++) {
        assert_true(hits[i / COUNT][i % COUNT] > 850);
        assert_true(hits[i / COUNT][i % COUNT] < 1150);
    }
}

TEST(order_differs_from_epoch_to_epoch)
{
    enum { COUNT = 1000 };
    fl_random random;
    fl_order first, second;
    fl_random_init(&random, 3, FL_RANDOM_TEST, 0);
    fl_order_init(&first, COUNT, &random);
    fl_order_init(&second, COUNT, &random);
    unsigned same = 0;
    for (uint32_t i = 0; i < COUNT; i++)
        same += fl_order_at(&first, i) == fl_order_at(&second, i);
    assert_true(same < 10);
}

RUN_TESTS(cmocka_unit_test(order_visits_every_number_once),
          cmocka_unit_test(order_reaches_across_large_counts),
          cmocka_unit_test(order_puts_every_number_everywhere_equally_often),
          cmocka_unit_test(order_differs_from_epoch_to_epoch))
