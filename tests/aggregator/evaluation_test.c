/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/evaluation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "compress/compress.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

enum { ROW_BYTES = 64, ROWS_MAX = 1000 };

static data_files files;
static fl_reason why;

static int set_up(void **state)
{
    (void)state;
    why = (fl_reason){""};
    data_files_init(&files);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    data_files_fini(&files);
    return 0;
}

// Random numbers, `class_count` classes.
static fl_dataset *open_rows(uint32_t row_count, uint32_t class_count)
{
    static char text[ROWS_MAX * ROW_BYTES];
    fl_random random;
    fl_dataset *dataset = NULL;
    fl_random_init(&random, 1, FL_RANDOM_TEST, row_count);
    size_t len = (size_t)snprintf(text, sizeof text, "a,b,c,label\n");
    for (uint32_t i = 0; i < row_count; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%u,%u,%u,%u\n",
                                fl_random_below(&random, 100),
                                fl_random_below(&random, 100),
                                fl_random_below(&random, 100), i % class_count);
    }
    const char *path = data_files_put_text(&files, "rows.csv", text);
    const fl_data_options options = {.spec = path, .test_spec = path};
    assert_ok(fl_dataset_open(&dataset, FL_DATA_TEST, &options, &why));
    return dataset;
}

static fl_model *make_model(fl_shape input, uint32_t class_count)
{
    fl_model *model = NULL;
    const fl_model_options options = {
        .name = "mlp", .input = input, .class_count = class_count, .seed = 5};
    assert_ok(fl_model_new(&model, &options, &why));
    return model;
}

static fl_metrics measure(const fl_dataset *dataset, fl_model *model,
                          unsigned worker_count)
{
    fl_pool *pool = NULL;
    fl_evaluation *evaluation = NULL;
    fl_metrics metrics;
    assert_ok(fl_pool_new(&pool, worker_count ? worker_count : 1));
    assert_ok(fl_evaluation_new(&evaluation, pool, worker_count, dataset, model,
                                &why));
    assert_ok(fl_evaluation_run(evaluation, &metrics, model, &why));
    fl_evaluation_free(evaluation);
    fl_pool_free(pool);
    return metrics;
}

TEST(evaluation_does_not_depend_on_the_number_of_workers)
{
    fl_dataset *dataset = open_rows(997, 2);
    fl_model *model = make_model(fl_dataset_shape(dataset), 2);
    const fl_metrics one = measure(dataset, model, 1);
    assert_int_equal(one.sample_count, 997);
    assert_true(one.loss_sum > 0);
    const unsigned counts[] = {0, 2, 3, 16, 40};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const fl_metrics more = measure(dataset, model, counts[i]);
        assert_int_equal(more.sample_count, one.sample_count);
        assert_int_equal(more.correct_count, one.correct_count);
        assert_memory_equal(&more.loss_sum, &one.loss_sum, sizeof one.loss_sum);
    }
    fl_model_free(model);
    fl_dataset_free(dataset);
}

// Blocks of rows are one thing, the sum over all of them another.
TEST(evaluation_measures_every_row_once)
{
    const uint32_t row_counts[] = {2, 15, 16, 17, 100};
    for (size_t i = 0; i < sizeof row_counts / sizeof *row_counts; i++) {
        fl_dataset *dataset = open_rows(row_counts[i], 2);
        fl_model *model = make_model(fl_dataset_shape(dataset), 2);
        const fl_metrics found = measure(dataset, model, 3);

        fl_trainer *trainer = NULL;
        fl_metrics expected;
        uint32_t rows[100];
        for (uint32_t k = 0; k < row_counts[i]; k++)
            rows[k] = k;
        assert_ok(fl_trainer_new(&trainer, model,
                                 &(fl_trainer_options){.batch_cap = 7}, &why));
        assert_ok(fl_trainer_evaluate(trainer, &expected,
                                      fl_model_params(model), dataset, rows,
                                      row_counts[i], &why));
        assert_int_equal(found.sample_count, row_counts[i]);
        assert_int_equal(found.correct_count, expected.correct_count);
        assert_true(fabs(found.loss_sum - expected.loss_sum) <
                    1e-6 * expected.loss_sum);
        fl_trainer_free(trainer);
        fl_model_free(model);
        fl_dataset_free(dataset);
    }
}

