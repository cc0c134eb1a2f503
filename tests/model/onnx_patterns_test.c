/* What one of our operators looks like in ONNX, in all the ways that are read,
 * and what comes close but is refused.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "tests/model/onnx_small.h"

/* ---- activations ---- */

TEST(onnx_reads_every_activation)
{
    const struct {
        const char *op_type;
        fl_op_kind op;
    } plain[] = {{"Relu", FL_OP_RELU},
                 {"HardSwish", FL_OP_HARD_SWISH},
                 {"Sigmoid", FL_OP_SIGMOID},
                 {"Tanh", FL_OP_TANH},
                 {"LeakyRelu", FL_OP_LEAKY_RELU},
                 {"HardSigmoid", FL_OP_HARD_SIGMOID}};
    for (size_t i = 0; i < 6; i++) {
        Onnx__ModelProto *edited = small_open();
        small_node(edited, plain[i].op_type, "x", "body");
        fl_model_free(SMALL_MAKES(edited, plain[i].op));
    }
}

TEST(onnx_keeps_slopes_and_shifts_of_activations)
{
    Onnx__ModelProto *edited = small_open();
    Onnx__NodeProto *node = small_node(edited, "HardSigmoid", "x", "a");
    fl_onnx_edit_set_float(node, "alpha", 0.25F);
    fl_onnx_edit_set_float(node, "beta", 0.75F);
    fl_onnx_edit_set_float(small_node(edited, "LeakyRelu", "a", "body"),
                           "alpha", 0.125F);
    fl_model *model = SMALL_MAKES(edited, FL_OP_HARD_SIGMOID, FL_OP_LEAKY_RELU);
    assert_float_equal(model->graph.nodes[1].alpha, 0.25, 0);
    assert_float_equal(model->graph.nodes[1].beta, 0.75, 0);
    assert_float_equal(model->graph.nodes[2].alpha, 0.125, 0);
    fl_model_free(model);
}

TEST(onnx_rejects_activations_without_sense)
{
    Onnx__ModelProto *edited = small_open();
    fl_onnx_edit_set_float(small_node(edited, "HardSigmoid", "x", "body"),
                           "alpha", 0.0F);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "HardSigmoid", "alpha is 0");
    edited = small_open();
    fl_onnx_edit_set_float(small_node(edited, "LeakyRelu", "x", "body"),
                           "alpha", NAN);
    assert_refused(edited, FL_ERR_FORMAT, "LeakyRelu", "alpha is");
}

static Onnx__ModelProto *clipped(const char *inputs, float min, float max)
{
    Onnx__ModelProto *edited = small_open();
    small_float(edited, "min", min);
    small_float(edited, "max", max);
    small_node(edited, "Clip", inputs, "body");
    return edited;
}

TEST(onnx_reads_bounds_of_clip)
{
    fl_model_free(SMALL_MAKES(clipped("x min max", 0, 6), FL_OP_RELU6));
    fl_model_free(SMALL_MAKES(clipped("x min", 0, 6), FL_OP_RELU));
    fl_model_free(SMALL_MAKES(clipped("x min max", 0, INFINITY), FL_OP_RELU));
    Onnx__ModelProto *edited = small_open();
    Onnx__NodeProto *clip = small_node(edited, "Clip", "x", "body");
    fl_onnx_edit_set_float(clip, "min", 0.0F);
    fl_onnx_edit_set_float(clip, "max", 6.0F);
    fl_model_free(SMALL_MAKES(edited, FL_OP_RELU6));
    assert_refused(clipped("x min max", -1, 1), FL_ERR_UNSUPPORTED,
                   "\"body\" (Clip)", "bounds -1 and 1");
    assert_refused(clipped("x - max", 0, 6), FL_ERR_UNSUPPORTED, "Clip", "6");
    edited = small_open();
    small_floats(edited, "two", 2, NULL);
    small_node(edited, "Clip", "x two", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"two\"", "one number");
}

// x, x + 3 between 0 and 6, and a sixth of it, written in different ways.
static Onnx__ModelProto *hard(float shift, const char *sixth,
                              const char *sixth_inputs, float factor)
{
    Onnx__ModelProto *edited = small_open();
    small_float(edited, "shift", shift);
    small_float(edited, "zero", 0.0F);
    small_float(edited, "six", 6.0F);
    small_float(edited, "factor", factor);
    small_node(edited, "Add", "x shift", "plus");
    small_node(edited, "Clip", "plus zero six", "clipped");
    if (sixth) small_node(edited, sixth, sixth_inputs, "gate");
    return edited;
}

TEST(onnx_reads_hard_sigmoids_that_are_written_out)
{
    Onnx__ModelProto *edited = hard(3, "Div", "clipped factor", 6);
    small_node(edited, "Identity", "gate", "body");
    fl_model *model = SMALL_MAKES(edited, FL_OP_HARD_SIGMOID);
    assert_float_equal(model->graph.nodes[1].alpha, 1.0F / 6.0F, 0);
    assert_float_equal(model->graph.nodes[1].beta, 0.5, 0);
    fl_model_free(model);
    edited = hard(3, "Mul", "factor clipped", 1.0F / 6.0F);
    small_node(edited, "Identity", "gate", "body");
    fl_model_free(SMALL_MAKES(edited, FL_OP_HARD_SIGMOID));
}

