/* What fl_model_decode takes and refuses of each operator.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/model/onnx_cases.h"

/* ---- Conv and MaxPool ---- */

TEST(onnx_rejects_convolutions_of_other_kinds)
{
    Onnx__ModelProto *edited;
    fl_onnx_edit_set_string(cnn_node(&edited, "Conv"), "auto_pad",
                            "SAME_UPPER");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "auto_pad", "SAME_UPPER");
    fl_onnx_edit_set_ints(cnn_node(&edited, "Conv"), "strides", (int64_t[]){1},
                          1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "strides", "two dimensions");
    Onnx__TensorProto *weight = cnn_tensor(&edited, "conv1.weight");
    weight->dims[2] *= weight->dims[3];
    weight->n_dims = 3;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "conv1.weight", "3 dimensions");
}

TEST(onnx_rejects_convolutions_that_do_not_fit)
{
    Onnx__ModelProto *edited;
    fl_onnx_edit_set_int(cnn_node(&edited, "Conv"), "group", 3);
    assert_refused(edited, FL_ERR_FORMAT, "/conv1/Conv", "group is 3");
    fl_onnx_edit_set_int(cnn_node(&edited, "Conv"), "group", 0);
    assert_refused(edited, FL_ERR_FORMAT, "/conv1/Conv", "group is 0");
    fl_onnx_edit_set_int(cnn_node(&edited, "Conv"), "group", 2);
    assert_refused(edited, FL_ERR_FORMAT, "conv1.weight", "group is 2");
    fl_onnx_edit_set_ints(cnn_node(&edited, "Conv"), "dilations",
                          (int64_t[]){1, 0}, 2);
    assert_refused(edited, FL_ERR_FORMAT, "/conv1/Conv", "dilations holds 0");
    fl_onnx_edit_set_ints(cnn_node(&edited, "Conv"), "kernel_shape",
                          (int64_t[]){2, 3}, 2);
    assert_refused(edited, FL_ERR_FORMAT, "kernel_shape is 2, 3", "3, 2");
    Onnx__TensorProto *weight = cnn_tensor(&edited, "conv1.weight");
    weight->dims[0] = 2;
    weight->dims[1] = 4;
    assert_refused(edited, FL_ERR_FORMAT, "conv1.weight", "4 channels");
    Onnx__NodeProto *node = cnn_node(&edited, "Conv");
    fl_onnx_edit_set_text(&node->input[2], "conv2.bias");
    assert_refused(edited, FL_ERR_FORMAT, "conv2.bias", "4 numbers");
    fl_onnx_edit_set_ints(cnn_node(&edited, "Conv"), "pads",
                          (int64_t[]){0, -1, 0, 0}, 4);
    assert_refused(edited, FL_ERR_FORMAT, "pads", "-1");
    fl_onnx_edit_set_ints(cnn_node(&edited, "Conv"), "strides",
                          (int64_t[]){0, 1}, 2);
    assert_refused(edited, FL_ERR_FORMAT, "strides", "0");
    fl_onnx_edit_set_ints(cnn_node(&edited, "Conv"), "strides",
                          (int64_t[]){1, INT64_MAX}, 2);
    assert_refused(edited, FL_ERR_FORMAT, "strides", "9223372036854775807");
    // Five rows of kernel in three rows of input.
    type_of((edited = cnn())->graph->input[0])->shape->dim[2]->dim_value = 1;
    fl_onnx_edit_set_ints(fl_onnx_edit_node(edited, "Conv"), "pads",
                          (int64_t[]){0, 0, 0, 0}, 4);
    assert_refused(edited, FL_ERR_FORMAT, "conv1", "Conv");
}

