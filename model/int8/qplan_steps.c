/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/int8/qplan_core.h"
#include "model/int8/sharing.h"

static bool is_same_quant(fl_quant a, fl_quant b)
{
    return a.scale >= b.scale && a.scale <= b.scale &&
           a.zero_point == b.zero_point;
}

static bool makes_sums(fl_op_kind op)
{
    return op == FL_OP_CONV || op == FL_OP_DENSE || op == FL_OP_ADD ||
           op == FL_OP_MUL;
}

static bool clamps(fl_op_kind op)
{
    return op == FL_OP_RELU || op == FL_OP_RELU6;
}

// Windows side by side and whole, so that rows can be pooled as they come.
static bool is_tiling(const fl_window *w)
{
    return w->pad_top + w->pad_left + w->pad_bottom + w->pad_right == 0 &&
           w->kernel_h == w->stride_h && w->kernel_w == w->stride_w;
}

// Of a result, as in fl_qresult; of logits without an activation: none.
static void set_bounds(fl_qstep *s, fl_quant y)
{
    const bool has_bytes = y.scale > 0.0F;
    s->low = has_bytes ? (float)-y.zero_point : -INFINITY;
    s->high = has_bytes ? (float)(255 - y.zero_point) : INFINITY;
}

static void narrow_bounds(fl_qstep *s, fl_op_kind op, fl_quant y)
{
    s->low = fmaxf(s->low, 0.0F);
    if (op != FL_OP_RELU6) return;
    const double six = y.scale > 0.0F ? nearbyint(6.0 / (double)y.scale) : 6.0;
    s->high = fminf(s->high, (float)six);
}

static void append_op(fl_qstep *s, fl_op_kind op)
{
    const size_t len = strlen(s->op);
    snprintf(s->op + len, sizeof s->op - len, "%s%s", len ? "+" : "",
             fl_op_name(op));
}

// Takes the clamping activations and the pool behind a step into it.
static void fuse(fl_qplan *plan, fl_qstep *s)
{
    for (;;) {
        const uint32_t next = plan->readers[s->output].only;
        if (next == FL_GRAPH_NONE || !makes_sums(s->node.op)) return;
        const fl_node *node = &plan->graph.nodes[next];
        const fl_quant quant = fl_qplan_quants(plan)[next];
        if (!is_same_quant(fl_qplan_quants(plan)[s->output], quant)) return;
        if (clamps(node->op)) {
            narrow_bounds(s, node->op, quant);
        } else if (node->op == FL_OP_MAXPOOL && s->node.op == FL_OP_CONV &&
                   !s->has_pool && !fl_qplan_is_float(plan, next) &&
                   is_tiling(&node->window)) {
            s->has_pool = true;
            s->pool = node->window;
        } else {
            return;
        }
        append_op(s, node->op);
        plan->values[s->output].root = next;  // fused: never looked up
        s->output = next;
    }
}

static bool is_float_layer(const fl_qplan *plan, uint32_t i)
{
    return fl_int8_is_float_layer(plan->context.model, i);
}

// Takes what reads floats behind a layer in float32 into its step.
static void follow_chain(fl_qplan *plan, fl_qstep *s)
{
    s->is_chain = true;
    while (fl_qplan_is_float(plan, s->output)) {
        const uint32_t next = plan->readers[s->output].only;
        if (next == FL_GRAPH_NONE) return;
        const fl_op_kind op = plan->graph.nodes[next].op;
        if (!fl_sharing_follows(op) && !is_float_layer(plan, next)) return;
        append_op(s, op);
        plan->values[s->output].root = next;  // fused: never looked up
        s->output = next;
    }
}

static void add_step(fl_qplan *plan, uint32_t i)
{
    fl_qstep *s = &plan->steps[plan->step_count++];
    s->node = plan->graph.nodes[i];
    s->index = s->output = i;
    s->sums = s->node.shape;
    s->param_count = s->node.weight_count + s->node.bias_count;
    s->precision = fl_int8_precision(plan->context.model, i);
    set_bounds(s, fl_qplan_quants(plan)[i]);
    append_op(s, s->node.op);
    if (is_float_layer(plan, i)) {
        follow_chain(plan, s);
    } else {
        fuse(plan, s);
    }
    plan->values[s->output].root = s->output;
}

void fl_qplan_make_steps(fl_qplan *plan)
{
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        plan->values[i].root = FL_GRAPH_NONE;
    }
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        const fl_node *node = &plan->graph.nodes[i];
        fl_qplan_value *v = &plan->values[i];
        if (!plan->readers[i].count || fl_qplan_is_in_front(plan, i)) continue;
        if (v->root != FL_GRAPH_NONE) continue;
        if (node->op == FL_OP_FLATTEN) {
            const uint32_t root = plan->values[node->inputs[0]].root;
            v->root = root;
            if (root != FL_GRAPH_NONE) plan->values[root].is_viewed = true;
        } else {
            add_step(plan, i);
        }
    }
    const uint32_t last = fl_qplan_last_node(plan);
    if (fl_qplan_is_float(plan, last)) return;
    // Bytes at the end: a step more brings them back to floats.
    fl_qstep *s = &plan->steps[plan->step_count++];
    s->node = plan->graph.nodes[last];
    s->node.op = FL_OP_FLATTEN;
    s->node.inputs[0] = last;
    s->node.input_count = 1;
    s->index = s->output = last;
    snprintf(s->op, sizeof s->op, "DequantizeLinear");
}
