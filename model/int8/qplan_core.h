/*
 * Inside an INT8 plan: its state, and the words its parts share.
 *
 *   qplan.c          its life, running, and what is known of it
 *   qplan_steps.c    from nodes to steps
 *   qplan_prepare.c  what each step can run with, or why it cannot
 *   qplan_memory.c   where values lie
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_QPLAN_CORE_H
#define FL_MODEL_INT8_QPLAN_CORE_H

#include "model/int8/qplan.h"
#include "model/int8/qstep.h"
#include "model/place.h"

/*
 * What is known of a node's value. Views and what is fused into a step have
 * no memory of their own: `root` is the node whose value holds them.
 */
typedef struct {
    uint32_t root;
    bool is_viewed;  // under another shape: it must lie without a border
    fl_qvalue place;
    fl_block *block;
    fl_span used;  // by steps
} fl_qplan_value;

struct fl_qplan {
    fl_graph graph;
    fl_qcontext context;
    uint32_t batch_cap;
    fl_readers *readers;  // one a value
    fl_qplan_value *values;
    fl_qstep *steps;
    uint32_t step_count;
    fl_block *blocks;  // of values by node, then of scratch by step
    uint8_t *memory;
    size_t memory_bytes;
};

/* ---- compiling, in this order ---- */

/* Fills `steps` and the roots of all values. */
void fl_qplan_make_steps(fl_qplan *plan);

/* FL_ERR_UNSUPPORTED: a step has no integer form. */
FL_CHECK fl_err fl_qplan_check_steps(const fl_qplan *plan, fl_reason *why);

/* Gives values their borders, and steps their values. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_qplan_lay_out(fl_qplan *plan, fl_reason *why);

/* Has each step pack its weights; errors as fl_qplan_new has them. */
FL_CHECK fl_err fl_qplan_prepare(fl_qplan *plan, fl_reason *why);

/* Gives values and scratch their addresses. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_qplan_allocate(fl_qplan *plan, fl_reason *why);

/* ---- words ---- */

static inline uint32_t fl_qplan_last_node(const fl_qplan *plan)
{
    return plan->graph.node_count - 1;
}

/* The value that holds value i. */
static inline fl_qplan_value *fl_qplan_root(const fl_qplan *plan, uint32_t i)
{
    return &plan->values[plan->values[i].root];
}

static inline const fl_quant *fl_qplan_quants(const fl_qplan *plan)
{
    return plan->context.model->values;
}

static inline bool fl_qplan_is_float(const fl_qplan *plan, uint32_t i)
{
    return fl_qplan_quants(plan)[i].scale <= 0.0F;
}

/* What the first quantisation takes in. */
static inline bool fl_qplan_is_front_op(fl_op_kind op)
{
    return op == FL_OP_INPUT || op == FL_OP_SUB || op == FL_OP_DIV;
}

/* Of float32, and so part of the first quantisation. */
static inline bool fl_qplan_is_in_front(const fl_qplan *plan, uint32_t i)
{
    return fl_qplan_is_float(plan, i) &&
           fl_qplan_is_front_op(plan->graph.nodes[i].op);
}

#endif
