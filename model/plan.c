/* SPDX-License-Identifier: Apache-2.0 */
#include "model/plan_core.h"

#include <stdlib.h>

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
    fl_plan_make_steps(plan);
    fl_plan_note_lifetimes(plan);
    return fl_plan_lay_out(plan, why);
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
    return fl_plan_address(plan, lane, plan->values[0].data);
}

float *fl_plan_logits(const fl_plan *plan, uint32_t lane)
{
    return fl_plan_address(plan, lane,
                           fl_plan_root(plan, fl_plan_last_node(plan))->data);
}

float *fl_plan_logits_grad(const fl_plan *plan, uint32_t lane)
{
    return fl_plan_address(plan, lane,
                           fl_plan_root(plan, fl_plan_last_node(plan))->grad);
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
