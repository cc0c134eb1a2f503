/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/zoo/zoo.h"

void fl_build_prefix(fl_builder *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(b->prefix, sizeof b->prefix, format, args);
    va_end(args);
}

uint32_t fl_build_channels(const fl_builder *b, uint32_t x)
{
    return b->err ? 1 : b->graph->nodes[x].shape.channels;
}

static uint32_t append(fl_builder *b, const char *name, fl_node node,
                       bool has_bias, const float *constants)
{
    if (b->err) return 0;
    snprintf(node.name, sizeof node.name, "%s%s%s", b->prefix,
             b->prefix[0] ? "." : "", name);
    b->err = fl_graph_add(b->graph, &node, has_bias, constants, b->why);
    return b->err ? 0 : b->graph->node_count - 1;
}

uint32_t fl_build_layer(fl_builder *b, const char *name, uint32_t x,
                        fl_node node)
{
    node.inputs[0] = x;
    node.input_count = 1;
    return append(b, name, node, true, NULL);
}

uint32_t fl_build_plain(fl_builder *b, const char *name, uint32_t x,
                        fl_op_kind op)
{
    return fl_build_layer(b, name, x, (fl_node){.op = op});
}

uint32_t fl_build_conv(fl_builder *b, const char *name, uint32_t x,
                       fl_build conv)
{
    const uint32_t k = conv.kernel, pad = conv.is_unpadded ? 0 : k / 2;
    const uint32_t stride = conv.stride ? conv.stride : 1;
    const fl_node node = {
        .op = FL_OP_CONV,
        .inputs = {x},
        .input_count = 1,
        .out_count = conv.channels,
        .group_count = conv.group_count,
        .window = {k, k, stride, stride, pad, pad, pad, pad},
    };
    return append(b, name, node, conv.has_bias, NULL);
}

uint32_t fl_build_unit(fl_builder *b, const char *name, uint32_t x,
                       fl_build conv, fl_op_kind act)
{
    char text[FL_NODE_NAME_CAP];
    x = fl_build_conv(b, name, x, conv);
    snprintf(text, sizeof text, "%s_bn", name);
    x = fl_build_plain(b, text, x, FL_OP_BATCHNORM);
    if (act == FL_OP_INPUT) return x;
    snprintf(text, sizeof text, "%s_act", name);
    return fl_build_plain(b, text, x, act);
}

uint32_t fl_build_depthwise(fl_builder *b, const char *name, uint32_t x,
                            uint32_t kernel, uint32_t stride, fl_op_kind act)
{
    const uint32_t channels = fl_build_channels(b, x);
    const fl_build conv = {.channels = channels,
                           .kernel = kernel,
                           .stride = stride,
                           .group_count = channels};
    return fl_build_unit(b, name, x, conv, act);
}

uint32_t fl_build_dense(fl_builder *b, const char *name, uint32_t x,
                        uint32_t outputs)
{
    return fl_build_layer(b, name, x,
                          (fl_node){.op = FL_OP_DENSE, .out_count = outputs});
}

uint32_t fl_build_scaling(fl_builder *b, const char *name, uint32_t x,
                          fl_op_kind op, const float *constants)
{
    const fl_node node = {.op = op, .inputs = {x}, .input_count = 1};
    return append(b, name, node, false, constants);
}

uint32_t fl_build_max_pool(fl_builder *b, const char *name, uint32_t x,
                           uint32_t kernel, uint32_t stride, uint32_t pad)
{
    const fl_node node = {
        .op = FL_OP_MAXPOOL,
        .window = {kernel, kernel, stride, stride, pad, pad, pad, pad},
    };
    return fl_build_layer(b, name, x, node);
}

uint32_t fl_build_pair(fl_builder *b, const char *name, fl_op_kind op,
                       uint32_t x, uint32_t y)
{
    const fl_node node = {.op = op, .inputs = {x, y}, .input_count = 2};
    return append(b, name, node, false, NULL);
}

uint32_t fl_build_scaled(const fl_builder *b, uint32_t channels)
{
    const double wanted = channels * b->options->width;
    uint32_t rounded = (uint32_t)(wanted / 8.0 + 0.5) * 8;
    if (rounded < 8) rounded = 8;
    if (rounded < 0.9 * wanted) rounded += 8;
    return rounded;
}