TEST(evaluation_can_be_run_again_with_other_parameters)
{
    fl_pool *pool = NULL;
    fl_evaluation *evaluation = NULL;
    fl_metrics first, zeros, again;
    fl_dataset *dataset = open_rows(50, 2);
    fl_model *model = make_model(fl_dataset_shape(dataset), 2);
    fl_model *nothing = make_model(fl_dataset_shape(dataset), 2);
    memset(fl_model_params(nothing), 0,
           fl_model_param_count(nothing) * sizeof(float));
    assert_ok(fl_pool_new(&pool, 2));
    assert_ok(fl_evaluation_new(&evaluation, pool, 2, dataset, model, &why));
    assert_ok(fl_evaluation_run(evaluation, &first, model, &why));
    assert_ok(fl_evaluation_run(evaluation, &zeros, nothing, &why));
    assert_ok(fl_evaluation_run(evaluation, &again, model, &why));
    // All classes equally likely: ln 2 a row.
    assert_true(fabs(zeros.loss_sum - 50 * 0.6931471806) < 1e-4);
    assert_true(first.loss_sum == again.loss_sum);
    fl_evaluation_free(evaluation);
    fl_pool_free(pool);
    fl_model_free(nothing);
    fl_model_free(model);
    fl_dataset_free(dataset);
}