TEST(onnx_takes_the_kernel_from_the_weight)
{
    Onnx__ModelProto *edited;
    Onnx__NodeProto *node = cnn_node(&edited, "Conv");
    size_t kept = 0;
    for (size_t i = 0; i < node->n_attribute; i++) {
        if (strcmp(node->attribute[i]->name, "kernel_shape") == 0)
            onnx__attribute_proto__free_unpacked(node->attribute[i], NULL);
        else
            node->attribute[kept++] = node->attribute[i];
    }
    assert_int_equal(kept, node->n_attribute - 1);
    node->n_attribute = kept;
    assert_same_numbers(assert_accepted(edited), CNN);
}

TEST(onnx_ignores_pads_when_auto_pad_is_valid)
{
    Onnx__ModelProto *edited = cnn();
    Onnx__NodeProto *node = fl_onnx_edit_node(edited, "MaxPool");
    fl_onnx_edit_set_ints(node, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    fl_onnx_edit_set_string(node, "auto_pad", "VALID");
    assert_same_numbers(assert_accepted(edited), CNN);
}

TEST(onnx_rejects_poolings_of_other_kinds)
{
    Onnx__ModelProto *edited;
    fl_onnx_edit_set_int(cnn_node(&edited, "MaxPool"), "ceil_mode", 1);
    type_of(edited->graph->input[0])->shape->dim[3]->dim_value = 8;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/MaxPool", "ceil_mode is 1");
    fl_onnx_edit_set_ints(cnn_node(&edited, "MaxPool"), "dilations",
                          (int64_t[]){1, 2}, 2);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/MaxPool", "dilations");
    fl_onnx_edit_set_int(cnn_node(&edited, "MaxPool"), "storage_order", 1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/MaxPool", "storage_order");
    Onnx__NodeProto *node = cnn_node(&edited, "MaxPool");
    fl_onnx_edit_set_text(&fl_onnx_edit_attribute(node, "kernel_shape")->name,
                          "dilations");
    fl_onnx_edit_set_ints(node, "dilations", (int64_t[]){1, 1}, 2);
    assert_refused(edited, FL_ERR_FORMAT, "/MaxPool", "kernel_shape");
}

TEST(onnx_rounds_up_where_there_is_nothing_to_round)
{
    Onnx__ModelProto *edited;
    fl_onnx_edit_set_int(cnn_node(&edited, "MaxPool"), "ceil_mode", 1);
    assert_same_numbers(assert_accepted(edited), CNN);
}

/* ---- Gemm and MatMul ---- */

TEST(onnx_rejects_products_of_other_kinds)
{
    Onnx__ModelProto *edited;
    fl_onnx_edit_set_float(cnn_node(&edited, "Gemm"), "alpha", 0.5F);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/fc1/Gemm", "alpha is 0.5");
    fl_onnx_edit_set_float(cnn_node(&edited, "Gemm"), "beta", 2.0F);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/fc1/Gemm", "beta is 2");
    fl_onnx_edit_set_int(cnn_node(&edited, "Gemm"), "transA", 1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/fc1/Gemm", "transA is 1");
    edited = cnn();
    Onnx__NodeProto **nodes = edited->graph->node;
    fl_onnx_edit_set_text(&nodes[FLATTEN + 1]->input[0],
                          nodes[FLATTEN - 1]->output[0]);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/fc1/Gemm", "Flatten");
    Onnx__TensorProto *weight = cnn_tensor(&edited, "fc1.weight");
    weight->dims[0] *= weight->dims[1];
    weight->n_dims = 1;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "fc1.weight", "1 dimensions");
}

TEST(onnx_rejects_products_that_do_not_fit)
{
    Onnx__ModelProto *edited;
    Onnx__TensorProto *weight = cnn_tensor(&edited, "fc1.weight");
    weight->dims[0] = 40;
    weight->dims[1] = 7;
    assert_refused(edited, FL_ERR_FORMAT, "fc1.weight", "for 7 inputs");
    Onnx__NodeProto *node = cnn_node(&edited, "Gemm");
    fl_onnx_edit_set_text(&node->input[2], "fc2.bias");
    assert_refused(edited, FL_ERR_FORMAT, "fc2.bias", "7 numbers");
}

// Writes (rows, columns) as (columns, rows).
static void transpose(Onnx__TensorProto *tensor)
{
    const size_t rows = (size_t)tensor->dims[0];
    const size_t columns = (size_t)tensor->dims[1];
    float *copy = malloc(tensor->raw_data.len);
    assert_non_null(copy);
    memcpy(copy, tensor->raw_data.data, tensor->raw_data.len);
    for (size_t i = 0; i < rows * columns; i++) {
        const size_t at = i % columns * rows + i / columns;
        memcpy(tensor->raw_data.data + at * sizeof(float), &copy[i],
               sizeof(float));
    }
    free(copy);
    tensor->dims[0] = (int64_t)columns;
    tensor->dims[1] = (int64_t)rows;
}

TEST(onnx_reads_weights_either_way_round)
{
    Onnx__ModelProto *edited;
    transpose(cnn_tensor(&edited, "fc1.weight"));
    fl_onnx_edit_set_int(fl_onnx_edit_node(edited, "Gemm"), "transB", 0);
    assert_same_numbers(assert_accepted(edited), CNN);
}

TEST(onnx_transposes_a_constant_weight)
{
    Onnx__ModelProto *edited = cnn();
    transpose(fl_onnx_edit_tensor(edited, "fc1.weight"));
    fl_onnx_edit_add_node(edited, -1, "Transpose", "fc1.weight", "turned");
    fl_onnx_edit_set_text(&fl_onnx_edit_node(edited, "Gemm")->input[1],
                          "turned");
    assert_same_numbers(assert_accepted(edited), CNN);
}

TEST(onnx_rejects_other_transposes_of_constants)
{
    Onnx__ModelProto *edited = cnn();
    fl_onnx_edit_add_node(edited, -1, "Transpose", "conv1.weight", "turned");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "conv1.weight", "4 dimensions");
    edited = cnn();
    Onnx__NodeProto *node =
        fl_onnx_edit_add_node(edited, -1, "Transpose", "fc1.weight", "turned");
    fl_onnx_edit_set_ints(node, "perm", (int64_t[]){1, 1}, 2);
    assert_refused(edited, FL_ERR_FORMAT, "Transpose", "perm");
}

/* ---- constants ---- */

TEST(onnx_rejects_constants_that_are_not_per_channel)
{
    Onnx__ModelProto *edited;
    Onnx__TensorProto *mean = cnn_tensor(&edited, "mean");
    mean->dims[1] = 1;
    mean->dims[2] = 2;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"mean\"", "2 channels");
    edited = cnn();
    Onnx__NodeProto *node = fl_onnx_edit_node(edited, "Sub");
    fl_onnx_edit_set_text(&node->input[1], "x");
    fl_onnx_edit_set_text(&node->input[0], "mean");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/Sub", "constant");
}

