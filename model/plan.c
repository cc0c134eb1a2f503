/* SPDX-License-Identifier: Apache-2.0 */
#include "model/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "model/int8/quantize.h"
#include "model/ops/op.h"
#include "model/place.h"

enum { FUSED_POOL_MAX = 256 };

// What is known of a value, one a node. Views and nodes fused into a step
// have no memory of their own: `root` is the value that holds them.
typedef struct {
    uint32_t root;
    uint32_t maker;   // of a root: the node of the step that writes it
    uint32_t step;    // of a root: that step's number
    bool wants_grad;  // parameters upstream
    // Of the data, of the data computed again, of the gradient.
    fl_span data_used, again_used, grad_used;
    fl_block *data, *again, *grad;
} value;

typedef struct {
    const fl_op *op;
    uint32_t node, output;  // output: the last node fused into it
    bool has_backward;
    bool is_frozen;  // its parameters and statistics stay as they are
    bool is_rerun;   // forgets its output and makes it again in backward ...
    uint32_t rerun_before;              // ... before this step's; FL_SPAN_NEVER
    bool is_fresh[FL_NODE_INPUTS_MAX];  // of backward, see fl_task
    fl_task task;                       // what all lanes share
    fl_task_memory memory;
    size_t packed_at, shared_at;  // floats, in `common`
    size_t rounded_at;            // the same: of a node with x_scale
    fl_block *kept, *scratch, *back_scratch;
} step;

// A step as one lane runs it.
typedef struct {
    fl_task forward, backward;
} lane_task;

struct fl_plan {
    fl_graph graph;
    const fl_kernels *kernels;
    fl_plan_options options;
    uint32_t lane_count, lane_cap;  // lane_cap: examples of one lane
    fl_readers *readers;            // one a value
    value *values;
    step *steps;
    uint32_t step_count;
    fl_block *blocks;
    size_t block_count;
    float *common;  // of all lanes: packed weights and shared sums
    size_t common_floats;
    bool rounds_weights;
    float *arenas;  // one a lane
    size_t arena_floats;
    lane_task *tasks;  // (lane_count, step_count)
};

static uint32_t last_node(const fl_plan *plan)
{
    return plan->graph.node_count - 1;
}

/* ---- values ---- */

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

/* ---- steps ---- */

// Windows side by side, whole, and with room for the winner in one byte.
static bool is_simple_pool(const fl_node *node)
{
    const fl_window *w = &node->window;
    return !w->pad_top && !w->pad_left && !w->pad_bottom && !w->pad_right &&
           w->kernel_h == w->stride_h && w->kernel_w == w->stride_w &&
           (uint64_t)w->kernel_h * w->kernel_w <= FUSED_POOL_MAX;
}

static bool can_fuse_act(const fl_plan *plan, const step *s, const fl_op *act)
{
    if (!act->is_activation || s->task.act) return false;
    // A pool that is there already keeps the order that ReLU keeps too.
    if (s->task.pool && act != &fl_relu_op) return false;
    if (s->op->takes_act == FL_FUSE_ANY) return true;
    return s->op->takes_act == FL_FUSE_BY_OUTPUT &&
           (!plan->options.with_gradients || act->is_by_output);
}

static bool can_fuse_pool(const step *s, const fl_node *node)
{
    return node->op == FL_OP_MAXPOOL && s->op->takes_pool && !s->task.pool &&
           (!s->task.act || s->task.act->op == FL_OP_RELU) &&
           is_simple_pool(node);
}

// ReLU before or behind the pool is the same: it does not change the order.
static void fuse(fl_plan *plan, step *s)
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
    value *made;
    step *s = &plan->steps[plan->step_count];
    *s =
        (step){.op = op, .node = i, .output = i, .rerun_before = FL_SPAN_NEVER};
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

