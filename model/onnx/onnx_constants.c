/* Add, Sub, Mul and Div by a constant: a bias, or a normalisation.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "model/onnx/onnx_import.h"
#include "model/onnx/onnx_tensor.h"

// 16 MiB: a scalar in the file becomes one number a channel in memory.
enum { CONSTANTS_MAX = 1 << 22 };

// The constant as one number a channel, in memory's order.
typedef struct {
    const Onnx__TensorProto *tensor;
    fl_onnx_layout layout;  // without meaning when it is one number for all
    bool is_scalar;
} channel_constant;

static size_t axis_count(fl_onnx_axes axes)
{
    return axes == FL_ONNX_NCHW || axes == FL_ONNX_NHWC ? 4 : 2;
}

static bool is_per_channel(const Onnx__TensorProto *tensor, fl_onnx_axes axes,
                           uint32_t channels)
{
    const size_t axis_max = axis_count(axes);
    const size_t channel_axis = axes == FL_ONNX_NHWC ? 3 : 1;
    for (size_t i = 0; i < tensor->n_dims; i++) {
        const size_t axis = axis_max - tensor->n_dims + i;
        const int64_t expected = axis == channel_axis ? channels : 1;
        if (tensor->dims[i] != expected) return false;
    }
    return fl_onnx_tensor_count(tensor) == channels;
}

static fl_err read_constant(const fl_onnx_import *import,
                            channel_constant *constant, const fl_onnx_value *x,
                            size_t input)
{
    const fl_onnx_value *value;
    FL_TRY(fl_onnx_input_tensor(import, input, &value));
    const Onnx__TensorProto *tensor = value->tensor;
    const uint32_t channels = import->graph->nodes[x->node].shape.channels;
    *constant = (channel_constant){.tensor = tensor};
    const bool fits = tensor->n_dims <= axis_count(x->axes);
    constant->is_scalar = fits && fl_onnx_tensor_count(tensor) == 1;
    if (!fits || value->is_transposed ||
        (!constant->is_scalar && !is_per_channel(tensor, x->axes, channels))) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "constant \"%s\" is neither one number nor one "
                              "for each of the %u channels",
                              value->name, channels);
    }
    fl_shape picture = fl_onnx_layout_picture(import->graph, x->node);
    if (x->axes != FL_ONNX_FLAT) picture = (fl_shape){1, 1, channels};
    constant->layout = fl_onnx_layout_ocp(
        1, (size_t)picture.height * picture.width, picture.channels);
    return FL_OK;
}

static float constant_at(const channel_constant *constant, size_t i)
{
    if (constant->is_scalar) return fl_onnx_tensor_float(constant->tensor, 0);
    return fl_onnx_tensor_float(constant->tensor,
                                fl_onnx_layout_at(&constant->layout, i));
}

static float same(float value)
{
    return value;
}

static float negated(float value)
{
    return -value;
}

static float inverted(float value)
{
    return 1.0F / value;
}

// x op change(constant), as a node of our graph.
static fl_err add_normalisation(fl_onnx_import *import, fl_op_kind op,
                                const fl_onnx_value *x,
                                const channel_constant *constant,
                                float (*change)(float))
{
    const uint32_t channels = import->graph->nodes[x->node].shape.channels;
    if (channels > CONSTANTS_MAX - import->graph->constant_count) {
        return fl_onnx_refuse(import, FL_ERR_LIMIT,
                              "more than %d constants in all",
                              (int)CONSTANTS_MAX);
    }
    float *constants = malloc(channels * sizeof *constants);
    if (!constants) {
        return fl_onnx_refuse(import, FL_ERR_MEMORY,
                              "no memory for %u constants", channels);
    }
    for (uint32_t c = 0; c < channels; c++) {
        constants[c] = change(constant_at(constant, c));
    }
    const fl_err err = fl_onnx_layer_add(import, (fl_node){.op = op}, x,
                                         x->axes, NULL, constants);
    free(constants);
    return err;
}

/*
 * MatMul or Conv without bias, then Add of one number an output: a bias. The
 * node has been added already, as the last one; it is taken back and added
 * again. Whoever else reads what it made without the bias is refused.
 */
