/*
 * A model without some of its channels: the same nodes in the same order, each
 * with the wires that stay, and of the parameters those between them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "model/graph.h"
#include "model/model.h"
#include "model/reduce/channels.h"

typedef struct {
    const fl_model *model;
    const fl_channels *channels;
    const bool *keep;
    fl_model *smaller;
    uint32_t *from;  // one a parameter of *smaller
    size_t from_count;
    float *constants;  // room for those of a node
    fl_reason *why;
} shrink;

static bool stays(const shrink *s, uint32_t value, uint32_t c)
{
    const fl_coupling *coupling = &s->channels->coupling;
    const uint32_t unit = coupling->units[coupling->at[value] + c];
    return unit == FL_UNIT_NONE || s->keep[unit];
}

// How many of the channels [0, end) of a value stay.
static uint32_t count_until(const shrink *s, uint32_t value, uint32_t end)
{
    uint32_t count = 0;
    for (uint32_t c = 0; c < end; c++) {
        count += stays(s, value, c);
    }
    return count;
}

/* ---- the new graph ---- */

// Groups of one input go; those of several become smaller, all alike.
static uint32_t groups_left(const shrink *s, const fl_node *node)
{
    const uint32_t input = node->inputs[0];
    const uint32_t channels = s->model->graph.nodes[input].shape.channels;
    if (fl_coupling_is_depthwise(&s->model->graph, node)) {
        return count_until(s, input, channels);
    }
    if (node->op != FL_OP_GROUPNORM) return node->group_count;
    return count_until(s, input, channels) / (channels / node->group_count);
}

static const float *constants_left(const shrink *s, uint32_t i)
{
    const fl_graph *graph = &s->model->graph;
    const fl_node *node = &graph->nodes[i];
    if (node->op != FL_OP_SUB && node->op != FL_OP_DIV) return NULL;
    size_t count = 0;
    for (uint32_t c = 0; c < node->shape.channels; c++) {
        if (!stays(s, i, c)) continue;
        s->constants[count++] = graph->constants[node->constant_at + c];
    }
    return s->constants;
}

static fl_err add_node(const shrink *s, uint32_t i)
{
    fl_node node = s->model->graph.nodes[i];
    const float *constants = constants_left(s, i);
    node.group_count = groups_left(s, &node);
    if (node.out_count) node.out_count = count_until(s, i, node.shape.channels);
    if (node.op == FL_OP_SLICE) {
        node.first = count_until(s, node.inputs[0], node.first);
    }
    return fl_graph_add(&s->smaller->graph, &node, node.bias_count > 0,
                        constants, s->why);
}

static fl_err add_nodes(const shrink *s)
{
    for (uint32_t i = 0; i < s->model->graph.node_count; i++) {
        FL_TRY(add_node(s, i));
    }
    return FL_OK;
}

/* ---- the new parameters ---- */

static void take(shrink *s, size_t param)
{
    s->from[s->from_count++] = (uint32_t)param;
}

// One a channel of value i.
static void take_channels(shrink *s, uint32_t i, size_t at)
{
    for (uint32_t c = 0; c < s->model->graph.nodes[i].shape.channels; c++) {
        if (stays(s, i, c)) take(s, at + c);
    }
}

// Row `o` of a weight (O, taps, depth): of the inputs from `first` on.
static void take_row(shrink *s, const fl_node *node, size_t row_at,
                     uint32_t first, uint32_t depth)
{
    const size_t count = node->weight_count / node->out_count;
    for (size_t tap = 0; tap < count; tap += depth) {
        for (uint32_t c = 0; c < depth; c++) {
            if (stays(s, node->inputs[0], first + c)) {
                take(s, row_at + tap + c);
            }
        }
    }
}

static void take_matrix(shrink *s, uint32_t i)
{
    const fl_graph *graph = &s->model->graph;
    const fl_node *node = &graph->nodes[i];
    const uint32_t inputs = graph->nodes[node->inputs[0]].shape.channels;
    const uint32_t depth = inputs / node->group_count;
    const uint32_t rows = node->out_count / node->group_count;
    const size_t row = node->weight_count / node->out_count;
    for (uint32_t o = 0; o < node->out_count; o++) {
        if (!stays(s, i, o)) continue;
        take_row(s, node, node->weight_at + o * row, o / rows * depth, depth);
    }
}

static void take_params(shrink *s, uint32_t i)
{
    const fl_node *node = &s->model->graph.nodes[i];
    const size_t channels = node->shape.channels;
    if (fl_graph_has_weights(node)) {
        take_matrix(s, i);
    } else if (node->weight_count) {
        take_channels(s, i, node->weight_at);
    }
    if (node->bias_count) take_channels(s, i, node->bias_at);
    if (node->stats_count == 0) return;
    take_channels(s, i, node->stats_at);
    take_channels(s, i, node->stats_at + channels);
}

static fl_err take_all_params(shrink *s)
{
    const size_t count = s->smaller->graph.param_count;
    // One too many keeps a model without parameters out of malloc(0).
    s->from = calloc(count + 1, sizeof *s->from);
    s->smaller->params = malloc((count + 1) * sizeof *s->smaller->params);
    if (!s->from || !s->smaller->params) {
        return fl_reason_set(s->why, FL_ERR_MEMORY,
                             "no memory for %zu parameters", count);
    }
    for (uint32_t i = 0; i < s->model->graph.node_count; i++) {
        take_params(s, i);
    }
    for (size_t j = 0; j < count; j++) {
        s->smaller->params[j] = s->model->params[s->from[j]];
    }
    return FL_OK;
}

/* ---- the front ---- */

static fl_err check_mask(const shrink *s)
{
    for (uint32_t i = 0; i < s->channels->group_count; i++) {
        const fl_channel_group group = s->channels->groups[i].front;
        const bool *keep = s->keep + group.first;
        uint32_t kept = 0;
        for (uint32_t c = 0; c < group.count; c++) {
            kept += keep[c];
        }
        if (kept > 0) continue;
        return fl_reason_set(s->why, FL_ERR_RANGE,
                             "group %u (\"%s\"): none of its %u channels is "
                             "kept, keep at least one",
                             i, group.name, group.count);
    }
    return FL_OK;
}

fl_err fl_model_shrink(fl_model **smaller, uint32_t **from,
                       const fl_model *model, const fl_channels *channels,
                       const bool *keep, fl_reason *why)
{
    shrink s = {.model = model, .channels = channels, .keep = keep, .why = why};
    FL_TRY(check_mask(&s));
    fl_err err = FL_ERR_MEMORY;
    s.smaller = calloc(1, sizeof *s.smaller);
    s.constants = malloc((model->graph.constant_count + 1) * sizeof(float));
    if (!s.smaller || !s.constants) {
        (void)!fl_reason_set(why, err, "no memory to shrink a model");
        goto out;
    }
    err = add_nodes(&s);
    if (!err) err = take_all_params(&s);
    if (err) goto out;
    *smaller = s.smaller;
    s.smaller = NULL;
    if (from) {
        *from = s.from;
        s.from = NULL;
    }

out:
    fl_model_free(s.smaller);
    free(s.constants);
    free(s.from);
    return err;
}
