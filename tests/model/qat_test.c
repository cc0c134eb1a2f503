/*
 * Models that train as they will run in 8 bits.
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

enum { ROWS = 160, SIDE = 28, CLASSES = 10, MANY = 256, BATCH = 32 };

static const char *const NETS[] = {
    "lenet",        "resnet8", "mobilenetv2-tiny", "mobilenetv3-small",
    "shufflenetv2", "siamese"};

// The three small ones where a CPU is emulated: the others take a minute each.
static size_t net_count(void)
{
    return getenv("EMULATED") ? 3 : sizeof NETS / sizeof *NETS;
}

typedef struct {
    fl_model *model, *prepared;
    fl_int8_model *quantized;
    fl_dataset *dataset;
    uint32_t rows[ROWS];
    fl_range ranges[MANY];
    size_t range_count;
} world;

static world world_open(const char *name)
{
    const float mean = 0.4F, deviation = 0.2F;
    const fl_model_options options = {
        .name = name,
        .tower = "lenet",
        .input = {SIDE, SIDE, 1},
        .class_count = CLASSES,
        .embedding = 16,
        .mean = &mean,
        .deviation = &deviation,
        .seed = 12,
    };
    world w = {.dataset = table_of_pictures(ROWS, SIDE, CLASSES)};
    assert_ok(fl_model_new(&w.model, &options, NULL));
    for (uint32_t i = 0; i < ROWS; i++)
        w.rows[i] = i;
    assert_ok(fl_int8_range_count(&w.range_count, w.model, NULL));
    assert_in_range(w.range_count, 1, MANY);
    return w;
}

static void world_close(world *w)
{
    fl_int8_free(w->quantized);
    fl_model_free(w->prepared);
    fl_model_free(w->model);
    fl_dataset_free(w->dataset);
}

static void prepare(world *w, bool is_symmetric)
{
    const fl_int8_options options = {.is_symmetric = is_symmetric};
    assert_ok(fl_int8_calibrate(w->ranges, w->range_count, w->model, w->dataset,
                                w->rows, ROWS, &options, NULL));
    fl_model_free(w->prepared);
    w->prepared = NULL;
    assert_ok(fl_qat_prepare(&w->prepared, w->model, w->ranges, w->range_count,
                             is_symmetric, NULL));
}

static void finish(world *w)
{
    fl_int8_free(w->quantized);
    w->quantized = NULL;
    assert_ok(fl_qat_finish(&w->quantized, w->prepared, NULL));
}

static fl_trainer *trainer_of(const fl_model *model, const char *freeze)
{
    fl_trainer *trainer;
    const fl_trainer_options options = {
        .batch_cap = BATCH, .with_gradients = true, .freeze = freeze};
    assert_ok(fl_trainer_new(&trainer, model, &options, NULL));
    return trainer;
}

static fl_metrics train(world *w, const char *freeze, uint32_t epochs)
{
    const fl_train_options options = {
        .epochs = epochs, .batch = BATCH, .lr = 0.02F, .momentum = 0.9F};
    fl_metrics metrics;
    fl_random random;
    fl_trainer *trainer = trainer_of(w->prepared, freeze);
    fl_random_init(&random, 9, FL_RANDOM_SHUFFLE, 0);
    assert_ok(fl_trainer_run(trainer, fl_model_params(w->prepared), &metrics,
                             w->dataset, w->rows, ROWS, &options, &random,
                             NULL));
    assert_ok(fl_trainer_evaluate(trainer, &metrics,
                                  fl_model_params(w->prepared), w->dataset,
                                  w->rows, ROWS, NULL));
    fl_trainer_free(trainer);
    return metrics;
}

/* ---- there and back ---- */

static void assert_same_file(const fl_int8_model *a, const fl_int8_model *b)
{
    const size_t len = fl_int8_bytes(a, FL_QDQ_PLAIN);
    assert_int_equal(fl_int8_bytes(b, FL_QDQ_PLAIN), len);
    uint8_t *x = malloc(len), *y = malloc(len);
    assert_true(x && y);
    assert_ok(fl_int8_encode(a, FL_QDQ_PLAIN, x, len));
    assert_ok(fl_int8_encode(b, FL_QDQ_PLAIN, y, len));
    assert_memory_equal(x, y, len);
    free(x);
    free(y);
}

TEST(qat_without_training_is_quantisation_after_it)
{
    for (size_t i = 0; i < 2 * net_count(); i++) {
        world w = world_open(NETS[i / 2]);
        fl_int8_model *direct = NULL;
        prepare(&w, i % 2);
        finish(&w);
        assert_ok(fl_int8_quantize_ranges(&direct, w.model, w.ranges,
                                          w.range_count, i % 2, NULL));
        assert_same_file(w.quantized, direct);
        fl_int8_free(direct);
        world_close(&w);
    }
}

/* ---- forward ---- */

static size_t largest(const float *logits)
{
    size_t best = 0;
    for (size_t c = 1; c < CLASSES; c++) {
        if (logits[c] > logits[best]) best = c;
    }
    return best;
}

typedef struct {
    double off, size;  // sums of squares
    size_t agreed;
} comparison;

