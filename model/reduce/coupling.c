/* SPDX-License-Identifier: Apache-2.0 */
#include "model/reduce/coupling.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

// While wires are traced, `units` holds the number of the layer's output that
// each is: its id. A set of joined ids is known by its smallest, the root.
typedef struct {
    const fl_graph *graph;
    fl_coupling *coupling;
    bool *leaks;        // one a wire: not 0 when all that makes it is 0
    uint32_t *parents;  // one an id
    bool *stays;        // one an id
    uint32_t *numbers;  // one an id: of its unit
    uint32_t id_count;
} search;

/* ---- sets of ids ---- */

static uint32_t root_of(const search *s, uint32_t id)
{
    while (s->parents[id] != id) {
        s->parents[id] = s->parents[s->parents[id]];
        id = s->parents[id];
    }
    return id;
}

static void join(const search *s, size_t wire_a, size_t wire_b)
{
    const uint32_t a = root_of(s, s->coupling->units[wire_a]);
    const uint32_t b = root_of(s, s->coupling->units[wire_b]);
    if (a < b) {
        s->parents[b] = a;
    } else {
        s->parents[a] = b;
    }
}

static void pin(const search *s, size_t wire)
{
    s->stays[s->coupling->units[wire]] = true;
}

/* ---- wires of a value ---- */

static size_t first_wire(const search *s, uint32_t value)
{
    return s->coupling->at[value];
}

static uint32_t width_of(const search *s, uint32_t value)
{
    return s->graph->nodes[value].shape.channels;
}

static void copy_wire(const search *s, size_t to, size_t from)
{
    s->coupling->units[to] = s->coupling->units[from];
    s->leaks[to] = s->leaks[from];
}

// Wire c of value `to` is wire c of `from`, as often as it has that many.
static void pass(const search *s, uint32_t to, uint32_t from)
{
    const uint32_t width = width_of(s, from);
    for (uint32_t c = 0; c < width_of(s, to); c++) {
        copy_wire(s, first_wire(s, to) + c, first_wire(s, from) + c % width);
    }
}

static void set_leaks(const search *s, uint32_t value, bool leaks)
{
    memset(s->leaks + first_wire(s, value), leaks, width_of(s, value));
}

static void pin_all(const search *s, uint32_t value)
{
    for (uint32_t c = 0; c < width_of(s, value); c++) {
        pin(s, first_wire(s, value) + c);
    }
}

// A layer that will have fewer columns takes what leaks for granted.
static void pin_leaks(const search *s, uint32_t value)
{
    for (size_t w = first_wire(s, value); w < first_wire(s, value + 1); w++) {
        if (s->leaks[w]) pin(s, w);
    }
}

static void join_values(const search *s, uint32_t a, uint32_t b)
{
    for (uint32_t c = 0; c < width_of(s, a); c++) {
        join(s, first_wire(s, a) + c, first_wire(s, b) + c);
    }
}

// The same place of each of `group_count` groups.
static void join_positions(const search *s, uint32_t value,
                           uint32_t group_count)
{
    const size_t first = first_wire(s, value);
    const uint32_t len = width_of(s, value) / group_count;
    for (uint32_t c = len; c < width_of(s, value); c++) {
        join(s, first + c, first + c - len);
    }
}

// All of each group.
static void join_members(const search *s, uint32_t value, uint32_t group_count)
{
    const uint32_t len = width_of(s, value) / group_count;
    for (uint32_t g = 0; g < group_count; g++) {
        const size_t first = first_wire(s, value) + (size_t)g * len;
        for (uint32_t k = 1; k < len; k++) {
            join(s, first + k, first);
        }
    }
}

/* ---- operators ---- */

static void make(search *s, uint32_t i)
{
    for (uint32_t c = 0; c < width_of(s, i); c++) {
        s->parents[s->id_count] = s->id_count;
        s->coupling->units[first_wire(s, i) + c] = s->id_count++;
    }
}

