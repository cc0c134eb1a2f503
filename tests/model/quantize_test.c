/*
 * Weights in 8 bits, and whole models: what int8.h promises of them, and
 * every refusal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/int8/quantize.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "model/int8/int8.h"
#include "tests/support/nets.h"
#include "tests/support/tables.h"
#include "tests/test.h"

/* ---- one channel ---- */

TEST(quantize_gives_the_largest_weight_127)
{
    const float weights[] = {0.5F, -2.0F, 1.0F, 0.0F};
    int8_t q[4];
    const float scale = fl_quantize_scale(weights, 4, 0.1F, 0.01F);
    fl_quantize_weights(q, weights, 4, scale);
    const int8_t expected[] = {32, -127, 64, 0};  // 31.75, .., 63.5, 0
    assert_memory_equal(q, expected, sizeof q);
}

TEST(quantize_rounds_half_to_even_and_clamps)
{
    const float weights[] = {0.5F, 1.5F, 2.5F, -0.5F, -1.5F, 500.0F, -500.0F};
    const int8_t expected[] = {0, 2, 2, 0, -2, 127, -127};
    int8_t q[7];
    fl_quantize_weights(q, weights, 7, 1.0F);
    assert_memory_equal(q, expected, sizeof q);
    assert_int_equal(fl_quantize_bias(2.5, 1.0F), 2);
    assert_int_equal(fl_quantize_bias(-1.5, 0.5F), -3);
}

TEST(quantize_gives_an_empty_channel_scale_1)
{
    const float weights[] = {0.0F, -0.0F};
    const float scale = fl_quantize_scale(weights, 2, 0.0F, 0.01F);
    assert_true(scale >= 1.0F && scale <= 1.0F);
}

// A channel that is all but 0, as batch norms leave them behind.
TEST(quantize_keeps_the_bias_of_a_faint_channel)
{
    static const float sizes[] = {0.0F, 1e-38F, 1e-20F, 1e-10F, 1e-3F};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const float weights[] = {sizes[i], -sizes[i]};
        const float x_scale = 0.02F, bias = 0.7F;
        const float scale = fl_quantize_scale(weights, 2, bias, x_scale);
        const int32_t q = fl_quantize_bias((double)bias, x_scale * scale);
        assert_true(abs(q) <= 1 << 30);
        const double real = q * (double)(x_scale * scale);
        assert_true(fabs(real - (double)bias) < 1e-4);
    }
}

static void assert_sum_fits(const float *weights, size_t count, float bias,
                            float x_scale)
{
    int8_t *q = malloc(count);
    assert_non_null(q);
    const float scale = fl_quantize_scale(weights, count, bias, x_scale);
    fl_quantize_weights(q, weights, count, scale);
    int64_t sum = llabs(fl_quantize_bias((double)bias, x_scale * scale));
    for (size_t i = 0; i < count; i++)
        sum += 255 * llabs(q[i]);
    assert_true(sum <= INT32_MAX);
    free(q);
}

TEST(quantize_never_lets_a_sum_leave_32_bits)
{
    enum { MANY = 3000000 };
    float *weights = malloc(MANY * sizeof *weights);
    assert_non_null(weights);
    fl_random random;
    fl_random_init(&random, 11, FL_RANDOM_TEST, 0);
    for (size_t i = 0; i < MANY; i++)
        weights[i] = i % 2 ? 1.0F : -1.0F;
    for (size_t count = 1; count <= MANY; count *= 3) {
        assert_sum_fits(weights, count, 0.0F, 1e-3F);
        assert_sum_fits(weights, count, 1e6F, 1e-3F);
    }
    for (size_t i = 0; i < MANY; i++)
        weights[i] = fl_random_float(&random);
    assert_sum_fits(weights, MANY, -1.0F, 1e-3F);
    assert_sum_fits(weights, MANY, -1.0F, 1e-9F);
    free(weights);
}

/* ---- models ---- */

enum { ROWS = 96, SIDE = 28, CLASSES = 10 };

typedef struct {
    fl_model *model;
    fl_dataset *dataset;
    uint32_t rows[ROWS];
    fl_int8_model *quantized;
} world;

static world world_open(void)
{
    const float mean = 0.4F, deviation = 0.2F;
    const fl_model_options options = {
        .name = "lenet",
        .input = {SIDE, SIDE, 1},
        .class_count = CLASSES,
        .mean = &mean,
        .deviation = &deviation,
        .seed = 12,
    };
    world w = {.dataset = table_of_pictures(ROWS, SIDE, CLASSES)};
    assert_ok(fl_model_new(&w.model, &options, NULL));
    for (uint32_t i = 0; i < ROWS; i++)
        w.rows[i] = i;
    return w;
}

static void world_close(world *w)
{
    fl_int8_free(w->quantized);
    fl_model_free(w->model);
    fl_dataset_free(w->dataset);
}

