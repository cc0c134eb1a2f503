/* SPDX-License-Identifier: Apache-2.0 */
#include "model/plan_core.h"

// Backward reads what forward made, or what is made again for it.
static void use_in_backward(fl_plan *plan, fl_plan_value *v, uint32_t tick)
{
    if (fl_plan_is_rerun(plan, v)) {
        fl_span_widen(&v->again_used, tick);
    } else {
        fl_span_widen(&v->data_used, tick);
    }
}

// A step whose output only others' backward reads, and whose own inputs are
// kept anyway.
static bool can_rerun(const fl_plan *plan, const fl_plan_step *s)
{
    if (!plan->options.recompute || !s->has_backward) return false;
    if (!s->op->is_cheap || s->output == fl_plan_last_node(plan)) return false;
    const fl_node *node = &plan->graph.nodes[s->node];
    for (uint32_t k = 0; k < node->input_count; k++) {
        const fl_plan_value *x = fl_plan_root(plan, node->inputs[k]);
        if (fl_plan_is_rerun(plan, x)) return false;
    }
    return true;
}

static void note_forward_uses(fl_plan *plan, uint32_t i)
{
    const fl_plan_step *s = &plan->steps[i];
    const fl_node *node = &plan->graph.nodes[s->node];
    fl_plan_value *y = fl_plan_root(plan, s->output);
    fl_span_widen(&y->data_used, i);
    for (uint32_t k = 0; k < node->input_count; k++) {
        fl_span_widen(&fl_plan_root(plan, node->inputs[k])->data_used, i);
    }
}

static bool reads_output(const fl_plan_step *s)
{
    return s->op->reads_output ||
           (s->task.act && s->op->takes_act == FL_FUSE_BY_OUTPUT);
}

static void note_backward_uses(fl_plan *plan, uint32_t i)
{
    const fl_plan_step *s = &plan->steps[i];
    const fl_node *node = &plan->graph.nodes[s->node];
    const uint32_t back = fl_plan_backward_tick(plan, i);
    fl_plan_value *y = fl_plan_root(plan, s->output);
    if (!s->has_backward) return;
    fl_span_widen(&y->grad_used, back);
    if (reads_output(s)) use_in_backward(plan, y, back);
    for (uint32_t k = 0; k < node->input_count; k++) {
        fl_plan_value *x = fl_plan_root(plan, node->inputs[k]);
        if (s->op->reads_input) use_in_backward(plan, x, back);
        if (x->wants_grad) fl_span_widen(&x->grad_used, back);
    }
}

// The first tick at which backward wants it decides who makes it again.
static void note_rerun(fl_plan *plan, fl_plan_step *s)
{
    const fl_plan_value *y = fl_plan_root(plan, s->output);
    const fl_node *node = &plan->graph.nodes[s->node];
    const uint32_t tick = y->again_used.first;
    if (!s->is_rerun || tick == FL_SPAN_NEVER) return;
    s->rerun_before = 2 * plan->step_count - tick;
    for (uint32_t k = 0; k < node->input_count; k++) {
        fl_span_widen(&fl_plan_root(plan, node->inputs[k])->data_used, tick);
    }
}

static void note_uses(fl_plan *plan)
{
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        fl_plan_value *v = &plan->values[i];
        v->data_used = v->again_used = v->grad_used =
            (fl_span){.first = FL_SPAN_NEVER};
    }
    fl_span_widen(&plan->values[0].data_used, 0);
    for (uint32_t i = 0; i < plan->step_count; i++) {
        plan->steps[i].is_rerun = can_rerun(plan, &plan->steps[i]);
    }
    for (uint32_t i = 0; i < plan->step_count; i++) {
        note_forward_uses(plan, i);
        note_backward_uses(plan, i);
    }
    for (uint32_t i = 0; i < plan->step_count; i++) {
        note_rerun(plan, &plan->steps[i]);
    }
    fl_plan_value *logits = fl_plan_root(plan, fl_plan_last_node(plan));
    fl_span_widen(&logits->data_used, plan->step_count);
    if (plan->options.with_gradients) {
        fl_span_widen(&logits->grad_used, plan->step_count);
    }
}

// In the order of backward: the first to touch a gradient writes it.
static void note_fresh(fl_plan *plan)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        fl_plan_step *s = &plan->steps[i];
        const fl_node *node = &plan->graph.nodes[s->node];
        const uint32_t back = fl_plan_backward_tick(plan, i);
        for (uint32_t k = 0; s->has_backward && k < node->input_count; k++) {
            const fl_plan_value *x = fl_plan_root(plan, node->inputs[k]);
            bool is_first = x->wants_grad && x->grad_used.first == back;
            for (uint32_t j = 0; j < k; j++) {
                if (fl_plan_root(plan, node->inputs[j]) == x) is_first = false;
            }
            s->is_fresh[k] = is_first;
        }
    }
}

void fl_plan_note_lifetimes(fl_plan *plan)
{
    note_uses(plan);
    note_fresh(plan);
}
