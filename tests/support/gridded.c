/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/gridded.h"

#include <glob.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/graph.h"
#include "tests/support/nets.h"
#include "tests/test.h"

/* ---- models ---- */

fl_model *fl_gridded_zoo(const char *name, uint64_t seed)
{
    const bool is_plain =
        strcmp(name, "mlp") == 0 || strcmp(name, "lenet") == 0;
    const fl_model_options options = {
        .name = name,
        .input = is_plain ? (fl_shape){28, 28, 1} : (fl_shape){32, 32, 3},
        .class_count = 10,
        .seed = seed,
    };
    fl_model *model = NULL;
    assert_ok(fl_model_new(&model, &options, NULL));
    return model;
}

fl_model *fl_gridded_tiny(void)
{
    fl_model *model = malloc(sizeof *model);
    assert_non_null(model);
    model->graph = net_over(1, 1, 4);
    (void)net_add_dense(&model->graph, 3);
    model->params = calloc(model->graph.param_count, sizeof *model->params);
    assert_non_null(model->params);
    return model;
}

static fl_model *import_file(const char *path)
{
    fl_bytes file;
    fl_model *model = NULL;
    assert_ok(fl_file_read(&file.at, &file.len, path, 1 << 24, NULL));
    if (fl_model_decode(&model, file.at, file.len, NULL)) model = NULL;
    free(file.at);
    return model;
}

