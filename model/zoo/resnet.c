/*
 * Residual networks (He et al. 2015, "Deep residual learning for image
 * recognition"): ResNet-18 and ResNet-50, and ResNet-8, the small one of MLPerf
 * Tiny. ResNet-50 halves pictures in the 3x3 convolution of a block, not in the
 * first 1x1, as is usual today.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/zoo/zoo.h"

// Two 3x3 convolutions, and `shortcut` around them.
static uint32_t add_block(fl_builder *b, uint32_t x, uint32_t shortcut,
                          uint32_t channels, uint32_t stride)
{
    const fl_build first = {
        .channels = channels, .kernel = 3, .stride = stride};
    const fl_build second = {.channels = channels, .kernel = 3};
    x = fl_build_unit(b, "conv1", x, first, FL_OP_RELU);
    x = fl_build_unit(b, "conv2", x, second, FL_OP_INPUT);
    x = fl_build_pair(b, "add", FL_OP_ADD, x, shortcut);
    return fl_build_plain(b, "relu", x, FL_OP_RELU);
}

static uint32_t add_head(fl_builder *b, uint32_t x)
{
    fl_build_prefix(b, "%s", "");
    x = fl_build_plain(b, "pool", x, FL_OP_GLOBALPOOL);
    x = fl_build_plain(b, "flatten", x, FL_OP_FLATTEN);
    return fl_build_dense(b, "fc", x, b->outputs);
}

uint32_t fl_resnet8_build(fl_builder *b, uint32_t x)
{
    const fl_build stem = {.channels = 16, .kernel = 3};
    x = fl_build_unit(b, "conv", x, stem, FL_OP_RELU);
    for (uint32_t i = 0; i < 3; i++) {
        const uint32_t channels = 16u << i, stride = i == 0 ? 1 : 2;
        const fl_build project = {.channels = channels,
                                  .kernel = 1,
                                  .stride = stride,
                                  .has_bias = true};
        fl_build_prefix(b, "block%u", i + 1);
        uint32_t shortcut = x;
        if (i > 0) shortcut = fl_build_conv(b, "shortcut", x, project);
        x = add_block(b, x, shortcut, channels, stride);
    }
    return add_head(b, x);
}

// What both of ImageNet's begin with: a quarter of the height and width.
static uint32_t add_stem(fl_builder *b, uint32_t x)
{
    const fl_build stem = {.channels = 64, .kernel = 7, .stride = 2};
    x = fl_build_unit(b, "conv1", x, stem, FL_OP_RELU);
    return fl_build_max_pool(b, "maxpool", x, 3, 2, 1);
}

uint32_t fl_resnet18_build(fl_builder *b, uint32_t x)
{
    x = add_stem(b, x);
    for (uint32_t i = 0; i < 8; i++) {
        const uint32_t channels = 64u << i / 2;
        const uint32_t stride = i >= 2 && i % 2 == 0 ? 2 : 1;
        const fl_build project = {
            .channels = channels, .kernel = 1, .stride = stride};
        fl_build_prefix(b, "layer%u.%u", i / 2 + 1, i % 2);
        uint32_t shortcut = x;
        if (stride == 2) {
            shortcut = fl_build_unit(b, "shortcut", x, project, FL_OP_INPUT);
        }
        x = add_block(b, x, shortcut, channels, stride);
    }
    return add_head(b, x);
}

// 1x1 to a quarter of the channels, 3x3, 1x1 to all of them (figure 5, right).
static uint32_t add_bottleneck(fl_builder *b, uint32_t x, uint32_t channels,
                               uint32_t stride)
{
    const fl_build reduce = {.channels = channels / 4, .kernel = 1};
    const fl_build look = {
        .channels = channels / 4, .kernel = 3, .stride = stride};
    const fl_build expand = {.channels = channels, .kernel = 1};
    const fl_build project = {
        .channels = channels, .kernel = 1, .stride = stride};
    uint32_t shortcut = x;
    if (fl_build_channels(b, x) != channels) {
        shortcut = fl_build_unit(b, "shortcut", x, project, FL_OP_INPUT);
    }
    x = fl_build_unit(b, "conv1", x, reduce, FL_OP_RELU);
    x = fl_build_unit(b, "conv2", x, look, FL_OP_RELU);
    x = fl_build_unit(b, "conv3", x, expand, FL_OP_INPUT);
    x = fl_build_pair(b, "add", FL_OP_ADD, x, shortcut);
    return fl_build_plain(b, "relu", x, FL_OP_RELU);
}

uint32_t fl_resnet50_build(fl_builder *b, uint32_t x)
{
    static const uint32_t counts[] = {3, 4, 6, 3};
    x = add_stem(b, x);
    for (uint32_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (uint32_t j = 0; j < counts[i]; j++) {
            fl_build_prefix(b, "layer%u.%u", i + 1, j);
            x = add_bottleneck(b, x, 256u << i, i > 0 && j == 0 ? 2 : 1);
        }
    }
    return add_head(b, x);
}