static comparison compare(const float *a, const float *b, size_t width)
{
    comparison c = {0};
    for (size_t i = 0; i < ROWS * width; i++) {
        c.off += pow((double)a[i] - (double)b[i], 2.0);
        c.size += pow((double)b[i], 2.0);
    }
    for (size_t i = 0; i < ROWS && width == CLASSES; i++)
        c.agreed += largest(a + i * width) == largest(b + i * width);
    return c;
}

static float *predictions(fl_runner *runner, const world *w)
{
    const size_t width = fl_runner_class_count(runner);
    float *x = malloc(ROWS * SIDE * SIDE * sizeof *x);
    float *logits = malloc(ROWS * width * sizeof *logits);
    assert_true(x && logits);
    fl_dataset_read(x, w->dataset, w->rows, ROWS);
    assert_ok(fl_runner_run(runner, logits, x, ROWS));
    free(x);
    fl_runner_free(runner);
    return logits;
}

static comparison compare_forms(const world *w)
{
    fl_runner *prepared, *int8;
    assert_ok(fl_runner_new(&prepared, w->prepared, ROWS, NULL));
    assert_ok(fl_runner_new_int8(&int8, w->quantized, ROWS, NULL));
    const size_t width = fl_runner_class_count(int8);
    float *a = predictions(prepared, w), *b = predictions(int8, w);
    const comparison c = compare(a, b, width);
    free(a);
    free(b);
    return c;
}

/*
 * The same levels nearly everywhere: a sum of float32 that ends on the other
 * side of the middle between two is off by one level, of 256.
 */
TEST(qat_computes_what_8_bits_compute)
{
    for (size_t i = 0; i < net_count(); i++) {
        world w = world_open(NETS[i]);
        prepare(&w, false);
        if (strcmp(NETS[i], "siamese") != 0) (void)train(&w, NULL, 1);
        finish(&w);
        const comparison c = compare_forms(&w);
        if (c.off > 1e-4 * c.size) {
            print_error("%s: off by %g of %g\n", NETS[i], c.off, c.size);
            fail();
        }
        if (strcmp(NETS[i], "siamese") != 0)
            assert_in_range(c.agreed, ROWS - 2, ROWS);
        world_close(&w);
    }
}

// Four rows of seven numbers in which every sum is exact.
TEST(qat_computes_the_same_bits_where_sums_are_exact)
{
    const float values[] = {1, 2, 3, 4, -5, 6, 7, 8, 0.5F, -1, 2, 9};
    const uint32_t rows[] = {0, 1, 2, 3};
    const float params[] = {127, 1, -2, -127, 3, 64, 1, -1};
    const fl_range ranges[] = {{-128.0F, 127.0F}};
    fl_model model = {.graph = net_over(1, 1, 3)};
    net_add_dense(&model.graph, 2);
    model.params = malloc(sizeof params);
    assert_non_null(model.params);
    memcpy(model.params, params, sizeof params);
    fl_dataset *dataset = table_of(values, 4, 3);
    fl_model *prepared = NULL;
    fl_int8_model *quantized = NULL;
    fl_runner *a, *b;
    float x[12], p[8], q[8];
    assert_ok(fl_qat_prepare(&prepared, &model, ranges, 1, false, NULL));
    assert_ok(fl_qat_finish(&quantized, prepared, NULL));
    assert_ok(fl_runner_new(&a, prepared, 4, NULL));
    assert_ok(fl_runner_new_int8(&b, quantized, 4, NULL));
    fl_dataset_read(x, dataset, rows, 4);
    assert_ok(fl_runner_run(a, p, x, 4));
    assert_ok(fl_runner_run(b, q, x, 4));
    assert_memory_equal(p, q, sizeof p);
    fl_runner_free(a);
    fl_runner_free(b);
    fl_int8_free(quantized);
    fl_model_free(prepared);
    fl_dataset_free(dataset);
    fl_graph_fini(&model.graph);
    free(model.params);
}

/* ---- training ---- */

TEST(qat_training_lowers_the_loss)
{
    world w = world_open("lenet");
    prepare(&w, false);
    const fl_metrics before = train(&w, NULL, 1), after = train(&w, NULL, 6);
    assert_true(after.loss_sum < 0.7 * before.loss_sum);
    finish(&w);
    fl_runner *runner;
    fl_metrics int8;
    assert_ok(fl_runner_new_int8(&runner, w.quantized, BATCH, NULL));
    assert_ok(fl_runner_evaluate(runner, &int8, w.dataset, w.rows, ROWS, NULL));
    assert_true(fabs(int8.loss_sum - after.loss_sum) < 0.02 * after.loss_sum);
    fl_runner_free(runner);
    world_close(&w);
}

TEST(qat_gives_the_same_bits_again)
{
    world a = world_open("mobilenetv2-tiny"),
          b = world_open("mobilenetv2-tiny");
    prepare(&a, false);
    prepare(&b, false);
    (void)train(&a, NULL, 1);
    (void)train(&b, NULL, 1);
    assert_memory_equal(fl_model_params(a.prepared),
                        fl_model_params(b.prepared),
                        fl_model_param_count(a.prepared) * sizeof(float));
    world_close(&a);
    world_close(&b);
}

