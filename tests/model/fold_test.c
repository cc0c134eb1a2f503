/*
 * Folding: networks with batch norms and dropouts in every place compute the
 * same without them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "model/graph.h"
#include "model/model.h"
#include "tests/support/naive.h"
#include "tests/support/nets.h"
#include "tests/test.h"

enum { COUNT = 2 };  // examples

static uint32_t add_norm(fl_graph *net)
{
    return net_add(net, (fl_node){.op = FL_OP_BATCHNORM, .epsilon = 1e-3F},
                   false, NULL);
}

static uint32_t add_dropout(fl_graph *net)
{
    // A ratio of 0, since the oracle drops always, as in training.
    return net_add(net, (fl_node){.op = FL_OP_DROPOUT}, false, NULL);
}

static uint32_t add_pair(fl_graph *net, fl_op_kind op, uint32_t a, uint32_t b)
{
    return net_add(net, (fl_node){.op = op, .input_count = 2, .inputs = {a, b}},
                   false, NULL);
}

// Reads `input`, not the last value.
static uint32_t add_on(fl_graph *net, fl_op_kind op, uint32_t input)
{
    return net_add(
        net,
        (fl_node){
            .op = op, .input_count = 1, .inputs = {input}, .epsilon = 1e-3F},
        false, NULL);
}

static void draw_stats(float *params, const fl_node *node, fl_random *random)
{
    for (size_t i = node->stats_count / 2; i < node->stats_count; i++) {
        params[node->stats_at + i] = 0.1F + fl_random_float(random);
    }
}

// A model around the net, which it takes, with parameters from -1/2 to 1/2.
static fl_model model_of(fl_graph net, uint64_t seed)
{
    fl_model model = {net, calloc(net.param_count + 1, sizeof(float))};
    assert_non_null(model.params);
    fl_random random;
    fl_random_init(&random, seed, FL_RANDOM_TEST, 0);
    for (size_t i = 0; i < net.param_count; i++)
        model.params[i] = fl_random_float(&random) - 0.5F;
    for (uint32_t i = 0; i < net.node_count; i++)
        draw_stats(model.params, &net.nodes[i], &random);
    return model;
}

static void fini(fl_model *model)
{
    fl_graph_fini(&model->graph);
    free(model->params);
}

/* ---- comparing ---- */

static double *compute(const fl_model *model, const double *x)
{
    const size_t classes = fl_model_class_count(model);
    double *params = calloc(model->graph.param_count + 1, sizeof *params);
    double *logits = calloc(COUNT * classes, sizeof *logits);
    assert_true(params && logits);
    for (size_t i = 0; i < model->graph.param_count; i++)
        params[i] = (double)model->params[i];
    naive_forward(logits, &model->graph, params, x, COUNT, true);
    free(params);
    return logits;
}

static void assert_same_function(const fl_model *model, const fl_model *folded)
{
    const size_t x_size = fl_shape_size(fl_model_input(model));
    double *x = calloc(COUNT * x_size, sizeof *x);
    assert_non_null(x);
    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_TEST, 1);
    for (size_t i = 0; i < COUNT * x_size; i++)
        x[i] = fl_random_double(&random) - 0.5;
    double *expected = compute(model, x), *got = compute(folded, x);
    for (size_t i = 0; i < COUNT * fl_model_class_count(model); i++) {
        if (fabs(got[i] - expected[i]) <= 1e-5 * (1.0 + fabs(expected[i])))
            continue;
        print_error("logit %zu is %.9g, not %.9g\n", i, got[i], expected[i]);
        fail();
    }
    free(x);
    free(expected);
    free(got);
}

static uint32_t count_ops(const fl_model *model, fl_op_kind op)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < model->graph.node_count; i++)
        count += model->graph.nodes[i].op == op;
    return count;
}

