/* SPDX-License-Identifier: Apache-2.0 */
#include "model/graph.h"

#include <math.h>

#include "model/model.h"
#include "tests/test.h"

static fl_graph graph_over(uint32_t height, uint32_t width, uint32_t channels)
{
    fl_graph graph = {0};
    const fl_node node = {
        .op = FL_OP_INPUT, .name = "in", .shape = {height, width, channels}};
    assert_ok(fl_graph_add(&graph, &node, false, NULL, NULL));
    return graph;
}

static fl_node node_of(fl_op_kind op, uint32_t input)
{
    return (fl_node){
        .op = op, .name = "it", .inputs = {input}, .input_count = 1};
}

static void assert_shape(const fl_node *node, uint32_t height, uint32_t width,
                         uint32_t channels)
{
    assert_int_equal(node->shape.height, height);
    assert_int_equal(node->shape.width, width);
    assert_int_equal(node->shape.channels, channels);
}

// The graph must refuse the node and stay what it was.
static void assert_refused(fl_graph *graph, fl_node node, fl_err expected,
                           const float *constants, const char *word)
{
    fl_reason why = {""};
    const fl_graph before = *graph;
    assert_err(fl_graph_add(graph, &node, true, constants, &why), expected);
    assert_reason_names(why, "it");
    assert_reason_names(why, word);
    assert_memory_equal(graph, &before, sizeof before);
}

TEST(graph_works_out_shapes_and_parameter_offsets)
{
    fl_graph graph = graph_over(28, 20, 3);
    fl_node conv = node_of(FL_OP_CONV, 0);
    conv.out_count = 8;
    conv.window = (fl_window){5, 3, 2, 1, 1, 0, 2, 1};
    assert_ok(fl_graph_add(&graph, &conv, true, NULL, NULL));
    assert_shape(&graph.nodes[1], 14, 19, 8);
    assert_int_equal(graph.nodes[1].weight_at, 0);
    assert_int_equal(graph.nodes[1].weight_count, 8 * 5 * 3 * 3);
    assert_int_equal(graph.nodes[1].bias_at, 360);
    assert_int_equal(graph.nodes[1].bias_count, 8);

    fl_node relu = node_of(FL_OP_RELU, 1);
    assert_ok(fl_graph_add(&graph, &relu, true, NULL, NULL));
    assert_shape(&graph.nodes[2], 14, 19, 8);
    assert_int_equal(graph.nodes[2].bias_count, 0);

    fl_node pool = node_of(FL_OP_MAXPOOL, 2);
    pool.window = (fl_window){2, 3, 2, 2, 0, 0, 0, 0};
    assert_ok(fl_graph_add(&graph, &pool, false, NULL, NULL));
    assert_shape(&graph.nodes[3], 7, 9, 8);

    fl_node flatten = node_of(FL_OP_FLATTEN, 3);
    assert_ok(fl_graph_add(&graph, &flatten, false, NULL, NULL));
    assert_shape(&graph.nodes[4], 1, 1, 7 * 9 * 8);

    fl_node dense = node_of(FL_OP_DENSE, 4);
    dense.out_count = 10;
    assert_ok(fl_graph_add(&graph, &dense, false, NULL, NULL));
    assert_shape(&graph.nodes[5], 1, 1, 10);
    assert_int_equal(graph.nodes[5].weight_at, 368);
    assert_int_equal(graph.nodes[5].bias_count, 0);
    assert_int_equal(graph.param_count, 368 + 7 * 9 * 8 * 10);
    fl_graph_fini(&graph);
}

