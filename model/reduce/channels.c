/*
 * Groups of coupled channels: units of model/reduce/coupling.h that take
 * equally many wires of the same values.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/reduce/channels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t *units_of(const fl_channels *channels, uint32_t value)
{
    return channels->coupling.units + channels->coupling.at[value];
}

static uint32_t width_of(const fl_channels *channels, uint32_t value)
{
    return channels->graph.nodes[value].shape.channels;
}

/* ---- which values a unit is in ---- */

typedef struct {
    uint32_t unit;
    fl_channel_part *parts;
    size_t part_count;
} portrait;

// Room for the parts of each unit: it has no more of them than wires.
static fl_err place_parts(fl_channels *channels, portrait *portraits)
{
    const fl_coupling *coupling = &channels->coupling;
    const size_t wires = coupling->at[channels->graph.node_count];
    for (size_t w = 0; w < wires; w++) {
        if (coupling->units[w] == FL_UNIT_NONE) continue;
        portraits[coupling->units[w]].part_count++;
    }
    // One too many keeps a model without channels out of malloc(0).
    channels->parts = calloc(wires + 1, sizeof *channels->parts);
    if (!channels->parts) return FL_ERR_MEMORY;
    fl_channel_part *next = channels->parts;
    for (uint32_t u = 0; u < coupling->unit_count; u++) {
        portraits[u].unit = u;
        portraits[u].parts = next;
        next += portraits[u].part_count;
        portraits[u].part_count = 0;
    }
    return FL_OK;
}

static void add_wire(portrait *p, uint32_t value)
{
    if (p->part_count == 0 || p->parts[p->part_count - 1].value != value) {
        p->parts[p->part_count++].value = value;
    }
    p->parts[p->part_count - 1].count++;
}

static void draw_portraits(fl_channels *channels, portrait *portraits)
{
    for (uint32_t v = 0; v < channels->graph.node_count; v++) {
        const uint32_t *units = units_of(channels, v);
        for (uint32_t c = 0; c < width_of(channels, v); c++) {
            if (units[c] == FL_UNIT_NONE) {
                channels->fixed[v]++;
            } else {
                add_wire(&portraits[units[c]], v);
            }
        }
    }
}

/* ---- groups ---- */

