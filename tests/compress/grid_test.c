/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/grid.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "tests/support/gridded.h"
#include "tests/test.h"

static const double RELATIVE = 1.0 / 6.0;

/* ---- steps ---- */

static float expected_step(const fl_tensor_info *tensor, const float *params)
{
    if (tensor->role == FL_TENSOR_STATISTIC) return (float)(RELATIVE / 1024.0);
    if (tensor->role != FL_TENSOR_WEIGHT) return (float)(RELATIVE / 256.0);
    double squares = 0.0;
    for (size_t i = 0; i < tensor->count; i++) {
        squares += (double)params[tensor->offset + i] *
                   (double)params[tensor->offset + i];
    }
    return (float)(RELATIVE * sqrt(squares / (double)tensor->count));
}

TEST(grid_has_a_step_for_each_tensor)
{
    size_t count;
    fl_grid *grid = NULL;
    fl_model *model = fl_gridded_zoo("resnet8", 1);
    assert_ok(fl_grid_new(&grid, model, RELATIVE, NULL));
    const float *steps = fl_grid_steps(grid, &count);
    assert_int_equal(count, fl_model_tensor_count(model));
    for (size_t i = 0; i < count; i++) {
        const fl_tensor_info tensor = fl_model_tensor(model, i);
        const float step = expected_step(&tensor, fl_model_params(model));
        assert_true(fabsf(steps[i] - step) <= 1e-6F * step);
    }
    fl_grid_free(grid);
    fl_model_free(model);
}

TEST(grid_of_zeros_or_next_to_it_has_a_step_nevertheless)
{
    static const float values[] = {0.0F, 1e-38F};
    for (int k = 0; k < 2; k++) {
        size_t count;
        fl_grid *grid = NULL;
        fl_model *model = fl_gridded_tiny();
        for (int i = 0; i < 12; i++) {
            fl_model_params(model)[i] = values[k];
        }
        assert_ok(fl_grid_new(&grid, model, 0.5, NULL));
        assert_true(fl_grid_steps(grid, &count)[0] == 0.5F / 256.0F);
        assert_int_equal(count, 2);
        fl_grid_free(grid);
        fl_model_free(model);
    }
}

TEST(grid_refuses_a_share_outside_its_range)
{
    static const double shares[] = {0.0, -1.0, 1.0001, NAN, INFINITY};
    fl_grid *grid = NULL;
    fl_model *model = fl_gridded_tiny();
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        fl_reason why = {""};
        assert_err(fl_grid_new(&grid, model, shares[i], &why), FL_ERR_RANGE);
        assert_reason_names(why, "above 0 and at most 1");
    }
    fl_model_params(model)[3] = 1e38F;
    fl_reason why = {""};
    assert_err(fl_grid_new(&grid, model, 1.0, &why), FL_ERR_RANGE);
    assert_reason_names(why, "tensor 0");
    assert_null(grid);
    fl_model_free(model);
}

TEST(grid_refuses_steps_that_do_not_fit)
{
    static const float wrong[] = {NAN,   INFINITY,  0.0F,
                                  -1.0F, 0x1p-101F, 0x1.1p100F};
    fl_grid *grid = NULL;
    fl_model *model = fl_gridded_tiny();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fl_reason why = {""};
        const float steps[] = {1.0F, wrong[i]};
        assert_err(fl_grid_restore(&grid, model, steps, 2, &why), FL_ERR_RANGE);
        assert_reason_names(why, "tensor 1");
    }
    fl_reason why = {""};
    assert_err(fl_grid_restore(&grid, model, wrong, 3, &why), FL_ERR_RANGE);
    assert_reason_names(why, "3 steps for a model of 2 tensors");
    assert_null(grid);
    const float right[] = {FL_GRID_STEP_MIN, FL_GRID_STEP_MAX};
    assert_ok(fl_grid_restore(&grid, model, right, 2, &why));
    fl_grid_free(grid);
    fl_model_free(model);
}

/* ---- multiples ---- */

