/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "model/int8/qplan_core.h"

static size_t block_count(const fl_qplan *plan)
{
    return (size_t)plan->graph.node_count + plan->step_count;
}

static fl_err refuse_memory(const fl_qplan *plan, fl_reason *why)
{
    return fl_place_refuse(plan->blocks, block_count(plan), 0, &plan->graph,
                           plan->batch_cap, why);
}

/* ---- borders ---- */

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

// A padded convolution's input gets the padding as a border, if it can.
static void widen_border(fl_qplan_value *v, const fl_window *w)
{
    if (v->is_viewed) return;
    fl_qvalue *place = &v->place;
    place->top = larger(place->top, w->pad_top);
    place->left = larger(place->left, w->pad_left);
    place->bottom = larger(place->bottom, w->pad_bottom);
    place->right = larger(place->right, w->pad_right);
}

// The multiplier of a depthwise convolution makes it copy its input anyway.
static bool wants_border(const fl_qplan *plan, const fl_qstep *s)
{
    const fl_node *node = &s->node;
    if (node->op != FL_OP_CONV || s->is_chain) return false;
    const uint32_t inputs = plan->graph.nodes[node->inputs[0]].shape.channels;
    return node->group_count != inputs || inputs == 1 ||
           node->out_count == inputs;
}

static fl_err lay_out_values(fl_qplan *plan)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const fl_qstep *s = &plan->steps[i];
        if (!wants_border(plan, s)) continue;
        widen_border(fl_qplan_root(plan, s->node.inputs[0]), &s->node.window);
    }
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        fl_qplan_value *v = &plan->values[i];
        if (v->root != i) continue;
        v->place.shape = plan->graph.nodes[i].shape;
        v->place.quant = fl_qplan_quants(plan)[i];
        FL_TRY(fl_qvalue_lay_out(&v->place));
    }
    return FL_OK;
}

// Value i, under its own shape.
static fl_qvalue seen(const fl_qplan *plan, uint32_t i)
{
    fl_qvalue v = fl_qplan_root(plan, i)->place;
    if (plan->values[i].root == i) return v;
    v.shape = plan->graph.nodes[i].shape;
    v.row = (size_t)v.shape.width * v.shape.channels;
    return v;
}

static void connect_step(const fl_qplan *plan, fl_qstep *s)
{
    for (uint32_t k = 0; k < s->node.input_count; k++) {
        const uint32_t input = s->node.inputs[k];
        if (plan->values[input].root == FL_GRAPH_NONE) continue;  // in front
        s->x[k] = seen(plan, input);
    }
    s->y = seen(plan, s->output);
}

fl_err fl_qplan_lay_out(fl_qplan *plan, fl_reason *why)
{
    if (lay_out_values(plan)) return refuse_memory(plan, why);
    for (uint32_t i = 0; i < plan->step_count; i++) {
        connect_step(plan, &plan->steps[i]);
    }
    return FL_OK;
}

/* ---- memory ---- */

static void note_uses(fl_qplan *plan)
{
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        plan->values[i].used.first = FL_SPAN_NEVER;
    }
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const fl_qstep *s = &plan->steps[i];
        for (uint32_t k = 0; k < s->node.input_count; k++) {
            const uint32_t root = plan->values[s->node.inputs[k]].root;
            if (root == FL_GRAPH_NONE) continue;
            fl_span_widen(&plan->values[root].used, i);
        }
        fl_span_widen(&fl_qplan_root(plan, s->output)->used, i);
    }
}

// Blocks are counted in floats.
static fl_err add_block(fl_block *block, uint32_t node, size_t bytes,
                        size_t times, fl_span used)
{
    *block = (fl_block){.used = used, .node = node};
    FL_TRY(fl_size_mul(&bytes, bytes, times));
    block->floats = bytes / sizeof(float) + 1;
    return FL_OK;
}

static fl_err add_blocks(fl_qplan *plan)
{
    fl_block *block = plan->blocks;
    for (uint32_t i = 0; i < plan->graph.node_count; i++, block++) {
        fl_qplan_value *v = &plan->values[i];
        if (v->root != i || fl_qplan_is_float(plan, i)) continue;
        if (v->used.first == FL_SPAN_NEVER) continue;
        FL_TRY(add_block(block, i, fl_qvalue_bytes(&v->place), plan->batch_cap,
                         v->used));
        v->block = block;
    }
    for (uint32_t i = 0; i < plan->step_count; i++, block++) {
        const fl_qstep *s = &plan->steps[i];
        if (s->scratch_bytes == 0) continue;
        FL_TRY(add_block(block, s->index, s->scratch_bytes + FL_Q_SLACK, 1,
                         (fl_span){i, i}));
    }
    return FL_OK;
}

static fl_err allocate_memory(fl_qplan *plan)
{
    size_t floats;
    FL_TRY(add_blocks(plan));
    FL_TRY(fl_place_blocks(plan->blocks, block_count(plan), &floats));
    plan->memory_bytes = floats * sizeof(float) + FL_Q_SLACK;
    plan->memory = aligned_alloc(64, (plan->memory_bytes + 63) / 64 * 64);
    if (!plan->memory) return FL_ERR_MEMORY;
    memset(plan->memory, 0, plan->memory_bytes);
    return FL_OK;
}

static uint8_t *address(const fl_qplan *plan, const fl_block *block)
{
    return plan->memory + block->at * sizeof(float);
}

static void set_addresses(fl_qplan *plan)
{
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        fl_qplan_value *v = &plan->values[i];
        if (!v->block) continue;
        v->place.at = address(plan, v->block) + fl_qvalue_origin(&v->place);
    }
    for (uint32_t i = 0; i < plan->step_count; i++) {
        fl_qstep *s = &plan->steps[i];
        for (uint32_t k = 0; k < s->node.input_count; k++) {
            const uint32_t root = plan->values[s->node.inputs[k]].root;
            if (root != FL_GRAPH_NONE) s->x[k].at = plan->values[root].place.at;
        }
        s->y.at = fl_qplan_root(plan, s->output)->place.at;
        s->scratch = address(plan, &plan->blocks[plan->graph.node_count + i]);
    }
}

fl_err fl_qplan_allocate(fl_qplan *plan, fl_reason *why)
{
    note_uses(plan);
    if (allocate_memory(plan)) return refuse_memory(plan, why);
    set_addresses(plan);
    return FL_OK;
}
