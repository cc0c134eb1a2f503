/*
 * A plan: everything about running a graph that can be settled beforehand.
 *
 *   graph -> steps (nodes that do work, activations and MAXPOOL fused into
 *   the node before them where they can be) -> blocks of memory with the
 *   ticks at which they are in use -> offsets in one arena -> tasks with
 *   pointers
 *
 * Ticks: step i runs forward at tick i, the loss is tick S, step i runs
 * backward at tick 2S - i. After fl_plan_new nothing is allocated.
 *
 * Lanes: with a team of L threads there are L arenas, and lane l runs its
 * share of each batch in its own. All lanes must make the same calls; where a
 * sum over the whole batch is needed they wait for each other.
 *
 * Memory or speed: with `recompute`, the output of a cheap step (BATCHNORM
 * and its activation) is forgotten after forward and computed again when
 * backward needs it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_PLAN_H
#define FL_MODEL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "base/team.h"
#include "model/graph.h"
#include "model/kernels/kernels.h"

typedef struct fl_plan fl_plan;

typedef struct {
    uint32_t batch_cap;  // examples, over all lanes
    fl_team *team;       // borrowed as long as the plan; NULL: one lane
    bool with_gradients;
    bool recompute;
    bool is_unfused;      // every node a step of its own: all values are seen
    const bool *frozen;   // one a node: its parameters stay; NULL: none does
    size_t bytes_cap;     // of memory; 0: any
    size_t bytes_beside;  // of these, that others take
} fl_plan_options;

/* A batch, the same for all lanes. */
typedef struct {
    uint32_t count;   // examples, at most batch_cap
    uint64_t draw;    // names its random numbers (DROPOUT); 0: none
    bool uses_stats;  // BATCHNORM: the running statistics, not the batch's
} fl_plan_batch;

/*
 * Compiles `graph` (copied). The caller owns *plan: fl_plan_free.
 * FL_ERR_MEMORY: *why says how much and for what. FL_ERR_LIMIT: it would take
 * more than bytes_cap, *why says how much; nothing has been allocated for it.
 */
FL_CHECK fl_err fl_plan_new(fl_plan **plan, const fl_graph *graph,
                            const fl_kernels *kernels,
                            const fl_plan_options *options, fl_reason *why);

/* Accepts NULL. */
void fl_plan_free(fl_plan *plan);

const fl_graph *fl_plan_graph(const fl_plan *plan);
size_t fl_plan_bytes(const fl_plan *plan);  // of all arenas
uint32_t fl_plan_step_count(const fl_plan *plan);

/* Where a lane's share of a batch begins; lane = lane count: its end. */
uint32_t fl_plan_share(const fl_plan *plan, uint32_t count, uint32_t lane);

/* (share, H, W, C): write the lane's examples here before forward. */
float *fl_plan_input(const fl_plan *plan, uint32_t lane);

/* (share, classes): valid after forward. */
float *fl_plan_logits(const fl_plan *plan, uint32_t lane);

/* (share, classes): write it before fl_plan_backward. */
float *fl_plan_logits_grad(const fl_plan *plan, uint32_t lane);

/*
 * Parameters to run with from now on; again whenever they have changed. The
 * lanes share the work and wait for each other before they return.
 */
void fl_plan_load(fl_plan *plan, uint32_t lane, const float *params);

void fl_plan_forward(fl_plan *plan, uint32_t lane, const fl_plan_batch *batch);

/*
 * Adds to `grads`, one a parameter, each lane to an array of its own. At the
 * place of running statistics lane 0 writes the batch's mean and unbiased
 * variance. After fl_plan_forward, same batch.
 */
void fl_plan_backward(fl_plan *plan, uint32_t lane, float *grads,
                      const fl_plan_batch *batch);

/* ---- one step at a time, without gradients and with one lane ---- */

void fl_plan_forward_step(fl_plan *plan, uint32_t i, uint32_t count);

/*
 * What step i has made, (count, H, W, C), until the next one runs; *node:
 * the value's number. A step stands for all nodes fused into it, from
 * fl_plan_step_node to *node.
 */
const float *fl_plan_step_value(const fl_plan *plan, uint32_t i,
                                uint32_t *node);
uint32_t fl_plan_step_node(const fl_plan *plan, uint32_t i);

#endif
