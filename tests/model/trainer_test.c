/*
 * Training against PyTorch's numbers (tests/vectors/lenet_torch.txt, made by
 * the script beside it), and every refusal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/random.h"
#include "model/model.h"
#include "tests/support/world.h"
#include "tests/test.h"

static const char *const VECTORS = "tests/vectors/lenet_torch.txt";

/* ---- PyTorch ---- */

static void options_named(fl_train_options *options, const char *name)
{
    if (strcmp(name, "momentum") == 0) {
        options->lr = 0.05F;
        options->momentum = 0.9F;
    } else if (strcmp(name, "decay") == 0) {
        options->momentum = 0.5F;
        options->weight_decay = 0.05F;
    } else if (strcmp(name, "clip") == 0) {
        options->lr = 0.2F;
        options->momentum = 0.9F;
        options->clip_norm = 0.25F;
    } else if (strcmp(name, "cosine") == 0) {
        options->lr = 0.2F;
        options->schedule = FL_SCHEDULE_COSINE;
        options->schedule_steps = 6;
    } else if (strcmp(name, "step") == 0) {
        options->lr = 0.2F;
        options->schedule = FL_SCHEDULE_STEP;
        options->schedule_steps = 3;
        options->schedule_factor = 0.5F;
    } else {
        assert_string_equal(name, "plain");
    }
}

static void assert_near(const char *what, const char *name, unsigned steps,
                        double got, double expected)
{
    if (fabs(got - expected) <= 2e-5 * fabs(expected)) return;
    print_error("%s of %s after %u steps is %.9g, not %.9g\n", what, name,
                steps, got, expected);
    fail();
}

static double norm_of(const world *w)
{
    double sum = 0.0;
    for (size_t i = 0; i < w->param_count; i++)
        sum += (double)w->params[i] * (double)w->params[i];
    return sqrt(sum);
}

TEST(trainer_takes_the_steps_that_pytorch_takes)
{
    world w = world_open("lenet");
    fl_trainer *trainer = world_trainer(&w, WORLD_ROWS);
    FILE *file = fopen(VECTORS, "r");
    assert_non_null(file);
    char name[16];
    unsigned steps, lines = 0;
    double loss, norm;
    while (fscanf(file, "%15s %u %lf %lf", name, &steps, &loss, &norm) == 4) {
        fl_train_options options = world_steps(steps);
        options_named(&options, name);
        fl_metrics metrics;
        world_reset(&w);
        assert_ok(world_run(trainer, &w, &metrics, &options, NULL));
        assert_int_equal(metrics.sample_count, WORLD_ROWS);
        assert_near("norm", name, steps, norm_of(&w), norm);
        assert_ok(fl_trainer_evaluate(trainer, &metrics, w.params, w.dataset,
                                      w.rows, WORLD_ROWS, NULL));
        assert_near("loss", name, steps, metrics.loss_sum / WORLD_ROWS, loss);
        lines++;
    }
    assert_int_equal(lines, 24);
    fclose(file);
    fl_trainer_free(trainer);
    world_close(&w);
}

/* ---- reproducible ---- */

static void train_some(world *w)
{
    const fl_train_options options = {
        .epochs = 2, .batch = 7, .lr = 0.1F, .momentum = 0.9F};
    fl_metrics metrics;
    fl_trainer *trainer = world_trainer(w, 7);
    assert_ok(world_run(trainer, w, &metrics, &options, NULL));
    assert_int_equal(metrics.sample_count, WORLD_ROWS);
    fl_trainer_free(trainer);
}

static void *train_on_thread(void *self)
{
    train_some(self);
    return NULL;
}

TEST(trainer_gives_the_same_bits_whoever_trains_beside_it)
{
    enum { THREADS = 4 };
    world alone = world_open("lenet"), beside[THREADS];
    pthread_t threads[THREADS];
    train_some(&alone);
    for (size_t i = 0; i < THREADS; i++)
        beside[i] = world_open("lenet");
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, train_on_thread, &beside[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_memory_equal(alone.params, beside[i].params,
                            alone.param_count * sizeof(float));
        world_close(&beside[i]);
    }
    world_close(&alone);
}

