/*
 * A run of training: the schedule as long as it, and statistics that follow
 * alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compress/model/tune.h"

#include <stdlib.h>

#include "tests/support/tables.h"
#include "tests/test.h"

enum { SIDE = 8, CLASSES = 4, ROWS = 48, BATCH = 16 };

typedef struct {
    fl_model *model;
    fl_dataset *dataset;
    float *first;  // parameters
    uint32_t rows[ROWS];
    fl_random random;
    fl_tune_options options;
    uint64_t steps_said, steps_taken;
} world;

static void on_start(void *self, uint32_t epochs, uint64_t step_count)
{
    world *w = self;
    assert_true(epochs > 0);
    w->steps_said = step_count;
}

static void on_step(void *self, uint64_t step, const fl_metrics *epoch)
{
    world *w = self;
    assert_true(epoch->sample_count > 0);
    w->steps_taken = step;
}

static void world_open(world *w, const char *name)
{
    const fl_model_options model = {
        .name = name,
        .input = {SIDE, SIDE, 1},
        .class_count = CLASSES,
        .seed = 3,
    };
    *w = (world){.dataset = table_of_pictures(ROWS, SIDE, CLASSES)};
    assert_ok(fl_model_new(&w->model, &model, NULL));
    const size_t bytes = fl_model_param_count(w->model) * sizeof *w->first;
    w->first = malloc(bytes);
    assert_non_null(w->first);
    memcpy(w->first, fl_model_params(w->model), bytes);
    for (uint32_t i = 0; i < ROWS; i++)
        w->rows[i] = i;
    fl_random_init(&w->random, 1, FL_RANDOM_SHUFFLE, 0);
    w->options = (fl_tune_options){
        .dataset = w->dataset,
        .rows = w->rows,
        .row_count = ROWS,
        .train = {.batch = BATCH,
                  .lr = 0.1F,
                  .momentum = 0.9F,
                  .weight_decay = 0.1F,
                  .schedule = FL_SCHEDULE_COSINE,
                  .on_step = on_step,
                  .on_step_self = w},
        .random = &w->random,
        .on_start = on_start,
    };
}

static void world_close(world *w)
{
    free(w->first);
    fl_dataset_free(w->dataset);
    fl_model_free(w->model);
}

static bool is_changed(const world *w, bool of_statistics)
{
    const float *params = fl_model_get_params(w->model);
    for (size_t i = 0; i < fl_model_tensor_count(w->model); i++) {
        const fl_tensor_info t = fl_model_tensor(w->model, i);
        if ((t.role == FL_TENSOR_STATISTIC) != of_statistics) continue;
        if (memcmp(params + t.offset, w->first + t.offset,
                   t.count * sizeof *params) != 0) {
            return true;
        }
    }
    return false;
}

TEST(tune_trains_for_as_many_passes_as_asked)
{
    world w;
    world_open(&w, "resnet8");
    assert_ok(fl_tune_model(w.model, &w.options, 2, NULL));
    assert_int_equal(w.steps_said, 6);
    assert_int_equal(w.steps_taken, 6);
    assert_true(is_changed(&w, false) && is_changed(&w, true));
    world_close(&w);
}

TEST(tune_of_0_passes_lets_statistics_alone_follow)
{
    world w;
    world_open(&w, "resnet8");
    assert_ok(fl_tune_model(w.model, &w.options, 0, NULL));
    assert_true(is_changed(&w, true));
    assert_false(is_changed(&w, false));
    assert_int_equal(w.steps_said, 0);  // no line for something so short
    world_close(&w);
}

TEST(tune_of_0_passes_leaves_frozen_statistics_alone)
{
    world w;
    world_open(&w, "resnet8");
    w.options.train.norm = FL_NORM_FROZEN;
    assert_ok(fl_tune_model(w.model, &w.options, 0, NULL));
    assert_false(is_changed(&w, true) || is_changed(&w, false));
    world_close(&w);
}

TEST(tune_of_0_passes_needs_no_norms)
{
    world w;
    world_open(&w, "mlp");
    assert_ok(fl_tune_model(w.model, &w.options, 0, NULL));
    assert_false(is_changed(&w, false));
    world_close(&w);
}

TEST(tune_stops_when_it_is_told_to)
{
    const atomic_bool stop = true;
    world w;
    world_open(&w, "resnet8");
    w.options.train.stop = &stop;
    assert_err(fl_tune_model(w.model, &w.options, 5, NULL), FL_ERR_CANCELLED);
    assert_int_equal(w.steps_taken, 1);
    assert_err(fl_tune_model(w.model, &w.options, 0, NULL), FL_ERR_CANCELLED);
    world_close(&w);
}

TEST(tune_refuses_what_training_refuses)
{
    fl_reason why = {""};
    world w;
    world_open(&w, "resnet8");
    w.options.train.batch = 0;
    assert_err(fl_tune_model(w.model, &w.options, 1, &why), FL_ERR_RANGE);
    assert_reason_names(why, "batch");
    w.options.train.batch = BATCH;
    w.options.freeze = "nothing*";
    assert_err(fl_tune_model(w.model, &w.options, 1, &why), FL_ERR_NOT_FOUND);
    world_close(&w);
}

RUN_TESTS(cmocka_unit_test(tune_trains_for_as_many_passes_as_asked),
          cmocka_unit_test(tune_of_0_passes_lets_statistics_alone_follow),
          cmocka_unit_test(tune_of_0_passes_leaves_frozen_statistics_alone),
          cmocka_unit_test(tune_of_0_passes_needs_no_norms),
          cmocka_unit_test(tune_stops_when_it_is_told_to),
          cmocka_unit_test(tune_refuses_what_training_refuses))
