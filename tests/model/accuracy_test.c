/*
 * Quantisation from end to end: networks of all kinds compute nearly the same
 * in 8 bits, and a trained one keeps its accuracy.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "model/graph.h"
#include "model/model.h"
#include "tests/support/nets.h"
#include "tests/support/tables.h"
#include "tests/test.h"

enum { SIDE = 16, ROWS = 64, CLASSES = 10 };  // ROWS: to calibrate with

// Each calibration, symmetric and not.
enum { WAYS = 6 };

static fl_int8_options way_of(int i)
{
    return (fl_int8_options){.calibrate = (fl_calibrate)(i / 2),
                             .is_symmetric = i % 2};
}

typedef struct {
    fl_dataset *dataset;
    uint32_t *rows;
    uint32_t row_count;
} sample;

static sample sample_of(uint32_t row_count, uint32_t side)
{
    sample s = {.dataset = table_of_pictures(row_count, side, CLASSES),
                .rows = calloc(row_count, sizeof *s.rows),
                .row_count = row_count};
    assert_non_null(s.rows);
    for (uint32_t i = 0; i < row_count; i++)
        s.rows[i] = i;
    return s;
}

static void sample_free(sample *s)
{
    fl_dataset_free(s->dataset);
    free(s->rows);
}

static fl_int8_model *quantize(const fl_model *model, const sample *s,
                               const fl_int8_options *options)
{
    fl_int8_model *quantized = NULL;
    fl_reason why = {""};
    const fl_err err = fl_int8_quantize(&quantized, model, s->dataset, s->rows,
                                        ROWS, options, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
    return quantized;
}

/* ---- networks with parameters as after a good start ---- */

static void draw(float *dst, size_t count, float middle, float reach,
                 fl_random *random)
{
    for (size_t i = 0; i < count; i++)
        dst[i] = middle + (2.0F * fl_random_float(random) - 1.0F) * reach;
}

// Weights that keep the size of what goes through, batch norms near 1.
static void draw_params(fl_model *model, fl_random *random)
{
    for (uint32_t i = 0; i < model->graph.node_count; i++) {
        const fl_node *node = &model->graph.nodes[i];
        float *weight = model->params + node->weight_at;
        float *stats = model->params + node->stats_at;
        const size_t half = node->stats_count / 2;
        if (node->op == FL_OP_BATCHNORM) {
            draw(weight, node->weight_count, 1.0F, 0.5F, random);
            draw(stats, half, 0.0F, 0.3F, random);
            draw(stats + half, half, 1.0F, 0.5F, random);
        } else if (node->weight_count > 0) {
            const size_t fan_in = node->weight_count / node->out_count;
            draw(weight, node->weight_count, 0.0F, sqrtf(6.0F / (float)fan_in),
                 random);
        }
        draw(model->params + node->bias_at, node->bias_count, 0.0F, 0.2F,
             random);
    }
}

static fl_model model_of(fl_graph net)
{
    fl_model model = {net, calloc(net.param_count + 1, sizeof(float))};
    assert_non_null(model.params);
    fl_random random;
    fl_random_init(&random, 13, FL_RANDOM_TEST, 0);
    draw_params(&model, &random);
    return model;
}

static float *logits_of(fl_runner *runner, const sample *s)
{
    const size_t classes = fl_runner_class_count(runner);
    float *x = calloc(s->row_count * fl_shape_size(fl_runner_input(runner)),
                      sizeof *x);
    float *logits = calloc(s->row_count * classes, sizeof *logits);
    assert_true(x && logits);
    fl_dataset_read(x, s->dataset, s->rows, s->row_count);
    assert_ok(fl_runner_run(runner, logits, x, s->row_count));
    fl_runner_free(runner);
    free(x);
    return logits;
}

// The size of the error, as a share of the size of the logits' differences.
static double error_of(const float *got, const float *expected, size_t count,
                       size_t classes)
{
    double error = 0.0, size = 0.0;
    for (size_t i = 0; i < count; i++) {
        double mean = 0.0;
        const float *row = expected + i / classes * classes;
        for (size_t c = 0; c < classes; c++)
            mean += (double)row[c] / (double)classes;
        error += pow((double)got[i] - (double)expected[i], 2.0);
        size += pow((double)expected[i] - mean, 2.0);
    }
    return sqrt(error / size);
}

static double quantized_error(const fl_model *model, const sample *s,
                              const fl_int8_options *options)
{
    fl_int8_model *quantized = quantize(model, s, options);
    fl_runner *plain = NULL, *bytes = NULL;
    assert_ok(fl_runner_new(&plain, model, s->row_count, NULL));
    assert_ok(fl_runner_new_int8(&bytes, quantized, s->row_count, NULL));
    fl_int8_free(quantized);
    const size_t classes = fl_model_class_count(model);
    float *expected = logits_of(plain, s), *got = logits_of(bytes, s);
    const double error =
        error_of(got, expected, s->row_count * classes, classes);
    free(expected);
    free(got);
    return error;
}

