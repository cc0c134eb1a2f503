/* The end of reading: what is left of the graph, and its parameters.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "model/onnx/onnx_import.h"
#include "model/onnx/onnx_tensor.h"

/* ---- the graph ---- */

// The last node and all that it depends on.
static void find_live(bool *is_live, const fl_graph *graph)
{
    is_live[graph->node_count - 1] = true;
    for (uint32_t i = graph->node_count; i-- > 0;) {
        const fl_node *node = &graph->nodes[i];
        for (uint32_t k = 0; is_live[i] && k < node->input_count; k++) {
            is_live[node->inputs[k]] = true;
        }
    }
}

static fl_err check_used(const fl_onnx_import *import, const bool *is_live)
{
    for (uint32_t i = 0; i < import->graph->node_count; i++) {
        if (is_live[i] || import->is_absorbed[i]) continue;
        const fl_node *node = &import->graph->nodes[i];
        return fl_reason_set(import->why, FL_ERR_UNSUPPORTED,
                             "nothing reads what node \"%s\" (%s) makes",
                             node->name, fl_op_name(node->op));
    }
    return FL_OK;
}

// Adds node i as it was understood in the end; *number: old to new.
static fl_err keep_node(fl_onnx_import *import, fl_graph *kept,
                        uint32_t *number, uint32_t i)
{
    fl_node node = import->graph->nodes[i];
    for (uint32_t k = 0; k < node.input_count; k++) {
        node.inputs[k] = number[node.inputs[k]];
    }
    number[i] = kept->node_count;
    import->sources[number[i]] = import->sources[i];
    if (import->quants) import->quants[number[i]] = import->quants[i];
    const float *constants = NULL;
    if (import->graph->constants) {
        constants = import->graph->constants + node.constant_at;
    }
    return fl_graph_add(kept, &node, import->sources[i].bias != NULL, constants,
                        import->why);
}

// From here on sources belong to the new numbers.
fl_err fl_onnx_keep(fl_onnx_import *import, fl_graph *kept)
{
    bool is_live[FL_GRAPH_NODES_MAX] = {false};
    uint32_t number[FL_GRAPH_NODES_MAX] = {0};
    find_live(is_live, import->graph);
    FL_TRY(check_used(import, is_live));
    for (uint32_t i = 0; i < import->graph->node_count; i++) {
        if (is_live[i]) FL_TRY(keep_node(import, kept, number, i));
    }
    if (kept->param_count > 0) return FL_OK;
    return fl_reason_set(import->why, FL_ERR_UNSUPPORTED,
                         "the model has no parameters: nothing to train");
}

/* ---- parameters ---- */

static fl_err refuse_number(const fl_onnx_import *import, const fl_node *node,
                            const fl_onnx_value *value, size_t at)
{
    const double number = (double)fl_onnx_tensor_float(value->tensor, at);
    return fl_reason_set(import->why, FL_ERR_FORMAT,
                         "tensor \"%s\" of node \"%s\" (%s): number %zu is %f",
                         value->name, node->name, fl_op_name(node->op), at,
                         number);
}

// Of a weight by output channel, of a bias by its number.
static fl_err check_scales(const fl_onnx_import *import, const fl_node *node,
                           const fl_onnx_value *value,
                           const fl_onnx_layout *layout)
{
    const size_t count = fl_onnx_tensor_count(value->scales->tensor);
    const bool is_first =
        node->op == FL_OP_CONV || layout->output_step >= layout->channel_step;
    const bool is_list = layout->outputs == 1;
    const bool is_right = is_list || value->scale_axis == (is_first ? 0 : 1);
    if (count == 1 || (count == node->out_count && is_right)) return FL_OK;
    return fl_reason_set(import->why, FL_ERR_UNSUPPORTED,
                         "node \"%s\" (%s): tensor \"%s\" has scales for "
                         "something else than output channels",
                         node->name, fl_op_name(node->op), value->name);
}

// Integers behind a DequantizeLinear.
static fl_err read_scaled(float *params, const fl_onnx_import *import,
                          const fl_node *node, const fl_onnx_value *value,
                          const fl_onnx_layout *layout)
{
    FL_TRY(check_scales(import, node, value, layout));
    const Onnx__TensorProto *scales = value->scales->tensor;
    const size_t count = fl_onnx_layout_count(layout);
    const size_t depth =
        fl_onnx_tensor_count(scales) == 1 ? count : count / node->out_count;
    fl_onnx_walk file = {0};
    for (size_t i = 0; i < count; i++, fl_onnx_walk_on(&file, layout)) {
        params[i] = (float)fl_onnx_tensor_small(value->tensor, file.at) *
                    fl_onnx_tensor_float(scales, i / depth);
        if (isfinite(params[i])) continue;
        return fl_reason_set(import->why, FL_ERR_FORMAT,
                             "tensor \"%s\" of node \"%s\" (%s): number %zu "
                             "times its scale is infinite",
                             value->name, node->name, fl_op_name(node->op),
                             file.at);
    }
    return FL_OK;
}

static fl_err read_params(float *params, const fl_onnx_import *import,
                          const fl_node *node, const fl_onnx_value *value,
                          const fl_onnx_layout *layout, float min)
{
    if (value->scales) {
        return read_scaled(params, import, node, value, layout);
    }
    const size_t count = fl_onnx_layout_count(layout);
    fl_onnx_walk file = {0};
    for (size_t i = 0; i < count; i++, fl_onnx_walk_on(&file, layout)) {
        params[i] = fl_onnx_tensor_float(value->tensor, file.at);
        if (isfinite(params[i]) && params[i] >= min) continue;
        return refuse_number(import, node, value, file.at);
    }
    return FL_OK;
}

fl_err fl_onnx_read_params(float *params, const fl_onnx_import *import,
                           const fl_node *node, const fl_onnx_source *source)
{
    const float any = -INFINITY;
    FL_TRY(read_params(params + node->weight_at, import, node, source->weight,
                       &source->layout, any));
    if (source->bias) {
        FL_TRY(read_params(params + node->bias_at, import, node, source->bias,
                           &source->row, any));
    }
    if (!source->mean) return FL_OK;
    float *mean = params + node->stats_at;
    FL_TRY(read_params(mean, import, node, source->mean, &source->row, any));
    return read_params(mean + node->stats_count / 2, import, node,
                       source->variance, &source->row, 0.0F);
}

static fl_err read_all_params(float *params, const fl_onnx_import *import,
                              const fl_graph *graph)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_onnx_source *source = &import->sources[i];
        if (!source->weight) continue;
        FL_TRY(fl_onnx_read_params(params, import, &graph->nodes[i], source));
    }
    return FL_OK;
}

fl_err fl_onnx_finish(fl_onnx_import *import, void *made)
{
    fl_model *model = made;
    FL_TRY(fl_onnx_keep(import, &model->graph));
    // One float too many keeps analysers from seeing malloc(0).
    model->params = malloc((model->graph.param_count + 1) * sizeof(float));
    if (!model->params) {
        return fl_reason_set(import->why, FL_ERR_MEMORY,
                             "no memory for %zu parameters",
                             model->graph.param_count);
    }
    return read_all_params(model->params, import, &model->graph);
}
