/*
 * An ONNX file's bytes as a tree of protobuf messages, within a budget.
 *
 * protobuf-c turns two bytes of input into a hundred bytes of memory when a
 * message is empty. So all memory of a file comes out of a budget that
 * follows from the file's length, and the counts of things that later code
 * walks over have maxima. The messages of onnx.proto do not nest in
 * themselves: no depth to limit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_ONNX_ONNX_FILE_H
#define FL_MODEL_ONNX_ONNX_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/onnx/onnx.pb-c.h"

enum {
    FL_ONNX_NODES_MAX = 4096,
    FL_ONNX_TENSORS_MAX = 4096,  // initializers
    FL_ONNX_PORTS_MAX = 32,      // inputs, outputs or attributes of a node
    FL_ONNX_OPSET_MIN = 11,
    FL_ONNX_OPSET_MAX = 17,
};

typedef struct {
    Onnx__ModelProto *proto;  // graph is not NULL
    size_t budget;            // bytes that may still be allocated
    bool is_over_budget, is_out_of_memory;
} fl_onnx_file;

/*
 * Parses src, which is not used later. FL_ERR_FORMAT: not a protobuf, or
 * without graph or opset. FL_ERR_UNSUPPORTED: another opset. FL_ERR_LIMIT:
 * beyond the maxima. FL_ERR_MEMORY. After an error there is nothing to free.
 */
FL_CHECK fl_err fl_onnx_file_init(fl_onnx_file *file, const uint8_t *src,
                                  size_t src_len, fl_reason *why);

void fl_onnx_file_fini(fl_onnx_file *file);

#endif
