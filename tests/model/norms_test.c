/*
 * Normalisation and dropout against the oracle, and what they refuse.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "model/plan.h"
#include "tests/support/nets.h"
#include "tests/test.h"

/* ---- against the oracle ---- */

// A layer in front makes the gradient of the norm's input matter, one behind
// it that of its output.
static void check_between_layers(uint32_t side, uint32_t channels, fl_node norm,
                                 fl_op_kind act)
{
    fl_graph net = net_over(side, side, 2);
    net_add_conv(&net, channels, net_square(1, 1, 0), true);
    net_add(&net, norm, false, NULL);
    if (act != FL_OP_INPUT) {
        net_add(&net, (fl_node){.op = act, .alpha = 0.25F, .beta = 0.5F}, false,
                NULL);
    }
    net_add_dense(&net, 2);
    net_check(&net);
}

TEST(batchnorm_follows_its_definition_for_any_number_of_channels)
{
    const uint32_t channels[] = {1, 3, 5, 8, 15, 16, 24, 33, 40};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        const uint32_t side = channels[i] < 6 ? 7 : 2;
        check_between_layers(side, channels[i],
                             (fl_node){.op = FL_OP_BATCHNORM},
                             i % 2 ? FL_OP_RELU : FL_OP_INPUT);
    }
}

TEST(batchnorm_applies_the_activation_behind_it)
{
    static const fl_op_kind acts[] = {
        FL_OP_RELU,         FL_OP_RELU6,   FL_OP_LEAKY_RELU, FL_OP_HARD_SWISH,
        FL_OP_HARD_SIGMOID, FL_OP_SIGMOID, FL_OP_TANH,
    };
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        check_between_layers(3, 5, (fl_node){.op = FL_OP_BATCHNORM}, acts[i]);
        check_between_layers(2, 3, (fl_node){.op = FL_OP_GROUPNORM}, acts[i]);
    }
}

// More channels than fit on the stack at once.
static void check_wide(fl_node norm, fl_op_kind act)
{
    enum { WIDE = 261 };
    fl_graph net = net_over(1, 1, 1);
    net_add(&net,
            (fl_node){.op = FL_OP_CONV,
                      .out_count = WIDE,
                      .window = net_square(1, 1, 0)},
            false, NULL);
    net_add(&net, norm, false, NULL);
    net_add_plain(&net, act);
    net_add_conv(&net, 1, net_square(1, 1, 0), false);
    net_check(&net);
}

TEST(norms_take_more_channels_than_a_chunk_has)
{
    check_wide((fl_node){.op = FL_OP_BATCHNORM}, FL_OP_RELU6);
    check_wide((fl_node){.op = FL_OP_GROUPNORM, .group_count = 3},
               FL_OP_HARD_SWISH);
}

TEST(batchnorm_adds_to_a_gradient_that_is_there)
{
    fl_graph net = net_over(3, 3, 2);
    const uint32_t x = net_add_conv(&net, 5, net_square(1, 1, 0), true);
    const uint32_t a = net_add_plain(&net, FL_OP_BATCHNORM);
    const uint32_t b = net_add(&net,
                               (fl_node){.op = FL_OP_GROUPNORM,
                                         .inputs = {x},
                                         .input_count = 1,
                                         .group_count = 5},
                               false, NULL);
    const uint32_t c = net_add(
        &net, (fl_node){.op = FL_OP_ADD, .inputs = {a, b}, .input_count = 2},
        false, NULL);
    net_add(&net,
            (fl_node){.op = FL_OP_ADD, .inputs = {c, x}, .input_count = 2},
            false, NULL);
    net_add_plain(&net, FL_OP_L2NORM);
    net_add_dense(&net, 2);
    net_check(&net);
}

TEST(batchnorm_runs_on_the_input_itself_and_twice_in_a_row)
{
    fl_graph net = net_over(4, 3, 3);
    net_add_plain(&net, FL_OP_BATCHNORM);
    net_add_plain(&net, FL_OP_RELU);
    net_add(&net, (fl_node){.op = FL_OP_BATCHNORM, .epsilon = 0.5F}, false,
            NULL);
    net_add_dense(&net, 3);
    net_check(&net);
}

