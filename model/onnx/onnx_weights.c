/* The ONNX tensors of one node of ours.
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/onnx_qdq.h"
#include "model/onnx/onnx_storage.h"
#include "model/onnx/onnx_writer.h"

static fl_onnx_form form_of_input(const fl_onnx_writer *writer,
                                  const fl_node *node)
{
    return writer->forms->at[node->inputs[0]];
}

/* ---- a number for each channel ---- */

// (C) when `dim_count` is 1; else so that it broadcasts over value i.
static void put_channels(fl_onnx_writer *writer, uint32_t i, const char *role,
                         const float *numbers, size_t dim_count)
{
    const fl_node *node = &writer->graph->nodes[i];
    const fl_onnx_form form = writer->forms->at[i];
    fl_shape order = {1, 1, node->shape.channels};
    if (form.is_flat) order = form.picture;
    const fl_onnx_layout layout = fl_onnx_layout_ocp(
        1, (size_t)order.height * order.width, order.channels);
    int64_t dims[4] = {1, node->shape.channels, 1, 1};
    if (dim_count == 1) dims[0] = node->shape.channels;
    fl_onnx_put_floats(&writer->out, node->name, role, dims, dim_count, numbers,
                       &layout);
}

// (1, C, 1, 1) for pictures, (1, F) for rows.
static void put_wide(fl_onnx_writer *writer, uint32_t i, const char *role,
                     const float *numbers)
{
    const size_t dim_count = writer->forms->at[i].is_flat ? 2 : 4;
    put_channels(writer, i, role, numbers, dim_count);
}

static void put_constant(fl_onnx_writer *writer, uint32_t i)
{
    const fl_node *node = &writer->graph->nodes[i];
    put_wide(writer, i, "constant",
             writer->graph->constants + node->constant_at);
}

static void put_batchnorm(fl_onnx_writer *writer, uint32_t i)
{
    const fl_node *node = &writer->graph->nodes[i];
    const float *params = writer->params;
    const float *mean = params + node->stats_at;
    put_channels(writer, i, "weight", params + node->weight_at, 1);
    put_channels(writer, i, "bias", params + node->bias_at, 1);
    put_channels(writer, i, "running_mean", mean, 1);
    put_channels(writer, i, "running_var", mean + node->stats_count / 2, 1);
}

/* ---- layers ---- */

static void put_layer(fl_onnx_writer *writer, uint32_t i, const int64_t *dims,
                      size_t dim_count, const fl_onnx_layout *layout)
{
    if (fl_onnx_qdq_has_params(writer, i)) {
        fl_onnx_qdq_write_weight(writer, i, dims, dim_count, layout);
    } else {
        fl_onnx_storage_write_weight(writer, i, dims, dim_count, layout);
    }
}

static void put_conv(fl_onnx_writer *writer, uint32_t i)
{
    const fl_node *node = &writer->graph->nodes[i];
    const fl_window *w = &node->window;
    const uint32_t channels =
        writer->graph->nodes[node->inputs[0]].shape.channels /
        node->group_count;
    const int64_t dims[] = {node->out_count, channels, w->kernel_h,
                            w->kernel_w};
    const fl_onnx_layout layout = fl_onnx_layout_ocp(
        node->out_count, (size_t)w->kernel_h * w->kernel_w, channels);
    put_layer(writer, i, dims, 4, &layout);
}

static void put_dense(fl_onnx_writer *writer, uint32_t i)
{
    const fl_node *node = &writer->graph->nodes[i];
    const fl_shape picture = form_of_input(writer, node).picture;
    const int64_t dims[] = {node->out_count, (int64_t)fl_shape_size(picture)};
    const fl_onnx_layout layout = fl_onnx_layout_ocp(
        node->out_count, (size_t)picture.height * picture.width,
        picture.channels);
    put_layer(writer, i, dims, 2, &layout);
}

/* ---- shapes; 0 stands for the batch ---- */

