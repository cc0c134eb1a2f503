/* SPDX-License-Identifier: Apache-2.0 */
#include "model/int8/qplan_core.h"

#include <stdlib.h>

static fl_err allocate_tables(fl_qplan *plan)
{
    const size_t count = (size_t)plan->graph.node_count + 1;
    plan->readers = calloc(count, sizeof *plan->readers);
    plan->values = calloc(count, sizeof *plan->values);
    plan->steps = calloc(count, sizeof *plan->steps);
    plan->blocks = calloc(2 * count, sizeof *plan->blocks);
    const bool is_whole =
        plan->readers && plan->values && plan->steps && plan->blocks;
    return is_whole ? FL_OK : FL_ERR_MEMORY;
}

static fl_err compile(fl_qplan *plan, fl_reason *why)
{
    const fl_err err = allocate_tables(plan);
    if (err) return fl_reason_set(why, err, "no memory for a plan");
    fl_graph_find_readers(plan->readers, &plan->graph);
    fl_qplan_make_steps(plan);
    FL_TRY(fl_qplan_check_steps(plan, why));
    FL_TRY(fl_qplan_lay_out(plan, why));
    FL_TRY(fl_qplan_prepare(plan, why));
    return fl_qplan_allocate(plan, why);
}

fl_err fl_qplan_new(fl_qplan **plan, const fl_int8_model *model,
                    const fl_qkernels *kernels, uint32_t batch_cap,
                    fl_reason *why)
{
    fl_qplan *made = calloc(1, sizeof *made);
    fl_err err = made ? FL_OK : FL_ERR_MEMORY;
    if (!err) err = fl_graph_copy(&made->graph, &model->graph);
    if (err) {
        free(made);
        return fl_reason_set(why, err, "no memory for a plan");
    }
    made->batch_cap = batch_cap;
    made->context.model = model;
    made->context.kernels = kernels;
    made->context.batch_cap = batch_cap;
    fl_arena_init(&made->context.keep, SIZE_MAX);
    err = compile(made, why);
    made->context.model = NULL;
    if (err) {
        fl_qplan_free(made);
        return err;
    }
    *plan = made;
    return FL_OK;
}

void fl_qplan_free(fl_qplan *plan)
{
    if (!plan) return;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        fl_plan_free(plan->steps[i].chain);
    }
    fl_graph_fini(&plan->graph);
    fl_arena_fini(&plan->context.keep);
    free(plan->readers);
    free(plan->values);
    free(plan->steps);
    free(plan->blocks);
    free(plan->memory);
    free(plan);
}

/* ---- running ---- */

void fl_qplan_run_step(fl_qplan *plan, uint32_t i, float *logits,
                       const float *x, uint32_t count)
{
    const fl_qstep *s = &plan->steps[i];
    plan->context.logits = logits;
    plan->context.input = x;
    plan->context.count = count;
    if (s->y.at) fl_qvalue_fill_border(&s->y, count);
    s->run(s, &plan->context);
}

void fl_qplan_run(fl_qplan *plan, float *logits, const float *x, uint32_t count)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        fl_qplan_run_step(plan, i, logits, x, count);
    }
}

uint32_t fl_qplan_step_count(const fl_qplan *plan)
{
    return plan->step_count;
}

fl_step_info fl_qplan_step(const fl_qplan *plan, uint32_t i)
{
    const fl_qstep *s = &plan->steps[i];
    return (fl_step_info){
        .name = s->node.name,
        .op = s->op,
        .shape = plan->graph.nodes[s->output].shape,
        .param_count = s->param_count,
        .mac_count = s->mac_count,
        .precision = s->precision,
    };
}

size_t fl_qplan_bytes(const fl_qplan *plan)
{
    size_t bytes = plan->memory_bytes + plan->context.keep.used;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const fl_plan *chain = plan->steps[i].chain;
        if (chain) bytes += fl_plan_bytes(chain);
    }
    return bytes;
}