TEST(onnx_reads_hard_swishes_that_are_written_out)
{
    Onnx__ModelProto *edited = hard(3, "Div", "clipped factor", 6);
    small_node(edited, "Mul", "gate x", "body");
    fl_model_free(SMALL_MAKES(edited, FL_OP_HARD_SWISH));
    edited = hard(3, NULL, NULL, 6);
    small_node(edited, "Mul", "x clipped", "product");
    small_node(edited, "Div", "product factor", "body");
    fl_model_free(SMALL_MAKES(edited, FL_OP_HARD_SWISH));
    edited = small_open();
    fl_onnx_edit_set_float(small_node(edited, "HardSigmoid", "x", "gate"),
                           "alpha", 1.0F / 6.0F);
    small_node(edited, "Mul", "x gate", "body");
    fl_model_free(SMALL_MAKES(edited, FL_OP_HARD_SWISH));
}

TEST(onnx_leaves_alone_what_is_not_quite_a_hard_swish)
{
    Onnx__ModelProto *edited = hard(2, "Div", "clipped factor", 6);
    small_node(edited, "Mul", "gate x", "body");
    fl_model_free(
        SMALL_MAKES(edited, FL_OP_SUB, FL_OP_RELU6, FL_OP_DIV, FL_OP_MUL));
    edited = hard(3, "Div", "clipped factor", 5);
    small_node(edited, "Mul", "gate x", "body");
    fl_model_free(
        SMALL_MAKES(edited, FL_OP_SUB, FL_OP_RELU6, FL_OP_DIV, FL_OP_MUL));
    edited = small_open();
    small_node(edited, "HardSigmoid", "x", "gate");
    small_node(edited, "Mul", "x gate", "body");
    fl_model_free(SMALL_MAKES(edited, FL_OP_HARD_SIGMOID, FL_OP_MUL));
}

// The gate of one is read by somebody else as well.
TEST(onnx_keeps_what_a_pattern_shares_with_others)
{
    Onnx__ModelProto *edited = small_open();
    fl_onnx_edit_set_float(small_node(edited, "HardSigmoid", "x", "gate"),
                           "alpha", 1.0F / 6.0F);
    small_node(edited, "Mul", "x gate", "product");
    small_node(edited, "Add", "product gate", "body");
    fl_model_free(
        SMALL_MAKES(edited, FL_OP_HARD_SIGMOID, FL_OP_HARD_SWISH, FL_OP_ADD));
}

/* ---- two values ---- */

TEST(onnx_adds_and_multiplies_two_values)
{
    Onnx__ModelProto *edited = small_open();
    small_node(edited, "Relu", "x", "a");
    small_node(edited, "Add", "a x", "b");
    small_node(edited, "Mul", "a b", "c");
    small_node(edited, "Add", "c c", "body");
    fl_model *model =
        SMALL_MAKES(edited, FL_OP_RELU, FL_OP_ADD, FL_OP_MUL, FL_OP_ADD);
    assert_int_equal(model->graph.nodes[2].inputs[0], 1);
    assert_int_equal(model->graph.nodes[2].inputs[1], 0);
    assert_int_equal(model->graph.nodes[4].inputs[1], 3);
    fl_model_free(model);
}

TEST(onnx_multiplies_pictures_by_channels)
{
    const char *const orders[] = {"x gate", "gate x"};
    for (size_t i = 0; i < 2; i++) {
        Onnx__ModelProto *edited = small_open();
        small_node(edited, "GlobalAveragePool", "x", "pool");
        small_node(edited, "Sigmoid", "pool", "gate");
        small_node(edited, "Mul", orders[i], "body");
        fl_model_free(
            SMALL_MAKES(edited, FL_OP_GLOBALPOOL, FL_OP_SIGMOID, FL_OP_MUL));
    }
}

TEST(onnx_rejects_values_that_do_not_fit_together)
{
    Onnx__ModelProto *edited = small_open();
    small_node(edited, "GlobalAveragePool", "x", "pool");
    small_node(edited, "Add", "x pool", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"body\" (Add)", "one shape");
    edited = small_open();
    small_node(edited, "Flatten", "x", "flat");
    small_node(edited, "Mul", "x flat", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"body\" (Mul)", "\"flat\"");
    edited = small_open();
    small_node(edited, "Sub", "x x", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"body\" (Sub)", "computed");
}

// A row from a picture, and one in memory's order: not the same places.
TEST(onnx_rejects_sums_of_rows_in_different_orders)
{
    Onnx__ModelProto *edited = small_open();
    const int64_t order[] = {0, 2, 3, 1};
    small_node(edited, "Flatten", "x", "a");
    fl_onnx_edit_set_ints(small_node(edited, "Transpose", "x", "t"), "perm",
                          order, 4);
    small_node(edited, "Flatten", "t", "b");
    small_node(edited, "Add", "a b", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"body\" (Add)", "one shape");
}

