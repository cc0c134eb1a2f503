/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include <math.h>
#include <stdlib.h>

#include "model/graph.h"

void fl_model_free(fl_model *model)
{
    if (!model) return;
    fl_graph_fini(&model->graph);
    free(model->params);
    free(model);
}

fl_shape fl_model_input(const fl_model *model)
{
    return model->graph.nodes[0].shape;
}

uint32_t fl_model_class_count(const fl_model *model)
{
    const fl_graph *graph = &model->graph;
    return (uint32_t)fl_shape_size(graph->nodes[graph->node_count - 1].shape);
}

size_t fl_model_param_count(const fl_model *model)
{
    return model->graph.param_count;
}

float *fl_model_params(fl_model *model)
{
    return model->params;
}

const float *fl_model_get_params(const fl_model *model)
{
    return model->params;
}

/* ---- tensors ---- */

// The tensors of a node that has any: weight, bias, statistics. Returns how
// many there are; tensors may be NULL.
static size_t list_tensors(const fl_node *node, fl_tensor_info *tensors)
{
    const bool is_matrix = fl_graph_has_weights(node);
    const fl_tensor_info all[] = {
        {node->weight_at, node->weight_count, is_matrix ? node->out_count : 1,
         is_matrix ? FL_TENSOR_WEIGHT : FL_TENSOR_NORM},
        {node->bias_at, node->bias_count, 1,
         is_matrix ? FL_TENSOR_BIAS : FL_TENSOR_NORM},
        {node->stats_at, node->stats_count, 1, FL_TENSOR_STATISTIC},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i].count == 0) continue;
        if (tensors) tensors[count] = all[i];
        count++;
    }
    return count;
}

size_t fl_model_tensor_count(const fl_model *model)
{
    size_t count = 0;
    for (uint32_t i = 0; i < model->graph.node_count; i++) {
        count += list_tensors(&model->graph.nodes[i], NULL);
    }
    return count;
}

fl_tensor_info fl_model_tensor(const fl_model *model, size_t i)
{
    fl_tensor_info tensors[3];
    const fl_node *node = model->graph.nodes;
    for (size_t count; (count = list_tensors(node, tensors)) <= i; node++) {
        i -= count;
    }
    (void)list_tensors(node, tensors);
    return tensors[i];
}

size_t fl_model_norm_count(const fl_model *model)
{
    size_t count = 0;
    for (uint32_t i = 0; i < model->graph.node_count; i++) {
        const fl_node *node = &model->graph.nodes[i];
        if (node->op != FL_OP_BATCHNORM) continue;
        count += node->weight_count + node->bias_count + node->stats_count;
    }
    return count;
}

uint32_t fl_model_layer_count(const fl_model *model)
{
    return model->graph.node_count - 1;  // the input is none
}

fl_layer_info fl_model_layer(const fl_model *model, uint32_t i)
{
    const fl_node *node = &model->graph.nodes[i + 1];
    return (fl_layer_info){
        .name = node->name,
        .op = fl_op_name(node->op),
        .shape = node->shape,
        .param_count =
            node->weight_count + node->bias_count + node->stats_count,
        .mac_count = fl_graph_mac_count(&model->graph, i + 1),
    };
}

// square += sign * mean^2 for all running statistics.
static void add_squares(const fl_graph *graph, float *params, double sign)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        const size_t channels = node->stats_count / 2;
        const float *means = params + node->stats_at;
        float *squares = params + node->stats_at + channels;
        for (size_t c = 0; c < channels; c++) {
            const double mean = (double)means[c];
            squares[c] = (float)((double)squares[c] + sign * mean * mean);
            if (sign < 0.0) squares[c] = fmaxf(squares[c], 0.0F);
        }
    }
}

void fl_model_variances_to_squares(const fl_model *model, float *params)
{
    add_squares(&model->graph, params, 1.0);
}

void fl_model_squares_to_variances(const fl_model *model, float *params)
{
    add_squares(&model->graph, params, -1.0);
}
