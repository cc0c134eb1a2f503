/*
 * Running a finished model: in float32 it says what the trainer says, in
 * INT8 what the definition says; and every refusal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "model/graph.h"
#include "model/int8/qkernels.h"
#include "model/kernels/kernels.h"
#include "model/loss.h"
#include "model/model.h"
#include "tests/support/data_files.h"
#include "tests/support/naive_int8.h"
#include "tests/test.h"

enum { ROWS = 10, SIDE = 12, PIXELS = SIDE * SIDE, CLASSES = 4, BATCH = 4 };

typedef struct {
    fl_random random;
    fl_dataset *dataset;
    uint32_t rows[ROWS];
    float x[ROWS * PIXELS];
    fl_model *model;
    fl_int8_model *quantized;
    fl_runner *runner;
} world;

static fl_dataset *open_dataset(fl_random *random)
{
    uint8_t values[ROWS * PIXELS], labels[ROWS], idx[ROWS * PIXELS + 16];
    const uint32_t sizes[] = {ROWS, SIDE, SIDE};
    for (size_t i = 0; i < sizeof values; i++)
        values[i] = (uint8_t)fl_random_below(random, 256);
    for (size_t i = 0; i < ROWS; i++)
        labels[i] = (uint8_t)(i % CLASSES);
    data_files files;
    char spec[4 * DATA_PATH_CAP];
    data_files_init(&files);
    size_t len = data_files_idx(idx, sizes, 3, values, sizeof values);
    data_files_put(&files, "values", idx, len);
    len = data_files_idx(idx, sizes, 1, labels, ROWS);
    data_files_put(&files, "labels", idx, len);
    data_files_spec(spec, &files, "idx", "values", "labels");
    fl_dataset *dataset = NULL;
    const fl_data_options options = {.spec = spec, .test_spec = spec};
    assert_ok(fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, NULL));
    data_files_fini(&files);
    return dataset;
}

static fl_int8_model *quantized_net(uint32_t side, fl_random *random)
{
    const fl_shape shape = {side, side, 1};
    fl_int8_model *net = int8_net_new(shape, true, random);
    int8_net_add(net,
                 (fl_node){.op = FL_OP_CONV,
                           .out_count = 5,
                           .window = {3, 3, 1, 1, 1, 1, 1, 1}},
                 true, random);
    int8_net_add(net, (fl_node){.op = FL_OP_RELU}, true, random);
    int8_net_add(
        net, (fl_node){.op = FL_OP_MAXPOOL, .window = {2, 2, 2, 2, 0, 0, 0, 0}},
        true, random);
    int8_net_add(net, (fl_node){.op = FL_OP_TANH}, true, random);
    int8_net_add(net, (fl_node){.op = FL_OP_DENSE, .out_count = CLASSES}, false,
                 random);
    return net;
}

static void open_world(world *w)
{
    fl_random_init(&w->random, 3, FL_RANDOM_TEST, 0);
    w->dataset = open_dataset(&w->random);
    for (uint32_t i = 0; i < ROWS; i++)
        w->rows[i] = i;
    fl_dataset_read(w->x, w->dataset, w->rows, ROWS);
    const fl_model_options options = {
        .name = "mlp", .input = {SIDE, SIDE, 1}, .class_count = CLASSES};
    assert_ok(fl_model_new(&w->model, &options, NULL));
    w->quantized = quantized_net(SIDE, &w->random);
}

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    open_world(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    fl_runner_free(w->runner);
    fl_model_free(w->model);
    fl_int8_free(w->quantized);
    fl_dataset_free(w->dataset);
    free(w);
    return unsetenv("FEDGE_CPU");
}

/* The test's name; its world is `w`. */
#define WORLD_TEST(name)             \
    static void name##_in(world *w); \
    static void name(void **state)   \
    {                                \
        name##_in(*state);           \
    }                                \
    static void name##_in(world *w)

/* ---- float32 ---- */

static fl_trainer *trainer_for(const world *w)
{
    fl_trainer *trainer = NULL;
    const fl_trainer_options options = {.batch_cap = ROWS};
    assert_ok(fl_trainer_new(&trainer, w->model, &options, NULL));
    return trainer;
}

