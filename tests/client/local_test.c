/*
 * Training on a board: what comes out of fl_local_work, and every refusal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "client/client.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

enum { ROWS = 24, COLUMNS = 4, CLASSES = 3 };

/* ---- a small world ---- */

typedef struct {
    fl_dataset *dataset;
    uint32_t rows[ROWS];
    fl_model *model;
    uint8_t *bytes;  // of the model
    size_t len;
    fl_plan plan;
    fl_result result;
    fl_reason why;
} world;

static fl_dataset *open_table(uint32_t columns, float scale)
{
    data_files files;
    char text[8192], spec[4 * DATA_PATH_CAP];
    size_t len = 0;
    data_files_init(&files);
    for (uint32_t c = 0; c < columns; c++)
        len += (size_t)snprintf(text + len, sizeof text - len, "x%u,", c);
    len += (size_t)snprintf(text + len, sizeof text - len, "label\n");
    for (uint32_t i = 0; i < ROWS; i++) {
        for (uint32_t c = 0; c < columns; c++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%g,",
                                    (double)scale *
                                        (double)((i * 7 + c * c * 3) % 11));
        len += (size_t)snprintf(text + len, sizeof text - len, "%u\n",
                                i % CLASSES);
    }
    data_files_put_text(&files, "table.csv", text);
    data_files_spec(spec, &files, "csv", "table.csv", NULL);
    fl_dataset *dataset;
    const fl_data_options options = {.spec = spec, .test_spec = spec};
    assert_ok(fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, NULL));
    data_files_fini(&files);
    return dataset;
}

static void world_init(world *w)
{
    *w = (world){.plan = {.round = 1,
                          .local_epochs = 2,
                          .batch = 5,
                          .lr = 0.1F,
                          .momentum = 0.5F,
                          .seed = 7}};
    w->dataset = open_table(COLUMNS, 0.1F);
    assert_int_equal(fl_dataset_row_count(w->dataset), ROWS);
    for (uint32_t i = 0; i < ROWS; i++)
        w->rows[i] = i;
    assert_ok(fl_model_new(&w->model,
                           &(fl_model_options){.name = "mlp",
                                               .input = {1, 1, COLUMNS},
                                               .class_count = CLASSES,
                                               .seed = 3},
                           NULL));
    w->len = fl_model_bytes(w->model);
    w->bytes = malloc(w->len);
    assert_non_null(w->bytes);
    assert_ok(fl_model_encode(w->model, w->bytes, w->len));
    w->plan.param_count = fl_model_param_count(w->model);
}

static void world_fini(world *w)
{
    fl_result_fini(&w->result);
    fl_model_free(w->model);
    free(w->bytes);
    fl_dataset_free(w->dataset);
}

static fl_err train(world *w, uint64_t client, const atomic_bool *stop)
{
    fl_result_fini(&w->result);
    w->why.text[0] = 0;
    const fl_local_data data = {.model = w->bytes,
                                .model_len = w->len,
                                .dataset = w->dataset,
                                .rows = w->rows,
                                .row_count = ROWS,
                                .client = client,
                                .stop = stop};
    return fl_local_work(&w->result, &w->plan, &data, &w->why);
}

static void assert_refused(world *w, fl_err expected, const char *word)
{
    assert_err(train(w, 0, NULL), expected);
    assert_reason_names(w->why, word);
    assert_null(w->result.update);
    assert_int_equal(w->result.update_len, 0);
}

/* ---- what comes out ---- */

TEST(local_update_is_exactly_the_trained_model_minus_the_global_one)
{
    world w;
    fl_trainer *trainer;
    fl_metrics metrics;
    fl_random order;
    world_init(&w);
    assert_ok(train(&w, 2, NULL));
    const size_t count = fl_model_param_count(w.model);
    assert_int_equal(w.result.update_len, count * sizeof(float));

    // The same by hand.
    const fl_train_options options = {
        .epochs = 2, .batch = 5, .lr = 0.1F, .momentum = 0.5F};
    float *local = malloc(count * sizeof *local);
    assert_non_null(local);
    memcpy(local, fl_model_params(w.model), count * sizeof *local);
    assert_ok(fl_trainer_new(
        &trainer, w.model,
        &(fl_trainer_options){.batch_cap = 5, .with_gradients = true}, NULL));
    fl_random_init(&order, fl_local_seed(&w.plan), FL_RANDOM_SHUFFLE, 2);
    assert_ok(fl_trainer_run(trainer, local, &metrics, w.dataset, w.rows, ROWS,
                             &options, &order, NULL));
    size_t changed_count = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *b = w.result.update + i * sizeof(float);
        const uint32_t bits = (uint32_t)b[0] | (uint32_t)b[1] << 8 |
                              (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        const float expected = local[i] - fl_model_params(w.model)[i];
        float found;
        memcpy(&found, &bits, sizeof found);
        assert_memory_equal(&found, &expected, sizeof found);
        if (found > 0 || found < 0) changed_count++;
    }
    assert_true(changed_count > count / 4);
    assert_int_equal(w.result.sample_count, metrics.sample_count);
    assert_int_equal(w.result.correct_count, metrics.correct_count);
    assert_int_equal(w.result.loss_sum_micro, llrint(metrics.loss_sum * 1e6));
    free(local);
    fl_trainer_free(trainer);
    world_fini(&w);
}