TEST(onnx_rejects_a_division_by_zero)
{
    Onnx__ModelProto *edited;
    memset(cnn_tensor(&edited, "std")->raw_data.data, 0, 4);
    assert_refused(edited, FL_ERR_FORMAT, "Div", "constant 0 is 0");
}

TEST(onnx_limits_what_one_scalar_becomes)
{
    Onnx__ModelProto *edited =
        fl_onnx_edit_open("tests/vectors/onnx/table.onnx");
    type_of(edited->graph->input[0])->shape->dim[1]->dim_value = 3 << 20;
    assert_refused(edited, FL_ERR_LIMIT, "/Div", "constants");
}

// x + (-mean) and x * (1 / std), with the constants on the left.
TEST(onnx_turns_exact_sums_and_products_around)
{
    fl_model *straight, *turned;
    Onnx__ModelProto *edited;
    const float std[] = {4.0F, 0.5F}, inverse[] = {0.25F, 2.0F};
    memcpy(cnn_tensor(&edited, "std")->raw_data.data, std, sizeof std);
    straight = assert_accepted(edited);

    edited = cnn();
    memcpy(fl_onnx_edit_tensor(edited, "std")->raw_data.data, inverse,
           sizeof inverse);
    uint8_t *mean = fl_onnx_edit_tensor(edited, "mean")->raw_data.data;
    mean[3] ^= 0x80;
    mean[7] ^= 0x80;
    Onnx__NodeProto *sub = fl_onnx_edit_node(edited, "Sub");
    Onnx__NodeProto *div = fl_onnx_edit_node(edited, "Div");
    fl_onnx_edit_set_text(&sub->op_type, "Add");
    fl_onnx_edit_set_text(&sub->input[0], "mean");
    fl_onnx_edit_set_text(&sub->input[1], "x");
    fl_onnx_edit_set_text(&div->op_type, "Mul");
    fl_onnx_edit_set_text(&div->input[0], "std");
    fl_onnx_edit_set_text(&div->input[1], sub->output[0]);
    turned = assert_accepted(edited);

    assert_int_equal(turned->graph.nodes[1].op, FL_OP_SUB);
    assert_int_equal(turned->graph.nodes[2].op, FL_OP_DIV);
    assert_memory_equal(straight->graph.constants, turned->graph.constants,
                        4 * sizeof(float));
    fl_model_free(straight);
    fl_model_free(turned);
}