TEST(trainer_starts_afresh_in_every_run)
{
    world first = world_open("mlp"), second = world_open("mlp");
    const fl_train_options options = {
        .epochs = 1, .batch = 5, .lr = 0.1F, .momentum = 0.9F};
    fl_metrics a, b;
    fl_trainer *trainer = world_trainer(&first, 8);
    assert_ok(world_run(trainer, &first, &a, &options, NULL));
    assert_ok(world_run(trainer, &second, &b, &options, NULL));
    assert_memory_equal(first.params, second.params,
                        first.param_count * sizeof(float));
    assert_memory_equal(&a, &b, sizeof a);
    fl_trainer_free(trainer);
    world_close(&first);
    world_close(&second);
}

TEST(trainer_learns_its_rows_by_heart)
{
    world w = world_open("lenet");
    const fl_train_options options = {
        .epochs = 60, .batch = 8, .lr = 0.05F, .momentum = 0.9F};
    fl_metrics metrics;
    fl_trainer *trainer = world_trainer(&w, 8);
    assert_ok(world_run(trainer, &w, &metrics, &options, NULL));
    assert_ok(fl_trainer_evaluate(trainer, &metrics, w.params, w.dataset,
                                  w.rows, WORLD_ROWS, NULL));
    assert_int_equal(metrics.sample_count, WORLD_ROWS);
    assert_int_equal(metrics.correct_count, WORLD_ROWS);
    fl_trainer_free(trainer);
    world_close(&w);
}

/* ---- evaluation ---- */

TEST(trainer_measures_the_same_in_batches_of_any_size)
{
    world w = world_open("lenet");
    fl_metrics expected, metrics;
    fl_trainer *trainer = world_trainer(&w, WORLD_ROWS);
    assert_ok(fl_trainer_evaluate(trainer, &expected, w.params, w.dataset,
                                  w.rows, WORLD_ROWS, NULL));
    fl_trainer_free(trainer);
    for (uint32_t batch = 1; batch < WORLD_ROWS; batch += 5) {
        assert_ok(fl_trainer_new(&trainer, w.model,
                                 &(fl_trainer_options){.batch_cap = batch},
                                 NULL));
        assert_ok(fl_trainer_evaluate(trainer, &metrics, w.params, w.dataset,
                                      w.rows, WORLD_ROWS, NULL));
        assert_int_equal(metrics.correct_count, expected.correct_count);
        assert_near("loss", "batch", batch, metrics.loss_sum,
                    expected.loss_sum);
        fl_trainer_free(trainer);
    }
    world_close(&w);
}

TEST(trainer_measures_no_rows_as_nothing)
{
    world w = world_open("mlp");
    fl_metrics metrics;
    fl_trainer *trainer = world_trainer(&w, 4);
    assert_ok(fl_trainer_evaluate(trainer, &metrics, w.params, w.dataset,
                                  w.rows, 0, NULL));
    assert_int_equal(metrics.sample_count, 0);
    fl_trainer_free(trainer);
    world_close(&w);
}

TEST(trainer_predicts_what_evaluation_counts)
{
    world w = world_open("lenet");
    float x[4 * WORLD_PIXELS], logits[4 * WORLD_CLASSES];
    fl_metrics metrics;
    fl_trainer *trainer = world_trainer(&w, 4);
    fl_dataset_read(x, w.dataset, w.rows, 4);
    assert_ok(fl_trainer_predict(trainer, logits, w.params, x, 4));
    assert_ok(fl_trainer_evaluate(trainer, &metrics, w.params, w.dataset,
                                  w.rows, 4, NULL));
    double loss = 0.0;
    for (uint32_t i = 0; i < 4; i++) {
        double sum = 0.0;
        for (uint32_t c = 0; c < WORLD_CLASSES; c++)
            sum += exp((double)logits[i * WORLD_CLASSES + c]);
        const uint32_t label = fl_dataset_labels(w.dataset)[i];
        loss += log(sum) - (double)logits[i * WORLD_CLASSES + label];
    }
    assert_near("loss", "predict", 0, loss, metrics.loss_sum);
    assert_ok(fl_trainer_predict(trainer, logits, w.params, x, 0));
    assert_err(fl_trainer_predict(trainer, logits, w.params, x, 5),
               FL_ERR_RANGE);
    fl_trainer_free(trainer);
    world_close(&w);
}

/* ---- refusals ---- */

