/* SPDX-License-Identifier: Apache-2.0 */
#include "model/int8/qplan_core.h"

typedef fl_err (*prepare)(fl_qstep *step, fl_qcontext *context, fl_reason *why);

// By operator; NULL: it has no integer form.
static const prepare PREPARE[FL_OP_COUNT] = {
    [FL_OP_INPUT] = fl_qinput_prepare,
    [FL_OP_SUB] = fl_qinput_prepare,
    [FL_OP_DIV] = fl_qinput_prepare,
    [FL_OP_CONV] = fl_qconv_prepare,
    [FL_OP_DENSE] = fl_qdense_prepare,
    [FL_OP_RELU] = fl_qlookup_prepare,
    [FL_OP_RELU6] = fl_qlookup_prepare,
    [FL_OP_LEAKY_RELU] = fl_qlookup_prepare,
    [FL_OP_HARD_SWISH] = fl_qlookup_prepare,
    [FL_OP_HARD_SIGMOID] = fl_qlookup_prepare,
    [FL_OP_SIGMOID] = fl_qlookup_prepare,
    [FL_OP_TANH] = fl_qlookup_prepare,
    [FL_OP_ADD] = fl_qpair_prepare,
    [FL_OP_MUL] = fl_qpair_prepare,
    [FL_OP_MAXPOOL] = fl_qpool_prepare,
    [FL_OP_AVGPOOL] = fl_qpool_prepare,
    [FL_OP_GLOBALPOOL] = fl_qpool_prepare,
    [FL_OP_CONCAT] = fl_qmove_prepare,
    [FL_OP_SLICE] = fl_qmove_prepare,
    [FL_OP_SHUFFLE] = fl_qmove_prepare,
    [FL_OP_FLATTEN] = fl_qoutput_prepare,
    [FL_OP_L2NORM] = fl_qoutput_prepare,
};

static fl_err refuse(const fl_node *node, fl_err err, fl_reason *why)
{
    return fl_reason_prefix(why, err, "node \"%s\" (%s)", node->name,
                            fl_op_name(node->op));
}

// A value of float32 is made only by what can: the last sum, and an L2NORM.
static fl_err check_chain(const fl_qplan *plan, const fl_qstep *s,
                          fl_reason *why)
{
    const uint32_t input = s->node.inputs[0];
    const bool ends = s->output == fl_qplan_last_node(plan);
    if (fl_qplan_is_float(plan, s->output) && !ends) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "its value is not quantized");
    }
    if (fl_qplan_is_float(plan, input) && !fl_qplan_is_in_front(plan, input)) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "its input is not quantized");
    }
    return FL_OK;
}

static fl_err check_step(const fl_qplan *plan, const fl_qstep *s,
                         fl_reason *why)
{
    const fl_op_kind op = s->node.op;
    if (s->is_chain) return check_chain(plan, s, why);
    if (!PREPARE[op]) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED, "it has no integer form");
    }
    const bool sums = fl_graph_has_weights(&s->node);
    const bool ends = op == FL_OP_L2NORM || op == FL_OP_FLATTEN;
    if (fl_qplan_is_float(plan, s->output) && !sums && !ends) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "its value is not quantized");
    }
    if (op == FL_OP_L2NORM && s->output != fl_qplan_last_node(plan)) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED, "it must be the last");
    }
    const bool takes_floats = op == FL_OP_L2NORM || fl_qplan_is_front_op(op);
    for (uint32_t k = 0; k < s->node.input_count && !takes_floats; k++) {
        if (!fl_qplan_is_float(plan, s->node.inputs[k])) continue;
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "its input %u is not quantized", k);
    }
    return FL_OK;
}

fl_err fl_qplan_check_steps(const fl_qplan *plan, fl_reason *why)
{
    if (plan->values[fl_qplan_last_node(plan)].root == FL_GRAPH_NONE) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "the model computes nothing in 8 bits");
    }
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const fl_qstep *s = &plan->steps[i];
        const fl_err err = check_step(plan, s, why);
        if (err) return refuse(&s->node, err, why);
    }
    return FL_OK;
}

fl_err fl_qplan_prepare(fl_qplan *plan, fl_reason *why)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        fl_qstep *s = &plan->steps[i];
        const prepare how =
            s->is_chain ? fl_qchain_prepare : PREPARE[s->node.op];
        const fl_err err = how(s, &plan->context, why);
        if (err == FL_ERR_MEMORY || err == FL_ERR_LIMIT) {
            return fl_reason_set(why, FL_ERR_MEMORY,
                                 "node \"%s\" (%s): no memory behind the %zu "
                                 "bytes of packed weights before it",
                                 s->node.name, fl_op_name(s->node.op),
                                 plan->context.keep.used);
        }
        if (err) return refuse(&s->node, err, why);
    }
    return FL_OK;
}