TEST(onnx_rejects_products_that_are_not_exact_divisions)
{
    Onnx__ModelProto *edited;
    Onnx__NodeProto *node = cnn_node(&edited, "Div");
    fl_onnx_edit_set_text(&node->op_type, "Mul");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/Div", "write it as a Div");
}

// Puts Add of a constant behind conv1, which loses its own bias.
static Onnx__ModelProto *cnn_with_added_bias(void)
{
    Onnx__ModelProto *edited = cnn();
    Onnx__NodeProto *conv = fl_onnx_edit_node(edited, "Conv");
    Onnx__TensorProto *bias = fl_onnx_edit_tensor(edited, "conv1.bias");
    free(bias->dims);
    const int64_t dims[] = {4, 1, 1};
    bias->n_dims = 3;
    bias->dims = malloc(sizeof dims);
    assert_non_null(bias->dims);
    memcpy(bias->dims, dims, sizeof dims);
    free(conv->input[2]);
    conv->n_input = 2;
    Onnx__NodeProto *add =
        fl_onnx_edit_add_node(edited, 2, "Add", conv->output[0], "with bias");
    fl_onnx_edit_add_input(add, "conv1.bias");
    return edited;
}

TEST(onnx_makes_an_added_constant_the_bias)
{
    Onnx__ModelProto *edited = cnn_with_added_bias();
    fl_onnx_edit_set_text(&fl_onnx_edit_node(edited, "Relu")->input[0],
                          "with bias");
    assert_same_numbers(assert_accepted(edited), CNN);
}

// Relu reads what is there without the bias, which is then a layer of its own.
TEST(onnx_keeps_an_added_constant_apart_from_a_second_reader)
{
    Onnx__ModelProto *edited = cnn_with_added_bias();
    Onnx__NodeProto *relu = fl_onnx_edit_node(edited, "Relu");
    Onnx__NodeProto *sum =
        fl_onnx_edit_add_node(edited, 4, "Add", relu->output[0], "both");
    fl_onnx_edit_add_input(sum, "with bias");
    fl_onnx_edit_set_text(&fl_onnx_edit_node(edited, "MaxPool")->input[0],
                          "both");
    fl_model *model = assert_accepted(edited);
    assert_int_equal(model->graph.nodes[3].op, FL_OP_CONV);
    assert_int_equal(model->graph.nodes[3].bias_count, 0);
    assert_int_equal(model->graph.nodes[4].op, FL_OP_SUB);
    assert_int_equal(model->graph.nodes[5].op, FL_OP_RELU);
    assert_int_equal(model->graph.nodes[6].op, FL_OP_ADD);
    fl_model_free(model);
}

