/*
 * INT8 plans against the definition, bit for bit, with every set of kernels
 * that this CPU has.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/int8/int8.h"

#include <stdlib.h>

#include "model/int8/qplan.h"
#include "tests/support/naive_int8.h"
#include "tests/test.h"

enum { COUNT = 3, SEED = 5 };  // COUNT: examples of a batch

static const uint32_t CHANNELS[] = {1, 3, 4, 5, 7, 8, 15, 16, 17, 33, 64};
enum { CHANNEL_COUNTS = sizeof CHANNELS / sizeof *CHANNELS };

static fl_random random_of_test;

static fl_int8_model *net_over(uint32_t height, uint32_t width,
                               uint32_t channels)
{
    const fl_shape shape = {height, width, channels};
    return int8_net_new(shape, true, &random_of_test);
}

static uint32_t add(fl_int8_model *net, fl_node node)
{
    return int8_net_add(net, node, true, &random_of_test);
}

static fl_window square(uint32_t kernel, uint32_t stride, uint32_t pad)
{
    return (fl_window){kernel, kernel, stride, stride, pad, pad, pad, pad};
}

static uint32_t add_conv(fl_int8_model *net, uint32_t channels,
                         fl_window window, uint32_t groups)
{
    return add(net, (fl_node){.op = FL_OP_CONV,
                              .out_count = channels,
                              .window = window,
                              .group_count = groups});
}

static uint32_t add_plain(fl_int8_model *net, fl_op_kind op)
{
    return add(
        net,
        (fl_node){.op = op, .alpha = 0.2F, .beta = 0.5F, .epsilon = 1e-6F});
}

static uint32_t add_pool(fl_int8_model *net, fl_op_kind op, fl_window window)
{
    return add(net, (fl_node){.op = op, .window = window});
}

static uint32_t add_two(fl_int8_model *net, fl_op_kind op, uint32_t a,
                        uint32_t b)
{
    return add(net, (fl_node){.op = op, .inputs = {a, b}, .input_count = 2});
}

static void add_logits(fl_int8_model *net)
{
    int8_net_add(net, (fl_node){.op = FL_OP_DENSE, .out_count = 10}, false,
                 &random_of_test);
}

/* ---- comparing ---- */

