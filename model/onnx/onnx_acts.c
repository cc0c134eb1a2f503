/* Activations, and those that exporters write out in several operators.
 *
 *   hard sigmoid   Clip(x + 3, 0, 6) / 6
 *   hard swish     x * hard sigmoid, or x * Clip(x + 3, 0, 6) / 6
 *
 * A file of fedge's own has none of them: there every node is meant.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>

#include "model/onnx/onnx_import.h"

static bool is_number(float value, float number)
{
    return value >= number && value <= number;
}

static fl_err add_plain(fl_onnx_import *import, fl_node layer)
{
    const fl_onnx_value *x;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    return fl_onnx_layer_on(import, layer, x, NULL, NULL);
}

fl_err fl_onnx_relu(fl_onnx_import *import)
{
    return add_plain(import, (fl_node){.op = FL_OP_RELU});
}

fl_err fl_onnx_hard_swish(fl_onnx_import *import)
{
    return add_plain(import, (fl_node){.op = FL_OP_HARD_SWISH});
}

fl_err fl_onnx_sigmoid(fl_onnx_import *import)
{
    return add_plain(import, (fl_node){.op = FL_OP_SIGMOID});
}

fl_err fl_onnx_tanh(fl_onnx_import *import)
{
    return add_plain(import, (fl_node){.op = FL_OP_TANH});
}

fl_err fl_onnx_leaky_relu(fl_onnx_import *import)
{
    fl_node layer = {.op = FL_OP_LEAKY_RELU};
    FL_TRY(fl_onnx_attribute_float(import, &layer.alpha, "alpha", 0.01F));
    return add_plain(import, layer);
}

fl_err fl_onnx_hard_sigmoid(fl_onnx_import *import)
{
    fl_node layer = {.op = FL_OP_HARD_SIGMOID};
    FL_TRY(fl_onnx_attribute_float(import, &layer.alpha, "alpha", 0.2F));
    FL_TRY(fl_onnx_attribute_float(import, &layer.beta, "beta", 0.5F));
    if (is_number(layer.alpha, 0.0F)) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "attribute alpha is 0: its output is a constant");
    }
    return add_plain(import, layer);
}

/* ---- Clip ---- */

// Bounds from inputs, or from attributes as before opset 11.
static fl_err read_bounds(const fl_onnx_import *import, float *min, float *max)
{
    FL_TRY(fl_onnx_attribute_float(import, min, "min", -FLT_MAX));
    FL_TRY(fl_onnx_attribute_float(import, max, "max", FLT_MAX));
    FL_TRY(fl_onnx_input_float(import, 1, min, *min));
    return fl_onnx_input_float(import, 2, max, *max);
}

// The lower bound of a length on its way to an L2NORM.
static fl_err clip_length(fl_onnx_import *import, float min, float max)
{
    const fl_onnx_value *x;
    FL_TRY(fl_onnx_input(import, 0, &x));
    if (!(min > 0.0F && isfinite(min)) || max < FLT_MAX) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "a length needs a lower bound above 0 and no "
                              "other, these are %g and %g",
                              (double)min, (double)max);
    }
    fl_onnx_value clipped = *x;
    clipped.epsilon = min;
    return fl_onnx_output(import, clipped);
}

// Relu, then Clip to 6, is what PyTorch writes for relu6.
static void skip_relu(fl_onnx_import *import, fl_node *layer)
{
    const fl_node *relu = &import->graph->nodes[layer->inputs[0]];
    if (relu->op != FL_OP_RELU || import->is_ours) return;
    import->is_absorbed[layer->inputs[0]] = true;
    layer->inputs[0] = relu->inputs[0];
}

fl_err fl_onnx_clip(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    float min, max;
    FL_TRY(read_bounds(import, &min, &max));
    if (fl_onnx_input_kind(import, 0) == FL_ONNX_LENGTH) {
        return clip_length(import, min, max);
    }
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    if (is_number(min, 0.0F) && is_number(max, 6.0F)) {
        fl_node layer = fl_onnx_layer_reading(FL_OP_RELU6, x);
        skip_relu(import, &layer);
        return fl_onnx_layer_add(import, layer, x, NULL, NULL);
    }
    if (is_number(min, 0.0F) && max >= FLT_MAX) return fl_onnx_relu(import);
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "bounds %g and %g are not supported, only 0 and 6, "
                          "or 0 and none",
                          (double)min, (double)max);
}

/* ---- hard sigmoid and hard swish, written out ---- */

// True: value `node` is `from` + 3; an absorbed SUB of -3.
static bool is_plus_3(const fl_onnx_import *import, uint32_t node,
                      uint32_t *from)
{
    const fl_node *sub = &import->graph->nodes[node];
    if (sub->op != FL_OP_SUB) return false;
    const float *constants = import->graph->constants + sub->constant_at;
    for (uint32_t c = 0; c < sub->shape.channels; c++) {
        if (!is_number(constants[c], -3.0F)) return false;
    }
    *from = sub->inputs[0];
    return true;
}

