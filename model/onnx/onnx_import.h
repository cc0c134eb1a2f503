/*
 * The state of reading an ONNX graph: what every name in it stands for.
 *
 * The file's nodes are taken one by one, in the file's order. Each gives its
 * output names a value, of one of these kinds:
 *
 *   BLOCK   what a node of our graph makes from an example
 *   TENSOR  a constant of the file: a weight, a mean, a shape
 *   SIZES   a few whole numbers that the file computes from shapes
 *   half-way values, which only the next operator of a pattern can read:
 *           one of our nodes is often several of ONNX's
 *
 * Layers that only rename or reorder (Identity, Transpose) make no node: the
 * new name gets a copy of the value.
 *
 * The graph grows as the file is read, so that shapes are known. A pattern
 * that is understood at its last node leaves earlier nodes of the graph
 * behind ("absorbed"); at the end those that nothing needs are left out, and
 * only then, when the whole graph is known to be good, are parameters copied.
 * Until then a source remembers which tensors each node takes them from.
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
#include "model/int8/int8.h"
#include "model/model.h"
#include "model/onnx/onnx.pb-c.h"
#include "model/onnx/onnx_layout.h"

enum { FL_ONNX_SIZES_MAX = 8 };

/* The batch size, in sizes: whatever it will be. */
#define FL_ONNX_BATCH INT64_MIN

/* One line a kind: enum value, what a message calls it. */
#define FL_ONNX_KIND_LIST(X)                                             \
    X(FL_ONNX_UNKNOWN, "not made yet")                                   \
    X(FL_ONNX_BLOCK, "computed")                                         \
    X(FL_ONNX_TENSOR, "a constant")                                      \
    X(FL_ONNX_SIZES, "a list of sizes")                                  \
    X(FL_ONNX_PADDED, "padded, which only a Conv or a pool can read")    \
    X(FL_ONNX_QUANTIZED, "quantised, which only a DequantizeLinear can " \
                         "read")                                         \
    X(FL_ONNX_GROUPS, "(N, groups, C / groups, H, W), half-way "         \
                      "through a channel shuffle")                       \
    X(FL_ONNX_ROWS, "(N, groups, rest), half-way through a group "       \
                    "normalisation")                                     \
    X(FL_ONNX_ROWS_NORMED, "half-way through a group normalisation")     \
    X(FL_ONNX_NORMED, "a group normalisation without its weight")        \
    X(FL_ONNX_SCALED, "a group normalisation without its bias")          \
    X(FL_ONNX_SQUARES, "a sum of squares, which only Sqrt can read")     \
    X(FL_ONNX_LENGTH, "a length, which only a Div of the same value "    \
                      "can read")