static void make_steps(fl_plan *plan)
{
    plan->values[0].root = 0;
    for (uint32_t i = 1; i < plan->graph.node_count; i++) {
        plan->values[i].root = FL_GRAPH_NONE;
    }
    for (uint32_t i = 1; i < plan->graph.node_count; i++) {
        const fl_node *node = &plan->graph.nodes[i];
        const fl_op *op = fl_op_get(node->op);
        assert(op);  // fl_graph_add knew it
        value *v = &plan->values[i];
        // A node fused into an earlier step has a root already.
        if (!plan->readers[i].count || v->root != FL_GRAPH_NONE) continue;
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

static value *root_of(const fl_plan *plan, uint32_t i)
{
    return &plan->values[plan->values[i].root];
}

static bool is_rerun(const fl_plan *plan, const value *v)
{
    return v->root != 0 && plan->steps[v->step].is_rerun;
}

// Backward reads what forward made, or what is made again for it.
static void use_in_backward(fl_plan *plan, value *v, uint32_t tick)
{
    if (is_rerun(plan, v)) {
        fl_span_widen(&v->again_used, tick);
    } else {
        fl_span_widen(&v->data_used, tick);
    }
}

// A step whose output only others' backward reads, and whose own inputs are
// kept anyway.
static bool can_rerun(const fl_plan *plan, const step *s)
{
    if (!plan->options.recompute || !s->has_backward) return false;
    if (!s->op->is_cheap || s->output == last_node(plan)) return false;
    const fl_node *node = &plan->graph.nodes[s->node];
    for (uint32_t k = 0; k < node->input_count; k++) {
        if (is_rerun(plan, root_of(plan, node->inputs[k]))) return false;
    }
    return true;
}

static void note_forward_uses(fl_plan *plan, uint32_t i)
{
    const step *s = &plan->steps[i];
    const fl_node *node = &plan->graph.nodes[s->node];
    value *y = root_of(plan, s->output);
    fl_span_widen(&y->data_used, i);
    for (uint32_t k = 0; k < node->input_count; k++) {
        fl_span_widen(&root_of(plan, node->inputs[k])->data_used, i);
    }
}

static bool reads_output(const step *s)
{
    return s->op->reads_output ||
           (s->task.act && s->op->takes_act == FL_FUSE_BY_OUTPUT);
}

static void note_backward_uses(fl_plan *plan, uint32_t i)
{
    const step *s = &plan->steps[i];
    const fl_node *node = &plan->graph.nodes[s->node];
    const uint32_t back = backward_tick(plan, i);
    value *y = root_of(plan, s->output);
    if (!s->has_backward) return;
    fl_span_widen(&y->grad_used, back);
    if (reads_output(s)) use_in_backward(plan, y, back);
    for (uint32_t k = 0; k < node->input_count; k++) {
        value *x = root_of(plan, node->inputs[k]);
        if (s->op->reads_input) use_in_backward(plan, x, back);
        if (x->wants_grad) fl_span_widen(&x->grad_used, back);
    }
}

// The first tick at which backward wants it decides who makes it again.
static void note_rerun(fl_plan *plan, step *s)
{
    const value *y = root_of(plan, s->output);
    const fl_node *node = &plan->graph.nodes[s->node];
    const uint32_t tick = y->again_used.first;
    if (!s->is_rerun || tick == FL_SPAN_NEVER) return;
    s->rerun_before = 2 * plan->step_count - tick;
    for (uint32_t k = 0; k < node->input_count; k++) {
        fl_span_widen(&root_of(plan, node->inputs[k])->data_used, tick);
    }
}

static void note_uses(fl_plan *plan)
{
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        value *v = &plan->values[i];
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
    value *logits = root_of(plan, last_node(plan));
    fl_span_widen(&logits->data_used, plan->step_count);
    if (plan->options.with_gradients) {
        fl_span_widen(&logits->grad_used, plan->step_count);
    }
}

// In the order of backward: the first to touch a gradient writes it.
static void note_fresh(fl_plan *plan)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        step *s = &plan->steps[i];
        const fl_node *node = &plan->graph.nodes[s->node];
        for (uint32_t k = 0; s->has_backward && k < node->input_count; k++) {
            const value *x = root_of(plan, node->inputs[k]);
            bool is_first =
                x->wants_grad && x->grad_used.first == backward_tick(plan, i);
            for (uint32_t j = 0; j < k; j++) {
                if (root_of(plan, node->inputs[j]) == x) is_first = false;
            }
            s->is_fresh[k] = is_first;
        }
    }
}

