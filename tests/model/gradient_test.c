/*
 * The gradient alone: what a step of training takes, and no more.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "model/model.h"
#include "tests/support/world.h"
#include "tests/test.h"

static float *floats(size_t count)
{
    float *values = calloc(count, sizeof *values);
    assert_non_null(values);
    return values;
}

// The rows of a world, and a network that PyTorch's parameters do not know.
static world open_with(const char *name)
{
    world w = world_open("mlp");
    const fl_model_options options = {.name = name,
                                      .input = {WORLD_SIDE, WORLD_SIDE, 1},
                                      .class_count = WORLD_CLASSES,
                                      .seed = 1};
    fl_model_free(w.model);
    free(w.params);
    assert_ok(fl_model_new(&w.model, &options, NULL));
    w.param_count = fl_model_param_count(w.model);
    w.params = floats(w.param_count);
    memcpy(w.params, fl_model_params(w.model),
           w.param_count * sizeof *w.params);
    return w;
}

static fl_err gradient(fl_trainer *trainer, float *grads, fl_metrics *metrics,
                       const world *w, const uint32_t *rows, size_t row_count,
                       fl_reason *why)
{
    return fl_trainer_gradient(trainer, grads, metrics, &(fl_loss){0},
                               w->params, w->dataset, rows, row_count, why);
}

// A step of lr 1 without momentum on one row is the gradient.
static void check_step(const char *name)
{
    world w = open_with(name);
    fl_trainer *trainer = world_trainer(&w, 4);
    float *grads = floats(w.param_count), *before = floats(w.param_count);
    fl_metrics metrics, of_step;
    fl_random random;
    const fl_train_options options = {
        .epochs = 1, .batch = 1, .lr = 1.0F, .norm = FL_NORM_FROZEN};
    memcpy(before, w.params, w.param_count * sizeof *before);

    assert_ok(gradient(trainer, grads, &metrics, &w, w.rows + 3, 1, NULL));
    assert_memory_equal(before, w.params, w.param_count * sizeof *before);
    fl_random_init(&random, 1, FL_RANDOM_TEST, 0);
    assert_ok(fl_trainer_run(trainer, w.params, &of_step, w.dataset, w.rows + 3,
                             1, &options, &random, NULL));
    assert_int_equal(metrics.sample_count, 1);
    assert_memory_equal(&metrics, &of_step, sizeof metrics);
    for (size_t i = 0; i < w.param_count; i++)
        before[i] -= grads[i];
    assert_memory_equal(before, w.params, w.param_count * sizeof *before);
    free(grads);
    free(before);
    fl_trainer_free(trainer);
    world_close(&w);
}

TEST(gradient_is_what_a_step_takes)
{
    check_step("lenet");
    check_step("mobilenetv2-tiny");  // its batch norms as they are
}

static bool is_statistic(const fl_model *model, size_t param)
{
    for (size_t i = 0; i < fl_model_tensor_count(model); i++) {
        const fl_tensor_info tensor = fl_model_tensor(model, i);
        if (param - tensor.offset < tensor.count)
            return tensor.role == FL_TENSOR_STATISTIC;
    }
    return false;
}

TEST(gradient_of_statistics_is_zero)
{
    world w = open_with("resnet8");
    fl_trainer *trainer = world_trainer(&w, 2);
    float *grads = floats(w.param_count);
    fl_metrics metrics;
    size_t others = 0;
    for (size_t i = 0; i < w.param_count; i++)
        grads[i] = 7.0F;
    assert_ok(gradient(trainer, grads, &metrics, &w, w.rows, 2, NULL));
    for (size_t i = 0; i < w.param_count; i++) {
        if (is_statistic(w.model, i)) {
            assert_true(grads[i] == 0.0F);
        } else {
            others += grads[i] != 0.0F;
        }
    }
    assert_true(others > w.param_count / 2);
    free(grads);
    fl_trainer_free(trainer);
    world_close(&w);
}

static void check_mean(unsigned thread_count)
{
    enum { ROWS = 5 };
    world w = world_open("lenet");
    fl_trainer *trainer = NULL;
    assert_ok(fl_trainer_new(&trainer, w.model,
                             &(fl_trainer_options){.batch_cap = ROWS,
                                                   .thread_count = thread_count,
                                                   .with_gradients = true},
                             NULL));
    float *all = floats(w.param_count), *one = floats(w.param_count);
    float *mean = floats(w.param_count);
    fl_metrics metrics, sum = {0};
    for (size_t r = 0; r < ROWS; r++) {
        assert_ok(gradient(trainer, one, &metrics, &w, w.rows + r, 1, NULL));
        for (size_t i = 0; i < w.param_count; i++)
            mean[i] += one[i] / ROWS;
        sum.loss_sum += metrics.loss_sum;
        sum.correct_count += metrics.correct_count;
    }
    assert_ok(gradient(trainer, all, &metrics, &w, w.rows, ROWS, NULL));
    assert_int_equal(metrics.sample_count, ROWS);
    assert_int_equal(metrics.correct_count, sum.correct_count);
    assert_true(fabs(metrics.loss_sum - sum.loss_sum) < 1e-5);
    for (size_t i = 0; i < w.param_count; i++)
        assert_true(fabsf(all[i] - mean[i]) <= 1e-6F + 1e-5F * fabsf(mean[i]));
    free(all);
    free(one);
    free(mean);
    fl_trainer_free(trainer);
    world_close(&w);
}

TEST(gradient_of_rows_is_the_mean_of_theirs)
{
    check_mean(1);
    check_mean(3);
}

TEST(gradient_refuses_a_trainer_that_only_evaluates)
{
    world w = world_open("mlp");
    fl_trainer *trainer = NULL;
    float *grads = floats(w.param_count);
    fl_metrics metrics;
    fl_reason why = {""};
    assert_ok(fl_trainer_new(&trainer, w.model,
                             &(fl_trainer_options){.batch_cap = 2}, NULL));
    assert_err(gradient(trainer, grads, &metrics, &w, w.rows, 1, &why),
               FL_ERR_STATE);
    assert_reason_names(why, "evaluate");
    free(grads);
    fl_trainer_free(trainer);
    world_close(&w);
}

TEST(gradient_refuses_what_does_not_fit)
{
    world w = world_open("mlp");
    fl_trainer *trainer = world_trainer(&w, 2);
    fl_dataset *narrow = world_dataset(20);
    float *grads = floats(w.param_count);
    fl_metrics metrics;
    fl_reason why = {""};
    assert_err(gradient(trainer, grads, &metrics, &w, w.rows, 0, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "0 rows");
    assert_err(gradient(trainer, grads, &metrics, &w, w.rows, 3, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "1 to 2");
    assert_err(fl_trainer_gradient(trainer, grads, &metrics, &(fl_loss){0},
                                   w.params, narrow, w.rows, 1, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "20x20");
    w.params[w.param_count - 1] = NAN;
    assert_err(gradient(trainer, grads, &metrics, &w, w.rows, 1, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "broken");
    free(grads);
    fl_dataset_free(narrow);
    fl_trainer_free(trainer);
    world_close(&w);
}

RUN_TESTS(cmocka_unit_test(gradient_is_what_a_step_takes),
          cmocka_unit_test(gradient_of_statistics_is_zero),
          cmocka_unit_test(gradient_of_rows_is_the_mean_of_theirs),
          cmocka_unit_test(gradient_refuses_a_trainer_that_only_evaluates),
          cmocka_unit_test(gradient_refuses_what_does_not_fit))