static int compare_numbers(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

// By the first value that one has more wires of, or only one of them.
static int compare_parts(const portrait *a, const portrait *b)
{
    for (size_t i = 0; i < a->part_count && i < b->part_count; i++) {
        const fl_channel_part p = a->parts[i], q = b->parts[i];
        if (p.value != q.value) return compare_numbers(p.value, q.value);
        if (p.count != q.count) return compare_numbers(p.count, q.count);
    }
    return compare_numbers(a->part_count, b->part_count);
}

// The first value a unit is in is that of the first layer that makes it.
static int compare_portraits(const void *a, const void *b)
{
    const portrait *p = a, *q = b;
    const int order = compare_parts(p, q);
    return order ? order : compare_numbers(p->unit, q->unit);
}

static void begin_group(fl_channels *channels, const portrait *p,
                        uint32_t first)
{
    channels->groups[channels->group_count++] = (fl_coupled_group){
        .front = {.name = channels->graph.nodes[p->parts[0].value].name,
                  .first = first},
        .parts = p->parts,
        .part_count = p->part_count,
    };
}

// `portraits` in their order; `numbers` has room for one a unit.
static void number_channels(fl_channels *channels, const portrait *portraits,
                            uint32_t *numbers)
{
    const fl_coupling *coupling = &channels->coupling;
    for (uint32_t i = 0; i < coupling->unit_count; i++) {
        if (i == 0 || compare_parts(&portraits[i - 1], &portraits[i]) != 0) {
            begin_group(channels, &portraits[i], i);
        }
        channels->groups[channels->group_count - 1].front.count++;
        numbers[portraits[i].unit] = i;
    }
    for (size_t w = 0; w < coupling->at[channels->graph.node_count]; w++) {
        uint32_t *unit = &coupling->units[w];
        if (*unit != FL_UNIT_NONE) *unit = numbers[*unit];
    }
}

static fl_err find_groups(fl_channels *channels)
{
    const size_t units = channels->coupling.unit_count;
    fl_err err = FL_ERR_MEMORY;
    portrait *portraits = calloc(units + 1, sizeof *portraits);
    uint32_t *numbers = malloc((units + 1) * sizeof *numbers);
    channels->groups = calloc(units + 1, sizeof *channels->groups);
    if (!portraits || !numbers || !channels->groups) goto out;
    err = place_parts(channels, portraits);
    if (err) goto out;
    draw_portraits(channels, portraits);
    qsort(portraits, units, sizeof *portraits, compare_portraits);
    number_channels(channels, portraits, numbers);

out:
    free(portraits);
    free(numbers);
    return err;
}

/* ---- cost ---- */

static void add_cost(fl_model_cost *cost, const fl_channels *channels,
                     uint32_t i, const uint32_t *widths)
{
    const fl_graph *graph = &channels->graph;
    const fl_node *node = &graph->nodes[i];
    const fl_shape from = graph->nodes[node->inputs[0]].shape;
    const size_t in = widths[node->inputs[0]], out = widths[i];
    size_t weights = node->weight_count ? out : 0;
    if (node->op == FL_OP_DENSE) {
        weights = out * from.height * from.width * in;
        cost->mac_count += weights;
    } else if (node->op == FL_OP_CONV) {
        const bool is_depthwise = fl_coupling_is_depthwise(graph, node);
        weights = out * node->window.kernel_h * node->window.kernel_w *
                  (is_depthwise ? 1 : in / node->group_count);
        cost->mac_count +=
            (uint64_t)node->shape.height * node->shape.width * weights;
    }
    cost->param_count += weights;
    if (node->bias_count) cost->param_count += out;
    if (node->stats_count) cost->param_count += 2 * out;
}

fl_model_cost fl_channels_cost(const fl_channels *channels,
                               const uint32_t *kept)
{
    uint32_t widths[FL_GRAPH_NODES_MAX];
    fl_model_cost cost = {0};
    memcpy(widths, channels->fixed, sizeof widths);
    for (uint32_t i = 0; i < channels->group_count; i++) {
        const fl_coupled_group *group = &channels->groups[i];
        for (size_t k = 0; k < group->part_count; k++) {
            const fl_channel_part part = group->parts[k];
            widths[part.value] += part.count * kept[i];
        }
    }
    for (uint32_t i = 1; i < channels->graph.node_count; i++) {
        add_cost(&cost, channels, i, widths);
    }
    return cost;
}

// What one channel of each group takes, of the whole model.
static fl_err price_groups(fl_channels *channels)
{
    uint32_t *kept = malloc((channels->group_count + 1) * sizeof *kept);
    if (!kept) return FL_ERR_MEMORY;
    for (uint32_t i = 0; i < channels->group_count; i++) {
        kept[i] = channels->groups[i].front.count;
    }
    const fl_model_cost whole = fl_channels_cost(channels, kept);
    for (uint32_t i = 0; i < channels->group_count; i++) {
        kept[i]--;
        const fl_model_cost rest = fl_channels_cost(channels, kept);
        kept[i]++;
        channels->groups[i].front.param_count =
            whole.param_count - rest.param_count;
        channels->groups[i].front.mac_count = whole.mac_count - rest.mac_count;
    }
    free(kept);
    return FL_OK;
}

/* ---- the last affine map of a layer ---- */

static bool is_norm(fl_op_kind op)
{
    return op == FL_OP_BATCHNORM || op == FL_OP_GROUPNORM;
}

// All that have parameters, but for those that only norms read.
static void find_last_maps(fl_channels *channels)
{
    const fl_graph *graph = &channels->graph;
    bool has_norm[FL_GRAPH_NODES_MAX] = {false};
    bool has_other[FL_GRAPH_NODES_MAX] = {false};
    for (uint32_t i = 1; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        for (uint32_t k = 0; k < node->input_count; k++) {
            bool *has = is_norm(node->op) ? has_norm : has_other;
            has[node->inputs[k]] = true;
        }
    }
    for (uint32_t i = 1; i < graph->node_count; i++) {
        const bool is_normed = has_norm[i] && !has_other[i];
        channels->is_last[i] = graph->nodes[i].weight_count && !is_normed;
    }
}

/* ---- life ---- */

static fl_err build(fl_channels *channels, const fl_model *model)
{
    FL_TRY(fl_graph_copy(&channels->graph, &model->graph));
    FL_TRY(fl_coupling_find(&channels->coupling, &channels->graph));
    FL_TRY(find_groups(channels));
    find_last_maps(channels);
    return price_groups(channels);
}

fl_err fl_channels_new(fl_channels **channels, const fl_model *model,
                       fl_reason *why)
{
    fl_channels *made = calloc(1, sizeof *made);
    const fl_err err = made ? build(made, model) : FL_ERR_MEMORY;
    if (err) {
        fl_channels_free(made);
        return fl_reason_set(why, err, "no memory for coupled channels");
    }
    *channels = made;
    return FL_OK;
}

void fl_channels_free(fl_channels *channels)
{
    if (!channels) return;
    fl_graph_fini(&channels->graph);
    fl_coupling_fini(&channels->coupling);
    free(channels->groups);
    free(channels->parts);
    free(channels);
}

size_t fl_channels_count(const fl_channels *channels)
{
    return channels->coupling.unit_count;
}

uint32_t fl_channels_group_count(const fl_channels *channels)
{
    return channels->group_count;
}

fl_channel_group fl_channels_group(const fl_channels *channels, uint32_t i)
{
    return channels->groups[i].front;
}

/* ---- scores ---- */

// The weights of output channel o.
static size_t row_of(const fl_node *node, uint32_t o, size_t *count)
{
    *count = node->weight_count / node->shape.channels;
    return node->weight_at + o * *count;
}

static double slope_of(const fl_node *node, uint32_t o, const float *params,
                       const float *grads)
{
    size_t count;
    const size_t at = row_of(node, o, &count);
    double sum = 0.0;
    for (size_t k = at; k < at + count; k++) {
        sum += (double)params[k] * (double)grads[k];
    }
    if (node->bias_count == 0) return sum;
    return sum +
           (double)params[node->bias_at + o] * (double)grads[node->bias_at + o];
}

void fl_channels_slopes(const fl_channels *channels, double *slopes,
                        const float *params, const float *grads)
{
    memset(slopes, 0, fl_channels_count(channels) * sizeof *slopes);
    for (uint32_t i = 1; i < channels->graph.node_count; i++) {
        const fl_node *node = &channels->graph.nodes[i];
        const uint32_t *units = units_of(channels, i);
        if (!channels->is_last[i]) continue;
        for (uint32_t o = 0; o < width_of(channels, i); o++) {
            if (units[o] == FL_UNIT_NONE) continue;
            slopes[units[o]] += slope_of(node, o, params, grads);
        }
    }
}

static double squares_of(const fl_node *node, uint32_t o, const float *params)
{
    size_t count;
    const size_t at = row_of(node, o, &count);
    double sum = 0.0;
    for (size_t k = at; k < at + count; k++) {
        sum += (double)params[k] * (double)params[k];
    }
    return sum;
}

void fl_channels_norms(const fl_channels *channels, double *norms,
                       const float *params)
{
    const size_t count = fl_channels_count(channels);
    memset(norms, 0, count * sizeof *norms);
    for (uint32_t i = 1; i < channels->graph.node_count; i++) {
        const fl_node *node = &channels->graph.nodes[i];
        const uint32_t *units = units_of(channels, i);
        if (node->op != FL_OP_CONV && node->op != FL_OP_DENSE) continue;
        for (uint32_t o = 0; o < width_of(channels, i); o++) {
            if (units[o] == FL_UNIT_NONE) continue;
            norms[units[o]] += squares_of(node, o, params);
        }
    }
    for (size_t c = 0; c < count; c++) {
        norms[c] = sqrt(norms[c]);
    }
}

/* ---- masks ---- */

static fl_err check_list(const fl_channel_group *group, uint32_t i,
                         const uint32_t *list, size_t count, fl_reason *why)
{
    if (count == 0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "group %u (\"%s\"): the list of channels to keep "
                             "is empty, name at least one",
                             i, group->name);
    }
    for (size_t k = 0; k < count; k++) {
        if (list[k] >= group->count) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "group %u (\"%s\"): there is no channel %u to "
                                 "keep, it has %u, from 0",
                                 i, group->name, list[k], group->count);
        }
        if (k > 0 && list[k] <= list[k - 1]) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "group %u (\"%s\"): channel %u comes behind "
                                 "%u: name each one once, in rising order",
                                 i, group->name, list[k], list[k - 1]);
        }
    }
    return FL_OK;
}

fl_err fl_channels_keep(bool *keep, const fl_channels *channels,
                        const uint32_t *lists, const size_t *at, fl_reason *why)
{
    memset(keep, 0, fl_channels_count(channels) * sizeof *keep);
    for (uint32_t i = 0; i < channels->group_count; i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        const uint32_t *list = lists + at[i];
        const size_t count = at[i + 1] - at[i];
        FL_TRY(check_list(&group, i, list, count, why));
        for (size_t k = 0; k < count; k++) {
            keep[group.first + list[k]] = true;
        }
    }
    return FL_OK;
}
