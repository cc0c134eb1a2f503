/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ops/op.h"

#include <string.h>

static const fl_op *const OPS[FL_OP_COUNT] = {
    [FL_OP_INPUT] = &fl_input_op,
    [FL_OP_SUB] = &fl_sub_op,
    [FL_OP_DIV] = &fl_div_op,
    [FL_OP_CONV] = &fl_conv_op,
    [FL_OP_DENSE] = &fl_dense_op,
    [FL_OP_RELU] = &fl_relu_op,
    [FL_OP_RELU6] = &fl_relu6_op,
    [FL_OP_LEAKY_RELU] = &fl_leaky_relu_op,
    [FL_OP_HARD_SWISH] = &fl_hard_swish_op,
    [FL_OP_HARD_SIGMOID] = &fl_hard_sigmoid_op,
    [FL_OP_SIGMOID] = &fl_sigmoid_op,
    [FL_OP_TANH] = &fl_tanh_op,
    [FL_OP_ADD] = &fl_add_op,
    [FL_OP_MAXPOOL] = &fl_maxpool_op,
    [FL_OP_FLATTEN] = &fl_flatten_op,
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

// One dimension: input, padding on both sides, kernel, stride.
static bool window_count(uint32_t *count, uint32_t size, uint32_t before,
                         uint32_t after, uint32_t kernel, uint32_t stride)
{
    if (kernel == 0 || stride == 0) return false;
    if (before >= kernel || after >= kernel) return false;
    const uint64_t padded = (uint64_t)size + before + after;
    if (padded < kernel) return false;
    *count = (uint32_t)((padded - kernel) / stride + 1);
    return true;
}

fl_err fl_op_window_shape(fl_shape *output, const fl_node *node, fl_shape input,
                          fl_reason *why)
{
    const fl_window *w = &node->window;
    if (window_count(&output->height, input.height, w->pad_top, w->pad_bottom,
                     w->kernel_h, w->stride_h) &&
        window_count(&output->width, input.width, w->pad_left, w->pad_right,
                     w->kernel_w, w->stride_w)) {
        return FL_OK;
    }
    return fl_reason_set(
        why, FL_ERR_FORMAT,
        "node \"%s\" (%s): kernel %ux%u, stride %ux%u, padding %u,%u,%u,%u do "
        "not fit an input of %ux%u: kernel and stride are at least 1, padding "
        "is below the kernel, the kernel fits the padded input",
        node->name, fl_op_name(node->op), w->kernel_h, w->kernel_w, w->stride_h,
        w->stride_w, w->pad_top, w->pad_left, w->pad_bottom, w->pad_right,
        input.height, input.width);
}
