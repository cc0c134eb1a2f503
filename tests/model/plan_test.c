/*
 * Every operator against the oracle, and what a plan makes of a graph.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/plan.h"

#include "tests/support/nets.h"
#include "tests/test.h"

/* ---- operators ---- */

TEST(plan_computes_dense_of_every_width)
{
    const uint32_t widths[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 50};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        fl_graph net = net_over(1, 1, widths[i]);
        net_add_dense(&net, widths[i]);
        net_add_dense(&net, 3);
        net_check(&net);
    }
}

TEST(plan_computes_relu_fused_and_alone)
{
    fl_graph net = net_over(1, 1, 5);
    net_add_dense(&net, 19);
    net_add_plain(&net, FL_OP_RELU);
    net_add_plain(&net, FL_OP_RELU);  // the second has nothing to be fused into
    net_add_dense(&net, 4);
    net_check(&net);
}

TEST(plan_computes_sub_and_div_in_front_and_between_layers)
{
    const float mean[] = {0.5F, -0.25F, 2.0F};
    const float deviation[] = {0.5F, 3.0F, -2.0F};
    fl_graph net = net_over(2, 2, 3);
    net_add(&net, (fl_node){.op = FL_OP_SUB}, false, mean);
    net_add(&net, (fl_node){.op = FL_OP_DIV}, false, deviation);
    net_add_conv(&net, 3, net_square(1, 1, 0), true);
    net_add(&net, (fl_node){.op = FL_OP_SUB}, false, mean);
    net_add(&net, (fl_node){.op = FL_OP_DIV}, false, deviation);
    net_add_dense(&net, 2);
    net_check(&net);
}

TEST(plan_computes_max_pools_fused_and_alone)
{
    static const fl_window windows[] = {
        {2, 2, 2, 2, 0, 0, 0, 0},  // fused: windows side by side
        {3, 3, 3, 3, 0, 0, 0, 0}, {1, 2, 1, 2, 0, 0, 0, 0},
        {3, 2, 3, 2, 0, 0, 0, 0}, {3, 3, 2, 2, 0, 0, 0, 0},  // overlapping
        {2, 2, 3, 3, 0, 0, 0, 0},                            // gaps
        {3, 3, 2, 2, 1, 1, 1, 1}, {2, 3, 1, 2, 1, 0, 0, 2},
    };
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        for (unsigned order = 0; order < 3; order++) {
            fl_graph net = net_over(7, 8, 2);
            net_add_conv(&net, 18, net_square(2, 1, 0), true);
            if (order == 1) net_add_plain(&net, FL_OP_RELU);
            net_add_pool(&net, windows[i]);
            if (order == 2) net_add_plain(&net, FL_OP_RELU);
            net_add_plain(&net, FL_OP_FLATTEN);
            net_add_dense(&net, 2);
            net_check(&net);
        }
    }
}

TEST(plan_computes_a_small_lenet)
{
    fl_graph net = net_over(14, 13, 1);
    net_add_conv(&net, 4, net_square(3, 1, 0), true);
    net_add_plain(&net, FL_OP_RELU);
    net_add_pool(&net, net_square(2, 2, 0));
    net_add_conv(&net, 5, net_square(3, 1, 1), true);
    net_add_plain(&net, FL_OP_RELU);
    net_add_pool(&net, net_square(2, 2, 0));
    net_add_plain(&net, FL_OP_FLATTEN);
    net_add_dense(&net, 12);
    net_add_plain(&net, FL_OP_RELU);
    net_add_dense(&net, 10);
    net_check(&net);
}

/* ---- shape of the graph ---- */

TEST(plan_skips_nodes_that_the_logits_do_not_need)
{
    fl_graph net = net_over(4, 4, 2);
    net_add_conv(&net, 3, net_square(3, 1, 0), true);
    net_add(&net, (fl_node){.op = FL_OP_RELU, .inputs = {1}, .input_count = 1},
            false, NULL);
    net_add(
        &net,
        (fl_node){
            .op = FL_OP_DENSE, .out_count = 2, .inputs = {1}, .input_count = 1},
        true, NULL);
    fl_plan *plan = NULL;
    assert_ok(fl_plan_new(
        &plan, &net, fl_kernels_at(0),
        &(fl_plan_options){.batch_cap = 1, .with_gradients = true}, NULL));
    assert_int_equal(fl_plan_step_count(plan), 2);
    fl_plan_free(plan);
    net_check(&net);
}

