/*
 * ShuffleNetV2 (Ma et al. 2018, "Practical guidelines for efficient CNN
 * architecture design", table 5 and figure 3 c, d).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/zoo/zoo.h"

// Channels of the three stages and of the last convolution.
static const struct {
    double width;
    uint32_t stages[3], last;
} WIDTHS[] = {
    {0.5, {48, 96, 192}, 1024},
    {1.0, {116, 232, 464}, 1024},
    {1.5, {176, 352, 704}, 1024},
    {2.0, {244, 488, 976}, 2048},
};

enum { WIDTH_COUNT = sizeof WIDTHS / sizeof *WIDTHS };

static uint32_t add_slice(fl_builder *b, const char *name, uint32_t x,
                          uint32_t first, uint32_t count)
{
    const fl_node node = {
        .op = FL_OP_SLICE, .first = first, .out_count = count};
    return fl_build_layer(b, name, x, node);
}

// 1x1, depthwise 3x3, 1x1.
static uint32_t add_branch(fl_builder *b, uint32_t x, uint32_t channels,
                           uint32_t stride)
{
    const fl_build point = {.channels = channels, .kernel = 1};
    x = fl_build_unit(b, "point1", x, point, FL_OP_RELU);
    x = fl_build_depthwise(b, "depthwise", x, 3, stride, FL_OP_INPUT);
    return fl_build_unit(b, "point2", x, point, FL_OP_RELU);
}

static uint32_t add_shuffle(fl_builder *b, uint32_t left, uint32_t right)
{
    const uint32_t x = fl_build_pair(b, "concat", FL_OP_CONCAT, left, right);
    return fl_build_layer(b, "shuffle", x,
                          (fl_node){.op = FL_OP_SHUFFLE, .group_count = 2});
}

// One half of the channels goes past the branch.
static uint32_t add_unit(fl_builder *b, uint32_t x, uint32_t channels)
{
    const uint32_t half = channels / 2;
    const uint32_t left = add_slice(b, "left", x, 0, half);
    const uint32_t right = add_slice(b, "right", x, half, half);
    return add_shuffle(b, left, add_branch(b, right, half, 1));
}

// Both sides see all channels and halve the picture.
static uint32_t add_first_unit(fl_builder *b, uint32_t x, uint32_t channels)
{
    const uint32_t half = channels / 2;
    const fl_build point = {.channels = half, .kernel = 1};
    uint32_t left =
        fl_build_depthwise(b, "left_depthwise", x, 3, 2, FL_OP_INPUT);
    left = fl_build_unit(b, "left_point", left, point, FL_OP_RELU);
    return add_shuffle(b, left, add_branch(b, x, half, 2));
}

static uint32_t find_width(fl_builder *b)
{
    for (uint32_t i = 0; i < WIDTH_COUNT; i++) {
        const double difference = WIDTHS[i].width - b->options->width;
        if (difference > -1e-6 && difference < 1e-6) return i;
    }
    b->err = fl_reason_set(b->why, FL_ERR_RANGE,
                           "shufflenetv2 has the widths 0.5, 1, 1.5 and 2, "
                           "not %g",
                           b->options->width);
    return 0;
}

uint32_t fl_shufflenetv2_build(fl_builder *b, uint32_t x)
{
    static const uint32_t counts[] = {4, 8, 4};
    const uint32_t width = find_width(b);
    const fl_build stem = {.channels = 24, .kernel = 3, .stride = 2};
    const fl_build head = {.channels = WIDTHS[width].last, .kernel = 1};
    x = fl_build_unit(b, "stem", x, stem, FL_OP_RELU);
    x = fl_build_max_pool(b, "maxpool", x, 3, 2, 1);
    for (uint32_t s = 0; s < 3; s++) {
        const uint32_t channels = WIDTHS[width].stages[s];
        for (uint32_t i = 0; i < counts[s]; i++) {
            fl_build_prefix(b, "stage%u.%u", s + 2, i);
            x = i == 0 ? add_first_unit(b, x, channels)
                       : add_unit(b, x, channels);
        }
    }
    fl_build_prefix(b, "%s", "");
    x = fl_build_unit(b, "head", x, head, FL_OP_RELU);
    x = fl_build_plain(b, "pool", x, FL_OP_GLOBALPOOL);
    x = fl_build_plain(b, "flatten", x, FL_OP_FLATTEN);
    return fl_build_dense(b, "fc", x, b->outputs);
}
