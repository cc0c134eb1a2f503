/*
 * Models without some of their channels compute what the whole ones do with
 * these channels set to zero: every built-in architecture, and every way in
 * which channels are coupled.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "model/graph.h"
#include "model/model.h"
#include "tests/support/nets.h"
#include "tests/support/shrinking.h"
#include "tests/support/world.h"
#include "tests/test.h"

enum { COUNT = 3 };  // examples

/* ---- comparing ---- */

// Equal as numbers: an exact sum of nothing may be 0 here and -0 there.
static void assert_same_outputs(const fl_model *a, const fl_model *b)
{
    float *expected = shrinking_logits(a, COUNT);
    float *got = shrinking_logits(b, COUNT);
    bool differ = false;
    for (size_t i = 0; i < COUNT * (size_t)fl_model_class_count(a); i++) {
        assert_true(isfinite(expected[i]));
        differ = differ || fabsf(expected[i] - expected[0]) > 1e-3F;
        if (got[i] == expected[i]) continue;
        print_error("output %zu is %.9g, not %.9g\n", i, (double)got[i],
                    (double)expected[i]);
        fail();
    }
    assert_true(differ);  // else this was no comparison
    free(expected);
    free(got);
}

static void assert_from(const fl_model *smaller, const uint32_t *from,
                        const fl_model *model)
{
    const float *part = fl_model_get_params(smaller);
    const float *all = fl_model_get_params(model);
    for (size_t j = 0; j < fl_model_param_count(smaller); j++) {
        assert_true(from[j] < fl_model_param_count(model));
        assert_memory_equal(&part[j], &all[from[j]], sizeof *part);
        if (j > 0) assert_true(from[j] > from[j - 1]);
    }
}

static void assert_cost(const fl_model *smaller, fl_model_cost cost)
{
    uint64_t macs = 0;
    for (uint32_t i = 0; i < fl_model_layer_count(smaller); i++)
        macs += fl_model_layer(smaller, i).mac_count;
    assert_int_equal(cost.param_count, fl_model_param_count(smaller));
    assert_int_equal(cost.mac_count, macs);
}

static void assert_same_groups(const fl_model *smaller,
                               const fl_channels *channels,
                               const uint32_t *kept)
{
    fl_channels *left = shrinking_channels(smaller);
    assert_int_equal(fl_channels_group_count(left),
                     fl_channels_group_count(channels));
    uint32_t first = 0;
    for (uint32_t i = 0; i < fl_channels_group_count(left); i++) {
        const fl_channel_group group = fl_channels_group(left, i);
        assert_string_equal(group.name, fl_channels_group(channels, i).name);
        assert_int_equal(group.first, first);
        assert_int_equal(group.count, kept[i]);
        first += kept[i];
    }
    assert_int_equal(fl_channels_count(left), first);
    fl_channels_free(left);
}

// Takes channels by the mask; the model is silenced.
static fl_model *check_mask(fl_model *model, const fl_channels *channels,
                            const bool *keep)
{
    uint32_t *from = NULL;
    uint32_t *kept = shrinking_kept(channels, keep);
    fl_model *smaller = shrinking_shrink(model, &from, keep);
    assert_from(smaller, from, model);
    assert_cost(smaller, fl_channels_cost(channels, kept));
    shrinking_silence(model, keep);
    assert_same_outputs(model, smaller);
    free(from);
    free(kept);
    return smaller;
}

// Takes some channels, but leaves two of each group; takes the model.
static void check(fl_model *model, uint64_t seed)
{
    fl_channels *channels = shrinking_channels(model);
    bool *keep = shrinking_mask(channels, 2, seed);
    uint32_t *kept = shrinking_kept(channels, keep);
    fl_model *smaller = check_mask(model, channels, keep);
    assert_same_groups(smaller, channels, kept);
    assert_true(fl_model_param_count(smaller) < fl_model_param_count(model));
    fl_model_free(smaller);
    free(keep);
    free(kept);
    fl_channels_free(channels);
    fl_model_free(model);
}

// Leaves a single channel of each group.
static void check_least(fl_model *model)
{
    fl_channels *channels = shrinking_channels(model);
    bool *keep = calloc(fl_channels_count(channels) + 1, sizeof *keep);
    assert_non_null(keep);
    for (uint32_t i = 0; i < fl_channels_group_count(channels); i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        keep[group.first + group.count / 2] = true;
    }
    fl_model_free(check_mask(model, channels, keep));
    free(keep);
    fl_channels_free(channels);
    fl_model_free(model);
}

