/*
 * A model on its grid, its file, and parameters that move along the grid: what
 * the tests of patches and packed models start from.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_GRIDDED_H
#define FL_TESTS_SUPPORT_GRIDDED_H

#include <stddef.h>
#include <stdint.h>

#include "compress/model/patch.h"
#include "model/model.h"

/* Bytes that the caller frees. */
typedef struct {
    uint8_t *at;
    size_t len;
} fl_bytes;

typedef struct {
    fl_model *model;  // its parameters are on the grid
    fl_grid *grid;
    size_t count;
    float *to;      // (count), those of the model at first
    fl_bytes base;  // the model's file
} fl_gridded;

/* An architecture for 10 classes, of 28x28 or 32x32x3 as it likes. */
fl_model *fl_gridded_zoo(const char *name, uint64_t seed);

/* Two tensors: 12 weights of 3 rows, and 3 biases. Zeros. */
fl_model *fl_gridded_tiny(void);

/* Calls `check` with every ONNX file of the tests that can be read; it takes
 * the model. Returns how many there were. */
size_t fl_gridded_each_import(void (*check)(fl_model *model));

/* Takes the model. `steps`: one a tensor; NULL: a sixth of its weights. */
fl_gridded fl_gridded_new(fl_model *model, const float *steps);
void fl_gridded_free(fl_gridded *gridded);

/* Moves parameter i of `to` by whole steps. */
void fl_gridded_move(fl_gridded *gridded, size_t i, int32_t steps);

/*
 * Moves about this share of each tensor by a step or two, in rows and columns
 * that move more than others.
 */
void fl_gridded_wander(fl_gridded *gridded, double share, uint64_t seed);

/* Bytes that flags, signs and sizes of what has moved need without memory. */
double fl_gridded_entropy(const fl_gridded *gridded);

/* The file of the model with `params`. */
fl_bytes fl_gridded_file(fl_gridded *gridded, const float *params);

/* From the model to `to`. */
fl_bytes fl_gridded_patch(const fl_gridded *gridded);

#endif
