/*
 * Inside a plan: its state, and the words its parts share.
 *
 *   plan.c            its life, and what is known of it
 *   plan_steps.c      from nodes to steps
 *   plan_lifetimes.c  when values, their gradients and their copies are in use
 *   plan_memory.c     blocks for them, and pointers into the blocks
 *   plan_run.c        parameters in, forward, backward
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_PLAN_CORE_H
#define FL_MODEL_PLAN_CORE_H

#include "model/ops/op.h"
#include "model/place.h"
#include "model/plan.h"

/*
 * What is known of a value, one a node. Views and nodes fused into a step
 * have no memory of their own: `root` is the value that holds them.
 */
typedef struct {
    uint32_t root;
    uint32_t maker;   // of a root: the node of the step that writes it
    uint32_t step;    // of a root: that step's number
    bool wants_grad;  // parameters upstream
    // Of the data, of the data computed again, of the gradient.
    fl_span data_used, again_used, grad_used;
    fl_block *data, *again, *grad;
} fl_plan_value;

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
} fl_plan_step;

/* A step as one lane runs it. */
typedef struct {
    fl_task forward, backward;
} fl_plan_task;

struct fl_plan {
    fl_graph graph;
    const fl_kernels *kernels;
    fl_plan_options options;
    uint32_t lane_count, lane_cap;  // lane_cap: examples of one lane
    fl_readers *readers;            // one a value
    fl_plan_value *values;
    fl_plan_step *steps;
    uint32_t step_count;
    fl_block *blocks;
    size_t block_count;
    float *common;  // of all lanes: packed weights and shared sums
    size_t common_floats;
    bool rounds_weights;
    float *arenas;  // one a lane
    size_t arena_floats;
    fl_plan_task *tasks;  // (lane_count, step_count)
};

/* ---- compiling, in this order ---- */

/* Fills `steps`; of all values the roots, and which want a gradient. */
void fl_plan_make_steps(fl_plan *plan);

/*
 * Fills the spans of values; decides what is made again in backward, and
 * which gradients a step is the first to touch.
 */
void fl_plan_note_lifetimes(fl_plan *plan);

/*
 * Places blocks, allocates, and points the tasks of all lanes into them.
 * FL_ERR_MEMORY and FL_ERR_LIMIT as fl_plan_new has them.
 */
FL_CHECK fl_err fl_plan_lay_out(fl_plan *plan, fl_reason *why);

/* ---- words ---- */

static inline uint32_t fl_plan_last_node(const fl_plan *plan)
{
    return plan->graph.node_count - 1;
}

/* The value that holds value i. */
static inline fl_plan_value *fl_plan_root(const fl_plan *plan, uint32_t i)
{
    return &plan->values[plan->values[i].root];
}

/* The tick at which a step runs backward. */
static inline uint32_t fl_plan_backward_tick(const fl_plan *plan,
                                             uint32_t step_index)
{
    return 2 * plan->step_count - step_index;
}

/* Whether a value is forgotten after forward and made again. */
static inline bool fl_plan_is_rerun(const fl_plan *plan, const fl_plan_value *v)
{
    return v->root != 0 && plan->steps[v->step].is_rerun;
}

/* Whether a step sees its weights as what they are in 8 bits. */
static inline bool fl_plan_rounds_weights(const fl_plan_step *s)
{
    return s->task.node->x_scale > 0.0F;
}

/* Of a lane's block; NULL: there is none, or nothing in it. */
static inline float *fl_plan_address(const fl_plan *plan, uint32_t lane,
                                     const fl_block *block)
{
    if (!block || block->floats == 0) return NULL;
    return plan->arenas + lane * plan->arena_floats + block->at;
}

#endif
