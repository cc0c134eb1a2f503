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
    const fl_onnx_value *value;
    fl_onnx_layout layout;
} channel_constant;

static fl_err read_constant(const fl_onnx_import *import,
                            channel_constant *constant, const fl_onnx_value *x,
                            size_t input)
{
    FL_TRY(fl_onnx_input_tensor(import, input, &constant->value));
    if (fl_onnx_is_per_channel(import, &constant->layout, x, constant->value)) {
        return FL_OK;
    }
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "constant \"%s\" is neither one number nor one "
                          "for each of the %u channels",
                          constant->value->name,
                          fl_onnx_shape_of(import, x).channels);
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
    const uint32_t channels = fl_onnx_shape_of(import, x).channels;
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
        constants[c] = change(fl_onnx_tensor_float(
            constant->value->tensor, fl_onnx_layout_at(&constant->layout, c)));
    }
    const fl_err err =
        fl_onnx_layer_on(import, (fl_node){.op = op}, x, NULL, constants);
    free(constants);
    return err;
}

/*
 * MatMul or Conv without bias, then Add of one number an output: a bias,
 * unless somebody else reads what is there without it.
 */
static bool is_bias(const fl_onnx_import *import, const fl_onnx_value *x,
                    const channel_constant *constant)
{
    const fl_node *node = fl_onnx_maker(import, x);
    if (node->op != FL_OP_DENSE && node->op != FL_OP_CONV) return false;
    const fl_onnx_value *value = constant->value;
    return !import->sources[x->node].bias && !x->is_shared &&
           !import->values[value->owner].is_taken &&
           fl_onnx_tensor_count(value->tensor) == node->out_count;
}

static fl_err add_bias(fl_onnx_import *import, const fl_onnx_value *x,
                       const fl_onnx_value *bias)
{
    FL_TRY(fl_onnx_take(import, bias));
    import->sources[x->node].bias = bias;
    return fl_onnx_output(import, *x);
}

// Add and Mul take the constant on either side.
static fl_err find_sides(const fl_onnx_import *import, const fl_onnx_value **x,
                         size_t *constant_input)
{
    *constant_input = fl_onnx_input_kind(import, 0) == FL_ONNX_TENSOR ? 0 : 1;
    return fl_onnx_input_block(import, 1 - *constant_input, x);
}

fl_err fl_onnx_add_constant(fl_onnx_import *import)
{
    size_t constant_input;
    const fl_onnx_value *x;
    channel_constant constant;
    FL_TRY(find_sides(import, &x, &constant_input));
    FL_TRY(read_constant(import, &constant, x, constant_input));
    if (is_bias(import, x, &constant)) {
        return add_bias(import, x, constant.value);
    }
    // x + c and x - (-c) are the same bits.
    return add_normalisation(import, FL_OP_SUB, x, &constant, negated);
}

fl_err fl_onnx_sub_constant(fl_onnx_import *import)
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

fl_err fl_onnx_mul_constant(fl_onnx_import *import)
{
    size_t constant_input;
    const fl_onnx_value *x;
    channel_constant constant;
    FL_TRY(find_sides(import, &x, &constant_input));
    FL_TRY(read_constant(import, &constant, x, constant_input));
    const Onnx__TensorProto *tensor = constant.value->tensor;
    for (size_t i = 0; i < fl_onnx_tensor_count(tensor); i++) {
        const float value = fl_onnx_tensor_float(tensor, i);
        if (is_power_of_two(value)) continue;
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "multiplying by the constant %g is not "
                              "supported: write it as a Div",
                              (double)value);
    }
    return add_normalisation(import, FL_OP_DIV, x, &constant, inverted);
}

fl_err fl_onnx_div_constant(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    channel_constant constant;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(read_constant(import, &constant, x, 1));
    return add_normalisation(import, FL_OP_DIV, x, &constant, same);
}
