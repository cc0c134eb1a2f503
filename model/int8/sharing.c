/* SPDX-License-Identifier: Apache-2.0 */
#include "model/int8/sharing.h"

static bool is_constant_op(fl_op_kind op)
{
    return op == FL_OP_SUB || op == FL_OP_DIV;
}

static bool reads(const fl_node *node, uint32_t value)
{
    for (uint32_t k = 0; k < node->input_count; k++) {
        if (node->inputs[k] == value) return true;
    }
    return false;
}

// Nodes that read the value; *reader is the last of them.
static uint32_t count_readers(const fl_graph *graph, uint32_t value,
                              const fl_node **reader)
{
    uint32_t count = 0;
    for (uint32_t i = value + 1; i < graph->node_count; i++) {
        if (!reads(&graph->nodes[i], value)) continue;
        *reader = &graph->nodes[i];
        count++;
    }
    return count;
}

/* ---- operators without an integer form ---- */

static bool is_last(const fl_graph *graph, uint32_t i)
{
    return i == graph->node_count - 1;
}

static fl_err refuse(const fl_node *node, const char *remedy, fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                         "node \"%s\" (%s) cannot be quantised to 8 bits: %s",
                         node->name, fl_op_name(node->op), remedy);
}

// The input, or SUB or DIV with nothing but their like in front of them.
static bool is_in_front(const fl_graph *graph, uint32_t i)
{
    while (is_constant_op(graph->nodes[i].op)) {
        i = graph->nodes[i].inputs[0];
    }
    return graph->nodes[i].op == FL_OP_INPUT;
}

static fl_err check_constant_op(const fl_graph *graph, uint32_t i,
                                fl_reason *why)
{
    const fl_node *node = &graph->nodes[i];
    const fl_node *reader = NULL;
    if (!is_in_front(graph, i)) {
        return refuse(node, "it must come right behind the input", why);
    }
    if (count_readers(graph, node->inputs[0], &reader) > 1) {
        return refuse(node, "it must be the only one that reads its input",
                      why);
    }
    return FL_OK;
}

static fl_err check_node(const fl_graph *graph, uint32_t i, fl_reason *why)
{
    const fl_node *node = &graph->nodes[i];
    if (is_constant_op(node->op)) return check_constant_op(graph, i, why);
    if (node->op == FL_OP_GROUPNORM) {
        return refuse(node,
                      "its statistics differ from example to example; train "
                      "with batch norm instead",
                      why);
    }
    if (node->op == FL_OP_FAKEQUANT || node->x_scale > 0.0F) {
        return refuse(node, "it is trained for them already: finish that", why);
    }
    if (node->op == FL_OP_L2NORM && !is_last(graph, i)) {
        return refuse(node, "it must be the last node", why);
    }
    return FL_OK;
}

/* ---- float32 ---- */

static bool is_float_in_front(const fl_graph *graph, uint32_t i)
{
    const fl_node *reader = NULL;
    return is_in_front(graph, i) && count_readers(graph, i, &reader) > 0 &&
           is_constant_op(reader->op);
}

static bool is_float_at_end(const fl_graph *graph, uint32_t i)
{
    const fl_node *last = &graph->nodes[graph->node_count - 1];
    if (is_last(graph, i) && last->op == FL_OP_L2NORM) return true;
    // In a folded graph nobody else reads what the last node reads.
    return fl_graph_has_weights(&graph->nodes[i]) &&
           (is_last(graph, i) || (last->op == FL_OP_L2NORM && reads(last, i)));
}

/* ---- layers in float32 ---- */

bool fl_sharing_follows(fl_op_kind op)
{
    return op == FL_OP_RELU || op == FL_OP_RELU6 || op == FL_OP_LEAKY_RELU ||
           op == FL_OP_HARD_SWISH || op == FL_OP_HARD_SIGMOID ||
           op == FL_OP_SIGMOID || op == FL_OP_TANH || op == FL_OP_MAXPOOL ||
           op == FL_OP_AVGPOOL || op == FL_OP_GLOBALPOOL ||
           op == FL_OP_FLATTEN || op == FL_OP_L2NORM;
}

static bool computes_float(const fl_sharing *sharing, const fl_graph *graph,
                           const bool *float_layers, uint32_t i)
{
    const fl_node *node = &graph->nodes[i], *reader = NULL;
    if (fl_graph_has_weights(node)) return float_layers[i];
    return fl_sharing_follows(node->op) &&
           sharing[node->inputs[0]].computes_float &&
           count_readers(graph, node->inputs[0], &reader) == 1;
}