TEST(groupnorm_follows_its_definition_for_all_groups)
{
    const uint32_t cases[][2] = {{1, 1}, {4, 1},  {4, 2},  {4, 4},
                                 {6, 3}, {15, 5}, {16, 4}, {24, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_between_layers(
            3, cases[i][0],
            (fl_node){.op = FL_OP_GROUPNORM, .group_count = cases[i][1]},
            i % 2 ? FL_OP_RELU : FL_OP_INPUT);
    }
}

TEST(l2norm_follows_its_definition)
{
    const uint32_t channels[] = {1, 3, 17, 40};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        check_between_layers(2, channels[i], (fl_node){.op = FL_OP_L2NORM},
                             FL_OP_INPUT);
        // Longer than any pixel: epsilon divides.
        check_between_layers(2, channels[i],
                             (fl_node){.op = FL_OP_L2NORM, .epsilon = 100.0F},
                             FL_OP_INPUT);
    }
}

TEST(dropout_follows_its_random_numbers)
{
    const float ratios[] = {0.0F, 0.3F, 0.9F};
    for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
        const fl_node dropout = {.op = FL_OP_DROPOUT, .alpha = ratios[i]};
        fl_graph net = net_over(1, 1, 5);
        net_add_dense(&net, 70);
        net_add(&net, dropout, false, NULL);
        net_add_plain(&net, FL_OP_RELU);
        net_add(&net, dropout, false, NULL);
        net_add_dense(&net, 3);
        net_check(&net);
    }
}

/* ---- one operator alone ---- */

enum { ROWS = 512, PIXELS = 6 * 6, CHANNELS = 5 };

static fl_plan *plan_for(const fl_graph *net, uint32_t batch,
                         bool with_gradients)
{
    fl_plan *plan = NULL;
    const fl_plan_options options = {.batch_cap = batch,
                                     .with_gradients = with_gradients};
    assert_ok(fl_plan_new(&plan, net, fl_kernels_at(0), &options, NULL));
    return plan;
}

TEST(batchnorm_keeps_its_digits_far_from_zero)
{
    enum { COUNT = ROWS * PIXELS * CHANNELS };
    fl_graph net = net_over(6, 6, CHANNELS);
    net_add_plain(&net, FL_OP_BATCHNORM);
    fl_plan *plan = plan_for(&net, ROWS, true);
    float params[4 * CHANNELS] = {0}, grads[4 * CHANNELS] = {0};
    for (uint32_t c = 0; c < CHANNELS; c++)
        params[c] = 1.0F;

    float *x = fl_plan_input(plan, 0);
    double sum = 0.0, squares = 0.0;
    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_TEST, 0);
    for (size_t i = 0; i < COUNT; i++) {
        x[i] = 1000.0F + (float)fl_random_normal(&random) * 0.125F;
    }
    x[0] = 0.0F;  // a first pixel that is not like the others
    const double count = ROWS * PIXELS;
    for (size_t i = 0; i < COUNT; i += CHANNELS)
        sum += (double)x[i];
    for (size_t i = 0; i < COUNT; i += CHANNELS)
        squares += pow((double)x[i] - sum / count, 2.0);

    const fl_plan_batch batch = {.count = ROWS};
    fl_plan_load(plan, 0, params);
    fl_plan_forward(plan, 0, &batch);
    memset(fl_plan_logits_grad(plan, 0), 0, COUNT * sizeof(float));
    fl_plan_backward(plan, 0, grads, &batch);
    assert_true(fabs((double)grads[2 * CHANNELS] - sum / count) < 1e-4);
    const double variance = squares / (count - 1.0);
    assert_true(fabs((double)grads[3 * CHANNELS] / variance - 1.0) < 1e-4);
    for (uint32_t c = 1; c < CHANNELS; c++) {
        const double usual = 0.125 * 0.125;
        assert_true(fabs((double)grads[3 * CHANNELS + c] / usual - 1) < 0.05);
    }
    fl_plan_free(plan);
    fl_graph_fini(&net);
}

TEST(batchnorm_of_a_single_value_has_no_variance)
{
    fl_graph net = net_over(1, 1, 2);
    net_add_plain(&net, FL_OP_BATCHNORM);
    fl_plan *plan = plan_for(&net, 4, true);
    const float params[8] = {1.0F, 1.0F, 0.25F, -0.5F, 0.0F, 0.0F, 1.0F, 1.0F};
    float grads[8] = {0};
    const fl_plan_batch batch = {.count = 1};
    fl_plan_input(plan, 0)[0] = 3.0F;
    fl_plan_input(plan, 0)[1] = -7.0F;
    fl_plan_load(plan, 0, params);
    fl_plan_forward(plan, 0, &batch);
    assert_float_equal(fl_plan_logits(plan, 0)[0], 0.25F, 0.0F);
    assert_float_equal(fl_plan_logits(plan, 0)[1], -0.5F, 0.0F);
    fl_plan_logits_grad(plan, 0)[0] = fl_plan_logits_grad(plan, 0)[1] = 1.0F;
    fl_plan_backward(plan, 0, grads, &batch);
    const float expected[8] = {0.0F, 0.0F, 1.0F, 1.0F, 3.0F, -7.0F, 0.0F, 0.0F};
    for (size_t i = 0; i < 8; i++)
        assert_float_equal(grads[i], expected[i], 0.0F);
    fl_plan_free(plan);
    fl_graph_fini(&net);
}

