/*
 * fl_model_encode: IR 8, opset 13.
 *
 * Protobuf allows a message to arrive in pieces that are merged. So the file
 * is written as a row of small pieces, each built on the stack and packed by
 * protobuf-c: one a node, one an initializer, one for the rest. Nothing is
 * allocated, and a first walk without destination gives the exact length.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/graph.h"
#include "model/model.h"
#include "model/onnx/onnx.pb-c.h"
#include "model/onnx/onnx_layout.h"

enum {
    IR_VERSION = 8,
    OPSET_VERSION = 13,
    TEXT_CAP = FL_NODE_NAME_CAP + 16,
    ATTRIBUTES_MAX = 3,
    GRAPH_TAG = 7 << 3 | 2,  // ModelProto.graph, a message
    VARINT_MAX = 10,
};

/* ---- pieces ---- */

// Packs a piece at dst, or only measures it when dst is NULL.
static size_t put(uint8_t *dst, const ProtobufCMessage *piece)
{
    return dst ? protobuf_c_message_pack(piece, dst)
               : protobuf_c_message_get_packed_size(piece);
}

static uint8_t *after(uint8_t *dst, size_t len)
{
    return dst ? dst + len : NULL;
}

// protobuf-c's strings are not const; these buffers are what it points to.
typedef struct {
    char text[TEXT_CAP];
} text;

__attribute__((format(printf, 2, 3))) static char *
print(text *dst, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(dst->text, sizeof dst->text, format, args);
    va_end(args);
    return dst->text;
}

/* ---- initializers ---- */

static size_t put_tensor(uint8_t *dst, const char *owner, const char *role,
                         int64_t *dims, size_t dim_count, float *numbers,
                         const fl_onnx_layout *layout)
{
    text name;
    const size_t count = fl_onnx_layout_count(layout);
    Onnx__TensorProto tensor = ONNX__TENSOR_PROTO__INIT;
    tensor.name = print(&name, "%s.%s", owner, role);
    tensor.n_dims = dim_count;
    tensor.dims = dims;
    tensor.has_data_type = true;
    tensor.data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor.has_raw_data = true;
    tensor.raw_data.data = (uint8_t *)numbers;
    tensor.raw_data.len = count * sizeof *numbers;

    Onnx__TensorProto *tensors[] = {&tensor};
    Onnx__GraphProto piece = ONNX__GRAPH_PROTO__INIT;
    piece.n_initializer = 1;
    piece.initializer = tensors;
    const size_t len = put(dst, &piece.base);
    if (!dst) return len;

    // raw_data has the highest field number, so it ends the piece; now it is
    // put into the file's order.
    uint8_t *raw = dst + len - tensor.raw_data.len;
    fl_onnx_walk file = {0};
    for (size_t i = 0; i < count; i++, fl_onnx_walk_on(&file, layout)) {
        memcpy(raw + file.at * sizeof *numbers, &numbers[i], sizeof *numbers);
    }
    return len;
}

static size_t put_weight(uint8_t *dst, const fl_model *model,
                         const fl_node *node)
{
    float *numbers = model->params + node->weight_at;
    const uint32_t x = node->inputs[0];
    if (node->op == FL_OP_CONV) {
        const fl_window *w = &node->window;
        const uint32_t channels = model->graph.nodes[x].shape.channels;
        int64_t dims[] = {node->out_count, channels, w->kernel_h, w->kernel_w};
        const fl_onnx_layout layout = fl_onnx_layout_ocp(
            node->out_count, (size_t)w->kernel_h * w->kernel_w, channels);
        return put_tensor(dst, node->name, "weight", dims, 4, numbers, &layout);
    }
    const fl_shape picture = fl_onnx_layout_picture(&model->graph, x);
    int64_t dims[] = {node->out_count, (int64_t)fl_shape_size(picture)};
    const fl_onnx_layout layout = fl_onnx_layout_ocp(
        node->out_count, (size_t)picture.height * picture.width,
        picture.channels);
    return put_tensor(dst, node->name, "weight", dims, 2, numbers, &layout);
}

static size_t put_bias(uint8_t *dst, const fl_model *model, const fl_node *node)
{
    if (node->bias_count == 0) return 0;
    int64_t dims[] = {(int64_t)node->bias_count};
    const fl_onnx_layout layout = fl_onnx_layout_ocp(1, 1, node->bias_count);
    return put_tensor(dst, node->name, "bias", dims, 1,
                      model->params + node->bias_at, &layout);
}

// (1, C, 1, 1) for pictures, (1, F) for rows.
static size_t put_constant(uint8_t *dst, const fl_model *model, uint32_t i)
{
    const fl_node *node = &model->graph.nodes[i];
    const bool is_flat = fl_onnx_layout_is_flat(&model->graph, i);
    fl_shape picture = {1, 1, node->shape.channels};
    if (is_flat) picture = fl_onnx_layout_picture(&model->graph, i);
    int64_t dims[] = {1, node->shape.channels, 1, 1};
    const fl_onnx_layout layout = fl_onnx_layout_ocp(
        1, (size_t)picture.height * picture.width, picture.channels);
    return put_tensor(dst, node->name, "constant", dims, is_flat ? 2 : 4,
                      model->graph.constants + node->constant_at, &layout);
}