/* ---- memory ---- */

static fl_err add_block(fl_plan *plan, fl_block **block, uint32_t node,
                        size_t floats, size_t times, fl_span used)
{
    *block = &plan->blocks[plan->block_count++];
    **block = (fl_block){.used = used, .node = node};
    return fl_size_mul(&(*block)->floats, floats, times);
}

// Of one of the arrays of a value, if it is in use at all.
static fl_err add_value_block(fl_plan *plan, fl_block **block, uint32_t node,
                              size_t size, fl_span used)
{
    if (used.first == FL_SPAN_NEVER) return FL_OK;
    return add_block(plan, block, node, size, plan->lane_cap, used);
}

static fl_err add_value_blocks(fl_plan *plan)
{
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        value *v = &plan->values[i];
        if (v->root != i) continue;
        const size_t n = fl_shape_size(plan->graph.nodes[i].shape);
        FL_TRY(add_value_block(plan, &v->data, v->maker, n, v->data_used));
        FL_TRY(add_value_block(plan, &v->again, v->maker, n, v->again_used));
        FL_TRY(add_value_block(plan, &v->grad, v->maker, n, v->grad_used));
    }
    return FL_OK;
}

static fl_err add_step_blocks(fl_plan *plan, uint32_t i)
{
    step *s = &plan->steps[i];
    assert(s->op);
    const uint32_t back = s->has_backward ? backward_tick(plan, i) : i;
    if (s->op->memory) {
        FL_TRY(s->op->memory(&s->memory, &s->task, s->has_backward));
    }
    assert(!s->is_rerun || s->memory.scratch == 0);
    FL_TRY(add_block(plan, &s->kept, s->node, s->memory.kept, plan->lane_cap,
                     (fl_span){i, back}));
    FL_TRY(add_block(plan, &s->scratch, s->node, s->memory.scratch, 1,
                     (fl_span){i, i}));
    return add_block(plan, &s->back_scratch, s->node, s->memory.scratch, 1,
                     (fl_span){back, back});
}

// What all lanes share lives as long as the plan: one area after the other.
static fl_err add_common(fl_plan *plan, size_t *at, size_t floats)
{
    enum { UNIT = 16 };  // 64 bytes
    *at = plan->common_floats;
    FL_TRY(fl_size_add(&floats, floats, UNIT - 1));
    return fl_size_add(&plan->common_floats, plan->common_floats,
                       floats / UNIT * UNIT);
}

static bool rounds_weights(const step *s)
{
    return s->task.node->x_scale > 0.0F;
}

static fl_err add_step_common(fl_plan *plan, step *s)
{
    size_t shared;
    FL_TRY(add_common(plan, &s->packed_at, s->memory.packed));
    FL_TRY(fl_size_mul(&shared, s->memory.shared, plan->lane_count));
    FL_TRY(add_common(plan, &s->shared_at, shared));
    if (!rounds_weights(s)) return FL_OK;
    plan->rounds_weights = true;
    return add_common(plan, &s->rounded_at, s->task.node->weight_count);
}

static fl_err refuse_memory(const fl_plan *plan, fl_reason *why)
{
    return fl_place_refuse(plan->blocks, plan->block_count, plan->common_floats,
                           &plan->graph, plan->options.batch_cap, why);
}

static float *allocate(size_t floats, size_t times)
{
    size_t bytes;
    if (fl_size_mul(&bytes, floats, times * sizeof(float))) return NULL;
    return aligned_alloc(64, bytes ? bytes : 64);
}

