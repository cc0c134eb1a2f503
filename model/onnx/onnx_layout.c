/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/onnx_layout.h"

fl_onnx_layout fl_onnx_layout_ocp(size_t outputs, size_t pixels,
                                  size_t channels)
{
    return (fl_onnx_layout){outputs,           pixels, channels,
                            channels * pixels, 1,      pixels};
}

fl_onnx_layout fl_onnx_layout_cpo(size_t outputs, size_t pixels,
                                  size_t channels)
{
    return (fl_onnx_layout){outputs, pixels,  channels,
                            1,       outputs, pixels * outputs};
}

size_t fl_onnx_layout_at(const fl_onnx_layout *layout, size_t i)
{
    const size_t c = i % layout->channels;
    const size_t p = i / layout->channels % layout->pixels;
    const size_t o = i / layout->channels / layout->pixels;
    return o * layout->output_step + p * layout->pixel_step +
           c * layout->channel_step;
}

// What a node does to the order of the numbers.
static bool keeps_order(fl_op_kind op)
{
    return op == FL_OP_SUB || op == FL_OP_DIV || op == FL_OP_RELU;
}

fl_shape fl_onnx_layout_picture(const fl_graph *graph, uint32_t node)
{
    const fl_node *at = &graph->nodes[node];
    while (keeps_order(at->op) || at->op == FL_OP_FLATTEN) {
        at = &graph->nodes[at->inputs[0]];
    }
    return at->shape;
}

// A row of numbers enters as (N, F), unless the first layer that has a say
// wants pictures.
static bool is_picture_input(const fl_graph *graph)
{
    const fl_shape shape = graph->nodes[0].shape;
    if (shape.height > 1 || shape.width > 1) return true;
    uint32_t i = 1;
    while (i < graph->node_count && keeps_order(graph->nodes[i].op)) {
        i++;
    }
    if (i == graph->node_count) return false;
    return graph->nodes[i].op == FL_OP_CONV ||
           graph->nodes[i].op == FL_OP_MAXPOOL;
}

bool fl_onnx_layout_is_flat(const fl_graph *graph, uint32_t node)
{
    const fl_node *at = &graph->nodes[node];
    while (keeps_order(at->op)) {
        at = &graph->nodes[at->inputs[0]];
    }
    if (at->op == FL_OP_INPUT) return !is_picture_input(graph);
    return at->op == FL_OP_FLATTEN || at->op == FL_OP_DENSE;
}