static size_t put_initializers(uint8_t *dst, const fl_model *model, uint32_t i)
{
    const fl_node *node = &model->graph.nodes[i];
    if (node->op == FL_OP_SUB || node->op == FL_OP_DIV) {
        return put_constant(dst, model, i);
    }
    if (node->op != FL_OP_CONV && node->op != FL_OP_DENSE) return 0;
    const size_t len = put_weight(dst, model, node);
    return len + put_bias(after(dst, len), model, node);
}

/* ---- nodes ---- */

// A node and all that it points to.
typedef struct {
    Onnx__NodeProto proto;
    text op_type, name, input_text[3], output_text;
    char *inputs[3], *output;
    Onnx__AttributeProto attributes[ATTRIBUTES_MAX];
    Onnx__AttributeProto *attribute_list[ATTRIBUTES_MAX];
    text attribute_name[ATTRIBUTES_MAX];
    int64_t ints[ATTRIBUTES_MAX][4];
} node_piece;

static char *print_value_name(text *dst, const fl_graph *graph, uint32_t i)
{
    if (i == 0) return print(dst, "input");
    if (i + 1 == graph->node_count) return print(dst, "logits");
    return print(dst, "value_%u", i);
}

static void add_input(node_piece *piece, const char *owner, const char *role)
{
    const size_t i = piece->proto.n_input++;
    piece->inputs[i] = print(&piece->input_text[i], "%s.%s", owner, role);
}

static Onnx__AttributeProto *add_attribute(node_piece *piece, const char *name)
{
    const size_t i = piece->proto.n_attribute++;
    Onnx__AttributeProto *attribute = &piece->attributes[i];
    onnx__attribute_proto__init(attribute);
    attribute->name = print(&piece->attribute_name[i], "%s", name);
    attribute->has_type = true;
    piece->attribute_list[i] = attribute;
    return attribute;
}

static void add_int(node_piece *piece, const char *name, int64_t value)
{
    Onnx__AttributeProto *attribute = add_attribute(piece, name);
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    attribute->has_i = true;
    attribute->i = value;
}

static void add_ints(node_piece *piece, const char *name, size_t count,
                     const uint32_t values[4])
{
    int64_t *ints = piece->ints[piece->proto.n_attribute];
    for (size_t i = 0; i < count; i++) {
        ints[i] = values[i];
    }
    Onnx__AttributeProto *attribute = add_attribute(piece, name);
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
    attribute->n_ints = count;
    attribute->ints = ints;
}

static void add_window(node_piece *piece, const fl_window *w)
{
    add_ints(piece, "kernel_shape", 2, (uint32_t[4]){w->kernel_h, w->kernel_w});
    add_ints(
        piece, "pads", 4,
        (uint32_t[4]){w->pad_top, w->pad_left, w->pad_bottom, w->pad_right});
    add_ints(piece, "strides", 2, (uint32_t[4]){w->stride_h, w->stride_w});
}

static void add_operator_details(node_piece *piece, const fl_node *node)
{
    switch (node->op) {
    case FL_OP_SUB:
    case FL_OP_DIV: add_input(piece, node->name, "constant"); break;
    case FL_OP_CONV:
    case FL_OP_DENSE:
        add_input(piece, node->name, "weight");
        if (node->bias_count) add_input(piece, node->name, "bias");
        if (node->op == FL_OP_DENSE) {
            add_int(piece, "transB", 1);
        } else {
            add_window(piece, &node->window);
        }
        break;
    case FL_OP_MAXPOOL: add_window(piece, &node->window); break;
    case FL_OP_FLATTEN: add_int(piece, "axis", 1); break;
    case FL_OP_INPUT:
    case FL_OP_RELU:
    case FL_OP_BATCHNORM:
    case FL_OP_GROUPNORM:
    case FL_OP_RELU6:
    case FL_OP_LEAKY_RELU:
    case FL_OP_HARD_SWISH:
    case FL_OP_HARD_SIGMOID:
    case FL_OP_SIGMOID:
    case FL_OP_TANH:
    case FL_OP_ADD:
    case FL_OP_MUL:
    case FL_OP_AVGPOOL:
    case FL_OP_GLOBALPOOL:
    case FL_OP_CONCAT:
    case FL_OP_SLICE:
    case FL_OP_SHUFFLE:
    case FL_OP_DROPOUT:
    case FL_OP_L2NORM:
    case FL_OP_COUNT: break;
    }
}

