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

struct fl_onnx_qdq;

typedef struct {
    fl_onnx_out out;
    const float *params;  // NULL: the model is quantised
    const fl_graph *graph;
    const fl_onnx_forms *forms;
    const struct fl_onnx_qdq *qdq;  // NULL: it is not
    fl_storage storage;             // of `params`
} fl_onnx_writer;

/*
 * Writes a whole file and returns its length; without destination it only
 * counts. One of `params` and `qdq` is NULL. onnx_writer.c
 */
size_t fl_onnx_put_model(uint8_t *dst, const float *params,
                         const fl_graph *graph, const struct fl_onnx_qdq *qdq,
                         fl_storage storage);

/* The nodes that compute value i. onnx_nodes.c */
void fl_onnx_write_nodes(fl_onnx_writer *writer, uint32_t i);

/* The constants and parameters that they read. onnx_weights.c */
void fl_onnx_write_weights(fl_onnx_writer *writer, uint32_t i);

/* True: node i needs "NAME.as_picture" to read some of its inputs. */
bool fl_onnx_needs_as_picture(const fl_onnx_writer *writer, uint32_t i);

#endif
