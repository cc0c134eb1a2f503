/*
 * MobileNetV3-Small (Howard et al. 2019, "Searching for MobileNetV3",
 * table 2).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/zoo/zoo.h"

typedef struct {
    uint32_t kernel, expanded, channels;
    bool squeezes;
    fl_op_kind act;
    uint32_t stride;
} block;

static const block BLOCKS[] = {
    {3, 16, 16, true, FL_OP_RELU, 2},
    {3, 72, 24, false, FL_OP_RELU, 2},
    {3, 88, 24, false, FL_OP_RELU, 1},
    {5, 96, 40, true, FL_OP_HARD_SWISH, 2},
    {5, 240, 40, true, FL_OP_HARD_SWISH, 1},
    {5, 240, 40, true, FL_OP_HARD_SWISH, 1},
    {5, 120, 48, true, FL_OP_HARD_SWISH, 1},
    {5, 144, 48, true, FL_OP_HARD_SWISH, 1},
    {5, 288, 96, true, FL_OP_HARD_SWISH, 2},
    {5, 576, 96, true, FL_OP_HARD_SWISH, 1},
    {5, 576, 96, true, FL_OP_HARD_SWISH, 1},
};

enum { BLOCK_COUNT = sizeof BLOCKS / sizeof *BLOCKS };

// Weighs channels by what is in all of them (Hu et al. 2018).
static uint32_t add_squeeze(fl_builder *b, uint32_t x)
{
    const uint32_t channels = fl_build_channels(b, x), from = x;
    uint32_t squeezed = (channels / 4 + 4) / 8 * 8;
    if (squeezed < 8) squeezed = 8;
    if (squeezed < 0.9 * channels / 4.0) squeezed += 8;
    const fl_build reduce = {
        .channels = squeezed, .kernel = 1, .has_bias = true};
    const fl_build expand = {
        .channels = channels, .kernel = 1, .has_bias = true};
    // What PyTorch computes: relu6(x + 3) / 6.
    const fl_node gate = {
        .op = FL_OP_HARD_SIGMOID, .alpha = 1.0F / 6.0F, .beta = 0.5F};
    x = fl_build_plain(b, "se_pool", x, FL_OP_GLOBALPOOL);
    x = fl_build_conv(b, "se_reduce", x, reduce);
    x = fl_build_plain(b, "se_relu", x, FL_OP_RELU);
    x = fl_build_conv(b, "se_expand", x, expand);
    x = fl_build_layer(b, "se_gate", x, gate);
    return fl_build_pair(b, "se", FL_OP_MUL, from, x);
}

static uint32_t add_block(fl_builder *b, uint32_t x, const block *k)
{
    const uint32_t from = x, width = fl_build_channels(b, x);
    const uint32_t channels = fl_build_scaled(b, k->channels);
    const fl_build expand = {.channels = fl_build_scaled(b, k->expanded),
                             .kernel = 1};
    const fl_build project = {.channels = channels, .kernel = 1};
    if (expand.channels != width) {
        x = fl_build_unit(b, "expand", x, expand, k->act);
    }
    x = fl_build_depthwise(b, "depthwise", x, k->kernel, k->stride, k->act);
    if (k->squeezes) x = add_squeeze(b, x);
    x = fl_build_unit(b, "project", x, project, FL_OP_INPUT);
    if (k->stride > 1 || width != channels) return x;
    return fl_build_pair(b, "add", FL_OP_ADD, x, from);
}

uint32_t fl_mobilenetv3_small_build(fl_builder *b, uint32_t x)
{
    const fl_build stem = {
        .channels = fl_build_scaled(b, 16), .kernel = 3, .stride = 2};
    x = fl_build_unit(b, "stem", x, stem, FL_OP_HARD_SWISH);
    for (uint32_t i = 0; i < BLOCK_COUNT; i++) {
        fl_build_prefix(b, "block%u", i + 1);
        x = add_block(b, x, &BLOCKS[i]);
    }
    fl_build_prefix(b, "%s", "");
    const fl_build head = {.channels = 6 * fl_build_channels(b, x),
                           .kernel = 1};
    x = fl_build_unit(b, "head", x, head, FL_OP_HARD_SWISH);
    x = fl_build_plain(b, "pool", x, FL_OP_GLOBALPOOL);
    x = fl_build_plain(b, "flatten", x, FL_OP_FLATTEN);
    x = fl_build_dense(b, "fc1", x, fl_build_scaled(b, 1024));
    x = fl_build_plain(b, "fc1_act", x, FL_OP_HARD_SWISH);
    x = fl_build_layer(b, "dropout", x,
                       (fl_node){.op = FL_OP_DROPOUT, .alpha = 0.2F});
    return fl_build_dense(b, "fc2", x, b->outputs);
}