static void check_set(const fl_int8_model *net, const fl_qkernels *kernels,
                      const float *x, const float *expected, size_t classes)
{
    fl_qplan *plan = NULL;
    fl_reason why = {""};
    const fl_err err = fl_qplan_new(&plan, net, kernels, COUNT, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
    float *logits = calloc(COUNT * classes, sizeof *logits);
    assert_non_null(logits);
    const size_t x_size = fl_shape_size(net->graph.nodes[0].shape);
    // Twice, since the memory is dirty then; and one example alone.
    for (uint32_t first = 0; first < COUNT; first++) {
        const uint32_t count = COUNT - first;
        fl_qplan_run(plan, logits, x + first * x_size, count);
        for (size_t i = 0; i < count * classes; i++) {
            if (memcmp(&logits[i], &expected[first * classes + i],
                       sizeof(float)) == 0)
                continue;
            print_error("logit %zu of %u examples with %s is %.9g, not %.9g\n",
                        i, count, kernels->name, (double)logits[i],
                        (double)expected[first * classes + i]);
            fail();
        }
    }
    free(logits);
    fl_qplan_free(plan);
}

// Checks the net with every set of kernels, and frees it.
static void check(fl_int8_model *net)
{
    const fl_graph *graph = &net->graph;
    const size_t x_size = fl_shape_size(graph->nodes[0].shape);
    const size_t classes =
        fl_shape_size(graph->nodes[graph->node_count - 1].shape);
    float *x = calloc(COUNT * x_size, sizeof *x);
    float *expected = calloc(COUNT * classes, sizeof *expected);
    assert_true(x && expected);
    for (size_t i = 0; i < COUNT * x_size; i++)
        x[i] = 8.0F * fl_random_float(&random_of_test) - 4.0F;
    naive_int8_run(expected, net, x, COUNT);
    const fl_qkernels *kernels;
    for (unsigned k = 0; (kernels = fl_qkernels_at(k)); k++)
        check_set(net, kernels, x, expected, classes);
    free(x);
    free(expected);
    fl_int8_free(net);
}

/* ---- convolutions ---- */

TEST(int8_convolves_any_number_of_channels)
{
    for (uint32_t i = 0; i < CHANNEL_COUNTS; i++) {
        const uint32_t c = CHANNELS[i];
        fl_int8_model *net = net_over(7, 9, c);
        add_conv(net, CHANNELS[CHANNEL_COUNTS - 1 - i], square(3, 1, 1), 1);
        add_conv(net, c, square(1, 1, 0), 1);
        add_conv(net, 5, square(5, 2, 2), 1);
        check(net);
    }
}

TEST(int8_convolves_with_uneven_windows)
{
    fl_int8_model *net = net_over(9, 8, 3);
    add_conv(net, 6, (fl_window){3, 2, 2, 1, 1, 0, 2, 1}, 1);
    add_conv(net, 17, (fl_window){1, 4, 1, 2, 0, 3, 0, 1}, 1);
    add_plain(net, FL_OP_RELU6);
    add_conv(net, 3, (fl_window){2, 2, 1, 1, 0, 0, 1, 1}, 1);
    check(net);
}

TEST(int8_convolves_with_dilation)
{
    fl_int8_model *net = net_over(11, 10, 5);
    add(net, (fl_node){.op = FL_OP_CONV,
                       .out_count = 9,
                       .window = square(3, 1, 2),
                       .dilation_h = 2,
                       .dilation_w = 2});
    add(net, (fl_node){.op = FL_OP_CONV,
                       .out_count = 9,
                       .window = square(3, 1, 2),
                       .group_count = 9,
                       .dilation_h = 2,
                       .dilation_w = 1});
    add_logits(net);
    check(net);
}

TEST(int8_convolves_groups)
{
    fl_int8_model *net = net_over(6, 6, 12);
    add_conv(net, 24, square(3, 1, 1), 3);
    add_plain(net, FL_OP_RELU);
    add_conv(net, 36, square(1, 1, 0), 4);
    add_conv(net, 10, square(3, 2, 1), 2);
    add_logits(net);
    check(net);
}

TEST(int8_convolves_each_channel_alone)
{
    for (uint32_t i = 0; i < CHANNEL_COUNTS; i++) {
        const uint32_t c = CHANNELS[i];
        fl_int8_model *net = net_over(7, 10, c);
        add_conv(net, c, square(3, 1, 1), c);
        add_plain(net, FL_OP_RELU6);
        add_conv(net, c, square(3, 2, 1), c);
        add_conv(net, c, square(5, 1, 2), c);
        add_conv(net, 2 * c, square(3, 1, 1), c);
        add_logits(net);
        check(net);
    }
}

TEST(int8_pools_behind_a_convolution)
{
    fl_int8_model *net = net_over(13, 12, 1);
    add_conv(net, 16, square(5, 1, 2), 1);
    add_plain(net, FL_OP_RELU);
    add_pool(net, FL_OP_MAXPOOL, square(2, 2, 0));
    add_conv(net, 33, square(3, 1, 1), 1);
    add_pool(net, FL_OP_MAXPOOL, square(3, 3, 0));
    add_plain(net, FL_OP_RELU);
    add_plain(net, FL_OP_FLATTEN);
    add(net, (fl_node){.op = FL_OP_DENSE, .out_count = 33});
    add_plain(net, FL_OP_RELU);
    add_logits(net);
    check(net);
}

/* ---- everything else ---- */

TEST(int8_pools_with_padding)
{
    for (uint32_t i = 0; i < CHANNEL_COUNTS; i++) {
        fl_int8_model *net = net_over(9, 7, CHANNELS[i]);
        add_pool(net, FL_OP_MAXPOOL, square(3, 1, 1));
        add_conv(net, CHANNELS[i], square(3, 1, 1), 1);
        add_pool(net, FL_OP_AVGPOOL, (fl_window){3, 2, 2, 1, 1, 1, 2, 0});
        add_pool(net, FL_OP_AVGPOOL, square(2, 1, 0));
        add_pool(net, FL_OP_GLOBALPOOL, (fl_window){0});
        check(net);
    }
}

TEST(int8_counts_the_padding_of_a_mean_when_told)
{
    static const fl_window windows[] = {
        {3, 3, 2, 2, 1, 1, 1, 1},
        {3, 2, 2, 1, 1, 1, 2, 0},
        {2, 2, 2, 2, 0, 0, 0, 0},
        {9, 7, 1, 1, 8, 6, 8, 6},
    };
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        fl_int8_model *net = net_over(9, 7, 17);
        add_conv(net, 19, square(3, 1, 1), 1);
        add(net, (fl_node){.op = FL_OP_AVGPOOL,
                           .window = windows[i],
                           .counts_padding = true});
        check(net);
    }
}

