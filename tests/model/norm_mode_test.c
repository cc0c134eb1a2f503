/*
 * What a trainer makes of batch norms: train, frozen, local, and layers that
 * do not learn. The net is small and begins with a batch norm, whose
 * statistics depend on the data alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "model/graph.h"
#include "model/model.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

enum { ROWS = 15, SIDE = 6, PIXELS = SIDE * SIDE, CLASSES = 3, EPOCHS = 3 };
enum { IN_BN = 1, BODY, BODY_BN, RELU, DROPOUT, HEAD };  // nodes

static const float IN_MOMENTUM = 0.3F;

/* ---- a small world ---- */

typedef struct {
    struct fl_model model;
    fl_dataset *dataset;
    uint32_t rows[ROWS];
    float *params, *first;  // first: those that every run starts from
    size_t param_count;
} world;

static uint8_t pixel(uint32_t i)
{
    return (uint8_t)(i * 2654435761U >> 24);
}

static fl_dataset *open_dataset(void)
{
    uint8_t values[ROWS * PIXELS], labels[ROWS], idx[ROWS * PIXELS + 16];
    const uint32_t sizes[] = {ROWS, SIDE, SIDE};
    for (uint32_t i = 0; i < ROWS * PIXELS; i++)
        values[i] = pixel(i);
    for (uint32_t i = 0; i < ROWS; i++)
        labels[i] = (uint8_t)(i % CLASSES);

    data_files files;
    char spec[4 * DATA_PATH_CAP];
    data_files_init(&files);
    size_t len = data_files_idx(idx, sizes, 3, values, sizeof values);
    data_files_put(&files, "values", idx, len);
    len = data_files_idx(idx, sizes, 1, labels, ROWS);
    data_files_put(&files, "labels", idx, len);
    data_files_spec(spec, &files, "idx", "values", "labels");
    const fl_data_options options = {.spec = spec, .test_spec = spec};
    fl_dataset *dataset = NULL;
    assert_ok(fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, NULL));
    data_files_fini(&files);
    return dataset;
}

static void add(fl_graph *graph, const char *name, fl_node node)
{
    snprintf(node.name, sizeof node.name, "%s", name);
    if (graph->node_count > 0) {
        node.input_count = 1;
        node.inputs[0] = graph->node_count - 1;
    }
    assert_ok(fl_graph_add(graph, &node, true, NULL, NULL));
}

static void build(fl_graph *graph)
{
    add(graph, "input", (fl_node){.op = FL_OP_INPUT, .shape = {SIDE, SIDE, 1}});
    add(graph, "in_bn",
        (fl_node){.op = FL_OP_BATCHNORM, .momentum = IN_MOMENTUM});
    add(graph, "body",
        (fl_node){.op = FL_OP_CONV,
                  .out_count = 5,
                  .window = {3, 3, 1, 1, 1, 1, 1, 1}});
    add(graph, "body_bn", (fl_node){.op = FL_OP_BATCHNORM});
    add(graph, "relu", (fl_node){.op = FL_OP_RELU});
    add(graph, "dropout", (fl_node){.op = FL_OP_DROPOUT, .alpha = 0.25F});
    add(graph, "head", (fl_node){.op = FL_OP_DENSE, .out_count = CLASSES});
}

static void fill_params(float *params, const fl_graph *graph)
{
    for (size_t i = 0; i < graph->param_count; i++)
        params[i] = (float)pixel((uint32_t)i) / 512.0F - 0.25F;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        const uint32_t channels = node->shape.channels;
        for (uint32_t c = 0; node->stats_count && c < channels; c++) {
            params[node->weight_at + c] = 1.0F;
            params[node->stats_at + c] = 0.5F;
            params[node->stats_at + channels + c] = 2.0F;
        }
    }
}

static world world_open(void)
{
    world w = {0};
    build(&w.model.graph);
    w.dataset = open_dataset();
    w.param_count = w.model.graph.param_count;
    w.params = calloc(w.param_count, sizeof(float));
    w.first = calloc(w.param_count, sizeof(float));
    assert_true(w.params && w.first);
    fill_params(w.first, &w.model.graph);
    for (uint32_t i = 0; i < ROWS; i++)
        w.rows[i] = i;
    return w;
}

static void world_close(world *w)
{
    fl_graph_fini(&w->model.graph);
    fl_dataset_free(w->dataset);
    free(w->params);
    free(w->first);
}

