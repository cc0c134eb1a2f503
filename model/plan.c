/* SPDX-License-Identifier: Apache-2.0 */
#include "model/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "model/ops/op.h"
#include "model/place.h"

#define NONE UINT32_MAX  // no such node

enum { FUSED_POOL_MAX = 256 };

// What is known of a value, one a node. Views and nodes fused into a step
// have no memory of their own: `root` is the value that holds them.
typedef struct {
    uint32_t root;
    uint32_t maker;  // of a root: the layer that writes it
    uint32_t consumer_count;
    bool is_used;                    // the logits depend on it
    bool wants_grad;                 // parameters upstream
    uint32_t first, last;            // ticks of the data
    uint32_t grad_first, grad_last;  // ticks of the gradient
    fl_block *data, *grad;
} value;

typedef struct {
    const fl_op *op;
    uint32_t node, output;  // output: the last node fused into it
    bool has_backward;
    bool clears[FL_NODE_INPUTS_MAX];  // zero this input's gradient first
    fl_task task;
    fl_task_memory memory;
    fl_block *packed, *kept, *scratch;
} step;

struct fl_plan {
    fl_graph graph;
    const fl_kernels *kernels;
    uint32_t batch_cap;
    bool with_gradients;
    value *values;
    step *steps;
    uint32_t step_count;
    fl_block *blocks;
    uint32_t *block_nodes;  // for messages: whose block it is
    size_t block_count;
    float *arena;
    size_t arena_floats;
};

static uint32_t last_node(const fl_plan *plan)
{
    return plan->graph.node_count - 1;
}

/* ---- values ---- */

static void mark_used(fl_plan *plan)
{
    plan->values[last_node(plan)].is_used = true;
    for (uint32_t i = plan->graph.node_count; i-- > 0;) {
        const fl_node *node = &plan->graph.nodes[i];
        if (!plan->values[i].is_used) continue;
        for (uint32_t k = 0; k < node->input_count; k++) {
            plan->values[node->inputs[k]].is_used = true;
            plan->values[node->inputs[k]].consumer_count++;
        }
    }
}

static void mark_wanted_grads(fl_plan *plan)
{
    if (!plan->with_gradients) return;
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        const fl_node *node = &plan->graph.nodes[i];
        bool wanted = node->weight_count + node->bias_count > 0;
        for (uint32_t k = 0; k < node->input_count; k++) {
            wanted = wanted || plan->values[node->inputs[k]].wants_grad;
        }
        plan->values[i].wants_grad = wanted;
    }
}

/* ---- steps ---- */

// The node that is the only reader of value i, or NONE.
static uint32_t only_consumer(const fl_plan *plan, uint32_t i)
{
    if (plan->values[i].consumer_count != 1) return NONE;
    for (uint32_t k = i + 1; k < plan->graph.node_count; k++) {
        const fl_node *node = &plan->graph.nodes[k];
        for (uint32_t j = 0; plan->values[k].is_used && j < node->input_count;
             j++) {
            if (node->inputs[j] == i) return k;
        }
    }
    return NONE;
}

// Windows side by side, whole, and with room for the winner in one byte.
static bool can_fuse_pool(const fl_node *node)
{
    const fl_window *w = &node->window;
    return !w->pad_top && !w->pad_left && !w->pad_bottom && !w->pad_right &&
           w->kernel_h == w->stride_h && w->kernel_w == w->stride_w &&
           (uint64_t)w->kernel_h * w->kernel_w <= FUSED_POOL_MAX;
}

