/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "model/plan_core.h"

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
        fl_plan_value *v = &plan->values[i];
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
    fl_plan_step *s = &plan->steps[i];
    assert(s->op);
    const uint32_t back = s->has_backward ? fl_plan_backward_tick(plan, i) : i;
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

static fl_err add_step_common(fl_plan *plan, fl_plan_step *s)
{
    size_t shared;
    FL_TRY(add_common(plan, &s->packed_at, s->memory.packed));
    FL_TRY(fl_size_mul(&shared, s->memory.shared, plan->lane_count));
    FL_TRY(add_common(plan, &s->shared_at, shared));
    if (!fl_plan_rounds_weights(s)) return FL_OK;
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

// Where backward finds a value.
static const fl_block *kept_data(const fl_plan *plan, const fl_plan_value *v)
{
    return fl_plan_is_rerun(plan, v) ? v->again : v->data;
}

static void set_pointers(fl_plan *plan, uint32_t lane, uint32_t i)
{
    const fl_plan_step *s = &plan->steps[i];
    const fl_node *node = &plan->graph.nodes[s->node];
    const fl_plan_value *y = fl_plan_root(plan, s->output);
    fl_plan_task *t = &plan->tasks[lane * plan->step_count + i];
    fl_task task = s->task;
    task.lane = lane;
    task.packed = plan->common + s->packed_at;
    task.shared = plan->common + s->shared_at;
    task.kept = fl_plan_address(plan, lane, s->kept);
    t->forward = t->backward = task;

    t->forward.y = fl_plan_address(plan, lane, y->data);
    t->forward.scratch = fl_plan_address(plan, lane, s->scratch);
    t->backward.y = fl_plan_address(plan, lane, kept_data(plan, y));
    t->backward.dy = fl_plan_address(plan, lane, y->grad);
    t->backward.scratch = fl_plan_address(plan, lane, s->back_scratch);
    for (uint32_t k = 0; k < node->input_count; k++) {
        const fl_plan_value *x = fl_plan_root(plan, node->inputs[k]);
        t->forward.x[k] = fl_plan_address(plan, lane, x->data);
        t->backward.x[k] = fl_plan_address(plan, lane, kept_data(plan, x));
        t->backward.dx[k] = fl_plan_address(plan, lane, x->grad);
        t->backward.is_fresh[k] = s->is_fresh[k];
        // Forward and load only ask whether backward will want it.
        t->forward.dx[k] = t->backward.dx[k];
    }
}

fl_err fl_plan_lay_out(fl_plan *plan, fl_reason *why)
{
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
