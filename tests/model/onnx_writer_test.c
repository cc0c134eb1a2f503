/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "model/graph.h"
#include "model/model.h"
#include "tests/support/onnx.h"
#include "tests/test.h"

static const float MEAN[] = {0.25F, 0.5F, 0.125F};
static const float DEVIATION[] = {0.5F, 0.3F, 0.7F};

static fl_model *make_model(const char *name, fl_shape input, bool is_plain)
{
    fl_model *model = NULL;
    const fl_model_options options = {
        .name = name,
        .input = input,
        .class_count = 10,
        .mean = is_plain ? NULL : MEAN,
        .deviation = is_plain ? NULL : DEVIATION,
        .seed = 3,
    };
    assert_ok(fl_model_new(&model, &options, NULL));
    return model;
}

static uint8_t *encode(const fl_model *model, size_t *len)
{
    *len = fl_model_bytes(model);
    uint8_t *bytes = malloc(*len);
    assert_non_null(bytes);
    assert_ok(fl_model_encode(model, bytes, *len));
    return bytes;
}

static void assert_same_node(const fl_node *a, const fl_node *b)
{
    assert_int_equal(a->op, b->op);
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->input_count, b->input_count);
    assert_memory_equal(a->inputs, b->inputs, sizeof a->inputs);
    assert_memory_equal(&a->shape, &b->shape, sizeof a->shape);
    assert_memory_equal(&a->window, &b->window, sizeof a->window);
    assert_int_equal(a->out_count, b->out_count);
    assert_int_equal(a->weight_at, b->weight_at);
    assert_int_equal(a->weight_count, b->weight_count);
    assert_int_equal(a->bias_at, b->bias_at);
    assert_int_equal(a->bias_count, b->bias_count);
    assert_int_equal(a->constant_at, b->constant_at);
    assert_int_equal(a->stats_at, b->stats_at);
    assert_int_equal(a->stats_count, b->stats_count);
    assert_int_equal(a->dilation_h, b->dilation_h);
    assert_int_equal(a->dilation_w, b->dilation_w);
    assert_int_equal(a->group_count, b->group_count);
    assert_int_equal(a->first, b->first);
    assert_int_equal(a->counts_padding, b->counts_padding);
    assert_float_equal(a->alpha, b->alpha, 0);
    assert_float_equal(a->beta, b->beta, 0);
    assert_float_equal(a->epsilon, b->epsilon, 0);
    assert_float_equal(a->momentum, b->momentum, 0);
}

static void assert_same_model(const fl_model *a, const fl_model *b)
{
    assert_int_equal(a->graph.node_count, b->graph.node_count);
    for (uint32_t i = 0; i < a->graph.node_count; i++)
        assert_same_node(&a->graph.nodes[i], &b->graph.nodes[i]);
    assert_int_equal(a->graph.param_count, b->graph.param_count);
    assert_memory_equal(a->params, b->params,
                        a->graph.param_count * sizeof(float));
    assert_int_equal(a->graph.constant_count, b->graph.constant_count);
    if (a->graph.constant_count == 0) return;
    assert_memory_equal(a->graph.constants, b->graph.constants,
                        a->graph.constant_count * sizeof(float));
}

static void assert_comes_back(fl_model *model)
{
    fl_model *again = NULL;
    fl_reason why = {""};
    size_t len;
    uint8_t *bytes = encode(model, &len);
    if (fl_model_decode(&again, bytes, len, &why)) fail_msg("%s", why.text);
    assert_same_model(model, again);
    fl_model_free(again);
    free(bytes);
    fl_model_free(model);
}

TEST(onnx_writer_keeps_every_bit_of_the_built_in_models)
{
    assert_comes_back(make_model("lenet", (fl_shape){28, 28, 1}, true));
    assert_comes_back(make_model("lenet", (fl_shape){24, 28, 3}, false));
    assert_comes_back(make_model("mlp", (fl_shape){5, 4, 3}, false));
    assert_comes_back(make_model("mlp", (fl_shape){1, 1, 3}, false));
    assert_comes_back(make_model("mlp", (fl_shape){1, 1, 9}, true));
}

static uint32_t add(fl_model *model, fl_node node, bool has_bias,
                    const float *constants)
{
    const uint32_t number = model->graph.node_count;
    snprintf(node.name, sizeof node.name, "layer%u", number);
    if (number == 0) strcpy(node.name, "input");
    if (number > 0) {
        node.inputs[0] = number - 1;
        node.input_count = 1;
    }
    assert_ok(fl_graph_add(&model->graph, &node, has_bias, constants, NULL));
    return number;
}

static void fill_params(fl_model *model)
{
    model->params = malloc(model->graph.param_count * sizeof(float));
    assert_non_null(model->params);
    for (size_t i = 0; i < model->graph.param_count; i++)
        model->params[i] = (float)i;
}

