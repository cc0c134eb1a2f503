/*
 * Every operator against the oracle, forward and backward, with every set of
 * kernels that this CPU has.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/plan.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "model/loss.h"
#include "model/model.h"
#include "tests/support/naive.h"
#include "tests/test.h"

enum { COUNT = 3, SEED = 7 };  // COUNT: examples of a batch

// Appends a node; without inputs of its own, behind the last one.
static void add(fl_graph *net, fl_node node, bool has_bias,
                const float *constants)
{
    fl_reason why = {""};
    snprintf(node.name, sizeof node.name, "n%u", net->node_count);
    if (node.op != FL_OP_INPUT && node.input_count == 0) {
        node.input_count = 1;
        node.inputs[0] = net->node_count - 1;
    }
    const fl_err err = fl_graph_add(net, &node, has_bias, constants, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
}

static fl_graph net_over(uint32_t height, uint32_t width, uint32_t channels)
{
    fl_graph net = {0};
    add(&net, (fl_node){.op = FL_OP_INPUT, .shape = {height, width, channels}},
        false, NULL);
    return net;
}

static void add_conv(fl_graph *net, uint32_t channels, fl_window window,
                     bool has_bias)
{
    add(net,
        (fl_node){.op = FL_OP_CONV, .out_count = channels, .window = window},
        has_bias, NULL);
}

static void add_dense(fl_graph *net, uint32_t outputs)
{
    add(net, (fl_node){.op = FL_OP_DENSE, .out_count = outputs}, true, NULL);
}

static void add_plain(fl_graph *net, fl_op_kind op)
{
    add(net, (fl_node){.op = op}, false, NULL);
}

static void add_pool(fl_graph *net, fl_window window)
{
    add(net, (fl_node){.op = FL_OP_MAXPOOL, .window = window}, false, NULL);
}

static fl_window square(uint32_t kernel, uint32_t stride, uint32_t pad)
{
    return (fl_window){kernel, kernel, stride, stride, pad, pad, pad, pad};
}

/* ---- comparing ---- */

typedef struct {
    float *params, *grads;
    double *params_exact, *grads_exact;
    double *x;
    uint32_t labels[COUNT];
    size_t x_size, classes;
} batch;

static batch batch_for(const fl_graph *graph)
{
    const fl_node *last = &graph->nodes[graph->node_count - 1];
    batch b = {
        .x_size = fl_shape_size(graph->nodes[0].shape),
        .classes = fl_shape_size(last->shape),
    };
    b.params = calloc(graph->param_count, sizeof(float));
    b.grads = calloc(graph->param_count, sizeof(float));
    b.params_exact = calloc(graph->param_count, sizeof(double));
    b.grads_exact = calloc(graph->param_count, sizeof(double));
    b.x = calloc(COUNT * b.x_size, sizeof(double));
    assert_true(b.params && b.grads && b.params_exact && b.grads_exact && b.x);

    fl_random random;
    fl_random_init(&random, SEED, FL_RANDOM_TEST, 0);
    for (size_t i = 0; i < graph->param_count; i++) {
        b.params[i] = fl_random_float(&random) - 0.5F;
        b.params_exact[i] = (double)b.params[i];
    }
    for (size_t i = 0; i < COUNT * b.x_size; i++)
        b.x[i] = (double)(fl_random_float(&random) - 0.5F);
    for (size_t i = 0; i < COUNT; i++)
        b.labels[i] = fl_random_below(&random, (uint32_t)b.classes);
    return b;
}

static void batch_free(batch *b)
{
    free(b->params);
    free(b->grads);
    free(b->params_exact);
    free(b->grads_exact);
    free(b->x);
}

static void assert_close(const char *what, const char *kernels, size_t i,
                         float got, double expected)
{
    const double allowed = 2e-5 * (1.0 + fabs(expected));
    if (fabs((double)got - expected) <= allowed) return;
    print_error("%s[%zu] with %s is %.9g, not %.9g\n", what, i, kernels,
                (double)got, expected);
    fail();
}

static void compare_forward(fl_plan *plan, const batch *b, const char *name)
{
    double *logits = calloc(COUNT * b->classes, sizeof *logits);
    assert_non_null(logits);
    naive_forward(logits, fl_plan_graph(plan), b->params_exact, b->x, COUNT);
    for (size_t i = 0; i < COUNT * b->x_size; i++)
        fl_plan_input(plan)[i] = (float)b->x[i];
    fl_plan_load(plan, b->params);
    fl_plan_forward(plan, COUNT);
    for (size_t i = 0; i < COUNT * b->classes; i++)
        assert_close("logit", name, i, fl_plan_logits(plan)[i], logits[i]);
    free(logits);
}