static fl_model *fold(const fl_model *model)
{
    fl_model *folded = NULL;
    fl_reason why = {""};
    const fl_err err = fl_model_fold(&folded, model, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
    assert_int_equal(count_ops(folded, FL_OP_BATCHNORM), 0);
    assert_int_equal(count_ops(folded, FL_OP_DROPOUT), 0);
    assert_same_function(model, folded);
    return folded;
}

// Folds the net, frees it, and counts what is left.
static void check(fl_graph net, uint32_t node_count)
{
    fl_model model = model_of(net, 2);
    fl_model *folded = fold(&model);
    assert_int_equal(folded->graph.node_count, node_count);
    fl_model_free(folded);
    fini(&model);
}

/* ---- places of a batch norm ---- */

TEST(fold_puts_a_norm_into_the_layer_before_it)
{
    for (int has_bias = 0; has_bias < 2; has_bias++) {
        fl_graph net = net_over(6, 5, 3);
        net_add_conv(&net, 4, net_square(3, 1, 1), has_bias);
        add_norm(&net);
        net_add_plain(&net, FL_OP_RELU);
        net_add_dense(&net, 3);
        add_norm(&net);
        check(net, 4);
    }
}

TEST(fold_puts_a_norm_into_a_depthwise_convolution)
{
    fl_graph net = net_over(6, 5, 3);
    net_add(&net,
            (fl_node){.op = FL_OP_CONV,
                      .out_count = 6,
                      .group_count = 3,
                      .window = net_square(3, 2, 1)},
            false, NULL);
    add_norm(&net);
    check(net, 2);
}

TEST(fold_makes_a_lonely_norm_a_depthwise_convolution)
{
    fl_graph net = net_over(4, 4, 5);
    add_norm(&net);
    net_add_plain(&net, FL_OP_RELU);
    add_norm(&net);
    net_add_pool(&net, net_square(2, 2, 0));
    add_norm(&net);
    net_add_plain(&net, FL_OP_FLATTEN);
    add_norm(&net);

    fl_model model = model_of(net, 3);
    fl_model *folded = fold(&model);
    assert_int_equal(count_ops(folded, FL_OP_CONV), 4);
    const fl_node *first = &folded->graph.nodes[1];
    assert_int_equal(first->group_count, 5);
    assert_int_equal(first->weight_count, 5);
    assert_int_equal(first->bias_count, 5);
    assert_string_equal(first->name, "n1");
    fl_model_free(folded);
    fini(&model);
}

TEST(fold_takes_a_row_of_norms_with_one_rounding)
{
    fl_graph net = net_over(1, 1, 1);
    net_add_conv(&net, 1, net_square(1, 1, 0), true);
    add_norm(&net);
    add_norm(&net);
    fl_model model = model_of(net, 4);
    const fl_node *nodes = model.graph.nodes;
    double weight = (double)model.params[nodes[1].weight_at];
    double bias = (double)model.params[nodes[1].bias_at];
    double factor = 1.0, offset = 0.0;
    for (uint32_t i = 2; i < 4; i++) {
        const float *stats = model.params + nodes[i].stats_at;
        const double a = (double)model.params[nodes[i].weight_at] /
                         sqrt((double)stats[1] + (double)nodes[i].epsilon);
        factor *= a;
        offset = a * (offset - (double)stats[0]) +
                 (double)model.params[nodes[i].bias_at];
    }
    fl_model *folded = fold(&model);
    assert_int_equal(folded->graph.node_count, 2);
    const float expected[] = {(float)(weight * factor),
                              (float)(bias * factor + offset)};
    assert_memory_equal(folded->params, expected, sizeof expected);
    fl_model_free(folded);
    fini(&model);
}

TEST(fold_spares_a_layer_whose_value_others_read_too)
{
    fl_graph net = net_over(4, 4, 2);
    const uint32_t conv = net_add_conv(&net, 2, net_square(3, 1, 1), true);
    const uint32_t norm = add_norm(&net);
    add_pair(&net, FL_OP_ADD, conv, norm);
    check(net, 4);

    // The other reader may be hidden behind dropouts.
    net = net_over(4, 4, 2);
    const uint32_t shared = net_add_conv(&net, 2, net_square(3, 1, 1), true);
    add_dropout(&net);
    const uint32_t behind = add_norm(&net);
    add_pair(&net, FL_OP_ADD, behind, shared);
    check(net, 4);

    // A norm with two readers takes no second one either.
    net = net_over(4, 4, 2);
    net_add_conv(&net, 2, net_square(3, 1, 1), true);
    const uint32_t first = add_norm(&net);
    const uint32_t second = add_norm(&net);
    add_pair(&net, FL_OP_ADD, first, second);
    check(net, 4);
}

TEST(fold_sees_the_only_reader_behind_dropouts)
{
    fl_graph net = net_over(4, 4, 2);
    net_add_conv(&net, 2, net_square(3, 1, 1), true);
    add_dropout(&net);
    add_dropout(&net);
    add_norm(&net);
    add_dropout(&net);
    check(net, 2);
}

TEST(fold_drops_what_the_logits_do_not_need)
{
    fl_graph net = net_over(4, 4, 2);
    const uint32_t conv = net_add_conv(&net, 2, net_square(3, 1, 1), true);
    add_on(&net, FL_OP_RELU, conv);       // nobody reads it
    add_on(&net, FL_OP_BATCHNORM, conv);  // nor this
    add_on(&net, FL_OP_BATCHNORM, conv);
    check(net, 2);
}

// A net whose shape the numbers decide: rows of layers, branches, residuals.
static fl_graph random_net(fl_random *random)
{
    fl_graph net = net_over(6, 6, 2);
    uint32_t other = 0;  // an earlier value of the same shape
    for (uint32_t i = 0; i < 14; i++) {
        const uint32_t last = net.node_count - 1;
        switch (fl_random_below(random, 7)) {
        case 0: net_add_conv(&net, 2, net_square(3, 1, 1), i % 2 == 0); break;
        case 1: net_add_plain(&net, FL_OP_RELU); break;
        case 2: add_dropout(&net); break;
        case 3: add_pair(&net, FL_OP_ADD, last, other); break;
        case 4: other = last; break;
        default: add_norm(&net);
        }
    }
    net_add_dense(&net, 3);
    if (fl_random_below(random, 2) == 0) add_norm(&net);
    return net;
}

TEST(fold_keeps_the_function_of_random_networks)
{
    fl_random random;
    fl_random_init(&random, 5, FL_RANDOM_TEST, 0);
    for (uint64_t seed = 0; seed < 200; seed++) {
        fl_model model = model_of(random_net(&random), seed);
        fl_model_free(fold(&model));
        fini(&model);
    }
}

TEST(fold_copies_a_model_without_norms)
{
    const float mean[] = {0.5F, 0.25F}, deviation[] = {2.0F, 3.0F};
    fl_graph net = net_over(6, 6, 2);
    net_add(&net, (fl_node){.op = FL_OP_SUB}, false, mean);
    net_add(&net, (fl_node){.op = FL_OP_DIV}, false, deviation);
    net_add_conv(&net, 4, net_square(3, 1, 0), true);
    net_add_plain(&net, FL_OP_RELU);
    net_add_pool(&net, net_square(2, 2, 0));
    net_add_dense(&net, 3);
    fl_model model = model_of(net, 6);
    fl_model *folded = fold(&model);
    assert_int_equal(folded->graph.node_count, model.graph.node_count);
    assert_int_equal(folded->graph.param_count, model.graph.param_count);
    assert_memory_equal(folded->params, model.params,
                        model.graph.param_count * sizeof(float));
    for (uint32_t i = 0; i < model.graph.node_count; i++) {
        const fl_node *a = &model.graph.nodes[i], *b = &folded->graph.nodes[i];
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->op, b->op);
        assert_int_equal(a->weight_at, b->weight_at);
        assert_int_equal(a->bias_count, b->bias_count);
    }
    assert_memory_equal(folded->graph.constants, model.graph.constants,
                        model.graph.constant_count * sizeof(float));
    fl_model_free(folded);
    fini(&model);
}

