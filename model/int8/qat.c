/*
 * Quantisation-aware training: a model with a FAKEQUANT behind every value
 * that is rounded in 8 bits, and back.
 *
 * Not every quantised value is rounded: what only its activation reads is
 * rounded behind it, and what copies or compares numbers (int8.h has the
 * list) passes on levels as they are. Means are rounded once more.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/int8/calibrate.h"
#include "model/int8/folded.h"
#include "model/int8/int8.h"
#include "model/int8/quantize.h"

/* ---- both ways ---- */

// A model that is made from another one, node by node.
typedef struct {
    const fl_model *from;
    fl_model *made;
    uint32_t *numbers;  // one a node of `from`: its value in `made`
    fl_quant *values;   // one a node of the model without roundings
    fl_reason *why;
} rebuild;

static fl_err begin(rebuild *r)
{
    const uint32_t count = r->from->graph.node_count;
    r->made = calloc(1, sizeof *r->made);
    r->numbers = calloc(count, sizeof *r->numbers);
    r->values = calloc(count, sizeof *r->values);
    if (r->made && r->numbers && r->values) return FL_OK;
    (void)!fl_reason_set(r->why, FL_ERR_MEMORY, "no memory for a graph");
    return FL_ERR_MEMORY;
}

// Appends node i, reading what its inputs have become.
static fl_err copy_node(rebuild *r, uint32_t i, float x_scale)
{
    const fl_graph *graph = &r->from->graph;
    fl_node node = graph->nodes[i];
    for (uint32_t k = 0; k < node.input_count; k++) {
        node.inputs[k] = r->numbers[node.inputs[k]];
    }
    node.x_scale = x_scale;
    r->numbers[i] = r->made->graph.node_count;
    return fl_graph_add(&r->made->graph, &node, node.bias_count > 0,
                        graph->constants + node.constant_at, r->why);
}

// FAKEQUANT has no parameters, so they are where they were.
static fl_err copy_params(rebuild *r)
{
    const size_t count = r->from->graph.param_count;
    assert(r->made->graph.param_count == count);
    // One float too many keeps a graph without parameters out of malloc(0).
    r->made->params = malloc((count + 1) * sizeof(float));
    if (!r->made->params) {
        return fl_reason_set(r->why, FL_ERR_MEMORY,
                             "no memory for %zu parameters", count);
    }
    memcpy(r->made->params, r->from->params, count * sizeof(float));
    return FL_OK;
}

static void end(rebuild *r)
{
    fl_model_free(r->made);
    free(r->numbers);
    free(r->values);
}

/* ---- prepare ---- */

// Its numbers are levels already, when those of its inputs are.
static bool passes_on(fl_op_kind op)
{
    return op == FL_OP_MAXPOOL || op == FL_OP_FLATTEN || op == FL_OP_SLICE ||
           op == FL_OP_SHUFFLE || op == FL_OP_CONCAT;
}

static bool is_rounded(const fl_folded *folded, uint32_t i)
{
    const fl_sharing *sharing = &folded->sharing[i];
    return !sharing->is_float && !sharing->is_clamped &&
           !passes_on(folded->model->graph.nodes[i].op);
}

static fl_err add_rounding(rebuild *r, uint32_t i, fl_quant quant)
{
    fl_node node = {
        .op = FL_OP_FAKEQUANT,
        .inputs = {r->numbers[i]},
        .input_count = 1,
        .alpha = quant.scale,
        .beta = (float)quant.zero_point,
    };
    snprintf(node.name, sizeof node.name, "%.50s.levels",
             r->from->graph.nodes[i].name);
    r->numbers[i] = r->made->graph.node_count;
    return fl_graph_add(&r->made->graph, &node, false, NULL, r->why);
}

static fl_err add_roundings(rebuild *r, const fl_folded *folded)
{
    for (uint32_t i = 0; i < r->from->graph.node_count; i++) {
        const fl_node *node = &r->from->graph.nodes[i];
        const bool has_weights = node->weight_count > 0;
        const float x_scale = r->values[node->inputs[0]].scale;
        FL_TRY(copy_node(r, i, has_weights ? x_scale : 0.0F));
        if (is_rounded(folded, i)) FL_TRY(add_rounding(r, i, r->values[i]));
    }
    return copy_params(r);
}

static fl_err prepare(fl_model **prepared, const fl_folded *folded,
                      const fl_range *ranges, bool is_symmetric, fl_reason *why)
{
    rebuild r = {.from = folded->model, .why = why};
    fl_err err = begin(&r);
    if (err) goto out;
    fl_calibrate_quants(r.values, folded, ranges, is_symmetric);
    err = add_roundings(&r, folded);
    if (err) goto out;
    *prepared = r.made;
    r.made = NULL;

out:
    end(&r);
    return err;
}

fl_err fl_qat_prepare(fl_model **prepared, const fl_model *model,
                      const fl_range *ranges, size_t range_count,
                      bool is_symmetric, fl_reason *why)
{
    fl_folded folded;
    FL_TRY(fl_folded_init(&folded, model, why));
    fl_err err = fl_folded_check(&folded, ranges, range_count, why);
    if (!err) err = prepare(prepared, &folded, ranges, is_symmetric, why);
    fl_folded_fini(&folded);
    return err;
}

/* ---- finish ---- */

static fl_err refuse(fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_STATE,
                         "the model is not prepared for training in 8 bits, "
                         "or has been changed since");
}

// Leaves the roundings away, but notes what each value rounds to.
static fl_err drop_roundings(rebuild *r)
{
    for (uint32_t i = 0; i < r->from->graph.node_count; i++) {
        const fl_node *node = &r->from->graph.nodes[i];
        if (node->op == FL_OP_FAKEQUANT) {
            r->numbers[i] = r->numbers[node->inputs[0]];
            r->values[r->numbers[i]] =
                (fl_quant){node->alpha, (uint8_t)node->beta};
        } else {
            FL_TRY(copy_node(r, i, 0.0F));
        }
    }
    if (r->made->graph.node_count == r->from->graph.node_count) {
        return refuse(r->why);
    }
    return copy_params(r);
}

// What a group shares is said by the one of its values that is rounded.
static fl_err spread(rebuild *r, const fl_sharing *sharing)
{
    fl_quant *values = r->values;
    const uint32_t count = r->made->graph.node_count;
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].scale > 0.0F) values[sharing[i].group] = values[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        values[i] = values[sharing[i].group];
        if ((values[i].scale > 0.0F) == sharing[i].is_float) {
            return refuse(r->why);
        }
    }
    return FL_OK;
}

static fl_err share(rebuild *r)
{
    const fl_graph *graph = &r->made->graph;
    fl_sharing *sharing = calloc(graph->node_count + 1, sizeof *sharing);
    if (!sharing) return fl_reason_set(r->why, FL_ERR_MEMORY, "no memory");
    fl_err err = fl_sharing_find(sharing, graph, r->why);
    if (!err) err = spread(r, sharing);
    free(sharing);
    return err;
}

fl_err fl_qat_finish(fl_int8_model **quantized, const fl_model *prepared,
                     fl_reason *why)
{
    rebuild r = {.from = prepared, .why = why};
    fl_err err = begin(&r);
    if (!err) err = drop_roundings(&r);
    if (!err) err = share(&r);
    if (!err) err = fl_quantize_folded(quantized, r.made, r.values, why);
    end(&r);
    return err;
}
