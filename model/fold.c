/*
 * Folding: batch norms into the layers before them, dropouts away.
 *
 * A batch norm with fixed statistics is y = a * x + c for each channel, and so
 * is a row of them. Behind CONV or DENSE, when nobody else reads the value
 * between, a goes into the weights and c into the bias; elsewhere the first
 * of the row becomes a depthwise 1x1 CONV with weight a and bias c. All of it
 * is computed in double and rounded once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/graph.h"
#include "model/model.h"

// What becomes of a value of the old graph, one a node.
typedef struct {
    uint32_t reader_count;  // of the value behind dropouts; 0: unused
    uint32_t host;          // node that the value ends up in: itself, the
                            // layer that takes the batch norm, or whatever
                            // makes the input of a dropout
    bool hosts_norms;
    uint32_t number;  // of a host, in the new graph
} fate;

typedef struct {
    const fl_model *model;
    fl_model *folded;
    fate *fates;
    double *factor, *offset;  // a and c, one a channel of the widest norm
    fl_reason *why;
} fold;

/* ---- what goes where ---- */

static void count_readers(fold *f)
{
    const fl_graph *graph = &f->model->graph;
    f->fates[graph->node_count - 1].reader_count = 1;  // the logits' user
    for (uint32_t i = graph->node_count; i-- > 0;) {
        const fl_node *node = &graph->nodes[i];
        const uint32_t own = f->fates[i].reader_count;
        if (own == 0) continue;
        for (uint32_t k = 0; k < node->input_count; k++) {
            // Whoever reads a dropout reads what is in front of it.
            f->fates[node->inputs[k]].reader_count +=
                node->op == FL_OP_DROPOUT ? own : 1;
        }
    }
}

static bool takes_norms(fl_op_kind op)
{
    return op == FL_OP_CONV || op == FL_OP_DENSE || op == FL_OP_BATCHNORM;
}

// The value that this input is when dropouts are gone.
static uint32_t behind_dropouts(const fl_graph *graph, uint32_t i)
{
    while (graph->nodes[i].op == FL_OP_DROPOUT) {
        i = graph->nodes[i].inputs[0];
    }
    return i;
}

static bool joins(const fold *f, uint32_t i, uint32_t input)
{
    const fl_graph *graph = &f->model->graph;
    return graph->nodes[i].op == FL_OP_BATCHNORM &&
           f->fates[i].reader_count > 0 && f->fates[input].reader_count == 1 &&
           takes_norms(graph->nodes[f->fates[input].host].op);
}

static void find_hosts(fold *f)
{
    const fl_graph *graph = &f->model->graph;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        const uint32_t input = behind_dropouts(graph, node->inputs[0]);
        const bool is_gone = node->op == FL_OP_DROPOUT || joins(f, i, input);
        fate *own = &f->fates[i];
        own->host = is_gone ? f->fates[input].host : i;
        if (node->op == FL_OP_BATCHNORM) {
            f->fates[own->host].hosts_norms = true;
        }
    }
}

/* ---- the new graph ---- */

static fl_err append(fold *f, uint32_t i)
{
    const fl_graph *graph = &f->model->graph;
    fl_node node = graph->nodes[i];
    if (node.op == FL_OP_BATCHNORM) {
        node.op = FL_OP_CONV;
        node.window = (fl_window){
            .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1};
        node.out_count = node.group_count = node.shape.channels;
    }
    for (uint32_t k = 0; k < node.input_count; k++) {
        node.inputs[k] = f->fates[f->fates[node.inputs[k]].host].number;
    }
    const bool has_bias = node.bias_count > 0 || f->fates[i].hosts_norms;
    f->fates[i].number = f->folded->graph.node_count;
    return fl_graph_add(&f->folded->graph, &node, has_bias,
                        graph->constants + node.constant_at, f->why);
}

static bool is_kept(const fold *f, uint32_t i)
{
    return f->fates[i].reader_count > 0 && f->fates[i].host == i;
}

static fl_err append_nodes(fold *f)
{
    for (uint32_t i = 0; i < f->model->graph.node_count; i++) {
        if (is_kept(f, i)) FL_TRY(append(f, i));
    }
    return FL_OK;
}

/* ---- the new parameters ---- */