// Trains w->params, from the first ones, with a trainer of its own.
static void train_with(world *w, const fl_trainer_options *made_with,
                       const fl_train_options *options)
{
    fl_trainer_options with = *made_with;
    with.batch_cap = ROWS;
    with.with_gradients = true;
    fl_trainer *trainer = NULL;
    fl_metrics metrics;
    fl_random random;
    fl_random_init(&random, 3, FL_RANDOM_SHUFFLE, 0);
    memcpy(w->params, w->first, w->param_count * sizeof(float));
    assert_ok(fl_trainer_new(&trainer, &w->model, &with, NULL));
    assert_ok(fl_trainer_run(trainer, w->params, &metrics, w->dataset, w->rows,
                             ROWS, options, &random, NULL));
    fl_trainer_free(trainer);
}

static void train(world *w, const fl_trainer_options *made_with, fl_norm norm,
                  float *local_norm, uint32_t batch)
{
    const fl_train_options options = {.epochs = EPOCHS,
                                      .batch = batch,
                                      .lr = 0.1F,
                                      .momentum = 0.5F,
                                      .norm = norm,
                                      .local_norm = local_norm};
    train_with(w, made_with, &options);
}

static bool is_same(const world *w, size_t at, size_t count)
{
    return memcmp(w->params + at, w->first + at, count * sizeof(float)) == 0;
}

static const fl_node *node_of(const world *w, uint32_t i)
{
    return &w->model.graph.nodes[i];
}

static bool has_same_stats(const world *w, uint32_t i)
{
    const fl_node *node = node_of(w, i);
    return is_same(w, node->stats_at, node->stats_count);
}

static bool has_same_weights(const world *w, uint32_t i)
{
    const fl_node *node = node_of(w, i);
    return is_same(w, node->weight_at, node->weight_count) &&
           is_same(w, node->bias_at, node->bias_count);
}

/* ---- train ---- */

TEST(norm_train_follows_the_rule_of_pytorch)
{
    world w = world_open();
    train(&w, &(fl_trainer_options){0}, FL_NORM_TRAIN, NULL, ROWS);
    const double count = ROWS * PIXELS;
    float x[ROWS * PIXELS];
    double mean = 0.0, squares = 0.0;
    fl_dataset_read(x, w.dataset, w.rows, ROWS);
    for (size_t i = 0; i < ROWS * PIXELS; i++)
        mean += (double)x[i] / count;
    for (size_t i = 0; i < ROWS * PIXELS; i++)
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);

    double running_mean = 0.5, running_variance = 2.0;
    const double share = (double)IN_MOMENTUM;
    for (unsigned step = 0; step < EPOCHS; step++) {
        running_mean += share * (mean - running_mean);
        running_variance += share * (squares / (count - 1) - running_variance);
    }
    const float *stats = w.params + node_of(&w, IN_BN)->stats_at;
    assert_true(fabs((double)stats[0] - running_mean) < 1e-6);
    assert_true(fabs((double)stats[1] - running_variance) < 1e-6);
    assert_false(has_same_stats(&w, BODY_BN));
    assert_false(has_same_weights(&w, IN_BN));
    assert_false(has_same_weights(&w, BODY_BN));
    world_close(&w);
}

// Decay, moments and anchors are for what has a gradient.
TEST(norm_statistics_are_no_business_of_the_optimizer)
{
    world w = world_open();
    float expected[2];
    const float *stats = w.params + node_of(&w, IN_BN)->stats_at;
    float *far = calloc(w.param_count, sizeof *far);
    assert_non_null(far);
    for (size_t i = 0; i < w.param_count; i++)
        far[i] = 9.0F;
    train(&w, &(fl_trainer_options){0}, FL_NORM_TRAIN, NULL, 4);
    memcpy(expected, stats, sizeof expected);
    fl_train_options options = {.epochs = EPOCHS,
                                .batch = 4,
                                .optimizer = FL_OPTIMIZER_ADAMW,
                                .lr = 0.01F,
                                .weight_decay = 0.5F,
                                .clip_norm = 0.1F,
                                .prox_mu = 2.0F,
                                .prox_params = far};
    train_with(&w, &(fl_trainer_options){0}, &options);
    assert_memory_equal(stats, expected, sizeof expected);
    assert_false(has_same_weights(&w, IN_BN));

    options.norm = FL_NORM_FROZEN;
    train_with(&w, &(fl_trainer_options){0}, &options);
    assert_true(has_same_stats(&w, IN_BN) && has_same_stats(&w, BODY_BN));
    assert_false(has_same_weights(&w, IN_BN));
    free(far);
    world_close(&w);
}