TEST(int8_adds_and_multiplies)
{
    for (uint32_t i = 0; i < CHANNEL_COUNTS; i++) {
        const uint32_t c = CHANNELS[i];
        fl_int8_model *net = net_over(5, 6, c);
        const uint32_t a = add_conv(net, c, square(3, 1, 1), 1);
        const uint32_t b = add_conv(net, c, square(1, 1, 0), 1);
        add_two(net, FL_OP_ADD, a, b);
        const uint32_t sum = add_plain(net, FL_OP_RELU);
        add_two(net, FL_OP_MUL, sum, b);
        const uint32_t product = add_plain(net, FL_OP_RELU6);
        const uint32_t mean = add_pool(net, FL_OP_GLOBALPOOL, (fl_window){0});
        add_conv(net, c, square(1, 1, 0), 1);
        const uint32_t gate = add_plain(net, FL_OP_HARD_SIGMOID);
        add_two(net, FL_OP_ADD, gate, mean);
        add_two(net, FL_OP_MUL, product, gate);
        add_conv(net, 4, square(3, 1, 1), 1);
        add_logits(net);
        check(net);
    }
}

TEST(int8_looks_activations_up)
{
    static const fl_op_kind activations[] = {
        FL_OP_RELU,         FL_OP_RELU6,   FL_OP_LEAKY_RELU, FL_OP_HARD_SWISH,
        FL_OP_HARD_SIGMOID, FL_OP_SIGMOID, FL_OP_TANH,
    };
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        fl_int8_model *net = net_over(5, 5, 3);
        add_plain(net, activations[i]);
        const uint32_t conv = add_conv(net, 5, square(3, 1, 1), 1);
        const uint32_t act = add_plain(net, activations[i]);
        add_two(net, FL_OP_ADD, conv, act);
        check(net);
    }
}

TEST(int8_moves_channels)
{
    fl_int8_model *net = net_over(6, 4, 12);
    const uint32_t shuffled =
        add(net, (fl_node){.op = FL_OP_SHUFFLE, .group_count = 3});
    const uint32_t slice =
        add(net, (fl_node){.op = FL_OP_SLICE, .first = 2, .out_count = 7});
    add(net, (fl_node){.op = FL_OP_CONCAT,
                       .inputs = {slice, 0, shuffled},
                       .input_count = 3});
    add_conv(net, 6, square(3, 2, 1), 1);
    add(net, (fl_node){.op = FL_OP_SHUFFLE, .group_count = 2});
    add_plain(net, FL_OP_FLATTEN);
    add(net, (fl_node){.op = FL_OP_SLICE, .first = 5, .out_count = 11});
    check(net);
}

