/*
 * MobileNetV2 (Sandler et al. 2018, "Inverted residuals and linear
 * bottlenecks", table 2), and a tiny one for pictures of 28x28.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/zoo/zoo.h"

typedef struct {
    uint32_t expansion, channels, count, stride;  // stride: of the first
} stage;

// Expand, filter each channel, project; a shortcut where shapes allow it.
static uint32_t add_block(fl_builder *b, uint32_t x, uint32_t expansion,
                          uint32_t channels, uint32_t stride)
{
    const uint32_t from = x, width = fl_build_channels(b, x);
    const fl_build expand = {.channels = width * expansion, .kernel = 1};
    const fl_build project = {.channels = channels, .kernel = 1};
    if (expansion > 1) x = fl_build_unit(b, "expand", x, expand, FL_OP_RELU6);
    x = fl_build_depthwise(b, "depthwise", x, 3, stride, FL_OP_RELU6);
    x = fl_build_unit(b, "project", x, project, FL_OP_INPUT);
    if (stride > 1 || width != channels) return x;
    return fl_build_pair(b, "add", FL_OP_ADD, x, from);
}

static uint32_t add_stages(fl_builder *b, uint32_t x, const stage *stages,
                           uint32_t stage_count)
{
    uint32_t block = 0;
    for (uint32_t i = 0; i < stage_count; i++) {
        const stage *s = &stages[i];
        for (uint32_t k = 0; k < s->count; k++) {
            fl_build_prefix(b, "block%u", ++block);
            x = add_block(b, x, s->expansion, fl_build_scaled(b, s->channels),
                          k == 0 ? s->stride : 1);
        }
    }
    fl_build_prefix(b, "%s", "");
    return x;
}

uint32_t fl_mobilenetv2_build(fl_builder *b, uint32_t x)
{
    static const stage stages[] = {
        {1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2},  {6, 64, 4, 2},
        {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1},
    };
    // A narrow network keeps its whole last layer.
    const uint32_t last =
        b->options->width > 1.0 ? fl_build_scaled(b, 1280) : 1280;
    const fl_build stem = {
        .channels = fl_build_scaled(b, 32), .kernel = 3, .stride = 2};
    const fl_build head = {.channels = last, .kernel = 1};
    x = fl_build_unit(b, "stem", x, stem, FL_OP_RELU6);
    x = add_stages(b, x, stages, sizeof stages / sizeof *stages);
    x = fl_build_unit(b, "head", x, head, FL_OP_RELU6);
    x = fl_build_plain(b, "pool", x, FL_OP_GLOBALPOOL);
    x = fl_build_plain(b, "flatten", x, FL_OP_FLATTEN);
    x = fl_build_layer(b, "dropout", x,
                       (fl_node){.op = FL_OP_DROPOUT, .alpha = 0.2F});
    return fl_build_dense(b, "fc", x, b->outputs);
}

uint32_t fl_mobilenetv2_tiny_build(fl_builder *b, uint32_t x)
{
    static const stage stages[] = {{1, 16, 1, 1}, {4, 24, 2, 2}, {4, 32, 2, 2}};
    const fl_build stem = {.channels = fl_build_scaled(b, 16), .kernel = 3};
    const fl_build head = {.channels = fl_build_scaled(b, 128), .kernel = 1};
    x = fl_build_unit(b, "stem", x, stem, FL_OP_RELU6);
    x = add_stages(b, x, stages, sizeof stages / sizeof *stages);
    x = fl_build_unit(b, "head", x, head, FL_OP_RELU6);
    x = fl_build_plain(b, "pool", x, FL_OP_GLOBALPOOL);
    x = fl_build_plain(b, "flatten", x, FL_OP_FLATTEN);
    return fl_build_dense(b, "fc", x, b->outputs);
}