bool fl_coupling_is_depthwise(const fl_graph *graph, const fl_node *node)
{
    const uint32_t inputs = graph->nodes[node->inputs[0]].shape.channels;
    return node->op == FL_OP_CONV && inputs > 1 && node->group_count == inputs;
}

static void trace_conv(search *s, uint32_t i)
{
    const fl_node *node = &s->graph->nodes[i];
    const uint32_t input = node->inputs[0];
    make(s, i);
    if (!fl_coupling_is_depthwise(s->graph, node)) {
        pin_leaks(s, input);
        join_positions(s, input, node->group_count);
        join_positions(s, i, node->group_count);
        return;
    }
    const uint32_t multiplier = width_of(s, i) / node->group_count;
    for (uint32_t o = 0; o < width_of(s, i); o++) {
        join(s, first_wire(s, i) + o, first_wire(s, input) + o / multiplier);
    }
}

static void trace_dense(search *s, uint32_t i)
{
    pin_leaks(s, s->graph->nodes[i].inputs[0]);
    make(s, i);
}

// Its own weight and bias are 0 for a channel that is.
static void trace_norm(const search *s, uint32_t i)
{
    const fl_node *node = &s->graph->nodes[i];
    pass(s, i, node->inputs[0]);
    set_leaks(s, i, false);
    if (node->op == FL_OP_GROUPNORM) join_members(s, i, node->group_count);
}

static void trace_sub(const search *s, uint32_t i)
{
    const fl_node *node = &s->graph->nodes[i];
    pass(s, i, node->inputs[0]);
    for (uint32_t c = 0; c < width_of(s, i); c++) {
        const float constant = s->graph->constants[node->constant_at + c];
        if (constant < 0.0F || constant > 0.0F) {
            s->leaks[first_wire(s, i) + c] = true;
        }
    }
}

static void trace_pair(const search *s, uint32_t i)
{
    const fl_node *node = &s->graph->nodes[i];
    const uint32_t a = node->inputs[0], b = node->inputs[1];
    pass(s, i, a);
    join_values(s, a, b);
    for (uint32_t c = 0; c < width_of(s, i); c++) {
        const bool left = s->leaks[first_wire(s, a) + c];
        const bool right = s->leaks[first_wire(s, b) + c];
        s->leaks[first_wire(s, i) + c] =
            node->op == FL_OP_MUL ? left && right : left || right;
    }
}

static void trace_concat(const search *s, uint32_t i)
{
    const fl_node *node = &s->graph->nodes[i];
    size_t to = first_wire(s, i);
    for (uint32_t k = 0; k < node->input_count; k++) {
        const size_t from = first_wire(s, node->inputs[k]);
        for (uint32_t c = 0; c < width_of(s, node->inputs[k]); c++) {
            copy_wire(s, to++, from + c);
        }
    }
}

static void trace_slice(const search *s, uint32_t i)
{
    const fl_node *node = &s->graph->nodes[i];
    const size_t from = first_wire(s, node->inputs[0]) + node->first;
    for (uint32_t c = 0; c < node->out_count; c++) {
        copy_wire(s, first_wire(s, i) + c, from + c);
    }
}

static void trace_shuffle(const search *s, uint32_t i)
{
    const fl_node *node = &s->graph->nodes[i];
    const uint32_t groups = node->group_count, len = width_of(s, i) / groups;
    size_t from = first_wire(s, node->inputs[0]);
    join_positions(s, node->inputs[0], groups);
    for (uint32_t g = 0; g < groups; g++) {
        size_t to = first_wire(s, i) + g;
        for (uint32_t k = 0; k < len; k++) {
            copy_wire(s, to, from++);
            to += groups;
        }
    }
}

