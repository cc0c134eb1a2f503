/*
 * Which channels of a network stand and fall together, what they cost, and
 * what the loss thinks of them.
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
#include "tests/support/shrinking.h"
#include "tests/support/world.h"
#include "tests/test.h"

/* ---- groups ---- */

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

static uint32_t add_point(fl_graph *net, uint32_t input, uint32_t channels)
{
    return net_add(net,
                   (fl_node){.op = FL_OP_CONV,
                             .input_count = 1,
                             .inputs = {input},
                             .out_count = channels,
                             .window = net_square(1, 1, 0)},
                   true, NULL);
}

static uint32_t add_grouped(fl_graph *net, uint32_t channels, uint32_t groups)
{
    return net_add(net,
                   (fl_node){.op = FL_OP_CONV,
                             .out_count = channels,
                             .group_count = groups,
                             .window = net_square(3, 1, 1)},
                   false, NULL);
}

typedef struct {
    const char *name;
    uint32_t count;
} expected;

// The groups of a net that ends in a dense layer, which this adds.
static void check_groups(fl_graph *net, const expected *groups, uint32_t count)
{
    net_add_plain(net, FL_OP_GLOBALPOOL);
    net_add_dense(net, 3);
    fl_model *model = shrinking_net(*net, 1);
    fl_channels *channels = shrinking_channels(model);
    uint32_t first = 0;
    assert_int_equal(fl_channels_group_count(channels), count);
    for (uint32_t i = 0; i < count; i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        assert_string_equal(group.name, groups[i].name);
        assert_int_equal(group.count, groups[i].count);
        assert_int_equal(group.first, first);
        first += group.count;
    }
    assert_int_equal(fl_channels_count(channels), first);
    fl_channels_free(channels);
    fl_model_free(model);
}

TEST(coupling_of_a_chain_is_none)
{
    fl_graph net = net_over(4, 4, 2);
    net_add_conv(&net, 4, net_square(3, 1, 1), true);
    net_add_plain(&net, FL_OP_RELU);
    net_add_conv(&net, 6, net_square(3, 1, 1), true);
    check_groups(&net, (expected[]){{"n1", 4}, {"n3", 6}}, 2);
}

TEST(coupling_goes_through_sums)
{
    fl_graph net = net_over(4, 4, 2);
    const uint32_t a = add_point(&net, 0, 8);
    const uint32_t b = add_point(&net, a, 5);
    const uint32_t c = add_point(&net, b, 8);
    const uint32_t d = add_pair(&net, FL_OP_ADD, c, a);
    const uint32_t e = add_point(&net, d, 8);
    add_pair(&net, FL_OP_ADD, d, e);
    check_groups(&net, (expected[]){{"n1", 8}, {"n2", 5}}, 2);
}

TEST(coupling_with_the_input_or_an_output_leaves_no_choice)
{
    fl_graph net = net_over(4, 4, 6);
    const uint32_t a = add_point(&net, 0, 6);
    add_pair(&net, FL_OP_ADD, a, 0);
    check_groups(&net, NULL, 0);

    // The embedding, and the layer whose outputs are added to the logits.
    net = net_over(1, 1, 2);
    const uint32_t wide = net_add_dense(&net, 5);
    const uint32_t b = net_add_dense(&net, 3);
    net_add_plain(&net, FL_OP_RELU);
    const uint32_t c = net_add_dense(&net, 3);
    add_pair(&net, FL_OP_ADD, b, c);
    fl_model *model = shrinking_net(net, 1);
    fl_channels *channels = shrinking_channels(model);
    assert_int_equal(fl_channels_group_count(channels), 1);
    assert_string_equal(fl_channels_group(channels, 0).name,
                        net.nodes[wide].name);
    fl_channels_free(channels);
    fl_model_free(model);
}

TEST(coupling_goes_through_depthwise_layers)
{
    fl_graph net = net_over(4, 4, 2);
    net_add_conv(&net, 6, net_square(1, 1, 0), true);
    add_grouped(&net, 6, 6);
    add_grouped(&net, 12, 6);  // two outputs of each
    check_groups(&net, (expected[]){{"n1", 6}}, 1);
}