// ReLU before or behind the pool is the same: it does not change the order.
static void fuse(fl_plan *plan, step *s)
{
    fl_task *task = &s->task;
    for (;;) {
        const uint32_t next = only_consumer(plan, s->output);
        if (next == NONE) return;
        const fl_node *node = &plan->graph.nodes[next];
        if (node->op == FL_OP_RELU && s->op->takes_relu && !task->has_relu) {
            task->has_relu = true;
        } else if (node->op == FL_OP_MAXPOOL && s->op->takes_pool &&
                   !task->pool && can_fuse_pool(node)) {
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
    step *s = &plan->steps[plan->step_count++];
    *s = (step){.op = op, .node = i, .output = i};
    s->task.kernels = plan->kernels;
    s->task.node = node;
    fuse(plan, s);
    s->task.x_shape = plan->graph.nodes[node->inputs[0]].shape;
    s->task.y_shape = plan->graph.nodes[s->output].shape;
    s->task.constants = plan->graph.constants + node->constant_at;
    s->has_backward = plan->values[s->output].wants_grad;
    plan->values[s->output].root = s->output;
    plan->values[s->output].maker = i;
}

static void make_steps(fl_plan *plan)
{
    plan->values[0].root = 0;
    for (uint32_t i = 1; i < plan->graph.node_count; i++) {
        plan->values[i].root = NONE;
    }
    for (uint32_t i = 1; i < plan->graph.node_count; i++) {
        const fl_node *node = &plan->graph.nodes[i];
        const fl_op *op = fl_op_get(node->op);
        assert(op);  // fl_graph_add knew it
        value *v = &plan->values[i];
        if (!v->is_used || v->root != NONE) continue;
        // A node fused into an earlier step has a root already.
        if (op->is_view) {
            v->root = plan->values[node->inputs[0]].root;
        } else {
            add_step(plan, i, op);
        }
    }
}

/* ---- lifetimes ---- */

static uint32_t backward_tick(const fl_plan *plan, uint32_t step_index)
{
    return 2 * plan->step_count - step_index;
}

static void use_data(value *v, uint32_t tick)
{
    if (tick < v->first) v->first = tick;
    if (tick > v->last) v->last = tick;
}

static void use_grad(value *v, uint32_t tick)
{
    if (tick < v->grad_first) v->grad_first = tick;
    if (tick > v->grad_last) v->grad_last = tick;
}

static value *root_of(const fl_plan *plan, uint32_t i)
{
    return &plan->values[plan->values[i].root];
}

static void note_uses(fl_plan *plan)
{
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        plan->values[i].first = plan->values[i].grad_first = NONE;
    }
    use_data(&plan->values[0], 0);
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const step *s = &plan->steps[i];
        const fl_node *node = &plan->graph.nodes[s->node];
        const uint32_t back = backward_tick(plan, i);
        value *y = root_of(plan, s->output);
        use_data(y, i);
        if (s->has_backward) use_grad(y, back);
        if (s->has_backward && s->op->reads_output) use_data(y, back);
        for (uint32_t k = 0; k < node->input_count; k++) {
            value *x = root_of(plan, node->inputs[k]);
            use_data(x, i);
            if (!s->has_backward) continue;
            if (s->op->reads_input) use_data(x, back);
            if (x->wants_grad) use_grad(x, back);
        }
    }
    value *logits = root_of(plan, last_node(plan));
    use_data(logits, plan->step_count);
    if (plan->with_gradients) use_grad(logits, plan->step_count);
}

// In the order of backward: the first to touch a gradient zeroes it.
static void note_clears(fl_plan *plan)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        step *s = &plan->steps[i];
        const fl_node *node = &plan->graph.nodes[s->node];
        for (uint32_t k = 0; s->has_backward && k < node->input_count; k++) {
            const value *x = root_of(plan, node->inputs[k]);
            bool is_first =
                x->wants_grad && x->grad_first == backward_tick(plan, i);
            for (uint32_t j = 0; j < k; j++) {
                if (root_of(plan, node->inputs[j]) == x) is_first = false;
            }
            s->clears[k] = is_first;
        }
    }
}

/* ---- memory ---- */

static fl_err add_block(fl_plan *plan, fl_block **block, uint32_t node,
                        size_t floats, size_t times, uint32_t first,
                        uint32_t last)
{
    plan->block_nodes[plan->block_count] = node;
    *block = &plan->blocks[plan->block_count++];
    (*block)->first = first;
    (*block)->last = last;
    return fl_size_mul(&(*block)->floats, floats, times);
}

