/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/world.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "model/graph.h"
#include "tests/support/data_files.h"
#include "tests/support/torch.h"
#include "tests/test.h"

enum { BYTE_AT = 1 << 24, LABEL_AT = 1 << 28 };

fl_dataset *world_dataset(uint32_t side)
{
    static uint8_t values[WORLD_ROWS * WORLD_PIXELS], labels[WORLD_ROWS];
    static uint8_t idx[WORLD_ROWS * WORLD_PIXELS + 16];
    const uint32_t sizes[] = {WORLD_ROWS, side, side};
    for (uint32_t i = 0; i < WORLD_ROWS * side * side; i++)
        values[i] = (uint8_t)(torch_hash(i + BYTE_AT) >> 24);
    for (uint32_t i = 0; i < WORLD_ROWS; i++)
        labels[i] = (uint8_t)(torch_hash(i + LABEL_AT) % WORLD_CLASSES);

    data_files files;
    char spec[4 * DATA_PATH_CAP];
    data_files_init(&files);
    size_t len =
        data_files_idx(idx, sizes, 3, values, (size_t)WORLD_ROWS * side * side);
    data_files_put(&files, "values", idx, len);
    len = data_files_idx(idx, sizes, 1, labels, WORLD_ROWS);
    data_files_put(&files, "labels", idx, len);
    data_files_spec(spec, &files, "idx", "values", "labels");
    fl_dataset *dataset = NULL;
    fl_reason why = {""};
    // The test part of a split would take rows away: name one of its own.
    const fl_data_options options = {.spec = spec, .test_spec = spec};
    const fl_err err = fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
    assert_int_equal(fl_dataset_row_count(dataset), WORLD_ROWS);
    data_files_fini(&files);
    return dataset;
}

void world_reset(world *w)
{
    const fl_graph *graph = &w->model->graph;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        if (node->weight_count == 0) continue;
        const size_t fan_in = node->weight_count / node->out_count;
        const float bound = (float)(1.0 / sqrt((double)fan_in));
        for (size_t k = node->weight_at; k < node->bias_at + node->bias_count;
             k++) {
            w->params[k] = torch_unit((uint32_t)k) * bound;
        }
    }
}

world world_open(const char *name)
{
    const fl_model_options options = {.name = name,
                                      .input = {WORLD_SIDE, WORLD_SIDE, 1},
                                      .class_count = WORLD_CLASSES};
    world w = {0};
    assert_ok(fl_model_new(&w.model, &options, NULL));
    w.dataset = world_dataset(WORLD_SIDE);
    w.param_count = fl_model_param_count(w.model);
    w.params = calloc(w.param_count, sizeof(float));
    assert_non_null(w.params);
    for (uint32_t i = 0; i < WORLD_ROWS; i++)
        w.rows[i] = i;
    world_reset(&w);
    return w;
}

void world_close(world *w)
{
    fl_model_free(w->model);
    fl_dataset_free(w->dataset);
    free(w->params);
}

fl_trainer *world_trainer(const world *w, uint32_t batch_cap)
{
    fl_trainer *trainer = NULL;
    assert_ok(fl_trainer_new(
        &trainer, w->model,
        &(fl_trainer_options){.batch_cap = batch_cap, .with_gradients = true},
        NULL));
    return trainer;
}

fl_train_options world_steps(uint32_t steps)
{
    return (fl_train_options){.epochs = steps, .batch = WORLD_ROWS, .lr = 0.1F};
}

fl_err world_run(fl_trainer *trainer, world *w, fl_metrics *metrics,
                 const fl_train_options *options, fl_reason *why)
{
    fl_random random;
    fl_random_init(&random, 3, FL_RANDOM_SHUFFLE, 0);
    return fl_trainer_run(trainer, w->params, metrics, w->dataset, w->rows,
                          WORLD_ROWS, options, &random, why);
}
