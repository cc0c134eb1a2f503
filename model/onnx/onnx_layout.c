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

fl_onnx_layout fl_onnx_layout_row(size_t count)
{
    return fl_onnx_layout_ocp(1, 1, count);
}

fl_onnx_layout fl_onnx_layout_repeat(size_t count)
{
    return (fl_onnx_layout){.outputs = 1, .pixels = 1, .channels = count};
}

size_t fl_onnx_layout_at(const fl_onnx_layout *layout, size_t i)
{
    const size_t c = i % layout->channels;
    const size_t p = i / layout->channels % layout->pixels;
    const size_t o = i / layout->channels / layout->pixels;
    return o * layout->output_step + p * layout->pixel_step +
           c * layout->channel_step;
}

/* ---- how a graph's values are written ---- */

// What an operator makes of the dimensions of its inputs.
typedef enum {
    MAKES_ROWS,      // reads and writes (N, F)
    FLATTENS,        // reads either, writes (N, F)
    MAKES_PICTURES,  // reads and writes (N, C, H, W)
    KEEPS_ORDER,     // number by number: writes what it reads
    MIXES_CHANNELS,  // the same, but needs to know which channel is where
} habit;

static habit habit_of(fl_op_kind op)
{
    switch (op) {
    case FL_OP_DENSE: return MAKES_ROWS;
    case FL_OP_FLATTEN: return FLATTENS;
    case FL_OP_CONV:
    case FL_OP_MAXPOOL:
    case FL_OP_AVGPOOL:
    case FL_OP_GLOBALPOOL:
    case FL_OP_SHUFFLE: return MAKES_PICTURES;
    case FL_OP_GROUPNORM:
    case FL_OP_CONCAT:
    case FL_OP_SLICE: return MIXES_CHANNELS;
    case FL_OP_INPUT:
    case FL_OP_SUB:
    case FL_OP_DIV:
    case FL_OP_BATCHNORM:
    case FL_OP_RELU:
    case FL_OP_RELU6:
    case FL_OP_LEAKY_RELU:
    case FL_OP_HARD_SWISH:
    case FL_OP_HARD_SIGMOID:
    case FL_OP_SIGMOID:
    case FL_OP_TANH:
    case FL_OP_ADD:
    case FL_OP_MUL:
    case FL_OP_DROPOUT:
    case FL_OP_L2NORM:
    case FL_OP_FAKEQUANT:
    case FL_OP_COUNT: break;
    }
    return KEEPS_ORDER;
}

static bool is_one_pixel(fl_shape s)
{
    return s.height == 1 && s.width == 1;
}

static bool is_same(fl_shape a, fl_shape b)
{
    return a.height == b.height && a.width == b.width &&
           a.channels == b.channels;
}

bool fl_onnx_forms_reads_flat(const fl_onnx_forms *forms, const fl_graph *graph,
                              uint32_t i)
{
    const fl_node *node = &graph->nodes[i];
    switch (habit_of(node->op)) {
    case MAKES_ROWS: return true;
    case MAKES_PICTURES: return false;
    case FLATTENS: return forms->at[node->inputs[0]].is_flat;
    case KEEPS_ORDER:
    case MIXES_CHANNELS: break;
    }
    for (uint32_t k = 0; k < node->input_count; k++) {
        if (!forms->at[node->inputs[k]].is_flat) return false;
    }
    return true;
}

static fl_onnx_form form_of(const fl_onnx_forms *forms, const fl_graph *graph,
                            uint32_t i)
{
    const fl_node *node = &graph->nodes[i];
    const habit kind = habit_of(node->op);
    const fl_onnx_form x = forms->at[node->inputs[0]];
    fl_onnx_form form = {fl_onnx_forms_reads_flat(forms, graph, i),
                         node->shape};
    if (kind == FLATTENS) form.is_flat = true;
    const bool keeps = kind == FLATTENS || kind == KEEPS_ORDER;
    if (form.is_flat && keeps && !forms->is_hwc) form.picture = x.picture;
    return form;
}

static void find_forms(fl_onnx_forms *forms, const fl_graph *graph,
                       bool is_flat_input, bool is_hwc)
{
    forms->is_hwc = is_hwc;
    forms->at[0] = (fl_onnx_form){is_flat_input, graph->nodes[0].shape};
    for (uint32_t i = 1; i < graph->node_count; i++) {
        forms->at[i] = form_of(forms, graph, i);
    }
}

// A row of numbers enters as (N, F), unless a layer that reads it wants
// pictures and none wants rows.
static bool is_flat_input(const fl_graph *graph)
{
    if (!is_one_pixel(graph->nodes[0].shape)) return false;
    bool wants_rows = false, wants_pictures = false;
    bool is_input[FL_GRAPH_NODES_MAX] = {true};
    for (uint32_t i = 1; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        const habit kind = habit_of(node->op);
        for (uint32_t k = 0; k < node->input_count; k++) {
            if (!is_input[node->inputs[k]]) continue;
            wants_rows |= kind == MAKES_ROWS;
            wants_pictures |= kind == MAKES_PICTURES;
            is_input[i] |= kind == KEEPS_ORDER || kind == MIXES_CHANNELS;
        }
    }
    return wants_rows || !wants_pictures;
}

// A flattened picture whose numbers another order than memory's would mix up.
static bool needs_hwc(const fl_onnx_forms *forms, const fl_graph *graph)
{
    for (uint32_t i = 1; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        const habit kind = habit_of(node->op);
        const fl_onnx_form first = forms->at[node->inputs[0]];
        for (uint32_t k = 0; k < node->input_count; k++) {
            const fl_onnx_form x = forms->at[node->inputs[k]];
            if (!x.is_flat || is_one_pixel(x.picture)) continue;
            const bool is_read_flat = fl_onnx_forms_reads_flat(forms, graph, i);
            if (!is_read_flat || kind == MIXES_CHANNELS) return true;
        }
        if (kind != KEEPS_ORDER || !forms->at[i].is_flat) continue;
        for (uint32_t k = 1; k < node->input_count; k++) {
            if (!is_same(forms->at[node->inputs[k]].picture, first.picture)) {
                return true;
            }
        }
    }
    const fl_onnx_form last = forms->at[graph->node_count - 1];
    return last.is_flat && !is_one_pixel(last.picture);
}

void fl_onnx_forms_init(fl_onnx_forms *forms, const fl_graph *graph)
{
    const bool is_flat = is_flat_input(graph);
    find_forms(forms, graph, is_flat, false);
    if (needs_hwc(forms, graph)) find_forms(forms, graph, is_flat, true);
}
