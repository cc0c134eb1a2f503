/*
 * Weights that are masked stay 0, whatever else a run does to parameters.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "model/model.h"
#include "model/optimizer.h"
#include "tests/support/world.h"
#include "tests/test.h"

static void reset(world *w)
{
    memcpy(w->params, fl_model_get_params(w->model),
           w->param_count * sizeof *w->params);
}

// The world's rows, and a network with batch norms.
static world open_normed(void)
{
    const fl_model_options options = {.name = "resnet8",
                                      .input = {WORLD_SIDE, WORLD_SIDE, 1},
                                      .class_count = WORLD_CLASSES,
                                      .seed = 1};
    world w = world_open("lenet");
    fl_model_free(w.model);
    free(w.params);
    assert_ok(fl_model_new(&w.model, &options, NULL));
    w.param_count = fl_model_param_count(w.model);
    w.params = malloc(w.param_count * sizeof *w.params);
    assert_non_null(w.params);
    reset(&w);
    return w;
}

// Two of three learn; statistics are masked too, which nobody may ask.
static bool *two_of_three(size_t count)
{
    bool *mask = malloc(count * sizeof *mask);
    assert_non_null(mask);
    for (size_t i = 0; i < count; i++)
        mask[i] = i % 3 != 0;
    return mask;
}

static bool *mark_statistics(const fl_model *model)
{
    bool *marks = calloc(fl_model_param_count(model), sizeof *marks);
    assert_non_null(marks);
    for (size_t i = 0; i < fl_model_tensor_count(model); i++) {
        const fl_tensor_info tensor = fl_model_tensor(model, i);
        if (tensor.role != FL_TENSOR_STATISTIC) continue;
        memset(marks + tensor.offset, true, tensor.count);
    }
    return marks;
}

static void run(world *w, const fl_train_options *options, uint32_t threads)
{
    const fl_trainer_options made = {.batch_cap = WORLD_ROWS,
                                     .thread_count = threads,
                                     .with_gradients = true};
    fl_trainer *trainer = NULL;
    fl_metrics metrics;
    assert_ok(fl_trainer_new(&trainer, w->model, &made, NULL));
    assert_ok(world_run(trainer, w, &metrics, options, NULL));
    fl_trainer_free(trainer);
}

// To the bit: a negative zero or a rounding error would be seen.
static void assert_masked(const world *w, const bool *mask, const bool *marks)
{
    static const float zero = 0.0F;
    size_t moved = 0;
    for (size_t i = 0; i < w->param_count; i++) {
        if (!mask[i] && !marks[i]) {
            assert_memory_equal(&w->params[i], &zero, sizeof zero);
        } else if (w->params[i] < 0.0F || w->params[i] > 0.0F) {
            moved++;
        }
    }
    assert_true(moved > w->param_count / 2);
}

#define STEPS .epochs = 2, .batch = 7, .lr = 0.01F

TEST(mask_holds_with_every_optimizer)
{
    world w = open_normed();
    bool *mask = two_of_three(w.param_count);
    bool *marks = mark_statistics(w.model);
    float *other = malloc(w.param_count * sizeof *other);
    assert_non_null(other);
    for (size_t i = 0; i < w.param_count; i++)
        other[i] = 0.01F;
    const fl_train_options cases[] = {
        {STEPS},
        {STEPS, .momentum = 0.9F, .weight_decay = 0.01F},
        {STEPS, .momentum = 0.9F, .nesterov = true, .clip_norm = 0.5F},
        {STEPS, .optimizer = FL_OPTIMIZER_ADAM, .weight_decay = 0.01F},
        {STEPS, .optimizer = FL_OPTIMIZER_ADAMW, .weight_decay = 0.1F},
        {STEPS, .momentum = 0.5F, .prox_mu = 0.1F, .prox_params = other},
        {STEPS, .control_global = other},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (uint32_t threads = 1; threads <= 3; threads += 2) {
            fl_train_options options = cases[i];
            options.mask = mask;
            reset(&w);
            run(&w, &options, threads);
            assert_masked(&w, mask, marks);
        }
    }
    free(other);
    free(marks);
    free(mask);
    world_close(&w);
}

static float *trained(world *w, const fl_train_options *options)
{
    float *copy = malloc(w->param_count * sizeof *copy);
    assert_non_null(copy);
    reset(w);
    run(w, options, 1);
    memcpy(copy, w->params, w->param_count * sizeof *copy);
    return copy;
}

TEST(mask_that_takes_nothing_out_changes_no_bit)
{
    world w = open_normed();
    bool *mask = malloc(w.param_count * sizeof *mask);
    assert_non_null(mask);
    memset(mask, true, w.param_count * sizeof *mask);
    fl_train_options options = {STEPS, .momentum = 0.9F, .clip_norm = 1.0F};
    float *plain = trained(&w, &options);
    options.mask = mask;
    float *masked = trained(&w, &options);
    assert_memory_equal(plain, masked, w.param_count * sizeof *plain);
    free(plain);
    free(masked);
    free(mask);
    world_close(&w);
}

// Nothing but weights is masked: norms go on following the batches.
TEST(mask_leaves_statistics_alone)
{
    world w = open_normed();
    bool *marks = mark_statistics(w.model);
    bool *mask = malloc(w.param_count * sizeof *mask);
    assert_non_null(mask);
    for (size_t i = 0; i < w.param_count; i++)
        mask[i] = !marks[i];
    const fl_train_options options = {STEPS, .mask = mask};
    const fl_train_options plain = {STEPS};
    float *expected = trained(&w, &plain), *got = trained(&w, &options);
    assert_memory_equal(expected, got, w.param_count * sizeof *got);
    free(expected);
    free(got);
    free(mask);
    free(marks);
    world_close(&w);
}

// One weight left: clipped, it takes a step of lr * clip_norm.
TEST(mask_leaves_pruned_weights_out_of_the_norm)
{
    world w = world_open("mlp");
    bool *mask = calloc(w.param_count, sizeof *mask);
    assert_non_null(mask);
    const size_t bias = w.param_count - 1;
    mask[bias] = true;
    const fl_train_options options = {.epochs = 1,
                                      .batch = WORLD_ROWS,
                                      .lr = 1.0F,
                                      .clip_norm = 1e-3F,
                                      .mask = mask};
    const float before = w.params[bias];
    run(&w, &options, 1);
    assert_float_equal(fabs((double)w.params[bias] - (double)before), 1e-3,
                       2e-6);
    free(mask);
    world_close(&w);
}

RUN_TESTS(cmocka_unit_test(mask_holds_with_every_optimizer),
          cmocka_unit_test(mask_that_takes_nothing_out_changes_no_bit),
          cmocka_unit_test(mask_leaves_statistics_alone),
          cmocka_unit_test(mask_leaves_pruned_weights_out_of_the_norm))
