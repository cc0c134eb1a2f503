/*
 * ONNX files to bend: opened as messages, changed in one place, and given to
 * fl_model_decode. Everything a test puts in is allocated, so that
 * fl_onnx_edit_free finds what it expects. A failed allocation ends the test.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_ONNX_H
#define FL_TESTS_SUPPORT_ONNX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/model.h"
#include "model/onnx/onnx.pb-c.h"

/* The bytes of a file; the caller frees them. */
uint8_t *fl_onnx_edit_read(size_t *len, const char *path);

Onnx__ModelProto *fl_onnx_edit_open(const char *path);
void fl_onnx_edit_free(Onnx__ModelProto *edited);

/* Packs the messages and decodes the bytes. */
FL_CHECK fl_err fl_onnx_edit_decode(fl_model **model,
                                    const Onnx__ModelProto *edited,
                                    fl_reason *why);

/* The first node with this operator; the initializer with this name. */
Onnx__NodeProto *fl_onnx_edit_node(const Onnx__ModelProto *edited,
                                   const char *op_type);
Onnx__TensorProto *fl_onnx_edit_tensor(const Onnx__ModelProto *edited,
                                       const char *name);

/* The attribute with this name, added when missing. */
Onnx__AttributeProto *fl_onnx_edit_attribute(Onnx__NodeProto *node,
                                             const char *name);
void fl_onnx_edit_set_int(Onnx__NodeProto *node, const char *name,
                          int64_t value);
void fl_onnx_edit_set_ints(Onnx__NodeProto *node, const char *name,
                           const int64_t *values, size_t count);
void fl_onnx_edit_set_float(Onnx__NodeProto *node, const char *name,
                            float value);
void fl_onnx_edit_set_string(Onnx__NodeProto *node, const char *name,
                             const char *value);

/* Replaces a string. */
void fl_onnx_edit_set_text(char **text, const char *value);

/*
 * Adds a node of one input and one output behind the i-th (and in front of
 * all others for i = -1).
 */
Onnx__NodeProto *fl_onnx_edit_add_node(Onnx__ModelProto *edited, int after,
                                       const char *op_type, const char *input,
                                       const char *output);
void fl_onnx_edit_add_input(Onnx__NodeProto *node, const char *name);

/* Adds an initializer; the numbers are copied into raw_data. */
Onnx__TensorProto *fl_onnx_edit_add_floats(Onnx__ModelProto *edited,
                                           const char *name,
                                           const int64_t *dims,
                                           size_t dim_count,
                                           const float *numbers);
Onnx__TensorProto *fl_onnx_edit_add_int64s(Onnx__ModelProto *edited,
                                           const char *name,
                                           const int64_t *dims,
                                           size_t dim_count,
                                           const int64_t *numbers);

#endif
