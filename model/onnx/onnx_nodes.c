/* The ONNX nodes of one node of ours. The last of them has its name.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "model/onnx/onnx_qdq.h"
#include "model/onnx/onnx_writer.h"

// One node of ours while it is written.
typedef struct {
    fl_onnx_writer *writer;
    const fl_node *node;
    uint32_t number;
    fl_onnx_text from[FL_NODE_INPUTS_MAX];  // what it reads, in its own form
    fl_onnx_text value;                     // what it makes
} job;

static void name_step(fl_onnx_text *dst, const job *at, const char *step)
{
    fl_onnx_name_step(dst, at->writer->graph, at->number, step);
}

static void put(job *at, const fl_onnx_piece *piece)
{
    fl_onnx_put_node(&at->writer->out, piece);
}

/* ---- inputs in the form that an operator reads ---- */

bool fl_onnx_needs_as_picture(const fl_onnx_writer *writer, uint32_t i)
{
    const fl_node *node = &writer->graph->nodes[i];
    if (fl_onnx_forms_reads_flat(writer->forms, writer->graph, i)) return false;
    for (uint32_t k = 0; k < node->input_count; k++) {
        if (writer->forms->at[node->inputs[k]].is_flat) return true;
    }
    return false;
}

// (N, C) as (N, C, 1, 1), or the other way round.
static void put_change_of_form(job *at, fl_onnx_text *value, uint32_t k,
                               bool to_flat)
{
    char step[16];
    fl_onnx_piece piece;
    fl_onnx_text changed;
    snprintf(step, sizeof step, "in%u", k);
    name_step(&changed, at, step);
    fl_onnx_begin(&piece, to_flat ? "Flatten" : "Reshape", "");
    fl_onnx_add_input(&piece, value);
    if (to_flat) {
        fl_onnx_add_int(&piece, "axis", 1);
    } else {
        fl_onnx_add_tensor(&piece, at->node->name, "as_picture");
    }
    fl_onnx_set_output(&piece, &changed);
    put(at, &piece);
    *value = changed;
}

static void find_inputs(job *at)
{
    const fl_onnx_writer *writer = at->writer;
    const bool reads_flat =
        fl_onnx_forms_reads_flat(writer->forms, writer->graph, at->number);
    for (uint32_t k = 0; k < at->node->input_count; k++) {
        const uint32_t from = at->node->inputs[k];
        fl_onnx_qdq_name(&at->from[k], writer, from);
        if (writer->forms->at[from].is_flat != reads_flat) {
            put_change_of_form(at, &at->from[k], k, reads_flat);
        }
    }
}

/* ---- operators that are one node ---- */

static void add_window(fl_onnx_piece *piece, const fl_window *w)
{
    fl_onnx_add_ints(piece, "kernel_shape",
                     (uint32_t[]){w->kernel_h, w->kernel_w}, 2);
    fl_onnx_add_ints(
        piece, "pads",
        (uint32_t[]){w->pad_top, w->pad_left, w->pad_bottom, w->pad_right}, 4);
    fl_onnx_add_ints(piece, "strides", (uint32_t[]){w->stride_h, w->stride_w},
                     2);
}

static void add_conv_details(fl_onnx_piece *piece, const fl_node *node)
{
    add_window(piece, &node->window);
    if (node->dilation_h != 1 || node->dilation_w != 1) {
        fl_onnx_add_ints(piece, "dilations",
                         (uint32_t[]){node->dilation_h, node->dilation_w}, 2);
    }
    if (node->group_count != 1) {
        fl_onnx_add_int(piece, "group", node->group_count);
    }
}

static void add_parameters(fl_onnx_piece *piece, const fl_node *node)
{
    fl_onnx_add_tensor(piece, node->name, "weight");
    if (node->bias_count) fl_onnx_add_tensor(piece, node->name, "bias");
}

