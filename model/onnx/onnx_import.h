/*
 * The state of reading an ONNX graph: what every name in it stands for.
 *
 * The file's nodes are taken one by one, in the file's order. Each gives its
 * output name a value, of one of three kinds:
 *
 *   BLOCK   what a node of our graph makes from an example
 *   TENSOR  a constant of the file: a weight, a mean, a shape
 *   SIZES   a few whole numbers that the file computes from shapes
 *
 * Layers that only rename or reorder (Identity, Transpose) make no node: the
 * new name gets a copy of the value. Parameters are copied at the very end,
 * when the whole graph is known to be good; until then a list remembers which
 * tensor each node takes them from.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_ONNX_ONNX_IMPORT_H
#define FL_MODEL_ONNX_ONNX_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/graph.h"
#include "model/onnx/onnx.pb-c.h"
#include "model/onnx/onnx_layout.h"

enum { FL_ONNX_SIZES_MAX = 8 };

/* The batch size, in sizes: whatever it will be. */
#define FL_ONNX_BATCH INT64_MIN

typedef enum {
    FL_ONNX_BLOCK,
    FL_ONNX_TENSOR,
    FL_ONNX_SIZES,
    FL_ONNX_TAKEN,  // was a BLOCK; an Add has become part of its node since
} fl_onnx_kind;

/* The file's dimensions of a block. */
typedef enum {
    FL_ONNX_NCHW,
    FL_ONNX_NHWC,      // after a Transpose
    FL_ONNX_FLAT,      // (N, F), from C, H, W when it was a picture
    FL_ONNX_FLAT_HWC,  // (N, F) in memory's order
} fl_onnx_axes;

typedef struct {
    int64_t at[FL_ONNX_SIZES_MAX];
    uint32_t count;
    bool is_scalar;
} fl_onnx_sizes;

typedef struct {
    const char *name;  // borrowed from the file
    fl_onnx_kind kind;
    uint32_t node;                    // BLOCK: its number in our graph
    fl_onnx_axes axes;                // BLOCK
    const Onnx__TensorProto *tensor;  // TENSOR: checked
    bool is_transposed;               // TENSOR of two dimensions
    fl_onnx_sizes sizes;              // SIZES
} fl_onnx_value;

/* Where the parameters of one node of our graph come from. */
typedef struct {
    const Onnx__TensorProto *weight, *bias;  // NULL: none
    fl_onnx_layout layout;                   // of the weight
} fl_onnx_source;

typedef struct {
    const Onnx__GraphProto *file;
    const Onnx__NodeProto *node;  // the one being read
    size_t node_index;            // its number in the file
    fl_graph *graph;
    fl_onnx_source *sources;  // one a node of our graph
    fl_onnx_value *values;
    size_t value_count;
    int64_t batch;  // 0: not fixed
    fl_reason *why;
} fl_onnx_import;

/* Reads one node of the file. */
typedef fl_err fl_onnx_operator(fl_onnx_import *import);

/* "node "NAME" (Conv): " and the sentence go to *why; returns `err`. */
fl_err fl_onnx_refuse(const fl_onnx_import *import, fl_err err,
                      const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- values ---- */

/* NULL: nothing has that name. */
fl_onnx_value *fl_onnx_value_find(const fl_onnx_import *import,
                                  const char *name);

/*
 * Adds a value under `name`. FL_ERR_FORMAT: no name, or one that is taken.
 * There is room for all names of the file.
 */
FL_CHECK fl_err fl_onnx_value_add(fl_onnx_import *import, const char *name,
                                  fl_onnx_value value);

/* Names the node's only output; FL_ERR_UNSUPPORTED: it has more than one. */
FL_CHECK fl_err fl_onnx_output(fl_onnx_import *import, fl_onnx_value value);

/* True: the node has an input number i. */
bool fl_onnx_has_input(const fl_onnx_import *import, size_t i);

/* The node's i-th input. FL_ERR_FORMAT: no earlier node makes it. */
FL_CHECK fl_err fl_onnx_input(const fl_onnx_import *import, size_t i,
                              const fl_onnx_value **value);

/* The same, of one kind. FL_ERR_UNSUPPORTED: it is of another. */
FL_CHECK fl_err fl_onnx_input_block(const fl_onnx_import *import, size_t i,
                                    const fl_onnx_value **value);
FL_CHECK fl_err fl_onnx_input_tensor(const fl_onnx_import *import, size_t i,
                                     const fl_onnx_value **value);
FL_CHECK fl_err fl_onnx_input_sizes(const fl_onnx_import *import, size_t i,
                                    fl_onnx_sizes *sizes);

/* ---- attributes ---- */

/* FL_ERR_FORMAT, here and below: of another type, or twice. */
FL_CHECK fl_err fl_onnx_attribute(const fl_onnx_import *import,
                                  const Onnx__AttributeProto **attribute,
                                  const char *name,
                                  Onnx__AttributeProto__AttributeType type);

FL_CHECK fl_err fl_onnx_attribute_int(const fl_onnx_import *import,
                                      int64_t *value, const char *name,
                                      int64_t fallback);

/* Exactly `count` of them; *values are untouched when there are none. */
FL_CHECK fl_err fl_onnx_attribute_ints(const fl_onnx_import *import,
                                       int64_t *values, size_t count,
                                       const char *name);

/* FL_ERR_UNSUPPORTED: the attribute is there and is not `value`. */
FL_CHECK fl_err fl_onnx_attribute_must_be(const fl_onnx_import *import,
                                          const char *name, int64_t value);
FL_CHECK fl_err fl_onnx_attribute_must_be_1(const fl_onnx_import *import,
                                            const char *float_name);

/* ---- layers ---- */

/*
 * Appends a node that reads `x`. *layer gives op, window, out_count; the
 * name is made here: that of the weight without ".weight", else that of the
 * file's node, else one like relu_3; always unique. Then names the output.
 */
FL_CHECK fl_err fl_onnx_layer_add(fl_onnx_import *import, fl_node layer,
                                  const fl_onnx_value *x, fl_onnx_axes axes,
                                  const fl_onnx_source *source,
                                  const float *constants);

/* FL_ERR_UNSUPPORTED: another node has these parameters. Accepts NULL. */
FL_CHECK fl_err fl_onnx_source_check(const fl_onnx_import *import,
                                     const Onnx__TensorProto *tensor);

/* ---- the operators, grouped by file ---- */

fl_onnx_operator fl_onnx_conv, fl_onnx_maxpool;          // onnx_windows.c
fl_onnx_operator fl_onnx_gemm, fl_onnx_matmul;           // onnx_dense.c
fl_onnx_operator fl_onnx_add, fl_onnx_sub, fl_onnx_mul,  // onnx_constants.c
    fl_onnx_div;
fl_onnx_operator fl_onnx_relu, fl_onnx_flatten,  // onnx_plain.c
    fl_onnx_reshape, fl_onnx_transpose, fl_onnx_identity, fl_onnx_dropout;
fl_onnx_operator fl_onnx_constant, fl_onnx_shape,  // onnx_sizes.c
    fl_onnx_gather, fl_onnx_unsqueeze, fl_onnx_concat;

#endif