static void check_zoo(const char *name, uint32_t side)
{
    for (uint64_t seed = 1; seed <= 3; seed++)
        check(shrinking_zoo(name, side, seed), seed);
    check_least(shrinking_zoo(name, side, 4));
}

/* ---- architectures ---- */

TEST(shrink_takes_channels_from_plain_networks)
{
    check_zoo("mlp", 12);
    check_zoo("lenet", 28);
    check_zoo("siamese", 28);
}

TEST(shrink_takes_channels_from_residual_networks)
{
    check_zoo("resnet8", 16);
    check_zoo("resnet18", 32);
}

TEST(shrink_takes_channels_from_mobile_networks)
{
    check_zoo("mobilenetv2-tiny", 28);
    check_zoo("mobilenetv2", 32);
    check_zoo("mobilenetv3-small", 32);
}

TEST(shrink_takes_channels_from_shuffled_networks)
{
    check_zoo("shufflenetv2", 32);
}

/* ---- ways to be coupled ---- */

static uint32_t add_pair(fl_graph *net, fl_op_kind op, uint32_t a, uint32_t b)
{
    return net_add(net, (fl_node){.op = op, .input_count = 2, .inputs = {a, b}},
                   false, NULL);
}

static uint32_t add_grouped(fl_graph *net, uint32_t channels, uint32_t groups)
{
    return net_add(net,
                   (fl_node){.op = FL_OP_CONV,
                             .out_count = channels,
                             .group_count = groups,
                             .window = net_square(3, 1, 1)},
                   true, NULL);
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

// Finishes the net, whose last value is picture-like, and checks it.
static void check_net(fl_graph *net)
{
    net_add_conv(net, 5, net_square(3, 2, 1), true);
    net_add_plain(net, FL_OP_FLATTEN);
    net_add_dense(net, 4);
    fl_graph copy;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        assert_ok(fl_graph_copy(&copy, net));
        check(shrinking_net(copy, seed), seed);
    }
    check_least(shrinking_net(*net, 4));
}

TEST(shrink_takes_depthwise_channels)
{
    static const uint32_t multipliers[] = {1, 3};
    for (size_t i = 0; i < 2; i++) {
        fl_graph net = net_over(5, 4, 2);
        net_add_conv(&net, 7, net_square(3, 1, 1), true);
        add_grouped(&net, 7 * multipliers[i], 7);
        net_add_plain(&net, FL_OP_HARD_SWISH);
        check_net(&net);
    }
}

TEST(shrink_takes_as_many_from_each_group)
{
    fl_graph net = net_over(5, 4, 2);
    net_add_conv(&net, 12, net_square(1, 1, 0), true);
    add_grouped(&net, 18, 3);
    net_add_plain(&net, FL_OP_RELU6);
    check_net(&net);
}

TEST(shrink_takes_a_channel_from_both_sides_of_a_sum)
{
    fl_graph net = net_over(5, 4, 2);
    const uint32_t a = net_add_conv(&net, 6, net_square(3, 1, 1), true);
    net_add_plain(&net, FL_OP_TANH);
    const uint32_t b = net_add_conv(&net, 6, net_square(3, 1, 1), false);
    add_pair(&net, FL_OP_ADD, a, b);
    net_add_plain(&net, FL_OP_RELU);
    check_net(&net);
}

TEST(shrink_takes_channels_through_concat_and_slice)
{
    fl_graph net = net_over(5, 4, 2);
    const uint32_t a = net_add_conv(&net, 6, net_square(3, 1, 1), true);
    const uint32_t b = net_add_conv(&net, 5, net_square(1, 1, 0), true);
    const uint32_t both = net_add(
        &net,
        (fl_node){.op = FL_OP_CONCAT, .input_count = 3, .inputs = {a, b, a}},
        false, NULL);
    // Half of a with the last two of b; these with the first ones of a again.
    add_slice(&net, both, 3, 8);
    net_add_conv(&net, 4, net_square(1, 1, 0), true);
    const uint32_t c = net_add_plain(&net, FL_OP_SIGMOID);
    const uint32_t d = add_slice(&net, both, 9, 4);
    add_pair(&net, FL_OP_MUL, c, d);
    check_net(&net);
}