static void compare_backward(fl_plan *plan, batch *b, const char *name)
{
    const fl_graph *graph = fl_plan_graph(plan);
    fl_metrics metrics = {0};
    fl_loss_add(&metrics, fl_plan_logits_grad(plan), fl_plan_logits(plan),
                b->labels, COUNT, (uint32_t)b->classes);
    memset(b->grads, 0, graph->param_count * sizeof(float));
    fl_plan_backward(plan, b->grads, COUNT);
    for (size_t i = 0; i < graph->param_count; i++)
        assert_close("gradient", name, i, b->grads[i], b->grads_exact[i]);
}

// Runs the net with every set of kernels, for training and for evaluation.
static void check(fl_graph *net)
{
    batch b = batch_for(net);
    naive_gradient(b.grads_exact, net, b.params_exact, b.x, b.labels, COUNT);
    const fl_kernels *kernels;
    for (unsigned k = 0; (kernels = fl_kernels_at(k)); k++) {
        fl_plan *plan = NULL;
        // One example more than is used: a plan is for "up to" a batch.
        assert_ok(fl_plan_new(&plan, net, kernels, COUNT + 1, true, NULL));
        compare_forward(plan, &b, kernels->name);
        compare_backward(plan, &b, kernels->name);
        fl_plan_free(plan);

        assert_ok(fl_plan_new(&plan, net, kernels, COUNT + 1, false, NULL));
        compare_forward(plan, &b, kernels->name);
        fl_plan_free(plan);
    }
    batch_free(&b);
    fl_graph_fini(net);
}

/* ---- operators ---- */

TEST(plan_computes_dense_of_every_width)
{
    const uint32_t widths[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 50};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        fl_graph net = net_over(1, 1, widths[i]);
        add_dense(&net, widths[i]);
        add_dense(&net, 3);
        check(&net);
    }
}

TEST(plan_computes_relu_fused_and_alone)
{
    fl_graph net = net_over(1, 1, 5);
    add_dense(&net, 19);
    add_plain(&net, FL_OP_RELU);
    add_plain(&net, FL_OP_RELU);  // the second has nothing to be fused into
    add_dense(&net, 4);
    check(&net);
}

TEST(plan_computes_sub_and_div_in_front_and_between_layers)
{
    const float mean[] = {0.5F, -0.25F, 2.0F};
    const float deviation[] = {0.5F, 3.0F, -2.0F};
    fl_graph net = net_over(2, 2, 3);
    add(&net, (fl_node){.op = FL_OP_SUB}, false, mean);
    add(&net, (fl_node){.op = FL_OP_DIV}, false, deviation);
    add_conv(&net, 3, square(1, 1, 0), true);
    add(&net, (fl_node){.op = FL_OP_SUB}, false, mean);
    add(&net, (fl_node){.op = FL_OP_DIV}, false, deviation);
    add_dense(&net, 2);
    check(&net);
}

TEST(plan_computes_convolutions_of_odd_shapes)
{
    static const struct {
        uint32_t height, width, channels, outputs;
        fl_window window;
    } cases[] = {
        {5, 5, 1, 4, {5, 5, 1, 1, 0, 0, 0, 0}},
        {7, 6, 1, 5, {3, 3, 1, 1, 1, 1, 1, 1}},
        {6, 9, 2, 17, {3, 2, 1, 1, 0, 0, 0, 0}},
        {9, 7, 3, 3, {3, 3, 2, 2, 1, 1, 1, 1}},
        {8, 8, 3, 2, {3, 3, 2, 2, 0, 0, 1, 1}},
        {5, 14, 2, 9, {2, 3, 3, 2, 1, 0, 0, 2}},
        {4, 4, 5, 33, {1, 1, 1, 1, 0, 0, 0, 0}},
        {4, 5, 16, 6, {1, 1, 2, 2, 0, 0, 0, 0}},
        {3, 13, 16, 2, {3, 3, 1, 1, 1, 1, 1, 1}},
        {1, 40, 1, 3, {1, 7, 1, 1, 0, 3, 0, 3}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_graph net =
            net_over(cases[i].height, cases[i].width, cases[i].channels);
        // A layer in front makes the gradient of the input matter.
        add_conv(&net, cases[i].channels, square(1, 1, 0), true);
        add_conv(&net, cases[i].outputs, cases[i].window, i % 2 == 0);
        if (i % 3 == 0) add_plain(&net, FL_OP_RELU);
        add_dense(&net, 2);
        check(&net);
    }
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
            add_conv(&net, 18, square(2, 1, 0), true);
            if (order == 1) add_plain(&net, FL_OP_RELU);
            add_pool(&net, windows[i]);
            if (order == 2) add_plain(&net, FL_OP_RELU);
            add_plain(&net, FL_OP_FLATTEN);
            add_dense(&net, 2);
            check(&net);
        }
    }
}

