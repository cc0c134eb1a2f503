/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/onnx_put.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"

enum {
    IR_VERSION = 8,
    GRAPH_TAG = 7 << 3 | 2,  // ModelProto.graph, a message
    VARINT_MAX = 10,
};

/* ---- pieces ---- */

static size_t put(fl_onnx_out *out, const ProtobufCMessage *piece)
{
    const size_t len = out->dst
                           ? protobuf_c_message_pack(piece, out->dst + out->len)
                           : protobuf_c_message_get_packed_size(piece);
    out->len += len;
    return len;
}

char *fl_onnx_print(fl_onnx_text *dst, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(dst->text, sizeof dst->text, format, args);
    va_end(args);
    return dst->text;
}

void fl_onnx_name_value(fl_onnx_text *dst, const fl_graph *graph, uint32_t i)
{
    if (i == 0) {
        fl_onnx_print(dst, "input");
    } else if (i + 1 == graph->node_count) {
        fl_onnx_print(dst, "logits");
    } else {
        fl_onnx_print(dst, "value_%u", i);
    }
}

void fl_onnx_name_step(fl_onnx_text *dst, const fl_graph *graph, uint32_t i,
                       const char *step)
{
    fl_onnx_text value;
    fl_onnx_name_value(&value, graph, i);
    fl_onnx_print(dst, "%.32s/%s", value.text, step);
}

/* ---- initializers ---- */

/*
 * Puts a tensor of `len` bytes without filling them in; returns where they
 * are, NULL when only counted. raw_data has the highest field number, so it
 * ends the piece.
 */
static uint8_t *put_tensor(fl_onnx_out *out, const char *owner,
                           const char *role, int32_t type, const int64_t *dims,
                           size_t dim_count, const void *numbers, size_t len)
{
    fl_onnx_text name;
    int64_t own_dims[4];
    memcpy(own_dims, dims, dim_count * sizeof *dims);
    Onnx__TensorProto tensor = ONNX__TENSOR_PROTO__INIT;
    tensor.name = fl_onnx_print(&name, "%s.%s", owner, role);
    tensor.n_dims = dim_count;
    tensor.dims = own_dims;
    tensor.has_data_type = true;
    tensor.data_type = type;
    tensor.has_raw_data = true;
    tensor.raw_data.len = len;
    memcpy(&tensor.raw_data.data, &numbers, sizeof numbers);

    Onnx__TensorProto *tensors[] = {&tensor};
    Onnx__GraphProto piece = ONNX__GRAPH_PROTO__INIT;
    piece.n_initializer = 1;
    piece.initializer = tensors;
    put(out, &piece.base);
    return out->dst ? out->dst + out->len - len : NULL;
}

void fl_onnx_put_floats(fl_onnx_out *out, const char *owner, const char *role,
                        const int64_t *dims, size_t dim_count,
                        const float *numbers, const fl_onnx_layout *layout)
{
    const size_t count = fl_onnx_layout_count(layout);
    const fl_onnx_floats floats = {owner,     role,    dims,
                                   dim_count, numbers, layout};
    if (out->told) out->told(out->told_self, &floats);
    uint8_t *raw =
        put_tensor(out, owner, role, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, dims,
                   dim_count, numbers, count * sizeof *numbers);
    if (!raw) return;
    fl_onnx_walk file = {0};
    for (size_t i = 0; i < count; i++, fl_onnx_walk_on(&file, layout)) {
        memcpy(raw + file.at * sizeof *numbers, &numbers[i], sizeof *numbers);
    }
}

void fl_onnx_put_scalar(fl_onnx_out *out, const char *owner, const char *role,
                        float number)
{
    const int64_t dims[] = {0};
    put_tensor(out, owner, role, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, dims, 0,
               &number, sizeof number);
}

void fl_onnx_put_repeated(fl_onnx_out *out, const char *owner, const char *role,
                          float number, uint32_t count, const float *room)
{
    const int64_t dims[] = {count};
    uint8_t *raw =
        put_tensor(out, owner, role, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, dims,
                   1, room, count * sizeof number);
    for (size_t i = 0; raw && i < count; i++) {
        memcpy(raw + i * sizeof number, &number, sizeof number);
    }
}

void fl_onnx_put_ints(fl_onnx_out *out, const char *owner, const char *role,
                      const int64_t *numbers, size_t count)
{
    const int64_t dims[] = {(int64_t)count};
    put_tensor(out, owner, role, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, dims, 1,
               numbers, count * sizeof *numbers);
}