/* ---- windows ---- */

static void set_window(Onnx__NodeProto *node, int64_t kernel, int64_t stride,
                       int64_t pad)
{
    fl_onnx_edit_set_ints(node, "kernel_shape", (int64_t[]){kernel, kernel}, 2);
    fl_onnx_edit_set_ints(node, "strides", (int64_t[]){stride, stride}, 2);
    fl_onnx_edit_set_ints(node, "pads", (int64_t[]){pad, pad, pad, pad}, 4);
}

TEST(onnx_keeps_groups_and_dilations)
{
    Onnx__ModelProto *edited = small_open();
    const int64_t dims[] = {8, 2, 3, 3};
    const float weight[8 * 2 * 3 * 3] = {1, 2, 3};
    fl_onnx_edit_add_floats(edited, "w", dims, 4, weight);
    Onnx__NodeProto *conv = small_node(edited, "Conv", "x w", "body");
    fl_onnx_edit_set_int(conv, "group", 2);
    fl_onnx_edit_set_ints(conv, "dilations", (int64_t[]){1, 2}, 2);
    small_tail(edited, 8);
    fl_model *model = SMALL_MAKES(edited, FL_OP_CONV);
    assert_int_equal(model->graph.nodes[1].group_count, 2);
    assert_int_equal(model->graph.nodes[1].dilation_h, 1);
    assert_int_equal(model->graph.nodes[1].dilation_w, 2);
    assert_int_equal(model->graph.nodes[1].shape.height, 4);
    assert_int_equal(model->graph.nodes[1].shape.width, 2);
    fl_model_free(model);
}

TEST(onnx_asks_average_pools_whether_padding_counts)
{
    for (int counts = 0; counts < 2; counts++) {
        Onnx__ModelProto *edited = small_open();
        Onnx__NodeProto *pool = small_node(edited, "AveragePool", "x", "body");
        set_window(pool, 3, 1, 1);
        fl_onnx_edit_set_int(pool, "count_include_pad", counts);
        fl_model *model = SMALL_MAKES(edited, FL_OP_AVGPOOL);
        assert_int_equal(model->graph.nodes[1].counts_padding, counts);
        fl_model_free(model);
    }
}

static Onnx__ModelProto *padded(const int64_t pads[8])
{
    Onnx__ModelProto *edited = small_open();
    small_ints(edited, "pads", 8, pads);
    small_node(edited, "Pad", "x pads", "padded");
    return edited;
}

TEST(onnx_puts_zeros_around_into_the_window_behind)
{
    const int64_t pads[] = {0, 0, 1, 0, 0, 0, 2, 1};
    Onnx__ModelProto *edited = padded(pads);
    set_window(small_node(edited, "AveragePool", "padded", "body"), 3, 1, 0);
    fl_model *model = SMALL_MAKES(edited, FL_OP_AVGPOOL);
    assert_true(model->graph.nodes[1].counts_padding);
    assert_int_equal(model->graph.nodes[1].window.pad_bottom, 2);
    fl_model_free(model);

    const float weight[4 * 4 * 3 * 3] = {0};
    const int64_t dims[] = {4, 4, 3, 3};
    edited = padded(pads);
    fl_onnx_edit_add_floats(edited, "w", dims, 4, weight);
    set_window(small_node(edited, "Conv", "padded w", "body"), 3, 1, 0);
    model = SMALL_MAKES(edited, FL_OP_CONV);
    assert_int_equal(model->graph.nodes[1].window.pad_top, 1);
    assert_int_equal(model->graph.nodes[1].window.pad_right, 1);
    fl_model_free(model);

    const int64_t nothing[8] = {0};
    edited = padded(nothing);
    small_node(edited, "Relu", "padded", "body");
    fl_model_free(SMALL_MAKES(edited, FL_OP_RELU));
}

TEST(onnx_rejects_other_paddings)
{
    const int64_t pads[] = {0, 0, 1, 1, 0, 0, 1, 1};
    const int64_t channels[] = {0, 1, 0, 0, 0, 0, 0, 0};
    const int64_t cut[] = {0, 0, -1, 0, 0, 0, 0, 0};
    Onnx__ModelProto *edited = padded(pads);
    small_node(edited, "Relu", "padded", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"padded\"", "Conv");
    edited = padded(pads);
    set_window(small_node(edited, "AveragePool", "padded", "body"), 3, 1, 1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "AveragePool", "Pad");
    edited = padded(channels);
    small_node(edited, "Identity", "padded", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Pad)", "zeros around");
    edited = padded(cut);
    small_node(edited, "Identity", "padded", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Pad)", "zeros around");
    edited = padded(pads);
    fl_onnx_edit_set_string(fl_onnx_edit_node(edited, "Pad"), "mode",
                            "reflect");
    small_node(edited, "Identity", "padded", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Pad)", "zeros around");
}