TEST(grid_finds_every_multiple_again)
{
    static const float steps[] = {FL_GRID_STEP_MIN, 1e-7F,  1.0F / 3.0F,
                                  0x1.fffffep-3F,   0.017F, FL_GRID_STEP_MAX};
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        for (int32_t m = 0; m <= FL_GRID_MULTIPLE_MAX; m += 1 + m / 64) {
            const float value = fl_grid_value(m, steps[k]);
            assert_true(isfinite(value));
            assert_int_equal(fl_grid_multiple(value, steps[k]), m);
            assert_int_equal(fl_grid_multiple(-value, steps[k]), -m);
        }
        const int32_t most = FL_GRID_MULTIPLE_MAX;
        const float end = fl_grid_value(most, steps[k]);
        assert_int_equal(fl_grid_multiple(end, steps[k]), most);
        assert_int_equal(fl_grid_multiple(FLT_MAX, steps[k]), most);
        assert_int_equal(fl_grid_multiple(-FLT_MAX, steps[k]), -most);
    }
}

TEST(grid_rounds_to_the_nearest_multiple_and_halves_to_even)
{
    assert_int_equal(fl_grid_multiple(0.49F, 1.0F), 0);
    assert_int_equal(fl_grid_multiple(0.5F, 1.0F), 0);
    assert_int_equal(fl_grid_multiple(1.5F, 1.0F), 2);
    assert_int_equal(fl_grid_multiple(-0.5F, 1.0F), 0);
    assert_int_equal(fl_grid_multiple(-2.5F, 1.0F), -2);
    assert_int_equal(fl_grid_multiple(0.51F, 1.0F), 1);
}

TEST(grid_snaps_to_within_half_a_step_and_once)
{
    size_t tensor_count;
    fl_grid *grid = NULL;
    fl_model *model = fl_gridded_zoo("resnet8", 1);
    const size_t count = fl_model_param_count(model);
    float *snapped = malloc(count * sizeof *snapped);
    float *params = fl_model_params(model);
    assert_non_null(snapped);
    assert_ok(fl_grid_new(&grid, model, RELATIVE, NULL));
    memcpy(snapped, params, count * sizeof *snapped);
    fl_grid_snap(grid, snapped);
    const float *steps = fl_grid_steps(grid, &tensor_count);
    for (size_t t = 0; t < tensor_count; t++) {
        const fl_tensor_info tensor = fl_model_tensor(model, t);
        for (size_t i = 0; i < tensor.count; i++) {
            const size_t at = tensor.offset + i;
            assert_true(fabsf(snapped[at] - params[at]) <= 0.5001F * steps[t]);
        }
    }
    memcpy(params, snapped, count * sizeof *snapped);
    fl_grid_snap(grid, snapped);
    assert_memory_equal(params, snapped, count * sizeof *snapped);
    free(snapped);
    fl_grid_free(grid);
    fl_model_free(model);
}

/* ---- release ---- */

typedef struct {
    fl_gridded on;  // `to` is what is published
    float *master, *before, *scratch;
    float *steps;  // one a parameter
    bool *is_statistic;
} world;

static float *floats(size_t count)
{
    float *made = calloc(count, sizeof *made);
    assert_non_null(made);
    return made;
}

// A master that has moved a few steps from what is published.
static world open_world(const char *name, uint64_t seed)
{
    size_t tensor_count;
    fl_random random;
    world w = {.on = fl_gridded_new(fl_gridded_zoo(name, 1), NULL)};
    w.master = floats(w.on.count);
    w.before = floats(w.on.count);
    w.scratch = floats(w.on.count);
    w.steps = floats(w.on.count);
    w.is_statistic = calloc(w.on.count, sizeof *w.is_statistic);
    assert_non_null(w.is_statistic);
    const float *steps = fl_grid_steps(w.on.grid, &tensor_count);
    fl_random_init(&random, seed, FL_RANDOM_TEST, 0);
    for (size_t t = 0; t < tensor_count; t++) {
        const fl_tensor_info tensor = fl_model_tensor(w.on.model, t);
        for (size_t i = tensor.offset; i < tensor.offset + tensor.count; i++) {
            w.steps[i] = steps[t];
            w.is_statistic[i] = tensor.role == FL_TENSOR_STATISTIC;
            // Eighths of a step, so that many are equally far.
            const int eighths = (int)fl_random_below(&random, 41) - 20;
            w.master[i] = w.on.to[i] + (float)eighths / 8.0F * steps[t];
        }
    }
    memcpy(w.before, w.on.to, w.on.count * sizeof *w.before);
    return w;
}

static void close_world(world *w)
{
    free(w->master);
    free(w->before);
    free(w->scratch);
    free(w->steps);
    free(w->is_statistic);
    fl_gridded_free(&w->on);
}