TEST(shrink_keeps_a_shuffle_regular)
{
    static const uint32_t groups[] = {2, 3, 4};
    for (size_t i = 0; i < 3; i++) {
        fl_graph net = net_over(5, 4, 2);
        net_add_conv(&net, 24, net_square(3, 1, 1), true);
        net_add(&net, (fl_node){.op = FL_OP_SHUFFLE, .group_count = groups[i]},
                false, NULL);
        check_net(&net);
    }
}

TEST(shrink_takes_channels_and_their_gates)
{
    fl_graph net = net_over(5, 4, 2);
    const uint32_t x = net_add_conv(&net, 9, net_square(3, 1, 1), true);
    net_add_plain(&net, FL_OP_GLOBALPOOL);
    net_add_dense(&net, 6);
    net_add_plain(&net, FL_OP_RELU);
    net_add_dense(&net, 9);
    const uint32_t gate = net_add(
        &net, (fl_node){.op = FL_OP_HARD_SIGMOID, .alpha = 0.2F, .beta = 0.5F},
        false, NULL);
    add_pair(&net, FL_OP_MUL, x, gate);
    check_net(&net);
}

// So wide that the norm adds up single rows, whatever is left: narrow ones it
// takes several at a time, and what it finds differs in the last bit.
TEST(shrink_takes_whole_groups_of_a_group_norm)
{
    fl_graph net = net_over(5, 4, 2);
    net_add_conv(&net, 256, net_square(3, 1, 1), false);
    net_add(
        &net,
        (fl_node){.op = FL_OP_GROUPNORM, .group_count = 4, .epsilon = 1e-3F},
        false, NULL);
    net_add_plain(&net, FL_OP_RELU);
    check_net(&net);
}

TEST(shrink_takes_channels_through_pools_and_constants)
{
    static const float constants[] = {0, 0.5F, 0, 0, -1, 0, 0};
    static const float divisors[] = {1, 2, 3, 4, 5, 6, 7};
    fl_graph net = net_over(8, 8, 2);
    net_add_conv(&net, 7, net_square(3, 1, 1), true);
    net_add(&net, (fl_node){.op = FL_OP_SUB}, false, constants);
    net_add(&net, (fl_node){.op = FL_OP_DIV}, false, divisors);
    net_add_pool(&net, net_square(2, 1, 0));
    net_add(&net, (fl_node){.op = FL_OP_AVGPOOL, .window = net_square(2, 2, 0)},
            false, NULL);
    net_add(&net, (fl_node){.op = FL_OP_DROPOUT, .alpha = 0.5F}, false, NULL);
    check_net(&net);
}

/* ---- what becomes of it ---- */

static bool *half_of(const fl_channels *channels)
{
    bool *keep = calloc(fl_channels_count(channels) + 1, sizeof *keep);
    assert_non_null(keep);
    for (uint32_t i = 0; i < fl_channels_group_count(channels); i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        for (uint32_t c = 0; c < group.count; c++)
            keep[group.first + c] = c % 2 == 0;
    }
    return keep;
}

static fl_model *half_of_zoo(const char *name)
{
    fl_model *model = shrinking_zoo(name, WORLD_SIDE, 5);
    fl_channels *channels = shrinking_channels(model);
    bool *keep = half_of(channels);
    fl_model *smaller = shrinking_shrink(model, NULL, keep);
    free(keep);
    fl_channels_free(channels);
    fl_model_free(model);
    return smaller;
}

static void check_onnx(const fl_model *model)
{
    const size_t len = fl_model_bytes(model);
    uint8_t *bytes = malloc(len), *again = malloc(len);
    fl_model *decoded = NULL;
    assert_true(bytes && again);
    assert_ok(fl_model_encode(model, bytes, len));
    assert_ok(fl_model_decode(&decoded, bytes, len, NULL));
    assert_int_equal(fl_model_bytes(decoded), len);
    assert_ok(fl_model_encode(decoded, again, len));
    assert_memory_equal(bytes, again, len);
    assert_same_outputs(model, decoded);
    fl_model_free(decoded);
    free(bytes);
    free(again);
}