TEST(onnx_reads_means_over_pictures)
{
    Onnx__ModelProto *edited = small_open();
    fl_onnx_edit_set_ints(small_node(edited, "ReduceMean", "x", "body"), "axes",
                          (int64_t[]){-1, 2}, 2);
    fl_model_free(SMALL_MAKES(edited, FL_OP_GLOBALPOOL));

    edited = small_open();
    small_ints(edited, "wide", 4, (int64_t[]){0, 4, 1, 1});
    Onnx__NodeProto *mean = small_node(edited, "ReduceMean", "x", "row");
    fl_onnx_edit_set_ints(mean, "axes", (int64_t[]){2, 3}, 2);
    fl_onnx_edit_set_int(mean, "keepdims", 0);
    small_node(edited, "Reshape", "row wide", "body");
    fl_model_free(SMALL_MAKES(edited, FL_OP_GLOBALPOOL, FL_OP_FLATTEN));

    edited = small_open();
    fl_onnx_edit_set_ints(small_node(edited, "ReduceMean", "x", "body"), "axes",
                          (int64_t[]){1, 2}, 2);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "ReduceMean", "height");
    edited = small_open();
    fl_onnx_edit_set_ints(small_node(edited, "ReduceMean", "x", "body"), "axes",
                          (int64_t[]){2, 4}, 2);
    assert_refused(edited, FL_ERR_FORMAT, "ReduceMean", "axis 4");
}

/* ---- normalisations ---- */

static Onnx__ModelProto *normed(const float variance[4])
{
    Onnx__ModelProto *edited = small_open();
    small_floats(edited, "n.weight", 4, NULL);
    small_floats(edited, "n.bias", 4, (float[]){4, 3, 2, 1});
    small_floats(edited, "n.mean", 4, (float[]){5, 6, 7, 8});
    small_floats(edited, "n.var", 4, variance);
    small_node(edited, "BatchNormalization", "x n.weight n.bias n.mean n.var",
               "body");
    return edited;
}

TEST(onnx_reads_batch_norms)
{
    Onnx__ModelProto *edited = normed((float[]){1, 2, 3, 4});
    Onnx__NodeProto *node = fl_onnx_edit_node(edited, "BatchNormalization");
    fl_onnx_edit_set_float(node, "epsilon", 0.001F);
    fl_onnx_edit_set_float(node, "momentum", 0.9F);
    fl_model *model = SMALL_MAKES(edited, FL_OP_BATCHNORM);
    const fl_node *norm = &model->graph.nodes[1];
    const float expected[] = {1, 2, 3, 4, 4, 3, 2, 1, 5, 6, 7, 8, 1, 2, 3, 4};
    assert_memory_equal(model->params + norm->weight_at, expected,
                        sizeof expected);
    assert_string_equal(norm->name, "n");
    assert_float_equal(norm->epsilon, 0.001F, 0);
    assert_float_equal(norm->momentum, 0.1F, 0);
    fl_model_free(model);
}

TEST(onnx_keeps_an_odd_momentum)
{
    Onnx__ModelProto *edited = normed((float[]){1, 2, 3, 4});
    fl_onnx_edit_set_float(fl_onnx_edit_node(edited, "BatchNormalization"),
                           "momentum", 0.87654328F);
    fl_model *model = SMALL_MAKES(edited, FL_OP_BATCHNORM);
    assert_float_equal(model->graph.nodes[1].momentum, 0.12345672F, 1e-7);
    fl_model_free(model);
}

TEST(onnx_rejects_batch_norms_without_sense)
{
    assert_refused(normed((float[]){1, -2, 3, 4}), FL_ERR_FORMAT, "\"n.var\"",
                   "number 1 is -2");
    assert_refused(normed((float[]){1, NAN, 3, 4}), FL_ERR_FORMAT, "\"n.var\"",
                   "number 1 is");
    Onnx__ModelProto *edited = normed((float[]){1, 2, 3, 4});
    fl_onnx_edit_tensor(edited, "n.bias")->dims[0] = 2;
    fl_onnx_edit_tensor(edited, "n.bias")->raw_data.len = 8;
    assert_refused(edited, FL_ERR_FORMAT, "\"n.bias\"", "4 numbers");
    edited = normed((float[]){1, 2, 3, 4});
    fl_onnx_edit_set_float(fl_onnx_edit_node(edited, "BatchNormalization"),
                           "epsilon", 0.0F);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "BatchNorm", "epsilon is 0");
    edited = normed((float[]){1, 2, 3, 4});
    fl_onnx_edit_set_float(fl_onnx_edit_node(edited, "BatchNormalization"),
                           "momentum", 1.5F);
    assert_refused(edited, FL_ERR_FORMAT, "BatchNorm", "momentum is 1.5");
}