/* ---- flattening and reordering ---- */

TEST(onnx_flattens_only_at_axis_1)
{
    Onnx__ModelProto *edited;
    fl_onnx_edit_set_int(cnn_node(&edited, "Flatten"), "axis", 2);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/Flatten", "axis");
    fl_onnx_edit_set_int(cnn_node(&edited, "Flatten"), "axis", -3);
    assert_same_numbers(assert_accepted(edited), CNN);
}

TEST(onnx_takes_reshapes_that_flatten)
{
    const int64_t forms[][2] = {{0, -1}, {0, 40}, {-1, 40}};
    for (size_t i = 0; i < 3; i++) {
        assert_same_numbers(assert_accepted(reshaped(CNN, forms[i], 2)), CNN);
    }
    const int64_t fixed[][2] = {{4, -1}, {4, 30}};
    for (size_t i = 0; i < 2; i++) {
        assert_same_numbers(assert_accepted(reshaped(MLP, fixed[i], 2)), MLP);
    }
}

TEST(onnx_rejects_other_reshapes)
{
    const int64_t forms[][2] = {{-1, 20}, {4, -1}, {0, 20}, {-1, -1}, {40, 0}};
    for (size_t i = 0; i < 5; i++) {
        assert_refused(reshaped(CNN, forms[i], 2), FL_ERR_UNSUPPORTED,
                       "Reshape", "(batch, 40)");
    }
    assert_refused(reshaped(CNN, (int64_t[]){0, 8, 5}, 3), FL_ERR_UNSUPPORTED,
                   "Reshape", "(batch, 40)");
    assert_refused(reshaped(CNN, (int64_t[]){INT64_MIN, 40}, 2), FL_ERR_FORMAT,
                   "Reshape", "-9223372036854775808");
    assert_refused(reshaped(CNN, (int64_t[9]){0}, 9), FL_ERR_UNSUPPORTED,
                   "Reshape", "short list");
    Onnx__ModelProto *edited = reshaped(CNN, (int64_t[]){0, -1}, 2);
    fl_onnx_edit_set_int(fl_onnx_edit_node(edited, "Reshape"), "allowzero", 1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "Reshape", "allowzero is 1");
}

// Puts a Transpose in front of the node number `at`.
static void add_transpose(Onnx__ModelProto *edited, int at, int64_t a,
                          int64_t b, int64_t c)
{
    char name[32];
    snprintf(name, sizeof name, "transposed%d", at);
    Onnx__NodeProto *reader = edited->graph->node[at];
    Onnx__NodeProto *node = fl_onnx_edit_add_node(edited, at - 1, "Transpose",
                                                  reader->input[0], name);
    fl_onnx_edit_set_ints(node, "perm", (int64_t[]){0, a, b, c}, 4);
    fl_onnx_edit_set_text(&reader->input[0], name);
}

TEST(onnx_lets_transposes_cancel)
{
    Onnx__ModelProto *edited = cnn();
    add_transpose(edited, 3, 2, 3, 1);  // in front of the first Relu
    add_transpose(edited, 5, 3, 1, 2);  // in front of MaxPool
    assert_same_numbers(assert_accepted(edited), CNN);
}

TEST(onnx_rejects_transposes_that_do_not_cancel)
{
    Onnx__ModelProto *edited = cnn();
    add_transpose(edited, 3, 3, 2, 1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "Transpose", "(N, C, H, W)");
    edited = cnn();
    add_transpose(edited, 4, 2, 3, 1);  // MaxPool then reads N, H, W, C
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/MaxPool", "(N, C, H, W)");
    edited = cnn();
    add_transpose(edited, 0, 3, 1, 2);  // an input of N, H, W, C
    assert_refused(edited, FL_ERR_UNSUPPORTED, "Transpose", "input");
}

