/*
 * A plan: everything about running a graph that can be settled beforehand.
 *
 *   graph -> steps (nodes that do work, RELU and MAXPOOL fused into the node
 *   before them where they can be) -> blocks of memory with the ticks at
 *   which they are in use -> offsets in one arena -> tasks with pointers
 *
 * Ticks: step i runs forward at tick i, the loss is tick S, step i runs
 * backward at tick 2S - i. After fl_plan_new nothing is allocated.
 *
 * A gradient is zeroed before the last of its consumers adds to it (backward
 * begins there), so a value may have several consumers.
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
#include "model/graph.h"
#include "model/kernels/kernels.h"

typedef struct fl_plan fl_plan;

/*
 * Compiles `graph` (copied) for up to batch_cap examples. The caller owns
 * *plan: fl_plan_free. FL_ERR_MEMORY: *why says how much and for what.
 */
FL_CHECK fl_err fl_plan_new(fl_plan **plan, const fl_graph *graph,
                            const fl_kernels *kernels, uint32_t batch_cap,
                            bool with_gradients, fl_reason *why);

/* Accepts NULL. */
void fl_plan_free(fl_plan *plan);

const fl_graph *fl_plan_graph(const fl_plan *plan);
size_t fl_plan_bytes(const fl_plan *plan);  // of the arena
uint32_t fl_plan_step_count(const fl_plan *plan);

/* (batch_cap, H, W, C): write the examples here before fl_plan_forward. */
float *fl_plan_input(const fl_plan *plan);

/* (batch_cap, classes): valid after fl_plan_forward. */
float *fl_plan_logits(const fl_plan *plan);

/* (batch_cap, classes): write it before fl_plan_backward. */
float *fl_plan_logits_grad(const fl_plan *plan);

/* Parameters to run with from now on; again whenever they have changed. */
void fl_plan_load(fl_plan *plan, const float *params);

void fl_plan_forward(fl_plan *plan, uint32_t count);

/* Adds to `grads`, one a parameter. After fl_plan_forward, same count. */
void fl_plan_backward(fl_plan *plan, float *grads, uint32_t count);

#endif
