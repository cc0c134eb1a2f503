/* SPDX-License-Identifier: Apache-2.0 */
#include "model/graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "model/model.h"
#include "model/ops/op.h"

// Room for `count` nodes: the next power of two, so that the number of nodes
// alone says when the array is full.
static size_t nodes_cap(uint32_t count)
{
    size_t cap = 8;
    while (cap < count) {
        cap *= 2;
    }
    return cap;
}

static fl_err check_inputs(const fl_graph *graph, const fl_node *node,
                           const fl_op *op, fl_reason *why)
{
    if ((node->op == FL_OP_INPUT) != (graph->node_count == 0)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (%s): the first node of a graph is "
                             "its input, and no other is",
                             node->name, fl_op_name(node->op));
    }
    if (op->input_count == 0 && node->op != FL_OP_INPUT) {
        if (node->input_count == 0 || node->input_count > FL_NODE_INPUTS_MAX) {
            return fl_reason_set(why, FL_ERR_FORMAT,
                                 "node \"%s\" (%s) has %u inputs, it needs 1 "
                                 "to %u",
                                 node->name, fl_op_name(node->op),
                                 node->input_count, FL_NODE_INPUTS_MAX);
        }
    } else if (node->input_count != op->input_count) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (%s) has %u inputs, it needs %u",
                             node->name, fl_op_name(node->op),
                             node->input_count, op->input_count);
    }
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] >= graph->node_count) {
            return fl_reason_set(why, FL_ERR_FORMAT,
                                 "node \"%s\" (%s) reads value %u, which no "
                                 "earlier node makes",
                                 node->name, fl_op_name(node->op),
                                 node->inputs[i]);
        }
    }
    return FL_OK;
}

static fl_err check_shape(const fl_node *node, fl_reason *why)
{
    const fl_shape s = node->shape;
    size_t size;
    if (s.height == 0 || s.width == 0 || s.channels == 0) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (%s) makes an empty value of "
                             "%ux%ux%u",
                             node->name, fl_op_name(node->op), s.height,
                             s.width, s.channels);
    }
    if (fl_size_mul(&size, s.height, s.width) ||
        fl_size_mul(&size, size, s.channels) || size > FL_GRAPH_VALUES_MAX) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "node \"%s\" (%s) makes %ux%ux%u numbers an "
                             "example, more than %u",
                             node->name, fl_op_name(node->op), s.height,
                             s.width, s.channels, FL_GRAPH_VALUES_MAX);
    }
    return FL_OK;
}

static fl_err check_constants(const fl_node *node, const float *constants,
                              fl_reason *why)
{
    if (!constants) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (%s) needs one constant a channel",
                             node->name, fl_op_name(node->op));
    }
    for (uint32_t c = 0; c < node->shape.channels; c++) {
        const bool is_zero = constants[c] >= 0.0F && constants[c] <= 0.0F;
        if (isfinite(constants[c]) && !(node->op == FL_OP_DIV && is_zero)) {
            continue;
        }
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (%s): constant %u is %g", node->name,
                             fl_op_name(node->op), c, (double)constants[c]);
    }
    return FL_OK;
}

// Offsets behind the parameters that are there already.
static fl_err place_params(fl_node *node, size_t *param_count,
                           const fl_graph *graph, fl_reason *why)
{
    node->weight_at = graph->param_count;
    fl_err err =
        fl_size_add(&node->bias_at, node->weight_at, node->weight_count);
    if (!err) {
        err = fl_size_add(&node->stats_at, node->bias_at, node->bias_count);
    }
    if (!err) err = fl_size_add(param_count, node->stats_at, node->stats_count);
    if (!err && *param_count <= FL_MODEL_PARAMS_MAX) return FL_OK;
    return fl_reason_set(why, FL_ERR_LIMIT,
                         "node \"%s\" (%s) brings the model above %u "
                         "parameters",
                         node->name, fl_op_name(node->op), FL_MODEL_PARAMS_MAX);
}

static fl_err complete_node(fl_node *node, size_t *param_count,
                            const fl_graph *graph, bool has_bias,
                            const float *constants, fl_reason *why)
{
    const fl_op *op = fl_op_get(node->op);
    if (!op) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\": there is no operator %d", node->name,
                             (int)node->op);
    }
    FL_TRY(check_inputs(graph, node, op, why));

    fl_shape inputs[FL_NODE_INPUTS_MAX];
    for (uint32_t i = 0; i < node->input_count; i++) {
        inputs[i] = graph->nodes[node->inputs[i]].shape;
    }
    const fl_err err = op->shape(node, inputs, why);
    if (err == FL_ERR_LIMIT) {
        return fl_reason_set(why, err, "node \"%s\" (%s) is too large",
                             node->name, fl_op_name(node->op));
    }
    if (err) return err;
    if (fl_graph_has_weights(node) && !has_bias) node->bias_count = 0;

    FL_TRY(check_shape(node, why));
    if (op->has_constants) FL_TRY(check_constants(node, constants, why));
    return place_params(node, param_count, graph, why);
}