// Then the columns of fc1 are in memory's order already.
TEST(onnx_keeps_columns_behind_a_transposed_picture)
{
    Onnx__ModelProto *edited = cnn();
    add_transpose(edited, FLATTEN, 2, 3, 1);
    const Onnx__TensorProto *weight = fl_onnx_edit_tensor(edited, "fc1.weight");
    const size_t len = weight->raw_data.len;
    uint8_t *expected = malloc(len);
    assert_non_null(expected);
    memcpy(expected, weight->raw_data.data, len);

    fl_model *model = assert_accepted(edited);
    const fl_node *dense = &model->graph.nodes[FLATTEN + 2];
    assert_int_equal(dense->op, FL_OP_DENSE);
    assert_int_equal(dense->weight_count * sizeof(float), len);
    assert_memory_equal(model->params + dense->weight_at, expected, len);
    free(expected);
    fl_model_free(model);
}

/* ---- Identity, Dropout, Constant, shapes ---- */

TEST(onnx_looks_through_identities)
{
    Onnx__ModelProto *edited = cnn();
    fl_onnx_edit_add_node(edited, -1, "Identity", "x", "same x");
    fl_onnx_edit_add_node(edited, -1, "Identity", "fc1.bias", "same bias");
    fl_onnx_edit_set_text(&fl_onnx_edit_node(edited, "Sub")->input[0],
                          "same x");
    fl_onnx_edit_set_text(&fl_onnx_edit_node(edited, "Gemm")->input[2],
                          "same bias");
    assert_same_numbers(assert_accepted(edited), CNN);
}

TEST(onnx_skips_dropout)
{
    Onnx__ModelProto *edited = cnn();
    Onnx__NodeProto *dropout =
        fl_onnx_edit_add_node(edited, -1, "Dropout", "x", "same x");
    fl_onnx_edit_set_float(dropout, "ratio", 0.5F);
    fl_onnx_edit_set_text(&fl_onnx_edit_node(edited, "Sub")->input[0],
                          "same x");
    assert_same_numbers(assert_accepted(edited), CNN);
}

// The third input says whether it is in training.
static Onnx__ModelProto *cnn_with_dropout(bool is_training, bool is_raw)
{
    Onnx__ModelProto *edited = cnn();
    fl_onnx_edit_add_floats(edited, "ratio", NULL, 0, (float[]){0.5F});
    Onnx__TensorProto *tensor = fl_onnx_edit_add_int64s(
        edited, "training", NULL, 0, (int64_t[]){is_training});
    tensor->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__BOOL;
    tensor->raw_data.len = 1;
    if (!is_raw) {
        tensor->has_raw_data = false;
        tensor->n_int32_data = 1;
        tensor->int32_data = calloc(1, sizeof *tensor->int32_data);
        assert_non_null(tensor->int32_data);
        tensor->int32_data[0] = is_training;
    }
    Onnx__NodeProto *dropout =
        fl_onnx_edit_add_node(edited, -1, "Dropout", "x", "same x");
    fl_onnx_edit_add_input(dropout, "ratio");
    fl_onnx_edit_add_input(dropout, "training");
    fl_onnx_edit_set_text(&fl_onnx_edit_node(edited, "Sub")->input[0],
                          "same x");
    return edited;
}

TEST(onnx_asks_dropout_whether_it_trains)
{
    assert_same_numbers(assert_accepted(cnn_with_dropout(false, true)), CNN);
    assert_same_numbers(assert_accepted(cnn_with_dropout(false, false)), CNN);
    assert_refused(cnn_with_dropout(true, true), FL_ERR_UNSUPPORTED, "Dropout",
                   "training mode");
    assert_refused(cnn_with_dropout(true, false), FL_ERR_UNSUPPORTED, "Dropout",
                   "training mode");
}

TEST(onnx_rejects_dropout_in_training)
{
    Onnx__ModelProto *edited =
        fl_onnx_edit_open("tests/vectors/onnx/cnn-training.onnx");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/drop/Dropout", "eval()");
}

