/* fl_int8_decode.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/int8/precision.h"
#include "model/onnx/onnx_file.h"
#include "model/onnx/onnx_qdq.h"
#include "model/onnx/onnx_tensor.h"

enum { SIGNED_TO_UNSIGNED = 128 };

/* ---- scales and zero points ---- */

static fl_err refuse_scale(const fl_onnx_import *import, double scale)
{
    return fl_onnx_refuse(import, FL_ERR_FORMAT,
                          "its scale is %g, it must be above 0 and finite",
                          scale);
}

// One byte of a type; the graph's bytes are unsigned.
static fl_err read_zero_point(const fl_onnx_import *import, uint8_t *zero_point)
{
    const fl_onnx_value *value;
    *zero_point = 0;  // uint8, ONNX says, when it is left out
    if (!fl_onnx_has_input(import, 2)) return FL_OK;
    FL_TRY(fl_onnx_input(import, 2, &value));
    const Onnx__TensorProto *tensor = value->tensor;
    const bool is_tensor =
        value->kind == FL_ONNX_TENSOR && fl_onnx_tensor_count(tensor) == 1;
    if (is_tensor &&
        tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__UINT8) {
        *zero_point = (uint8_t)fl_onnx_tensor_small(tensor, 0);
        return FL_OK;
    }
    if (is_tensor && tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT8) {
        *zero_point =
            (uint8_t)(fl_onnx_tensor_small(tensor, 0) + SIGNED_TO_UNSIGNED);
        return FL_OK;
    }
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "zero point \"%s\" is not one constant uint8 or int8",
                          value->name);
}

static fl_err read_quant(const fl_onnx_import *import, fl_quant *quant)
{
    FL_TRY(fl_onnx_input_float(import, 1, &quant->scale, 0.0F));
    if (!(isfinite(quant->scale) && quant->scale > 0.0F)) {
        return refuse_scale(import, (double)quant->scale);
    }
    return read_zero_point(import, &quant->zero_point);
}

static bool is_same(const fl_quant *a, const fl_quant *b)
{
    return a->scale >= b->scale && a->scale <= b->scale &&
           a->zero_point == b->zero_point;
}

/* ---- QuantizeLinear and DequantizeLinear ---- */

static fl_err check_wanted(const fl_onnx_import *import)
{
    if (import->quants) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "the model is quantised; give the float32 model");
}

fl_err fl_onnx_quantize(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    FL_TRY(check_wanted(import));
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    fl_onnx_value made = *x;
    made.kind = FL_ONNX_QUANTIZED;
    FL_TRY(read_quant(import, &made.quant));
    if (x->is_shared) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "\"%s\" is also read without being quantised",
                              x->name);
    }
    const fl_quant *before = &import->quants[x->node];
    if (before->scale > 0.0F && !is_same(before, &made.quant)) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "\"%s\" is quantised a second time, differently",
                              x->name);
    }
    made.is_shared = false;
    return fl_onnx_output(import, made);
}

static fl_err check_zeros(const fl_onnx_import *import)
{
    const fl_onnx_value *value;
    if (!fl_onnx_has_input(import, 2)) return FL_OK;
    FL_TRY(fl_onnx_input(import, 2, &value));
    const fl_onnx_value *x;
    FL_TRY(fl_onnx_input(import, 0, &x));
    if (value->kind == FL_ONNX_TENSOR &&
        value->tensor->data_type == x->tensor->data_type) {
        const size_t count = fl_onnx_tensor_count(value->tensor);
        size_t zeros = 0;
        while (zeros < count &&
               fl_onnx_tensor_small(value->tensor, zeros) == 0) {
            zeros++;
        }
        if (zeros == count) return FL_OK;
    }
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "zero point \"%s\" of a constant is not 0",
                          value->name);
}