static Onnx__ModelProto *group_normed(float one, float zero)
{
    Onnx__ModelProto *edited = small_open();
    small_ints(edited, "rows", 3, (int64_t[]){0, 2, -1});
    small_ints(edited, "back", 4, (int64_t[]){0, 4, 6, 6});
    small_floats(edited, "ones", 2, (float[]){1, one});
    small_floats(edited, "zeros", 2, (float[]){0, zero});
    const int64_t dims[] = {4, 1, 1};
    fl_onnx_edit_add_floats(edited, "g.weight", dims, 3, (float[]){1, 2, 3, 4});
    fl_onnx_edit_add_floats(edited, "g.bias", dims, 3, (float[]){5, 6, 7, 8});
    small_node(edited, "Reshape", "x rows", "a");
    small_node(edited, "InstanceNormalization", "a ones zeros", "b");
    small_node(edited, "Reshape", "b back", "c");
    return edited;
}

TEST(onnx_reads_group_norms)
{
    Onnx__ModelProto *edited = group_normed(1, 0);
    small_node(edited, "Mul", "c g.weight", "d");
    small_node(edited, "Add", "g.bias d", "body");
    fl_model *model = SMALL_MAKES(edited, FL_OP_GROUPNORM);
    const float expected[] = {1, 2, 3, 4, 5, 6, 7, 8};
    assert_int_equal(model->graph.nodes[1].group_count, 2);
    assert_string_equal(model->graph.nodes[1].name, "g");
    assert_memory_equal(model->params + model->graph.nodes[1].weight_at,
                        expected, sizeof expected);
    fl_model_free(model);

    // Without affine: PyTorch multiplies by one 1 and adds one 0.
    edited = group_normed(1, 0);
    small_float(edited, "one", 1);
    small_float(edited, "zero", 0);
    small_node(edited, "Mul", "one c", "d");
    small_node(edited, "Add", "d zero", "body");
    model = SMALL_MAKES(edited, FL_OP_GROUPNORM);
    const float plain[] = {1, 1, 1, 1, 0, 0, 0, 0};
    assert_memory_equal(model->params + model->graph.nodes[1].weight_at, plain,
                        sizeof plain);
    fl_model_free(model);

    edited = small_open();
    small_floats(edited, "i.weight", 4, NULL);
    small_floats(edited, "i.bias", 4, NULL);
    small_node(edited, "InstanceNormalization", "x i.weight i.bias", "body");
    model = SMALL_MAKES(edited, FL_OP_GROUPNORM);
    assert_int_equal(model->graph.nodes[1].group_count, 4);
    fl_model_free(model);
}

TEST(onnx_rejects_half_a_group_norm)
{
    Onnx__ModelProto *edited = group_normed(2, 0);
    small_node(edited, "Identity", "c", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "InstanceNorm", "ones");
    edited = group_normed(1, 1);
    small_node(edited, "Identity", "c", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "InstanceNorm", "zeros");
    edited = group_normed(1, 0);
    small_node(edited, "Relu", "c", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Relu)", "without its weight");
    edited = group_normed(1, 0);
    small_node(edited, "Mul", "c g.weight", "d");
    small_node(edited, "Relu", "d", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Relu)", "without its bias");
    edited = group_normed(1, 0);
    small_floats(edited, "three", 3, NULL);
    small_node(edited, "Mul", "c three", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"three\"", "each channel");
}

// x over its length, as F.normalize writes it, then as others do.
TEST(onnx_reads_divisions_by_the_length)
{
    Onnx__ModelProto *edited = small_open();
    small_float(edited, "least", 0.001F);
    fl_onnx_edit_set_ints(small_node(edited, "ReduceL2", "x", "a"), "axes",
                          (int64_t[]){1}, 1);
    small_node(edited, "Clip", "a least", "b");
    small_node(edited, "Shape", "x", "shape");
    small_node(edited, "Expand", "b shape", "c");
    small_node(edited, "Div", "x c", "body");
    fl_model *model = SMALL_MAKES(edited, FL_OP_L2NORM);
    assert_float_equal(model->graph.nodes[1].epsilon, 0.001F, 0);
    fl_model_free(model);

    edited = small_open();
    small_float(edited, "least", 0.001F);
    fl_onnx_edit_set_ints(small_node(edited, "ReduceL2", "x", "a"), "axes",
                          (int64_t[]){-3}, 1);
    small_node(edited, "Max", "a least", "b");
    small_node(edited, "Div", "x b", "body");
    fl_model_free(SMALL_MAKES(edited, FL_OP_L2NORM));

    edited = small_open();
    small_node(edited, "Mul", "x x", "a");
    small_ints(edited, "axes", 1, (int64_t[]){1});
    small_node(edited, "ReduceSum", "a axes", "b");
    small_node(edited, "Sqrt", "b", "c");
    small_node(edited, "Div", "x c", "body");
    fl_model_free(SMALL_MAKES(edited, FL_OP_L2NORM));

    edited = small_open();
    fl_onnx_edit_set_int(small_node(edited, "LpNormalization", "x", "body"),
                         "axis", 1);
    fl_model_free(SMALL_MAKES(edited, FL_OP_L2NORM));
}

static Onnx__ModelProto *with_length(int64_t axis)
{
    Onnx__ModelProto *edited = small_open();
    fl_onnx_edit_set_ints(small_node(edited, "ReduceL2", "x", "length"), "axes",
                          &axis, 1);
    return edited;
}

