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
    cmocka_unit_test(onnx_writer_gives_a_conv_four_dimensions_of_a_row),
    cmocka_unit_test(onnx_writer_puts_weights_into_the_order_of_the_standard),
    cmocka_unit_test(onnx_writer_names_input_output_and_itself),
    cmocka_unit_test(onnx_writer_gives_a_row_two_dimensions),
    cmocka_unit_test(onnx_writer_rejects_a_small_buffer),
    cmocka_unit_test(onnx_writer_gives_the_same_bytes_twice))
