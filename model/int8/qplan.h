/*
 * A plan for INT8: what an fl_int8_model becomes before it runs.
 *
 *   graph -> steps (nodes that do work; a clamping activation and a MAXPOOL
 *   side by side fused into the node before them, SUB and DIV into the first
 *   quantisation) -> packed weights and tables -> memory placed by liveness
 *
 * A value that padded convolutions read lies inside a border of its zero
 * point, so that nobody copies it to pad it. After fl_qplan_new nothing is
 * allocated.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_QPLAN_H
#define FL_MODEL_INT8_QPLAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/int8/int8.h"
#include "model/int8/qkernels.h"
#include "model/model.h"

typedef struct fl_qplan fl_qplan;

/*
 * Compiles `model` (borrowed for the call) for up to batch_cap examples. The
 * caller owns *plan: fl_qplan_free. FL_ERR_UNSUPPORTED: a node that has no
 * integer form, or whose values are not quantised as int8.h wants them.
 * FL_ERR_RANGE: scales or weights so large that sums leave 32 bits.
 * FL_ERR_MEMORY: *why says how many bytes and for which layer.
 */
FL_CHECK fl_err fl_qplan_new(fl_qplan **plan, const fl_int8_model *model,
                             const fl_qkernels *kernels, uint32_t batch_cap,
                             fl_reason *why);

/* Accepts NULL. */
void fl_qplan_free(fl_qplan *plan);

/* logits (count, classes) of x (count, H, W, C), count up to batch_cap. */
void fl_qplan_run(fl_qplan *plan, float *logits, const float *x,
                  uint32_t count);

uint32_t fl_qplan_step_count(const fl_qplan *plan);
fl_step_info fl_qplan_step(const fl_qplan *plan, uint32_t i);

/* One step of a run: after steps 0 to i - 1 with the same arguments. */
void fl_qplan_run_step(fl_qplan *plan, uint32_t i, float *logits,
                       const float *x, uint32_t count);

size_t fl_qplan_bytes(const fl_qplan *plan);

#endif
