/*
 * Constant tensors of an ONNX file: checked once, then read number by number,
 * wherever the file keeps them (raw_data, float_data, int64_data).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_ONNX_ONNX_TENSOR_H
#define FL_MODEL_ONNX_ONNX_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/onnx/onnx.pb-c.h"

/* "float32", "int64", ... */
const char *fl_onnx_type_name(int32_t data_type);

/*
 * FL_ERR_FORMAT: a dimension below 1, or data that is not as long as the
 * dimensions say. FL_ERR_LIMIT: too many numbers or dimensions.
 * FL_ERR_UNSUPPORTED: the data is in another file. `name` is for *why. Types
 * that the functions below do not read pass.
 */
FL_CHECK fl_err fl_onnx_tensor_check(const Onnx__TensorProto *tensor,
                                     const char *name, fl_reason *why);

/* The functions below need a checked tensor, and its type to be right. */

size_t fl_onnx_tensor_count(const Onnx__TensorProto *tensor);
/* Of a float32 or float16; the nearest one to a float64 or int64. */
float fl_onnx_tensor_float(const Onnx__TensorProto *tensor, size_t i);
int64_t fl_onnx_tensor_int(const Onnx__TensorProto *tensor, size_t i);
/* Of an int8, uint8 or int32. */
int32_t fl_onnx_tensor_small(const Onnx__TensorProto *tensor, size_t i);
bool fl_onnx_tensor_bool(const Onnx__TensorProto *tensor, size_t i);

#endif