static fl_err check_cap(const fl_plan *plan, fl_reason *why)
{
    const fl_plan_options *o = &plan->options;
    size_t bytes;
    if (o->bytes_cap == 0) return FL_OK;
    if (fl_size_mul(&bytes, plan->arena_floats, plan->lane_count) ||
        fl_size_add(&bytes, bytes, plan->common_floats) ||
        fl_size_mul(&bytes, bytes, sizeof(float)) ||
        fl_size_add(&bytes, bytes, o->bytes_beside)) {
        bytes = SIZE_MAX;
    }
    if (bytes <= o->bytes_cap) return FL_OK;
    return fl_reason_set(why, FL_ERR_LIMIT,
                         "a batch of %u takes %.1f MB of memory, %.1f MB are "
                         "allowed",
                         o->batch_cap, (double)bytes / 1e6,
                         (double)o->bytes_cap / 1e6);
}

static fl_err place_blocks(fl_plan *plan)
{
    FL_TRY(add_value_blocks(plan));
    for (uint32_t i = 0; i < plan->step_count; i++) {
        FL_TRY(add_step_blocks(plan, i));
        FL_TRY(add_step_common(plan, &plan->steps[i]));
    }
    return fl_place_blocks(plan->blocks, plan->block_count,
                           &plan->arena_floats);
}

static fl_err allocate_blocks(fl_plan *plan)
{
    plan->common = allocate(plan->common_floats, 1);
    plan->arenas = allocate(plan->arena_floats, plan->lane_count);
    return plan->common && plan->arenas ? FL_OK : FL_ERR_MEMORY;
}

static float *address(const fl_plan *plan, uint32_t lane, const fl_block *block)
{
    if (!block || block->floats == 0) return NULL;
    return plan->arenas + lane * plan->arena_floats + block->at;
}

// Where backward finds a value.
static const fl_block *kept_data(const fl_plan *plan, const value *v)
{
    return is_rerun(plan, v) ? v->again : v->data;
}

static void set_pointers(fl_plan *plan, uint32_t lane, uint32_t i)
{
    const step *s = &plan->steps[i];
    const fl_node *node = &plan->graph.nodes[s->node];
    const value *y = root_of(plan, s->output);
    lane_task *t = &plan->tasks[lane * plan->step_count + i];
    fl_task task = s->task;
    task.lane = lane;
    task.packed = plan->common + s->packed_at;
    task.shared = plan->common + s->shared_at;
    task.kept = address(plan, lane, s->kept);
    t->forward = t->backward = task;

    t->forward.y = address(plan, lane, y->data);
    t->forward.scratch = address(plan, lane, s->scratch);
    t->backward.y = address(plan, lane, kept_data(plan, y));
    t->backward.dy = address(plan, lane, y->grad);
    t->backward.scratch = address(plan, lane, s->back_scratch);
    for (uint32_t k = 0; k < node->input_count; k++) {
        const value *x = root_of(plan, node->inputs[k]);
        t->forward.x[k] = address(plan, lane, x->data);
        t->backward.x[k] = address(plan, lane, kept_data(plan, x));
        t->backward.dx[k] = address(plan, lane, x->grad);
        t->backward.is_fresh[k] = s->is_fresh[k];
        // Forward and load only ask whether backward will want it.
        t->forward.dx[k] = t->backward.dx[k];
    }
}

/* ---- life ---- */

static fl_err allocate_tables(fl_plan *plan)
{
    const size_t count = plan->graph.node_count;
    plan->readers = calloc(count, sizeof *plan->readers);
    plan->values = calloc(count, sizeof *plan->values);
    plan->steps = calloc(count, sizeof *plan->steps);
    // A value has three blocks at most, and so has a step.
    plan->blocks = calloc(6 * count, sizeof *plan->blocks);
    plan->tasks = calloc(count * plan->lane_count, sizeof *plan->tasks);
    const bool is_whole = plan->readers && plan->values && plan->steps &&
                          plan->blocks && plan->tasks;
    return is_whole ? FL_OK : FL_ERR_MEMORY;
}

