/* fl_model_decode: the file's inputs, its nodes one by one, its output.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "model/onnx/onnx_file.h"
#include "model/onnx/onnx_import.h"
#include "model/onnx/onnx_qdq.h"
#include "model/onnx/onnx_tensor.h"

enum { ATTRIBUTES_MAX = 8 };

static const struct {
    const char *op_type;
    fl_onnx_operator *read;
    size_t inputs_min, inputs_max;
    const char *attributes[ATTRIBUTES_MAX];
} OPERATORS[] = {
    {"Conv",
     fl_onnx_conv,
     2,
     3,
     {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"}},
    {"MaxPool",
     fl_onnx_maxpool,
     1,
     1,
     {"auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads",
      "storage_order", "strides"}},
    {"AveragePool",
     fl_onnx_averagepool,
     1,
     1,
     {"auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads",
      "strides"}},
    {"GlobalAveragePool", fl_onnx_globalpool, 1, 1, {NULL}},
    {"ReduceMean", fl_onnx_reducemean, 1, 1, {"axes", "keepdims"}},
    {"Pad", fl_onnx_pad, 2, 3, {"mode"}},
    {"Gemm", fl_onnx_gemm, 2, 3, {"alpha", "beta", "transA", "transB"}},
    {"MatMul", fl_onnx_matmul, 2, 2, {NULL}},
    {"BatchNormalization",
     fl_onnx_batchnorm,
     5,
     5,
     {"epsilon", "momentum", "training_mode"}},
    {"InstanceNormalization", fl_onnx_instancenorm, 3, 3, {"epsilon"}},
    {"ReduceL2", fl_onnx_reduce_l2, 1, 1, {"axes", "keepdims"}},
    {"ReduceSum",
     fl_onnx_reduce_sum,
     1,
     2,
     {"axes", "keepdims", "noop_with_empty_axes"}},
    {"Sqrt", fl_onnx_sqrt, 1, 1, {NULL}},
    {"Max", fl_onnx_max, 2, 2, {NULL}},
    {"Expand", fl_onnx_expand, 2, 2, {NULL}},
    {"LpNormalization", fl_onnx_lp_norm, 1, 1, {"axis", "p"}},
    {"Add", fl_onnx_add, 2, 2, {NULL}},
    {"Sub", fl_onnx_sub, 2, 2, {NULL}},
    {"Mul", fl_onnx_mul, 2, 2, {NULL}},
    {"Div", fl_onnx_div, 2, 2, {NULL}},
    {"Relu", fl_onnx_relu, 1, 1, {NULL}},
    {"Clip", fl_onnx_clip, 1, 3, {"max", "min"}},
    {"LeakyRelu", fl_onnx_leaky_relu, 1, 1, {"alpha"}},
    {"HardSwish", fl_onnx_hard_swish, 1, 1, {NULL}},
    {"HardSigmoid", fl_onnx_hard_sigmoid, 1, 1, {"alpha", "beta"}},
    {"Sigmoid", fl_onnx_sigmoid, 1, 1, {NULL}},
    {"Tanh", fl_onnx_tanh, 1, 1, {NULL}},
    {"Concat", fl_onnx_concat, 1, FL_ONNX_PORTS_MAX, {"axis"}},
    {"Slice", fl_onnx_slice, 3, 5, {NULL}},
    {"Split", fl_onnx_split, 1, 2, {"axis", "split"}},
    {"QuantizeLinear", fl_onnx_quantize, 2, 3, {"axis"}},
    {"DequantizeLinear", fl_onnx_dequantize, 2, 3, {"axis"}},
    {"Flatten", fl_onnx_flatten, 1, 1, {"axis"}},
    {"Reshape", fl_onnx_reshape, 2, 2, {"allowzero"}},
    {"Transpose", fl_onnx_transpose, 1, 1, {"perm"}},
    {"Identity", fl_onnx_identity, 1, 1, {NULL}},
    {"Dropout", fl_onnx_dropout, 1, 3, {"ratio", "seed"}},
    {"Constant", fl_onnx_constant, 0, 0, {"value", "value_int", "value_ints"}},
    {"Shape", fl_onnx_shape, 1, 1, {NULL}},
    {"Gather", fl_onnx_gather, 2, 2, {"axis"}},
    {"Unsqueeze", fl_onnx_unsqueeze, 1, 2, {"axes"}},
    {"Cast", fl_onnx_cast, 1, 1, {"to"}},
};

enum { OPERATOR_COUNT = sizeof OPERATORS / sizeof OPERATORS[0] };

/* ---- inputs and initializers ---- */

static fl_err add_initializers(fl_onnx_import *import)
{
    for (size_t i = 0; i < import->file->n_initializer; i++) {
        const Onnx__TensorProto *tensor = import->file->initializer[i];
        const char *name = tensor->name ? tensor->name : "";
        FL_TRY(fl_onnx_tensor_check(tensor, name, import->why));
        FL_TRY(fl_onnx_value_add(import, name, fl_onnx_tensor_value(tensor)));
    }
    return FL_OK;
}