TEST(graph_copies_deeply)
{
    fl_graph graph = graph_over(1, 1, 2), copy;
    const fl_node sub = node_of(FL_OP_SUB, 0);
    for (uint32_t i = 0; i < 20; i++) {
        assert_ok(
            fl_graph_add(&graph, &sub, false, (float[]){(float)i, 2.0F}, NULL));
    }
    assert_ok(fl_graph_copy(&copy, &graph));
    fl_graph_fini(&graph);
    assert_int_equal(copy.node_count, 21);
    assert_int_equal(copy.constant_count, 40);
    const float last = copy.constants[copy.nodes[20].constant_at];
    assert_true(last >= 19.0F && last <= 19.0F);
    for (uint32_t i = 0; i < 20; i++)
        assert_ok(fl_graph_add(&copy, &sub, false, (float[]){0, 0}, NULL));
    fl_graph_fini(&copy);

    const fl_graph empty = {0};
    assert_ok(fl_graph_copy(&copy, &empty));
    assert_int_equal(copy.node_count, 0);
    fl_graph_fini(&copy);
    fl_graph_fini(&copy);
}

TEST(graph_refuses_nodes_in_the_wrong_place)
{
    fl_graph empty = {0};
    assert_refused(&empty, node_of(FL_OP_RELU, 0), FL_ERR_FORMAT, NULL,
                   "first node");
    fl_graph graph = graph_over(4, 4, 1);
    fl_node input = {.op = FL_OP_INPUT, .name = "it", .shape = {1, 1, 1}};
    assert_refused(&graph, input, FL_ERR_FORMAT, NULL, "first node");
    assert_refused(&graph, node_of(FL_OP_RELU, 1), FL_ERR_FORMAT, NULL,
                   "value 1");
    fl_node two = node_of(FL_OP_RELU, 0);
    two.input_count = 2;
    assert_refused(&graph, two, FL_ERR_FORMAT, NULL, "2 inputs");
    assert_refused(&graph, node_of((fl_op_kind)99, 0), FL_ERR_FORMAT, NULL,
                   "99");
    fl_graph_fini(&graph);
}

TEST(graph_refuses_windows_that_do_not_fit)
{
    static const fl_window bad[] = {
        {5, 1, 1, 1, 0, 0, 0, 0},
        {1, 5, 1, 1, 0, 0, 0, 0},
        {0, 1, 1, 1, 0, 0, 0, 0},
        {1, 1, 0, 1, 0, 0, 0, 0},
        {1, 1, 1, 0, 0, 0, 0, 0},
        {2, 2, 1, 1, 2, 0, 0, 0},
        {2, 2, 1, 1, 0, 0, 0, 2},
        {UINT32_MAX, 1, 1, 1, UINT32_MAX - 1, 0, UINT32_MAX - 1, 0}};
    fl_graph graph = graph_over(4, 4, 1);
    for (size_t i = 0; i + 1 < sizeof bad / sizeof *bad; i++) {
        fl_node conv = node_of(FL_OP_CONV, 0), pool = node_of(FL_OP_MAXPOOL, 0);
        conv.out_count = 1;
        conv.window = pool.window = bad[i];
        assert_refused(&graph, conv, FL_ERR_FORMAT, NULL, "input of 4x4");
        assert_refused(&graph, pool, FL_ERR_FORMAT, NULL, "input of 4x4");
        pool.op = FL_OP_AVGPOOL;
        assert_refused(&graph, pool, FL_ERR_FORMAT, NULL, "input of 4x4");
    }
    fl_node huge = node_of(FL_OP_CONV, 0);
    huge.out_count = 1;
    huge.window = bad[7];
    assert_refused(&graph, huge, FL_ERR_LIMIT, NULL, "");
    fl_graph_fini(&graph);
}

TEST(graph_refuses_layers_without_outputs)
{
    fl_graph graph = graph_over(4, 4, 1);
    fl_node conv = node_of(FL_OP_CONV, 0);
    conv.window = (fl_window){1, 1, 1, 1, 0, 0, 0, 0};
    assert_refused(&graph, conv, FL_ERR_FORMAT, NULL, "no output");
    assert_refused(&graph, node_of(FL_OP_DENSE, 0), FL_ERR_FORMAT, NULL,
                   "no output");
    fl_graph_fini(&graph);
}