// True: value `node` is 6 times the hard sigmoid of `from`.
static bool is_clipped(const fl_onnx_import *import, uint32_t node,
                       uint32_t *from)
{
    const fl_node *clip = &import->graph->nodes[node];
    return clip->op == FL_OP_RELU6 && is_plus_3(import, clip->inputs[0], from);
}

static void absorb_clipped(fl_onnx_import *import, uint32_t node)
{
    import->is_absorbed[node] = true;
    import->is_absorbed[import->graph->nodes[node].inputs[0]] = true;
}

// True: value `node` is `from` times Clip(`from` + 3, 0, 6).
static bool is_swish_times_6(const fl_onnx_import *import, uint32_t node,
                             uint32_t *from, uint32_t *clipped)
{
    const fl_node *mul = &import->graph->nodes[node];
    if (mul->op != FL_OP_MUL) return false;
    for (uint32_t k = 0; k < 2; k++) {
        *clipped = mul->inputs[1 - k];
        if (is_clipped(import, *clipped, from) && mul->inputs[k] == *from) {
            return true;
        }
    }
    return false;
}

// 1/6 as any exporter may round it.
static bool is_sixth(const fl_onnx_value *value)
{
    const float sixth = 1.0F / 6.0F;
    return fl_onnx_is_constant(value, sixth) ||
           fl_onnx_is_constant(value, nextafterf(sixth, 0.0F)) ||
           fl_onnx_is_constant(value, nextafterf(sixth, 1.0F));
}

// x / 6, or x * (1/6) on either side.
static bool is_by_6(const fl_onnx_import *import, const fl_onnx_value **x)
{
    const bool is_div = import->node->op_type[0] == 'D';
    for (size_t k = 0; k < (is_div ? 1 : 2); k++) {
        const fl_onnx_value *six;
        if (fl_onnx_input_kind(import, k) != FL_ONNX_BLOCK ||
            fl_onnx_input_kind(import, 1 - k) != FL_ONNX_TENSOR) {
            continue;
        }
        *x = fl_onnx_value_find(import, import->node->input[k]);
        six = fl_onnx_value_find(import, import->node->input[1 - k]);
        if (is_div ? fl_onnx_is_constant(six, 6.0F) : is_sixth(six)) {
            return true;
        }
    }
    return false;
}

static fl_err add_written_out(fl_onnx_import *import, fl_op_kind op,
                              uint32_t from, const fl_onnx_value *like)
{
    const fl_node layer = {.op = op,
                           .inputs = {from},
                           .input_count = 1,
                           .alpha = 1.0F / 6.0F,
                           .beta = 0.5F};
    return fl_onnx_layer_add(import, layer, like, NULL, NULL);
}

fl_err fl_onnx_end_hard_sigmoid(fl_onnx_import *import, bool *is_read)
{
    const fl_onnx_value *x;
    uint32_t from, clipped;
    *is_read = true;
    if (!import->is_ours && is_by_6(import, &x)) {
        if (is_clipped(import, x->node, &from)) {
            absorb_clipped(import, x->node);
            return add_written_out(import, FL_OP_HARD_SIGMOID, from, x);
        }
        if (is_swish_times_6(import, x->node, &from, &clipped)) {
            import->is_absorbed[x->node] = true;
            absorb_clipped(import, clipped);
            return add_written_out(import, FL_OP_HARD_SWISH, from, x);
        }
    }
    *is_read = false;
    return FL_OK;
}

static bool is_hard_sigmoid_of(const fl_onnx_import *import, uint32_t node,
                               uint32_t x)
{
    const fl_node *at = &import->graph->nodes[node];
    return at->op == FL_OP_HARD_SIGMOID && at->inputs[0] == x &&
           fabsf(at->alpha - 1.0F / 6.0F) < 1e-7F && is_number(at->beta, 0.5F);
}

fl_err fl_onnx_end_hard_swish(fl_onnx_import *import, bool *is_read)
{
    *is_read = false;
    for (size_t k = 0; k < 2 && !import->is_ours; k++) {
        if (fl_onnx_input_kind(import, k) != FL_ONNX_BLOCK ||
            fl_onnx_input_kind(import, 1 - k) != FL_ONNX_BLOCK) {
            return FL_OK;
        }
        const fl_onnx_value *x =
            fl_onnx_value_find(import, import->node->input[k]);
        const fl_onnx_value *gate =
            fl_onnx_value_find(import, import->node->input[1 - k]);
        if (x->axes != gate->axes ||
            !is_hard_sigmoid_of(import, gate->node, x->node)) {
            continue;
        }
        *is_read = true;
        import->is_absorbed[gate->node] = true;
        return add_written_out(import, FL_OP_HARD_SWISH, x->node, x);
    }
    return FL_OK;
}