// Constants on both sides of a Flatten, padding different on all four sides,
// no biases, and a row of channels that a Conv reads.
TEST(onnx_writer_keeps_an_odd_model)
{
    fl_model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    float constants[24];
    for (size_t i = 0; i < 24; i++)
        constants[i] = (float)i + 1.5F;
    add(model, (fl_node){.op = FL_OP_INPUT, .shape = {5, 6, 2}}, false, NULL);
    add(model, (fl_node){.op = FL_OP_DIV}, false, constants);
    add(model,
        (fl_node){.op = FL_OP_CONV,
                  .window = {3, 5, 2, 1, 2, 4, 1, 3},
                  .out_count = 4},
        false, NULL);
    add(model,
        (fl_node){.op = FL_OP_MAXPOOL, .window = {2, 3, 1, 4, 0, 1, 0, 1}},
        false, NULL);
    add(model, (fl_node){.op = FL_OP_FLATTEN}, false, NULL);
    assert_int_equal(model->graph.nodes[4].shape.channels, 24);
    add(model, (fl_node){.op = FL_OP_SUB}, false, constants);
    add(model, (fl_node){.op = FL_OP_FLATTEN}, false, NULL);
    add(model, (fl_node){.op = FL_OP_RELU}, false, NULL);
    add(model, (fl_node){.op = FL_OP_DENSE, .out_count = 3}, false, NULL);
    fill_params(model);
    assert_comes_back(model);
}

// A node that reads two values.
static uint32_t add_pair(fl_model *model, fl_op_kind op, uint32_t a, uint32_t b)
{
    fl_node node = {.op = op, .inputs = {a, b}, .input_count = 2};
    const uint32_t number = model->graph.node_count;
    snprintf(node.name, sizeof node.name, "pair%u", number);
    assert_ok(fl_graph_add(&model->graph, &node, false, NULL, NULL));
    return number;
}

static const fl_window SAME = {3, 3, 1, 1, 1, 1, 1, 1};

// Pictures of 8 channels through every operator that keeps them so.
static void add_every_picture_operator(fl_model *model)
{
    const float numbers[] = {1, 2, 3, 4, 5, 6, 7, 8};
    add(model, (fl_node){.op = FL_OP_SUB}, false, numbers);
    add(model, (fl_node){.op = FL_OP_DIV}, false, numbers);
    add(model,
        (fl_node){.op = FL_OP_CONV,
                  .window = {3, 3, 1, 1, 2, 2, 2, 2},
                  .dilation_h = 2,
                  .dilation_w = 2,
                  .group_count = 4,
                  .out_count = 8},
        true, NULL);
    add(model,
        (fl_node){.op = FL_OP_BATCHNORM, .epsilon = 0.002F, .momentum = 0.1F},
        true, NULL);
    add(model,
        (fl_node){.op = FL_OP_GROUPNORM, .group_count = 2, .epsilon = 0.003F},
        true, NULL);
    const fl_op_kind plain[] = {FL_OP_RELU, FL_OP_RELU6, FL_OP_HARD_SWISH,
                                FL_OP_SIGMOID, FL_OP_TANH};
    for (size_t i = 0; i < 5; i++)
        add(model, (fl_node){.op = plain[i]}, false, NULL);
    add(model, (fl_node){.op = FL_OP_LEAKY_RELU, .alpha = 0.2F}, false, NULL);
    add(model, (fl_node){.op = FL_OP_HARD_SIGMOID, .alpha = 0.3F, .beta = 0.4F},
        false, NULL);
    add(model, (fl_node){.op = FL_OP_MAXPOOL, .window = SAME}, false, NULL);
    add(model, (fl_node){.op = FL_OP_AVGPOOL, .window = SAME}, false, NULL);
    add(model,
        (fl_node){.op = FL_OP_AVGPOOL, .window = SAME, .counts_padding = true},
        false, NULL);
    add(model, (fl_node){.op = FL_OP_SHUFFLE, .group_count = 4}, false, NULL);
    add(model, (fl_node){.op = FL_OP_DROPOUT, .alpha = 0.3F}, false, NULL);
    add(model, (fl_node){.op = FL_OP_L2NORM, .epsilon = 0.01F}, false, NULL);
}