// One case an operator, so that the compiler asks for those to come.
static void trace(search *s, uint32_t i)
{
    const fl_node *node = &s->graph->nodes[i];
    switch (node->op) {
    case FL_OP_INPUT:
        make(s, i);
        pin_all(s, i);
        return;
    case FL_OP_CONV: trace_conv(s, i); return;
    case FL_OP_DENSE: trace_dense(s, i); return;
    case FL_OP_BATCHNORM:
    case FL_OP_GROUPNORM: trace_norm(s, i); return;
    case FL_OP_SUB: trace_sub(s, i); return;
    case FL_OP_ADD:
    case FL_OP_MUL: trace_pair(s, i); return;
    case FL_OP_CONCAT: trace_concat(s, i); return;
    case FL_OP_SLICE: trace_slice(s, i); return;
    case FL_OP_SHUFFLE: trace_shuffle(s, i); return;
    case FL_OP_SIGMOID:
    case FL_OP_HARD_SIGMOID:
        pass(s, i, node->inputs[0]);
        set_leaks(s, i, true);
        return;
    case FL_OP_L2NORM:
        pass(s, i, node->inputs[0]);
        pin_all(s, i);
        return;
    case FL_OP_DIV:
    case FL_OP_RELU:
    case FL_OP_RELU6:
    case FL_OP_LEAKY_RELU:
    case FL_OP_HARD_SWISH:
    case FL_OP_TANH:
    case FL_OP_MAXPOOL:
    case FL_OP_AVGPOOL:
    case FL_OP_GLOBALPOOL:
    case FL_OP_FLATTEN:
    case FL_OP_FAKEQUANT:
    case FL_OP_DROPOUT: pass(s, i, node->inputs[0]); return;
    case FL_OP_COUNT: return;
    }
}

/* ---- units ---- */

// From ids to units; all wires have been traced.
static void number_units(const search *s)
{
    fl_coupling *coupling = s->coupling;
    for (uint32_t id = 0; id < s->id_count; id++) {
        if (s->stays[id]) s->stays[root_of(s, id)] = true;
    }
    for (uint32_t id = 0; id < s->id_count; id++) {
        const uint32_t root = root_of(s, id);
        if (s->stays[root]) {
            s->numbers[id] = FL_UNIT_NONE;
        } else {
            s->numbers[id] =
                root == id ? coupling->unit_count++ : s->numbers[root];
        }
    }
    for (size_t w = 0; w < coupling->at[s->graph->node_count]; w++) {
        coupling->units[w] = s->numbers[coupling->units[w]];
    }
}

/* ---- the front ---- */

static fl_err place_wires(search *s)
{
    fl_coupling *coupling = s->coupling;
    const uint32_t node_count = s->graph->node_count;
    size_t ids = 0;
    coupling->at = calloc((size_t)node_count + 1, sizeof *coupling->at);
    if (!coupling->at) return FL_ERR_MEMORY;
    for (uint32_t i = 0; i < node_count; i++) {
        const fl_op_kind op = s->graph->nodes[i].op;
        const bool is_fresh =
            op == FL_OP_INPUT || op == FL_OP_CONV || op == FL_OP_DENSE;
        coupling->at[i + 1] = coupling->at[i] + width_of(s, i);
        if (is_fresh) ids += width_of(s, i);
    }

    const size_t wires = coupling->at[node_count];
    coupling->units = calloc(wires + 1, sizeof *coupling->units);
    s->leaks = calloc(wires + 1, sizeof *s->leaks);
    s->parents = calloc(ids + 1, sizeof *s->parents);
    s->numbers = calloc(ids + 1, sizeof *s->numbers);
    s->stays = calloc(ids + 1, sizeof *s->stays);
    if (coupling->units && s->leaks && s->parents && s->numbers && s->stays) {
        return FL_OK;
    }
    return FL_ERR_MEMORY;
}

fl_err fl_coupling_find(fl_coupling *coupling, const fl_graph *graph)
{
    search s = {.graph = graph, .coupling = coupling};
    *coupling = (fl_coupling){0};
    const fl_err err = place_wires(&s);
    if (err) goto out;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        trace(&s, i);
    }
    pin_all(&s, graph->node_count - 1);
    number_units(&s);

out:
    if (err) fl_coupling_fini(coupling);
    free(s.leaks);
    free(s.parents);
    free(s.numbers);
    free(s.stays);
    return err;
}

void fl_coupling_fini(fl_coupling *coupling)
{
    free(coupling->at);
    free(coupling->units);
    *coupling = (fl_coupling){0};
}