static void put_shape(fl_onnx_writer *writer, uint32_t i)
{
    const fl_node *node = &writer->graph->nodes[i];
    const fl_shape s = node->shape;
    const int64_t dims[] = {0, s.channels, s.height, s.width};
    fl_onnx_put_ints(&writer->out, node->name, "shape", dims,
                     writer->forms->at[i].is_flat ? 2 : 4);
}

static void put_groupnorm(fl_onnx_writer *writer, uint32_t i)
{
    const fl_node *node = &writer->graph->nodes[i];
    const float *weight = writer->params + node->weight_at;
    const int64_t rows[] = {0, node->group_count, -1};
    fl_onnx_put_ints(&writer->out, node->name, "groups", rows, 3);
    fl_onnx_put_repeated(&writer->out, node->name, "ones", 1.0F,
                         node->group_count, weight);
    fl_onnx_put_repeated(&writer->out, node->name, "zeros", 0.0F,
                         node->group_count, weight);
    put_shape(writer, i);
    put_wide(writer, i, "weight", weight);
    put_wide(writer, i, "bias", writer->params + node->bias_at);
}

static void put_shuffle(fl_onnx_writer *writer, uint32_t i)
{
    const fl_node *node = &writer->graph->nodes[i];
    const fl_shape s = node->shape;
    const int64_t groups[] = {0, node->group_count,
                              s.channels / node->group_count, s.height,
                              s.width};
    fl_onnx_put_ints(&writer->out, node->name, "groups", groups, 5);
    put_shape(writer, i);
}

static void put_slice(fl_onnx_writer *writer, const fl_node *node)
{
    const int64_t start = node->first, axis = 1;
    const int64_t end = start + node->out_count;
    fl_onnx_put_ints(&writer->out, node->name, "starts", &start, 1);
    fl_onnx_put_ints(&writer->out, node->name, "ends", &end, 1);
    fl_onnx_put_ints(&writer->out, node->name, "axes", &axis, 1);
}

static void put_as_picture(fl_onnx_writer *writer, const fl_node *node)
{
    const int64_t picture[] = {0, -1, 1, 1};
    fl_onnx_put_ints(&writer->out, node->name, "as_picture", picture, 4);
}

/* ---- all of them ---- */

void fl_onnx_write_weights(fl_onnx_writer *writer, uint32_t i)
{
    const fl_node *node = &writer->graph->nodes[i];
    if (fl_onnx_needs_as_picture(writer, i)) put_as_picture(writer, node);
    switch (node->op) {
    case FL_OP_SUB:
    case FL_OP_DIV: put_constant(writer, i); break;
    case FL_OP_CONV: put_conv(writer, i); break;
    case FL_OP_DENSE: put_dense(writer, i); break;
    case FL_OP_BATCHNORM: put_batchnorm(writer, i); break;
    case FL_OP_GROUPNORM: put_groupnorm(writer, i); break;
    case FL_OP_RELU6:
        if (fl_onnx_qdq_clamps(writer, i)) break;  // written as a Relu
        fl_onnx_put_scalar(&writer->out, node->name, "min", 0.0F);
        fl_onnx_put_scalar(&writer->out, node->name, "max", 6.0F);
        break;
    case FL_OP_SLICE: put_slice(writer, node); break;
    case FL_OP_SHUFFLE: put_shuffle(writer, i); break;
    case FL_OP_DROPOUT:
        fl_onnx_put_scalar(&writer->out, node->name, "ratio", node->alpha);
        break;
    case FL_OP_L2NORM:
        fl_onnx_put_scalar(&writer->out, node->name, "epsilon", node->epsilon);
        break;
    case FL_OP_INPUT:
    case FL_OP_RELU:
    case FL_OP_LEAKY_RELU:
    case FL_OP_HARD_SWISH:
    case FL_OP_HARD_SIGMOID:
    case FL_OP_SIGMOID:
    case FL_OP_TANH:
    case FL_OP_ADD:
    case FL_OP_MUL:
    case FL_OP_MAXPOOL:
    case FL_OP_AVGPOOL:
    case FL_OP_GLOBALPOOL:
    case FL_OP_CONCAT:
    case FL_OP_FLATTEN:
    case FL_OP_FAKEQUANT:
    case FL_OP_COUNT: break;
    }
}
