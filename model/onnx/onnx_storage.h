/*
 * Weights of float32 layers that a file stores in fewer bits, and what makes
 * floats of them when the file is run:
 *
 *   FLOAT16   NAME.weight_half -> Cast -> NAME.weight
 *   WEIGHTS8  NAME.weight_quantized (int8), one scale an output channel
 *             -> DequantizeLinear -> NAME.weight
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_ONNX_ONNX_STORAGE_H
#define FL_MODEL_ONNX_ONNX_STORAGE_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"
#include "model/onnx/onnx_writer.h"

/* How the weights of layer i, CONV or DENSE of float32, are stored. */
fl_storage fl_onnx_storage_of(const fl_onnx_writer *writer, uint32_t i);

/* The node in front of layer i that restores its weight, if there is one. */
void fl_onnx_storage_write_node(fl_onnx_writer *writer, uint32_t i);

/* The weight, (out_count, ...) in memory, and the bias. */
void fl_onnx_storage_write_weight(fl_onnx_writer *writer, uint32_t i,
                                  const int64_t *dims, size_t dim_count,
                                  const fl_onnx_layout *layout);

/* "OWNER.ROLE" from "OWNER.ROLE_quantized", its scale and zero point. */
void fl_onnx_put_dequantize(fl_onnx_writer *writer, const char *owner,
                            const char *role);

#endif