TEST(fold_refuses_a_variance_that_cannot_be)
{
    static const struct {
        float variance, epsilon;
    } cases[] = {{-0.5F, 1.0F}, {NAN, 1.0F}, {0.0F, 0.0F}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_graph net = net_over(2, 2, 2);
        net_add_plain(&net, FL_OP_RELU);
        add_norm(&net);
        fl_model model = model_of(net, 7);
        fl_node *norm = &model.graph.nodes[2];
        norm->epsilon = cases[i].epsilon;
        model.params[norm->stats_at + 3] = cases[i].variance;
        fl_model *folded = NULL;
        fl_reason why = {""};
        assert_err(fl_model_fold(&folded, &model, &why), FL_ERR_RANGE);
        assert_null(folded);
        assert_reason_names(why, "n2");
        assert_reason_names(why, "channel 1");
        fini(&model);
    }
}

RUN_TESTS(cmocka_unit_test(fold_puts_a_norm_into_the_layer_before_it),
          cmocka_unit_test(fold_puts_a_norm_into_a_depthwise_convolution),
          cmocka_unit_test(fold_makes_a_lonely_norm_a_depthwise_convolution),
          cmocka_unit_test(fold_takes_a_row_of_norms_with_one_rounding),
          cmocka_unit_test(fold_spares_a_layer_whose_value_others_read_too),
          cmocka_unit_test(fold_sees_the_only_reader_behind_dropouts),
          cmocka_unit_test(fold_drops_what_the_logits_do_not_need),
          cmocka_unit_test(fold_keeps_the_function_of_random_networks),
          cmocka_unit_test(fold_copies_a_model_without_norms),
          cmocka_unit_test(fold_refuses_a_variance_that_cannot_be))