TEST(onnx_rejects_other_lengths)
{
    assert_refused(with_length(2), FL_ERR_UNSUPPORTED, "ReduceL2", "channels");
    Onnx__ModelProto *edited = with_length(1);
    small_node(edited, "Relu", "x", "other");
    small_node(edited, "Div", "other length", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"length\"", "\"other\"");
    edited = with_length(1);
    small_node(edited, "Add", "x length", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Add)", "a length");
    edited = with_length(1);
    small_float(edited, "least", -1);
    small_node(edited, "Clip", "length least", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Clip)", "above 0");
    edited = with_length(1);
    small_float(edited, "least", 0);
    small_node(edited, "Max", "length least", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Max)", "above 0");
    edited = with_length(1);
    small_ints(edited, "shape", 4, (int64_t[]){1, 4, 6, 5});
    small_node(edited, "Expand", "length shape", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Expand)", "shape");
    edited = small_open();
    fl_onnx_edit_set_ints(small_node(edited, "ReduceSum", "x", "body"), "axes",
                          (int64_t[]){1}, 1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(ReduceSum)", "squares");
    edited = small_open();
    small_node(edited, "Sqrt", "x", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Sqrt)", "squares");
    edited = small_open();
    fl_onnx_edit_set_int(small_node(edited, "LpNormalization", "x", "body"),
                         "p", 1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(LpNormalization)", "p is 1");
}

/* ---- channels ---- */

TEST(onnx_joins_and_takes_apart_channels)
{
    Onnx__ModelProto *edited = small_open();
    small_ints(edited, "one", 1, (int64_t[]){1});
    small_ints(edited, "three", 1, (int64_t[]){-1});
    small_node(edited, "Slice", "x one three one", "a");
    small_node(edited, "Relu", "x", "b");
    fl_onnx_edit_set_int(small_node(edited, "Concat", "a b a", "body"), "axis",
                         -3);
    small_tail(edited, 8);
    fl_model *model =
        SMALL_MAKES(edited, FL_OP_SLICE, FL_OP_RELU, FL_OP_CONCAT);
    assert_int_equal(model->graph.nodes[1].first, 1);
    assert_int_equal(model->graph.nodes[1].out_count, 2);
    assert_int_equal(model->graph.nodes[3].input_count, 3);
    fl_model_free(model);
}

static Onnx__ModelProto *split(const int64_t *parts, int64_t count)
{
    Onnx__ModelProto *edited = small_open();
    if (parts) small_ints(edited, "parts", count, parts);
    Onnx__NodeProto *node =
        small_node(edited, "Split", parts ? "x parts" : "x", "a");
    fl_onnx_edit_set_int(node, "axis", 1);
    char **outputs = calloc(2, sizeof *outputs);
    assert_non_null(outputs);
    outputs[0] = node->output[0];
    free(node->output);
    node->output = outputs;
    node->n_output = 2;
    fl_onnx_edit_set_text(&node->output[1], "b");
    fl_onnx_edit_set_int(small_node(edited, "Concat", "b a", "body"), "axis",
                         1);
    return edited;
}

TEST(onnx_splits_channels)
{
    fl_model *model =
        SMALL_MAKES(split(NULL, 0), FL_OP_SLICE, FL_OP_SLICE, FL_OP_CONCAT);
    assert_int_equal(model->graph.nodes[2].first, 2);
    fl_model_free(model);
    model = SMALL_MAKES(split((int64_t[]){3, 1}, 2), FL_OP_SLICE, FL_OP_SLICE,
                        FL_OP_CONCAT);
    assert_int_equal(model->graph.nodes[2].first, 3);
    assert_int_equal(model->graph.nodes[2].out_count, 1);
    fl_model_free(model);
    assert_refused(split((int64_t[]){3, 2}, 2), FL_ERR_FORMAT, "(Split)",
                   "4 channels");
    assert_refused(split((int64_t[]){4, 0}, 2), FL_ERR_FORMAT, "(Split)",
                   "4 channels");
    assert_refused(split((int64_t[]){4}, 1), FL_ERR_FORMAT, "(Split)",
                   "2 outputs");
}

TEST(onnx_rejects_other_slices_and_joins)
{
    Onnx__ModelProto *edited = small_open();
    small_ints(edited, "two", 1, (int64_t[]){2});
    small_ints(edited, "three", 1, (int64_t[]){3});
    small_node(edited, "Slice", "x two three two", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Slice)", "axis 2");
    edited = small_open();
    small_ints(edited, "two", 1, (int64_t[]){2});
    small_ints(edited, "one", 1, (int64_t[]){1});
    small_node(edited, "Slice", "x two one one", "body");
    assert_refused(edited, FL_ERR_FORMAT, "(Slice)", "none of 4");
    edited = small_open();
    small_ints(edited, "two", 1, (int64_t[]){2});
    small_ints(edited, "one", 1, (int64_t[]){1});
    small_node(edited, "Slice", "x one two one two", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Slice)", "steps of 1");
    edited = small_open();
    small_node(edited, "GlobalAveragePool", "x", "pool");
    fl_onnx_edit_set_int(small_node(edited, "Concat", "x pool", "body"), "axis",
                         1);
    assert_refused(edited, FL_ERR_FORMAT, "(Concat)", "differ");
    edited = small_open();
    fl_onnx_edit_set_int(small_node(edited, "Concat", "x x", "body"), "axis",
                         2);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Concat)", "axis 2");
    edited = small_open();
    fl_onnx_edit_set_int(
        small_node(edited, "Concat", "x x x x x x x x x", "body"), "axis", 1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Concat)", "at most 8");
    edited = small_open();
    small_node(edited, "Flatten", "x", "flat");
    fl_onnx_edit_set_int(small_node(edited, "Concat", "flat flat", "body"),
                         "axis", 1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"flat\"", "flattened");
}

static Onnx__ModelProto *shuffled(const int64_t groups[5], const int64_t *order)
{
    Onnx__ModelProto *edited = small_open();
    small_ints(edited, "groups", 5, groups);
    small_ints(edited, "back", 4, (int64_t[]){0, -1, 6, 6});
    small_node(edited, "Reshape", "x groups", "a");
    fl_onnx_edit_set_ints(small_node(edited, "Transpose", "a", "b"), "perm",
                          order, 5);
    small_node(edited, "Reshape", "b back", "body");
    return edited;
}

TEST(onnx_reads_channel_shuffles)
{
    const int64_t groups[] = {0, 2, 2, 6, 6}, open[] = {-1, 2, 2, 6, 6};
    const int64_t order[] = {0, 2, 1, 3, 4}, other[] = {0, 1, 2, 4, 3};
    fl_model *model = SMALL_MAKES(shuffled(groups, order), FL_OP_SHUFFLE);
    assert_int_equal(model->graph.nodes[1].group_count, 2);
    fl_model_free(model);
    fl_model_free(SMALL_MAKES(shuffled(open, order), FL_OP_SHUFFLE));
    assert_refused(shuffled(groups, other), FL_ERR_UNSUPPORTED, "(Transpose)",
                   "0, 2, 1, 3, 4");
    const int64_t odd[] = {0, 2, 2, 9, 4};
    assert_refused(shuffled(odd, order), FL_ERR_UNSUPPORTED, "(Reshape)",
                   "shuffle");
    Onnx__ModelProto *edited = shuffled(groups, order);
    fl_onnx_edit_set_text(&fl_onnx_edit_node(edited, "Conv")->input[0], "b");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Conv)", "half-way");
}