TEST(onnx_writer_keeps_every_operator)
{
    fl_model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    add(model, (fl_node){.op = FL_OP_INPUT, .shape = {5, 6, 8}}, false, NULL);
    add_every_picture_operator(model);
    uint32_t x = model->graph.node_count - 1;
    const uint32_t pool =
        add(model, (fl_node){.op = FL_OP_GLOBALPOOL}, false, NULL);
    x = add_pair(model, FL_OP_MUL, pool, x);
    x = add_pair(model, FL_OP_ADD, x, 1);
    add_pair(model, FL_OP_CONCAT, x, 2);
    add(model, (fl_node){.op = FL_OP_SLICE, .first = 3, .out_count = 9}, false,
        NULL);
    add(model, (fl_node){.op = FL_OP_FLATTEN}, false, NULL);
    add(model,
        (fl_node){.op = FL_OP_BATCHNORM, .epsilon = 0.1F, .momentum = 0.5F},
        true, NULL);
    add(model, (fl_node){.op = FL_OP_DENSE, .out_count = 4}, true, NULL);
    add(model,
        (fl_node){.op = FL_OP_GROUPNORM, .group_count = 2, .epsilon = 0.5F},
        true, NULL);
    add(model, (fl_node){.op = FL_OP_L2NORM, .epsilon = 0.01F}, false, NULL);
    fill_params(model);
    assert_comes_back(model);
}

// A picture that is flattened and then cut: in the file's order of pixels it
// could not be, so Flatten goes over H, W, C.
TEST(onnx_writer_flattens_in_memorys_order_where_channels_count)
{
    fl_model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    add(model, (fl_node){.op = FL_OP_INPUT, .shape = {2, 3, 4}}, false, NULL);
    add(model, (fl_node){.op = FL_OP_FLATTEN}, false, NULL);
    add(model,
        (fl_node){.op = FL_OP_BATCHNORM, .epsilon = 0.1F, .momentum = 0.5F},
        true, NULL);
    add(model, (fl_node){.op = FL_OP_SLICE, .first = 5, .out_count = 9}, false,
        NULL);
    add(model, (fl_node){.op = FL_OP_DENSE, .out_count = 4}, true, NULL);
    fill_params(model);
    assert_comes_back(model);
}

// The gate of a squeeze-excite, made by a DENSE of which nobody said that it
// gives a picture.
TEST(onnx_writer_makes_pictures_of_rows)
{
    fl_model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    add(model, (fl_node){.op = FL_OP_INPUT, .shape = {5, 6, 4}}, false, NULL);
    add(model, (fl_node){.op = FL_OP_GLOBALPOOL}, false, NULL);
    add(model, (fl_node){.op = FL_OP_FLATTEN}, false, NULL);
    add(model, (fl_node){.op = FL_OP_DENSE, .out_count = 4}, true, NULL);
    add_pair(model, FL_OP_MUL, 0, 3);
    add(model, (fl_node){.op = FL_OP_GLOBALPOOL}, false, NULL);
    add(model, (fl_node){.op = FL_OP_FLATTEN}, false, NULL);
    fill_params(model);
    assert_comes_back(model);
}

static int64_t opset_with(fl_op_kind op)
{
    fl_model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    add(model, (fl_node){.op = FL_OP_INPUT, .shape = {1, 1, 4}}, false, NULL);
    add(model, (fl_node){.op = FL_OP_DENSE, .out_count = 4}, true, NULL);
    add(model, (fl_node){.op = op}, false, NULL);
    fill_params(model);
    size_t len;
    uint8_t *bytes = encode(model, &len);
    Onnx__ModelProto *file = onnx__model_proto__unpack(NULL, len, bytes);
    assert_non_null(file);
    const int64_t opset = file->opset_import[0]->version;
    fl_onnx_edit_free(file);
    free(bytes);
    fl_model_free(model);
    return opset;
}

TEST(onnx_writer_asks_for_opset_14_only_where_it_needs_it)
{
    assert_int_equal(opset_with(FL_OP_HARD_SIGMOID), 13);
    assert_int_equal(opset_with(FL_OP_HARD_SWISH), 14);
}

TEST(onnx_writer_gives_a_conv_four_dimensions_of_a_row)
{
    fl_model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    add(model, (fl_node){.op = FL_OP_INPUT, .shape = {1, 1, 3}}, false, NULL);
    add(model, (fl_node){.op = FL_OP_SUB}, false, MEAN);
    add(model,
        (fl_node){.op = FL_OP_CONV,
                  .window = {1, 1, 1, 1, 0, 0, 0, 0},
                  .out_count = 4},
        true, NULL);
    add(model, (fl_node){.op = FL_OP_FLATTEN}, false, NULL);
    fill_params(model);
    assert_comes_back(model);
}

