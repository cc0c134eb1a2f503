/*
 * A model's parameters as its ONNX file has them: tensors with names and the
 * file's dimensions, for programs that know nothing of our order in memory.
 * Constants of the graph are not among them.
 *
 * Part of the front header model/model.h. Pure functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_NAMED_H
#define FL_MODEL_NAMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"

enum { FL_NAMED_CAP = 96, FL_NAMED_DIMS_MAX = 4 };

struct fl_model;

typedef struct {
    char name[FL_NAMED_CAP];  // of the initializer: "conv1.weight"
    uint32_t dims[FL_NAMED_DIMS_MAX];
    uint32_t dim_count;
    size_t offset, count;  // floats, in the parameters
    bool is_statistic;     // running mean or variance; not trained
    bool is_variance;      // at least 0
    // In memory (outputs, pixels, channels), and how far neighbours are apart
    // in the file.
    size_t sizes[3], steps[3];
} fl_named;

/*
 * All of them, in the file's order; each parameter is in exactly one. The
 * caller frees *tensors. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_named_list(fl_named **tensors, size_t *count,
                              const struct fl_model *model, fl_reason *why);

/* dst (dims): the tensor's numbers, out of all parameters; and back. */
void fl_named_get(float *dst, const fl_named *tensor, const float *params);
void fl_named_set(float *params, const fl_named *tensor, const float *src);

#endif