WORLD_TEST(runner_says_in_float32_what_the_trainer_says)
{
    float expected[ROWS * CLASSES], logits[BATCH * CLASSES];
    fl_trainer *trainer = trainer_for(w);
    assert_ok(
        fl_trainer_predict(trainer, expected, w->model->params, w->x, ROWS));
    fl_trainer_free(trainer);
    assert_ok(fl_runner_new(&w->runner, w->model, BATCH, NULL));
    for (uint32_t at = 0; at < ROWS; at += BATCH) {
        const uint32_t count = ROWS - at < BATCH ? ROWS - at : BATCH;
        assert_ok(fl_runner_run(w->runner, logits, w->x + at * PIXELS, count));
        for (uint32_t i = 0; i < count * CLASSES; i++)
            assert_true(fabsf(logits[i] - expected[at * CLASSES + i]) < 1e-5F);
    }
    assert_string_equal(fl_runner_kernels(w->runner), fl_kernels_at(0)->name);
}

WORLD_TEST(runner_measures_in_float32_as_the_trainer_does)
{
    fl_metrics expected, metrics;
    fl_trainer *trainer = trainer_for(w);
    assert_ok(fl_trainer_evaluate(trainer, &expected, w->model->params,
                                  w->dataset, w->rows, ROWS, NULL));
    fl_trainer_free(trainer);
    assert_ok(fl_runner_new(&w->runner, w->model, BATCH, NULL));
    assert_ok(fl_runner_evaluate(w->runner, &metrics, w->dataset, w->rows, ROWS,
                                 NULL));
    assert_int_equal(metrics.sample_count, ROWS);
    assert_int_equal(metrics.correct_count, expected.correct_count);
    assert_true(fabs(metrics.loss_sum - expected.loss_sum) < 1e-3);
}

// Embeddings of the batches in turn, compared as triplets.
static fl_metrics compared(fl_runner *runner, const world *w)
{
    enum { WIDTH = 3 };
    const fl_loss loss = {.kind = FL_LOSS_TRIPLET, .margin = 0.2F};
    fl_metrics metrics = {0};
    assert_int_equal(fl_runner_class_count(runner), WIDTH);
    for (uint32_t at = 0; at < ROWS; at += BATCH) {
        float embeddings[BATCH * WIDTH];
        uint32_t labels[BATCH];
        const uint32_t count = ROWS - at < BATCH ? ROWS - at : BATCH;
        assert_ok(fl_runner_run(runner, embeddings, w->x + at * PIXELS, count));
        for (uint32_t i = 0; i < count; i++)
            labels[i] = fl_dataset_labels(w->dataset)[w->rows[at + i]];
        const fl_loss_batch batch = {
            .outputs = embeddings,
            .labels = labels,
            .count = count,
            .width = WIDTH,
        };
        fl_loss_add(&metrics, &loss, &batch);
    }
    return metrics;
}

static void assert_compares(world *w)
{
    fl_metrics metrics;
    assert_ok(fl_runner_evaluate(w->runner, &metrics, w->dataset, w->rows, ROWS,
                                 NULL));
    const fl_metrics expected = compared(w->runner, w);
    assert_int_equal(metrics.sample_count, ROWS);
    assert_int_equal(metrics.correct_count, expected.correct_count);
    assert_true(fabs(metrics.loss_sum - expected.loss_sum) < 1e-9);
    assert_true(metrics.loss_sum > 0.0);
}

WORLD_TEST(runner_compares_embeddings_of_more_classes_than_numbers)
{
    const fl_model_options options = {.name = "siamese",
                                      .input = {SIDE, SIDE, 1},
                                      .class_count = CLASSES,
                                      .tower = "mlp",
                                      .embedding = 3};
    // In each batch of four some are of one class.
    static const uint32_t rows[ROWS] = {0, 4, 8, 1, 5, 9, 2, 6, 3, 7};
    fl_int8_model *quantized = NULL;
    memcpy(w->rows, rows, sizeof rows);
    fl_dataset_read(w->x, w->dataset, w->rows, ROWS);
    fl_model_free(w->model);
    assert_ok(fl_model_new(&w->model, &options, NULL));
    assert_ok(fl_runner_new(&w->runner, w->model, BATCH, NULL));
    assert_compares(w);
    fl_runner_free(w->runner);
    w->runner = NULL;
    assert_ok(fl_int8_quantize(&quantized, w->model, w->dataset, w->rows, ROWS,
                               &(fl_int8_options){0}, NULL));
    assert_ok(fl_runner_new_int8(&w->runner, quantized, BATCH, NULL));
    fl_int8_free(quantized);
    assert_compares(w);
}

