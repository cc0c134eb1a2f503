/*
 * Quantised models in ONNX's QDQ form: a QuantizeLinear and a
 * DequantizeLinear stand behind every value that has 8 bits, and weights and
 * biases are integers behind a DequantizeLinear of their own.
 *
 *   x -> Q -> DQ -> Conv -> Relu -> Q -> DQ -> ...
 *   int8 weight -> DQ --^    ^-- DQ <- int32 bias
 *
 * Layers that compute in float32 have float weights (onnx_storage.h), and
 * there is no pair behind a value that stays float32.
 *
 * Private to this room; the hooks of the writer and the operators of the
 * reader.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_ONNX_ONNX_QDQ_H
#define FL_MODEL_ONNX_ONNX_QDQ_H

#include <stdbool.h>
#include <stdint.h>

#include "model/int8/int8.h"
#include "model/int8/sharing.h"
#include "model/onnx/onnx_import.h"
#include "model/onnx/onnx_writer.h"

/* What a writer needs to know beyond the graph. */
struct fl_onnx_qdq {
    const fl_int8_model *model;
    const fl_sharing *sharing;  // one a node
    fl_qdq_profile profile;
};

/* ---- writing: onnx_qdq_writer.c; nothing when writer->qdq is NULL ---- */

/* The name under which others read value i. */
void fl_onnx_qdq_name(fl_onnx_text *dst, const fl_onnx_writer *writer,
                      uint32_t i);

/* True: node i is a layer whose weight and bias are integers. */
bool fl_onnx_qdq_has_params(const fl_onnx_writer *writer, uint32_t i);

/* In front of such a node: its weight and bias, dequantised. */
void fl_onnx_qdq_write_params(fl_onnx_writer *writer, uint32_t i);

/* True: value i has 8 bits, whose range bounds it. */
bool fl_onnx_qdq_clamps(const fl_onnx_writer *writer, uint32_t i);

/* Behind node i: its value, quantised and dequantised. */
void fl_onnx_qdq_write_value(fl_onnx_writer *writer, uint32_t i);

/* The tensors of all of these. `dims`, `layout`: of the weight, or NULL. */
void fl_onnx_qdq_write_weight(fl_onnx_writer *writer, uint32_t i,
                              const int64_t *dims, size_t dim_count,
                              const fl_onnx_layout *layout);
void fl_onnx_qdq_write_scale(fl_onnx_writer *writer, uint32_t i);

/* ---- reading: onnx_qdq_reader.c ---- */

fl_onnx_operator fl_onnx_quantize, fl_onnx_dequantize;

#endif