TEST(int8_reads_a_value_padded_and_flat)
{
    fl_int8_model *net = net_over(5, 5, 4);
    const uint32_t conv = add_conv(net, 4, square(3, 1, 1), 1);
    const uint32_t again = add_conv(net, 4, square(3, 1, 1), 1);
    add(net,
        (fl_node){.op = FL_OP_FLATTEN, .inputs = {conv}, .input_count = 1});
    const uint32_t a = add(net, (fl_node){.op = FL_OP_DENSE, .out_count = 6});
    const uint32_t b = add(net, (fl_node){.op = FL_OP_DENSE,
                                          .out_count = 6,
                                          .inputs = {again},
                                          .input_count = 1});
    add_conv(net, 4, square(5, 1, 2), 1);
    add_two(net, FL_OP_ADD, a, b);
    add_logits(net);
    check(net);
}

TEST(int8_reads_a_bordered_value_into_a_dense_layer)
{
    fl_int8_model *net = net_over(5, 5, 4);
    const uint32_t conv = add_conv(net, 4, square(3, 1, 1), 1);
    const uint32_t a = add(net, (fl_node){.op = FL_OP_DENSE, .out_count = 6});
    add(net, (fl_node){.op = FL_OP_CONV,
                       .out_count = 3,
                       .window = square(3, 1, 1),
                       .inputs = {conv},
                       .input_count = 1});
    const uint32_t b = add(net, (fl_node){.op = FL_OP_DENSE, .out_count = 6});
    add_two(net, FL_OP_ADD, a, b);
    check(net);
}

TEST(int8_normalizes_at_both_ends)
{
    const fl_shape shape = {6, 5, 3};
    fl_int8_model *net = int8_net_new(shape, false, &random_of_test);
    int8_net_add(net, (fl_node){.op = FL_OP_SUB}, false, &random_of_test);
    int8_net_add(net, (fl_node){.op = FL_OP_DIV}, true, &random_of_test);
    add_conv(net, 8, square(3, 1, 1), 1);
    add_plain(net, FL_OP_RELU);
    add_logits(net);
    int8_net_add(net, (fl_node){.op = FL_OP_L2NORM, .epsilon = 1e-6F}, false,
                 &random_of_test);
    check(net);

    net = net_over(3, 3, 7);
    add_plain(net, FL_OP_HARD_SWISH);
    int8_net_add(net, (fl_node){.op = FL_OP_L2NORM, .epsilon = 1e-6F}, false,
                 &random_of_test);
    check(net);
}

TEST(int8_makes_logits_with_a_convolution)
{
    fl_int8_model *net = net_over(4, 4, 8);
    add_pool(net, FL_OP_GLOBALPOOL, (fl_window){0});
    int8_net_add(
        net,
        (fl_node){.op = FL_OP_CONV, .out_count = 10, .window = square(1, 1, 0)},
        false, &random_of_test);
    check(net);

    net = net_over(4, 4, 8);
    int8_net_add(net,
                 (fl_node){.op = FL_OP_CONV,
                           .out_count = 6,
                           .group_count = 2,
                           .window = square(3, 1, 1)},
                 false, &random_of_test);
    check(net);
}

/* ---- refusals ---- */

static void assert_refused(fl_int8_model *net, fl_err expected,
                           const char *word)
{
    fl_qplan *plan = NULL;
    fl_reason why = {""};
    assert_err(fl_qplan_new(&plan, net, fl_qkernels_at(0), 1, &why), expected);
    assert_reason_names(why, word);
    assert_null(plan);
    fl_int8_free(net);
}

