/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/fedavg.h"

#include <math.h>

#include "base/random.h"
#include "tests/test.h"

enum { PARAMS = 7, CLIENTS = 9 };

static void put(uint8_t *update, const float *values, size_t count)
{
    memcpy(update, values, count * sizeof *values);
}

static fl_err add(fl_fedavg *fedavg, const float *values, uint64_t weight)
{
    uint8_t update[PARAMS * sizeof(float)];
    put(update, values, PARAMS);
    return fl_fedavg_add(fedavg, update, sizeof update, weight, NULL);
}

TEST(fedavg_gives_the_weighted_mean)
{
    fl_fedavg fedavg;
    float params[PARAMS] = {1, 2, 3, 4, 5, 6, 7};
    const float a[PARAMS] = {1, 1, 1, 1, 1, 1, 1};
    const float b[PARAMS] = {-1, -1, -1, -1, -1, -1, -1};
    assert_ok(fl_fedavg_init(&fedavg, PARAMS));
    assert_ok(add(&fedavg, a, 30));
    assert_ok(add(&fedavg, b, 10));
    assert_ok(fl_fedavg_apply(&fedavg, params));
    for (int i = 0; i < PARAMS; i++)
        assert_float_equal(params[i], (float)i + 1.5F, 0.0F);
    fl_fedavg_fini(&fedavg);
}

TEST(fedavg_does_not_depend_on_the_order_of_clients)
{
    float values[CLIENTS][PARAMS], first[PARAMS], again[PARAMS];
    uint32_t order[CLIENTS];
    fl_random random;
    fl_random_init(&random, 3, FL_RANDOM_TEST, 0);
    for (uint32_t c = 0; c < CLIENTS; c++) {
        order[c] = c;
        for (int i = 0; i < PARAMS; i++)
            values[c][i] = (float)fl_random_normal(&random);
    }
    for (int trial = 0; trial < 50; trial++) {
        fl_fedavg fedavg;
        float *params = trial ? again : first;
        memset(params, 0, sizeof first);
        assert_ok(fl_fedavg_init(&fedavg, PARAMS));
        for (int c = 0; c < CLIENTS; c++)
            assert_ok(add(&fedavg, values[order[c]], 1 + order[c] * 7));
        assert_ok(fl_fedavg_apply(&fedavg, params));
        if (trial) assert_memory_equal(again, first, sizeof first);
        fl_fedavg_fini(&fedavg);
        fl_random_shuffle(&random, order, CLIENTS);
    }
}

TEST(fedavg_refuses_values_that_are_no_numbers_and_keeps_its_sums)
{
    const float bad[] = {NAN, INFINITY, -INFINITY, 64.01F, -1e30F};
    const float good[PARAMS] = {0.5F};
    fl_fedavg fedavg;
    assert_ok(fl_fedavg_init(&fedavg, PARAMS));
    assert_ok(add(&fedavg, good, 1));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        float values[PARAMS] = {1, 1, 1, 1, 1, 1, bad[i]};
        assert_err(add(&fedavg, values, 1), FL_ERR_RANGE);
    }
    float params[PARAMS] = {0};
    assert_ok(fl_fedavg_apply(&fedavg, params));
    assert_memory_equal(params, good, sizeof good);
    fl_fedavg_fini(&fedavg);
}

TEST(fedavg_names_the_bad_coordinate)
{
    fl_fedavg fedavg;
    fl_reason why;
    uint8_t update[PARAMS * sizeof(float)];
    const float values[PARAMS] = {0, 0, 0, 0, 0, NAN, 0};
    put(update, values, PARAMS);
    assert_ok(fl_fedavg_init(&fedavg, PARAMS));
    assert_err(fl_fedavg_add(&fedavg, update, sizeof update, 1, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "coordinate 5");
    fl_fedavg_fini(&fedavg);
}

TEST(fedavg_is_exact_at_the_largest_sum)
{
    fl_fedavg fedavg;
    float params[PARAMS] = {0};
    float values[PARAMS];
    for (int i = 0; i < PARAMS; i++)
        values[i] = FL_FEDAVG_VALUE_MAX;
    assert_ok(fl_fedavg_init(&fedavg, PARAMS));
    for (int i = 0; i < FL_FEDAVG_UPDATES_MAX; i++)
        assert_ok(add(&fedavg, values, FL_FEDAVG_WEIGHT_MAX));
    assert_err(add(&fedavg, values, 1), FL_ERR_LIMIT);
    assert_ok(fl_fedavg_apply(&fedavg, params));
    assert_memory_equal(params, values, sizeof values);
    fl_fedavg_fini(&fedavg);
}

TEST(fedavg_refuses_wrong_lengths_and_weights)
{
    fl_fedavg fedavg;
    const uint8_t update[PARAMS * sizeof(float) + 1] = {0};
    const size_t len = PARAMS * sizeof(float);
    assert_ok(fl_fedavg_init(&fedavg, PARAMS));
    assert_err(fl_fedavg_add(&fedavg, update, len + 1, 1, NULL), FL_ERR_FORMAT);
    assert_err(fl_fedavg_add(&fedavg, update, len - 1, 1, NULL), FL_ERR_FORMAT);
    assert_err(fl_fedavg_add(&fedavg, update, len, 0, NULL), FL_ERR_RANGE);
    assert_err(fl_fedavg_add(&fedavg, update, len, (1 << 20) + 1, NULL),
               FL_ERR_RANGE);
    float params[PARAMS];
    assert_err(fl_fedavg_apply(&fedavg, params), FL_ERR_STATE);
    fl_fedavg_fini(&fedavg);
}

RUN_TESTS(cmocka_unit_test(fedavg_gives_the_weighted_mean),
          cmocka_unit_test(fedavg_does_not_depend_on_the_order_of_clients),
          cmocka_unit_test(
              fedavg_refuses_values_that_are_no_numbers_and_keeps_its_sums),
          cmocka_unit_test(fedavg_names_the_bad_coordinate),
          cmocka_unit_test(fedavg_is_exact_at_the_largest_sum),
          cmocka_unit_test(fedavg_refuses_wrong_lengths_and_weights))