TEST(coupling_is_by_position_in_grouped_layers)
{
    fl_graph net = net_over(4, 4, 2);
    net_add_conv(&net, 12, net_square(1, 1, 0), true);
    add_grouped(&net, 15, 3);
    check_groups(&net, (expected[]){{"n1", 4}, {"n2", 5}}, 2);
}

TEST(coupling_keeps_the_parts_of_a_concat_apart)
{
    fl_graph net = net_over(4, 4, 2);
    const uint32_t a = add_point(&net, 0, 4), b = add_point(&net, 0, 5);
    net_add(
        &net,
        (fl_node){.op = FL_OP_CONCAT, .input_count = 3, .inputs = {a, b, a}},
        false, NULL);
    check_groups(&net, (expected[]){{"n1", 4}, {"n2", 5}}, 2);
}

TEST(coupling_divides_a_layer_where_a_slice_does)
{
    fl_graph net = net_over(4, 4, 2);
    const uint32_t a = add_point(&net, 0, 9);
    const uint32_t left = add_point(&net, add_slice(&net, a, 0, 3), 7);
    const uint32_t right = add_point(&net, add_slice(&net, a, 3, 6), 7);
    add_pair(&net, FL_OP_ADD, left, right);
    check_groups(&net, (expected[]){{"n1", 3}, {"n1", 6}, {"n3", 7}}, 3);
}

TEST(coupling_follows_a_shuffle)
{
    fl_graph net = net_over(4, 4, 2);
    const uint32_t a = add_point(&net, 0, 5), b = add_point(&net, 0, 5);
    net_add(&net,
            (fl_node){.op = FL_OP_CONCAT, .input_count = 2, .inputs = {a, b}},
            false, NULL);
    net_add(&net, (fl_node){.op = FL_OP_SHUFFLE, .group_count = 2}, false,
            NULL);
    check_groups(&net, (expected[]){{"n1", 5}}, 1);
}

TEST(coupling_ties_a_gate_to_what_it_gates)
{
    fl_graph net = net_over(4, 4, 2);
    const uint32_t x = add_point(&net, 0, 8);
    net_add_plain(&net, FL_OP_GLOBALPOOL);
    net_add_dense(&net, 4);
    net_add_plain(&net, FL_OP_RELU);
    net_add_dense(&net, 8);
    const uint32_t gate = net_add_plain(&net, FL_OP_SIGMOID);
    add_pair(&net, FL_OP_MUL, x, gate);
    check_groups(&net, (expected[]){{"n1", 8}, {"n3", 4}}, 2);
}

TEST(coupling_takes_a_group_norm_by_whole_groups)
{
    fl_graph net = net_over(4, 4, 2);
    net_add_conv(&net, 12, net_square(1, 1, 0), true);
    net_add(&net, (fl_node){.op = FL_OP_GROUPNORM, .group_count = 4}, false,
            NULL);
    check_groups(&net, (expected[]){{"n1", 4}}, 1);
}

TEST(coupling_leaves_alone_what_is_not_zero_without_its_layer)
{
    static const float constants[] = {0, 0, 1, 0};
    fl_graph net = net_over(4, 4, 2);
    net_add_conv(&net, 4, net_square(1, 1, 0), true);
    net_add_plain(&net, FL_OP_SIGMOID);  // one half
    net_add_conv(&net, 4, net_square(1, 1, 0), true);
    net_add(&net, (fl_node){.op = FL_OP_SUB}, false, constants);
    check_groups(&net, (expected[]){{"n3", 3}}, 1);
}

TEST(coupling_leaves_alone_what_is_brought_to_length_one)
{
    fl_graph net = net_over(4, 4, 2);
    net_add_conv(&net, 4, net_square(1, 1, 0), true);
    net_add_plain(&net, FL_OP_L2NORM);
    net_add_conv(&net, 6, net_square(1, 1, 0), true);
    check_groups(&net, (expected[]){{"n3", 6}}, 1);
}

/* ---- cost ---- */

