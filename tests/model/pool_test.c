/*
 * Pools by the mean. The max pool is in plan_test.c, fused and alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "model/plan.h"
#include "tests/support/nets.h"
#include "tests/test.h"

TEST(pool_computes_means_of_windows)
{
    static const fl_window windows[] = {
        {2, 2, 2, 2, 0, 0, 0, 0},  // side by side
        {3, 2, 1, 1, 0, 0, 0, 0},  // overlapping
        {2, 2, 3, 3, 0, 0, 0, 0},  // gaps
        {3, 3, 2, 2, 1, 1, 1, 1},  // padding on all sides
        {2, 3, 1, 2, 1, 0, 0, 2},  // padding on some
        {7, 8, 1, 1, 0, 0, 0, 0},  // all of it
    };
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        for (unsigned counts = 0; counts < 2; counts++) {
            fl_graph net = net_over(7, 8, 2);
            net_add_conv(&net, 3, net_square(1, 1, 0), true);
            net_add(&net,
                    (fl_node){.op = FL_OP_AVGPOOL,
                              .window = windows[i],
                              .counts_padding = counts},
                    false, NULL);
            net_add_dense(&net, 2);
            net_check(&net);
        }
    }
}

TEST(pool_computes_global_means_of_every_width)
{
    static const uint32_t channels[] = {1, 3, 16, 17, 31, 64, 70, 130};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        fl_graph net = net_over(3, 3, 2);
        net_add_conv(&net, channels[i], net_square(1, 1, 0), true);
        net_add_plain(&net, FL_OP_GLOBALPOOL);
        net_add_dense(&net, 2);
        net_check(&net);
    }
}

TEST(pool_adds_to_the_gradient_of_a_value_with_two_readers)
{
    fl_graph net = net_over(4, 4, 2);
    net_add_conv(&net, 5, net_square(1, 1, 0), true);
    const fl_node global = {
        .op = FL_OP_GLOBALPOOL, .inputs = {1}, .input_count = 1};
    const fl_node mean = {.op = FL_OP_AVGPOOL,
                          .window = net_square(4, 1, 0),
                          .inputs = {1},
                          .input_count = 1};
    const uint32_t a = net_add(&net, mean, false, NULL);
    const uint32_t b = net_add(&net, global, false, NULL);
    const uint32_t c = net_add(&net, mean, false, NULL);
    const uint32_t d = net_add(&net, global, false, NULL);
    net_add(
        &net,
        (fl_node){.op = FL_OP_CONCAT, .inputs = {a, b, c, d}, .input_count = 4},
        false, NULL);
    net_add_dense(&net, 2);
    net_check(&net);
}

// What a net makes of 2x2 pixels, with each kernel set. Its parameters are 1.
static void assert_makes(fl_graph *net, const float *x, float expected)
{
    const float params[] = {1.0F};
    const fl_kernels *kernels;
    for (unsigned k = 0; (kernels = fl_kernels_at(k)); k++) {
        fl_plan *plan = NULL;
        const fl_plan_options options = {.batch_cap = 1};
        assert_ok(fl_plan_new(&plan, net, kernels, &options, NULL));
        memcpy(fl_plan_input(plan, 0), x, 4 * sizeof *x);
        fl_plan_load(plan, 0, params);
        fl_plan_forward(plan, 0, &(fl_plan_batch){.count = 1});
        const float got = *fl_plan_logits(plan, 0);
        if (isnan(expected)) {
            assert_true(isnan(got));
        } else {
            assert_float_equal(got, expected, 1e-6F);
        }
        fl_plan_free(plan);
    }
    fl_graph_fini(net);
}

static fl_graph net_of_pool(fl_node pool)
{
    fl_graph net = net_over(2, 2, 1);
    net_add(&net, pool, false, NULL);
    return net;
}

TEST(pool_counts_padding_only_when_told)
{
    const float x[] = {1, 2, 3, 4};
    fl_node pool = {.op = FL_OP_AVGPOOL,
                    .window = {.kernel_h = 3,
                               .kernel_w = 3,
                               .stride_h = 9,
                               .stride_w = 9,
                               .pad_top = 1,
                               .pad_left = 1}};
    fl_graph net = net_of_pool(pool);
    assert_makes(&net, x, 2.5F);
    pool.counts_padding = true;
    net = net_of_pool(pool);
    assert_makes(&net, x, 10.0F / 9.0F);
}

TEST(pool_lets_nan_pass_wherever_it_is)
{
    const fl_window all = net_square(2, 2, 0);
    const fl_node pools[] = {
        {.op = FL_OP_AVGPOOL, .window = all},
        {.op = FL_OP_GLOBALPOOL},
        {.op = FL_OP_MAXPOOL, .window = all},
    };
    for (size_t at = 0; at < 4; at++) {
        float x[] = {1, 2, 3, 4};
        x[at] = NAN;
        for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
            fl_graph net = net_of_pool(pools[i]);
            assert_makes(&net, x, NAN);
        }
        fl_graph fused = net_over(2, 2, 1);
        net_add_conv(&fused, 1, net_square(1, 1, 0), false);
        net_add_pool(&fused, all);
        assert_makes(&fused, x, NAN);
    }
}

RUN_TESTS(
    cmocka_unit_test(pool_computes_means_of_windows),
    cmocka_unit_test(pool_computes_global_means_of_every_width),
    cmocka_unit_test(pool_adds_to_the_gradient_of_a_value_with_two_readers),
    cmocka_unit_test(pool_counts_padding_only_when_told),
    cmocka_unit_test(pool_lets_nan_pass_wherever_it_is))
