/*
 * Activations, on their own and fused, with every set of kernels.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "model/kernels/kernels.h"
#include "model/ops/op.h"
#include "tests/support/nets.h"
#include "tests/test.h"

static const fl_node ACTS[] = {
    {.op = FL_OP_RELU},
    {.op = FL_OP_RELU6},
    {.op = FL_OP_LEAKY_RELU, .alpha = 0.1F},
    {.op = FL_OP_LEAKY_RELU, .alpha = 1.5F},
    {.op = FL_OP_HARD_SWISH},
    {.op = FL_OP_HARD_SIGMOID},
    {.op = FL_OP_HARD_SIGMOID, .alpha = 1.0F / 6.0F, .beta = 0.5F},
    {.op = FL_OP_HARD_SIGMOID, .alpha = -0.5F},
    {.op = FL_OP_SIGMOID},
    {.op = FL_OP_TANH},
};

enum { ACT_COUNT = sizeof ACTS / sizeof *ACTS };

// Values from -10 to 10, so that no bend is left out.
static void add_stretched(fl_graph *net)
{
    const float tenth[] = {0.1F, 0.1F, 0.1F};
    net_add_conv(net, 3, net_square(1, 1, 0), true);
    net_add(net, (fl_node){.op = FL_OP_DIV}, false, tenth);
}

TEST(act_computes_every_activation_alone)
{
    for (size_t i = 0; i < ACT_COUNT; i++) {
        fl_graph net = net_over(3, 5, 3);
        add_stretched(&net);
        net_add(&net, ACTS[i], false, NULL);
        net_add_dense(&net, 2);
        net_check(&net);
    }
}

TEST(act_computes_every_activation_behind_a_layer)
{
    for (size_t i = 0; i < ACT_COUNT; i++) {
        fl_graph net = net_over(1, 1, 21);
        net_add_dense(&net, 35);
        net_add(&net, ACTS[i], false, NULL);
        net_add_dense(&net, 2);
        net_check(&net);
    }
}

enum { POOL_NONE, POOL_BEHIND, POOL_BEFORE, POOL_WAYS };

static const fl_node CONVS[] = {
    {.op = FL_OP_CONV, .out_count = 5, .window = {3, 3, 1, 1, 1, 1, 1, 1}},
    {.op = FL_OP_CONV,
     .out_count = 3,
     .group_count = 3,  // depthwise
     .window = {3, 3, 1, 1, 1, 1, 1, 1}},
    {.op = FL_OP_CONV, .out_count = 17, .window = {1, 1, 1, 1, 0, 0, 0, 0}},
};

TEST(act_computes_every_activation_behind_a_convolution)
{
    for (size_t i = 0; i < (size_t)ACT_COUNT * POOL_WAYS; i++) {
        const size_t act = i / POOL_WAYS, pool = i % POOL_WAYS;
        fl_graph net = net_over(4, 5, 2);
        add_stretched(&net);
        // Over all activations every kind meets every pool.
        net_add(&net, CONVS[(act + pool) % 3], true, NULL);
        if (pool == POOL_BEFORE) net_add_pool(&net, net_square(2, 2, 0));
        net_add(&net, ACTS[act], false, NULL);
        if (pool == POOL_BEHIND) net_add_pool(&net, net_square(2, 2, 0));
        net_add_plain(&net, FL_OP_GLOBALPOOL);
        net_add_dense(&net, 2);
        net_check(&net);
    }
}

TEST(act_adds_to_the_gradient_of_a_value_with_two_readers)
{
    for (size_t i = 0; i < ACT_COUNT; i++) {
        fl_graph net = net_over(3, 3, 3);
        add_stretched(&net);
        fl_node act = ACTS[i];
        act.inputs[0] = 2;
        act.input_count = 1;
        const uint32_t left = net_add(&net, act, false, NULL);
        const uint32_t right = net_add(&net, act, false, NULL);
        net_add(&net,
                (fl_node){
                    .op = FL_OP_ADD, .inputs = {left, right}, .input_count = 2},
                false, NULL);
        net_add_dense(&net, 2);
        net_check(&net);
    }
}

/* ---- value by value ---- */

// As ACTS[i] is in a graph, with its defaults filled in.
static fl_node completed(size_t i)
{
    fl_graph net = net_over(1, 1, 1);
    net_add(&net, ACTS[i], false, NULL);
    const fl_node node = net.nodes[1];
    fl_graph_fini(&net);
    return node;
}

static float act(const fl_kernels *kernels, const fl_node *node, float x)
{
    const fl_task task = {.kernels = kernels, .act = node};
    fl_act_apply(&task, &x, 1);
    return x;
}