// What one channel of a group costs, as said and as removed.
static void check_prices(const char *name)
{
    fl_model *model = shrinking_zoo(name, 32, 1);
    fl_channels *channels = shrinking_channels(model);
    bool *keep = malloc(fl_channels_count(channels));
    assert_non_null(keep);
    memset(keep, true, fl_channels_count(channels));
    uint32_t *kept = shrinking_kept(channels, keep);
    const fl_model_cost whole = fl_channels_cost(channels, kept);
    assert_int_equal(whole.param_count, fl_model_param_count(model));
    for (uint32_t i = 0; i < fl_channels_group_count(channels); i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        if (group.count == 1) continue;
        keep[group.first + group.count - 1] = false;
        kept[i]--;
        fl_model *smaller = shrinking_shrink(model, NULL, keep);
        const fl_model_cost rest = fl_channels_cost(channels, kept);
        assert_int_equal(rest.param_count, fl_model_param_count(smaller));
        assert_int_equal(group.param_count,
                         whole.param_count - rest.param_count);
        assert_int_equal(group.mac_count, whole.mac_count - rest.mac_count);
        fl_model_free(smaller);
        keep[group.first + group.count - 1] = true;
        kept[i]++;
    }
    free(keep);
    free(kept);
    fl_channels_free(channels);
    fl_model_free(model);
}

TEST(channels_cost_what_the_model_is_smaller_by)
{
    check_prices("mlp");
    check_prices("lenet");
    check_prices("resnet8");
    check_prices("mobilenetv3-small");
    check_prices("shufflenetv2");
}

/* ---- slopes ---- */

enum { SIDE = 6, ROWS = 4 };

// A layer's channel c is made last by these nodes, and group `group` by them.
typedef struct {
    uint32_t group;
    uint32_t makers[3];
    uint32_t maker_count;
} layer;

static double loss_of(const fl_graph *graph, const double *params,
                      const fl_dataset *dataset, const uint32_t *rows)
{
    const uint32_t *labels = fl_dataset_labels(dataset);
    float values[ROWS * SIDE * SIDE];
    double x[ROWS * SIDE * SIDE], logits[ROWS * WORLD_CLASSES], loss = 0.0;
    fl_dataset_read(values, dataset, rows, ROWS);
    for (size_t i = 0; i < ROWS * SIDE * SIDE; i++)
        x[i] = (double)values[i];
    naive_forward(logits, graph, params, x, ROWS, true);
    for (size_t r = 0; r < ROWS; r++) {
        const double *z = logits + r * WORLD_CLASSES;
        double sum = 0.0;
        for (size_t k = 0; k < WORLD_CLASSES; k++)
            sum += exp(z[k]);
        loss += log(sum) - z[labels[rows[r]]];
    }
    return loss / ROWS;
}

static void scale_channel(double *params, const fl_node *node, uint32_t c,
                          double factor)
{
    const size_t row = node->weight_count / node->shape.channels;
    for (size_t k = 0; k < row; k++)
        params[node->weight_at + c * row + k] *= factor;
    if (node->bias_count) params[node->bias_at + c] *= factor;
}

// d loss / d m_c at 1, in double.
static double slope_of(const fl_model *model, const layer *made, uint32_t c,
                       const fl_dataset *dataset, const uint32_t *rows)
{
    const double step = 1e-4;
    const size_t count = fl_model_param_count(model);
    double *params = malloc(count * sizeof *params), losses[2];
    assert_non_null(params);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < count; i++)
            params[i] = (double)model->params[i];
        for (uint32_t k = 0; k < made->maker_count; k++) {
            scale_channel(params, &model->graph.nodes[made->makers[k]], c,
                          side ? 1.0 - step : 1.0 + step);
        }
        losses[side] = loss_of(&model->graph, params, dataset, rows);
    }
    free(params);
    return (losses[0] - losses[1]) / (2.0 * step);
}

