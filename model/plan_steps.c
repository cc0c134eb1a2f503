/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "model/plan_core.h"

enum { FUSED_POOL_MAX = 256 };

static bool is_frozen(const fl_plan *plan, uint32_t i)
{
    return plan->options.frozen && plan->options.frozen[i];
}

static void mark_wanted_grads(fl_plan *plan)
{
    if (!plan->options.with_gradients) return;
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        const fl_node *node = &plan->graph.nodes[i];
        bool wanted =
            node->weight_count + node->bias_count > 0 && !is_frozen(plan, i);
        for (uint32_t k = 0; k < node->input_count; k++) {
            wanted = wanted || plan->values[node->inputs[k]].wants_grad;
        }
        plan->values[i].wants_grad = wanted;
    }
}

// Windows side by side, whole, and with room for the winner in one byte.
static bool is_simple_pool(const fl_node *node)
{
    const fl_window *w = &node->window;
    return !w->pad_top && !w->pad_left && !w->pad_bottom && !w->pad_right &&
           w->kernel_h == w->stride_h && w->kernel_w == w->stride_w &&
           (uint64_t)w->kernel_h * w->kernel_w <= FUSED_POOL_MAX;
}

static bool can_fuse_act(const fl_plan *plan, const fl_plan_step *s,
                         const fl_op *act)
{
    if (!act->is_activation || s->task.act) return false;
    // A pool that is there already keeps the order that ReLU keeps too.
    if (s->task.pool && act != &fl_relu_op) return false;
    if (s->op->takes_act == FL_FUSE_ANY) return true;
    return s->op->takes_act == FL_FUSE_BY_OUTPUT &&
           (!plan->options.with_gradients || act->is_by_output);
}

static bool can_fuse_pool(const fl_plan_step *s, const fl_node *node)
{
    return node->op == FL_OP_MAXPOOL && s->op->takes_pool && !s->task.pool &&
           (!s->task.act || s->task.act->op == FL_OP_RELU) &&
           is_simple_pool(node);
}

// ReLU before or behind the pool is the same: it does not change the order.
static void fuse(fl_plan *plan, fl_plan_step *s)
{
    fl_task *task = &s->task;
    if (plan->options.is_unfused) return;
    for (;;) {
        const uint32_t next = plan->readers[s->output].only;
        if (next == FL_GRAPH_NONE) return;
        const fl_node *node = &plan->graph.nodes[next];
        if (can_fuse_act(plan, s, fl_op_get(node->op))) {
            task->act = node;
        } else if (can_fuse_pool(s, node)) {
            task->pool = &node->window;
            task->pool_input = plan->graph.nodes[s->output].shape;
        } else {
            return;
        }
        plan->values[s->output].root = next;  // fused: never looked up
        s->output = next;
    }
}

static void add_step(fl_plan *plan, uint32_t i, const fl_op *op)
{
    const fl_node *node = &plan->graph.nodes[i];
    fl_plan_value *made;
    fl_plan_step *s = &plan->steps[plan->step_count];
    *s = (fl_plan_step){
        .op = op, .node = i, .output = i, .rerun_before = FL_SPAN_NEVER};
    s->task.kernels = plan->kernels;
    s->task.node = node;
    s->task.node_number = i;
    fuse(plan, s);
    for (uint32_t k = 0; k < node->input_count; k++) {
        s->task.x_shapes[k] = plan->graph.nodes[node->inputs[k]].shape;
    }
    s->task.x_shape = s->task.x_shapes[0];
    s->task.y_shape = plan->graph.nodes[s->output].shape;
    s->task.constants = plan->graph.constants + node->constant_at;
    s->task.lane_count = plan->lane_count;
    s->task.count = plan->lane_cap;  // when memory is planned
    s->is_frozen = is_frozen(plan, i);
    made = &plan->values[s->output];
    s->has_backward = made->wants_grad;
    made->root = s->output;
    made->maker = i;
    made->step = plan->step_count++;
}

void fl_plan_make_steps(fl_plan *plan)
{
    mark_wanted_grads(plan);
    plan->values[0].root = 0;
    for (uint32_t i = 1; i < plan->graph.node_count; i++) {
        plan->values[i].root = FL_GRAPH_NONE;
    }
    for (uint32_t i = 1; i < plan->graph.node_count; i++) {
        const fl_node *node = &plan->graph.nodes[i];
        const fl_op *op = fl_op_get(node->op);
        assert(op);  // fl_graph_add knew it
        fl_plan_value *v = &plan->values[i];
        // A node fused into an earlier step has a root already.
        if (!plan->readers[i].count || v->root != FL_GRAPH_NONE) continue;
        if (op->is_view) {
            v->root = plan->values[node->inputs[0]].root;
        } else {
            add_step(plan, i, op);
        }
    }
}