void fl_onnx_put_int8s(fl_onnx_out *out, const char *owner, const char *role,
                       const int64_t *dims, size_t dim_count,
                       const int8_t *numbers, const fl_onnx_layout *layout)
{
    const size_t count = fl_onnx_layout_count(layout);
    uint8_t *raw =
        put_tensor(out, owner, role, ONNX__TENSOR_PROTO__DATA_TYPE__INT8, dims,
                   dim_count, numbers, count);
    if (!raw) return;
    fl_onnx_walk file = {0};
    for (size_t i = 0; i < count; i++, fl_onnx_walk_on(&file, layout)) {
        raw[file.at] = (uint8_t)numbers[i];
    }
}

void fl_onnx_put_halves(fl_onnx_out *out, const char *owner, const char *role,
                        const int64_t *dims, size_t dim_count,
                        const float *numbers, const fl_onnx_layout *layout)
{
    const size_t count = fl_onnx_layout_count(layout);
    uint8_t *raw =
        put_tensor(out, owner, role, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16,
                   dims, dim_count, numbers, count * sizeof(uint16_t));
    if (!raw) return;
    fl_onnx_walk file = {0};
    for (size_t i = 0; i < count; i++, fl_onnx_walk_on(&file, layout)) {
        const uint16_t half = fl_half_encode(numbers[i]);
        memcpy(raw + file.at * sizeof half, &half, sizeof half);
    }
}

void fl_onnx_put_rounded(fl_onnx_out *out, const char *owner, const char *role,
                         const int64_t *dims, size_t dim_count,
                         const fl_onnx_rows *rows, const fl_onnx_layout *layout)
{
    const size_t depth = layout->pixels * layout->channels;
    uint8_t *raw =
        put_tensor(out, owner, role, ONNX__TENSOR_PROTO__DATA_TYPE__INT8, dims,
                   dim_count, rows->numbers, layout->outputs * depth);
    if (!raw) return;
    fl_onnx_walk file = {0};
    for (size_t o = 0; o < layout->outputs; o++) {
        const float *row = rows->numbers + o * depth;
        const double scale = (double)rows->scale(row, depth);
        for (size_t k = 0; k < depth; k++, fl_onnx_walk_on(&file, layout)) {
            raw[file.at] = (uint8_t)(int8_t)nearbyint((double)row[k] / scale);
        }
    }
}

void fl_onnx_put_row_scales(fl_onnx_out *out, const char *owner,
                            const char *role, const fl_onnx_rows *rows,
                            const fl_onnx_layout *layout)
{
    const int64_t dims[] = {(int64_t)layout->outputs};
    const size_t depth = layout->pixels * layout->channels;
    uint8_t *raw =
        put_tensor(out, owner, role, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, dims,
                   1, rows->numbers, layout->outputs * sizeof(float));
    for (size_t o = 0; raw && o < layout->outputs; o++) {
        const float scale = rows->scale(rows->numbers + o * depth, depth);
        memcpy(raw + o * sizeof scale, &scale, sizeof scale);
    }
}

void fl_onnx_put_int32s(fl_onnx_out *out, const char *owner, const char *role,
                        const int32_t *numbers, size_t count)
{
    const int64_t dims[] = {(int64_t)count};
    put_tensor(out, owner, role, ONNX__TENSOR_PROTO__DATA_TYPE__INT32, dims, 1,
               numbers, count * sizeof *numbers);
}

void fl_onnx_put_zeros(fl_onnx_out *out, const char *owner, const char *role,
                       bool is_int32, size_t count, const void *room)
{
    const int64_t dims[] = {(int64_t)count};
    const size_t width = is_int32 ? sizeof(int32_t) : sizeof(int8_t);
    uint8_t *raw = put_tensor(out, owner, role,
                              is_int32 ? ONNX__TENSOR_PROTO__DATA_TYPE__INT32
                                       : ONNX__TENSOR_PROTO__DATA_TYPE__INT8,
                              dims, 1, room, count * width);
    if (raw) memset(raw, 0, count * width);
}

void fl_onnx_put_byte(fl_onnx_out *out, const char *owner, const char *role,
                      bool is_signed, int number)
{
    const int64_t dims[] = {0};
    const uint8_t byte = (uint8_t)number;
    put_tensor(out, owner, role,
               is_signed ? ONNX__TENSOR_PROTO__DATA_TYPE__INT8
                         : ONNX__TENSOR_PROTO__DATA_TYPE__UINT8,
               dims, 0, &byte, 1);
}