TEST(plan_fuses_relu_and_pool_into_the_layer_before)
{
    fl_graph net = net_over(12, 12, 1);
    net_add_conv(&net, 4, net_square(3, 1, 0), true);
    net_add_plain(&net, FL_OP_RELU);
    net_add_pool(&net, net_square(2, 2, 0));
    net_add_plain(&net, FL_OP_FLATTEN);
    net_add_dense(&net, 12);
    net_add_plain(&net, FL_OP_RELU);
    fl_plan *plan = NULL;
    assert_ok(fl_plan_new(
        &plan, &net, fl_kernels_at(0),
        &(fl_plan_options){.batch_cap = 1, .with_gradients = true}, NULL));
    assert_int_equal(fl_plan_step_count(plan), 2);
    fl_plan_free(plan);
    fl_graph_fini(&net);
}

TEST(plan_for_evaluation_takes_less_memory)
{
    fl_graph net = net_over(28, 28, 1);
    for (unsigned i = 0; i < 3; i++) {
        net_add_conv(&net, 16, net_square(5, 1, 0), true);
        net_add_plain(&net, FL_OP_RELU);
    }
    net_add_dense(&net, 10);
    fl_plan *train = NULL, *evaluate = NULL;
    const fl_kernels *kernels = fl_kernels_at(0);
    assert_ok(fl_plan_new(
        &train, &net, kernels,
        &(fl_plan_options){.batch_cap = 32, .with_gradients = true}, NULL));
    assert_ok(fl_plan_new(&evaluate, &net, kernels,
                          &(fl_plan_options){.batch_cap = 32}, NULL));
    assert_true(fl_plan_bytes(evaluate) * 2 < fl_plan_bytes(train));
    fl_plan_free(train);
    fl_plan_free(evaluate);
    fl_graph_fini(&net);
}

static size_t bytes_to_train(const fl_graph *net)
{
    fl_plan *plan = NULL;
    const fl_plan_options options = {.batch_cap = 8, .with_gradients = true};
    assert_ok(fl_plan_new(&plan, net, fl_kernels_at(0), &options, NULL));
    const size_t bytes = fl_plan_bytes(plan);
    fl_plan_free(plan);
    return bytes;
}

// A layer of each kind whose reader keeps nothing for backward.
static fl_graph net_of_layer(fl_op_kind op, bool has_act)
{
    fl_graph net = net_over(1, 1, 8);
    const uint32_t a = net_add_dense(&net, 512);
    const fl_node layer = {
        .op = op,
        .input_count = op == FL_OP_ADD ? 2 : 1,
        .inputs = {a, a},
        .out_count = op == FL_OP_ADD ? 0 : 512,
        .window = op == FL_OP_CONV ? net_square(1, 1, 0) : (fl_window){0},
    };
    net_add(&net, layer, op != FL_OP_ADD, NULL);
    if (has_act) net_add_plain(&net, FL_OP_RELU);
    net_add_plain(&net, FL_OP_GLOBALPOOL);
    return net;
}

TEST(plan_keeps_outputs_only_for_activations)
{
    static const fl_op_kind ops[] = {FL_OP_CONV, FL_OP_DENSE, FL_OP_ADD};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        fl_graph plain = net_of_layer(ops[i], false);
        fl_graph active = net_of_layer(ops[i], true);
        assert_true(bytes_to_train(&plain) < bytes_to_train(&active));
        fl_graph_fini(&plain);
        fl_graph_fini(&active);
    }
}

TEST(plan_refuses_a_batch_that_memory_cannot_hold)
{
    fl_graph net = net_over(1000, 1000, 3);
    net_add_conv(&net, 64, net_square(3, 1, 1), true);
    net_add_pool(&net, net_square(1000, 1000, 0));
    fl_plan *plan = NULL;
    fl_reason why = {""};
    assert_err(fl_plan_new(&plan, &net, fl_kernels_at(0),
                           &(fl_plan_options){.batch_cap = UINT32_MAX,
                                              .with_gradients = true},
                           &why),
               FL_ERR_MEMORY);
    assert_null(plan);
    assert_reason_names(why, "n1");
    assert_reason_names(why, "batch");
    fl_graph_fini(&net);
}

RUN_TESTS(
    cmocka_unit_test(plan_computes_dense_of_every_width),
    cmocka_unit_test(plan_computes_relu_fused_and_alone),
    cmocka_unit_test(plan_computes_sub_and_div_in_front_and_between_layers),
    cmocka_unit_test(plan_computes_max_pools_fused_and_alone),
    cmocka_unit_test(plan_computes_a_small_lenet),
    cmocka_unit_test(plan_skips_nodes_that_the_logits_do_not_need),
    cmocka_unit_test(plan_fuses_relu_and_pool_into_the_layer_before),
    cmocka_unit_test(plan_for_evaluation_takes_less_memory),
    cmocka_unit_test(plan_keeps_outputs_only_for_activations),
    cmocka_unit_test(plan_refuses_a_batch_that_memory_cannot_hold))
