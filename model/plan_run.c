/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "model/int8/quantize.h"
#include "model/plan_core.h"

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
        const fl_plan_step *s = &plan->steps[i];
        if (!fl_plan_rounds_weights(s)) continue;
        fl_quantize_round(plan->common + s->rounded_at, s->task.node, params);
    }
    wait_for_all(plan);
}

static void set_params(const fl_plan *plan, const fl_plan_step *s,
                       fl_task *task, const float *params)
{
    const fl_node *node = task->node;
    task->weight = fl_plan_rounds_weights(s) ? plan->common + s->rounded_at
                                             : params + node->weight_at;
    task->bias = node->bias_count ? params + node->bias_at : NULL;
    task->stats = node->stats_count ? params + node->stats_at : NULL;
}

void fl_plan_load(fl_plan *plan, uint32_t lane, const float *params)
{
    if (plan->rounds_weights) round_weights(plan, lane, params);
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const fl_plan_step *s = &plan->steps[i];
        fl_plan_task *t = &plan->tasks[lane * plan->step_count + i];
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

static void run_forward(const fl_plan *plan, const fl_plan_step *s,
                        fl_task *task)
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
        const fl_plan_step *s = &plan->steps[i];
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
        const fl_plan_step *s = &plan->steps[i];
        if (s->rerun_before != before) continue;
        const fl_plan_task *t = &plan->tasks[lane * plan->step_count + i];
        fl_task task = t->forward;
        const fl_node *node = task.node;
        task.y = t->backward.y;
        memcpy(task.x, t->backward.x, node->input_count * sizeof *task.x);
        s->op->forward(&task, true);
    }
}

static void run_backward(const fl_plan *plan, const fl_plan_step *s,
                         fl_task *task, float *grads)
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
        const fl_plan_step *s = &plan->steps[i];
        if (!s->has_backward) continue;
        fl_task *task = &plan->tasks[lane * plan->step_count + i].backward;
        set_batch(plan, task, lane, batch);
        task->uses_stats = s->is_frozen || batch->uses_stats;
        rerun(plan, lane, i);
        run_backward(plan, s, task, grads);
    }
}

void fl_plan_forward_step(fl_plan *plan, uint32_t i, uint32_t count)
{
    const fl_plan_batch batch = {.count = count, .uses_stats = true};
    fl_task *task = &plan->tasks[i].forward;
    set_batch(plan, task, 0, &batch);
    task->uses_stats = true;
    run_forward(plan, &plan->steps[i], task);
}