static fl_err add_value_blocks(fl_plan *plan)
{
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        value *v = &plan->values[i];
        if (v->root != i || v->first == NONE) continue;
        const size_t size = fl_shape_size(plan->graph.nodes[i].shape);
        FL_TRY(add_block(plan, &v->data, v->maker, size, plan->batch_cap,
                         v->first, v->last));
        if (v->grad_first == NONE) continue;
        FL_TRY(add_block(plan, &v->grad, v->maker, size, plan->batch_cap,
                         v->grad_first, v->grad_last));
    }
    return FL_OK;
}

static fl_err add_step_blocks(fl_plan *plan, uint32_t i)
{
    step *s = &plan->steps[i];
    assert(s->op);
    const bool with_backward = s->has_backward;
    const uint32_t back = with_backward ? backward_tick(plan, i) : i;
    if (s->op->memory) {
        FL_TRY(s->op->memory(&s->memory, &s->task, with_backward));
    }
    FL_TRY(add_block(plan, &s->packed, s->node, s->memory.packed, 1, 0,
                     2 * plan->step_count));
    FL_TRY(add_block(plan, &s->kept, s->node, s->memory.kept, plan->batch_cap,
                     i, back));
    // One block for both directions would span all ticks between them, but
    // scratch is small: what counts is that it is there at both.
    return add_block(plan, &s->scratch, s->node, s->memory.scratch, 1, i, back);
}

static fl_err refuse_memory(const fl_plan *plan, fl_reason *why)
{
    size_t largest = 0, sum = 0;
    for (size_t i = 0; i < plan->block_count; i++) {
        if (plan->blocks[i].floats > plan->blocks[largest].floats) largest = i;
        if (fl_size_add(&sum, sum, plan->blocks[i].floats)) sum = SIZE_MAX;
    }
    const fl_node *node = &plan->graph.nodes[plan->block_nodes[largest]];
    return fl_reason_set(why, FL_ERR_MEMORY,
                         "a batch of %u needs more memory than there is: up "
                         "to %zu bytes, %zu of them for node \"%s\" (%s); "
                         "lower the batch",
                         plan->batch_cap,
                         sum > SIZE_MAX / 4 ? SIZE_MAX : sum * 4,
                         plan->blocks[largest].floats > SIZE_MAX / 4
                             ? SIZE_MAX
                             : plan->blocks[largest].floats * 4,
                         node->name, fl_op_name(node->op));
}

static fl_err add_blocks(fl_plan *plan)
{
    FL_TRY(add_value_blocks(plan));
    for (uint32_t i = 0; i < plan->step_count; i++) {
        FL_TRY(add_step_blocks(plan, i));
    }
    FL_TRY(
        fl_place_blocks(plan->blocks, plan->block_count, &plan->arena_floats));
    plan->arena = aligned_alloc(64, plan->arena_floats * sizeof(float));
    return plan->arena ? FL_OK : FL_ERR_MEMORY;
}

static float *address(const fl_plan *plan, const fl_block *block)
{
    return block && block->floats ? plan->arena + block->at : NULL;
}

static void set_pointers(fl_plan *plan, step *s)
{
    fl_task *task = &s->task;
    const fl_node *node = &plan->graph.nodes[s->node];
    for (uint32_t k = 0; k < node->input_count; k++) {
        const value *x = root_of(plan, node->inputs[k]);
        task->x[k] = address(plan, x->data);
        task->dx[k] = address(plan, x->grad);
    }
    task->y = address(plan, root_of(plan, s->output)->data);
    task->dy = address(plan, root_of(plan, s->output)->grad);
    task->packed = address(plan, s->packed);
    task->kept = address(plan, s->kept);
    task->scratch = address(plan, s->scratch);
}

/* ---- life ---- */