/* ---- frozen ---- */

TEST(norm_frozen_leaves_statistics_as_they_are_and_learns_the_rest)
{
    world w = world_open();
    for (unsigned threads = 1; threads <= 2; threads++) {
        train(&w, &(fl_trainer_options){.thread_count = threads},
              FL_NORM_FROZEN, NULL, 4);
        assert_true(has_same_stats(&w, IN_BN));
        assert_true(has_same_stats(&w, BODY_BN));
        for (uint32_t i = IN_BN; i <= BODY_BN; i++)
            assert_false(has_same_weights(&w, i));
        assert_false(has_same_weights(&w, HEAD));
    }
    world_close(&w);
}

/* ---- local ---- */

// Copies the parameters of batch norms out of `params`.
static void gather_norms(float *norms, const world *w, const float *params)
{
    const uint32_t nodes[] = {IN_BN, BODY_BN};
    for (size_t i = 0; i < 2; i++) {
        const fl_node *node = node_of(w, nodes[i]);
        const size_t count =
            node->weight_count + node->bias_count + node->stats_count;
        memcpy(norms, params + node->weight_at, count * sizeof *norms);
        norms += count;
    }
}

TEST(norm_local_trains_norms_of_its_own)
{
    enum { NORMS = 4 * 1 + 4 * 5 };
    world w = world_open();
    float local[NORMS], before[NORMS], trained[NORMS];
    assert_int_equal(fl_model_norm_count(&w.model), NORMS);
    gather_norms(before, &w, w.first);
    memcpy(local, before, sizeof local);
    train(&w, &(fl_trainer_options){0}, FL_NORM_LOCAL, local, 4);
    const uint32_t norms[] = {IN_BN, BODY_BN};
    for (size_t i = 0; i < 2; i++) {
        assert_true(has_same_weights(&w, norms[i]));
        assert_true(has_same_stats(&w, norms[i]));
    }
    assert_false(has_same_weights(&w, BODY));
    assert_memory_not_equal(local, before, sizeof local);

    // What became of them is what would have become of the shared ones.
    float *others = calloc(w.param_count, sizeof *others);
    assert_non_null(others);
    memcpy(others, w.params, w.param_count * sizeof *others);
    train(&w, &(fl_trainer_options){0}, FL_NORM_TRAIN, NULL, 4);
    gather_norms(trained, &w, w.params);
    assert_memory_equal(local, trained, sizeof local);
    const fl_node *head = node_of(&w, HEAD);
    assert_memory_equal(others + head->weight_at, w.params + head->weight_at,
                        head->weight_count * sizeof *others);
    free(others);
    world_close(&w);
}

// With nothing else to learn, an anchor far away changes nothing.
TEST(norm_local_is_not_drawn_to_what_others_know)
{
    enum { NORMS = 4 * 1 + 4 * 5 };
    static const fl_optimizer_kind kinds[] = {FL_OPTIMIZER_SGD,
                                              FL_OPTIMIZER_ADAMW};
    const fl_trainer_options norms_only = {.freeze = "body,head"};
    world w = world_open();
    float local[2][NORMS], shared[2][NORMS];
    float *far = calloc(w.param_count, sizeof *far);
    assert_non_null(far);
    for (size_t i = 0; i < w.param_count; i++)
        far[i] = 9.0F;
    for (size_t i = 0; i < 4; i++) {
        fl_train_options options = {.epochs = EPOCHS,
                                    .batch = 4,
                                    .optimizer = kinds[i / 2],
                                    .lr = 0.01F,
                                    .prox_mu = (float)(i % 2),
                                    .prox_params = far};
        train_with(&w, &norms_only, &options);
        gather_norms(shared[i % 2], &w, w.params);
        gather_norms(local[i % 2], &w, w.first);
        options.norm = FL_NORM_LOCAL;
        options.local_norm = local[i % 2];
        train_with(&w, &norms_only, &options);
        if (i % 2 == 0) continue;
        assert_memory_equal(local[1], local[0], sizeof local[0]);
        assert_memory_not_equal(shared[1], shared[0], sizeof shared[0]);
        assert_memory_equal(local[0], shared[0], sizeof local[0]);
    }
    free(far);
    world_close(&w);
}