TEST(graph_refuses_values_that_are_empty_or_huge)
{
    static const fl_shape bad[] = {{0, 1, 1},
                                   {1, 0, 1},
                                   {1, 1, 0},
                                   {UINT32_MAX, UINT32_MAX, UINT32_MAX},
                                   {1, 1 << 14, (1 << 12) + 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fl_graph graph = {0};
        const fl_node input = {
            .op = FL_OP_INPUT, .name = "it", .shape = bad[i]};
        assert_refused(&graph, input, i < 3 ? FL_ERR_FORMAT : FL_ERR_LIMIT,
                       NULL, i < 3 ? "empty" : "more than");
    }
}

TEST(graph_refuses_too_many_parameters_and_nodes)
{
    fl_graph graph = graph_over(1, 1, 1 << 16);
    fl_node dense = node_of(FL_OP_DENSE, 0);
    dense.out_count = 1 << 10;
    assert_refused(&graph, dense, FL_ERR_LIMIT, NULL, "parameters");
    dense.out_count = UINT32_MAX;
    assert_refused(&graph, dense, FL_ERR_LIMIT, NULL, "");

    const fl_node relu = node_of(FL_OP_RELU, 0);
    while (graph.node_count < FL_GRAPH_NODES_MAX)
        assert_ok(fl_graph_add(&graph, &relu, false, NULL, NULL));
    fl_reason why = {""};
    assert_err(fl_graph_add(&graph, &relu, false, NULL, &why), FL_ERR_LIMIT);
    assert_reason_names(why, "1024");
    fl_graph_fini(&graph);
}

TEST(graph_refuses_activations_that_do_not_rise)
{
    static const float slopes[] = {0.0F, -0.1F, NAN, INFINITY};
    fl_graph graph = graph_over(4, 4, 2);
    for (size_t i = 0; i < sizeof slopes / sizeof *slopes; i++) {
        fl_node leaky = node_of(FL_OP_LEAKY_RELU, 0);
        leaky.alpha = slopes[i];
        assert_refused(&graph, leaky, FL_ERR_FORMAT, NULL, "LeakyRelu");
    }
    fl_node hard = node_of(FL_OP_HARD_SIGMOID, 0);
    hard.alpha = NAN;
    assert_refused(&graph, hard, FL_ERR_FORMAT, NULL, "HardSigmoid");
    hard.alpha = 0.2F;
    hard.beta = INFINITY;
    assert_refused(&graph, hard, FL_ERR_FORMAT, NULL, "HardSigmoid");
    fl_graph_fini(&graph);
}

TEST(graph_fills_in_the_defaults_of_a_hard_sigmoid)
{
    static const float given[][2] = {{0, 0}, {0.5F, 0}, {0, 0.25F}};
    static const float used[][2] = {{0.2F, 0.5F}, {0.5F, 0}, {0, 0.25F}};
    fl_graph graph = graph_over(1, 1, 1);
    for (uint32_t i = 0; i < 3; i++) {
        fl_node hard = node_of(FL_OP_HARD_SIGMOID, 0);
        hard.alpha = given[i][0];
        hard.beta = given[i][1];
        assert_ok(fl_graph_add(&graph, &hard, false, NULL, NULL));
        assert_float_equal(graph.nodes[i + 1].alpha, used[i][0], 0.0F);
        assert_float_equal(graph.nodes[i + 1].beta, used[i][1], 0.0F);
    }
    fl_graph_fini(&graph);
}

static fl_node node_of_two(fl_op_kind op, uint32_t a, uint32_t b)
{
    return (fl_node){
        .op = op, .name = "it", .inputs = {a, b}, .input_count = 2};
}

static uint32_t add_slice(fl_graph *graph, uint32_t input, uint32_t count)
{
    fl_node slice = node_of(FL_OP_SLICE, input);
    slice.out_count = count;
    assert_ok(fl_graph_add(graph, &slice, false, NULL, NULL));
    return graph->node_count - 1;
}

static uint32_t add_mean(fl_graph *graph, uint32_t input)
{
    const fl_node mean = node_of(FL_OP_GLOBALPOOL, input);
    assert_ok(fl_graph_add(graph, &mean, false, NULL, NULL));
    return graph->node_count - 1;
}

TEST(graph_works_out_shapes_of_two_inputs)
{
    fl_graph graph = graph_over(4, 3, 6);
    const uint32_t mean = add_mean(&graph, 0);
    const uint32_t slice = add_slice(&graph, 0, 2);
    const struct {
        fl_node node;
        fl_shape shape;
    } cases[] = {
        {node_of_two(FL_OP_ADD, 0, 0), {4, 3, 6}},
        {node_of_two(FL_OP_MUL, 0, 0), {4, 3, 6}},
        {node_of_two(FL_OP_MUL, 0, mean), {4, 3, 6}},
        {node_of_two(FL_OP_MUL, mean, 0), {4, 3, 6}},
        {node_of_two(FL_OP_MUL, mean, mean), {1, 1, 6}},
        {node_of_two(FL_OP_CONCAT, 0, slice), {4, 3, 8}},
        {node_of(FL_OP_CONCAT, slice), {4, 3, 2}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(fl_graph_add(&graph, &cases[i].node, false, NULL, NULL));
        const fl_shape s = cases[i].shape;
        assert_shape(&graph.nodes[graph.node_count - 1], s.height, s.width,
                     s.channels);
    }
    fl_graph_fini(&graph);
}

TEST(graph_refuses_inputs_that_do_not_fit_each_other)
{
    fl_graph graph = graph_over(4, 3, 6);
    const uint32_t mean = add_mean(&graph, 0);
    const uint32_t slice = add_slice(&graph, 0, 2);
    const uint32_t slice_mean = add_mean(&graph, slice);
    const struct {
        fl_node node;
        const char *word;
    } cases[] = {
        {node_of_two(FL_OP_ADD, 0, mean), "4x3x6 and 1x1x6"},
        {node_of_two(FL_OP_ADD, slice, 0), "4x3x2 and 4x3x6"},
        {node_of_two(FL_OP_MUL, 0, slice), "4x3x6 and 4x3x2"},
        {node_of_two(FL_OP_MUL, 0, slice_mean), "4x3x6 and 1x1x2"},
        {node_of_two(FL_OP_CONCAT, 0, mean), "input 1 is of 1x1"},
        {node_of(FL_OP_ADD, 0), "1 inputs"},
        {node_of(FL_OP_MUL, 0), "1 inputs"},
        {{.op = FL_OP_CONCAT, .name = "it"}, "0 inputs"},
        {{.op = FL_OP_CONCAT, .name = "it", .input_count = 9}, "9 inputs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(&graph, cases[i].node, FL_ERR_FORMAT, NULL,
                       cases[i].word);
    fl_graph_fini(&graph);
}

TEST(graph_refuses_a_concat_that_is_too_large)
{
    fl_graph graph = graph_over(1, 1, FL_GRAPH_VALUES_MAX);
    fl_node concat = {
        .op = FL_OP_CONCAT, .name = "it", .input_count = FL_NODE_INPUTS_MAX};
    assert_refused(&graph, concat, FL_ERR_LIMIT, NULL, "more than");
    fl_graph_fini(&graph);
}

TEST(graph_refuses_slices_outside_the_channels)
{
    static const struct {
        uint32_t first, count;
    } bad[] = {{0, 0}, {0, 7},          {1, 6},
               {6, 1}, {UINT32_MAX, 2}, {2, UINT32_MAX}};
    fl_graph graph = graph_over(4, 4, 6);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fl_node slice = node_of(FL_OP_SLICE, 0);
        slice.first = bad[i].first;
        slice.out_count = bad[i].count;
        assert_refused(&graph, slice, FL_ERR_FORMAT, NULL, "input has 6");
    }
    fl_graph_fini(&graph);
}

TEST(graph_refuses_groups_that_do_not_divide_the_channels)
{
    static const uint32_t bad[] = {4, 5, 7, UINT32_MAX};
    fl_graph graph = graph_over(4, 4, 6);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fl_node shuffle = node_of(FL_OP_SHUFFLE, 0);
        shuffle.group_count = bad[i];
        assert_refused(&graph, shuffle, FL_ERR_FORMAT, NULL, "6 channels");
    }
    fl_graph_fini(&graph);
}

TEST(graph_refuses_constants_that_break_numbers)
{
    fl_graph graph = graph_over(1, 1, 2);
    assert_refused(&graph, node_of(FL_OP_SUB, 0), FL_ERR_FORMAT, NULL,
                   "constant");
    assert_refused(&graph, node_of(FL_OP_SUB, 0), FL_ERR_FORMAT,
                   (float[]){0.0F, NAN}, "constant 1");
    assert_refused(&graph, node_of(FL_OP_DIV, 0), FL_ERR_FORMAT,
                   (float[]){INFINITY, 1.0F}, "constant 0");
    assert_refused(&graph, node_of(FL_OP_DIV, 0), FL_ERR_FORMAT,
                   (float[]){1.0F, -0.0F}, "constant 1");
    fl_graph_fini(&graph);
}

// 1 and 2 read the input, 3 reads 1 twice, nobody reads 2, 4 is the last.
TEST(graph_finds_who_reads_a_value)
{
    fl_graph graph = graph_over(1, 1, 2);
    fl_node add = node_of(FL_OP_ADD, 1);
    add.inputs[1] = 1;
    add.input_count = 2;
    const fl_node nodes[] = {node_of(FL_OP_RELU, 0), node_of(FL_OP_RELU, 0),
                             add, node_of(FL_OP_RELU, 3)};
    for (size_t i = 0; i < 4; i++)
        assert_ok(fl_graph_add(&graph, &nodes[i], false, NULL, NULL));
    static const fl_readers expected[] = {{1, 1},
                                          {2, FL_GRAPH_NONE},
                                          {0, FL_GRAPH_NONE},
                                          {1, 4},
                                          {1, FL_GRAPH_NONE}};
    fl_readers readers[5];
    fl_graph_find_readers(readers, &graph);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(readers[i].count, expected[i].count);
        assert_int_equal(readers[i].only, expected[i].only);
    }
    fl_graph_fini(&graph);
}

