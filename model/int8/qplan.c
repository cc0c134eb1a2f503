/* SPDX-License-Identifier: Apache-2.0 */
#include "model/int8/qplan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "model/int8/qstep.h"
#include "model/int8/sharing.h"
#include "model/place.h"

// What is known of a node's value. Views and what is fused into a step have
// no memory of their own: `root` is the node whose value holds them.
typedef struct {
    uint32_t root;
    bool is_viewed;  // under another shape: it must lie without a border
    fl_qvalue place;
    fl_block *block;
    fl_span used;  // by steps
} value;

struct fl_qplan {
    fl_graph graph;
    fl_qcontext context;
    uint32_t batch_cap;
    fl_readers *readers;  // one a value
    value *values;
    fl_qstep *steps;
    uint32_t step_count;
    fl_block *blocks;  // of values by node, then of scratch by step
    uint8_t *memory;
    size_t memory_bytes;
};

static bool is_same_quant(fl_quant a, fl_quant b)
{
    return a.scale >= b.scale && a.scale <= b.scale &&
           a.zero_point == b.zero_point;
}

static const fl_quant *quants(const fl_qplan *plan)
{
    return plan->context.model->values;
}

static uint32_t last_node(const fl_qplan *plan)
{
    return plan->graph.node_count - 1;
}

static bool is_float(const fl_qplan *plan, uint32_t i)
{
    return quants(plan)[i].scale <= 0.0F;
}

static fl_err refuse(const fl_node *node, fl_err err, fl_reason *why)
{
    return fl_reason_prefix(why, err, "node \"%s\" (%s)", node->name,
                            fl_op_name(node->op));
}

static value *root_of(const fl_qplan *plan, uint32_t i)
{
    return &plan->values[plan->values[i].root];
}

/* ---- steps ---- */

static bool makes_sums(fl_op_kind op)
{
    return op == FL_OP_CONV || op == FL_OP_DENSE || op == FL_OP_ADD ||
           op == FL_OP_MUL;
}

static bool clamps(fl_op_kind op)
{
    return op == FL_OP_RELU || op == FL_OP_RELU6;
}

// Windows side by side and whole, so that rows can be pooled as they come.
static bool is_tiling(const fl_window *w)
{
    return w->pad_top + w->pad_left + w->pad_bottom + w->pad_right == 0 &&
           w->kernel_h == w->stride_h && w->kernel_w == w->stride_w;
}

// Of a result, as in fl_qresult; of logits without an activation: none.
static void set_bounds(fl_qstep *s, fl_quant y)
{
    const bool has_bytes = y.scale > 0.0F;
    s->low = has_bytes ? (float)-y.zero_point : -INFINITY;
    s->high = has_bytes ? (float)(255 - y.zero_point) : INFINITY;
}

static void narrow_bounds(fl_qstep *s, fl_op_kind op, fl_quant y)
{
    s->low = fmaxf(s->low, 0.0F);
    if (op != FL_OP_RELU6) return;
    const double six = y.scale > 0.0F ? nearbyint(6.0 / (double)y.scale) : 6.0;
    s->high = fminf(s->high, (float)six);
}

static void append_op(fl_qstep *s, fl_op_kind op)
{
    const size_t len = strlen(s->op);
    snprintf(s->op + len, sizeof s->op - len, "%s%s", len ? "+" : "",
             fl_op_name(op));
}

// Takes the clamping activations and the pool behind a step into it.
static void fuse(fl_qplan *plan, fl_qstep *s)
{
    for (;;) {
        const uint32_t next = plan->readers[s->output].only;
        if (next == FL_GRAPH_NONE || !makes_sums(s->node.op)) return;
        const fl_node *node = &plan->graph.nodes[next];
        const fl_quant quant = quants(plan)[next];
        if (!is_same_quant(quants(plan)[s->output], quant)) return;
        if (clamps(node->op)) {
            narrow_bounds(s, node->op, quant);
        } else if (node->op == FL_OP_MAXPOOL && s->node.op == FL_OP_CONV &&
                   !s->has_pool && !is_float(plan, next) &&
                   is_tiling(&node->window)) {
            s->has_pool = true;
            s->pool = node->window;
        } else {
            return;
        }
        append_op(s, node->op);
        plan->values[s->output].root = next;  // fused: never looked up
        s->output = next;
    }
}

static bool is_float_layer(const fl_qplan *plan, uint32_t i)
{
    return fl_int8_is_float_layer(plan->context.model, i);
}