static fl_err allocate_tables(fl_plan *plan)
{
    const size_t count = plan->graph.node_count;
    plan->values = calloc(count, sizeof *plan->values);
    plan->steps = calloc(count, sizeof *plan->steps);
    // A value has two blocks, a step three.
    plan->blocks = calloc(5 * count, sizeof *plan->blocks);
    plan->block_nodes = calloc(5 * count, sizeof *plan->block_nodes);
    const bool is_whole =
        plan->values && plan->steps && plan->blocks && plan->block_nodes;
    return is_whole ? FL_OK : FL_ERR_MEMORY;
}

static fl_err compile(fl_plan *plan, fl_reason *why)
{
    const fl_err err = allocate_tables(plan);
    if (err) return fl_reason_set(why, err, "no memory for a plan");
    mark_used(plan);
    mark_wanted_grads(plan);
    make_steps(plan);
    note_uses(plan);
    note_clears(plan);
    if (add_blocks(plan)) return refuse_memory(plan, why);
    for (uint32_t i = 0; i < plan->step_count; i++) {
        set_pointers(plan, &plan->steps[i]);
    }
    return FL_OK;
}

fl_err fl_plan_new(fl_plan **plan, const fl_graph *graph,
                   const fl_kernels *kernels, uint32_t batch_cap,
                   bool with_gradients, fl_reason *why)
{
    fl_plan *made = calloc(1, sizeof *made);
    fl_err err = made ? FL_OK : FL_ERR_MEMORY;
    if (!err) err = fl_graph_copy(&made->graph, graph);
    if (err) {
        free(made);
        return fl_reason_set(why, err, "no memory for a plan");
    }
    made->kernels = kernels;
    made->batch_cap = batch_cap;
    made->with_gradients = with_gradients;
    err = compile(made, why);
    if (err) {
        fl_plan_free(made);
        return err;
    }
    *plan = made;
    return FL_OK;
}

void fl_plan_free(fl_plan *plan)
{
    if (!plan) return;
    fl_graph_fini(&plan->graph);
    free(plan->values);
    free(plan->steps);
    free(plan->blocks);
    free(plan->block_nodes);
    free(plan->arena);
    free(plan);
}

const fl_graph *fl_plan_graph(const fl_plan *plan)
{
    return &plan->graph;
}

size_t fl_plan_bytes(const fl_plan *plan)
{
    return plan->arena_floats * sizeof(float);
}

uint32_t fl_plan_step_count(const fl_plan *plan)
{
    return plan->step_count;
}

float *fl_plan_input(const fl_plan *plan)
{
    return address(plan, plan->values[0].data);
}

float *fl_plan_logits(const fl_plan *plan)
{
    return address(plan, root_of(plan, last_node(plan))->data);
}

float *fl_plan_logits_grad(const fl_plan *plan)
{
    return address(plan, root_of(plan, last_node(plan))->grad);
}

/* ---- running ---- */

void fl_plan_load(fl_plan *plan, const float *params)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        step *s = &plan->steps[i];
        const fl_node *node = &plan->graph.nodes[s->node];
        s->task.weight = params + node->weight_at;
        s->task.bias = node->bias_count ? params + node->bias_at : NULL;
        if (s->op->load) s->op->load(&s->task, s->has_backward);
    }
}

void fl_plan_forward(fl_plan *plan, uint32_t count)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        step *s = &plan->steps[i];
        s->task.count = count;
        s->op->forward(&s->task, s->has_backward);
    }
}

void fl_plan_backward(fl_plan *plan, float *grads, uint32_t count)
{
    for (uint32_t i = plan->step_count; i-- > 0;) {
        step *s = &plan->steps[i];
        if (!s->has_backward) continue;
        const fl_node *node = &plan->graph.nodes[s->node];
        for (uint32_t k = 0; k < node->input_count; k++) {
            if (!s->clears[k]) continue;
            const size_t size =
                fl_shape_size(plan->graph.nodes[node->inputs[k]].shape);
            memset(s->task.dx[k], 0, count * size * sizeof(float));
        }
        s->task.weight_grad = grads + node->weight_at;
        s->task.bias_grad = node->bias_count ? grads + node->bias_at : NULL;
        s->op->backward(&s->task);
    }
}
