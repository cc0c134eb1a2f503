/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "compress/model/patch.h"
#include "tests/test.h"

/* ---- models ---- */

static fl_model *zoo_model(const char *name, uint64_t seed)
{
    const bool is_rgb = strcmp(name, "mlp") != 0 && strcmp(name, "lenet") != 0;
    const fl_model_options options = {
        .name = name,
        .input = is_rgb ? (fl_shape){32, 32, 3} : (fl_shape){28, 28, 1},
        .class_count = 10,
        .seed = seed,
    };
    fl_model *model = NULL;
    assert_ok(fl_model_new(&model, &options, NULL));
    return model;
}

typedef struct {
    uint8_t *at;
    size_t len;
} bytes;

static bytes onnx_of(const fl_model *model)
{
    bytes made = {.len = fl_model_bytes(model)};
    made.at = malloc(made.len);
    assert_non_null(made.at);
    assert_ok(fl_model_encode(model, made.at, made.len));
    return made;
}

// A model on its grid, its file, and where it moves to.
typedef struct {
    fl_model *model;
    fl_grid *grid;
    size_t count;
    float *params;  // of the model
    float *to;
    bytes base;
} world;

static world world_of(fl_model *model, double relative)
{
    world w = {.model = model, .count = fl_model_param_count(model)};
    assert_ok(fl_grid_new(&w.grid, model, relative, NULL));
    w.params = fl_model_params(model);
    fl_grid_snap(w.grid, w.params);
    w.base = onnx_of(model);
    w.to = malloc(w.count * sizeof *w.to);
    assert_non_null(w.to);
    memcpy(w.to, w.params, w.count * sizeof *w.to);
    return w;
}

static void close_world(world *w)
{
    free(w->to);
    free(w->base.at);
    fl_grid_free(w->grid);
    fl_model_free(w->model);
}

static bytes patch_of(const world *w)
{
    bytes patch = {.len = 0};
    const size_t cap = fl_patch_bound(w->model);
    patch.at = malloc(cap);
    assert_non_null(patch.at);
    assert_ok(fl_patch_encode(patch.at, cap, &patch.len, w->model, w->grid,
                              w->params, w->to));
    return patch;
}

// Moves parameter i by `steps` multiples.
static void move(world *w, size_t i, int32_t steps)
{
    size_t count;
    const float *all = fl_grid_steps(w->grid, &count);
    for (size_t t = 0; t < count; t++) {
        const fl_tensor_info tensor = fl_model_tensor(w->model, t);
        if (i - tensor.offset >= tensor.count) continue;
        const int32_t old = fl_grid_multiple(w->to[i], all[t]);
        w->to[i] = fl_grid_value(old + steps, all[t]);
        return;
    }
    fail_msg("no parameter %zu", i);
}

// What the patch makes of the base is the file of the model with w->to.
static size_t assert_round_trip(world *w)
{
    const bytes patch = patch_of(w);
    bytes made = {.len = 0};
    fl_reason why = {""};
    if (fl_patch_apply(&made.at, &made.len, w->base.at, w->base.len, patch.at,
                       patch.len, &why)) {
        fail_msg("%s", why.text);
    }
    float *old = malloc(w->count * sizeof *old);
    assert_non_null(old);
    memcpy(old, w->params, w->count * sizeof *old);
    memcpy(w->params, w->to, w->count * sizeof *old);
    const bytes expected = onnx_of(w->model);
    memcpy(w->params, old, w->count * sizeof *old);
    assert_int_equal(made.len, expected.len);
    assert_memory_equal(made.at, expected.at, made.len);
    free(old);
    free(expected.at);
    free(made.at);
    free(patch.at);
    return patch.len;
}

/* ---- round trips ---- */

TEST(patch_takes_every_built_in_model_to_another)
{
    for (size_t k = 0; fl_model_name(k); k++) {
        world w = world_of(zoo_model(fl_model_name(k), 3), 1.0 / 6.0);
        fl_random random;
        fl_random_init(&random, 5, FL_RANDOM_TEST, k);
        for (size_t i = 0; i < w.count; i++) {
            if (fl_random_below(&random, 20) > 0) continue;
            const int32_t steps = (int32_t)fl_random_below(&random, 7) - 3;
            if (w.params[i] > 0.0F) move(&w, i, abs(steps));
        }
        assert_round_trip(&w);
        close_world(&w);
    }
}

TEST(patch_of_nothing_is_small)
{
    world w = world_of(zoo_model("lenet", 3), 1.0 / 6.0);
    const size_t len = assert_round_trip(&w);
    if (len > 100) fail_msg("%zu bytes", len);
    close_world(&w);
}

RUN_TESTS(cmocka_unit_test(patch_takes_every_built_in_model_to_another),
          cmocka_unit_test(patch_of_nothing_is_small))
