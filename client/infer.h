/*
 * Classifies files with the model that a board has in use, or with another.
 * Only reads: a client may run beside it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_INFER_H
#define FL_CLIENT_INFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/reason.h"

typedef struct {
    const char *state;  // folder; NULL: none, then `model` is needed
    const char *model;  // ONNX, float32 or INT8; NULL: the one in use
    char *const *files;
    size_t file_count;
    const char *label_column, *resize;  // as fl_data_options has them
    uint64_t top;                       // classes a row, at least 1
    bool is_json;                       // an object a line
} fl_infer_options;

/*
 * Prints what each row of each file is, to `out`. FL_ERR_NOT_FOUND: no model is
 * in use yet, or no such file. FL_ERR_FORMAT, FL_ERR_UNSUPPORTED,
 * FL_ERR_LIMIT: a model or a file is none. FL_ERR_RANGE: a file's rows are not
 * as large as the model's input, both named in *why. FL_ERR_SYSTEM,
 * FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_infer_run(FILE *out, const fl_infer_options *options,
                             fl_reason *why);

#endif
