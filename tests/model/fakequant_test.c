/*
 * Rounding in training: values by every set of kernels, weights by the plan,
 * and gradients that pass through both.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "model/int8/quantize.h"
#include "model/plan.h"
#include "tests/support/nets.h"
#include "tests/test.h"

enum { MANY = 1000 };

static const float SCALES[] = {0.037F, 1.0F, 0x1p-60F, 3e20F};
static const float ZEROS[] = {0.0F, 128.0F, 255.0F, 77.0F};

static fl_curve curve_of(float scale, float zero)
{
    return (fl_curve){FL_CURVE_LEVELS, scale, 0.0F, -zero, 255.0F - zero};
}

// Up to a few levels outside the range, some on the edge between two.
static float number(fl_random *random, float scale, float zero)
{
    const float at = (fl_random_float(random) - 0.02F) * 270.0F - zero;
    const bool is_tie = fl_random_below(random, 4) == 0;
    return scale * (is_tie ? floorf(at) + 0.5F : at);
}

static float level_of(float x, float scale, float zero)
{
    const float level = nearbyintf(x / scale);
    return scale * fminf(fmaxf(level, -zero), 255.0F - zero);
}

static void check_curve(const fl_kernels *kernels, float scale, float zero)
{
    float x[MANY], y[MANY], dy[MANY], dx[MANY];
    fl_random random;
    fl_random_init(&random, 5, FL_RANDOM_TEST, 0);
    for (size_t i = 0; i < MANY; i++) {
        x[i] = number(&random, scale, zero);
        dy[i] = fl_random_float(&random) - 0.5F;
    }
    kernels->curve(&(fl_curve_sum){
        .curve = curve_of(scale, zero), .a = x, .y = y, .count = MANY});
    kernels->curve_grad(&(fl_curve_grad){.curve = curve_of(scale, zero),
                                         .x = x,
                                         .dy = dy,
                                         .dx = {dx},
                                         .is_fresh = {true},
                                         .count = MANY});
    for (size_t i = 0; i < MANY; i++) {
        const float expected = level_of(x[i], scale, zero);
        assert_true(y[i] >= expected && y[i] <= expected);
        const float at = x[i] / scale;
        const bool passes = at > -zero - 0.5F && at < 255.5F - zero;
        const float slope = passes ? dy[i] : 0.0F;
        assert_true(dx[i] >= slope && dx[i] <= slope);
    }
}

TEST(fakequant_rounds_and_passes_gradients_with_all_kernels)
{
    const fl_kernels *kernels;
    for (unsigned k = 0; (kernels = fl_kernels_at(k)); k++) {
        for (size_t i = 0; i < 16; i++)
            check_curve(kernels, SCALES[i / 4], ZEROS[i % 4]);
    }
}

TEST(fakequant_leaves_nan_as_it_is)
{
    const fl_kernels *kernels;
    for (unsigned k = 0; (kernels = fl_kernels_at(k)); k++) {
        const float x[] = {NAN, INFINITY, -INFINITY};
        float y[3];
        kernels->curve(&(fl_curve_sum){
            .curve = curve_of(0.5F, 100.0F), .a = x, .y = y, .count = 3});
        assert_true(isnan(y[0]));
        assert_true(y[1] >= 77.5F && y[1] <= 77.5F);
        assert_true(y[2] >= -50.0F && y[2] <= -50.0F);
    }
}

TEST(fakequant_refuses_what_is_no_quantisation)
{
    static const float broken[][2] = {
        {0.0F, 0.0F},  {-1.0F, 0.0F},  {NAN, 0.0F},  {INFINITY, 0.0F},
        {1.0F, -1.0F}, {1.0F, 256.0F}, {1.0F, 0.5F}, {1.0F, NAN}};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        fl_reason why = {""};
        fl_graph net = net_over(1, 1, 3);
        const fl_node node = {.op = FL_OP_FAKEQUANT,
                              .name = "levels",
                              .input_count = 1,
                              .alpha = broken[i][0],
                              .beta = broken[i][1]};
        assert_err(fl_graph_add(&net, &node, false, NULL, &why), FL_ERR_FORMAT);
        assert_reason_names(why, "levels");
        fl_graph_fini(&net);
    }
}

/* ---- in a net ---- */

enum { IN = 6, OUT = 5, COUNT = 4, PARAMS = OUT * IN + OUT };

typedef struct {
    float logits[COUNT * OUT];
    float grads[PARAMS];
} outcome;

// Runs a net over fixed examples, and backward from a fixed gradient.
static outcome run(const fl_graph *net, const float *params, bool recompute)
{
    outcome o = {{0}, {0}};
    fl_random random;
    fl_plan *plan;
    const fl_plan_options options = {
        .batch_cap = COUNT, .with_gradients = true, .recompute = recompute};
    const fl_plan_batch batch = {.count = COUNT};
    fl_random_init(&random, 3, FL_RANDOM_TEST, 0);
    assert_ok(fl_plan_new(&plan, net, fl_kernels_at(0), &options, NULL));
    const size_t x_count = COUNT * fl_shape_size(net->nodes[0].shape);
    for (size_t i = 0; i < x_count; i++)
        fl_plan_input(plan, 0)[i] = fl_random_float(&random) - 0.5F;
    fl_plan_load(plan, 0, params);
    fl_plan_forward(plan, 0, &batch);
    memcpy(o.logits, fl_plan_logits(plan, 0), sizeof o.logits);
    for (size_t i = 0; i < COUNT * OUT; i++)
        fl_plan_logits_grad(plan, 0)[i] = (float)i - 9.0F;
    fl_plan_backward(plan, 0, o.grads, &batch);
    fl_plan_free(plan);
    return o;
}