static double *slopes_of(const fl_model *model, const fl_channels *channels,
                         const fl_dataset *dataset, const uint32_t *rows)
{
    fl_trainer *trainer = NULL;
    fl_metrics metrics;
    double *slopes = calloc(fl_channels_count(channels), sizeof *slopes);
    float *grads = calloc(fl_model_param_count(model), sizeof *grads);
    assert_true(slopes && grads);
    assert_ok(fl_trainer_new(
        &trainer, model,
        &(fl_trainer_options){.batch_cap = ROWS, .with_gradients = true},
        NULL));
    assert_ok(fl_trainer_gradient(trainer, grads, &metrics, &(fl_loss){0},
                                  fl_model_get_params(model), dataset, rows,
                                  ROWS, NULL));
    fl_channels_slopes(channels, slopes, fl_model_get_params(model), grads);
    fl_trainer_free(trainer);
    free(grads);
    return slopes;
}

// Takes the net; `layers`: one a group.
static void check_slopes(fl_graph net, const layer *layers)
{
    const uint32_t rows[ROWS] = {3, 7, 1, 12};
    fl_model *model = shrinking_net(net, 3);
    fl_dataset *dataset = world_dataset(SIDE);
    fl_channels *channels = shrinking_channels(model);
    double *slopes = slopes_of(model, channels, dataset, rows);
    for (uint32_t i = 0; i < fl_channels_group_count(channels); i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        for (uint32_t c = 0; c < group.count; c++) {
            const double wanted = slope_of(model, &layers[i], c, dataset, rows);
            const double got = slopes[group.first + c];
            if (fabs(got - wanted) <= 1e-6 + 1e-4 * fabs(wanted)) continue;
            print_error("slope of %s, channel %u is %.9g, not %.9g\n",
                        group.name, c, got, wanted);
            fail();
        }
    }
    free(slopes);
    fl_channels_free(channels);
    fl_dataset_free(dataset);
    fl_model_free(model);
}

TEST(channels_slope_of_plain_layers)
{
    fl_graph net = net_over(SIDE, SIDE, 1);
    net_add_conv(&net, 4, net_square(3, 1, 1), true);
    net_add_plain(&net, FL_OP_TANH);
    net_add_dense(&net, 5);
    net_add_plain(&net, FL_OP_HARD_SWISH);
    net_add_dense(&net, WORLD_CLASSES);
    check_slopes(net, (layer[]){{0, {1}, 1}, {1, {3}, 1}});
}

// A mask is behind the norm; three layers share the group.
TEST(channels_slope_of_coupled_layers)
{
    fl_graph net = net_over(SIDE, SIDE, 1);
    net_add_conv(&net, 6, net_square(3, 1, 1), false);
    net_add(&net, (fl_node){.op = FL_OP_BATCHNORM}, false, NULL);
    const uint32_t x = net_add_plain(&net, FL_OP_HARD_SWISH);
    add_grouped(&net, 6, 6);
    net_add_plain(&net, FL_OP_TANH);
    net_add_conv(&net, 6, net_square(1, 1, 0), true);
    const uint32_t y =
        net_add(&net, (fl_node){.op = FL_OP_BATCHNORM}, false, NULL);
    add_pair(&net, FL_OP_ADD, x, y);
    net_add_plain(&net, FL_OP_GLOBALPOOL);
    net_add_dense(&net, WORLD_CLASSES);
    check_slopes(net, (layer[]){{0, {2, 4, y}, 3}});
}

/* ---- norms ---- */

TEST(channels_norm_is_over_all_that_makes_them)
{
    static const float weights[] = {3, 4, -1, 0, 0, 0, 12, 2, 5, 5};
    fl_graph net = net_over(1, 1, 2);
    const uint32_t a = add_point(&net, 0, 2);
    const uint32_t b = add_point(&net, 0, 2);
    add_pair(&net, FL_OP_ADD, a, b);
    net_add_dense(&net, 2);
    fl_model *model = shrinking_net(net, 1);
    fl_channels *channels = shrinking_channels(model);
    double norms[2];
    assert_int_equal(fl_channels_count(channels), 2);
    // Weight (2, 2) and bias (2) of one, then of the other.
    memcpy(model->params, weights, sizeof weights);
    fl_channels_norms(channels, norms, model->params);
    assert_true(fabs(norms[0] - sqrt(9.0 + 16.0 + 144.0 + 4.0)) < 1e-9);
    assert_true(fabs(norms[1] - sqrt(1.0 + 25.0 + 25.0)) < 1e-9);
    fl_channels_free(channels);
    fl_model_free(model);
}

