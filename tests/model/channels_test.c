/*
 * What moves channels about and computes nothing: CONCAT, SLICE, SHUFFLE.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/nets.h"
#include "tests/test.h"

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

static uint32_t slice_of(fl_graph *net, uint32_t input, uint32_t first,
                         uint32_t count)
{
    return net_add(net,
                   (fl_node){.op = FL_OP_SLICE,
                             .first = first,
                             .out_count = count,
                             .inputs = {input},
                             .input_count = 1},
                   false, NULL);
}

static uint32_t add_concat(fl_graph *net, const uint32_t *inputs,
                           uint32_t count)
{
    fl_node node = {.op = FL_OP_CONCAT, .input_count = count};
    memcpy(node.inputs, inputs, count * sizeof *inputs);
    return net_add(net, node, false, NULL);
}

TEST(channels_are_put_one_after_the_other)
{
    static const uint32_t widths[] = {1, 3, 16, 20, 2, 5, 17, 4};
    for (uint32_t count = 1; count <= FL_NODE_INPUTS_MAX; count++) {
        fl_graph net = net_over(2, 3, 2);
        uint32_t inputs[FL_NODE_INPUTS_MAX];
        for (uint32_t k = 0; k < count; k++)
            inputs[k] = conv_of(&net, 0, widths[k]);
        add_concat(&net, inputs, count);
        net_add_plain(&net, FL_OP_GLOBALPOOL);
        net_add_dense(&net, 2);
        net_check(&net);
    }
}

TEST(channels_of_one_value_are_put_down_twice)
{
    fl_graph net = net_over(2, 3, 2);
    const uint32_t a = conv_of(&net, 0, 5), b = conv_of(&net, a, 3);
    // The input of the net in the middle wants no gradient.
    add_concat(&net, (uint32_t[]){a, 0, a, b}, 4);
    net_add_dense(&net, 2);
    net_check(&net);
}

TEST(channels_are_cut_out)
{
    static const uint32_t cuts[][2] = {
        {0, 1}, {20, 1}, {0, 21}, {3, 17}, {5, 2}};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        fl_graph net = net_over(3, 3, 2);
        const uint32_t whole = conv_of(&net, 0, 21);
        slice_of(&net, whole, cuts[i][0], cuts[i][1]);
        net_add_dense(&net, 2);
        net_check(&net);
    }
}

TEST(channels_are_dealt_out_by_groups)
{
    static const uint32_t cases[][2] = {{6, 2},  {6, 3},  {6, 6}, {6, 1},
                                        {34, 2}, {12, 4}, {1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_graph net = net_over(2, 3, 2);
        const uint32_t whole = conv_of(&net, 0, cases[i][0]);
        net_add(&net,
                (fl_node){.op = FL_OP_SHUFFLE, .group_count = cases[i][1]},
                false, NULL);
        // A second reader, so that gradients are added up.
        net_add(&net,
                (fl_node){.op = FL_OP_ADD,
                          .inputs = {whole, whole + 1},
                          .input_count = 2},
                false, NULL);
        net_add_dense(&net, 2);
        net_check(&net);
    }
}

// ShuffleNetV2's unit: split, one branch computed, joined, shuffled.
TEST(channels_pass_a_shufflenet_unit)
{
    fl_graph net = net_over(4, 4, 2);
    const uint32_t whole = conv_of(&net, 0, 8);
    const uint32_t left = slice_of(&net, whole, 0, 4);
    const uint32_t right = slice_of(&net, whole, 4, 4);
    conv_of(&net, right, 4);
    const uint32_t branch = net_add_plain(&net, FL_OP_RELU);
    add_concat(&net, (uint32_t[]){left, branch}, 2);
    net_add(&net, (fl_node){.op = FL_OP_SHUFFLE, .group_count = 2}, false,
            NULL);
    net_add_conv(&net, 3, net_square(3, 1, 0), true);
    net_add_dense(&net, 2);
    net_check(&net);
}

RUN_TESTS(cmocka_unit_test(channels_are_put_one_after_the_other),
          cmocka_unit_test(channels_of_one_value_are_put_down_twice),
          cmocka_unit_test(channels_are_cut_out),
          cmocka_unit_test(channels_are_dealt_out_by_groups),
          cmocka_unit_test(channels_pass_a_shufflenet_unit))