TEST(graph_names_every_operator)
{
    assert_string_equal(fl_op_name(FL_OP_CONV), "Conv");
    assert_string_equal(fl_op_name(FL_OP_DENSE), "Gemm");
    assert_string_equal(fl_op_name(FL_OP_MAXPOOL), "MaxPool");
    for (int op = -1; op <= FL_OP_COUNT; op++)
        assert_non_null(fl_op_name((fl_op_kind)op));
}

RUN_TESTS(
    cmocka_unit_test(graph_works_out_shapes_and_parameter_offsets),
    cmocka_unit_test(graph_copies_deeply),
    cmocka_unit_test(graph_refuses_nodes_in_the_wrong_place),
    cmocka_unit_test(graph_refuses_windows_that_do_not_fit),
    cmocka_unit_test(graph_refuses_layers_without_outputs),
    cmocka_unit_test(graph_refuses_values_that_are_empty_or_huge),
    cmocka_unit_test(graph_refuses_too_many_parameters_and_nodes),
    cmocka_unit_test(graph_refuses_activations_that_do_not_rise),
    cmocka_unit_test(graph_fills_in_the_defaults_of_a_hard_sigmoid),
    cmocka_unit_test(graph_works_out_shapes_of_two_inputs),
    cmocka_unit_test(graph_refuses_inputs_that_do_not_fit_each_other),
    cmocka_unit_test(graph_refuses_a_concat_that_is_too_large),
    cmocka_unit_test(graph_refuses_slices_outside_the_channels),
    cmocka_unit_test(graph_refuses_groups_that_do_not_divide_the_channels),
    cmocka_unit_test(graph_refuses_constants_that_break_numbers),
    cmocka_unit_test(graph_finds_who_reads_a_value),
    cmocka_unit_test(graph_names_every_operator))