TEST(int8_refuses_what_has_no_integer_form)
{
    fl_int8_model *net = net_over(4, 4, 2);
    add_plain(net, FL_OP_GROUPNORM);
    assert_refused(net, FL_ERR_UNSUPPORTED, "n1");

    net = net_over(4, 4, 2);
    int8_net_add(net, (fl_node){.op = FL_OP_TANH}, false, &random_of_test);
    add_logits(net);
    assert_refused(net, FL_ERR_UNSUPPORTED, "not quantized");

    const fl_shape shape = {4, 4, 2};
    net = int8_net_new(shape, false, &random_of_test);
    add_logits(net);
    assert_refused(net, FL_ERR_UNSUPPORTED, "input 0");

    assert_refused(int8_net_new(shape, false, &random_of_test),
                   FL_ERR_UNSUPPORTED, "nothing");

    net = net_over(4, 4, 2);
    add_plain(net, FL_OP_SUB);
    assert_refused(net, FL_ERR_UNSUPPORTED, "in front");

    net = net_over(4, 4, 2);
    add_plain(net, FL_OP_L2NORM);
    add_logits(net);
    assert_refused(net, FL_ERR_UNSUPPORTED, "last");
}

TEST(int8_refuses_values_that_should_share_a_quantization)
{
    fl_int8_model *net = net_over(4, 4, 2);
    const uint32_t pool = add_pool(net, FL_OP_MAXPOOL, square(2, 2, 0));
    net->values[pool].zero_point ^= 1;
    assert_refused(net, FL_ERR_UNSUPPORTED, "pool");

    net = net_over(4, 4, 2);
    const uint32_t slice =
        add(net, (fl_node){.op = FL_OP_SLICE, .out_count = 1});
    net->values[slice].scale *= 2.0F;
    assert_refused(net, FL_ERR_UNSUPPORTED, "input 0");
}

TEST(int8_refuses_sums_beyond_32_bits)
{
    fl_int8_model *net = net_over(1, 1, 1);
    add_logits(net);
    net->biases[3] = INT32_MAX;
    assert_refused(net, FL_ERR_RANGE, "channel 3");

    net = net_over(1, 1, 1);
    add_logits(net);
    net->weight_scales[2] = 3e38F;
    net->values[0].scale = 3e38F;
    assert_refused(net, FL_ERR_RANGE, "channel 2");

    net = net_over(1, 1, 1);
    const uint32_t act = add_plain(net, FL_OP_TANH);
    const uint32_t product = add_two(net, FL_OP_MUL, 0, act);
    net->values[act].scale = net->values[0].scale = 3e38F;
    assert_refused(net, FL_ERR_RANGE, "scales");
    (void)product;
}

TEST(int8_names_the_layer_that_memory_lacks_for)
{
    fl_int8_model *net = net_over(4096, 4096, 4);
    add_plain(net, FL_OP_TANH);
    fl_qplan *plan = NULL;
    fl_reason why = {""};
    assert_err(fl_qplan_new(&plan, net, fl_qkernels_at(0), UINT32_MAX, &why),
               FL_ERR_MEMORY);
    assert_reason_names(why, "Input");
    assert_reason_names(why, "bytes");
    fl_int8_free(net);
}

static int seed(void **state __attribute__((unused)))
{
    fl_random_init(&random_of_test, SEED, FL_RANDOM_TEST, 0);
    return 0;
}

#define UNIT(name) cmocka_unit_test_setup(name, seed)

RUN_TESTS(UNIT(int8_convolves_any_number_of_channels),
          UNIT(int8_convolves_with_uneven_windows),
          UNIT(int8_convolves_with_dilation), UNIT(int8_convolves_groups),
          UNIT(int8_convolves_each_channel_alone),
          UNIT(int8_pools_behind_a_convolution), UNIT(int8_pools_with_padding),
          UNIT(int8_counts_the_padding_of_a_mean_when_told),
          UNIT(int8_adds_and_multiplies), UNIT(int8_looks_activations_up),
          UNIT(int8_moves_channels), UNIT(int8_reads_a_value_padded_and_flat),
          UNIT(int8_reads_a_bordered_value_into_a_dense_layer),
          UNIT(int8_normalizes_at_both_ends),
          UNIT(int8_makes_logits_with_a_convolution),
          UNIT(int8_refuses_what_has_no_integer_form),
          UNIT(int8_refuses_values_that_should_share_a_quantization),
          UNIT(int8_refuses_sums_beyond_32_bits),
          UNIT(int8_names_the_layer_that_memory_lacks_for))