static void fill(float *params)
{
    fl_random random;
    fl_random_init(&random, 4, FL_RANDOM_TEST, 0);
    for (size_t i = 0; i < PARAMS; i++)
        params[i] = fl_random_float(&random) - 0.5F;
}

static fl_graph dense_net(float x_scale, float scale)
{
    fl_graph net = net_over(1, 1, IN);
    net_add(&net,
            (fl_node){.op = FL_OP_DENSE, .out_count = OUT, .x_scale = x_scale},
            true, NULL);
    if (scale > 0.0F) {
        net_add(
            &net,
            (fl_node){.op = FL_OP_FAKEQUANT, .alpha = scale, .beta = 128.0F},
            false, NULL);
    }
    return net;
}

// Coarse levels, yet nothing is cut off: the gradient does not notice them.
TEST(fakequant_has_the_gradient_of_the_exact_net_inside_its_range)
{
    float params[PARAMS];
    fill(params);
    fl_graph exact = dense_net(0.0F, 0.0F), rounded = dense_net(0.0F, 0.25F);
    const outcome a = run(&exact, params, false);
    const outcome b = run(&rounded, params, false);
    assert_memory_equal(a.grads, b.grads, sizeof a.grads);
    for (size_t i = 0; i < COUNT * OUT; i++) {
        const float level = level_of(a.logits[i], 0.25F, 128.0F);
        assert_true(b.logits[i] >= level && b.logits[i] <= level);
    }
    fl_graph_fini(&exact);
    fl_graph_fini(&rounded);
}

TEST(fakequant_has_no_gradient_where_it_cuts_off)
{
    float params[PARAMS];
    fill(params);
    fl_graph net = dense_net(0.0F, 1e-6F);  // all is far outside
    const outcome o = run(&net, params, false);
    for (size_t i = 0; i < PARAMS; i++)
        assert_true(o.grads[i] >= 0.0F && o.grads[i] <= 0.0F);
    fl_graph_fini(&net);
}

// A layer whose weights are rounded is the layer with the rounded weights.
TEST(fakequant_of_weights_is_a_net_of_rounded_weights)
{
    float params[PARAMS], rounded[PARAMS];
    fill(params);
    memcpy(rounded, params, sizeof params);
    fl_graph exact = dense_net(0.0F, 0.0F), net = dense_net(0.01F, 0.0F);
    fl_quantize_round(rounded, &net.nodes[1], params);
    assert_memory_not_equal(rounded, params, sizeof params);
    const outcome a = run(&exact, rounded, false);
    const outcome b = run(&net, params, false);
    assert_memory_equal(&a, &b, sizeof a);
    fl_graph_fini(&exact);
    fl_graph_fini(&net);
}

TEST(fakequant_rounds_weights_to_the_levels_of_8_bits)
{
    float params[PARAMS], rounded[OUT * IN];
    int8_t q[IN];
    fill(params);
    fl_graph net = dense_net(0.01F, 0.0F);
    fl_quantize_round(rounded, &net.nodes[1], params);
    for (size_t o = 0; o < OUT; o++) {
        const float scale =
            fl_quantize_scale(params + o * IN, IN, params[OUT * IN + o], 0.01F);
        fl_quantize_weights(q, params + o * IN, IN, scale);
        for (size_t k = 0; k < IN; k++) {
            const float level = (float)q[k] * scale;
            const float got = rounded[o * IN + k];
            assert_true(got >= level && got <= level);
        }
    }
    fl_graph_fini(&net);
}

// Longer than what is rounded at a time.
TEST(fakequant_rounds_long_rows)
{
    enum { LONG = 700 };
    fl_graph net = net_over(1, 1, LONG);
    net_add(&net,
            (fl_node){.op = FL_OP_DENSE, .out_count = 1, .x_scale = 0.01F},
            true, NULL);
    float params[LONG + 1], rounded[LONG];
    for (size_t i = 0; i <= LONG; i++)
        params[i] = (float)i - 350.0F;
    fl_quantize_round(rounded, &net.nodes[1], params);
    for (size_t i = 0; i < LONG; i++)
        assert_true(fabsf(rounded[i] - params[i]) <= 0.501F * 350.0F / 127.0F);
    fl_graph_fini(&net);
}

TEST(fakequant_computes_the_same_when_it_recomputes)
{
    float params[PARAMS];
    fill(params);
    fl_graph net = net_over(1, 1, IN);
    net_add(&net, (fl_node){.op = FL_OP_DENSE, .out_count = OUT}, true, NULL);
    net_add_plain(&net, FL_OP_HARD_SWISH);
    net_add(&net,
            (fl_node){.op = FL_OP_FAKEQUANT, .alpha = 0.01F, .beta = 60.0F},
            false, NULL);
    net_add_plain(&net, FL_OP_TANH);
    const outcome a = run(&net, params, false), b = run(&net, params, true);
    assert_memory_equal(&a, &b, sizeof a);
    fl_graph_fini(&net);
}

RUN_TESTS(
    cmocka_unit_test(fakequant_rounds_and_passes_gradients_with_all_kernels),
    cmocka_unit_test(fakequant_leaves_nan_as_it_is),
    cmocka_unit_test(fakequant_refuses_what_is_no_quantisation),
    cmocka_unit_test(
        fakequant_has_the_gradient_of_the_exact_net_inside_its_range),
    cmocka_unit_test(fakequant_has_no_gradient_where_it_cuts_off),
    cmocka_unit_test(fakequant_of_weights_is_a_net_of_rounded_weights),
    cmocka_unit_test(fakequant_rounds_weights_to_the_levels_of_8_bits),
    cmocka_unit_test(fakequant_rounds_long_rows),
    cmocka_unit_test(fakequant_computes_the_same_when_it_recomputes))