TEST(qat_leaves_frozen_layers_alone)
{
    world w = world_open("lenet");
    prepare(&w, false);
    const size_t count = fl_model_param_count(w.prepared);
    float *before = malloc(count * sizeof *before);
    assert_non_null(before);
    memcpy(before, fl_model_params(w.prepared), count * sizeof *before);
    (void)train(&w, "conv*", 1);
    const float *after = fl_model_params(w.prepared);
    for (uint32_t i = 0; i < w.prepared->graph.node_count; i++) {
        const fl_node *node = &w.prepared->graph.nodes[i];
        if (node->weight_count == 0) continue;
        const bool is_same =
            memcmp(before + node->weight_at, after + node->weight_at,
                   node->weight_count * sizeof(float)) == 0;
        assert_true(is_same == (node->op == FL_OP_CONV));
    }
    free(before);
    world_close(&w);
}

// Lanes round different layers; each must wait for all of them.
TEST(qat_trains_with_several_threads)
{
    world w = world_open("mobilenetv2-tiny");
    float *first = NULL;
    prepare(&w, false);
    const size_t size = fl_model_param_count(w.prepared) * sizeof(float);
    for (int again = 0; again < 2; again++) {
        fl_metrics metrics;
        fl_random random;
        fl_trainer *trainer;
        const fl_trainer_options how = {
            .batch_cap = BATCH, .thread_count = 3, .with_gradients = true};
        const fl_train_options options = {
            .epochs = 1, .batch = BATCH, .lr = 0.02F};
        float *params = malloc(size);
        assert_non_null(params);
        memcpy(params, fl_model_params(w.prepared), size);
        fl_random_init(&random, 9, FL_RANDOM_SHUFFLE, 0);
        assert_ok(fl_trainer_new(&trainer, w.prepared, &how, NULL));
        assert_ok(fl_trainer_run(trainer, params, &metrics, w.dataset, w.rows,
                                 ROWS, &options, &random, NULL));
        fl_trainer_free(trainer);
        if (first) assert_memory_equal(params, first, size);
        if (first)
            free(params);
        else
            first = params;
    }
    free(first);
    world_close(&w);
}

/* ---- refusals ---- */

TEST(qat_refuses_ranges_of_another_model)
{
    world w = world_open("lenet");
    fl_reason why = {""};
    assert_err(fl_qat_prepare(&w.prepared, w.model, w.ranges, 3, false, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "4 ranges");
    w.ranges[1] = (fl_range){0.5F, 1.0F};
    assert_err(fl_qat_prepare(&w.prepared, w.model, w.ranges, 4, false, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "range 1");
    assert_null(w.prepared);
    world_close(&w);
}

TEST(qat_refuses_to_finish_what_it_has_not_prepared)
{
    static const char *const names[] = {"lenet", "resnet8"};
    for (size_t i = 0; i < 2; i++) {
        world w = world_open(names[i]);
        fl_reason why = {""};
        assert_err(fl_qat_finish(&w.quantized, w.model, &why), FL_ERR_STATE);
        assert_reason_names(why, "prepared");
        prepare(&w, false);
        // One value less is rounded: no longer what was prepared.
        fl_node *node = w.prepared->graph.nodes;
        while (node->op != FL_OP_FAKEQUANT)
            node++;
        node->op = FL_OP_RELU;
        assert_err(fl_qat_finish(&w.quantized, w.prepared, &why), FL_ERR_STATE);
        assert_null(w.quantized);
        world_close(&w);
    }
}

TEST(qat_models_are_neither_written_nor_quantised)
{
    world w = world_open("lenet");
    fl_reason why = {""};
    prepare(&w, false);
    const size_t len = fl_model_bytes(w.prepared);
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    assert_err(fl_model_encode(w.prepared, bytes, len), FL_ERR_UNSUPPORTED);
    assert_err(
        fl_model_encode_as(w.prepared, FL_STORAGE_FLOAT32, bytes, len, &why),
        FL_ERR_UNSUPPORTED);
    assert_reason_names(why, "levels");
    free(bytes);
    size_t count;
    assert_err(fl_int8_range_count(&count, w.prepared, &why),
               FL_ERR_UNSUPPORTED);
    assert_reason_names(why, "trained");
    world_close(&w);
}

RUN_TESTS(cmocka_unit_test(qat_without_training_is_quantisation_after_it),
          cmocka_unit_test(qat_computes_what_8_bits_compute),
          cmocka_unit_test(qat_computes_the_same_bits_where_sums_are_exact),
          cmocka_unit_test(qat_training_lowers_the_loss),
          cmocka_unit_test(qat_gives_the_same_bits_again),
          cmocka_unit_test(qat_leaves_frozen_layers_alone),
          cmocka_unit_test(qat_trains_with_several_threads),
          cmocka_unit_test(qat_refuses_ranges_of_another_model),
          cmocka_unit_test(qat_refuses_to_finish_what_it_has_not_prepared),
          cmocka_unit_test(qat_models_are_neither_written_nor_quantised))