static fl_err compile(fl_plan *plan, fl_reason *why)
{
    const fl_err err = allocate_tables(plan);
    if (err) return fl_reason_set(why, err, "no memory for a plan");
    fl_graph_find_readers(plan->readers, &plan->graph);
    mark_wanted_grads(plan);
    make_steps(plan);
    note_uses(plan);
    note_fresh(plan);
    if (place_blocks(plan)) return refuse_memory(plan, why);
    FL_TRY(check_cap(plan, why));
    if (allocate_blocks(plan)) return refuse_memory(plan, why);
    for (uint32_t lane = 0; lane < plan->lane_count; lane++) {
        for (uint32_t i = 0; i < plan->step_count; i++) {
            set_pointers(plan, lane, i);
        }
    }
    return FL_OK;
}

fl_err fl_plan_new(fl_plan **plan, const fl_graph *graph,
                   const fl_kernels *kernels, const fl_plan_options *options,
                   fl_reason *why)
{
    fl_plan *made = calloc(1, sizeof *made);
    fl_err err = made ? FL_OK : FL_ERR_MEMORY;
    if (!err) err = fl_graph_copy(&made->graph, graph);
    if (err) {
        free(made);
        return fl_reason_set(why, err, "no memory for a plan");
    }
    made->kernels = kernels;
    made->options = *options;
    made->lane_count = options->team ? fl_team_size(options->team) : 1;
    // Shares of a whole batch differ by one example at most.
    made->lane_cap = options->batch_cap / made->lane_count +
                     (options->batch_cap % made->lane_count != 0);
    err = compile(made, why);
    made->options.frozen = NULL;  // borrowed for this call only
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
    free(plan->readers);
    free(plan->values);
    free(plan->steps);
    free(plan->blocks);
    free(plan->tasks);
    free(plan->common);
    free(plan->arenas);
    free(plan);
}

const fl_graph *fl_plan_graph(const fl_plan *plan)
{
    return &plan->graph;
}

size_t fl_plan_bytes(const fl_plan *plan)
{
    return (plan->common_floats + plan->lane_count * plan->arena_floats) *
           sizeof(float);
}

uint32_t fl_plan_step_count(const fl_plan *plan)
{
    return plan->step_count;
}

uint32_t fl_plan_share(const fl_plan *plan, uint32_t count, uint32_t lane)
{
    return (uint32_t)((uint64_t)count * lane / plan->lane_count);
}

float *fl_plan_input(const fl_plan *plan, uint32_t lane)
{
    return address(plan, lane, plan->values[0].data);
}

float *fl_plan_logits(const fl_plan *plan, uint32_t lane)
{
    return address(plan, lane, root_of(plan, last_node(plan))->data);
}

float *fl_plan_logits_grad(const fl_plan *plan, uint32_t lane)
{
    return address(plan, lane, root_of(plan, last_node(plan))->grad);
}

/* ---- running ---- */

static void wait_for_all(const fl_plan *plan)
{
    if (plan->options.team) fl_team_wait(plan->options.team);
}

// Every lane its share of the steps. The gradient of what is rounded here
// counts as that of the parameters themselves.
static void round_weights(const fl_plan *plan, uint32_t lane,
                          const float *params)
{
    for (uint32_t i = lane; i < plan->step_count; i += plan->lane_count) {
        const step *s = &plan->steps[i];
        if (!rounds_weights(s)) continue;
        fl_quantize_round(plan->common + s->rounded_at, s->task.node, params);
    }
    wait_for_all(plan);
}

static void set_params(const fl_plan *plan, const step *s, fl_task *task,
                       const float *params)
{
    const fl_node *node = task->node;
    task->weight = rounds_weights(s) ? plan->common + s->rounded_at
                                     : params + node->weight_at;
    task->bias = node->bias_count ? params + node->bias_at : NULL;
    task->stats = node->stats_count ? params + node->stats_at : NULL;
}

