/*
 * Convolutions of every kind against the oracle.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/graph.h"
#include "tests/support/nets.h"
#include "tests/test.h"

typedef struct {
    uint32_t height, width, channels, outputs;
    fl_window window;
    uint32_t dilation_h, dilation_w, groups;
} conv_case;

static fl_node node_of(const conv_case *c)
{
    return (fl_node){
        .op = FL_OP_CONV,
        .out_count = c->outputs,
        .window = c->window,
        .dilation_h = c->dilation_h,
        .dilation_w = c->dilation_w,
        .group_count = c->groups,
    };
}

enum { HAS_BIAS = 1, HAS_RELU = 2, HAS_POOL = 4 };

// A layer in front makes the gradient of the input matter.
static fl_graph net_of(const conv_case *c, unsigned kind)
{
    fl_graph net = net_over(c->height, c->width, 1);
    net_add_conv(&net, c->channels, net_square(1, 1, 0), true);
    net_add(&net, node_of(c), kind & HAS_BIAS, NULL);
    if (kind & HAS_RELU) net_add_plain(&net, FL_OP_RELU);
    if (kind & HAS_POOL) net_add_pool(&net, net_square(2, 2, 0));
    net_add_dense(&net, 2);
    return net;
}

static void check_conv(const conv_case *c, unsigned kind)
{
    fl_graph net = net_of(c, kind);
    net_check(&net);
}

static void check_all(const conv_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_conv(&cases[i], i % 2 ? HAS_RELU : HAS_BIAS);
    }
}

#define CHECK_ALL(cases) check_all(cases, sizeof(cases) / sizeof *(cases))

TEST(conv_computes_odd_shapes)
{
    static const conv_case cases[] = {
        {5, 5, 1, 4, {5, 5, 1, 1, 0, 0, 0, 0}, 1, 1, 1},
        {7, 6, 1, 5, {3, 3, 1, 1, 1, 1, 1, 1}, 1, 1, 1},
        {6, 9, 2, 17, {3, 2, 1, 1, 0, 0, 0, 0}, 1, 1, 1},
        {9, 7, 3, 3, {3, 3, 2, 2, 1, 1, 1, 1}, 1, 1, 1},
        {8, 8, 3, 2, {3, 3, 2, 2, 0, 0, 1, 1}, 1, 1, 1},
        {5, 14, 2, 9, {2, 3, 3, 2, 1, 0, 0, 2}, 1, 1, 1},
        {4, 4, 5, 33, {1, 1, 1, 1, 0, 0, 0, 0}, 1, 1, 1},
        {4, 5, 16, 6, {1, 1, 2, 2, 0, 0, 0, 0}, 1, 1, 1},
        {3, 13, 16, 2, {3, 3, 1, 1, 1, 1, 1, 1}, 1, 1, 1},
        {1, 40, 1, 3, {1, 7, 1, 1, 0, 3, 0, 3}, 1, 1, 1},
    };
    CHECK_ALL(cases);
}

TEST(conv_computes_all_pixels_of_a_batch_at_once)
{
    // Three examples make more and less than one chunk of pixels.
    static const conv_case cases[] = {
        {1, 1, 3, 2, {1, 1, 1, 1, 0, 0, 0, 0}, 1, 1, 1},
        {8, 7, 2, 1, {1, 1, 1, 1, 0, 0, 0, 0}, 1, 1, 1},
        {15, 9, 2, 3, {1, 1, 1, 1, 0, 0, 0, 0}, 1, 1, 1},
        {13, 14, 4, 2, {1, 1, 1, 1, 0, 0, 0, 0}, 1, 1, 2},
    };
    CHECK_ALL(cases);
}

TEST(conv_computes_rows_of_every_length)
{
    // All tiles of 14 rows and less, then two tiles and three.
    for (uint32_t width = 1; width <= 31; width += width < 15 ? 1 : 8) {
        const conv_case c = {2, width, 1, 2, {2, 1, 1, 1, 1, 0, 0, 0}, 1, 1, 1};
        check_conv(&c, HAS_BIAS | HAS_RELU);
    }
}

// 8 are enough for that, and 65 more than one chunk.
TEST(conv_computes_short_rows_of_many_examples_across_these)
{
    static const conv_case cases[] = {
        {1, 1, 5, 3, {3, 3, 1, 1, 1, 1, 1, 1}, 1, 1, 1},
        {4, 4, 2, 17, {3, 3, 1, 1, 1, 1, 1, 1}, 1, 1, 1},
        {3, 2, 17, 2, {3, 2, 1, 1, 1, 0, 1, 1}, 1, 1, 1},
        {6, 7, 3, 2, {3, 3, 2, 2, 1, 1, 1, 1}, 1, 1, 1},
        {4, 4, 6, 5, {1, 1, 2, 2, 0, 0, 0, 0}, 1, 1, 1},
        {5, 5, 2, 3, {3, 3, 1, 1, 0, 0, 0, 0}, 1, 1, 1},
        {4, 4, 4, 6, {3, 3, 1, 1, 1, 1, 1, 1}, 1, 1, 2},
        {3, 4, 2, 2, {2, 3, 1, 1, 2, 2, 2, 2}, 2, 2, 1},
        {4, 4, 6, 8, {3, 2, 2, 1, 1, 0, 1, 1}, 1, 1, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_graph few = net_of(&cases[i], i % 2 ? HAS_RELU : HAS_BIAS);
        fl_graph many = net_of(&cases[i], i % 2 ? HAS_RELU : HAS_BIAS);
        net_check_batch(&few, 8);
        net_check_batch(&many, 65);
    }
}

TEST(conv_computes_an_activation_behind_short_rows)
{
    const conv_case c = {2, 3, 3, 4, net_square(3, 1, 1), 1, 1, 1};
    fl_graph net = net_over(c.height, c.width, 1);
    net_add_conv(&net, c.channels, net_square(1, 1, 0), true);
    net_add(&net, node_of(&c), true, NULL);
    net_add_plain(&net, FL_OP_HARD_SWISH);
    net_add_dense(&net, 2);
    net_check_batch(&net, 9);
}

TEST(conv_computes_dilations)
{
    static const conv_case cases[] = {
        {7, 8, 2, 3, {3, 3, 1, 1, 2, 2, 2, 2}, 2, 2, 1},
        {9, 7, 1, 17, {3, 2, 1, 1, 0, 0, 0, 0}, 3, 1, 1},
        {5, 9, 3, 2, {2, 3, 1, 2, 0, 3, 0, 1}, 1, 3, 1},
        {8, 8, 1, 2, {3, 3, 2, 3, 1, 0, 2, 3}, 2, 3, 1},
        {4, 6, 2, 18, {1, 3, 1, 1, 0, 1, 0, 1}, 7, 2, 1},
        {3, 3, 1, 1, {2, 2, 1, 1, 2, 2, 2, 2}, 4, 4, 1},
    };
    CHECK_ALL(cases);
}

TEST(conv_computes_groups)
{
    static const conv_case cases[] = {
        {5, 6, 4, 6, {3, 3, 1, 1, 1, 1, 1, 1}, 1, 1, 2},
        {6, 5, 6, 9, {2, 3, 2, 1, 0, 0, 1, 0}, 1, 1, 3},
        {6, 6, 4, 2, {3, 3, 2, 2, 2, 1, 0, 2}, 1, 1, 2},
        {6, 7, 4, 34, {3, 2, 1, 2, 1, 0, 0, 1}, 2, 3, 2},
        {4, 4, 6, 4, {1, 1, 1, 1, 0, 0, 0, 0}, 1, 1, 2},
        {5, 4, 6, 4, {1, 1, 2, 3, 0, 0, 0, 0}, 1, 1, 2},
    };
    CHECK_ALL(cases);
}

TEST(conv_computes_depthwise)
{
    static const conv_case cases[] = {
        {7, 6, 2, 2, {3, 3, 1, 1, 1, 1, 1, 1}, 1, 1, 2},
        {5, 13, 19, 19, {3, 3, 1, 1, 1, 1, 1, 1}, 1, 1, 19},
        {4, 21, 3, 3, {1, 3, 1, 1, 0, 1, 0, 1}, 1, 1, 3},
        {9, 8, 3, 3, {3, 3, 2, 2, 1, 1, 1, 1}, 1, 1, 3},
        {8, 8, 2, 2, {3, 3, 2, 2, 0, 0, 1, 1}, 1, 1, 2},
        {7, 9, 2, 2, {5, 5, 1, 1, 2, 2, 2, 2}, 1, 1, 2},
        {9, 9, 2, 2, {5, 5, 2, 2, 2, 2, 2, 2}, 1, 1, 2},
        {6, 9, 2, 2, {2, 4, 3, 2, 1, 0, 0, 2}, 1, 1, 2},
        {4, 4, 3, 3, {1, 1, 1, 1, 0, 0, 0, 0}, 1, 1, 3},
        {5, 7, 3, 3, {1, 1, 2, 3, 0, 0, 0, 0}, 1, 1, 3},
        {1, 1, 4, 4, {3, 3, 1, 1, 1, 1, 1, 1}, 1, 1, 4},
        {2, 2, 2, 2, {5, 5, 1, 1, 3, 4, 4, 2}, 1, 1, 2},
    };
    CHECK_ALL(cases);
}

TEST(conv_computes_depthwise_with_dilation_and_stride)
{
    static const conv_case cases[] = {
        {7, 8, 2, 2, {3, 3, 1, 1, 2, 2, 2, 2}, 2, 2, 2},
        {9, 11, 2, 2, {3, 3, 2, 3, 2, 1, 0, 4}, 2, 2, 2},
        {11, 9, 2, 2, {3, 2, 4, 2, 3, 0, 1, 3}, 2, 3, 2},
        {9, 10, 2, 2, {2, 3, 3, 6, 0, 5, 0, 2}, 3, 4, 2},
        {3, 3, 2, 2, {2, 2, 1, 1, 3, 1, 2, 4}, 4, 5, 2},
        {1, 1, 2, 2, {2, 2, 1, 1, 2, 2, 2, 2}, 4, 4, 2},
    };
    CHECK_ALL(cases);
}

TEST(conv_computes_depthwise_with_a_channel_multiplier)
{
    static const conv_case cases[] = {
        {5, 6, 2, 6, {3, 3, 1, 1, 1, 1, 1, 1}, 1, 1, 2},
        {6, 5, 3, 6, {3, 2, 2, 1, 1, 0, 1, 0}, 1, 1, 3},
        {6, 7, 6, 18, {2, 2, 1, 2, 0, 0, 0, 1}, 2, 1, 6},
    };
    CHECK_ALL(cases);
}

// RELU and MAXPOOL are fused; a pool takes a depthwise to the general way.
TEST(conv_computes_a_pool_behind_every_kind)
{
    static const conv_case cases[] = {
        {7, 8, 2, 3, {3, 3, 1, 1, 1, 1, 1, 1}, 1, 1, 1},
        {8, 9, 2, 3, {3, 3, 1, 1, 0, 0, 0, 0}, 1, 1, 1},
        {5, 6, 2, 4, {1, 1, 1, 1, 0, 0, 0, 0}, 1, 1, 2},
        {9, 9, 1, 2, {3, 3, 2, 2, 1, 1, 1, 1}, 1, 1, 1},
        {7, 7, 2, 2, {3, 3, 1, 1, 2, 2, 2, 2}, 2, 2, 2},
        {6, 6, 3, 6, {3, 2, 1, 1, 1, 0, 1, 0}, 1, 1, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_conv(&cases[i], HAS_POOL | HAS_BIAS);
        check_conv(&cases[i], HAS_POOL | HAS_BIAS | HAS_RELU);
    }
}

/* ---- refusals ---- */

