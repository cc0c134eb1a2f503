/*
 * Activations, value by value: on their own and fused into other operators.
 * The kernels know them as curves.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "model/ops/op.h"

// LEAKY_RELU, HARD_SIGMOID and FAKEQUANT have alpha and beta in their node.
static const fl_curve CURVES[FL_OP_COUNT] = {
    [FL_OP_RELU] = {FL_CURVE_RAMP, 1.0F, 0.0F, 0.0F, INFINITY},
    [FL_OP_RELU6] = {FL_CURVE_RAMP, 1.0F, 0.0F, 0.0F, 6.0F},
    [FL_OP_LEAKY_RELU] = {.kind = FL_CURVE_LEAK},
    [FL_OP_HARD_SWISH] = {.kind = FL_CURVE_HARD_SWISH},
    [FL_OP_HARD_SIGMOID] = {FL_CURVE_RAMP, 0.0F, 0.0F, 0.0F, 1.0F},
    [FL_OP_SIGMOID] = {.kind = FL_CURVE_SIGMOID},
    [FL_OP_TANH] = {.kind = FL_CURVE_TANH},
    [FL_OP_FAKEQUANT] = {.kind = FL_CURVE_LEVELS},
};

fl_curve fl_act_curve(const fl_node *act)
{
    if (!act) return (fl_curve){.kind = FL_CURVE_LINE};
    fl_curve curve = CURVES[act->op];
    if (act->op == FL_OP_LEAKY_RELU || act->op == FL_OP_HARD_SIGMOID) {
        curve.alpha = act->alpha;
        curve.beta = act->beta;
    }
    if (act->op == FL_OP_FAKEQUANT) {
        curve.alpha = act->alpha;
        curve.low = -act->beta;
        curve.high = 255.0F - act->beta;
    }
    return curve;
}

/* ---- behind other operators ---- */

bool fl_act_is_relu(const fl_task *task)
{
    return task->act && task->act->op == FL_OP_RELU;
}

void fl_act_apply(const fl_task *task, float *values, size_t count)
{
    task->kernels->curve(&(fl_curve_sum){
        .curve = fl_act_curve(task->act),
        .a = values,
        .y = values,
        .count = count,
    });
}

void fl_act_grad_by_output(const fl_task *task, float *dy, const float *y,
                           size_t count)
{
    task->kernels->curve_grad(&(fl_curve_grad){
        .curve = fl_act_curve(task->act),
        .y = y,
        .dy = dy,
        .dx = {dy},
        .is_fresh = {true},
        .count = count,
    });
}

void fl_act_grad(const fl_task *task, float *dy, const float *z, size_t count)
{
    task->kernels->curve_grad(&(fl_curve_grad){
        .curve = fl_act_curve(task->act),
        .x = z,
        .dy = dy,
        .dx = {dy},
        .is_fresh = {true},
        .count = count,
    });
}

/* ---- on their own ---- */

static fl_err leaky_relu_shape(fl_node *node, const fl_shape *inputs,
                               fl_reason *why)
{
    if (!(node->alpha > 0.0F) || !isfinite(node->alpha)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (LeakyRelu): alpha is %g, it must "
                             "be a finite number above 0",
                             node->name, (double)node->alpha);
    }
    return fl_op_same_shape(node, inputs, why);
}

static fl_err hard_sigmoid_shape(fl_node *node, const fl_shape *inputs,
                                 fl_reason *why)
{
    if (!isfinite(node->alpha) || !isfinite(node->beta)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (HardSigmoid): alpha is %g and beta "
                             "%g, they must be finite",
                             node->name, (double)node->alpha,
                             (double)node->beta);
    }
    if (fpclassify(node->alpha) == FP_ZERO &&
        fpclassify(node->beta) == FP_ZERO) {
        node->alpha = 0.2F;  // ONNX's defaults
        node->beta = 0.5F;
    }
    return fl_op_same_shape(node, inputs, why);
}

static fl_err fakequant_shape(fl_node *node, const fl_shape *inputs,
                              fl_reason *why)
{
    const bool has_scale = node->alpha > 0.0F && isfinite(node->alpha);
    const bool has_zero = node->beta >= 0.0F && node->beta <= 255.0F &&
                          nearbyintf(node->beta) >= node->beta &&
                          nearbyintf(node->beta) <= node->beta;
    if (!has_scale || !has_zero) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (FakeQuantize): scale %g must be a "
                             "finite number above 0, zero point %g a whole "
                             "one of 0 to 255",
                             node->name, (double)node->alpha,
                             (double)node->beta);
    }
    return fl_op_same_shape(node, inputs, why);
}

static void act_forward(const fl_task *task, bool with_gradients)
{
    (void)with_gradients;
    task->kernels->curve(&(fl_curve_sum){
        .curve = fl_act_curve(task->node),
        .a = task->x[0],
        .y = task->y,
        .count = task->count * fl_shape_size(task->y_shape),
    });
}

static void act_backward(const fl_task *task)
{
    const bool is_by_output = fl_op_get(task->node->op)->is_by_output;
    task->kernels->curve_grad(&(fl_curve_grad){
        .curve = fl_act_curve(task->node),
        .x = task->x[0],
        .y = is_by_output ? task->y : NULL,
        .dy = task->dy,
        .dx = {task->dx[0]},
        .is_fresh = {task->is_fresh[0]},
        .count = task->count * fl_shape_size(task->y_shape),
    });
}

#define BY_OUTPUT(shape_function)                                      \
    {                                                                  \
        .input_count = 1, .is_activation = true, .is_by_output = true, \
        .reads_output = true, .shape = (shape_function),               \
        .forward = act_forward, .backward = act_backward,              \
    }

const fl_op fl_relu_op = BY_OUTPUT(fl_op_same_shape);
const fl_op fl_relu6_op = BY_OUTPUT(fl_op_same_shape);
const fl_op fl_leaky_relu_op = BY_OUTPUT(leaky_relu_shape);
const fl_op fl_hard_sigmoid_op = BY_OUTPUT(hard_sigmoid_shape);
const fl_op fl_sigmoid_op = BY_OUTPUT(fl_op_same_shape);
const fl_op fl_tanh_op = BY_OUTPUT(fl_op_same_shape);

// Its slope is not known by its output: it falls before it rises.
const fl_op fl_hard_swish_op = {
    .input_count = 1,
    .is_activation = true,
    .reads_input = true,
    .is_cheap = true,
    .shape = fl_op_same_shape,
    .forward = act_forward,
    .backward = act_backward,
};

// Its slope is not known by its output: what rounds to the last level may
// have been above it. (Straight-through: Bengio et al. 2013.)
const fl_op fl_fakequant_op = {
    .input_count = 1,
    .is_activation = true,
    .reads_input = true,
    .is_cheap = true,
    .shape = fakequant_shape,
    .forward = act_forward,
    .backward = act_backward,
};