// A squeeze-excite whose gate is computed with rows.
TEST(onnx_makes_a_row_a_picture_of_one_pixel)
{
    Onnx__ModelProto *edited = small_open();
    const int64_t dims[] = {4, 4};
    const float weight[16] = {1};
    fl_onnx_edit_add_floats(edited, "w", dims, 2, weight);
    small_ints(edited, "wide", 4, (int64_t[]){-1, 4, 1, 1});
    small_node(edited, "GlobalAveragePool", "x", "a");
    small_node(edited, "Flatten", "a", "b");
    small_node(edited, "MatMul", "b w", "c");
    small_node(edited, "Reshape", "c wide", "d");
    small_node(edited, "Mul", "x d", "body");
    fl_model_free(SMALL_MAKES(edited, FL_OP_GLOBALPOOL, FL_OP_FLATTEN,
                              FL_OP_DENSE, FL_OP_MUL));
}

/* ---- sizes ---- */

// (6 * 4 - 2) / 11 and more of the kind, then a slice of a shape.
TEST(onnx_computes_with_sizes)
{
    Onnx__ModelProto *edited = small_open();
    small_ints(edited, "one", 1, (int64_t[]){1});
    small_ints(edited, "two", 1, (int64_t[]){2});
    small_ints(edited, "three", 1, (int64_t[]){3});
    small_ints(edited, "zero", 1, (int64_t[]){0});
    small_node(edited, "Shape", "x", "shape");
    small_node(edited, "Slice", "shape two three zero", "height");
    small_node(edited, "Sub", "height two", "four");
    small_node(edited, "Mul", "four one", "four_again");
    small_node(edited, "Div", "four_again two", "end");
    small_node(edited, "Add", "one zero", "start");
    fl_onnx_edit_set_int(small_node(edited, "Cast", "end", "end_cast"), "to",
                         7);
    small_node(edited, "Slice", "x start end_cast one", "body");
    small_tail(edited, 1);
    fl_model *model = SMALL_MAKES(edited, FL_OP_SLICE);
    assert_int_equal(model->graph.nodes[1].first, 1);
    assert_int_equal(model->graph.nodes[1].out_count, 1);
    fl_model_free(model);
}

