/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ops/op.h"

#include <string.h>

static const fl_op *const OPS[FL_OP_COUNT] = {
    [FL_OP_INPUT] = &fl_input_op,
    [FL_OP_SUB] = &fl_sub_op,
    [FL_OP_DIV] = &fl_div_op,
    [FL_OP_CONV] = &fl_conv_op,
    [FL_OP_DENSE] = &fl_dense_op,
    [FL_OP_BATCHNORM] = &fl_batchnorm_op,
    [FL_OP_GROUPNORM] = &fl_groupnorm_op,
    [FL_OP_RELU] = &fl_relu_op,
    [FL_OP_RELU6] = &fl_relu6_op,
    [FL_OP_LEAKY_RELU] = &fl_leaky_relu_op,
    [FL_OP_HARD_SWISH] = &fl_hard_swish_op,
    [FL_OP_HARD_SIGMOID] = &fl_hard_sigmoid_op,
    [FL_OP_SIGMOID] = &fl_sigmoid_op,
    [FL_OP_TANH] = &fl_tanh_op,
    [FL_OP_ADD] = &fl_add_op,
    [FL_OP_MUL] = &fl_mul_op,
    [FL_OP_MAXPOOL] = &fl_maxpool_op,
    [FL_OP_AVGPOOL] = &fl_avgpool_op,
    [FL_OP_GLOBALPOOL] = &fl_globalpool_op,
    [FL_OP_CONCAT] = &fl_concat_op,
    [FL_OP_SLICE] = &fl_slice_op,
    [FL_OP_SHUFFLE] = &fl_shuffle_op,
    [FL_OP_FLATTEN] = &fl_flatten_op,
    [FL_OP_DROPOUT] = &fl_dropout_op,
    [FL_OP_L2NORM] = &fl_l2norm_op,
    [FL_OP_FAKEQUANT] = &fl_fakequant_op,
};

const fl_op *fl_op_get(fl_op_kind kind)
{
    return (unsigned)kind < FL_OP_COUNT ? OPS[kind] : NULL;
}

const char *fl_op_name(fl_op_kind op)
{
    static const char *const names[FL_OP_COUNT] = {
#define FL_OP_TEXT(name, onnx) [name] = (onnx),
        FL_OP_LIST(FL_OP_TEXT)
#undef FL_OP_TEXT
    };
    return (unsigned)op < FL_OP_COUNT ? names[op] : "unknown operator";
}

void fl_op_clear_fresh(const fl_task *task, uint32_t k)
{
    if (!task->dx[k] || !task->is_fresh[k]) return;
    memset(task->dx[k], 0,
           task->count * fl_shape_size(task->x_shapes[k]) * sizeof(float));
}

size_t fl_op_pixel_count(const fl_task *task)
{
    return (size_t)task->count * task->y_shape.height * task->y_shape.width;
}

bool fl_op_is_same_shape(fl_shape a, fl_shape b)
{
    return a.height == b.height && a.width == b.width &&
           a.channels == b.channels;
}

fl_err fl_op_same_shape(fl_node *node, const fl_shape *inputs, fl_reason *why)
{
    (void)why;
    node->shape = inputs[0];
    return FL_OK;
}

// One dimension: input, padding on both sides, kernel, dilation, stride.
static fl_err window_count(uint32_t *count, uint32_t size, uint32_t before,
                           uint32_t after, uint32_t kernel, uint32_t dilation,
                           uint32_t stride)
{
    if (kernel == 0 || dilation == 0 || stride == 0) return FL_ERR_FORMAT;
    const uint64_t reach = (uint64_t)(kernel - 1) * dilation + 1;
    if (before >= reach || after >= reach) return FL_ERR_FORMAT;
    const uint64_t padded = (uint64_t)size + before + after;
    if (padded < reach) return FL_ERR_FORMAT;
    if (padded > INT32_MAX) return FL_ERR_LIMIT;
    *count = (uint32_t)((padded - reach) / stride + 1);
    return FL_OK;
}

fl_err fl_op_window_shape(fl_shape *output, const fl_node *node, fl_shape input,
                          fl_reason *why)
{
    const fl_window *w = &node->window;
    fl_err err =
        window_count(&output->height, input.height, w->pad_top, w->pad_bottom,
                     w->kernel_h, node->dilation_h, w->stride_h);
    if (!err) {
        err =
            window_count(&output->width, input.width, w->pad_left, w->pad_right,
                         w->kernel_w, node->dilation_w, w->stride_w);
    }
    if (err != FL_ERR_FORMAT) return err;
    return fl_reason_set(
        why, FL_ERR_FORMAT,
        "node \"%s\" (%s): kernel %ux%u, dilation %ux%u, stride %ux%u, padding "
        "%u,%u,%u,%u do not fit an input of %ux%u: kernel, dilation and stride "
        "are at least 1, padding is below what the kernel spans, the kernel "
        "fits the padded input",
        node->name, fl_op_name(node->op), w->kernel_h, w->kernel_w,
        node->dilation_h, node->dilation_w, w->stride_h, w->stride_w,
        w->pad_top, w->pad_left, w->pad_bottom, w->pad_right, input.height,
        input.width);
}

// One dimension. Padding is below the kernel, so that something is inside.
static void clip_window(uint32_t *from, uint32_t *to, uint32_t at,
                        uint32_t stride, uint32_t pad, uint32_t kernel,
                        uint32_t size)
{
    const uint64_t start = (uint64_t)at * stride;  // in the padded input
    const uint64_t end = start + kernel - pad;
    *from = start > pad ? (uint32_t)(start - pad) : 0;
    *to = end < size ? (uint32_t)end : size;
}

fl_patch fl_op_patch(const fl_window *window, fl_shape input, uint32_t y,
                     uint32_t x)
{
    const fl_window *w = window;
    fl_patch p;
    clip_window(&p.y_from, &p.y_to, y, w->stride_h, w->pad_top, w->kernel_h,
                input.height);
    clip_window(&p.x_from, &p.x_to, x, w->stride_w, w->pad_left, w->kernel_w,
                input.width);
    return p;
}