TEST(evaluation_refuses_parameters_that_are_no_numbers)
{
    fl_pool *pool = NULL;
    fl_evaluation *evaluation = NULL;
    fl_metrics metrics;
    fl_dataset *dataset = open_rows(50, 2);
    fl_model *model = make_model(fl_dataset_shape(dataset), 2);
    fl_model_params(model)[fl_model_param_count(model) - 1] = NAN;
    assert_ok(fl_pool_new(&pool, 2));
    assert_ok(fl_evaluation_new(&evaluation, pool, 2, dataset, model, &why));
    assert_err(fl_evaluation_run(evaluation, &metrics, model, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "loss");
    fl_evaluation_free(evaluation);
    fl_pool_free(pool);
    fl_model_free(model);
    fl_dataset_free(dataset);
}

static void refuse(const fl_dataset *dataset, fl_shape input,
                   uint32_t class_count, const char *word)
{
    fl_pool *pool = NULL;
    fl_evaluation *evaluation = NULL;
    fl_model *model = make_model(input, class_count);
    assert_ok(fl_pool_new(&pool, 1));
    assert_err(fl_evaluation_new(&evaluation, pool, 1, dataset, model, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, word);
    assert_null(evaluation);
    fl_pool_free(pool);
    fl_model_free(model);
}

// Said at the start, not after an hour at the end of the first round.
TEST(evaluation_refuses_rows_that_do_not_fit_the_model)
{
    fl_dataset *dataset = open_rows(30, 3);
    const fl_shape shape = fl_dataset_shape(dataset);
    fl_shape other = shape;
    other.channels++;
    refuse(dataset, other, 3, "1x1x4");
    assert_reason_names(why, "1x1x3");
    other = shape;
    other.height++;
    refuse(dataset, other, 3, "2x1x3");
    refuse(dataset, shape, 2, "2 classes");
    fl_model *model = make_model(shape, 4);  // may know more
    assert_int_equal(measure(dataset, model, 1).sample_count, 30);
    fl_model_free(model);
    fl_dataset_free(dataset);
}

#define WITH_FILES(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

// Half of its channels: another shape, measured by the same evaluation.
static fl_model *make_smaller(const fl_model *model)
{
    fl_model *smaller = NULL;
    fl_channels *channels = NULL;
    assert_ok(fl_channels_new(&channels, model, &why));
    const size_t count = fl_channels_count(channels);
    bool *keep = calloc(count + 1, sizeof *keep);
    assert_non_null(keep);
    for (size_t c = 0; c < count; c++)
        keep[c] = c % 2 == 0;
    assert_ok(fl_model_shrink(&smaller, NULL, model, channels, keep, &why));
    assert_true(fl_model_param_count(smaller) < fl_model_param_count(model));
    fl_channels_free(channels);
    free(keep);
    return smaller;
}

TEST(evaluation_measures_a_model_that_has_changed_its_shape)
{
    fl_pool *pool = NULL;
    fl_evaluation *evaluation = NULL;
    fl_metrics whole, half, again;
    fl_dataset *dataset = open_rows(50, 2);
    fl_model *model = make_model(fl_dataset_shape(dataset), 2);
    fl_model *smaller = make_smaller(model);
    assert_ok(fl_pool_new(&pool, 2));
    assert_ok(fl_evaluation_new(&evaluation, pool, 2, dataset, model, &why));
    assert_ok(fl_evaluation_run(evaluation, &whole, model, &why));
    assert_ok(fl_evaluation_run(evaluation, &half, smaller, &why));
    assert_ok(fl_evaluation_run(evaluation, &again, model, &why));
    const fl_metrics alone = measure(dataset, smaller, 1);
    assert_true(half.loss_sum == alone.loss_sum);
    assert_true(again.loss_sum == whole.loss_sum);
    assert_true(half.loss_sum != whole.loss_sum);
    fl_evaluation_free(evaluation);
    fl_pool_free(pool);
    fl_model_free(smaller);
    fl_model_free(model);
    fl_dataset_free(dataset);
}

TEST(evaluation_measures_an_int8_form)
{
    fl_pool *pool = NULL;
    fl_evaluation *evaluation = NULL;
    fl_metrics whole, int8;
    size_t count;
    uint32_t rows[50];
    fl_dataset *dataset = open_rows(50, 2);
    fl_model *model = make_model(fl_dataset_shape(dataset), 2);
    for (uint32_t i = 0; i < 50; i++)
        rows[i] = i;
    assert_ok(fl_int8_range_count(&count, model, &why));
    fl_range *ranges = calloc(count, sizeof *ranges);
    double *shares = calloc(count * FL_INT8_BINS, sizeof *shares);
    const size_t len = fl_ranges_bytes(count);
    uint8_t *bytes = malloc(len);
    assert_true(ranges && shares && bytes);
    assert_ok(fl_int8_observe(shares, model, dataset, rows, 50, &why));
    fl_int8_ranges_from(ranges, shares, count, 99.99);
    assert_ok(fl_ranges_encode(bytes, len, ranges, count));
    assert_ok(fl_pool_new(&pool, 2));
    assert_ok(fl_evaluation_new(&evaluation, pool, 2, dataset, model, &why));
    assert_ok(fl_evaluation_run(evaluation, &whole, model, &why));
    assert_ok(
        fl_evaluation_run_int8(evaluation, &int8, model, bytes, len, &why));
    assert_int_equal(int8.sample_count, 50);
    assert_true(fabs(int8.loss_sum - whole.loss_sum) <
                0.05 * whole.loss_sum + 0.5);
    assert_err(
        fl_evaluation_run_int8(evaluation, &int8, model, bytes, len - 1, &why),
        FL_ERR_FORMAT);
    fl_evaluation_free(evaluation);
    fl_pool_free(pool);
    free(ranges);
    free(shares);
    free(bytes);
    fl_model_free(model);
    fl_dataset_free(dataset);
}

RUN_TESTS(WITH_FILES(evaluation_does_not_depend_on_the_number_of_workers),
          WITH_FILES(evaluation_measures_every_row_once),
          WITH_FILES(evaluation_can_be_run_again_with_other_parameters),
          WITH_FILES(evaluation_measures_a_model_that_has_changed_its_shape),
          WITH_FILES(evaluation_measures_an_int8_form),
          WITH_FILES(evaluation_refuses_parameters_that_are_no_numbers),
          WITH_FILES(evaluation_refuses_rows_that_do_not_fit_the_model))