void fl_plan_load(fl_plan *plan, uint32_t lane, const float *params)
{
    if (plan->rounds_weights) round_weights(plan, lane, params);
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const step *s = &plan->steps[i];
        lane_task *t = &plan->tasks[lane * plan->step_count + i];
        set_params(plan, s, &t->forward, params);
        set_params(plan, s, &t->backward, params);
        const bool is_mine = s->op->shares_load || i % plan->lane_count == lane;
        if (s->op->load && is_mine) {
            s->op->load(&t->forward, s->has_backward);
        }
    }
    wait_for_all(plan);
}

static void set_batch(const fl_plan *plan, fl_task *task, uint32_t lane,
                      const fl_plan_batch *batch)
{
    task->first = fl_plan_share(plan, batch->count, lane);
    task->count = fl_plan_share(plan, batch->count, lane + 1) - task->first;
    task->batch = batch->count;
    task->draw = batch->draw;
}

static void run_forward(const fl_plan *plan, const step *s, fl_task *task)
{
    if (s->has_backward && s->op->forward_sums && !task->uses_stats) {
        s->op->forward_sums(task);
        wait_for_all(plan);
    }
    s->op->forward(task, s->has_backward);
}

void fl_plan_forward(fl_plan *plan, uint32_t lane, const fl_plan_batch *batch)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const step *s = &plan->steps[i];
        fl_task *task = &plan->tasks[lane * plan->step_count + i].forward;
        set_batch(plan, task, lane, batch);
        task->uses_stats = s->is_frozen || batch->uses_stats;
        run_forward(plan, s, task);
    }
}

// Makes the outputs that step `before` is the first to read in backward. The
// sums of all lanes are still there.
static void rerun(const fl_plan *plan, uint32_t lane, uint32_t before)
{
    for (uint32_t i = 0; i < before; i++) {
        const step *s = &plan->steps[i];
        if (s->rerun_before != before) continue;
        const lane_task *t = &plan->tasks[lane * plan->step_count + i];
        fl_task task = t->forward;
        const fl_node *node = task.node;
        task.y = t->backward.y;
        memcpy(task.x, t->backward.x, node->input_count * sizeof *task.x);
        s->op->forward(&task, true);
    }
}

static void run_backward(const fl_plan *plan, const step *s, fl_task *task,
                         float *grads)
{
    const fl_node *node = task->node;
    const bool is_learning = !s->is_frozen;
    const bool makes_stats =
        node->stats_count && !task->uses_stats && task->lane == 0;
    task->weight_grad = is_learning ? grads + node->weight_at : NULL;
    task->bias_grad =
        is_learning && node->bias_count ? grads + node->bias_at : NULL;
    task->stats_grad = makes_stats ? grads + node->stats_at : NULL;
    if (s->op->backward_sums && !task->uses_stats) {
        s->op->backward_sums(task);
        wait_for_all(plan);
    }
    s->op->backward(task);
}

void fl_plan_backward(fl_plan *plan, uint32_t lane, float *grads,
                      const fl_plan_batch *batch)
{
    for (uint32_t i = plan->step_count; i-- > 0;) {
        const step *s = &plan->steps[i];
        if (!s->has_backward) continue;
        fl_task *task = &plan->tasks[lane * plan->step_count + i].backward;
        set_batch(plan, task, lane, batch);
        task->uses_stats = s->is_frozen || batch->uses_stats;
        rerun(plan, lane, i);
        run_backward(plan, s, task, grads);
    }
}

/* ---- one step at a time ---- */

void fl_plan_forward_step(fl_plan *plan, uint32_t i, uint32_t count)
{
    const fl_plan_batch batch = {.count = count, .uses_stats = true};
    fl_task *task = &plan->tasks[i].forward;
    set_batch(plan, task, 0, &batch);
    task->uses_stats = true;
    run_forward(plan, &plan->steps[i], task);
}

const float *fl_plan_step_value(const fl_plan *plan, uint32_t i, uint32_t *node)
{
    *node = plan->steps[i].output;
    return plan->tasks[i].forward.y;
}

uint32_t fl_plan_step_node(const fl_plan *plan, uint32_t i)
{
    return plan->steps[i].node;
}