// Takes the net.
static void check(fl_graph net, double allowed)
{
    fl_model model = model_of(net);
    sample s = sample_of(ROWS, SIDE);
    for (int i = 0; i < WAYS; i++) {
        const fl_int8_options options = way_of(i);
        const double error = quantized_error(&model, &s, &options);
        if (error <= allowed * (1 + options.is_symmetric)) continue;
        print_error("the error is %.3f of the logits, way %d\n", error, i);
        fail();
    }
    sample_free(&s);
    fl_graph_fini(&model.graph);
    free(model.params);
}

/* ---- building ---- */

static uint32_t add_norm(fl_graph *net)
{
    return net_add(net, (fl_node){.op = FL_OP_BATCHNORM, .epsilon = 1e-5F},
                   false, NULL);
}

static uint32_t add_conv_norm(fl_graph *net, uint32_t channels, uint32_t kernel,
                              uint32_t stride)
{
    net_add_conv(net, channels, net_square(kernel, stride, kernel / 2), false);
    return add_norm(net);
}

static uint32_t add_depthwise_norm(fl_graph *net, uint32_t stride)
{
    const uint32_t channels = net->nodes[net->node_count - 1].shape.channels;
    net_add(net,
            (fl_node){.op = FL_OP_CONV,
                      .out_count = channels,
                      .group_count = channels,
                      .window = net_square(3, stride, 1)},
            false, NULL);
    return add_norm(net);
}

static uint32_t add_pair(fl_graph *net, fl_op_kind op, uint32_t a, uint32_t b)
{
    return net_add(net, (fl_node){.op = op, .input_count = 2, .inputs = {a, b}},
                   false, NULL);
}

static uint32_t add_slice(fl_graph *net, uint32_t input, uint32_t first,
                          uint32_t count)
{
    return net_add(net,
                   (fl_node){.op = FL_OP_SLICE,
                             .input_count = 1,
                             .inputs = {input},
                             .first = first,
                             .out_count = count},
                   false, NULL);
}

static void add_head(fl_graph *net)
{
    net_add_plain(net, FL_OP_GLOBALPOOL);
    net_add_dense(net, CLASSES);
}

static fl_graph net_with_input(void)
{
    const float mean = 0.5F, deviation = 0.25F;
    fl_graph net = net_over(SIDE, SIDE, 1);
    net_add(&net, (fl_node){.op = FL_OP_SUB}, false, &mean);
    net_add(&net, (fl_node){.op = FL_OP_DIV}, false, &deviation);
    return net;
}

/* ---- networks ---- */

TEST(accuracy_survives_in_a_residual_network)
{
    fl_graph net = net_with_input();
    add_conv_norm(&net, 8, 3, 1);
    const uint32_t x = net_add_plain(&net, FL_OP_RELU);
    add_conv_norm(&net, 8, 3, 1);
    net_add_plain(&net, FL_OP_RELU);
    add_pair(&net, FL_OP_ADD, add_conv_norm(&net, 8, 3, 1), x);
    net_add_plain(&net, FL_OP_RELU);
    add_head(&net);
    check(net, 0.05);
}

TEST(accuracy_survives_in_an_inverted_residual)
{
    fl_graph net = net_with_input();
    const uint32_t x = add_conv_norm(&net, 8, 3, 2);
    add_conv_norm(&net, 24, 1, 1);
    net_add_plain(&net, FL_OP_RELU6);
    add_depthwise_norm(&net, 1);
    net_add_plain(&net, FL_OP_RELU6);
    add_pair(&net, FL_OP_ADD, add_conv_norm(&net, 8, 1, 1), x);
    add_norm(&net);  // behind an addition: a convolution of its own
    add_head(&net);
    check(net, 0.05);
}

TEST(accuracy_survives_in_squeeze_and_excite)
{
    fl_graph net = net_with_input();
    add_conv_norm(&net, 16, 3, 2);
    const uint32_t x = net_add_plain(&net, FL_OP_HARD_SWISH);
    net_add_plain(&net, FL_OP_GLOBALPOOL);
    net_add_conv(&net, 4, net_square(1, 1, 0), true);
    net_add_plain(&net, FL_OP_RELU);
    net_add_conv(&net, 16, net_square(1, 1, 0), true);
    const uint32_t gate = net_add(
        &net,
        (fl_node){.op = FL_OP_HARD_SIGMOID, .alpha = 1.0F / 6.0F, .beta = 0.5F},
        false, NULL);
    add_pair(&net, FL_OP_MUL, x, gate);
    add_head(&net);
    check(net, 0.05);
}

