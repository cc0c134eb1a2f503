/*
 * A small world to train in: a model with the first parameters, and 24
 * pictures with labels, of tests/vectors/lenet_torch.py.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_WORLD_H
#define FL_TESTS_SUPPORT_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

enum {
    WORLD_ROWS = 24,
    WORLD_SIDE = 28,
    WORLD_PIXELS = WORLD_SIDE * WORLD_SIDE,
    WORLD_CLASSES = 10,
};

typedef struct {
    fl_model *model;
    fl_dataset *dataset;
    uint32_t rows[WORLD_ROWS];
    float *params;  // PyTorch's first ones
    size_t param_count;
} world;

/* With a built-in architecture. */
world world_open(const char *name);
void world_close(world *w);

/* Back to the first parameters. */
void world_reset(world *w);

/* The pictures alone, of another size. */
fl_dataset *world_dataset(uint32_t side);

fl_trainer *world_trainer(const world *w, uint32_t batch_cap);

/* So many steps of all rows with lr 0.1. */
fl_train_options world_steps(uint32_t steps);

/* On all rows, always in the same order. */
fl_err world_run(fl_trainer *trainer, world *w, fl_metrics *metrics,
                 const fl_train_options *options, fl_reason *why);

#endif