static void assert_refused(const conv_case *c, const char *what)
{
    fl_graph net = net_over(c->height, c->width, c->channels);
    fl_node node = node_of(c);
    node.input_count = 1;
    snprintf(node.name, sizeof node.name, "culprit");
    fl_reason why = {""};
    assert_err(fl_graph_add(&net, &node, true, NULL, &why), FL_ERR_FORMAT);
    assert_reason_names(why, "culprit");
    assert_reason_names(why, what);
    fl_graph_fini(&net);
}

TEST(conv_refuses_groups_that_do_not_divide_the_channels)
{
    const fl_window window = net_square(1, 1, 0);
    assert_refused(&(conv_case){4, 4, 6, 8, window, 1, 1, 4}, "6 input");
    assert_refused(&(conv_case){4, 4, 8, 6, window, 1, 1, 4}, "6 output");
    assert_refused(&(conv_case){4, 4, 2, 2, window, 1, 1, 3}, "3 groups");
}

TEST(conv_refuses_windows_that_do_not_fit)
{
    assert_refused(&(conv_case){4, 4, 1, 1, net_square(3, 1, 0), 2, 1, 1},
                   "dilation 2x1");
    assert_refused(&(conv_case){4, 4, 1, 1, net_square(2, 1, 0), 1, 4, 1},
                   "dilation 1x4");
    assert_refused(&(conv_case){9, 9, 1, 1, net_square(3, 1, 5), 2, 2, 1},
                   "padding");
    assert_refused(&(conv_case){9, 9, 1, 1, net_square(0, 1, 0), 1, 1, 1},
                   "kernel");
    assert_refused(&(conv_case){9, 9, 1, 1, net_square(1, 0, 0), 1, 1, 1},
                   "stride");
    assert_refused(&(conv_case){9, 9, 1, 0, net_square(1, 1, 0), 1, 1, 1},
                   "output");
}

