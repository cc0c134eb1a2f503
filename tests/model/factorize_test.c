/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "model/graph.h"
#include "model/model.h"
#include "tests/support/nets.h"
#include "tests/test.h"

static fl_reason why;

/* ---- models ---- */

static fl_model *zoo(const char *name, fl_shape input)
{
    const fl_model_options options = {
        .name = name, .input = input, .class_count = 10, .seed = 3};
    fl_model *model = NULL;
    assert_ok(fl_model_new(&model, &options, &why));
    return model;
}

static fl_model *lenet(void)
{
    return zoo("lenet", (fl_shape){28, 28, 1});
}

// Takes the graph; parameters are zero.
static fl_model *model_of(fl_graph net)
{
    fl_model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    model->graph = net;
    model->params = calloc(net.param_count + 1, sizeof *model->params);
    assert_non_null(model->params);
    return model;
}

// A dense layer n1 whose weights are a diagonal: its singular values.
static fl_model *diagonal(const float *values, uint32_t count)
{
    fl_graph net = net_over(1, 1, count);
    (void)net_add_dense(&net, count);
    fl_model *model = model_of(net);
    for (uint32_t i = 0; i < count; i++)
        model->params[i * count + i] = values[i];
    return model;
}

static fl_model *factored(const fl_model *model, const char *layers,
                          double energy, double budget)
{
    const fl_factorize_options options = {layers, energy, budget};
    fl_model *made = NULL;
    why = (fl_reason){""};
    const fl_err err = fl_model_factorize(&made, model, &options, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
    return made;
}

static void assert_refused(const fl_model *model,
                           const fl_factorize_options *options, fl_err err,
                           const char *word)
{
    fl_model *made = NULL;
    why = (fl_reason){""};
    assert_err(fl_model_factorize(&made, model, options, &why), err);
    assert_reason_names(why, word);
    assert_null(made);
}

static const fl_node *find(const fl_model *model, const char *name)
{
    for (uint32_t i = 0; i < model->graph.node_count; i++) {
        const fl_node *node = &model->graph.nodes[i];
        if (strcmp(node->name, name) == 0) return node;
    }
    return NULL;
}

static uint32_t rank_of(const fl_model *model, const char *name)
{
    const fl_node *node = find(model, name);
    return node ? node->out_count : 0;
}

static size_t weight_count(const fl_model *model)
{
    size_t count = 0;
    for (uint32_t i = 0; i < model->graph.node_count; i++)
        count += model->graph.nodes[i].weight_count;
    return count;
}

/* ---- what a model answers ---- */

static void predict(float *logits, const fl_model *model, size_t count)
{
    const fl_trainer_options options = {.batch_cap = (uint32_t)count};
    fl_trainer *trainer = NULL;
    assert_ok(fl_trainer_new(&trainer, model, &options, &why));
    const size_t size = fl_shape_size(fl_model_input(model)) * count;
    float *x = malloc(size * sizeof *x);
    assert_non_null(x);
    fl_random random;
    fl_random_init(&random, 7, FL_RANDOM_SHUFFLE, 0);
    for (size_t i = 0; i < size; i++)
        x[i] = fl_random_float(&random);
    assert_ok(fl_trainer_predict(trainer, logits, fl_model_get_params(model), x,
                                 count));
    free(x);
    fl_trainer_free(trainer);
}

static double largest_difference(const fl_model *a, const fl_model *b)
{
    enum { COUNT = 4, CLASSES = 10 };
    float of_a[COUNT * CLASSES], of_b[COUNT * CLASSES];
    double most = 0.0;
    predict(of_a, a, COUNT);
    predict(of_b, b, COUNT);
    for (size_t i = 0; i < COUNT * CLASSES; i++)
        most = fmax(most, fabs((double)of_a[i] - (double)of_b[i]));
    return most;
}

// v u of the layer, against its weights in the whole model.
static double reconstruction_error(const fl_model *whole, const fl_model *made,
                                   const char *name)
{
    char u_name[FL_NODE_NAME_CAP], v_name[FL_NODE_NAME_CAP];
    snprintf(u_name, sizeof u_name, "%s.u", name);
    snprintf(v_name, sizeof v_name, "%s.v", name);
    const fl_node *node = find(whole, name);
    const fl_node *u = find(made, u_name), *v = find(made, v_name);
    assert_true(node && u && v);
    const size_t rank = u->out_count, depth = u->weight_count / rank;
    double most = 0.0;
    for (size_t o = 0; o < node->out_count; o++) {
        for (size_t k = 0; k < depth; k++) {
            double sum = 0.0;
            for (size_t j = 0; j < rank; j++)
                sum += (double)made->params[v->weight_at + o * rank + j] *
                       (double)made->params[u->weight_at + j * depth + k];
            const float w = whole->params[node->weight_at + o * depth + k];
            most = fmax(most, fabs(sum - (double)w));
        }
    }
    return most;
}

TEST(factorize_at_full_rank_reproduces_every_layer)
{
    static const char *const names[] = {"conv1", "conv2", "fc1", "fc2"};
    fl_model *model = lenet();
    fl_model *made = factored(model, "conv*,fc1,fc2", 1.0, 0.0);
    for (size_t i = 0; i < 4; i++)
        assert_true(reconstruction_error(model, made, names[i]) < 1e-6);
    assert_true(largest_difference(model, made) < 1e-5);
    fl_model_free(made);
    fl_model_free(model);
}

// A window with a stride, padding and a batch norm behind it.
TEST(factorize_keeps_windows_and_norms)
{
    fl_model *model = zoo("resnet8", (fl_shape){15, 12, 3});
    fl_model *made = factored(model, "block2.*", 1.0, 0.0);
    assert_non_null(find(made, "block2.conv1.u"));
    assert_non_null(find(made, "block2.conv1_bn"));
    assert_null(find(made, "block3.conv1.u"));
    assert_true(largest_difference(model, made) < 1e-4);
    fl_model_free(made);
    fl_model_free(model);
}

/* ---- ranks ---- */

// Squares 9, 4, 1 and 0.25 thirteen times over: of 17.25.
TEST(factorize_keeps_the_least_rank_with_the_energy)
{
    enum { SIZE = 16 };
    float values[SIZE] = {1.0F, -3.0F, 2.0F};
    for (uint32_t i = 3; i < SIZE; i++)
        values[i] = 0.5F;
    fl_model *model = diagonal(values, SIZE);
    const struct {
        double energy;
        uint32_t rank;
    } cases[] = {{0.01, 1},
                 {9.0 / 17.25 - 1e-9, 1},
                 {9.0 / 17.25 + 1e-9, 2},
                 {13.0 / 17.25 + 1e-9, 3},
                 {14.0 / 17.25 + 1e-9, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_model *made = factored(model, NULL, cases[i].energy, 0.0);
        assert_int_equal(rank_of(made, "n1.u"), cases[i].rank);
        fl_model_free(made);
    }
    fl_model_free(model);
}

TEST(factorize_finds_the_rank_that_a_layer_has)
{
    enum { OUT = 12, IN = 20, RANK = 3 };
    fl_graph net = net_over(1, 1, IN);
    (void)net_add_dense(&net, OUT);
    fl_model *model = model_of(net);
    for (size_t o = 0; o < OUT; o++) {
        for (size_t k = 0; k < IN; k++) {
            for (size_t j = 0; j < RANK; j++)
                model->params[o * IN + k] +=
                    sinf((float)(o * (j + 1))) * cosf((float)(k * (j + 1)));
        }
    }
    fl_model *made = factored(model, NULL, 0.9999999, 0.0);
    assert_int_equal(rank_of(made, "n1.u"), RANK);
    assert_true(reconstruction_error(model, made, "n1") < 1e-6);
    fl_model_free(made);
    fl_model_free(model);
}

TEST(factorize_fits_the_budget_and_uses_it)
{
    static const double budgets[] = {0.7, 0.5, 0.25, 0.1};
    fl_model *model = lenet();
    size_t before = weight_count(model);
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
        fl_model *made = factored(model, NULL, 0.0, budgets[i]);
        const double share =
            (double)weight_count(made) / (double)weight_count(model);
        assert_true(share <= budgets[i]);
        assert_true(share > budgets[i] - 0.02);  // a rank of fc1 is 0.8 %
        assert_true(weight_count(made) < before);
        before = weight_count(made);
        fl_model_free(made);
    }
    fl_model_free(model);
}

// All singular values of n1 are equal, n2 has a single one.
TEST(factorize_leaves_what_would_grow)
{
    enum { SIZE = 16 };
    fl_graph net = net_over(1, 1, SIZE);
    (void)net_add_dense(&net, SIZE);
    (void)net_add_dense(&net, SIZE);
    fl_model *model = model_of(net);
    for (uint32_t i = 0; i < SIZE; i++)
        model->params[i * SIZE + i] = 1.0F;
    model->params[find(model, "n2")->weight_at] = 1.0F;
    fl_model *made = factored(model, "n1,n2", 0.9, 0.0);
    assert_non_null(find(made, "n1"));
    assert_int_equal(rank_of(made, "n2.u"), 1);
    fl_model_free(made);
    fl_model_free(model);
}

/* ---- the rest of the model ---- */

TEST(factorize_changes_no_bit_of_other_layers)
{
    fl_model *model = lenet();
    fl_model *made = factored(model, "fc1", 0.5, 0.0);
    static const char *const names[] = {"conv1", "conv2", "fc2"};
    for (size_t i = 0; i < 3; i++) {
        const fl_node *a = find(model, names[i]), *b = find(made, names[i]);
        assert_true(a && b);
        assert_memory_equal(model->params + a->weight_at,
                            made->params + b->weight_at,
                            (a->weight_count + a->bias_count) * sizeof(float));
    }
    const fl_node *whole = find(model, "fc1"), *v = find(made, "fc1.v");
    assert_memory_equal(model->params + whole->bias_at,
                        made->params + v->bias_at,
                        whole->bias_count * sizeof(float));
    assert_int_equal(find(made, "fc1.u")->bias_count, 0);
    fl_model_free(made);
    fl_model_free(model);
}

TEST(factorize_makes_a_model_that_survives_onnx)
{
    fl_model *model = lenet(), *made = factored(model, NULL, 0.0, 0.3);
    const size_t len = fl_model_bytes(made);
    uint8_t *bytes = malloc(len);
    fl_model *read = NULL;
    assert_non_null(bytes);
    assert_ok(fl_model_encode(made, bytes, len));
    assert_ok(fl_model_decode(&read, bytes, len, &why));
    assert_int_equal(fl_model_param_count(read), fl_model_param_count(made));
    assert_true(largest_difference(read, made) <= 0.0);
    // What is factored already can be factored again.
    fl_model *twice = factored(read, "*.v", 1.0, 0.0);
    assert_non_null(find(twice, "fc1.v.u"));
    fl_model_free(twice);
    fl_model_free(read);
    free(bytes);
    fl_model_free(made);
    fl_model_free(model);
}

TEST(factorize_gives_the_same_bits_again)
{
    fl_model *model = lenet();
    fl_model *a = factored(model, NULL, 0.8, 0.0);
    fl_model *b = factored(model, NULL, 0.8, 0.0);
    assert_int_equal(fl_model_param_count(a), fl_model_param_count(b));
    assert_memory_equal(a->params, b->params,
                        fl_model_param_count(a) * sizeof(float));
    fl_model_free(a);
    fl_model_free(b);
    fl_model_free(model);
}

// Whatever signs LAPACK gives, those of the diagonal end up in u.
TEST(factorize_makes_the_largest_of_a_column_positive)
{
    static const float values[] = {4.0F, -3.0F, 2.0F, -1.0F};
    fl_model *model = diagonal(values, 4);
    fl_model *made = factored(model, "n1", 1.0, 0.0);
    const fl_node *u = find(made, "n1.u"), *v = find(made, "n1.v");
    for (size_t i = 0; i < 4; i++) {
        assert_true(made->params[v->weight_at + i * 4 + i] > 0.0F);
        assert_true(made->params[u->weight_at + i * 4 + i] * values[i] > 0.0F);
    }
    fl_model_free(made);
    fl_model_free(model);
}

/* ---- refusals ---- */

TEST(factorize_refuses_options_out_of_range)
{
    fl_model *model = lenet();
    const struct {
        fl_factorize_options options;
        const char *word;
    } cases[] = {
        {{NULL, 0.0, 0.0}, "one of the two"},
        {{NULL, 0.5, 0.5}, "one of"},
        {{NULL, -0.1, 0.0}, "energy"},
        {{NULL, 1.1, 0.0}, "energy"},
        {{NULL, (double)NAN, 0.0}, "energy"},
        {{NULL, 0.0, 1.0}, "budget"},
        {{NULL, 0.0, -1.0}, "budget"},
        {{NULL, 0.0, (double)NAN}, "budget"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(model, &cases[i].options, FL_ERR_RANGE, cases[i].word);
    fl_model_free(model);
}

TEST(factorize_refuses_names_that_fit_no_matrix)
{
    fl_model *model = lenet();
    static const char *const names[] = {"fc9", "pool*", "conv1,fc9",
                                        "conv1,,fc1"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const fl_factorize_options options = {names[i], 0.5, 0.0};

        assert_refused(model, &options, FL_ERR_NOT_FOUND, "fits no");
    }
    fl_model_free(model);
}

TEST(factorize_refuses_groups_that_are_named_and_passes_over_them_otherwise)
{
    fl_model *model = zoo("mobilenetv2-tiny", (fl_shape){28, 28, 1});
    const fl_node *depthwise = NULL;
    for (uint32_t i = 0; i < model->graph.node_count; i++) {
        const fl_node *node = &model->graph.nodes[i];
        if (node->group_count > 1) depthwise = node;
    }
    assert_non_null(depthwise);
    const fl_factorize_options options = {depthwise->name, 0.5, 0.0};
    assert_refused(model, &options, FL_ERR_UNSUPPORTED, depthwise->name);
    fl_model *made = factored(model, "*", 0.5, 0.0);
    assert_non_null(find(made, depthwise->name));
    assert_true(weight_count(made) < weight_count(model));
    fl_model_free(made);
    fl_model_free(model);
}

TEST(factorize_refuses_when_no_layer_gets_smaller)
{
    fl_model *model = lenet();
    const fl_factorize_options all = {NULL, 1.0, 0.0};
    assert_refused(model, &all, FL_ERR_RANGE, "no layer gets smaller");
    const fl_factorize_options little = {NULL, 0.0, 0.001};
    assert_refused(model, &little, FL_ERR_RANGE, "rank 1");
    fl_model_free(model);
}

TEST(factorize_refuses_weights_that_are_no_numbers)
{
    static const float bad[] = {NAN, INFINITY};
    for (size_t i = 0; i < 2; i++) {
        fl_model *model = lenet();
        model->params[find(model, "fc1")->weight_at + 9] = bad[i];
        const fl_factorize_options options = {NULL, 0.5, 0.0};
        assert_refused(model, &options, FL_ERR_RANGE, "fc1");
        fl_model_free(model);
    }
}

RUN_TESTS(
    cmocka_unit_test(factorize_at_full_rank_reproduces_every_layer),
    cmocka_unit_test(factorize_keeps_windows_and_norms),
    cmocka_unit_test(factorize_keeps_the_least_rank_with_the_energy),
    cmocka_unit_test(factorize_finds_the_rank_that_a_layer_has),
    cmocka_unit_test(factorize_fits_the_budget_and_uses_it),
    cmocka_unit_test(factorize_leaves_what_would_grow),
    cmocka_unit_test(factorize_changes_no_bit_of_other_layers),
    cmocka_unit_test(factorize_makes_a_model_that_survives_onnx),
    cmocka_unit_test(factorize_gives_the_same_bits_again),
    cmocka_unit_test(factorize_makes_the_largest_of_a_column_positive),
    cmocka_unit_test(factorize_refuses_options_out_of_range),
    cmocka_unit_test(factorize_refuses_names_that_fit_no_matrix),
    cmocka_unit_test(
        factorize_refuses_groups_that_are_named_and_passes_over_them_otherwise),
    cmocka_unit_test(factorize_refuses_when_no_layer_gets_smaller),
    cmocka_unit_test(factorize_refuses_weights_that_are_no_numbers))