TEST(accuracy_survives_in_a_shuffled_unit)
{
    fl_graph net = net_with_input();
    add_conv_norm(&net, 16, 3, 2);
    const uint32_t x = net_add_plain(&net, FL_OP_RELU);
    const uint32_t left = add_slice(&net, x, 0, 8);
    add_slice(&net, x, 8, 8);
    add_conv_norm(&net, 8, 1, 1);
    const uint32_t right = net_add_plain(&net, FL_OP_RELU);
    add_pair(&net, FL_OP_CONCAT, left, right);
    net_add(&net, (fl_node){.op = FL_OP_SHUFFLE, .group_count = 2}, false,
            NULL);
    add_conv_norm(&net, 16, 1, 1);
    add_head(&net);
    check(net, 0.05);
}

TEST(accuracy_survives_in_an_embedding)
{
    fl_graph net = net_over(SIDE, SIDE, 1);  // quantised at the door
    net_add_conv(&net, 8, net_square(3, 2, 1), true);
    net_add(&net, (fl_node){.op = FL_OP_LEAKY_RELU, .alpha = 0.1F}, false,
            NULL);
    net_add_conv(&net, 8, net_square(3, 2, 1), true);
    net_add_plain(&net, FL_OP_TANH);
    net_add_pool(&net, net_square(2, 2, 0));
    net_add_plain(&net, FL_OP_FLATTEN);
    net_add_dense(&net, 12);
    net_add(&net, (fl_node){.op = FL_OP_L2NORM, .epsilon = 1e-12F}, false,
            NULL);
    check(net, 0.05);
}

/* ---- accuracy ---- */

enum { TRAIN_ROWS = 320, LENET_SIDE = 28 };

static fl_model *trained_lenet(const sample *s)
{
    const float mean = 0.5F, deviation = 0.2F;
    const fl_model_options options = {.name = "lenet",
                                      .input = {LENET_SIDE, LENET_SIDE, 1},
                                      .class_count = CLASSES,
                                      .mean = &mean,
                                      .deviation = &deviation,
                                      .seed = 14};
    const fl_train_options training = {
        .epochs = 3, .batch = 32, .lr = 0.05F, .momentum = 0.9F};
    fl_model *model = NULL;
    fl_trainer *trainer = NULL;
    fl_metrics metrics;
    fl_random random;
    fl_random_init(&random, 15, FL_RANDOM_SHUFFLE, 0);
    assert_ok(fl_model_new(&model, &options, NULL));
    assert_ok(fl_trainer_new(
        &trainer, model,
        &(fl_trainer_options){.batch_cap = 32, .with_gradients = true}, NULL));
    assert_ok(fl_trainer_run(trainer, fl_model_params(model), &metrics,
                             s->dataset, s->rows, TRAIN_ROWS, &training,
                             &random, NULL));
    fl_trainer_free(trainer);
    return model;
}

static uint32_t correct_of(fl_runner *runner, const sample *s)
{
    fl_metrics metrics;
    assert_ok(fl_runner_evaluate(runner, &metrics, s->dataset,
                                 s->rows + TRAIN_ROWS,
                                 s->row_count - TRAIN_ROWS, NULL));
    fl_runner_free(runner);
    return (uint32_t)metrics.correct_count;
}

TEST(accuracy_survives_quantisation)
{
    sample s = sample_of(2 * TRAIN_ROWS, LENET_SIDE);
    fl_model *model = trained_lenet(&s);
    fl_runner *runner = NULL;
    assert_ok(fl_runner_new(&runner, model, 8, NULL));
    const uint32_t correct = correct_of(runner, &s);
    assert_true(correct > TRAIN_ROWS / 2);
    for (int i = 0; i < WAYS; i++) {
        const fl_int8_options options = way_of(i);
        fl_int8_model *quantized = quantize(model, &s, &options);
        assert_ok(fl_runner_new_int8(&runner, quantized, 8, NULL));
        fl_int8_free(quantized);
        assert_true(correct_of(runner, &s) + TRAIN_ROWS / 100 >= correct);
    }
    fl_model_free(model);
    sample_free(&s);
}

RUN_TESTS(cmocka_unit_test(accuracy_survives_in_a_residual_network),
          cmocka_unit_test(accuracy_survives_in_an_inverted_residual),
          cmocka_unit_test(accuracy_survives_in_squeeze_and_excite),
          cmocka_unit_test(accuracy_survives_in_a_shuffled_unit),
          cmocka_unit_test(accuracy_survives_in_an_embedding),
          cmocka_unit_test(accuracy_survives_quantisation))