WORLD_TEST(runner_names_the_steps_of_a_float32_model)
{
    assert_ok(fl_runner_new(&w->runner, w->model, BATCH, NULL));
    assert_int_equal(fl_runner_step_count(w->runner), 3);
    const fl_step_info first = fl_runner_step(w->runner, 0);
    assert_string_equal(first.op, "Gemm+Relu");
    assert_int_equal(first.mac_count, PIXELS * 128);
    assert_int_equal(first.param_count, PIXELS * 128 + 128);
    assert_int_equal(first.shape.channels, 128);
    const fl_step_info last = fl_runner_step(w->runner, 2);
    assert_string_equal(last.op, "Gemm");
    assert_int_equal(last.shape.channels, CLASSES);
    assert_true(fl_runner_bytes(w->runner) >
                fl_model_param_count(w->model) * sizeof(float));
}

/* ---- INT8 ---- */

WORLD_TEST(runner_says_in_int8_what_the_definition_says)
{
    float expected[ROWS * CLASSES], logits[BATCH * CLASSES];
    naive_int8_run(expected, w->quantized, w->x, ROWS);
    assert_ok(fl_runner_new_int8(&w->runner, w->quantized, BATCH, NULL));
    for (uint32_t at = 0; at < ROWS; at += BATCH) {
        const uint32_t count = ROWS - at < BATCH ? ROWS - at : BATCH;
        assert_ok(fl_runner_run(w->runner, logits, w->x + at * PIXELS, count));
        assert_memory_equal(logits, expected + at * CLASSES,
                            count * CLASSES * sizeof(float));
    }
}

WORLD_TEST(runner_measures_in_int8)
{
    float logits[ROWS * CLASSES];
    uint64_t correct = 0;
    naive_int8_run(logits, w->quantized, w->x, ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        const float *row = logits + i * CLASSES;
        uint32_t best = 0;
        for (uint32_t c = 1; c < CLASSES; c++)
            if (row[c] > row[best]) best = c;
        if (best == fl_dataset_labels(w->dataset)[i]) correct++;
    }
    fl_metrics metrics;
    assert_ok(fl_runner_new_int8(&w->runner, w->quantized, BATCH, NULL));
    assert_ok(fl_runner_evaluate(w->runner, &metrics, w->dataset, w->rows, ROWS,
                                 NULL));
    assert_int_equal(metrics.sample_count, ROWS);
    assert_int_equal(metrics.correct_count, correct);
}

WORLD_TEST(runner_names_the_steps_of_an_int8_model)
{
    assert_ok(fl_runner_new_int8(&w->runner, w->quantized, BATCH, NULL));
    assert_int_equal(fl_runner_step_count(w->runner), 4);
    const fl_step_info conv = fl_runner_step(w->runner, 1);
    assert_string_equal(conv.op, "Conv+Relu+MaxPool");
    assert_string_equal(conv.name, "n1");
    assert_int_equal(conv.mac_count, PIXELS * 9 * 5);
    assert_int_equal(conv.shape.height, SIDE / 2);
    assert_int_equal(fl_runner_class_count(w->runner), CLASSES);
    assert_int_equal(fl_runner_input(w->runner).width, SIDE);
    assert_true(fl_runner_bytes(w->runner) > PIXELS);
}

WORLD_TEST(runner_runs_the_kernels_that_are_asked_for)
{
    assert_int_equal(setenv("FEDGE_CPU", "portable", 1), 0);
    assert_ok(fl_runner_new_int8(&w->runner, w->quantized, 1, NULL));
    assert_string_equal(fl_runner_kernels(w->runner), "portable");
    fl_runner_free(w->runner);
    assert_ok(fl_runner_new(&w->runner, w->model, 1, NULL));
    assert_string_equal(fl_runner_kernels(w->runner), "portable");
}

WORLD_TEST(runner_profiles_every_step_of_both_kinds)
{
    float logits[CLASSES], expected[CLASSES];
    uint64_t step_ns[8] = {0};
    assert_ok(fl_runner_new_int8(&w->runner, w->quantized, 1, NULL));
    assert_ok(fl_runner_run(w->runner, expected, w->x, 1));
    for (int i = 0; i < 100; i++)
        assert_ok(fl_runner_profile(w->runner, logits, w->x, 1, step_ns));
    assert_memory_equal(logits, expected, sizeof logits);
    for (int i = 0; i < 4; i++)
        assert_true(step_ns[i] > 0);
    assert_int_equal(step_ns[4], 0);
    fl_runner_free(w->runner);

    assert_ok(fl_runner_new(&w->runner, w->model, 1, NULL));
    assert_ok(fl_runner_run(w->runner, expected, w->x, 1));
    assert_ok(fl_runner_profile(w->runner, logits, w->x, 1, step_ns));
    assert_memory_equal(logits, expected, sizeof logits);
}

/* ---- refusals ---- */