static float slope(const fl_kernels *kernels, const fl_node *node, float x)
{
    const fl_task task = {.kernels = kernels, .act = node};
    float by_input = 1.0F, by_output = 1.0F;
    const float y = act(kernels, node, x);
    fl_act_grad(&task, &by_input, &x, 1);
    if (fl_op_get(node->op)->is_by_output) {
        fl_act_grad_by_output(&task, &by_output, &y, 1);
        assert_float_equal(by_output, by_input, 1e-6F);
    }
    return by_input;
}

TEST(act_lets_nan_pass)
{
    const fl_kernels *kernels;
    for (unsigned k = 0; (kernels = fl_kernels_at(k)); k++) {
        for (size_t i = 0; i < ACT_COUNT; i++) {
            const fl_node node = completed(i);
            assert_true(isnan(act(kernels, &node, NAN)));
        }
    }
}

TEST(act_has_the_limits_of_its_definition)
{
    static const float limits[ACT_COUNT][2] = {
        {0, 1e30F}, {0, 6},  {-1e29F, 1e30F}, {-1.5e30F, 1e30F},
        {0, 1e30F}, {0, 1},  {0, 1},          {1, 0},
        {0, 1},     {-1, 1},
    };
    const fl_kernels *kernels;
    for (unsigned k = 0; (kernels = fl_kernels_at(k)); k++) {
        for (size_t i = 0; i < ACT_COUNT; i++) {
            const fl_node node = completed(i);
            const float low = limits[i][0], high = limits[i][1];
            assert_float_equal(act(kernels, &node, -1e30F), low,
                               1e-6F * fabsf(low) + 1e-37F);
            assert_float_equal(act(kernels, &node, 1e30F), high,
                               1e-6F * fabsf(high) + 1e-37F);
        }
    }
}

TEST(act_has_the_slopes_of_pytorch_where_it_bends)
{
    static const struct {
        size_t act;
        float x, slope;
    } cases[] = {
        {0, 0.0F, 0.0F},        {0, 1e-9F, 1.0F},
        {1, 0.0F, 0.0F},        {1, 6.0F, 0.0F},
        {1, 5.9F, 1.0F},        {2, 0.0F, 0.1F},
        {3, 0.0F, 1.5F},        {4, -3.0F, 0.0F},
        {4, 3.0F, 1.0F},        {4, -2.9F, -2.8F / 6.0F},
        {4, 0.0F, 0.5F},        {4, 2.9F, 8.8F / 6.0F},
        {5, -2.5F, 0.0F},       {5, 2.5F, 0.0F},
        {5, 0.0F, 0.2F},        {6, -3.0F, 0.0F},
        {6, 0.0F, 1.0F / 6.0F}, {7, -1.0F, -0.5F},
        {8, 0.0F, 0.25F},       {9, 0.0F, 1.0F},
    };
    const fl_kernels *kernels;
    for (unsigned k = 0; (kernels = fl_kernels_at(k)); k++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const fl_node node = completed(cases[i].act);
            assert_float_equal(slope(kernels, &node, cases[i].x),
                               cases[i].slope, 1e-6F);
        }
    }
}

// Relative to the value, down to the smallest: -80 gives 1e-35.
TEST(act_computes_sigmoid_and_tanh_to_the_last_bits)
{
    const fl_node sigmoid = {.op = FL_OP_SIGMOID}, tangent = {.op = FL_OP_TANH};
    const fl_kernels *kernels;
    for (unsigned k = 0; (kernels = fl_kernels_at(k)); k++) {
        for (int i = 0; i < 11600; i++) {
            const float x = (float)i * 0.0137F - 80.0F;
            const double s = 1.0 / (1.0 + exp((double)-x));
            const double t = tanh((double)x);
            assert_true(fabs((double)act(kernels, &sigmoid, x) - s) < 4e-7 * s);
            assert_true(fabs((double)act(kernels, &tangent, x) - t) <
                        4e-7 * fabs(t));
        }
        for (int i = 0; i < 194; i++) {
            const float x = powf(0.7F, (float)i);  // down to 1e-30
            const double t = tanh((double)x);
            assert_true(fabs((double)act(kernels, &tangent, x) - t) < 4e-7 * t);
        }
    }
}

RUN_TESTS(
    cmocka_unit_test(act_computes_every_activation_alone),
    cmocka_unit_test(act_computes_every_activation_behind_a_layer),
    cmocka_unit_test(act_computes_every_activation_behind_a_convolution),
    cmocka_unit_test(act_adds_to_the_gradient_of_a_value_with_two_readers),
    cmocka_unit_test(act_lets_nan_pass),
    cmocka_unit_test(act_has_the_limits_of_its_definition),
    cmocka_unit_test(act_has_the_slopes_of_pytorch_where_it_bends),
    cmocka_unit_test(act_computes_sigmoid_and_tanh_to_the_last_bits))