TEST(onnx_rejects_constants_of_other_kinds)
{
    Onnx__ModelProto *edited = cnn();
    fl_onnx_edit_add_node(edited, -1, "Constant", "x", "c");
    assert_refused(edited, FL_ERR_FORMAT, "Constant", "1 inputs");

    edited = cnn();
    Onnx__NodeProto *node =
        fl_onnx_edit_add_node(edited, -1, "Constant", "x", "c");
    free(node->input[0]);
    node->n_input = 0;
    fl_onnx_edit_set_ints(node, "value_ints", (int64_t[9]){0}, 9);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "Constant", "9 numbers");

    edited = cnn();
    node = fl_onnx_edit_add_node(edited, -1, "Constant", "x", "c");
    free(node->input[0]);
    node->n_input = 0;
    fl_onnx_edit_set_int(node, "value_int", INT64_MIN);
    assert_refused(edited, FL_ERR_FORMAT, "Constant", "no size");

    edited = cnn();
    node = fl_onnx_edit_add_node(edited, -1, "Constant", "x", "c");
    free(node->input[0]);
    node->n_input = 0;
    fl_onnx_edit_set_string(node, "value_string", "text");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "Constant", "value_string");

    edited = cnn();
    node = fl_onnx_edit_add_node(edited, -1, "Constant", "x", "c");
    free(node->input[0]);
    node->n_input = 0;
    assert_refused(edited, FL_ERR_FORMAT, "Constant", "exactly one value");
}

TEST(onnx_reads_lists_in_constants)
{
    Onnx__ModelProto *edited = reshaped(CNN, (int64_t[]){7, 7}, 2);
    fl_onnx_edit_set_text(&fl_onnx_edit_tensor(edited, "sizes")->name, "old");
    Onnx__NodeProto *node =
        fl_onnx_edit_add_node(edited, -1, "Constant", "x", "sizes");
    free(node->input[0]);
    node->n_input = 0;
    fl_onnx_edit_set_ints(node, "value_ints", (int64_t[]){0, -1}, 2);
    assert_same_numbers(assert_accepted(edited), CNN);
}

#define VIEW "tests/vectors/onnx/cnn-17-batch.onnx"