static bool is_bias(const fl_onnx_import *import, const fl_onnx_value *x,
                    const channel_constant *constant)
{
    const fl_node *node = &import->graph->nodes[x->node];
    if (node->op != FL_OP_DENSE && node->op != FL_OP_CONV) return false;
    return node->bias_count == 0 && x->node + 1 == import->graph->node_count &&
           fl_onnx_tensor_count(constant->tensor) == node->out_count;
}

static fl_err add_bias(fl_onnx_import *import, uint32_t number,
                       fl_onnx_axes axes, const Onnx__TensorProto *bias)
{
    FL_TRY(fl_onnx_source_check(import, bias));
    fl_graph *graph = import->graph;
    const fl_node layer = graph->nodes[number];
    graph->node_count--;
    graph->param_count = layer.weight_at;
    FL_TRY(fl_graph_add(graph, &layer, true, NULL, import->why));
    import->sources[number].bias = bias;
    for (size_t i = 0; i < import->value_count; i++) {
        fl_onnx_value *value = &import->values[i];
        if (value->kind == FL_ONNX_BLOCK && value->node == number) {
            value->kind = FL_ONNX_TAKEN;
        }
    }
    return fl_onnx_output(
        import,
        (fl_onnx_value){.kind = FL_ONNX_BLOCK, .node = number, .axes = axes});
}

// Add and Mul take the constant on either side.
static fl_err find_sides(const fl_onnx_import *import, size_t *block_input,
                         size_t *constant_input)
{
    const fl_onnx_value *left;
    FL_TRY(fl_onnx_input(import, 0, &left));
    *constant_input = left->kind == FL_ONNX_TENSOR ? 0 : 1;
    *block_input = 1 - *constant_input;
    return FL_OK;
}

fl_err fl_onnx_add(fl_onnx_import *import)
{
    size_t block_input, constant_input;
    const fl_onnx_value *x;
    channel_constant constant;
    FL_TRY(find_sides(import, &block_input, &constant_input));
    FL_TRY(fl_onnx_input_block(import, block_input, &x));
    FL_TRY(read_constant(import, &constant, x, constant_input));
    if (is_bias(import, x, &constant)) {
        return add_bias(import, x->node, x->axes, constant.tensor);
    }
    // x + c and x - (-c) are the same bits.
    return add_normalisation(import, FL_OP_SUB, x, &constant, negated);
}

fl_err fl_onnx_sub(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    channel_constant constant;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(read_constant(import, &constant, x, 1));
    return add_normalisation(import, FL_OP_SUB, x, &constant, same);
}

// x * c and x / (1/c) are the same bits when c is a power of two.
static bool is_power_of_two(float value)
{
    int exponent;
    const float fraction = frexpf(fabsf(value), &exponent);
    return fraction >= 0.5F && fraction <= 0.5F && exponent > -100 &&
           exponent < 100;
}

fl_err fl_onnx_mul(fl_onnx_import *import)
{
    size_t block_input, constant_input;
    const fl_onnx_value *x;
    channel_constant constant;
    FL_TRY(find_sides(import, &block_input, &constant_input));
    FL_TRY(fl_onnx_input_block(import, block_input, &x));
    FL_TRY(read_constant(import, &constant, x, constant_input));
    for (size_t i = 0; i < fl_onnx_tensor_count(constant.tensor); i++) {
        const float value = fl_onnx_tensor_float(constant.tensor, i);
        if (is_power_of_two(value)) continue;
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "multiplying by the constant %g is not "
                              "supported: write it as a Div",
                              (double)value);
    }
    return add_normalisation(import, FL_OP_DIV, x, &constant, inverted);
}

fl_err fl_onnx_div(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    channel_constant constant;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(read_constant(import, &constant, x, 1));
    return add_normalisation(import, FL_OP_DIV, x, &constant, same);
}