TEST(onnx_writer_puts_weights_into_the_order_of_the_standard)
{
    fl_model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    add(model, (fl_node){.op = FL_OP_INPUT, .shape = {1, 2, 3}}, false, NULL);
    add(model, (fl_node){.op = FL_OP_FLATTEN}, false, NULL);
    add(model, (fl_node){.op = FL_OP_DENSE, .out_count = 1}, false, NULL);
    fill_params(model);
    size_t len;
    uint8_t *bytes = encode(model, &len);
    Onnx__ModelProto *file = onnx__model_proto__unpack(NULL, len, bytes);
    assert_non_null(file);

    const Onnx__TensorProto *weight =
        fl_onnx_edit_tensor(file, "layer2.weight");
    // Memory has (w, c) = 00 01 02 10 11 12, the file (c, w).
    const float expected[] = {0, 3, 1, 4, 2, 5};
    assert_int_equal(weight->raw_data.len, sizeof expected);
    assert_memory_equal(weight->raw_data.data, expected, sizeof expected);
    fl_onnx_edit_free(file);
    free(bytes);
    fl_model_free(model);
}

TEST(onnx_writer_names_input_output_and_itself)
{
    fl_model *model = make_model("mlp", (fl_shape){5, 4, 3}, true);
    size_t len;
    uint8_t *bytes = encode(model, &len);
    Onnx__ModelProto *file = onnx__model_proto__unpack(NULL, len, bytes);
    assert_non_null(file);

    assert_int_equal(file->ir_version, 8);
    assert_int_equal(file->opset_import[0]->version, 13);
    assert_string_equal(file->producer_name, "fedge");
    assert_string_equal(file->producer_version, FL_VERSION);
    assert_string_equal(file->metadata_props[1]->key, "format");
    assert_string_equal(file->metadata_props[1]->value, "fedge 1");
    const Onnx__ValueInfoProto *input = file->graph->input[0];
    assert_string_equal(input->name, "input");
    const Onnx__TensorShapeProto *shape = input->type->tensor_type->shape;
    assert_int_equal(shape->n_dim, 4);
    assert_string_equal(shape->dim[0]->dim_param, "N");
    assert_int_equal(shape->dim[1]->dim_value, 3);
    assert_int_equal(shape->dim[2]->dim_value, 5);
    assert_int_equal(shape->dim[3]->dim_value, 4);
    const Onnx__ValueInfoProto *output = file->graph->output[0];
    assert_string_equal(output->name, "logits");
    assert_int_equal(output->type->tensor_type->shape->n_dim, 2);
    assert_int_equal(output->type->tensor_type->shape->dim[1]->dim_value, 10);
    fl_onnx_edit_free(file);
    free(bytes);
    fl_model_free(model);
}

TEST(onnx_writer_gives_a_row_two_dimensions)
{
    fl_model *model = make_model("mlp", (fl_shape){1, 1, 9}, true);
    size_t len;
    uint8_t *bytes = encode(model, &len);
    Onnx__ModelProto *file = onnx__model_proto__unpack(NULL, len, bytes);
    assert_non_null(file);
    const Onnx__TypeProto *type = file->graph->input[0]->type;
    assert_int_equal(type->tensor_type->shape->n_dim, 2);
    assert_int_equal(type->tensor_type->shape->dim[1]->dim_value, 9);
    fl_onnx_edit_free(file);
    free(bytes);
    fl_model_free(model);
}

TEST(onnx_writer_rejects_a_small_buffer)
{
    fl_model *model = make_model("mlp", (fl_shape){1, 1, 9}, true);
    const size_t len = fl_model_bytes(model);
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    assert_err(fl_model_encode(model, bytes, len - 1), FL_ERR_SPACE);
    free(bytes);
    fl_model_free(model);
}

TEST(onnx_writer_gives_the_same_bytes_twice)
{
    fl_model *model = make_model("lenet", (fl_shape){28, 28, 1}, true);
    size_t len, again_len;
    uint8_t *bytes = encode(model, &len), *again = encode(model, &again_len);
    assert_int_equal(len, again_len);
    assert_memory_equal(bytes, again, len);
    free(again);
    free(bytes);
    fl_model_free(model);
}

RUN_TESTS(
    cmocka_unit_test(onnx_writer_keeps_every_bit_of_the_built_in_models),
    cmocka_unit_test(onnx_writer_keeps_an_odd_model),
    cmocka_unit_test(onnx_writer_keeps_every_operator),
    cmocka_unit_test(
        onnx_writer_flattens_in_memorys_order_where_channels_count),
    cmocka_unit_test(onnx_writer_makes_pictures_of_rows),
    cmocka_unit_test(onnx_writer_asks_for_opset_14_only_where_it_needs_it),
    cmocka_unit_test(onnx_writer_gives_a_conv_four_dimensions_of_a_row),
    cmocka_unit_test(onnx_writer_puts_weights_into_the_order_of_the_standard),
    cmocka_unit_test(onnx_writer_names_input_output_and_itself),
    cmocka_unit_test(onnx_writer_gives_a_row_two_dimensions),
    cmocka_unit_test(onnx_writer_rejects_a_small_buffer),
    cmocka_unit_test(onnx_writer_gives_the_same_bytes_twice))