// Older exporters list the initializers among the inputs.
static const Onnx__ValueInfoProto *find_input(const fl_onnx_import *import,
                                              size_t *count)
{
    const Onnx__ValueInfoProto *input = NULL;
    *count = 0;
    for (size_t i = 0; i < import->file->n_input; i++) {
        const Onnx__ValueInfoProto *at = import->file->input[i];
        if (at->name && fl_onnx_value_find(import, at->name)) continue;
        input = at;
        (*count)++;
    }
    return input;
}

static const char *name_of(const Onnx__ValueInfoProto *info)
{
    return info->name ? info->name : "";
}

// The shape of an input or output; NULL: none is given.
static fl_err find_shape(const Onnx__ValueInfoProto *info,
                         const Onnx__TensorShapeProto **shape, fl_reason *why)
{
    const Onnx__TypeProto__Tensor *type =
        info->type ? info->type->tensor_type : NULL;
    *shape = type ? type->shape : NULL;
    if (!type) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "\"%s\" is not declared as a tensor",
                             name_of(info));
    }
    if (type->elem_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) return FL_OK;
    return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                         "\"%s\" is of %s, only float32 is supported",
                         name_of(info), fl_onnx_type_name(type->elem_type));
}

static fl_err read_dim(const Onnx__ValueInfoProto *info,
                       const Onnx__TensorShapeProto *shape, size_t i,
                       uint32_t *size, fl_reason *why)
{
    const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
    if (!dim->has_dim_value) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "input \"%s\": dimension %zu is open; only the "
                             "first, the batch, may be",
                             name_of(info), i);
    }
    if (dim->dim_value < 1 || dim->dim_value > FL_GRAPH_VALUES_MAX) {
        return fl_reason_set(
            why, FL_ERR_FORMAT,
            "input \"%s\": dimension %zu is %" PRId64 ", it needs 1 to %d",
            name_of(info), i, dim->dim_value, (int)FL_GRAPH_VALUES_MAX);
    }
    *size = (uint32_t)dim->dim_value;
    return FL_OK;
}

// (N, C, H, W), or (N, F) as one pixel of F channels.
static fl_err read_input(const Onnx__ValueInfoProto *info, fl_shape *size,
                         bool *is_flat, int64_t *batch, fl_reason *why)
{
    const Onnx__TensorShapeProto *shape;
    FL_TRY(find_shape(info, &shape, why));
    if (!shape || (shape->n_dim != 2 && shape->n_dim != 4)) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "input \"%s\" has %zu dimensions, only (N, C, H, "
                             "W) and (N, F) are supported",
                             name_of(info), shape ? shape->n_dim : 0);
    }
    *size = (fl_shape){.height = 1, .width = 1};
    *is_flat = shape->n_dim == 2;
    *batch = shape->dim[0]->has_dim_value ? shape->dim[0]->dim_value : 0;
    FL_TRY(read_dim(info, shape, 1, &size->channels, why));
    if (*is_flat) return FL_OK;
    FL_TRY(read_dim(info, shape, 2, &size->height, why));
    return read_dim(info, shape, 3, &size->width, why);
}

static fl_err add_input(fl_onnx_import *import)
{
    size_t count;
    const Onnx__ValueInfoProto *info = find_input(import, &count);
    if (!info || count > 1) {
        return fl_reason_set(
            import->why, info ? FL_ERR_UNSUPPORTED : FL_ERR_FORMAT,
            "the model has %zu inputs, only one is supported", count);
    }
    bool is_flat = false;
    fl_node node = {.op = FL_OP_INPUT, .name = "input"};
    fl_onnx_value value = {.kind = FL_ONNX_BLOCK};
    FL_TRY(
        read_input(info, &node.shape, &is_flat, &import->batch, import->why));
    if (is_flat) value = fl_onnx_row(node.shape.channels);
    FL_TRY(fl_onnx_value_add(import, info->name, value));
    return fl_graph_add(import->graph, &node, false, NULL, import->why);
}

/* ---- nodes ---- */

static fl_err check_attributes(const fl_onnx_import *import,
                               const char *const known[ATTRIBUTES_MAX])
{
    for (size_t i = 0; i < import->node->n_attribute; i++) {
        const char *name = import->node->attribute[i]->name;
        if (!name) name = "";
        size_t k = 0;
        while (k < ATTRIBUTES_MAX && known[k] && strcmp(known[k], name) != 0) {
            k++;
        }
        if (k == ATTRIBUTES_MAX || !known[k]) {
            return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                                  "attribute %s is not supported", name);
        }
    }
    return FL_OK;
}

static fl_err refuse_operator(const fl_onnx_import *import, const char *op_type)
{
    const char *hint = "";
    if (strcmp(op_type, "Softmax") == 0 || strcmp(op_type, "LogSoftmax") == 0) {
        hint = "; end the model with the logits, training adds the softmax";
    }
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "the operator is not supported by this version%s",
                          hint);
}