/* ---- keep lists ---- */

static fl_channels *lenet_channels(fl_model **model)
{
    *model = shrinking_zoo("lenet", 28, 1);
    return shrinking_channels(*model);
}

TEST(channels_keep_those_on_the_lists)
{
    static const uint32_t lists[] = {0, 3, 15, 31, 0, 1, 2, 127};
    static const size_t at[] = {0, 3, 4, 8};
    fl_model *model;
    fl_channels *channels = lenet_channels(&model);
    bool *keep = malloc(fl_channels_count(channels));
    assert_non_null(keep);
    memset(keep, true, fl_channels_count(channels));
    assert_ok(fl_channels_keep(keep, channels, lists, at, NULL));
    size_t count = 0;
    for (size_t c = 0; c < fl_channels_count(channels); c++)
        count += keep[c];
    assert_int_equal(count, 8);
    assert_true(keep[0] && keep[3] && keep[15]);
    assert_true(keep[16 + 31]);
    assert_true(keep[48] && keep[49] && keep[50] && keep[48 + 127]);
    free(keep);
    fl_channels_free(channels);
    fl_model_free(model);
}

TEST(channels_refuse_lists_that_lie)
{
    static const struct {
        uint32_t lists[4];
        size_t at[4];
        const char *name, *word;
    } cases[] = {
        {{1, 2, 3}, {0, 1, 1, 3}, "conv2", "empty"},
        {{1, 2, 2, 3}, {0, 1, 3, 4}, "conv2", "once"},
        {{1, 3, 2, 3}, {0, 1, 3, 4}, "conv2", "rising"},
        {{16, 2, 3}, {0, 1, 2, 3}, "conv1", "no channel 16"},
        {{0, 2, 128}, {0, 1, 2, 3}, "fc1", "no channel 128"},
        {{0, 2, UINT32_MAX}, {0, 1, 2, 3}, "fc1", "no channel"},
    };
    fl_model *model;
    fl_channels *channels = lenet_channels(&model);
    bool *keep = malloc(fl_channels_count(channels));
    assert_non_null(keep);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_reason why = {""};
        assert_err(
            fl_channels_keep(keep, channels, cases[i].lists, cases[i].at, &why),
            FL_ERR_RANGE);
        assert_reason_names(why, cases[i].name);
        assert_reason_names(why, cases[i].word);
    }
    free(keep);
    fl_channels_free(channels);
    fl_channels_free(NULL);
    fl_model_free(model);
}

RUN_TESTS(
    cmocka_unit_test(coupling_of_a_chain_is_none),
    cmocka_unit_test(coupling_goes_through_sums),
    cmocka_unit_test(coupling_with_the_input_or_an_output_leaves_no_choice),
    cmocka_unit_test(coupling_goes_through_depthwise_layers),
    cmocka_unit_test(coupling_is_by_position_in_grouped_layers),
    cmocka_unit_test(coupling_keeps_the_parts_of_a_concat_apart),
    cmocka_unit_test(coupling_divides_a_layer_where_a_slice_does),
    cmocka_unit_test(coupling_follows_a_shuffle),
    cmocka_unit_test(coupling_ties_a_gate_to_what_it_gates),
    cmocka_unit_test(coupling_takes_a_group_norm_by_whole_groups),
    cmocka_unit_test(coupling_leaves_alone_what_is_not_zero_without_its_layer),
    cmocka_unit_test(coupling_leaves_alone_what_is_brought_to_length_one),
    cmocka_unit_test(channels_cost_what_the_model_is_smaller_by),
    cmocka_unit_test(channels_slope_of_plain_layers),
    cmocka_unit_test(channels_slope_of_coupled_layers),
    cmocka_unit_test(channels_norm_is_over_all_that_makes_them),
    cmocka_unit_test(channels_keep_those_on_the_lists),
    cmocka_unit_test(channels_refuse_lists_that_lie))