static size_t release(world *w, size_t count)
{
    return fl_grid_release(w->on.grid, w->on.to, w->master, count, w->scratch);
}

// The slow way: sort all that would move, furthest first.
static const world *sorted;

static float distance(const world *w, size_t i)
{
    return fabsf(w->master[i] - w->before[i]);
}

static int further(const void *a, const void *b)
{
    const size_t i = *(const size_t *)a, k = *(const size_t *)b;
    const float x = distance(sorted, i), y = distance(sorted, k);
    if (x != y) return x > y ? -1 : 1;
    return i < k ? -1 : 1;
}

static float target(const world *w, size_t i)
{
    return fl_grid_value(fl_grid_multiple(w->master[i], w->steps[i]),
                         w->steps[i]);
}

static size_t expect(const world *w, float *expected, size_t count)
{
    size_t movable = 0;
    size_t *all = calloc(w->on.count, sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < w->on.count; i++) {
        expected[i] = w->is_statistic[i] ? target(w, i) : w->before[i];
        if (target(w, i) != expected[i]) all[movable++] = i;
    }
    sorted = w;
    qsort(all, movable, sizeof *all, further);
    const size_t moved = count < movable ? count : movable;
    for (size_t k = 0; k < moved; k++) {
        expected[all[k]] = target(w, all[k]);
    }
    free(all);
    return moved;
}

TEST(grid_releases_exactly_what_is_furthest_off)
{
    static const size_t counts[] = {0, 1, 2, 500, 4010, 30000, 1000000};
    static const char *const names[] = {"lenet", "resnet8"};
    for (size_t k = 0; k < 14; k++) {
        world w = open_world(names[k % 2], k);
        float *expected = floats(w.on.count);
        const size_t moved = expect(&w, expected, counts[k / 2]);
        assert_int_equal(release(&w, counts[k / 2]), moved);
        assert_memory_equal(w.on.to, expected, w.on.count * sizeof *expected);
        free(expected);
        close_world(&w);
    }
}

// Nothing is lost: what did not move now moves later, and then there is rest.
TEST(grid_catches_up_with_a_master_that_stands_still)
{
    world w = open_world("resnet8", 5);
    for (int round = 0; release(&w, 9000) > 0; round++) {
        assert_in_range(round, 0, (int)(w.on.count / 9000));
    }
    for (size_t i = 0; i < w.on.count; i++) {
        // Half a step, and what a float of this size is rounded by.
        const float near = 0.5001F * w.steps[i] + 1e-7F * fabsf(w.master[i]);
        if (!(fabsf(w.master[i] - w.on.to[i]) <= near)) {
            fail_msg("parameter %zu is further than half a step", i);
        }
    }
    close_world(&w);
}

// Beyond the last multiple is no place to go to, so others have their turn.
TEST(grid_stays_at_its_last_multiple)
{
    world w = open_world("lenet", 6);
    memcpy(w.master, w.on.to, w.on.count * sizeof *w.master);
    w.master[7] = 1e30F;
    w.master[9] += 2.0F * w.steps[9];
    assert_int_equal(release(&w, 1), 1);
    assert_true(w.on.to[7] == fl_grid_value(FL_GRID_MULTIPLE_MAX, w.steps[7]));
    assert_true(w.on.to[9] == w.before[9]);
    assert_int_equal(release(&w, 1), 1);
    assert_true(w.on.to[9] != w.before[9]);
    assert_int_equal(release(&w, 1), 0);
    close_world(&w);
}

RUN_TESTS(
    cmocka_unit_test(grid_has_a_step_for_each_tensor),
    cmocka_unit_test(grid_of_zeros_or_next_to_it_has_a_step_nevertheless),
    cmocka_unit_test(grid_refuses_a_share_outside_its_range),
    cmocka_unit_test(grid_refuses_steps_that_do_not_fit),
    cmocka_unit_test(grid_finds_every_multiple_again),
    cmocka_unit_test(grid_rounds_to_the_nearest_multiple_and_halves_to_even),
    cmocka_unit_test(grid_snaps_to_within_half_a_step_and_once),
    cmocka_unit_test(grid_releases_exactly_what_is_furthest_off),
    cmocka_unit_test(grid_catches_up_with_a_master_that_stands_still),
    cmocka_unit_test(grid_stays_at_its_last_multiple))