static void add_norm_details(fl_onnx_piece *piece, const fl_node *node)
{
    add_parameters(piece, node);
    fl_onnx_add_tensor(piece, node->name, "running_mean");
    fl_onnx_add_tensor(piece, node->name, "running_var");
    fl_onnx_add_float(piece, "epsilon", node->epsilon);
    fl_onnx_add_float(piece, "momentum", 1.0F - node->momentum);
}

static void add_slice_details(fl_onnx_piece *piece, const fl_node *node)
{
    fl_onnx_add_tensor(piece, node->name, "starts");
    fl_onnx_add_tensor(piece, node->name, "ends");
    fl_onnx_add_tensor(piece, node->name, "axes");
}

static void add_details(fl_onnx_piece *piece, const fl_node *node)
{
    switch (node->op) {
    case FL_OP_SUB:
    case FL_OP_DIV: fl_onnx_add_tensor(piece, node->name, "constant"); break;
    case FL_OP_CONV:
        add_parameters(piece, node);
        add_conv_details(piece, node);
        break;
    case FL_OP_DENSE:
        add_parameters(piece, node);
        fl_onnx_add_int(piece, "transB", 1);
        break;
    case FL_OP_BATCHNORM: add_norm_details(piece, node); break;
    case FL_OP_RELU6:
        fl_onnx_add_tensor(piece, node->name, "min");
        fl_onnx_add_tensor(piece, node->name, "max");
        break;
    case FL_OP_LEAKY_RELU:
        fl_onnx_add_float(piece, "alpha", node->alpha);
        break;
    case FL_OP_HARD_SIGMOID:
        fl_onnx_add_float(piece, "alpha", node->alpha);
        fl_onnx_add_float(piece, "beta", node->beta);
        break;
    case FL_OP_MAXPOOL: add_window(piece, &node->window); break;
    case FL_OP_AVGPOOL:
        if (node->counts_padding) {
            fl_onnx_add_int(piece, "count_include_pad", 1);
        }
        add_window(piece, &node->window);
        break;
    case FL_OP_CONCAT:
    case FL_OP_FLATTEN: fl_onnx_add_int(piece, "axis", 1); break;
    case FL_OP_SLICE: add_slice_details(piece, node); break;
    case FL_OP_DROPOUT: fl_onnx_add_tensor(piece, node->name, "ratio"); break;
    case FL_OP_INPUT:
    case FL_OP_GROUPNORM:
    case FL_OP_RELU:
    case FL_OP_HARD_SWISH:
    case FL_OP_SIGMOID:
    case FL_OP_TANH:
    case FL_OP_ADD:
    case FL_OP_MUL:
    case FL_OP_GLOBALPOOL:
    case FL_OP_SHUFFLE:
    case FL_OP_L2NORM:
    case FL_OP_FAKEQUANT:
    case FL_OP_COUNT: break;
    }
}

// A Clip in front of a QuantizeLinear stops ONNX Runtime from joining the two
// with the layer before; the range of 8 bits clamps all the same.
static bool is_clamped_by_bytes(const job *at)
{
    return at->node->op == FL_OP_RELU6 &&
           fl_onnx_qdq_clamps(at->writer, at->number);
}

static void put_plain(job *at)
{
    fl_onnx_piece piece;
    const char *op_type = fl_op_name(at->node->op);
    if (is_clamped_by_bytes(at)) op_type = "Relu";
    fl_onnx_begin(&piece, op_type, at->node->name);
    for (uint32_t k = 0; k < at->node->input_count; k++) {
        fl_onnx_add_input(&piece, &at->from[k]);
    }
    if (!is_clamped_by_bytes(at)) add_details(&piece, at->node);
    fl_onnx_set_output(&piece, &at->value);
    put(at, &piece);
}

/* ---- operators that are several nodes ---- */

// A nameless node from `x` to the step; *x is the step then.
static void begin_step(const job *at, fl_onnx_piece *piece, const char *op_type,
                       fl_onnx_text *x, const char *step)
{
    fl_onnx_begin(piece, op_type, "");
    fl_onnx_add_input(piece, x);
    name_step(x, at, step);
    fl_onnx_set_output(piece, x);
}