static fl_err grow_nodes(fl_graph *graph)
{
    const size_t cap = nodes_cap(graph->node_count + 1);
    if (graph->nodes && cap == nodes_cap(graph->node_count)) return FL_OK;
    fl_node *nodes = realloc(graph->nodes, cap * sizeof *nodes);
    if (!nodes) return FL_ERR_MEMORY;
    graph->nodes = nodes;
    return FL_OK;
}

static fl_err append_constants(fl_graph *graph, const float *constants,
                               size_t count)
{
    size_t bytes;
    FL_TRY(fl_size_mul(&bytes, graph->constant_count + count, sizeof(float)));
    float *all = realloc(graph->constants, bytes);
    if (!all) return FL_ERR_MEMORY;
    memcpy(all + graph->constant_count, constants, count * sizeof(float));
    graph->constants = all;
    graph->constant_count += count;
    return FL_OK;
}

fl_err fl_graph_add(fl_graph *graph, const fl_node *node, bool has_bias,
                    const float *constants, fl_reason *why)
{
    if (graph->node_count == FL_GRAPH_NODES_MAX) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "the graph has more than %u nodes",
                             (unsigned)FL_GRAPH_NODES_MAX);
    }
    fl_node made = {
        .op = node->op,
        .input_count = node->input_count,
        .shape = node->shape,
        .window = node->window,
        .counts_padding = node->counts_padding,
        .out_count = node->out_count,
        .dilation_h = node->dilation_h ? node->dilation_h : 1,
        .dilation_w = node->dilation_w ? node->dilation_w : 1,
        .group_count = node->group_count ? node->group_count : 1,
        .first = node->first,
        .alpha = node->alpha,
        .beta = node->beta,
        .x_scale = node->x_scale,
        .epsilon = node->epsilon,
        .momentum = node->momentum,
        .constant_at = graph->constant_count,
    };
    memcpy(made.name, node->name, sizeof made.name);
    made.name[sizeof made.name - 1] = '\0';
    memcpy(made.inputs, node->inputs, sizeof made.inputs);

    size_t param_count = 0;
    FL_TRY(complete_node(&made, &param_count, graph, has_bias, constants, why));
    fl_err err = grow_nodes(graph);
    if (!err && fl_op_get(made.op)->has_constants) {
        err = append_constants(graph, constants, made.shape.channels);
    }
    if (err) return fl_reason_set(why, err, "no memory for the graph");

    graph->nodes[graph->node_count++] = made;
    graph->param_count = param_count;
    return FL_OK;
}

bool fl_graph_has_weights(const fl_node *node)
{
    return node->op == FL_OP_CONV || node->op == FL_OP_DENSE;
}

uint64_t fl_graph_mac_count(const fl_graph *graph, uint32_t i)
{
    const fl_node *node = &graph->nodes[i];
    const uint64_t pixels = (uint64_t)node->shape.height * node->shape.width;
    if (node->op == FL_OP_CONV) return pixels * node->weight_count;
    return node->op == FL_OP_DENSE ? node->weight_count : 0;
}

void fl_graph_find_readers(fl_readers *readers, const fl_graph *graph)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        readers[i] = (fl_readers){.count = 0, .only = FL_GRAPH_NONE};
    }
    readers[graph->node_count - 1].count = 1;
    for (uint32_t i = graph->node_count; i-- > 0;) {
        const fl_node *node = &graph->nodes[i];
        for (uint32_t k = 0; readers[i].count && k < node->input_count; k++) {
            fl_readers *of = &readers[node->inputs[k]];
            of->only = of->count == 0 ? i : FL_GRAPH_NONE;
            of->count++;
        }
    }
}

fl_err fl_graph_copy(fl_graph *copy, const fl_graph *graph)
{
    *copy = *graph;
    copy->nodes = malloc(nodes_cap(graph->node_count) * sizeof *copy->nodes);
    // One float too many keeps a graph without constants out of malloc(0).
    copy->constants = malloc((graph->constant_count + 1) * sizeof(float));
    if (!copy->nodes || !copy->constants) {
        fl_graph_fini(copy);
        return FL_ERR_MEMORY;
    }
    if (graph->node_count) {
        memcpy(copy->nodes, graph->nodes,
               graph->node_count * sizeof *copy->nodes);
    }
    if (graph->constant_count) {
        memcpy(copy->constants, graph->constants,
               graph->constant_count * sizeof(float));
    }
    return FL_OK;
}

void fl_graph_fini(fl_graph *graph)
{
    free(graph->nodes);
    free(graph->constants);
    *graph = (fl_graph){0};
}