TEST(batchnorm_shows_nan_behind_every_activation)
{
    static const fl_op_kind acts[] = {FL_OP_RELU, FL_OP_RELU6, FL_OP_HARD_SWISH,
                                      FL_OP_BATCHNORM};
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        fl_graph net = net_over(1, 1, 1);
        net_add_plain(&net, FL_OP_BATCHNORM);
        net_add_plain(&net, acts[i]);
        fl_plan *plan = plan_for(&net, 8, true);
        const float params[8] = {1, 0, 0, 1, 1, 0, 0, 1};
        for (size_t n = 0; n < 8; n++)
            fl_plan_input(plan, 0)[n] = n == 5 ? NAN : 1.0F;
        fl_plan_load(plan, 0, params);
        fl_plan_forward(plan, 0, &(fl_plan_batch){.count = 8});
        assert_true(isnan(fl_plan_logits(plan, 0)[5]));
        fl_plan_free(plan);
        fl_graph_fini(&net);
    }
}

static void run_dropout(float *y, const fl_graph *net, uint64_t draw,
                        bool with_gradients)
{
    fl_plan *plan = plan_for(net, 2, with_gradients);
    const fl_plan_batch batch = {.count = 2, .draw = draw};
    for (size_t i = 0; i < (size_t)2 * ROWS; i++)
        fl_plan_input(plan, 0)[i] = 1.0F;
    fl_plan_load(plan, 0, NULL);
    fl_plan_forward(plan, 0, &batch);
    memcpy(y, fl_plan_logits(plan, 0), 2 * ROWS * sizeof *y);
    fl_plan_free(plan);
}

TEST(dropout_drops_its_share_and_only_when_there_is_a_draw)
{
    fl_graph net = net_over(1, 1, ROWS);
    net_add(&net, (fl_node){.op = FL_OP_DROPOUT, .alpha = 0.25F}, false, NULL);
    float y[2 * ROWS], other[2 * ROWS];
    run_dropout(y, &net, 5, true);
    unsigned dropped = 0;
    for (size_t i = 0; i < (size_t)2 * ROWS; i++) {
        const bool is_kept = y[i] > 0.0F;
        assert_float_equal(y[i], is_kept ? 1.0F / 0.75F : 0.0F, 0.0F);
        dropped += !is_kept;
    }
    assert_in_range(dropped, 200, 312);
    assert_memory_not_equal(y, y + ROWS, ROWS * sizeof *y);
    run_dropout(other, &net, 5, false);
    assert_memory_equal(y, other, sizeof y);
    run_dropout(other, &net, 6, true);
    assert_memory_not_equal(y, other, sizeof y);
    run_dropout(other, &net, 0, true);
    for (size_t i = 0; i < (size_t)2 * ROWS; i++)
        assert_float_equal(other[i], 1.0F, 0.0F);
    fl_graph_fini(&net);
}

// A draw of 0 through backward too.
TEST(dropout_passes_all_gradients_when_nothing_is_dropped)
{
    fl_graph net = net_over(1, 1, 3);
    net_add_dense(&net, 40);
    net_add(&net, (fl_node){.op = FL_OP_DROPOUT, .alpha = 0.5F}, false, NULL);
    fl_plan *plan = plan_for(&net, 1, true);
    float params[160] = {0}, grads[160] = {0};
    const fl_plan_batch batch = {.count = 1};
    fl_plan_load(plan, 0, params);
    fl_plan_forward(plan, 0, &batch);
    for (size_t i = 0; i < 40; i++)
        fl_plan_logits_grad(plan, 0)[i] = (float)i;
    fl_plan_backward(plan, 0, grads, &batch);
    for (size_t i = 0; i < 40; i++)
        assert_float_equal(grads[120 + i], (float)i, 0.0F);
    fl_plan_free(plan);
    fl_graph_fini(&net);
}

