/*
 * Quantisation from end to end: a trained network keeps its accuracy.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "base/random.h"
#include "model/model.h"
#include "tests/support/tables.h"
#include "tests/test.h"

enum { CLASSES = 10, ROWS = 64 };  // ROWS: to calibrate with

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
    for (int i = 0; i < 6; i++) {
        const fl_int8_options options = {.calibrate = (fl_calibrate)(i / 2),
                                         .is_symmetric = i % 2};
        fl_int8_model *quantized = quantize(model, &s, &options);
        assert_ok(fl_runner_new_int8(&runner, quantized, 8, NULL));
        fl_int8_free(quantized);
        assert_true(correct_of(runner, &s) + TRAIN_ROWS / 100 >= correct);
    }
    fl_model_free(model);
    sample_free(&s);
}

RUN_TESTS(cmocka_unit_test(accuracy_survives_quantisation))