static fl_err read_node(fl_onnx_import *import)
{
    const Onnx__NodeProto *node = import->node;
    const char *op_type = node->op_type ? node->op_type : "";
    const char *domain = node->domain ? node->domain : "";
    size_t k = 0;
    while (k < OPERATOR_COUNT && strcmp(OPERATORS[k].op_type, op_type) != 0) {
        k++;
    }
    if (k == OPERATOR_COUNT || (*domain && strcmp(domain, "ai.onnx") != 0)) {
        return refuse_operator(import, op_type);
    }
    if (node->n_input < OPERATORS[k].inputs_min ||
        node->n_input > OPERATORS[k].inputs_max) {
        return fl_onnx_refuse(import, FL_ERR_FORMAT, "it has %zu inputs",
                              node->n_input);
    }
    FL_TRY(check_attributes(import, OPERATORS[k].attributes));
    return OPERATORS[k].read(import);
}

static fl_err read_nodes(fl_onnx_import *import)
{
    for (size_t i = 0; i < import->file->n_node; i++) {
        import->node = import->file->node[i];
        import->node_index = i;
        FL_TRY(read_node(import));
    }
    return FL_OK;
}

/* ---- the output ---- */

static fl_err check_declared(const Onnx__ValueInfoProto *info, uint32_t classes,
                             fl_reason *why)
{
    const Onnx__TensorShapeProto *declared;
    FL_TRY(find_shape(info, &declared, why));
    if (!declared) return FL_OK;
    if (declared->n_dim == 2 && (!declared->dim[1]->has_dim_value ||
                                 declared->dim[1]->dim_value == classes)) {
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "the output \"%s\" is declared with another shape "
                         "than (N, %u), which the layers make",
                         name_of(info), classes);
}

// What the model gives is what the last layer makes: (N, classes).
static fl_err check_output(const fl_onnx_import *import,
                           const Onnx__ValueInfoProto *info)
{
    const uint32_t last = import->graph->node_count - 1;
    const fl_onnx_value *value = fl_onnx_value_find(import, name_of(info));
    if (!value) {
        return fl_reason_set(import->why, FL_ERR_FORMAT,
                             "the output \"%s\" is nowhere in the file",
                             name_of(info));
    }
    if (value->kind != FL_ONNX_BLOCK || value->node != last) {
        return fl_reason_set(import->why, FL_ERR_UNSUPPORTED,
                             "the output \"%s\" is not what the last layer "
                             "makes",
                             value->name);
    }
    if (!fl_onnx_is_flat(value) || !fl_onnx_is_in_order(value)) {
        return fl_reason_set(import->why, FL_ERR_UNSUPPORTED,
                             "the output \"%s\" is a picture; only (N, "
                             "classes) is supported",
                             value->name);
    }
    return check_declared(info, import->graph->nodes[last].shape.channels,
                          import->why);
}

static fl_err check_end(const fl_onnx_import *import)
{
    const Onnx__GraphProto *file = import->file;
    if (file->n_output != 1) {
        return fl_reason_set(
            import->why, file->n_output ? FL_ERR_UNSUPPORTED : FL_ERR_FORMAT,
            "the model has %zu outputs, only one is "
            "supported",
            file->n_output);
    }
    return check_output(import, file->output[0]);
}

/* ---- the file ---- */

static fl_err read_graph(fl_onnx_import *import)
{
    FL_TRY(add_initializers(import));
    FL_TRY(add_input(import));
    FL_TRY(read_nodes(import));
    return check_end(import);
}

static bool is_ours(const Onnx__ModelProto *proto)
{
    return proto->producer_name && strcmp(proto->producer_name, "fedge") == 0;
}

fl_err fl_onnx_read(const Onnx__ModelProto *proto, fl_quant *quants,
                    fl_onnx_end *end, void *made, fl_reason *why)
{
    fl_graph graph = {0};
    fl_onnx_import import = {
        .file = proto->graph,
        .is_ours = is_ours(proto),
        .graph = &graph,
        .sources = calloc(FL_GRAPH_NODES_MAX, sizeof *import.sources),
        .is_absorbed = calloc(FL_GRAPH_NODES_MAX, sizeof *import.is_absorbed),
        .quants = quants,
        .why = why,
    };
    fl_err err = FL_ERR_MEMORY;
    if (!import.sources || !import.is_absorbed ||
        fl_onnx_values_init(&import)) {
        fl_reason_set(why, err, "no memory to read an ONNX graph");
        goto out;
    }
    err = read_graph(&import);
    if (!err) err = end(&import, made);

out:
    fl_graph_fini(&graph);
    free(import.sources);
    free(import.is_absorbed);
    free(import.values);
    return err;
}

fl_err fl_model_decode(fl_model **model, const uint8_t *src, size_t src_len,
                       fl_reason *why)
{
    fl_onnx_file file;
    FL_TRY(fl_onnx_file_init(&file, src, src_len, why));
    fl_model *made = calloc(1, sizeof *made);
    const fl_err err =
        made ? fl_onnx_read(file.proto, NULL, fl_onnx_finish, made, why)
             : fl_reason_set(why, FL_ERR_MEMORY, "no memory for a model");
    fl_onnx_file_fini(&file);
    if (err) {
        fl_model_free(made);
        return err;
    }
    *model = made;
    return FL_OK;
}