static void check_training(const fl_model *model, const world *w)
{
    const size_t count = fl_model_param_count(model);
    float *params = malloc(count * sizeof *params);
    fl_trainer *trainer = NULL;
    fl_metrics first, last;
    fl_random random;
    const fl_train_options options = {
        .epochs = 6, .batch = 12, .lr = 0.02F, .momentum = 0.5F};
    assert_non_null(params);
    memcpy(params, fl_model_get_params(model), count * sizeof *params);
    assert_ok(fl_trainer_new(
        &trainer, model,
        &(fl_trainer_options){.batch_cap = 12, .with_gradients = true}, NULL));
    fl_random_init(&random, 1, FL_RANDOM_TEST, 0);
    assert_ok(fl_trainer_run(trainer, params, &first, w->dataset, w->rows,
                             WORLD_ROWS, &options, &random, NULL));
    assert_ok(fl_trainer_run(trainer, params, &last, w->dataset, w->rows,
                             WORLD_ROWS, &options, &random, NULL));
    assert_true(last.loss_sum < first.loss_sum);
    fl_trainer_free(trainer);
    free(params);
}

static void check_int8(const fl_model *model, const world *w)
{
    fl_int8_model *quantized = NULL;
    fl_runner *runner = NULL;
    fl_metrics metrics;
    assert_ok(fl_int8_quantize(&quantized, model, w->dataset, w->rows,
                               WORLD_ROWS, &(fl_int8_options){0}, NULL));
    assert_ok(fl_runner_new_int8(&runner, quantized, 8, NULL));
    assert_ok(fl_runner_evaluate(runner, &metrics, w->dataset, w->rows,
                                 WORLD_ROWS, NULL));
    assert_int_equal(metrics.sample_count, WORLD_ROWS);
    fl_runner_free(runner);
    fl_int8_free(quantized);
}

static void check_use(const char *name)
{
    world w = world_open("mlp");
    fl_model *model = half_of_zoo(name);
    check_onnx(model);
    check_training(model, &w);
    check_int8(model, &w);
    fl_model_free(model);
    world_close(&w);
}

TEST(shrink_makes_models_like_any_other)
{
    check_use("lenet");
    check_use("resnet8");
    check_use("mobilenetv3-small");
    check_use("shufflenetv2");
}

TEST(shrink_of_everything_kept_is_the_model)
{
    fl_model *model = shrinking_zoo("shufflenetv2", 32, 1);
    fl_channels *channels = shrinking_channels(model);
    const size_t count = fl_channels_count(channels);
    bool *keep = malloc(count);
    uint32_t *from = NULL;
    assert_non_null(keep);
    memset(keep, true, count);
    fl_model *same = shrinking_shrink(model, &from, keep);
    assert_int_equal(fl_model_param_count(same), fl_model_param_count(model));
    for (size_t i = 0; i < fl_model_param_count(model); i++)
        assert_int_equal(from[i], i);
    assert_same_outputs(model, same);
    free(from);
    free(keep);
    fl_model_free(same);
    fl_channels_free(channels);
    fl_model_free(model);
}

TEST(shrink_refuses_a_group_without_channels)
{
    fl_model *model = shrinking_zoo("lenet", 28, 1), *smaller = NULL;
    fl_channels *channels = shrinking_channels(model);
    bool *keep = shrinking_mask(channels, 1, 1);
    uint32_t *from = NULL;
    fl_reason why = {""};
    const fl_channel_group group = fl_channels_group(channels, 1);
    memset(keep + group.first, false, group.count);
    assert_err(fl_model_shrink(&smaller, &from, model, channels, keep, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, group.name);
    assert_reason_names(why, "at least one");
    assert_null(smaller);
    assert_null(from);
    free(keep);
    fl_channels_free(channels);
    fl_model_free(model);
}

RUN_TESTS(cmocka_unit_test(shrink_takes_channels_from_plain_networks),
          cmocka_unit_test(shrink_takes_channels_from_residual_networks),
          cmocka_unit_test(shrink_takes_channels_from_mobile_networks),
          cmocka_unit_test(shrink_takes_channels_from_shuffled_networks),
          cmocka_unit_test(shrink_takes_depthwise_channels),
          cmocka_unit_test(shrink_takes_as_many_from_each_group),
          cmocka_unit_test(shrink_takes_a_channel_from_both_sides_of_a_sum),
          cmocka_unit_test(shrink_takes_channels_through_concat_and_slice),
          cmocka_unit_test(shrink_keeps_a_shuffle_regular),
          cmocka_unit_test(shrink_takes_channels_and_their_gates),
          cmocka_unit_test(shrink_takes_whole_groups_of_a_group_norm),
          cmocka_unit_test(shrink_takes_channels_through_pools_and_constants),
          cmocka_unit_test(shrink_makes_models_like_any_other),
          cmocka_unit_test(shrink_of_everything_kept_is_the_model),
          cmocka_unit_test(shrink_refuses_a_group_without_channels))