static void put_floats_of(fl_onnx_out *out, const char *owner, const char *role,
                          const fl_onnx_scaled *scaled, bool are_scales)
{
    const int64_t dims[] = {(int64_t)scaled->count};
    uint8_t *raw =
        put_tensor(out, owner, role, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, dims,
                   1, scaled->numbers, scaled->count * sizeof(float));
    for (size_t i = 0; raw && i < scaled->count; i++) {
        float value = scaled->factor * scaled->scales[i];
        if (!are_scales) value = (float)scaled->numbers[i] * value;
        memcpy(raw + i * sizeof value, &value, sizeof value);
    }
}

void fl_onnx_put_scaled(fl_onnx_out *out, const char *owner, const char *role,
                        const fl_onnx_scaled *scaled)
{
    put_floats_of(out, owner, role, scaled, true);
}

void fl_onnx_put_dequantized(fl_onnx_out *out, const char *owner,
                             const char *role, const fl_onnx_scaled *scaled)
{
    put_floats_of(out, owner, role, scaled, false);
}

/* ---- nodes ---- */

void fl_onnx_begin(fl_onnx_piece *piece, const char *op_type, const char *name)
{
    onnx__node_proto__init(&piece->proto);
    piece->proto.op_type = fl_onnx_print(&piece->op_type, "%s", op_type);
    piece->proto.name = fl_onnx_print(&piece->name, "%s", name);
    piece->proto.input = piece->inputs;
    piece->proto.attribute = piece->attribute_list;
}

static fl_onnx_text *next_input(fl_onnx_piece *piece)
{
    const size_t i = piece->proto.n_input++;
    assert(i < FL_NODE_INPUTS_MAX);
    piece->inputs[i] = piece->input_text[i].text;
    return &piece->input_text[i];
}

void fl_onnx_add_input(fl_onnx_piece *piece, const fl_onnx_text *value)
{
    *next_input(piece) = *value;
}

void fl_onnx_add_tensor(fl_onnx_piece *piece, const char *owner,
                        const char *role)
{
    fl_onnx_print(next_input(piece), "%s.%s", owner, role);
}

void fl_onnx_set_output(fl_onnx_piece *piece, const fl_onnx_text *value)
{
    piece->output_text = *value;
    piece->output = piece->output_text.text;
    piece->proto.output = &piece->output;
    piece->proto.n_output = 1;
}

static Onnx__AttributeProto *add_attribute(fl_onnx_piece *piece,
                                           const char *name)
{
    const size_t i = piece->proto.n_attribute++;
    assert(i < FL_ONNX_PIECE_ATTRIBUTES_MAX);
    Onnx__AttributeProto *attribute = &piece->attributes[i];
    onnx__attribute_proto__init(attribute);
    attribute->name = fl_onnx_print(&piece->attribute_name[i], "%s", name);
    attribute->has_type = true;
    piece->attribute_list[i] = attribute;
    return attribute;
}

void fl_onnx_add_int(fl_onnx_piece *piece, const char *name, int64_t value)
{
    Onnx__AttributeProto *attribute = add_attribute(piece, name);
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    attribute->has_i = true;
    attribute->i = value;
}

void fl_onnx_add_float(fl_onnx_piece *piece, const char *name, float value)
{
    Onnx__AttributeProto *attribute = add_attribute(piece, name);
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
    attribute->has_f = true;
    attribute->f = value;
}

void fl_onnx_add_ints(fl_onnx_piece *piece, const char *name,
                      const uint32_t *values, size_t count)
{
    assert(count <= FL_ONNX_PIECE_INTS_MAX);
    int64_t *ints = piece->ints[piece->proto.n_attribute];
    for (size_t i = 0; i < count; i++) {
        ints[i] = values[i];
    }
    Onnx__AttributeProto *attribute = add_attribute(piece, name);
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
    attribute->n_ints = count;
    attribute->ints = ints;
}

void fl_onnx_put_node(fl_onnx_out *out, const fl_onnx_piece *piece)
{
    Onnx__NodeProto node = piece->proto;
    Onnx__NodeProto *nodes[] = {&node};
    Onnx__GraphProto whole = ONNX__GRAPH_PROTO__INIT;
    whole.n_node = 1;
    whole.node = nodes;
    put(out, &whole.base);
}