WORLD_TEST(runner_refuses_an_empty_or_too_large_batch)
{
    float logits[CLASSES];
    uint64_t step_ns[8] = {0};
    fl_reason why = {""};
    assert_err(fl_runner_new(&w->runner, w->model, 0, &why), FL_ERR_RANGE);
    assert_reason_names(why, "batch of 0");
    assert_err(fl_runner_new_int8(&w->runner, w->quantized, 0, &why),
               FL_ERR_RANGE);
    assert_ok(fl_runner_new_int8(&w->runner, w->quantized, 1, NULL));
    assert_err(fl_runner_run(w->runner, logits, w->x, 2), FL_ERR_RANGE);
    assert_err(fl_runner_profile(w->runner, logits, w->x, 2, step_ns),
               FL_ERR_RANGE);
    assert_ok(fl_runner_run(w->runner, logits, w->x, 0));
}

WORLD_TEST(runner_refuses_kernels_that_do_not_run)
{
    fl_reason why = {""};
    assert_int_equal(setenv("FEDGE_CPU", "abacus", 1), 0);
    assert_err(fl_runner_new(&w->runner, w->model, 1, &why), FL_ERR_RANGE);
    assert_reason_names(why, "abacus");
    assert_reason_names(why, "portable");
    assert_err(fl_runner_new_int8(&w->runner, w->quantized, 1, &why),
               FL_ERR_RANGE);
}

WORLD_TEST(runner_says_how_much_memory_is_missing)
{
    fl_reason why = {""};
    assert_err(fl_runner_new(&w->runner, w->model, UINT32_MAX, &why),
               FL_ERR_MEMORY);
    assert_reason_names(why, "bytes");
    const fl_shape shape = {4000, 4000, 4};
    fl_int8_model *large = int8_net_new(shape, true, &w->random);
    int8_net_add(large, (fl_node){.op = FL_OP_TANH}, true, &w->random);
    assert_err(fl_runner_new_int8(&w->runner, large, UINT32_MAX, &why),
               FL_ERR_MEMORY);
    assert_reason_names(why, "bytes");
    fl_int8_free(large);
}

WORLD_TEST(runner_refuses_a_dataset_of_another_shape)
{
    fl_metrics metrics;
    fl_reason why = {""};
    fl_int8_model *small = quantized_net(SIDE - 2, &w->random);
    assert_ok(fl_runner_new_int8(&w->runner, small, 1, NULL));
    assert_err(fl_runner_evaluate(w->runner, &metrics, w->dataset, w->rows,
                                  ROWS, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "12x12x1");
    fl_int8_free(small);
}

WORLD_TEST(runner_refuses_more_classes_than_it_tells_apart)
{
    fl_metrics metrics;
    fl_reason why = {""};
    w->quantized->graph.nodes[5].out_count = 2;
    w->quantized->graph.nodes[5].shape.channels = 2;
    w->quantized->graph.nodes[5].weight_count /= 2;
    assert_ok(fl_runner_new_int8(&w->runner, w->quantized, 1, NULL));
    assert_err(fl_runner_evaluate(w->runner, &metrics, w->dataset, w->rows,
                                  ROWS, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "classes");
}

WORLD_TEST(runner_refuses_a_model_that_makes_nan)
{
    fl_metrics metrics;
    fl_reason why = {""};
    w->model->params[fl_model_param_count(w->model) - 1] = NAN;
    assert_ok(fl_runner_new(&w->runner, w->model, 3, NULL));
    assert_err(fl_runner_evaluate(w->runner, &metrics, w->dataset, w->rows,
                                  ROWS, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "rows 0 to 2");
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

RUN_TESTS(UNIT(runner_says_in_float32_what_the_trainer_says),
          UNIT(runner_measures_in_float32_as_the_trainer_does),
          UNIT(runner_compares_embeddings_of_more_classes_than_numbers),
          UNIT(runner_names_the_steps_of_a_float32_model),
          UNIT(runner_says_in_int8_what_the_definition_says),
          UNIT(runner_measures_in_int8),
          UNIT(runner_names_the_steps_of_an_int8_model),
          UNIT(runner_runs_the_kernels_that_are_asked_for),
          UNIT(runner_profiles_every_step_of_both_kinds),
          UNIT(runner_refuses_an_empty_or_too_large_batch),
          UNIT(runner_refuses_kernels_that_do_not_run),
          UNIT(runner_says_how_much_memory_is_missing),
          UNIT(runner_refuses_a_dataset_of_another_shape),
          UNIT(runner_refuses_more_classes_than_it_tells_apart),
          UNIT(runner_refuses_a_model_that_makes_nan))
