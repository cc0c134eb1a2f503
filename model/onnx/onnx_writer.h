/*
 * Our operators as ONNX's: one of ours may be several nodes and tensors.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_ONNX_ONNX_WRITER_H
#define FL_MODEL_ONNX_ONNX_WRITER_H

#include <stdint.h>

#include "model/model.h"
#include "model/onnx/onnx_put.h"

typedef struct {
    fl_onnx_out out;
    const fl_model *model;
    const fl_graph *graph;  // the model's
    const fl_onnx_forms *forms;
} fl_onnx_writer;

/* The nodes that compute value i. onnx_nodes.c */
void fl_onnx_write_nodes(fl_onnx_writer *writer, uint32_t i);

/* The constants and parameters that they read. onnx_weights.c */
void fl_onnx_write_weights(fl_onnx_writer *writer, uint32_t i);

/* True: node i needs "NAME.as_picture" to read some of its inputs. */
bool fl_onnx_needs_as_picture(const fl_onnx_writer *writer, uint32_t i);

#endif