static fl_err dequantize_constant(fl_onnx_import *import,
                                  const fl_onnx_value *x)
{
    fl_onnx_value made = *x;
    const int32_t type = x->tensor->data_type;
    if (type != ONNX__TENSOR_PROTO__DATA_TYPE__INT8 &&
        type != ONNX__TENSOR_PROTO__DATA_TYPE__INT32) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "constant \"%s\" is of %s, only int8 and int32 "
                              "are supported",
                              x->name, fl_onnx_type_name(type));
    }
    FL_TRY(fl_onnx_input_tensor(import, 1, &made.scales));
    FL_TRY(check_zeros(import));
    FL_TRY(fl_onnx_attribute_int(import, &made.scale_axis, "axis", 1));
    for (size_t i = 0; i < fl_onnx_tensor_count(made.scales->tensor); i++) {
        const float scale = fl_onnx_tensor_float(made.scales->tensor, i);
        if (!(isfinite(scale) && scale > 0.0F)) {
            return refuse_scale(import, (double)scale);
        }
    }
    return fl_onnx_output(import, made);
}

fl_err fl_onnx_dequantize(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    fl_quant quant;
    FL_TRY(fl_onnx_input(import, 0, &x));
    if (x->kind == FL_ONNX_TENSOR) return dequantize_constant(import, x);
    FL_TRY(check_wanted(import));
    if (x->kind != FL_ONNX_QUANTIZED) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "\"%s\" is not quantised", x->name);
    }
    FL_TRY(read_quant(import, &quant));
    if (!is_same(&quant, &x->quant)) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "scale and zero point differ from those of the "
                              "QuantizeLinear before it");
    }
    import->quants[x->node] = quant;
    fl_onnx_value made = *x;
    made.kind = FL_ONNX_BLOCK;
    return fl_onnx_output(import, made);
}

/* ---- parameters ---- */

typedef struct {
    const fl_onnx_import *import;
    const fl_node *node;
    const fl_onnx_source *source;
    float x_scale;
    int8_t *weights;       // of this node
    float *weight_scales;  // (out_count), here and below
    int32_t *biases;
} layer;

static fl_err refuse_layer(const layer *at, const char *text)
{
    return fl_reason_set(at->import->why, FL_ERR_UNSUPPORTED,
                         "node \"%s\" (%s): %s", at->node->name,
                         fl_op_name(at->node->op), text);
}

// One scale for all, or one for each output channel.
static fl_err read_scales(const layer *at)
{
    const fl_onnx_value *weight = at->source->weight;
    const uint32_t outputs = at->node->out_count;
    if (weight->tensor->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__INT8) {
        return refuse_layer(at, "its weight is not int8");
    }
    const Onnx__TensorProto *scales = weight->scales->tensor;
    const size_t count = fl_onnx_tensor_count(scales);
    // (O, ...), but for Gemm without transB.
    const bool is_first =
        at->node->op == FL_OP_CONV ||
        at->source->layout.output_step >= at->source->layout.channel_step;
    const int64_t axis = is_first ? 0 : 1;
    if (count != 1 && (count != outputs || weight->scale_axis != axis)) {
        return refuse_layer(at, "its weight has scales for something else "
                                "than output channels");
    }
    for (uint32_t c = 0; c < outputs; c++) {
        at->weight_scales[c] = fl_onnx_tensor_float(scales, count == 1 ? 0 : c);
    }
    return FL_OK;
}

static fl_err read_weights(const layer *at)
{
    const fl_onnx_layout *layout = &at->source->layout;
    const size_t count = fl_onnx_layout_count(layout);
    fl_onnx_walk file = {0};
    for (size_t i = 0; i < count; i++, fl_onnx_walk_on(&file, layout)) {
        const int32_t number =
            fl_onnx_tensor_small(at->source->weight->tensor, file.at);
        if (number < -INT8_MAX) {
            return refuse_layer(at, "a weight is -128; -127 to 127 are "
                                    "supported");
        }
        at->weights[i] = (int8_t)number;
    }
    return FL_OK;
}

// An int32 whose scale is the input's times the weight's, or a float.
static fl_err read_bias(const layer *at, uint32_t c)
{
    const fl_onnx_value *bias = at->source->bias;
    const double scale = (double)(at->x_scale * at->weight_scales[c]);
    if (!bias->scales) {
        const double number =
            rint((double)fl_onnx_tensor_float(bias->tensor, c) / scale);
        if (!(fabs(number) <= INT32_MAX)) {
            return refuse_layer(at, "a bias is beyond 32 bits");
        }
        at->biases[c] = (int32_t)number;
        return FL_OK;
    }
    const Onnx__TensorProto *scales = bias->scales->tensor;
    const size_t count = fl_onnx_tensor_count(scales);
    if (count != 1 && count != at->node->out_count) {
        return refuse_layer(at, "its bias has another number of scales");
    }
    const double own = (double)fl_onnx_tensor_float(scales, count == 1 ? 0 : c);
    if (bias->tensor->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__INT32 ||
        fabs(own - scale) > 1e-5 * scale) {
        return refuse_layer(at, "its bias is not int32 with the scale of the "
                                "input times that of the weight");
    }
    at->biases[c] = fl_onnx_tensor_small(bias->tensor, c);
    return FL_OK;
}