TEST(onnx_rejects_arithmetic_on_the_batch)
{
    Onnx__ModelProto *edited = small_open();
    small_ints(edited, "two", 1, (int64_t[]){2});
    small_node(edited, "Shape", "x", "shape");
    small_node(edited, "Mul", "shape two", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Mul)", "sizes");
    edited = small_open();
    small_ints(edited, "most", 1, (int64_t[]){INT64_MAX});
    small_node(edited, "Add", "most most", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Add)", "2^63");
    edited = small_open();
    small_ints(edited, "zero", 1, (int64_t[]){0});
    small_node(edited, "Div", "zero zero", "body");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Div)", "sizes");
}

TEST(onnx_casts_constants_to_float32)
{
    Onnx__ModelProto *edited = small_open();
    small_ints(edited, "zero", 1, (int64_t[]){0});
    const double six = 6.0;
    float words[2];
    memcpy(words, &six, sizeof six);
    fl_onnx_edit_add_floats(edited, "six", (int64_t[]){2}, 1, words)->dims[0] =
        1;
    fl_onnx_edit_tensor(edited, "six")->data_type =
        ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;
    fl_onnx_edit_set_int(small_node(edited, "Cast", "zero", "min"), "to", 1);
    fl_onnx_edit_set_int(small_node(edited, "Cast", "six", "max"), "to", 1);
    small_node(edited, "Clip", "x min max", "body");
    fl_model_free(SMALL_MAKES(edited, FL_OP_RELU6));
    edited = small_open();
    fl_onnx_edit_set_int(small_node(edited, "Cast", "x", "body"), "to", 10);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "(Cast)", "short list");
}

/* ---- parameters ---- */

static Onnx__ModelProto *copied_weight(const char *way)
{
    Onnx__ModelProto *edited = small_open();
    const int64_t dims[] = {4, 4};
    const float weight[16] = {1};
    fl_onnx_edit_add_floats(edited, "w", dims, 2, weight);
    small_ints(edited, "wide", 4, (int64_t[]){-1, 4, 1, 1});
    small_node(edited, way, "w", "copy");
    small_node(edited, "GlobalAveragePool", "x", "a");
    small_node(edited, "Flatten", "a", "b");
    small_node(edited, "MatMul", "b w", "c");
    small_node(edited, "MatMul", "c copy", "d");
    small_node(edited, "Reshape", "d wide", "body");
    return edited;
}

TEST(onnx_copies_parameters_that_go_through_an_identity)
{
    fl_model_free(SMALL_MAKES(copied_weight("Identity"), FL_OP_GLOBALPOOL,
                              FL_OP_FLATTEN, FL_OP_DENSE, FL_OP_DENSE));
    assert_refused(copied_weight("Transpose"), FL_ERR_UNSUPPORTED, "shares",
                   "\"w\"");
}

RUN_TESTS(cmocka_unit_test(onnx_reads_every_activation),
          cmocka_unit_test(onnx_keeps_slopes_and_shifts_of_activations),
          cmocka_unit_test(onnx_rejects_activations_without_sense),
          cmocka_unit_test(onnx_reads_bounds_of_clip),
          cmocka_unit_test(onnx_reads_hard_sigmoids_that_are_written_out),
          cmocka_unit_test(onnx_reads_hard_swishes_that_are_written_out),
          cmocka_unit_test(onnx_leaves_alone_what_is_not_quite_a_hard_swish),
          cmocka_unit_test(onnx_keeps_what_a_pattern_shares_with_others),
          cmocka_unit_test(onnx_adds_and_multiplies_two_values),
          cmocka_unit_test(onnx_multiplies_pictures_by_channels),
          cmocka_unit_test(onnx_rejects_values_that_do_not_fit_together),
          cmocka_unit_test(onnx_rejects_sums_of_rows_in_different_orders),
          cmocka_unit_test(onnx_keeps_groups_and_dilations),
          cmocka_unit_test(onnx_asks_average_pools_whether_padding_counts),
          cmocka_unit_test(onnx_puts_zeros_around_into_the_window_behind),
          cmocka_unit_test(onnx_rejects_other_paddings),
          cmocka_unit_test(onnx_reads_means_over_pictures),
          cmocka_unit_test(onnx_reads_batch_norms),
          cmocka_unit_test(onnx_keeps_an_odd_momentum),
          cmocka_unit_test(onnx_rejects_batch_norms_without_sense),
          cmocka_unit_test(onnx_reads_group_norms),
          cmocka_unit_test(onnx_rejects_half_a_group_norm),
          cmocka_unit_test(onnx_reads_divisions_by_the_length),
          cmocka_unit_test(onnx_rejects_other_lengths),
          cmocka_unit_test(onnx_joins_and_takes_apart_channels),
          cmocka_unit_test(onnx_splits_channels),
          cmocka_unit_test(onnx_rejects_other_slices_and_joins),
          cmocka_unit_test(onnx_reads_channel_shuffles),
          cmocka_unit_test(onnx_makes_a_row_a_picture_of_one_pixel),
          cmocka_unit_test(onnx_computes_with_sizes),
          cmocka_unit_test(onnx_rejects_arithmetic_on_the_batch),
          cmocka_unit_test(onnx_casts_constants_to_float32),
          cmocka_unit_test(onnx_copies_parameters_that_go_through_an_identity))