typedef enum {
#define FL_ONNX_KIND_ENUM(name, text) name,
    FL_ONNX_KIND_LIST(FL_ONNX_KIND_ENUM)
#undef FL_ONNX_KIND_ENUM
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

typedef struct fl_onnx_value fl_onnx_value;

struct fl_onnx_value {
    const char *name;  // borrowed from the file
    uint32_t reader_count;
    fl_onnx_kind kind;
    bool is_shared;  // several nodes read it, by this name or another

    // BLOCK, and what half-way values come from:
    uint32_t node;  // its number in our graph
    fl_onnx_axes axes;
    fl_shape picture;  // FLAT: in whose C, H, W order the numbers run

    // Half-way values:
    uint32_t group_count;
    bool is_swapped;              // GROUPS: after the Transpose
    float epsilon;                // ROWS_NORMED to SCALED; LENGTH: 0, none
    const fl_onnx_value *weight;  // SCALED
    uint32_t pads[4];             // PADDED: top, left, bottom, right

    // TENSOR:
    const Onnx__TensorProto *tensor;  // checked
    bool is_transposed;               // of two dimensions
    bool is_widened;                  // (C) seen as (C, 1, 1)
    bool is_float;                    // float32, or cast to it
    bool is_view;                     // of the owner's numbers
    uint32_t owner;                   // number of a value; its own if no view
    bool is_taken;                    // of an owner: trained by some node
    const fl_onnx_value *scales;      // of integers; NULL: it is float32
    int64_t scale_axis;

    fl_quant quant;  // QUANTIZED

    fl_onnx_sizes sizes;
};

/* Where the parameters of one node of our graph come from. */
typedef struct {
    const fl_onnx_value *weight, *bias;    // NULL: none
    const fl_onnx_value *mean, *variance;  // BATCHNORM
    fl_onnx_layout layout;                 // of the weight
    fl_onnx_layout row;                    // of the others
} fl_onnx_source;

typedef struct {
    const Onnx__GraphProto *file;
    const Onnx__NodeProto *node;  // the one being read
    size_t node_index;            // its number in the file
    bool is_ours;                 // fedge wrote the file
    fl_graph *graph;
    fl_onnx_source *sources;  // one a node of our graph
    bool *is_absorbed;        // one a node of our graph
    fl_quant *quants;         // the same; NULL: only float32 is wanted
    uint32_t next_number;     // for names that are made up
    fl_onnx_value *values;    // one a name of the file, sorted by name
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

/* ---- values: onnx_values.c ---- */

/*
 * Makes room for all names of the file, none of them made yet, and counts
 * who reads them. FL_ERR_MEMORY. The caller frees import->values.
 */
FL_CHECK fl_err fl_onnx_values_init(fl_onnx_import *import);

/* NULL: nothing that has been made so far has that name. */
fl_onnx_value *fl_onnx_value_find(const fl_onnx_import *import,
                                  const char *name);

/* Of a checked tensor. */
fl_onnx_value fl_onnx_tensor_value(const Onnx__TensorProto *tensor);

/* FL_ERR_FORMAT: no name, or one that is taken. */
FL_CHECK fl_err fl_onnx_value_add(fl_onnx_import *import, const char *name,
                                  fl_onnx_value value);

/* Names the node's only output; FL_ERR_UNSUPPORTED: another is read. */
FL_CHECK fl_err fl_onnx_output(fl_onnx_import *import, fl_onnx_value value);

/* True: the node has an input number i. */
bool fl_onnx_has_input(const fl_onnx_import *import, size_t i);

/* The node's i-th input. FL_ERR_FORMAT: no earlier node makes it. */
FL_CHECK fl_err fl_onnx_input(const fl_onnx_import *import, size_t i,
                              const fl_onnx_value **value);

/* The kind of the node's i-th input; UNKNOWN: fl_onnx_input says why. */
fl_onnx_kind fl_onnx_input_kind(const fl_onnx_import *import, size_t i);

/* The same, of one kind. FL_ERR_UNSUPPORTED: it is of another. */
FL_CHECK fl_err fl_onnx_input_block(const fl_onnx_import *import, size_t i,
                                    const fl_onnx_value **value);
FL_CHECK fl_err fl_onnx_input_tensor(const fl_onnx_import *import, size_t i,
                                     const fl_onnx_value **value);
FL_CHECK fl_err fl_onnx_input_sizes(const fl_onnx_import *import, size_t i,
                                    fl_onnx_sizes *sizes);

/* The same for weights and biases: float32, or integers with scales. */
FL_CHECK fl_err fl_onnx_input_param(const fl_onnx_import *import, size_t i,
                                    const fl_onnx_value **value);

/* A constant of one float; `fallback` when there is no input number i. */
FL_CHECK fl_err fl_onnx_input_float(const fl_onnx_import *import, size_t i,
                                    float *number, float fallback);

/* True: the input is a float32 constant, all of whose numbers are `number`. */
bool fl_onnx_is_constant(const fl_onnx_value *value, float number);

/* ---- shapes of blocks ---- */

fl_shape fl_onnx_shape_of(const fl_onnx_import *import, const fl_onnx_value *x);

/* The file's dimensions, the first is FL_ONNX_BATCH. */
fl_onnx_sizes fl_onnx_dims(const fl_onnx_import *import,
                           const fl_onnx_value *x);

/* True: sizes, with the batch in front, are the file's dimensions of x. */
bool fl_onnx_is_shape_of(const fl_onnx_import *import,
                         const fl_onnx_sizes *sizes, const fl_onnx_value *x);

bool fl_onnx_is_flat(const fl_onnx_value *x);

/* Which of the file's dimensions holds the channels. */
uint32_t fl_onnx_channel_axis(const fl_onnx_value *x);

/* True: the channels of a row lie in memory as in the file. */
bool fl_onnx_is_in_order(const fl_onnx_value *x);

/* FL_ERR_UNSUPPORTED: it is not (N, C, H, W). */
FL_CHECK fl_err fl_onnx_check_picture(const fl_onnx_import *import,
                                      const fl_onnx_value *x);

/* Where a constant for each channel of x has its numbers. */
fl_onnx_layout fl_onnx_channel_layout(const fl_onnx_import *import,
                                      const fl_onnx_value *x);

/*
 * True: the constant is one number (*layout repeats it), or one for each
 * channel of x, with dimensions that broadcast.
 */
bool fl_onnx_is_per_channel(const fl_onnx_import *import,
                            fl_onnx_layout *layout, const fl_onnx_value *x,
                            const fl_onnx_value *constant);

/* ---- attributes ---- */

/* FL_ERR_FORMAT, here and below: of another type, or twice. */
FL_CHECK fl_err fl_onnx_attribute(const fl_onnx_import *import,
                                  const Onnx__AttributeProto **attribute,
                                  const char *name,
                                  Onnx__AttributeProto__AttributeType type);

FL_CHECK fl_err fl_onnx_attribute_int(const fl_onnx_import *import,
                                      int64_t *value, const char *name,
                                      int64_t fallback);

/* FL_ERR_FORMAT: not finite, too. */
FL_CHECK fl_err fl_onnx_attribute_float(const fl_onnx_import *import,
                                        float *value, const char *name,
                                        float fallback);

/* Exactly `count` of them; *values are untouched when there are none. */
FL_CHECK fl_err fl_onnx_attribute_ints(const fl_onnx_import *import,
                                       int64_t *values, size_t count,
                                       const char *name);

/* From the attribute, or from input i, where later opsets have them. */
FL_CHECK fl_err fl_onnx_sizes_either(const fl_onnx_import *import,
                                     fl_onnx_sizes *sizes, const char *name,
                                     size_t i);

/* FL_ERR_UNSUPPORTED: the attribute is there and is not `value`. */
FL_CHECK fl_err fl_onnx_attribute_must_be(const fl_onnx_import *import,
                                          const char *name, int64_t value);
FL_CHECK fl_err fl_onnx_attribute_must_be_1(const fl_onnx_import *import,
                                            const char *float_name);

/* An axis counted from either end. FL_ERR_FORMAT: there is no such axis. */
FL_CHECK fl_err fl_onnx_axis(const fl_onnx_import *import, uint32_t *axis,
                             int64_t wanted, uint32_t axis_count);

/* ---- layers ---- */

/*
 * Appends a node and names the file's output after it. *layer is a template
 * with its inputs; its name is made here: that of the weight without
 * ".weight", else that of the file's node, else one like relu_3; always
 * unique. The output has the axes of `like`, or those set by the functions
 * below. `source`, `constants`: NULL, none.
 */
FL_CHECK fl_err fl_onnx_layer_add(fl_onnx_import *import, fl_node layer,
                                  const fl_onnx_value *like,
                                  const fl_onnx_source *source,
                                  const float *constants);

/* The same for a node that reads x alone. */
FL_CHECK fl_err fl_onnx_layer_on(fl_onnx_import *import, fl_node layer,
                                 const fl_onnx_value *x,
                                 const fl_onnx_source *source,
                                 const float *constants);

/* The same without a name for the output: *made is its value. */
FL_CHECK fl_err fl_onnx_layer_append(fl_onnx_import *import,
                                     fl_onnx_value *made, fl_node layer,
                                     const fl_onnx_value *like,
                                     const fl_onnx_source *source,
                                     const float *constants);

/* A template that reads x. */
fl_node fl_onnx_layer_reading(fl_op_kind op, const fl_onnx_value *x);

/* What values of so many numbers in a row look like: as DENSE makes them. */
fl_onnx_value fl_onnx_row(uint32_t count);

/*
 * Marks the tensor as trained by the node at hand. FL_ERR_UNSUPPORTED:
 * another node has it already. Accepts NULL.
 */
FL_CHECK fl_err fl_onnx_take(fl_onnx_import *import,
                             const fl_onnx_value *tensor);

/* The graph's node that makes x. */
const fl_node *fl_onnx_maker(const fl_onnx_import *import,
                             const fl_onnx_value *x);

/* ---- the end: onnx_finish.c ---- */

/*
 * The graph without what patterns have absorbed; sources and quants are by
 * its numbers then. FL_ERR_UNSUPPORTED: a node that nothing reads, or nothing
 * to train. FL_ERR_LIMIT, FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_onnx_keep(fl_onnx_import *import, fl_graph *kept);

/*
 * The parameters of one node, in memory's order, into the graph's `params`.
 * FL_ERR_FORMAT: a number that is not finite, a negative variance.
 * FL_ERR_UNSUPPORTED: scales of something else than output channels.
 */
FL_CHECK fl_err fl_onnx_read_params(float *params, const fl_onnx_import *import,
                                    const fl_node *node,
                                    const fl_onnx_source *source);

/* What is made of a graph that was read to its end. */
typedef fl_err fl_onnx_end(fl_onnx_import *import, void *made);

/*
 * *made, an fl_model, gets the graph and its parameters in memory's order.
 * Errors of fl_onnx_read_params and fl_onnx_keep.
 */
fl_onnx_end fl_onnx_finish;

/* Reads a file's graph and calls `end`. `quants`: as in fl_onnx_import. */
FL_CHECK fl_err fl_onnx_read(const Onnx__ModelProto *proto, fl_quant *quants,
                             fl_onnx_end *end, void *made, fl_reason *why);

/* ---- the operators, grouped by file ---- */

fl_onnx_operator fl_onnx_conv, fl_onnx_maxpool,  // onnx_windows.c
    fl_onnx_averagepool, fl_onnx_globalpool, fl_onnx_reducemean, fl_onnx_pad;
fl_onnx_operator fl_onnx_gemm, fl_onnx_matmul;           // onnx_dense.c
fl_onnx_operator fl_onnx_add, fl_onnx_sub, fl_onnx_mul,  // onnx_sums.c
    fl_onnx_div;
fl_onnx_operator fl_onnx_relu, fl_onnx_clip,  // onnx_acts.c
    fl_onnx_leaky_relu, fl_onnx_hard_swish, fl_onnx_hard_sigmoid,
    fl_onnx_sigmoid, fl_onnx_tanh;
fl_onnx_operator fl_onnx_batchnorm, fl_onnx_instancenorm,  // onnx_norms.c
    fl_onnx_reduce_l2, fl_onnx_reduce_sum, fl_onnx_sqrt, fl_onnx_max,
    fl_onnx_expand, fl_onnx_lp_norm;
fl_onnx_operator fl_onnx_concat, fl_onnx_slice,  // onnx_channels.c
    fl_onnx_split;
fl_onnx_operator fl_onnx_flatten, fl_onnx_reshape,  // onnx_shapes.c
    fl_onnx_transpose, fl_onnx_identity, fl_onnx_dropout;
fl_onnx_operator fl_onnx_constant, fl_onnx_shape,  // onnx_sizes.c
    fl_onnx_gather, fl_onnx_unsqueeze, fl_onnx_cast;

/* ---- parts of operators that several kinds of values know ---- */

/* Of Concat and Slice, on sizes. onnx_sizes.c */
fl_onnx_operator fl_onnx_concat_sizes, fl_onnx_slice_sizes;

/* left op right, on whole numbers. onnx_sizes.c */
FL_CHECK fl_err fl_onnx_compute_sizes(fl_onnx_import *import, char op);

/* True: an operand is a list of sizes, or int64. onnx_sizes.c */
bool fl_onnx_are_sizes(const fl_onnx_import *import);

/* x op a constant for each channel, or one for all. onnx_constants.c */
fl_onnx_operator fl_onnx_add_constant, fl_onnx_sub_constant,
    fl_onnx_mul_constant, fl_onnx_div_constant;

/*
 * Tries to read the node as the end of a hard swish or hard sigmoid that is
 * written out; *is_read says whether it was. onnx_acts.c
 */
FL_CHECK fl_err fl_onnx_end_hard_swish(fl_onnx_import *import, bool *is_read);
FL_CHECK fl_err fl_onnx_end_hard_sigmoid(fl_onnx_import *import, bool *is_read);

/* The steps of a group normalisation. onnx_norms.c */
FL_CHECK fl_err fl_onnx_groupnorm_rows(fl_onnx_import *import,
                                       const fl_onnx_value *x,
                                       uint32_t group_count);
fl_onnx_operator fl_onnx_groupnorm_weight, fl_onnx_groupnorm_bias;

/* x / its length. onnx_norms.c */
fl_onnx_operator fl_onnx_div_length;

#endif