TEST(l2norm_of_zeros_is_zero)
{
    fl_graph net = net_over(1, 1, 4);
    net_add_plain(&net, FL_OP_L2NORM);
    fl_plan *plan = plan_for(&net, 1, false);
    memset(fl_plan_input(plan, 0), 0, 4 * sizeof(float));
    fl_plan_load(plan, 0, NULL);
    fl_plan_forward(plan, 0, &(fl_plan_batch){.count = 1});
    for (size_t i = 0; i < 4; i++)
        assert_float_equal(fl_plan_logits(plan, 0)[i], 0.0F, 0.0F);
    fl_plan_free(plan);
    fl_graph_fini(&net);
}

/* ---- what shape fills in and refuses ---- */

static void check_refusal(fl_node node, const char *named)
{
    fl_graph net = net_over(2, 2, 6);
    fl_reason why = {""};
    snprintf(node.name, sizeof node.name, "stage1.norm");
    node.input_count = 1;
    assert_err(fl_graph_add(&net, &node, false, NULL, &why), FL_ERR_FORMAT);
    assert_reason_names(why, "stage1.norm");
    assert_reason_names(why, named);
    assert_int_equal(net.node_count, 1);
    fl_graph_fini(&net);
}

TEST(norms_refuse_what_is_outside_its_range)
{
    static const fl_op_kind with_epsilon[] = {FL_OP_BATCHNORM, FL_OP_GROUPNORM,
                                              FL_OP_L2NORM};
    const float bad[] = {-1e-5F, NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        for (size_t k = 0; k < 3; k++) {
            check_refusal((fl_node){.op = with_epsilon[k], .epsilon = bad[i]},
                          "epsilon");
        }
        check_refusal((fl_node){.op = FL_OP_BATCHNORM, .momentum = bad[i]},
                      "momentum");
        check_refusal((fl_node){.op = FL_OP_DROPOUT, .alpha = bad[i]}, "ratio");
    }
    check_refusal((fl_node){.op = FL_OP_BATCHNORM, .momentum = 1.5F},
                  "momentum");
    check_refusal((fl_node){.op = FL_OP_DROPOUT, .alpha = 1.0F}, "ratio");
    check_refusal((fl_node){.op = FL_OP_GROUPNORM, .group_count = 4},
                  "6 channels");
    check_refusal((fl_node){.op = FL_OP_GROUPNORM, .group_count = 7},
                  "7 groups");
}

TEST(norms_have_the_usual_defaults)
{
    fl_graph net = net_over(2, 2, 6);
    net_add_plain(&net, FL_OP_BATCHNORM);
    net_add_plain(&net, FL_OP_GROUPNORM);
    net_add_plain(&net, FL_OP_L2NORM);
    assert_float_equal(net.nodes[1].epsilon, 1e-5F, 0.0F);
    assert_float_equal(net.nodes[1].momentum, 0.1F, 0.0F);
    assert_int_equal(net.nodes[1].weight_count, 6);
    assert_int_equal(net.nodes[1].bias_count, 6);
    assert_int_equal(net.nodes[1].stats_count, 12);
    assert_float_equal(net.nodes[2].epsilon, 1e-5F, 0.0F);
    assert_int_equal(net.nodes[2].group_count, 1);
    assert_int_equal(net.nodes[2].stats_count, 0);
    assert_float_equal(net.nodes[3].epsilon, 1e-12F, 0.0F);
    assert_int_equal(net.nodes[3].weight_count, 0);
    fl_graph_fini(&net);
}

RUN_TESTS(
    cmocka_unit_test(
        batchnorm_follows_its_definition_for_any_number_of_channels),
    cmocka_unit_test(batchnorm_applies_the_activation_behind_it),
    cmocka_unit_test(norms_take_more_channels_than_a_chunk_has),
    cmocka_unit_test(batchnorm_adds_to_a_gradient_that_is_there),
    cmocka_unit_test(batchnorm_runs_on_the_input_itself_and_twice_in_a_row),
    cmocka_unit_test(groupnorm_follows_its_definition_for_all_groups),
    cmocka_unit_test(l2norm_follows_its_definition),
    cmocka_unit_test(dropout_follows_its_random_numbers),
    cmocka_unit_test(batchnorm_keeps_its_digits_far_from_zero),
    cmocka_unit_test(batchnorm_of_a_single_value_has_no_variance),
    cmocka_unit_test(batchnorm_shows_nan_behind_every_activation),
    cmocka_unit_test(dropout_drops_its_share_and_only_when_there_is_a_draw),
    cmocka_unit_test(dropout_passes_all_gradients_when_nothing_is_dropped),
    cmocka_unit_test(l2norm_of_zeros_is_zero),
    cmocka_unit_test(norms_refuse_what_is_outside_its_range),
    cmocka_unit_test(norms_have_the_usual_defaults))
