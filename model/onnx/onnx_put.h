/*
 * Writing ONNX in small pieces.
 *
 * Protobuf allows a message to arrive in pieces that are merged. So a file is
 * written as a row of them, each built on the stack and packed by protobuf-c:
 * one a node, one an initializer, one for the rest. Nothing is allocated, and
 * a first walk without destination gives the exact length.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_ONNX_ONNX_PUT_H
#define FL_MODEL_ONNX_ONNX_PUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/graph.h"
#include "model/onnx/onnx.pb-c.h"
#include "model/onnx/onnx_layout.h"

enum {
    FL_ONNX_TEXT_CAP = FL_NODE_NAME_CAP + 24,
    FL_ONNX_PIECE_ATTRIBUTES_MAX = 6,
    FL_ONNX_PIECE_INTS_MAX = 5,
};

/* A tensor OWNER.ROLE of floats. */
typedef struct {
    const char *owner, *role;
    const int64_t *dims;
    size_t dim_count;
    const float *numbers;  // in memory's order
    const fl_onnx_layout *layout;
} fl_onnx_floats;

/* Where pieces go: behind `len` bytes. dst NULL: they are only counted. */
typedef struct {
    uint8_t *dst;
    size_t len;
    // Told of what fl_onnx_put_floats puts; NULL: nobody is.
    void (*told)(void *self, const fl_onnx_floats *floats);
    void *told_self;
} fl_onnx_out;

/* protobuf-c's strings are not const; these buffers are what it points to. */
typedef struct {
    char text[FL_ONNX_TEXT_CAP];
} fl_onnx_text;

/* Returns dst->text. */
char *fl_onnx_print(fl_onnx_text *dst, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- initializers: "OWNER.ROLE" ---- */

/* Numbers in memory's order are put into the file's. */
void fl_onnx_put_floats(fl_onnx_out *out, const char *owner, const char *role,
                        const int64_t *dims, size_t dim_count,
                        const float *numbers, const fl_onnx_layout *layout);

/* One number without dimensions. */
void fl_onnx_put_scalar(fl_onnx_out *out, const char *owner, const char *role,
                        float number);

/* A list of `count` times the same number; `room` is any memory so large. */
void fl_onnx_put_repeated(fl_onnx_out *out, const char *owner, const char *role,
                          float number, uint32_t count, const float *room);

/* A list of int64. */
void fl_onnx_put_ints(fl_onnx_out *out, const char *owner, const char *role,
                      const int64_t *numbers, size_t count);

/* The same of int8. */
void fl_onnx_put_int8s(fl_onnx_out *out, const char *owner, const char *role,
                       const int64_t *dims, size_t dim_count,
                       const int8_t *numbers, const fl_onnx_layout *layout);

/* Numbers in memory's order, each rounded to the nearest half. */
void fl_onnx_put_halves(fl_onnx_out *out, const char *owner, const char *role,
                        const int64_t *dims, size_t dim_count,
                        const float *numbers, const fl_onnx_layout *layout);

/* Floats (outputs, depth), and the scale of a row: no number is beyond 127. */
typedef struct {
    const float *numbers;
    float (*scale)(const float *row, size_t depth);
} fl_onnx_rows;

/* int8 of them, number / scale to the nearest; and a list of the scales. */
void fl_onnx_put_rounded(fl_onnx_out *out, const char *owner, const char *role,
                         const int64_t *dims, size_t dim_count,
                         const fl_onnx_rows *rows,
                         const fl_onnx_layout *layout);
void fl_onnx_put_row_scales(fl_onnx_out *out, const char *owner,
                            const char *role, const fl_onnx_rows *rows,
                            const fl_onnx_layout *layout);

/* Lists of int32, and of zeros; `room` is any memory so large. */
void fl_onnx_put_int32s(fl_onnx_out *out, const char *owner, const char *role,
                        const int32_t *numbers, size_t count);
void fl_onnx_put_zeros(fl_onnx_out *out, const char *owner, const char *role,
                       bool is_int32, size_t count, const void *room);

/* One int8 or uint8 without dimensions. */
void fl_onnx_put_byte(fl_onnx_out *out, const char *owner, const char *role,
                      bool is_signed, int number);

/* Integers that stand for numbers[i] * (factor * scales[i]). */
typedef struct {
    const int32_t *numbers;
    const float *scales;
    float factor;
    size_t count;
} fl_onnx_scaled;

/* Lists of floats: the scales factor * scales[i]; what the integers mean. */
void fl_onnx_put_scaled(fl_onnx_out *out, const char *owner, const char *role,
                        const fl_onnx_scaled *scaled);
void fl_onnx_put_dequantized(fl_onnx_out *out, const char *owner,
                             const char *role, const fl_onnx_scaled *scaled);

/* ---- nodes ---- */

/* A node and all that it points to. It must not move once it is begun. */
typedef struct {
    Onnx__NodeProto proto;
    fl_onnx_text op_type, name, output_text;
    fl_onnx_text input_text[FL_NODE_INPUTS_MAX];
    char *inputs[FL_NODE_INPUTS_MAX], *output;
    Onnx__AttributeProto attributes[FL_ONNX_PIECE_ATTRIBUTES_MAX];
    Onnx__AttributeProto *attribute_list[FL_ONNX_PIECE_ATTRIBUTES_MAX];
    fl_onnx_text attribute_name[FL_ONNX_PIECE_ATTRIBUTES_MAX];
    int64_t ints[FL_ONNX_PIECE_ATTRIBUTES_MAX][FL_ONNX_PIECE_INTS_MAX];
} fl_onnx_piece;

/* A node without inputs, outputs, attributes; `name` may be "". */
void fl_onnx_begin(fl_onnx_piece *piece, const char *op_type, const char *name);

/* The next input, the output. */
void fl_onnx_add_input(fl_onnx_piece *piece, const fl_onnx_text *value);
void fl_onnx_set_output(fl_onnx_piece *piece, const fl_onnx_text *value);

/* The next input is the initializer "OWNER.ROLE". */
void fl_onnx_add_tensor(fl_onnx_piece *piece, const char *owner,
                        const char *role);

void fl_onnx_add_int(fl_onnx_piece *piece, const char *name, int64_t value);
void fl_onnx_add_float(fl_onnx_piece *piece, const char *name, float value);
void fl_onnx_add_ints(fl_onnx_piece *piece, const char *name,
                      const uint32_t *values, size_t count);

void fl_onnx_put_node(fl_onnx_out *out, const fl_onnx_piece *piece);

/* ---- the rest ---- */

/* Input and output, with "N" for the batch. */
void fl_onnx_put_face(fl_onnx_out *out, const fl_graph *graph,
                      const fl_onnx_forms *forms);

/* All that is not the graph. */
void fl_onnx_put_header(fl_onnx_out *out, int64_t opset);

/* What comes in front of a graph of so many bytes. */
void fl_onnx_put_graph_tag(fl_onnx_out *out, size_t graph_len);

/* The name of value i of the graph: "input", "value_7", "logits". */
void fl_onnx_name_value(fl_onnx_text *dst, const fl_graph *graph, uint32_t i);

/* A value on the way to it: "value_7/STEP". */
void fl_onnx_name_step(fl_onnx_text *dst, const fl_graph *graph, uint32_t i,
                       const char *step);

#endif