/* ---- the rest ---- */

// A value's name and shape; the batch stays open, as "N".
typedef struct {
    Onnx__ValueInfoProto proto;
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TensorShapeProto shape;
    Onnx__TensorShapeProto__Dimension dims[4];
    Onnx__TensorShapeProto__Dimension *dim_list[4];
    fl_onnx_text name, batch;
} value_piece;

static void init_value(value_piece *piece, const fl_graph *graph,
                       const fl_onnx_forms *forms, uint32_t i)
{
    const fl_shape s = graph->nodes[i].shape;
    const uint32_t sizes[4] = {0, s.channels, s.height, s.width};
    onnx__value_info_proto__init(&piece->proto);
    onnx__type_proto__init(&piece->type);
    onnx__type_proto__tensor__init(&piece->tensor);
    onnx__tensor_shape_proto__init(&piece->shape);
    fl_onnx_name_value(&piece->name, graph, i);
    piece->proto.name = piece->name.text;
    piece->proto.type = &piece->type;
    piece->type.tensor_type = &piece->tensor;
    piece->tensor.has_elem_type = true;
    piece->tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    piece->tensor.shape = &piece->shape;
    piece->shape.n_dim = forms->at[i].is_flat ? 2 : 4;
    piece->shape.dim = piece->dim_list;
    for (size_t k = 0; k < 4; k++) {
        onnx__tensor_shape_proto__dimension__init(&piece->dims[k]);
        piece->dims[k].has_dim_value = k > 0;
        piece->dims[k].dim_value = sizes[k];
        piece->dim_list[k] = &piece->dims[k];
    }
    piece->dims[0].dim_param = fl_onnx_print(&piece->batch, "N");
}

void fl_onnx_put_face(fl_onnx_out *out, const fl_graph *graph,
                      const fl_onnx_forms *forms)
{
    value_piece input, output;
    fl_onnx_text name;
    init_value(&input, graph, forms, 0);
    init_value(&output, graph, forms, graph->node_count - 1);
    Onnx__ValueInfoProto *inputs[] = {&input.proto};
    Onnx__ValueInfoProto *outputs[] = {&output.proto};
    Onnx__GraphProto piece = ONNX__GRAPH_PROTO__INIT;
    piece.name = fl_onnx_print(&name, "fedge");
    piece.n_input = 1;
    piece.input = inputs;
    piece.n_output = 1;
    piece.output = outputs;
    put(out, &piece.base);
}

void fl_onnx_put_header(fl_onnx_out *out, int64_t opset_version)
{
    char producer[] = "fedge", version[] = FL_VERSION, domain[] = "";
    char input_key[] = "input", format_key[] = "format", format[] = "fedge 1";
    char input[] = "values in the dataset's units; 8-bit pixels divided by 255";
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    Onnx__OperatorSetIdProto *opsets[] = {&opset};
    opset.domain = domain;
    opset.has_version = true;
    opset.version = opset_version;
    Onnx__StringStringEntryProto about[2] = {
        ONNX__STRING_STRING_ENTRY_PROTO__INIT,
        ONNX__STRING_STRING_ENTRY_PROTO__INIT,
    };
    Onnx__StringStringEntryProto *entries[] = {&about[0], &about[1]};
    about[0].key = input_key;
    about[0].value = input;
    about[1].key = format_key;
    about[1].value = format;

    Onnx__ModelProto piece = ONNX__MODEL_PROTO__INIT;
    piece.has_ir_version = true;
    piece.ir_version = IR_VERSION;
    piece.producer_name = producer;
    piece.producer_version = version;
    piece.n_opset_import = 1;
    piece.opset_import = opsets;
    piece.n_metadata_props = 2;
    piece.metadata_props = entries;
    put(out, &piece.base);
}

void fl_onnx_put_graph_tag(fl_onnx_out *out, size_t graph_len)
{
    uint8_t bytes[1 + VARINT_MAX] = {GRAPH_TAG};
    size_t len = 1;
    for (; graph_len >= 0x80; graph_len >>= 7) {
        bytes[len++] = (uint8_t)(graph_len | 0x80);
    }
    bytes[len++] = (uint8_t)graph_len;
    if (out->dst) memcpy(out->dst + out->len, bytes, len);
    out->len += len;
}