// The node that makes the value, and has the name.
static void begin_last(const job *at, fl_onnx_piece *piece, const char *op_type,
                       const fl_onnx_text *x)
{
    fl_onnx_begin(piece, op_type, at->node->name);
    fl_onnx_add_input(piece, x);
    fl_onnx_set_output(piece, &at->value);
}

static void put_shuffle(job *at)
{
    fl_onnx_piece piece;
    fl_onnx_text x = at->from[0];
    begin_step(at, &piece, "Reshape", &x, "groups");
    fl_onnx_add_tensor(&piece, at->node->name, "groups");
    put(at, &piece);
    begin_step(at, &piece, "Transpose", &x, "swapped");
    fl_onnx_add_ints(&piece, "perm", (uint32_t[]){0, 2, 1, 3, 4}, 5);
    put(at, &piece);
    begin_last(at, &piece, "Reshape", &x);
    fl_onnx_add_tensor(&piece, at->node->name, "shape");
    put(at, &piece);
}

// As PyTorch has it: opsets up to 17 know no group normalisation.
static void put_groupnorm(job *at)
{
    const char *name = at->node->name;
    fl_onnx_piece piece;
    fl_onnx_text x = at->from[0];
    begin_step(at, &piece, "Reshape", &x, "rows");
    fl_onnx_add_tensor(&piece, name, "groups");
    put(at, &piece);
    begin_step(at, &piece, "InstanceNormalization", &x, "normed_rows");
    fl_onnx_add_tensor(&piece, name, "ones");
    fl_onnx_add_tensor(&piece, name, "zeros");
    fl_onnx_add_float(&piece, "epsilon", at->node->epsilon);
    put(at, &piece);
    begin_step(at, &piece, "Reshape", &x, "normed");
    fl_onnx_add_tensor(&piece, name, "shape");
    put(at, &piece);
    begin_step(at, &piece, "Mul", &x, "scaled");
    fl_onnx_add_tensor(&piece, name, "weight");
    put(at, &piece);
    begin_last(at, &piece, "Add", &x);
    fl_onnx_add_tensor(&piece, name, "bias");
    put(at, &piece);
}

static void put_l2norm(job *at)
{
    fl_onnx_piece piece;
    fl_onnx_text length = at->from[0];
    begin_step(at, &piece, "ReduceL2", &length, "length");
    fl_onnx_add_ints(&piece, "axes", (uint32_t[]){1}, 1);
    fl_onnx_add_int(&piece, "keepdims", 1);
    put(at, &piece);
    begin_step(at, &piece, "Clip", &length, "bounded");
    fl_onnx_add_tensor(&piece, at->node->name, "epsilon");
    put(at, &piece);
    begin_last(at, &piece, "Div", &at->from[0]);
    fl_onnx_add_input(&piece, &length);
    put(at, &piece);
}

// Over H, W, C where what is behind needs memory's order.
static void put_flatten(job *at)
{
    const uint32_t from = at->node->inputs[0];
    if (at->writer->forms->is_hwc && !at->writer->forms->at[from].is_flat) {
        fl_onnx_piece piece;
        begin_step(at, &piece, "Transpose", &at->from[0], "moved");
        fl_onnx_add_ints(&piece, "perm", (uint32_t[]){0, 2, 3, 1}, 4);
        put(at, &piece);
    }
    put_plain(at);
}

void fl_onnx_write_nodes(fl_onnx_writer *writer, uint32_t i)
{
    job at = {.writer = writer, .node = &writer->graph->nodes[i], .number = i};
    fl_onnx_name_value(&at.value, writer->graph, i);
    find_inputs(&at);
    if (at.node->op == FL_OP_SHUFFLE) {
        put_shuffle(&at);
    } else if (at.node->op == FL_OP_GROUPNORM) {
        put_groupnorm(&at);
    } else if (at.node->op == FL_OP_L2NORM) {
        put_l2norm(&at);
    } else if (at.node->op == FL_OP_FLATTEN) {
        put_flatten(&at);
    } else {
        put_plain(&at);
    }
}