static fl_err read_layer(const layer *at)
{
    FL_TRY(read_scales(at));
    FL_TRY(read_weights(at));
    for (uint32_t c = 0; at->source->bias && c < at->node->out_count; c++) {
        FL_TRY(read_bias(at, c));
    }
    return FL_OK;
}

/* ---- the model ---- */

static fl_err allocate(fl_int8_model *model)
{
    const uint32_t nodes = model->graph.node_count;
    model->values = calloc(nodes, sizeof *model->values);
    model->channel_at = calloc(nodes, sizeof *model->channel_at);
    if (!model->values || !model->channel_at) return FL_ERR_MEMORY;
    for (uint32_t i = 0; i < nodes; i++) {
        const fl_node *node = &model->graph.nodes[i];
        if (node->op != FL_OP_CONV && node->op != FL_OP_DENSE) continue;
        model->channel_at[i] = (uint32_t)model->channel_count;
        model->channel_count += node->out_count;
    }
    // One too many keeps analysers from seeing calloc(0).
    const size_t channels = model->channel_count + 1;
    model->precisions = calloc(nodes, sizeof *model->precisions);
    model->weights = calloc(model->graph.param_count + 1, 1);
    model->biases = calloc(channels, sizeof *model->biases);
    model->weight_scales = calloc(channels, sizeof *model->weight_scales);
    const bool is_whole = model->weights && model->biases &&
                          model->weight_scales && model->precisions;
    return is_whole ? FL_OK : FL_ERR_MEMORY;
}

// Value i as the file has it, or as the activation behind it has it.
static const fl_quant *find_quant(const fl_onnx_import *import,
                                  const fl_int8_model *model,
                                  const fl_sharing *sharing, uint32_t i)
{
    for (uint32_t k = i + 1;
         sharing[i].is_clamped && k < model->graph.node_count; k++) {
        if (model->graph.nodes[k].inputs[0] == i) return &import->quants[k];
    }
    return &import->quants[i];
}

static fl_err set_value(const fl_onnx_import *import, fl_int8_model *model,
                        const fl_sharing *sharing, uint32_t i)
{
    const fl_node *node = &model->graph.nodes[i];
    const fl_quant *quant = find_quant(import, model, sharing, i);
    model->values[i] = *quant;
    if (sharing[i].is_float != (quant->scale > 0.0F)) {
        if (sharing[i].is_float ||
            is_same(quant, &model->values[sharing[i].group])) {
            return FL_OK;
        }
        return fl_reason_set(
            import->why, FL_ERR_UNSUPPORTED,
            "the value of node \"%s\" (%s) has another scale "
            "than that of node \"%s\", which it shares numbers "
            "with",
            node->name, fl_op_name(node->op),
            model->graph.nodes[sharing[i].group].name);
    }
    return fl_reason_set(import->why, FL_ERR_UNSUPPORTED,
                         "the value of node \"%s\" (%s) is %squantised",
                         node->name, fl_op_name(node->op),
                         sharing[i].is_float ? "" : "not ");
}

static fl_err set_values(const fl_onnx_import *import, fl_int8_model *model)
{
    fl_sharing *sharing = calloc(model->graph.node_count, sizeof *sharing);
    if (!sharing) return fl_reason_set(import->why, FL_ERR_MEMORY, "no memory");
    fl_err err = fl_precision_share(sharing, &model->graph, model->precisions,
                                    import->why);
    for (uint32_t i = 0; !err && i < model->graph.node_count; i++) {
        err = set_value(import, model, sharing, i);
    }
    free(sharing);
    return err;
}