static size_t put_node(uint8_t *dst, const fl_graph *graph, uint32_t i)
{
    const fl_node *node = &graph->nodes[i];
    node_piece piece;
    onnx__node_proto__init(&piece.proto);
    piece.proto.name = print(&piece.name, "%s", node->name);
    piece.proto.op_type = print(&piece.op_type, "%s", fl_op_name(node->op));
    piece.proto.input = piece.inputs;
    piece.proto.n_input = 1;
    piece.inputs[0] =
        print_value_name(&piece.input_text[0], graph, node->inputs[0]);
    piece.proto.output = &piece.output;
    piece.proto.n_output = 1;
    piece.output = print_value_name(&piece.output_text, graph, i);
    piece.proto.attribute = piece.attribute_list;
    add_operator_details(&piece, node);

    Onnx__NodeProto *nodes[] = {&piece.proto};
    Onnx__GraphProto whole = ONNX__GRAPH_PROTO__INIT;
    whole.n_node = 1;
    whole.node = nodes;
    return put(dst, &whole.base);
}

/* ---- the graph's face ---- */

// A value's name and shape; the batch stays open, as "N".
typedef struct {
    Onnx__ValueInfoProto proto;
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TensorShapeProto shape;
    Onnx__TensorShapeProto__Dimension dims[4];
    Onnx__TensorShapeProto__Dimension *dim_list[4];
    text name, batch;
} value_piece;

static void init_value(value_piece *piece, const fl_graph *graph, uint32_t i)
{
    const fl_shape s = graph->nodes[i].shape;
    const uint32_t sizes[4] = {0, s.channels, s.height, s.width};
    onnx__value_info_proto__init(&piece->proto);
    onnx__type_proto__init(&piece->type);
    onnx__type_proto__tensor__init(&piece->tensor);
    onnx__tensor_shape_proto__init(&piece->shape);
    piece->proto.name = print_value_name(&piece->name, graph, i);
    piece->proto.type = &piece->type;
    piece->type.tensor_type = &piece->tensor;
    piece->tensor.has_elem_type = true;
    piece->tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    piece->tensor.shape = &piece->shape;
    piece->shape.n_dim = fl_onnx_layout_is_flat(graph, i) ? 2 : 4;
    piece->shape.dim = piece->dim_list;
    for (size_t k = 0; k < 4; k++) {
        onnx__tensor_shape_proto__dimension__init(&piece->dims[k]);
        piece->dims[k].has_dim_value = k > 0;
        piece->dims[k].dim_value = sizes[k];
        piece->dim_list[k] = &piece->dims[k];
    }
    piece->dims[0].dim_param = print(&piece->batch, "N");
}

static size_t put_face(uint8_t *dst, const fl_graph *graph)
{
    value_piece input, output;
    text name;
    init_value(&input, graph, 0);
    init_value(&output, graph, graph->node_count - 1);
    Onnx__ValueInfoProto *inputs[] = {&input.proto};
    Onnx__ValueInfoProto *outputs[] = {&output.proto};
    Onnx__GraphProto piece = ONNX__GRAPH_PROTO__INIT;
    piece.name = print(&name, "fedge");
    piece.n_input = 1;
    piece.input = inputs;
    piece.n_output = 1;
    piece.output = outputs;
    return put(dst, &piece.base);
}

static size_t put_graph(uint8_t *dst, const fl_model *model)
{
    const fl_graph *graph = &model->graph;
    size_t len = 0;
    for (uint32_t i = 1; i < graph->node_count; i++) {
        len += put_node(after(dst, len), graph, i);
    }
    for (uint32_t i = 1; i < graph->node_count; i++) {
        len += put_initializers(after(dst, len), model, i);
    }
    return len + put_face(after(dst, len), graph);
}

/* ---- the file ---- */

static size_t put_header(uint8_t *dst)
{
    char producer[] = "fedge", version[] = FL_VERSION, domain[] = "";
    char input_key[] = "input", format_key[] = "format", format[] = "fedge 1";
    char input[] = "values in the dataset's units; 8-bit pixels divided by 255";
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    Onnx__OperatorSetIdProto *opsets[] = {&opset};
    opset.domain = domain;
    opset.has_version = true;
    opset.version = OPSET_VERSION;
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
    return put(dst, &piece.base);
}

// The tag and the length in front of the graph.
static size_t put_graph_tag(uint8_t *dst, size_t graph_len)
{
    uint8_t bytes[1 + VARINT_MAX] = {GRAPH_TAG};
    size_t len = 1;
    for (; graph_len >= 0x80; graph_len >>= 7) {
        bytes[len++] = (uint8_t)(graph_len | 0x80);
    }
    bytes[len++] = (uint8_t)graph_len;
    if (dst) memcpy(dst, bytes, len);
    return len;
}

static size_t put_model(uint8_t *dst, const fl_model *model)
{
    size_t len = put_header(dst);
    len += put_graph_tag(after(dst, len), put_graph(NULL, model));
    return len + put_graph(after(dst, len), model);
}

size_t fl_model_bytes(const fl_model *model)
{
    return put_model(NULL, model);
}

fl_err fl_model_encode(const fl_model *model, uint8_t *dst, size_t dst_cap)
{
    if (dst_cap < fl_model_bytes(model)) return FL_ERR_SPACE;
    put_model(dst, model);
    return FL_OK;
}