// Takes what reads floats behind a layer in float32 into its step.
static void follow_chain(fl_qplan *plan, fl_qstep *s)
{
    s->is_chain = true;
    while (is_float(plan, s->output)) {
        const uint32_t next = plan->readers[s->output].only;
        if (next == FL_GRAPH_NONE) return;
        const fl_op_kind op = plan->graph.nodes[next].op;
        if (!fl_sharing_follows(op) && !is_float_layer(plan, next)) return;
        append_op(s, op);
        plan->values[s->output].root = next;  // fused: never looked up
        s->output = next;
    }
}

static void add_step(fl_qplan *plan, uint32_t i)
{
    fl_qstep *s = &plan->steps[plan->step_count++];
    s->node = plan->graph.nodes[i];
    s->index = s->output = i;
    s->sums = s->node.shape;
    s->param_count = s->node.weight_count + s->node.bias_count;
    s->precision = fl_int8_precision(plan->context.model, i);
    set_bounds(s, quants(plan)[i]);
    append_op(s, s->node.op);
    if (is_float_layer(plan, i)) {
        follow_chain(plan, s);
    } else {
        fuse(plan, s);
    }
    plan->values[s->output].root = s->output;
}

// INPUT, and SUB and DIV of float32: part of the first quantisation.
static bool is_in_front(const fl_qplan *plan, uint32_t i)
{
    const fl_op_kind op = plan->graph.nodes[i].op;
    return is_float(plan, i) &&
           (op == FL_OP_INPUT || op == FL_OP_SUB || op == FL_OP_DIV);
}

static void make_steps(fl_qplan *plan)
{
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        plan->values[i].root = FL_GRAPH_NONE;
    }
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        const fl_node *node = &plan->graph.nodes[i];
        value *v = &plan->values[i];
        if (!plan->readers[i].count || is_in_front(plan, i)) continue;
        if (v->root != FL_GRAPH_NONE) continue;
        if (node->op == FL_OP_FLATTEN) {
            const uint32_t root = plan->values[node->inputs[0]].root;
            v->root = root;
            if (root != FL_GRAPH_NONE) plan->values[root].is_viewed = true;
        } else {
            add_step(plan, i);
        }
    }
    const uint32_t last = last_node(plan);
    if (is_float(plan, last)) return;
    // Bytes at the end: a step more brings them back to floats.
    fl_qstep *s = &plan->steps[plan->step_count++];
    s->node = plan->graph.nodes[last];
    s->node.op = FL_OP_FLATTEN;
    s->node.inputs[0] = last;
    s->node.input_count = 1;
    s->index = s->output = last;
    snprintf(s->op, sizeof s->op, "DequantizeLinear");
}

/* ---- what cannot run ---- */

typedef fl_err (*prepare)(fl_qstep *step, fl_qcontext *context, fl_reason *why);

static const prepare PREPARE[FL_OP_COUNT] = {
    [FL_OP_INPUT] = fl_qinput_prepare,
    [FL_OP_SUB] = fl_qinput_prepare,
    [FL_OP_DIV] = fl_qinput_prepare,
    [FL_OP_CONV] = fl_qconv_prepare,
    [FL_OP_DENSE] = fl_qdense_prepare,
    [FL_OP_RELU] = fl_qlookup_prepare,
    [FL_OP_RELU6] = fl_qlookup_prepare,
    [FL_OP_LEAKY_RELU] = fl_qlookup_prepare,
    [FL_OP_HARD_SWISH] = fl_qlookup_prepare,
    [FL_OP_HARD_SIGMOID] = fl_qlookup_prepare,
    [FL_OP_SIGMOID] = fl_qlookup_prepare,
    [FL_OP_TANH] = fl_qlookup_prepare,
    [FL_OP_ADD] = fl_qpair_prepare,
    [FL_OP_MUL] = fl_qpair_prepare,
    [FL_OP_MAXPOOL] = fl_qpool_prepare,
    [FL_OP_AVGPOOL] = fl_qpool_prepare,
    [FL_OP_GLOBALPOOL] = fl_qpool_prepare,
    [FL_OP_CONCAT] = fl_qmove_prepare,
    [FL_OP_SLICE] = fl_qmove_prepare,
    [FL_OP_SHUFFLE] = fl_qmove_prepare,
    [FL_OP_FLATTEN] = fl_qoutput_prepare,
    [FL_OP_L2NORM] = fl_qoutput_prepare,
};

static bool is_constant_op(fl_op_kind op)
{
    return op == FL_OP_INPUT || op == FL_OP_SUB || op == FL_OP_DIV;
}

// A value of float32 is made only by what can: the last sum, and an L2NORM.
static fl_err check_chain(const fl_qplan *plan, const fl_qstep *s,
                          fl_reason *why)
{
    const uint32_t input = s->node.inputs[0];
    if (is_float(plan, s->output) && s->output != last_node(plan)) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "its value is not quantized");
    }
    if (!is_float(plan, input) || is_in_front(plan, input)) return FL_OK;
    return fl_reason_set(why, FL_ERR_UNSUPPORTED, "its input is not quantized");
}