size_t fl_gridded_each_import(void (*check)(fl_model *model))
{
    glob_t found;
    size_t count = 0;
    assert_int_equal(glob("tests/vectors/onnx/*.onnx", 0, NULL, &found), 0);
    assert_int_equal(
        glob("tests/fuzz/corpus/onnx/*.onnx", GLOB_APPEND, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        fl_model *model = import_file(found.gl_pathv[i]);
        if (!model) continue;  // some are there to be refused
        check(model);
        count++;
    }
    globfree(&found);
    return count;
}

fl_gridded fl_gridded_new(fl_model *model, const float *steps)
{
    fl_gridded made = {.model = model, .count = fl_model_param_count(model)};
    if (steps) {
        assert_ok(fl_grid_restore(&made.grid, model, steps,
                                  fl_model_tensor_count(model), NULL));
    } else {
        assert_ok(fl_grid_new(&made.grid, model, 1.0 / 6.0, NULL));
    }
    fl_grid_snap(made.grid, fl_model_params(model));
    made.base = fl_gridded_file(&made, fl_model_params(model));
    made.to = malloc(made.count * sizeof *made.to);
    assert_non_null(made.to);
    memcpy(made.to, fl_model_params(model), made.count * sizeof *made.to);
    return made;
}

void fl_gridded_free(fl_gridded *gridded)
{
    free(gridded->to);
    free(gridded->base.at);
    fl_grid_free(gridded->grid);
    fl_model_free(gridded->model);
}

/* ---- moves ---- */

static void move(float *value, float step, int32_t steps)
{
    *value = fl_grid_value(fl_grid_multiple(*value, step) + steps, step);
}

void fl_gridded_move(fl_gridded *gridded, size_t i, int32_t steps)
{
    size_t count;
    const float *all = fl_grid_steps(gridded->grid, &count);
    for (size_t t = 0; t < count; t++) {
        const fl_tensor_info tensor = fl_model_tensor(gridded->model, t);
        if (i - tensor.offset < tensor.count) {
            move(&gridded->to[i], all[t], steps);
            return;
        }
    }
    fail_msg("there is no parameter %zu", i);
}

static double *draw_weights(size_t count, fl_random *random)
{
    double *weights = malloc(count * sizeof *weights);
    assert_non_null(weights);
    for (size_t i = 0; i < count; i++) {
        weights[i] = exp(0.7 * fl_random_normal(random));
    }
    return weights;
}

static void wander(float *to, const fl_tensor_info *tensor, float step,
                   double share, fl_random *random)
{
    const size_t columns = tensor->count / tensor->row_count;
    double *of_row = draw_weights(tensor->row_count, random);
    double *of_column = draw_weights(columns, random);
    for (size_t i = 0; i < tensor->count; i++) {
        const double weight = of_row[i / columns] * of_column[i % columns];
        if (fl_random_double(random) >= share * weight / exp(0.49)) continue;
        const int32_t size = fl_random_below(random, 12) == 0 ? 2 : 1;
        // A variance must not become negative.
        const bool is_up = to[i] < step * 4.0F || fl_random_below(random, 2);
        move(&to[i], step, is_up ? size : -size);
    }
    free(of_row);
    free(of_column);
}

void fl_gridded_wander(fl_gridded *gridded, double share, uint64_t seed)
{
    size_t count;
    const float *steps = fl_grid_steps(gridded->grid, &count);
    for (size_t t = 0; t < count; t++) {
        const fl_tensor_info tensor = fl_model_tensor(gridded->model, t);
        fl_random random;
        fl_random_init(&random, seed, FL_RANDOM_TEST, t);
        wander(gridded->to + tensor.offset, &tensor, steps[t], share, &random);
    }
}

/* ---- entropy ---- */

// Of `count` symbols of one kind among `all`.
static double cost(double count, double all)
{
    return count > 0.0 ? -count * log2(count / all) : 0.0;
}

// Bits of the flags, sizes and signs of one tensor.
static double tensor_entropy(const float *from, const float *to, size_t count,
                             float step)
{
    enum { SIZES = 4096 };
    double sizes[SIZES] = {0.0}, moved = 0.0, negative = 0.0, bits = 0.0;
    for (size_t i = 0; i < count; i++) {
        const int32_t steps =
            fl_grid_multiple(to[i], step) - fl_grid_multiple(from[i], step);
        if (steps == 0) continue;
        assert_in_range(abs(steps), 1, SIZES - 1);
        sizes[abs(steps)]++;
        negative += steps < 0;
        moved++;
    }
    for (int i = 1; i < SIZES; i++) {
        bits += cost(sizes[i], moved);
    }
    return bits + cost(moved, (double)count) +
           cost((double)count - moved, (double)count) + cost(negative, moved) +
           cost(moved - negative, moved);
}

double fl_gridded_entropy(const fl_gridded *gridded)
{
    size_t count;
    double bits = 0.0;
    const float *steps = fl_grid_steps(gridded->grid, &count);
    const float *from = fl_model_get_params(gridded->model);
    for (size_t t = 0; t < count; t++) {
        const fl_tensor_info tensor = fl_model_tensor(gridded->model, t);
        bits +=
            tensor_entropy(from + tensor.offset, gridded->to + tensor.offset,
                           tensor.count, steps[t]);
    }
    return bits / 8.0;
}

/* ---- bytes ---- */

fl_bytes fl_gridded_file(fl_gridded *gridded, const float *params)
{
    fl_model *model = gridded->model;
    float *own = model->params;
    float *other = malloc((gridded->count + 1) * sizeof *other);
    fl_bytes made = {.len = fl_model_bytes(model)};
    made.at = malloc(made.len);
    assert_non_null(other);
    assert_non_null(made.at);
    memcpy(other, params, gridded->count * sizeof *other);
    model->params = other;
    assert_ok(fl_model_encode(model, made.at, made.len));
    model->params = own;
    free(other);
    return made;
}

fl_bytes fl_gridded_patch(const fl_gridded *gridded)
{
    fl_bytes made = {NULL, 0};
    const size_t cap = fl_patch_bound(gridded->model);
    made.at = malloc(cap);
    assert_non_null(made.at);
    assert_ok(
        fl_patch_encode(made.at, cap, &made.len, gridded->model, gridded->grid,
                        fl_model_get_params(gridded->model), gridded->to));
    return made;
}