// Puts y = a * x + c of this batch norm behind what f->factor, f->offset do.
static fl_err apply_norm(fold *f, const fl_node *node)
{
    const uint32_t channels = node->shape.channels;
    const float *gamma = f->model->params + node->weight_at;
    const float *beta = f->model->params + node->bias_at;
    const float *mean = f->model->params + node->stats_at;
    const float *variance = mean + channels;
    for (uint32_t c = 0; c < channels; c++) {
        const double spread = (double)variance[c] + (double)node->epsilon;
        if (!(variance[c] >= 0.0F && spread > 0.0)) {
            return fl_reason_set(f->why, FL_ERR_RANGE,
                                 "node \"%s\" (%s): the variance of channel "
                                 "%u is %g with epsilon %g: it must not be "
                                 "negative, and both not 0",
                                 node->name, fl_op_name(node->op), c,
                                 (double)variance[c], (double)node->epsilon);
        }
        const double a = (double)gamma[c] / sqrt(spread);
        f->factor[c] *= a;
        f->offset[c] = a * (f->offset[c] - (double)mean[c]) + (double)beta[c];
    }
    return FL_OK;
}

static fl_err compose_norms(fold *f, uint32_t host)
{
    const fl_graph *graph = &f->model->graph;
    const uint32_t channels = graph->nodes[host].shape.channels;
    for (uint32_t c = 0; c < channels; c++) {
        f->factor[c] = 1.0;
        f->offset[c] = 0.0;
    }
    for (uint32_t i = host; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        if (node->op != FL_OP_BATCHNORM || f->fates[i].host != host) continue;
        FL_TRY(apply_norm(f, node));
    }
    return FL_OK;
}

// Writes weight and bias of new node `to`, that of `from` with its norms.
static void scale_params(const fold *f, const fl_node *to, const fl_node *from)
{
    const size_t depth = to->weight_count / to->out_count;
    const float *weight = f->model->params + from->weight_at;
    const float *bias = f->model->params + from->bias_at;
    const bool is_norm = from->op == FL_OP_BATCHNORM;
    float *to_weight = f->folded->params + to->weight_at;
    float *to_bias = f->folded->params + to->bias_at;
    for (uint32_t o = 0; o < to->out_count; o++) {
        for (size_t k = o * depth; k < (o + 1) * depth; k++) {
            const double w = is_norm ? 1.0 : (double)weight[k];
            to_weight[k] = (float)(w * f->factor[o]);
        }
        const double b =
            is_norm || from->bias_count == 0 ? 0.0 : (double)bias[o];
        to_bias[o] = (float)(b * f->factor[o] + f->offset[o]);
    }
}

static fl_err write_params(fold *f, uint32_t i)
{
    const fl_node *from = &f->model->graph.nodes[i];
    const fl_node *to = &f->folded->graph.nodes[f->fates[i].number];
    if (f->fates[i].hosts_norms) {
        FL_TRY(compose_norms(f, i));
        scale_params(f, to, from);
        return FL_OK;
    }
    memcpy(f->folded->params + to->weight_at,
           f->model->params + from->weight_at,
           from->weight_count * sizeof(float));
    memcpy(f->folded->params + to->bias_at, f->model->params + from->bias_at,
           from->bias_count * sizeof(float));
    return FL_OK;
}

static fl_err write_all_params(fold *f)
{
    // One float too many keeps a graph without parameters out of malloc(0).
    f->folded->params =
        malloc((f->folded->graph.param_count + 1) * sizeof(float));
    if (!f->folded->params) {
        return fl_reason_set(f->why, FL_ERR_MEMORY,
                             "no memory for %zu parameters",
                             f->folded->graph.param_count);
    }
    for (uint32_t i = 0; i < f->model->graph.node_count; i++) {
        if (is_kept(f, i)) FL_TRY(write_params(f, i));
    }
    return FL_OK;
}

/* ---- the front ---- */

static fl_err allocate(fold *f)
{
    const fl_graph *graph = &f->model->graph;
    uint32_t channels = 1;
    assert(graph->node_count > 0);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        if (node->op != FL_OP_BATCHNORM) continue;
        if (node->shape.channels > channels) channels = node->shape.channels;
    }
    f->folded = calloc(1, sizeof *f->folded);
    f->fates = calloc(graph->node_count, sizeof *f->fates);
    f->factor = malloc(channels * sizeof *f->factor);
    f->offset = malloc(channels * sizeof *f->offset);
    if (f->folded && f->fates && f->factor && f->offset) return FL_OK;
    return fl_reason_set(f->why, FL_ERR_MEMORY, "no memory to fold a model");
}

fl_err fl_model_fold(fl_model **folded, const fl_model *model, fl_reason *why)
{
    fold f = {.model = model, .why = why};
    fl_err err = allocate(&f);
    if (err) goto out;
    count_readers(&f);
    find_hosts(&f);
    err = append_nodes(&f);
    if (!err) err = write_all_params(&f);
    if (err) goto out;
    *folded = f.folded;
    f.folded = NULL;

out:
    fl_model_free(f.folded);
    free(f.fates);
    free(f.factor);
    free(f.offset);
    return err;
}