TEST(plan_computes_a_small_lenet)
{
    fl_graph net = net_over(14, 13, 1);
    add_conv(&net, 4, square(3, 1, 0), true);
    add_plain(&net, FL_OP_RELU);
    add_pool(&net, square(2, 2, 0));
    add_conv(&net, 5, square(3, 1, 1), true);
    add_plain(&net, FL_OP_RELU);
    add_pool(&net, square(2, 2, 0));
    add_plain(&net, FL_OP_FLATTEN);
    add_dense(&net, 12);
    add_plain(&net, FL_OP_RELU);
    add_dense(&net, 10);
    check(&net);
}

/* ---- shape of the graph ---- */

TEST(plan_skips_nodes_that_the_logits_do_not_need)
{
    fl_graph net = net_over(4, 4, 2);
    add_conv(&net, 3, square(3, 1, 0), true);
    add(&net, (fl_node){.op = FL_OP_RELU, .inputs = {1}, .input_count = 1},
        false, NULL);
    add(&net,
        (fl_node){
            .op = FL_OP_DENSE, .out_count = 2, .inputs = {1}, .input_count = 1},
        true, NULL);
    fl_plan *plan = NULL;
    assert_ok(fl_plan_new(&plan, &net, fl_kernels_at(0), 1, true, NULL));
    assert_int_equal(fl_plan_step_count(plan), 2);
    fl_plan_free(plan);
    check(&net);
}

TEST(plan_fuses_relu_and_pool_into_the_layer_before)
{
    fl_graph net = net_over(12, 12, 1);
    add_conv(&net, 4, square(3, 1, 0), true);
    add_plain(&net, FL_OP_RELU);
    add_pool(&net, square(2, 2, 0));
    add_plain(&net, FL_OP_FLATTEN);
    add_dense(&net, 12);
    add_plain(&net, FL_OP_RELU);
    fl_plan *plan = NULL;
    assert_ok(fl_plan_new(&plan, &net, fl_kernels_at(0), 1, true, NULL));
    assert_int_equal(fl_plan_step_count(plan), 2);
    fl_plan_free(plan);
    fl_graph_fini(&net);
}

TEST(plan_for_evaluation_takes_less_memory)
{
    fl_graph net = net_over(28, 28, 1);
    add_conv(&net, 16, square(5, 1, 0), true);
    add_conv(&net, 16, square(5, 1, 0), true);
    add_conv(&net, 16, square(5, 1, 0), true);
    add_dense(&net, 10);
    fl_plan *train = NULL, *evaluate = NULL;
    const fl_kernels *kernels = fl_kernels_at(0);
    assert_ok(fl_plan_new(&train, &net, kernels, 32, true, NULL));
    assert_ok(fl_plan_new(&evaluate, &net, kernels, 32, false, NULL));
    assert_true(fl_plan_bytes(evaluate) * 2 < fl_plan_bytes(train));
    fl_plan_free(train);
    fl_plan_free(evaluate);
    fl_graph_fini(&net);
}

TEST(plan_refuses_a_batch_that_memory_cannot_hold)
{
    fl_graph net = net_over(1000, 1000, 3);
    add_conv(&net, 64, square(3, 1, 1), true);
    add_pool(&net, square(1000, 1000, 0));
    fl_plan *plan = NULL;
    fl_reason why = {""};
    assert_err(
        fl_plan_new(&plan, &net, fl_kernels_at(0), UINT32_MAX, true, &why),
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
    cmocka_unit_test(plan_computes_convolutions_of_odd_shapes),
    cmocka_unit_test(plan_computes_max_pools_fused_and_alone),
    cmocka_unit_test(plan_computes_a_small_lenet),
    cmocka_unit_test(plan_skips_nodes_that_the_logits_do_not_need),
    cmocka_unit_test(plan_fuses_relu_and_pool_into_the_layer_before),
    cmocka_unit_test(plan_for_evaluation_takes_less_memory),
    cmocka_unit_test(plan_refuses_a_batch_that_memory_cannot_hold))