TEST(onnx_rejects_shapes_that_it_cannot_follow)
{
    Onnx__ModelProto *edited = fl_onnx_edit_open(VIEW);
    fl_onnx_edit_set_int(fl_onnx_edit_node(edited, "Gather"), "axis", 1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/Gather", "axis is 1");

    edited = fl_onnx_edit_open(VIEW);
    Onnx__NodeProto *index = fl_onnx_edit_node(edited, "Constant");
    const int64_t far = 4;
    memcpy(index->attribute[0]->t->raw_data.data, &far, sizeof far);
    assert_refused(edited, FL_ERR_FORMAT, "/Gather", "outside");

    edited = fl_onnx_edit_open(VIEW);
    fl_onnx_edit_set_int(fl_onnx_edit_node(edited, "Concat"), "axis", 1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/Concat", "lists");

    edited = fl_onnx_edit_open(VIEW);
    Onnx__NodeProto *unsqueeze = fl_onnx_edit_node(edited, "Unsqueeze");
    fl_onnx_edit_set_text(&unsqueeze->input[0], "/Shape_output_0");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/Unsqueeze", "single size");

    edited = fl_onnx_edit_open(VIEW);
    Onnx__NodeProto *gather = fl_onnx_edit_node(edited, "Gather");
    fl_onnx_edit_set_text(&gather->input[0], "/Constant_output_0");
    assert_refused(edited, FL_ERR_FORMAT, "/Gather", "single number");
}

// The second size instead of the first: a reshape to (5, -1).
TEST(onnx_tells_the_batch_from_other_sizes)
{
    Onnx__ModelProto *edited = fl_onnx_edit_open(VIEW);
    Onnx__NodeProto *index = fl_onnx_edit_node(edited, "Constant");
    const int64_t second = -3;
    memcpy(index->attribute[0]->t->raw_data.data, &second, sizeof second);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/Reshape", "(batch, 40)");
}

TEST(onnx_follows_a_view_of_a_transposed_picture)
{
    Onnx__ModelProto *edited = fl_onnx_edit_open(VIEW);
    Onnx__NodeProto *reshape = fl_onnx_edit_node(edited, "Reshape");
    add_transpose(edited, 7, 2, 3, 1);  // in front of Shape
    fl_onnx_edit_set_text(&reshape->input[0], "transposed7");
    fl_model_free(assert_accepted(edited));

    // Of N, H, W, C the second is H, no batch.
    edited = fl_onnx_edit_open(VIEW);
    reshape = fl_onnx_edit_node(edited, "Reshape");
    const int64_t second = 1;
    Onnx__NodeProto *index = fl_onnx_edit_node(edited, "Constant");
    memcpy(index->attribute[0]->t->raw_data.data, &second, sizeof second);
    add_transpose(edited, 7, 2, 3, 1);
    fl_onnx_edit_set_text(&reshape->input[0], "transposed7");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/Reshape", "(batch, 40)");
}

RUN_TESTS(
    cmocka_unit_test(onnx_rejects_convolutions_of_other_kinds),
    cmocka_unit_test(onnx_rejects_convolutions_that_do_not_fit),
    cmocka_unit_test(onnx_takes_the_kernel_from_the_weight),
    cmocka_unit_test(onnx_ignores_pads_when_auto_pad_is_valid),
    cmocka_unit_test(onnx_rejects_poolings_of_other_kinds),
    cmocka_unit_test(onnx_rejects_products_of_other_kinds),
    cmocka_unit_test(onnx_rejects_products_that_do_not_fit),
    cmocka_unit_test(onnx_reads_weights_either_way_round),
    cmocka_unit_test(onnx_transposes_a_constant_weight),
    cmocka_unit_test(onnx_rejects_other_transposes_of_constants),
    cmocka_unit_test(onnx_rounds_up_where_there_is_nothing_to_round),
    cmocka_unit_test(onnx_rejects_constants_that_are_not_per_channel),
    cmocka_unit_test(onnx_rejects_a_division_by_zero),
    cmocka_unit_test(onnx_limits_what_one_scalar_becomes),
    cmocka_unit_test(onnx_turns_exact_sums_and_products_around),
    cmocka_unit_test(onnx_rejects_products_that_are_not_exact_divisions),
    cmocka_unit_test(onnx_makes_an_added_constant_the_bias),
    cmocka_unit_test(onnx_keeps_an_added_constant_apart_from_a_second_reader),
    cmocka_unit_test(onnx_flattens_only_at_axis_1),
    cmocka_unit_test(onnx_takes_reshapes_that_flatten),
    cmocka_unit_test(onnx_rejects_other_reshapes),
    cmocka_unit_test(onnx_lets_transposes_cancel),
    cmocka_unit_test(onnx_rejects_transposes_that_do_not_cancel),
    cmocka_unit_test(onnx_keeps_columns_behind_a_transposed_picture),
    cmocka_unit_test(onnx_looks_through_identities),
    cmocka_unit_test(onnx_skips_dropout),
    cmocka_unit_test(onnx_asks_dropout_whether_it_trains),
    cmocka_unit_test(onnx_rejects_dropout_in_training),
    cmocka_unit_test(onnx_rejects_constants_of_other_kinds),
    cmocka_unit_test(onnx_reads_lists_in_constants),
    cmocka_unit_test(onnx_rejects_shapes_that_it_cannot_follow),
    cmocka_unit_test(onnx_tells_the_batch_from_other_sizes),
    cmocka_unit_test(onnx_follows_a_view_of_a_transposed_picture))