static fl_err check_step(const fl_qplan *plan, const fl_qstep *s,
                         fl_reason *why)
{
    const fl_op_kind op = s->node.op;
    if (s->is_chain) return check_chain(plan, s, why);
    if (!PREPARE[op]) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED, "it has no integer form");
    }
    const bool sums = fl_graph_has_weights(&s->node);
    const bool ends = op == FL_OP_L2NORM || op == FL_OP_FLATTEN;
    if (is_float(plan, s->output) && !sums && !ends) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "its value is not quantized");
    }
    if (op == FL_OP_L2NORM && s->output != last_node(plan)) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED, "it must be the last");
    }
    for (uint32_t k = 0; k < s->node.input_count && !is_constant_op(op); k++) {
        if (!is_float(plan, s->node.inputs[k]) || op == FL_OP_L2NORM) continue;
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "its input %u is not quantized", k);
    }
    return FL_OK;
}

static fl_err check_steps(const fl_qplan *plan, fl_reason *why)
{
    if (plan->values[last_node(plan)].root == FL_GRAPH_NONE) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "the model computes nothing in 8 bits");
    }
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const fl_qstep *s = &plan->steps[i];
        const fl_err err = check_step(plan, s, why);
        if (err) return refuse(&s->node, err, why);
    }
    return FL_OK;
}

/* ---- where values lie ---- */

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

// A padded convolution's input gets the padding as a border, if it can.
static void widen_border(value *v, const fl_window *w)
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
        widen_border(root_of(plan, s->node.inputs[0]), &s->node.window);
    }
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        value *v = &plan->values[i];
        if (v->root != i) continue;
        v->place.shape = plan->graph.nodes[i].shape;
        v->place.quant = quants(plan)[i];
        FL_TRY(fl_qvalue_lay_out(&v->place));
    }
    return FL_OK;
}

// Value i, under its own shape.
static fl_qvalue seen(const fl_qplan *plan, uint32_t i)
{
    fl_qvalue v = root_of(plan, i)->place;
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

static fl_err prepare_steps(fl_qplan *plan, fl_reason *why)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        fl_qstep *s = &plan->steps[i];
        connect_step(plan, s);
        const prepare how =
            s->is_chain ? fl_qchain_prepare : PREPARE[s->node.op];
        const fl_err err = how(s, &plan->context, why);
        if (err == FL_ERR_MEMORY || err == FL_ERR_LIMIT) {
            return fl_reason_set(why, FL_ERR_MEMORY,
                                 "node \"%s\" (%s): no memory behind the %zu "
                                 "bytes of packed weights before it",
                                 s->node.name, fl_op_name(s->node.op),
                                 plan->context.keep.used);
        }
        if (err) return refuse(&s->node, err, why);
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
        fl_span_widen(&root_of(plan, s->output)->used, i);
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
        value *v = &plan->values[i];
        if (v->root != i || is_float(plan, i)) continue;
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

static size_t block_count(const fl_qplan *plan)
{
    return (size_t)plan->graph.node_count + plan->step_count;
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

static fl_err refuse_memory(const fl_qplan *plan, fl_reason *why)
{
    return fl_place_refuse(plan->blocks, block_count(plan), 0, &plan->graph,
                           plan->batch_cap, why);
}

static uint8_t *address(const fl_qplan *plan, const fl_block *block)
{
    return plan->memory + block->at * sizeof(float);
}

static void set_addresses(fl_qplan *plan)
{
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        value *v = &plan->values[i];
        if (!v->block) continue;
        v->place.at = address(plan, v->block) + fl_qvalue_origin(&v->place);
    }
    for (uint32_t i = 0; i < plan->step_count; i++) {
        fl_qstep *s = &plan->steps[i];
        for (uint32_t k = 0; k < s->node.input_count; k++) {
            const uint32_t root = plan->values[s->node.inputs[k]].root;
            if (root != FL_GRAPH_NONE) s->x[k].at = plan->values[root].place.at;
        }
        s->y.at = root_of(plan, s->output)->place.at;
        s->scratch = address(plan, &plan->blocks[plan->graph.node_count + i]);
    }
}

/* ---- life ---- */

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
    fl_err err = allocate_tables(plan);
    if (err) return fl_reason_set(why, err, "no memory for a plan");
    fl_graph_find_readers(plan->readers, &plan->graph);
    make_steps(plan);
    FL_TRY(check_steps(plan, why));
    err = lay_out_values(plan);
    if (err) return refuse_memory(plan, why);
    FL_TRY(prepare_steps(plan, why));
    note_uses(plan);
    if (allocate_memory(plan)) return refuse_memory(plan, why);
    set_addresses(plan);
    return FL_OK;
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