TEST(norm_local_needs_a_place_for_its_norms)
{
    world w = world_open();
    fl_trainer *trainer = NULL;
    fl_metrics metrics;
    fl_random random;
    fl_reason why = {""};
    const fl_train_options options = {
        .epochs = 1, .batch = 1, .norm = FL_NORM_LOCAL};
    fl_random_init(&random, 3, FL_RANDOM_SHUFFLE, 0);
    assert_ok(fl_trainer_new(
        &trainer, &w.model,
        &(fl_trainer_options){.batch_cap = 1, .with_gradients = true}, NULL));
    assert_err(fl_trainer_run(trainer, w.params, &metrics, w.dataset, w.rows,
                              ROWS, &options, &random, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "local_norm");
    fl_trainer_free(trainer);
    world_close(&w);
}

/* ---- frozen layers ---- */

TEST(norm_of_a_frozen_layer_stays_with_its_statistics)
{
    world w = world_open();
    train(&w, &(fl_trainer_options){.freeze = "body*"}, FL_NORM_TRAIN, NULL, 4);
    assert_true(has_same_weights(&w, BODY));
    assert_true(has_same_weights(&w, BODY_BN));
    assert_true(has_same_stats(&w, BODY_BN));
    assert_false(has_same_weights(&w, IN_BN));
    assert_false(has_same_stats(&w, IN_BN));
    assert_false(has_same_weights(&w, HEAD));

    train(&w, &(fl_trainer_options){.freeze = "in_bn,body,body_bn"},
          FL_NORM_TRAIN, NULL, 4);
    for (uint32_t i = IN_BN; i <= BODY_BN; i++)
        assert_true(has_same_weights(&w, i) && has_same_stats(&w, i));
    assert_false(has_same_weights(&w, HEAD));
    world_close(&w);
}

/* ---- the same whatever the threads ---- */

TEST(norm_gives_nearly_the_same_in_two_threads_and_the_same_bits_again)
{
    world one = world_open(), two = world_open();
    const size_t bytes = one.param_count * sizeof(float);
    float *again = malloc(bytes);
    assert_non_null(again);
    for (unsigned norm = FL_NORM_TRAIN; norm <= FL_NORM_FROZEN; norm++) {
        train(&one, &(fl_trainer_options){.thread_count = 1}, norm, NULL, 7);
        for (unsigned run = 0; run < 4; run++) {
            const fl_trainer_options options = {.thread_count = 2,
                                                .recompute = run % 2};
            train(&two, &options, norm, NULL, 7);
            if (run > 0) assert_memory_equal(again, two.params, bytes);
            memcpy(again, two.params, bytes);
        }
        for (size_t i = 0; i < one.param_count; i++)
            assert_float_equal(one.params[i], two.params[i], 1e-4F);
        memcpy(again, one.params, bytes);
        train(&one, &(fl_trainer_options){.recompute = true}, norm, NULL, 7);
        assert_memory_equal(again, one.params, bytes);
    }
    free(again);
    world_close(&one);
    world_close(&two);
}

TEST(norm_and_dropout_evaluate_alike_in_any_trainer)
{
    world w = world_open();
    fl_metrics expected = {0}, metrics;
    for (unsigned with_gradients = 0; with_gradients < 2; with_gradients++) {
        fl_trainer *trainer = NULL;
        const fl_trainer_options options = {.batch_cap = 4 + 3 * with_gradients,
                                            .with_gradients = with_gradients};
        assert_ok(fl_trainer_new(&trainer, &w.model, &options, NULL));
        assert_ok(fl_trainer_evaluate(trainer, &metrics, w.first, w.dataset,
                                      w.rows, ROWS, NULL));
        fl_trainer_free(trainer);
        if (!with_gradients) expected = metrics;
    }
    assert_int_equal(metrics.correct_count, expected.correct_count);
    assert_true(fabs(metrics.loss_sum / expected.loss_sum - 1.0) < 1e-6);
    world_close(&w);
}

RUN_TESTS(
    cmocka_unit_test(norm_train_follows_the_rule_of_pytorch),
    cmocka_unit_test(norm_statistics_are_no_business_of_the_optimizer),
    cmocka_unit_test(
        norm_frozen_leaves_statistics_as_they_are_and_learns_the_rest),
    cmocka_unit_test(norm_local_trains_norms_of_its_own),
    cmocka_unit_test(norm_local_is_not_drawn_to_what_others_know),
    cmocka_unit_test(norm_local_needs_a_place_for_its_norms),
    cmocka_unit_test(norm_of_a_frozen_layer_stays_with_its_statistics),
    cmocka_unit_test(
        norm_gives_nearly_the_same_in_two_threads_and_the_same_bits_again),
    cmocka_unit_test(norm_and_dropout_evaluate_alike_in_any_trainer))