static fl_err quantize(world *w, const fl_int8_options *options, fl_reason *why)
{
    fl_int8_free(w->quantized);
    w->quantized = NULL;
    return fl_int8_quantize(&w->quantized, w->model, w->dataset, w->rows, ROWS,
                            options, why);
}

static void assert_near(double got, double expected, double allowed)
{
    if (fabs(got - expected) <= allowed) return;
    print_error("%.9g is not within %.3g of %.9g\n", got, allowed, expected);
    fail();
}

static void check_layer(const world *w, uint32_t i)
{
    const fl_int8_model *q = w->quantized;
    const fl_node *node = &q->graph.nodes[i];
    const float *params = fl_model_params(w->model);
    const float x_scale = q->values[node->inputs[0]].scale;
    const size_t depth = node->weight_count / node->out_count;
    for (uint32_t o = 0; o < node->out_count; o++) {
        const float scale = q->weight_scales[q->channel_at[i] + o];
        const float bias_scale = x_scale * scale;
        for (size_t k = o * depth; k < (o + 1) * depth; k++)
            assert_near((double)scale * q->weights[node->weight_at + k],
                        (double)params[node->weight_at + k],
                        0.501 * (double)scale);
        assert_near((double)bias_scale * q->biases[q->channel_at[i] + o],
                    (double)params[node->bias_at + o],
                    0.501 * (double)bias_scale);
    }
}

TEST(quantize_stays_within_half_a_step_of_every_weight_and_bias)
{
    world w = world_open();
    assert_ok(quantize(&w, &(fl_int8_options){0}, NULL));
    const fl_graph *graph = &w.quantized->graph;
    uint32_t channels = 0;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        if (node->weight_count == 0) continue;
        assert_int_equal(w.quantized->channel_at[i], channels);
        channels += node->out_count;
        check_layer(&w, i);
    }
    assert_int_equal(w.quantized->channel_count, channels);
    world_close(&w);
}

TEST(quantize_shares_scales_as_promised)
{
    world w = world_open();
    for (int i = 0; i < 6; i++) {
        const fl_int8_options options = {.calibrate = (fl_calibrate)(i / 2),
                                         .is_symmetric = i % 2};
        assert_ok(quantize(&w, &options, NULL));
        const fl_quant *values = w.quantized->values;
        // input sub div | conv relu pool | conv relu pool flatten | fc relu |
        static const uint8_t groups[] = {0, 0, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 0};
        assert_int_equal(w.quantized->graph.node_count, sizeof groups);
        for (size_t k = 0; k < sizeof groups; k++) {
            assert_true((groups[k] != 0) == (values[k].scale > 0.0F));
            if (k == 0 || groups[k] != groups[k - 1]) continue;
            assert_memory_equal(&values[k].scale, &values[k - 1].scale,
                                sizeof(float));
            assert_int_equal(values[k].zero_point, values[k - 1].zero_point);
        }
        for (size_t k = 3; k < 12; k++)
            assert_int_equal(values[k].zero_point, i % 2 ? 128 : 0);
    }
    world_close(&w);
}

TEST(quantize_gives_the_same_bits_again)
{
    world a = world_open(), b = world_open();
    const fl_int8_options options = {.calibrate = FL_CALIBRATE_ENTROPY};
    assert_ok(quantize(&a, &options, NULL));
    assert_ok(quantize(&b, &options, NULL));
    const fl_int8_model *p = a.quantized, *q = b.quantized;
    assert_memory_equal(p->weights, q->weights, p->graph.param_count);
    assert_memory_equal(p->biases, q->biases,
                        p->channel_count * sizeof *p->biases);
    for (uint32_t i = 0; i < p->graph.node_count; i++)
        assert_memory_equal(&p->values[i].scale, &q->values[i].scale,
                            sizeof(float));
    world_close(&a);
    world_close(&b);
}

/* ---- refusals ---- */

TEST(quantize_refuses_options_that_do_not_exist)
{
    static const fl_int8_options cases[] = {{.percentile = 98.9},
                                            {.percentile = 100.1},
                                            {.percentile = NAN},
                                            {.percentile = -1.0},
                                            {.calibrate = (fl_calibrate)3}};
    world w = world_open();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_reason why = {""};
        assert_err(quantize(&w, &cases[i], &why), FL_ERR_RANGE);
        assert_reason_names(why, "percentile");
        assert_null(w.quantized);
    }
    world_close(&w);
}

