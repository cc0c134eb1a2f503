/*
 * Sums and products of two values.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/plan.h"
#include "tests/support/nets.h"
#include "tests/test.h"

static uint32_t add_two(fl_graph *net, fl_op_kind op, uint32_t a, uint32_t b)
{
    return net_add(net, (fl_node){.op = op, .inputs = {a, b}, .input_count = 2},
                   false, NULL);
}

static uint32_t conv_of(fl_graph *net, uint32_t input, uint32_t channels)
{
    return net_add(net,
                   (fl_node){.op = FL_OP_CONV,
                             .out_count = channels,
                             .window = net_square(1, 1, 0),
                             .inputs = {input},
                             .input_count = 1},
                   true, NULL);
}

TEST(elementwise_adds_two_values)
{
    static const uint32_t channels[] = {1, 3, 16, 21};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        fl_graph net = net_over(3, 5, 2);
        const uint32_t a = conv_of(&net, 0, channels[i]);
        const uint32_t b = conv_of(&net, 0, channels[i]);
        add_two(&net, FL_OP_ADD, a, b);
        net_add_dense(&net, 2);
        net_check(&net);
    }
}

TEST(elementwise_adds_with_every_activation_behind)
{
    static const fl_node acts[] = {
        {.op = FL_OP_RELU},       {.op = FL_OP_RELU6},
        {.op = FL_OP_HARD_SWISH}, {.op = FL_OP_LEAKY_RELU, .alpha = 0.2F},
        {.op = FL_OP_SIGMOID},    {.op = FL_OP_TANH},
    };
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        fl_graph net = net_over(4, 3, 3);
        const uint32_t a = conv_of(&net, 0, 7);
        const uint32_t b = conv_of(&net, a, 7);
        add_two(&net, FL_OP_ADD, a, b);  // a has two readers, as in ResNet
        net_add(&net, acts[i], false, NULL);
        net_add_dense(&net, 2);
        net_check(&net);
    }
}

TEST(elementwise_adds_and_multiplies_a_value_with_itself)
{
    static const fl_op_kind ops[] = {FL_OP_ADD, FL_OP_MUL};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        fl_graph net = net_over(3, 3, 2);
        const uint32_t a = conv_of(&net, 0, 5);
        add_two(&net, ops[i], a, a);
        net_add_plain(&net, FL_OP_RELU);
        net_add_dense(&net, 2);
        net_check(&net);
    }
}

TEST(elementwise_takes_the_input_of_the_net)
{
    static const fl_op_kind ops[] = {FL_OP_ADD, FL_OP_MUL};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        fl_graph net = net_over(3, 3, 2);
        const uint32_t a = conv_of(&net, 0, 2);
        // The input wants no gradient; on either side.
        const uint32_t left = add_two(&net, ops[i], 0, a);
        add_two(&net, ops[i], left, 0);
        net_add_dense(&net, 2);
        net_check(&net);
    }
}

TEST(elementwise_multiplies_two_values_of_one_shape)
{
    fl_graph net = net_over(3, 5, 2);
    const uint32_t a = conv_of(&net, 0, 7), b = conv_of(&net, 0, 7);
    add_two(&net, FL_OP_MUL, a, b);
    net_add_dense(&net, 2);
    net_check(&net);
}

TEST(elementwise_multiplies_channels_by_factors_on_either_side)
{
    static const uint32_t channels[] = {1, 3, 16, 37, 70};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        for (unsigned side = 0; side < 2; side++) {
            fl_graph net = net_over(3, 3, 2);
            const uint32_t whole = conv_of(&net, 0, channels[i]);
            const uint32_t factor = net_add_plain(&net, FL_OP_GLOBALPOOL);
            add_two(&net, FL_OP_MUL, side ? factor : whole,
                    side ? whole : factor);
            net_add_plain(&net, FL_OP_GLOBALPOOL);
            net_add_dense(&net, 2);
            net_check(&net);
        }
    }
}

TEST(elementwise_computes_squeeze_and_excitation)
{
    fl_graph net = net_over(4, 5, 3);
    const uint32_t whole = conv_of(&net, 0, 8);
    net_add_plain(&net, FL_OP_GLOBALPOOL);
    net_add_dense(&net, 3);
    net_add_plain(&net, FL_OP_RELU);
    net_add_dense(&net, 8);
    const uint32_t factor = net_add_plain(&net, FL_OP_HARD_SIGMOID);
    add_two(&net, FL_OP_MUL, whole, factor);
    net_add_plain(&net, FL_OP_HARD_SWISH);
    net_add_conv(&net, 4, net_square(1, 1, 0), true);
    net_add_dense(&net, 2);
    net_check(&net);
}

// As MobileNetV3 has it: the factors by 1x1 convolutions of a mean.
TEST(elementwise_computes_squeeze_and_excitation_by_convolutions)
{
    static const uint32_t channels[] = {8, 17};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        fl_graph net = net_over(4, 5, 3);
        const uint32_t whole = conv_of(&net, 0, channels[i]);
        net_add_plain(&net, FL_OP_GLOBALPOOL);
        net_add_conv(&net, 3, net_square(1, 1, 0), true);
        net_add_plain(&net, FL_OP_RELU);
        net_add_conv(&net, channels[i], net_square(1, 1, 0), true);
        const uint32_t factor = net_add_plain(&net, FL_OP_HARD_SIGMOID);
        add_two(&net, FL_OP_MUL, whole, factor);
        net_add_conv(&net, 2, net_square(1, 1, 0), true);
        net_check(&net);
    }
}

TEST(elementwise_fuses_relu_into_add)
{
    fl_graph net = net_over(3, 3, 2);
    const uint32_t a = conv_of(&net, 0, 2), b = conv_of(&net, 0, 2);
    add_two(&net, FL_OP_ADD, a, b);
    net_add_plain(&net, FL_OP_RELU);
    fl_plan *plan = NULL;
    assert_ok(fl_plan_new(
        &plan, &net, fl_kernels_at(0),
        &(fl_plan_options){.batch_cap = 1, .with_gradients = true}, NULL));
    assert_int_equal(fl_plan_step_count(plan), 3);
    fl_plan_free(plan);
    fl_graph_fini(&net);
}

RUN_TESTS(
    cmocka_unit_test(elementwise_adds_two_values),
    cmocka_unit_test(elementwise_adds_with_every_activation_behind),
    cmocka_unit_test(elementwise_adds_and_multiplies_a_value_with_itself),
    cmocka_unit_test(elementwise_takes_the_input_of_the_net),
    cmocka_unit_test(elementwise_multiplies_two_values_of_one_shape),
    cmocka_unit_test(elementwise_multiplies_channels_by_factors_on_either_side),
    cmocka_unit_test(elementwise_computes_squeeze_and_excitation),
    cmocka_unit_test(
        elementwise_computes_squeeze_and_excitation_by_convolutions),
    cmocka_unit_test(elementwise_fuses_relu_into_add))