TEST(local_metrics_are_those_of_the_first_epoch)
{
    world w;
    world_init(&w);
    assert_ok(train(&w, 0, NULL));
    assert_int_equal(w.result.sample_count, ROWS);
    assert_in_range(w.result.correct_count, 0, ROWS);
    // An untrained model guesses: about ln 3 a row.
    assert_in_range(w.result.loss_sum_micro, 20 * 1000000, 33 * 1000000);
    world_fini(&w);
}

TEST(local_training_is_a_function_of_seed_and_client)
{
    world w;
    world_init(&w);
    assert_ok(train(&w, 1, NULL));
    fl_result first = w.result;
    w.result = (fl_result){0};
    assert_ok(train(&w, 1, NULL));
    assert_memory_equal(first.update, w.result.update, first.update_len);
    assert_ok(train(&w, 2, NULL));
    assert_memory_not_equal(first.update, w.result.update, first.update_len);
    w.plan.seed++;
    assert_ok(train(&w, 1, NULL));
    assert_memory_not_equal(first.update, w.result.update, first.update_len);
    fl_result_fini(&first);
    world_fini(&w);
}

TEST(local_training_uses_only_the_rows_it_is_given)
{
    world w;
    fl_result result;
    world_init(&w);
    const fl_local_data data = {.model = w.bytes,
                                .model_len = w.len,
                                .dataset = w.dataset,
                                .rows = w.rows + 3,
                                .row_count = 7};
    assert_ok(fl_local_work(&result, &w.plan, &data, NULL));
    assert_int_equal(result.sample_count, 7);
    fl_result_fini(&result);
    world_fini(&w);
}

TEST(local_result_can_be_freed_twice)
{
    fl_result result = {.update = malloc(1), .update_len = 1};
    fl_result_fini(&result);
    fl_result_fini(&result);
    assert_null(result.update);
}

/* ---- refusals ---- */

TEST(local_training_refuses_a_model_of_another_size_than_planned)
{
    world w;
    world_init(&w);
    w.plan.param_count++;
    assert_refused(&w, FL_ERR_RANGE, "parameters");
    world_fini(&w);
}

TEST(local_training_refuses_bytes_that_are_no_model)
{
    world w;
    world_init(&w);
    memset(w.bytes, 0xff, 16);
    assert_refused(&w, FL_ERR_FORMAT, "");
    assert_true(w.why.text[0] != 0);
    w.len = 0;
    assert_err(train(&w, 0, NULL), FL_ERR_FORMAT);
    world_fini(&w);
}

TEST(local_training_refuses_a_model_made_for_other_data)
{
    world w;
    world_init(&w);
    fl_dataset_free(w.dataset);
    w.dataset = open_table(COLUMNS + 1, 0.1F);
    assert_refused(&w, FL_ERR_RANGE, "5");
    world_fini(&w);
}

TEST(local_training_refuses_to_go_on_when_it_diverges)
{
    world w;
    world_init(&w);
    fl_dataset_free(w.dataset);
    w.dataset = open_table(COLUMNS, 1e6F);
    w.plan.lr = 1e30F;
    w.plan.local_epochs = 20;
    assert_refused(&w, FL_ERR_RANGE, "");
    assert_true(w.why.text[0] != 0);
    world_fini(&w);
}

TEST(local_training_ends_when_it_is_told_to)
{
    world w;
    atomic_bool stop = true;
    world_init(&w);
    assert_err(train(&w, 0, &stop), FL_ERR_CANCELLED);
    assert_null(w.result.update);
    world_fini(&w);
}

RUN_TESTS(cmocka_unit_test(
              local_update_is_exactly_the_trained_model_minus_the_global_one),
          cmocka_unit_test(local_metrics_are_those_of_the_first_epoch),
          cmocka_unit_test(local_training_is_a_function_of_seed_and_client),
          cmocka_unit_test(local_training_uses_only_the_rows_it_is_given),
          cmocka_unit_test(local_result_can_be_freed_twice),
          cmocka_unit_test(
              local_training_refuses_a_model_of_another_size_than_planned),
          cmocka_unit_test(local_training_refuses_bytes_that_are_no_model),
          cmocka_unit_test(local_training_refuses_a_model_made_for_other_data),
          cmocka_unit_test(local_training_refuses_to_go_on_when_it_diverges),
          cmocka_unit_test(local_training_ends_when_it_is_told_to))