TEST(quantize_refuses_rows_that_do_not_exist_or_fit)
{
    world w = world_open();
    const fl_int8_options options = {0};
    fl_reason why = {""};
    assert_err(fl_int8_quantize(&w.quantized, w.model, w.dataset, w.rows, 0,
                                &options, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "no rows");
    w.rows[3] = ROWS;
    assert_err(quantize(&w, &options, &why), FL_ERR_RANGE);
    assert_reason_names(why, "row 96");

    fl_dataset_free(w.dataset);
    w.dataset = table_of_pictures(ROWS, SIDE - 1, CLASSES);
    w.rows[3] = 3;
    assert_err(quantize(&w, &options, &why), FL_ERR_RANGE);
    assert_reason_names(why, "27x27x1");
    assert_null(w.quantized);
    world_close(&w);
}

TEST(quantize_refuses_parameters_that_are_no_numbers)
{
    static const float broken[] = {NAN, INFINITY, -INFINITY};
    world w = world_open();
    for (size_t i = 0; i < 3; i++) {
        fl_reason why = {""};
        const fl_node *fc1 = &w.model->graph.nodes[10];
        fl_model_params(w.model)[fc1->bias_at + 2] = broken[i];
        assert_err(quantize(&w, &(fl_int8_options){0}, &why), FL_ERR_RANGE);
        assert_reason_names(why, "fc1");
        assert_null(w.quantized);
    }
    world_close(&w);
}

TEST(quantize_refuses_numbers_that_overflow)
{
    world w = world_open();
    fl_reason why = {""};
    const fl_node *conv2 = &w.model->graph.nodes[6];
    for (size_t k = 0; k < conv2->weight_count; k++)
        fl_model_params(w.model)[conv2->weight_at + k] = FLT_MAX;
    assert_err(quantize(&w, &(fl_int8_options){0}, &why), FL_ERR_RANGE);
    assert_reason_names(why, "conv2");
    assert_null(w.quantized);
    world_close(&w);
}

// Finite values, but the product of their scales is not: 1e30 * 1e38 / 127.
TEST(quantize_refuses_scales_whose_product_overflows)
{
    const float values[] = {1e30F, 0.0F, 1e30F, 0.0F};
    const uint32_t rows[] = {0, 1};
    const float params[] = {0.0F, 1e38F, 0.0F, 0.0F};
    fl_dataset *dataset = table_of(values, 2, 2);
    fl_model model = {net_over(1, 1, 2), NULL};
    net_add_dense(&model.graph, 1);
    float own[4];
    memcpy(own, params, sizeof own);
    model.params = own;
    fl_int8_model *quantized = NULL;
    fl_reason why = {""};
    assert_err(fl_int8_quantize(&quantized, &model, dataset, rows, 2,
                                &(fl_int8_options){0}, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "n1");
    assert_reason_names(why, "too large");
    assert_null(quantized);
    fl_graph_fini(&model.graph);
    fl_dataset_free(dataset);
}

TEST(quantize_refuses_what_has_no_integer_form)
{
    const float values[] = {1.0F, 2.0F, 3.0F, 4.0F}, mean[] = {1.0F, 2.0F};
    const uint32_t rows[] = {0, 1};
    fl_dataset *dataset = table_of(values, 2, 2);
    fl_model model = {net_over(1, 1, 2), NULL};
    net_add_dense(&model.graph, 2);
    net_add(&model.graph, (fl_node){.op = FL_OP_SUB}, false, mean);
    float params[6] = {0};
    assert_int_equal(model.graph.param_count, 6);
    model.params = params;
    fl_int8_model *quantized = NULL;
    fl_reason why = {""};
    assert_err(fl_int8_quantize(&quantized, &model, dataset, rows, 2,
                                &(fl_int8_options){0}, &why),
               FL_ERR_UNSUPPORTED);
    assert_reason_names(why, "n2");
    assert_null(quantized);
    fl_graph_fini(&model.graph);
    fl_dataset_free(dataset);
    fl_int8_free(NULL);
}

RUN_TESTS(cmocka_unit_test(quantize_gives_the_largest_weight_127),
          cmocka_unit_test(quantize_rounds_half_to_even_and_clamps),
          cmocka_unit_test(quantize_gives_an_empty_channel_scale_1),
          cmocka_unit_test(quantize_keeps_the_bias_of_a_faint_channel),
          cmocka_unit_test(quantize_never_lets_a_sum_leave_32_bits),
          cmocka_unit_test(
              quantize_stays_within_half_a_step_of_every_weight_and_bias),
          cmocka_unit_test(quantize_shares_scales_as_promised),
          cmocka_unit_test(quantize_gives_the_same_bits_again),
          cmocka_unit_test(quantize_refuses_options_that_do_not_exist),
          cmocka_unit_test(quantize_refuses_rows_that_do_not_exist_or_fit),
          cmocka_unit_test(quantize_refuses_parameters_that_are_no_numbers),
          cmocka_unit_test(quantize_refuses_numbers_that_overflow),
          cmocka_unit_test(quantize_refuses_scales_whose_product_overflows),
          cmocka_unit_test(quantize_refuses_what_has_no_integer_form))