// Nobody needs the bytes of value i.
static bool is_float_inside(const fl_sharing *sharing, const fl_graph *graph,
                            uint32_t i)
{
    const fl_node *reader = NULL;
    if (!sharing[i].computes_float && !is_in_front(graph, i)) return false;
    if (is_last(graph, i)) return true;
    return count_readers(graph, i, &reader) == 1 &&
           sharing[reader - graph->nodes].computes_float;
}

static void find_floats(fl_sharing *sharing, const fl_graph *graph,
                        const bool *float_layers)
{
    for (uint32_t i = 1; i < graph->node_count; i++) {
        sharing[i].computes_float =
            computes_float(sharing, graph, float_layers, i);
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (is_float_inside(sharing, graph, i)) sharing[i].is_float = true;
    }
}

/* ---- groups ---- */

static uint32_t group_of(fl_sharing *sharing, uint32_t i)
{
    while (sharing[i].group != i) {
        // Halving the path keeps chains short.
        sharing[i].group = sharing[sharing[i].group].group;
        i = sharing[i].group;
    }
    return i;
}

// The smaller number stays, so a group is named by its first value.
static void join(fl_sharing *sharing, uint32_t a, uint32_t b)
{
    a = group_of(sharing, a);
    b = group_of(sharing, b);
    sharing[a < b ? b : a].group = a < b ? a : b;
}

static bool clamps(const fl_graph *graph, const fl_node *node)
{
    const fl_node *reader = NULL;
    const fl_node *made_by = &graph->nodes[node->inputs[0]];
    if (node->op != FL_OP_RELU && node->op != FL_OP_RELU6) return false;
    return (fl_graph_has_weights(made_by) || made_by->op == FL_OP_ADD ||
            made_by->op == FL_OP_MUL) &&
           count_readers(graph, node->inputs[0], &reader) == 1;
}

static bool keeps_quantisation(fl_op_kind op)
{
    return op == FL_OP_MAXPOOL || op == FL_OP_AVGPOOL ||
           op == FL_OP_GLOBALPOOL || op == FL_OP_FLATTEN || op == FL_OP_SLICE ||
           op == FL_OP_SHUFFLE || op == FL_OP_CONCAT;
}

static void join_inputs(fl_sharing *sharing, const fl_graph *graph, uint32_t i)
{
    const fl_node *node = &graph->nodes[i];
    if (sharing[i].computes_float) return;
    if (clamps(graph, node)) {
        sharing[node->inputs[0]].is_clamped = true;
        join(sharing, node->inputs[0], i);
    }
    if (!keeps_quantisation(node->op)) return;
    for (uint32_t k = 0; k < node->input_count; k++) {
        join(sharing, node->inputs[k], i);
    }
}

// A group's first value has the smallest number, so it is met first.
static void number_ranges(fl_sharing *sharing, uint32_t node_count)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < node_count; i++) {
        if (sharing[i].is_float) continue;
        const uint32_t group = sharing[i].group;
        sharing[i].range = group == i ? next++ : sharing[group].range;
    }
}

size_t fl_sharing_range_count(const fl_sharing *sharing, uint32_t node_count)
{
    size_t count = 0;
    for (uint32_t i = 0; i < node_count; i++) {
        if (!sharing[i].is_float && sharing[i].group == i) count++;
    }
    return count;
}

fl_err fl_sharing_find(fl_sharing *sharing, const fl_graph *graph,
                       fl_reason *why)
{
    return fl_sharing_find_mixed(sharing, graph, NULL, why);
}

fl_err fl_sharing_find_mixed(fl_sharing *sharing, const fl_graph *graph,
                             const bool *float_layers, fl_reason *why)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        FL_TRY(check_node(graph, i, why));
        sharing[i] = (fl_sharing){
            .group = i,
            .is_float =
                is_float_in_front(graph, i) || is_float_at_end(graph, i),
        };
    }
    if (float_layers) find_floats(sharing, graph, float_layers);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        join_inputs(sharing, graph, i);
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        sharing[i].group = group_of(sharing, i);
    }
    number_ranges(sharing, graph->node_count);
    return FL_OK;
}