TEST(conv_refuses_padding_without_end)
{
    const uint32_t huge = UINT32_MAX / 2;
    fl_graph net = net_over(9, 9, 1);
    const fl_node node = {
        .op = FL_OP_CONV,
        .name = "culprit",
        .input_count = 1,
        .out_count = 1,
        .window = net_square(2, 1, huge),
        .dilation_h = huge,
        .dilation_w = huge,
    };
    fl_reason why = {""};
    assert_err(fl_graph_add(&net, &node, true, NULL, &why), FL_ERR_LIMIT);
    assert_reason_names(why, "culprit");
    fl_graph_fini(&net);
}

RUN_TESTS(
    cmocka_unit_test(conv_computes_odd_shapes),
    cmocka_unit_test(conv_computes_all_pixels_of_a_batch_at_once),
    cmocka_unit_test(conv_computes_rows_of_every_length),
    cmocka_unit_test(conv_computes_short_rows_of_many_examples_across_these),
    cmocka_unit_test(conv_computes_an_activation_behind_short_rows),
    cmocka_unit_test(conv_computes_dilations),
    cmocka_unit_test(conv_computes_groups),
    cmocka_unit_test(conv_computes_depthwise),
    cmocka_unit_test(conv_computes_depthwise_with_dilation_and_stride),
    cmocka_unit_test(conv_computes_depthwise_with_a_channel_multiplier),
    cmocka_unit_test(conv_computes_a_pool_behind_every_kind),
    cmocka_unit_test(conv_refuses_groups_that_do_not_divide_the_channels),
    cmocka_unit_test(conv_refuses_windows_that_do_not_fit),
    cmocka_unit_test(conv_refuses_padding_without_end))