static fl_err read_layers(const fl_onnx_import *import, fl_int8_model *model)
{
    for (uint32_t i = 0; i < model->graph.node_count; i++) {
        const fl_node *node = &model->graph.nodes[i];
        if (!import->sources[i].weight) continue;
        const layer at = {
            .import = import,
            .node = node,
            .source = &import->sources[i],
            .x_scale = model->values[node->inputs[0]].scale,
            .weights = model->weights + node->weight_at,
            .weight_scales = model->weight_scales + model->channel_at[i],
            .biases = model->biases + model->channel_at[i],
        };
        if (node->op != FL_OP_CONV && node->op != FL_OP_DENSE) {
            return refuse_layer(&at, "it has no integer form");
        }
        if (fl_int8_is_float_layer(model, i)) {
            FL_TRY(fl_onnx_read_params(model->params, import, node,
                                       &import->sources[i]));
            continue;
        }
        FL_TRY(read_layer(&at));
        if (fl_precision_are_nibbles(at.weights, node->weight_count)) {
            model->precisions[i] = FL_PRECISION_NIBBLE;
        }
    }
    return FL_OK;
}

// Layers whose weights are floats, or halves behind a Cast, compute so.
static fl_err find_float_layers(const fl_onnx_import *import,
                                fl_int8_model *model)
{
    bool has_any = false;
    for (uint32_t i = 0; i < model->graph.node_count; i++) {
        const fl_op_kind op = model->graph.nodes[i].op;
        const fl_onnx_value *weight = import->sources[i].weight;
        const bool is_layer = op == FL_OP_CONV || op == FL_OP_DENSE;
        if (!is_layer || weight->scales) continue;
        const bool is_half =
            weight->tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16;
        model->precisions[i] =
            is_half ? FL_PRECISION_FLOAT16 : FL_PRECISION_FLOAT32;
        has_any = true;
    }
    if (!has_any) return FL_OK;
    model->params = calloc(model->graph.param_count + 1, sizeof(float));
    return model->params ? FL_OK : FL_ERR_MEMORY;
}

static fl_err check_quantised(const fl_onnx_import *import,
                              const fl_int8_model *model)
{
    for (uint32_t i = 0; i < model->graph.node_count; i++) {
        if (model->values[i].scale > 0.0F) return FL_OK;
    }
    return fl_reason_set(import->why, FL_ERR_UNSUPPORTED,
                         "nothing in the model is quantised: it is a float32 "
                         "model");
}

static fl_err finish(fl_onnx_import *import, void *made)
{
    fl_int8_model *model = made;
    FL_TRY(fl_onnx_keep(import, &model->graph));
    if (allocate(model) || find_float_layers(import, model)) {
        return fl_reason_set(import->why, FL_ERR_MEMORY,
                             "no memory for %zu parameters",
                             model->graph.param_count);
    }
    FL_TRY(set_values(import, model));
    FL_TRY(check_quantised(import, model));
    return read_layers(import, model);
}

fl_err fl_int8_decode(fl_int8_model **quantized, const uint8_t *src,
                      size_t src_len, fl_reason *why)
{
    fl_onnx_file file;
    FL_TRY(fl_onnx_file_init(&file, src, src_len, why));
    fl_int8_model *made = calloc(1, sizeof *made);
    fl_quant *quants = calloc(FL_GRAPH_NODES_MAX, sizeof *quants);
    const fl_err err =
        made && quants
            ? fl_onnx_read(file.proto, quants, finish, made, why)
            : fl_reason_set(why, FL_ERR_MEMORY, "no memory for a model");
    fl_onnx_file_fini(&file);
    free(quants);
    if (err) {
        fl_int8_free(made);
        return err;
    }
    *quantized = made;
    return FL_OK;
}

bool fl_int8_is_encoded(const uint8_t *src, size_t src_len)
{
    fl_onnx_file file;
    bool is_found = false;
    if (fl_onnx_file_init(&file, src, src_len, NULL)) return false;
    const Onnx__GraphProto *graph = file.proto->graph;
    for (size_t i = 0; !is_found && i < graph->n_node; i++) {
        const char *op_type = graph->node[i]->op_type;
        is_found = op_type && strcmp(op_type, "QuantizeLinear") == 0;
    }
    fl_onnx_file_fini(&file);
    return is_found;
}