TEST(trainer_refuses_a_dataset_of_another_shape)
{
    world w = world_open("mlp");
    fl_dataset *small = world_dataset(WORLD_SIDE - 1);
    fl_trainer *trainer = world_trainer(&w, WORLD_ROWS);
    const fl_train_options options = world_steps(1);
    fl_random random;
    fl_metrics metrics;
    fl_reason why = {""};
    fl_random_init(&random, 0, FL_RANDOM_SHUFFLE, 0);
    assert_err(fl_trainer_run(trainer, w.params, &metrics, small, w.rows,
                              WORLD_ROWS, &options, &random, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "27x27x1");
    assert_err(fl_trainer_evaluate(trainer, &metrics, w.params, small, w.rows,
                                   WORLD_ROWS, &why),
               FL_ERR_RANGE);
    fl_dataset_free(small);
    fl_trainer_free(trainer);
    world_close(&w);
}

TEST(trainer_refuses_more_classes_than_the_model_has)
{
    world w = world_open("mlp");
    const fl_model_options options = {
        .name = "mlp", .input = {WORLD_SIDE, WORLD_SIDE, 1}, .class_count = 9};
    fl_model *nine = NULL;
    fl_trainer *trainer = NULL;
    fl_metrics metrics;
    fl_reason why = {""};
    assert_ok(fl_model_new(&nine, &options, NULL));
    assert_ok(fl_trainer_new(
        &trainer, nine, &(fl_trainer_options){.batch_cap = WORLD_ROWS}, NULL));
    assert_err(fl_trainer_evaluate(trainer, &metrics, fl_model_params(nine),
                                   w.dataset, w.rows, WORLD_ROWS, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "10 classes");
    fl_trainer_free(trainer);
    fl_model_free(nine);
    world_close(&w);
}

TEST(trainer_refuses_to_train_on_no_rows)
{
    world w = world_open("mlp");
    fl_trainer *trainer = world_trainer(&w, WORLD_ROWS);
    const fl_train_options options = world_steps(1);
    fl_random random;
    fl_metrics metrics;
    fl_reason why = {""};
    fl_random_init(&random, 0, FL_RANDOM_SHUFFLE, 0);
    assert_err(fl_trainer_run(trainer, w.params, &metrics, w.dataset, w.rows, 0,
                              &options, &random, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "0 rows");
    fl_trainer_free(trainer);
    world_close(&w);
}

TEST(trainer_without_gradients_refuses_to_train)
{
    world w = world_open("mlp");
    fl_trainer *trainer = NULL;
    const fl_train_options options = world_steps(1);
    fl_metrics metrics;
    fl_reason why = {""};
    assert_ok(fl_trainer_new(&trainer, w.model,
                             &(fl_trainer_options){.batch_cap = WORLD_ROWS},
                             NULL));
    assert_err(world_run(trainer, &w, &metrics, &options, &why), FL_ERR_STATE);
    assert_reason_names(why, "evaluate");
    fl_trainer_free(trainer);
    world_close(&w);
}

TEST(trainer_names_the_step_that_diverged_and_the_remedy)
{
    world w = world_open("lenet");
    fl_trainer *trainer = world_trainer(&w, WORLD_ROWS);
    fl_train_options options = world_steps(50);
    options.lr = 1e30F;
    fl_metrics metrics;
    fl_reason why = {""};
    assert_err(world_run(trainer, &w, &metrics, &options, &why), FL_ERR_RANGE);
    assert_reason_names(why, "step ");
    assert_reason_names(why, "lower lr");
    fl_trainer_free(trainer);
    world_close(&w);
}

TEST(trainer_sees_every_parameter_that_becomes_infinite)
{
    world w = world_open("mlp");
    fl_trainer *trainer = world_trainer(&w, WORLD_ROWS);
    // Weight decay alone throws the one large parameter out of range, from
    // where no loss sees it: behind a pixel that ReLU leaves at zero.
    fl_train_options options = world_steps(1);
    options.lr = 1e20F;
    options.weight_decay = 1.0F;
    for (size_t i = 0; i < w.param_count; i++)
        w.params[i] = 0.0F;
    w.params[0] = -1e25F;
    fl_metrics metrics;
    fl_reason why = {""};
    assert_err(world_run(trainer, &w, &metrics, &options, &why), FL_ERR_RANGE);
    assert_reason_names(why, "step 1: a parameter");
    fl_trainer_free(trainer);
    world_close(&w);
}

TEST(trainer_refuses_to_measure_broken_parameters)
{
    world w = world_open("lenet");
    fl_trainer *trainer = world_trainer(&w, WORLD_ROWS);
    const size_t spots[] = {0, 410, 500, 13300, w.param_count - 1};
    for (size_t i = 0; i < sizeof spots / sizeof *spots; i++) {
        fl_metrics metrics;
        fl_reason why = {""};
        world_reset(&w);
        w.params[spots[i]] = NAN;
        assert_err(fl_trainer_evaluate(trainer, &metrics, w.params, w.dataset,
                                       w.rows, WORLD_ROWS, &why),
                   FL_ERR_RANGE);
        assert_reason_names(why, "NaN");
    }
    fl_trainer_free(trainer);
    world_close(&w);
}

TEST(trainer_stops_after_the_step_on_request)
{
    world w = world_open("mlp"), once = world_open("mlp");
    fl_trainer *trainer = world_trainer(&w, WORLD_ROWS);
    const atomic_bool stop = true;
    fl_train_options options = world_steps(1000);
    options.stop = &stop;
    fl_metrics metrics;
    fl_reason why = {""};
    assert_err(world_run(trainer, &w, &metrics, &options, &why),
               FL_ERR_CANCELLED);
    assert_reason_names(why, "step 1");
    options = world_steps(1);
    assert_ok(world_run(trainer, &once, &metrics, &options, NULL));
    assert_memory_equal(w.params, once.params, w.param_count * sizeof(float));
    fl_trainer_free(trainer);
    world_close(&w);
    world_close(&once);
}

TEST(trainer_refuses_a_batch_that_memory_cannot_hold)
{
    world w = world_open("lenet");
    fl_trainer *trainer = NULL;
    fl_reason why = {""};
    assert_err(fl_trainer_new(&trainer, w.model,
                              &(fl_trainer_options){.batch_cap = UINT32_MAX,
                                                    .with_gradients = true},
                              &why),
               FL_ERR_MEMORY);
    assert_reason_names(why, "conv1");
    assert_reason_names(why, "bytes");
    assert_err(fl_trainer_new(&trainer, w.model,
                              &(fl_trainer_options){.batch_cap = 0,
                                                    .with_gradients = true},
                              &why),
               FL_ERR_RANGE);
    assert_null(trainer);
    world_close(&w);
}

TEST(trainer_for_lenet_takes_less_than_two_megabytes)
{
    world w = world_open("lenet");
    fl_trainer *trainer = world_trainer(&w, 32);
    assert_true(fl_trainer_bytes(trainer) < 2 << 20);
    fl_trainer_free(trainer);
    fl_trainer_free(NULL);
    world_close(&w);
}

RUN_TESTS(
    cmocka_unit_test(trainer_takes_the_steps_that_pytorch_takes),
    cmocka_unit_test(trainer_gives_the_same_bits_whoever_trains_beside_it),
    cmocka_unit_test(trainer_starts_afresh_in_every_run),
    cmocka_unit_test(trainer_learns_its_rows_by_heart),
    cmocka_unit_test(trainer_measures_the_same_in_batches_of_any_size),
    cmocka_unit_test(trainer_measures_no_rows_as_nothing),
    cmocka_unit_test(trainer_predicts_what_evaluation_counts),
    cmocka_unit_test(trainer_refuses_a_dataset_of_another_shape),
    cmocka_unit_test(trainer_refuses_more_classes_than_the_model_has),
    cmocka_unit_test(trainer_refuses_to_train_on_no_rows),
    cmocka_unit_test(trainer_without_gradients_refuses_to_train),
    cmocka_unit_test(trainer_names_the_step_that_diverged_and_the_remedy),
    cmocka_unit_test(trainer_sees_every_parameter_that_becomes_infinite),
    cmocka_unit_test(trainer_refuses_to_measure_broken_parameters),
    cmocka_unit_test(trainer_stops_after_the_step_on_request),
    cmocka_unit_test(trainer_refuses_a_batch_that_memory_cannot_hold),
    cmocka_unit_test(trainer_for_lenet_takes_less_than_two_megabytes))
