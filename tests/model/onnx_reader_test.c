/* What fl_model_decode refuses, and the forms it accepts. Most tests bend one
 * thing in a file that PyTorch wrote.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "model/graph.h"
#include "model/model.h"
#include "tests/support/onnx.h"
#include "tests/test.h"

// Sub, Div, Conv conv1, Relu, MaxPool, Conv conv2, Relu, Flatten, Gemm fc1,
// Relu, Gemm fc2; the input is "x" of (N, 2, 8, 7).
#define CNN "tests/vectors/onnx/cnn-17.onnx"
// Flatten, Gemm layers.1, Relu, Gemm layers.3; "x" of (4, 2, 5, 3).
#define MLP "tests/vectors/onnx/mlp.onnx"

enum { FLATTEN = 7 };  // its place among CNN's nodes

// Packs, expects the refusal, and frees.
static void assert_refused(Onnx__ModelProto *edited, fl_err expected,
                           const char *word, const char *other_word)
{
    fl_model *model = NULL;
    fl_reason why = {""};
    assert_err(fl_onnx_edit_decode(&model, edited, &why), expected);
    assert_null(model);
    assert_reason_names(why, word);
    assert_reason_names(why, other_word);
    fl_onnx_edit_free(edited);
}

// Packs, expects success, and frees the messages.
static fl_model *assert_accepted(Onnx__ModelProto *edited)
{
    fl_model *model = NULL;
    fl_reason why = {""};
    if (fl_onnx_edit_decode(&model, edited, &why)) fail_msg("%s", why.text);
    fl_onnx_edit_free(edited);
    return model;
}

static fl_model *original(const char *path)
{
    return assert_accepted(fl_onnx_edit_open(path));
}

// The same parameters and constants as the file at `path` gives.
static void assert_same_numbers(fl_model *model, const char *path)
{
    fl_model *other = original(path);
    assert_int_equal(model->graph.param_count, other->graph.param_count);
    assert_memory_equal(model->params, other->params,
                        model->graph.param_count * sizeof(float));
    assert_int_equal(model->graph.constant_count, other->graph.constant_count);
    for (size_t i = 0; i < model->graph.constant_count; i++) {
        assert_float_equal(model->graph.constants[i], other->graph.constants[i],
                           0.0);
    }
    fl_model_free(other);
    fl_model_free(model);
}

static Onnx__ModelProto *cnn(void)
{
    return fl_onnx_edit_open(CNN);
}

static Onnx__ModelProto *mlp(void)
{
    return fl_onnx_edit_open(MLP);
}

static Onnx__NodeProto *cnn_node(Onnx__ModelProto **edited, const char *op_type)
{
    *edited = cnn();
    return fl_onnx_edit_node(*edited, op_type);
}

static Onnx__TensorProto *cnn_tensor(Onnx__ModelProto **edited,
                                     const char *name)
{
    *edited = cnn();
    return fl_onnx_edit_tensor(*edited, name);
}

// Flatten becomes a Reshape to the given sizes.
static Onnx__ModelProto *reshaped(const char *path, const int64_t *sizes,
                                  size_t count)
{
    Onnx__ModelProto *edited = fl_onnx_edit_open(path);
    Onnx__NodeProto *node = fl_onnx_edit_node(edited, "Flatten");
    fl_onnx_edit_set_text(&node->op_type, "Reshape");
    onnx__attribute_proto__free_unpacked(node->attribute[0], NULL);
    node->n_attribute = 0;
    fl_onnx_edit_add_input(node, "sizes");
    fl_onnx_edit_add_int64s(edited, "sizes", (int64_t[]){(int64_t)count}, 1,
                            sizes);
    return edited;
}

static Onnx__TypeProto__Tensor *type_of(Onnx__ValueInfoProto *info)
{
    return info->type->tensor_type;
}

/* ---- bytes ------------------------------------------------------------- */

TEST(onnx_reader_rejects_an_empty_file)
{
    fl_model *model = NULL;
    fl_reason why = {""};
    const uint8_t nothing[1] = {0};
    assert_err(fl_model_decode(&model, nothing, 0, &why), FL_ERR_FORMAT);
    assert_reason_names(why, "no graph");
}

TEST(onnx_reader_rejects_other_bytes)
{
    fl_model *model = NULL;
    fl_reason why = {""};
    const uint8_t text[] = "This is not a model.";
    assert_err(fl_model_decode(&model, text, sizeof text, &why), FL_ERR_FORMAT);
    assert_reason_names(why, "not an ONNX file");
}

TEST(onnx_reader_needs_no_reason)
{
    fl_model *model = NULL;
    const uint8_t text[] = "This is not a model.";
    assert_err(fl_model_decode(&model, text, sizeof text, NULL), FL_ERR_FORMAT);
}

TEST(onnx_reader_rejects_every_cut)
{
    size_t len;
    uint8_t *bytes = fl_onnx_edit_read(&len, CNN);
    for (size_t cut = 0; cut < len; cut++) {
        fl_model *model = NULL;
        assert_err(fl_model_decode(&model, bytes, cut, NULL), FL_ERR_FORMAT);
    }
    free(bytes);
}

TEST(onnx_reader_survives_every_flipped_byte)
{
    size_t len;
    uint8_t *bytes = fl_onnx_edit_read(&len, CNN);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 0xff;
        fl_model *model = NULL;
        if (!fl_model_decode(&model, bytes, len, NULL)) fl_model_free(model);
        bytes[i] ^= 0xff;
    }
    free(bytes);
}

TEST(onnx_reader_rejects_a_file_above_the_maximum)
{
    fl_model *model = NULL;
    fl_reason why = {""};
    const uint8_t byte = 0;
    assert_err(fl_model_decode(&model, &byte, FL_MODEL_BYTES_MAX + 1, &why),
               FL_ERR_LIMIT);
    assert_reason_names(why, "at most");
}

// A graph (field 7) of `count` empty nodes (field 1): two bytes each.
static fl_err decode_empty_nodes(uint32_t count, fl_reason *why)
{
    fl_model *model = NULL;
    const uint32_t len = 2 * count;
    uint8_t *bytes = calloc(1, len + 5);
    assert_non_null(bytes);
    bytes[0] = 7 << 3 | 2;
    for (unsigned i = 0; i < 4; i++) {
        bytes[1 + i] = (uint8_t)(len >> 7 * i & 0x7f) | (i < 3 ? 0x80 : 0);
    }
    for (uint32_t i = 0; i < count; i++)
        bytes[5 + 2 * i] = 1 << 3 | 2;
    const fl_err err = fl_model_decode(&model, bytes, len + 5, why);
    free(bytes);
    return err;
}

TEST(onnx_reader_gives_a_file_only_so_much_memory)
{
    fl_reason why = {""};
    assert_err(decode_empty_nodes(400000, &why), FL_ERR_LIMIT);
    assert_reason_names(why, "memory");
}

TEST(onnx_reader_rejects_too_many_things)
{
    Onnx__ModelProto *edited = mlp();
    for (int i = 0; i < 4100; i++)
        fl_onnx_edit_add_node(edited, -1, "Relu", "x", "y");
    assert_refused(edited, FL_ERR_LIMIT, "nodes", "4096");

    edited = mlp();
    Onnx__NodeProto *node = fl_onnx_edit_node(edited, "Gemm");
    for (int i = 0; i < 40; i++)
        fl_onnx_edit_add_input(node, "x");
    assert_refused(edited, FL_ERR_LIMIT, "inputs of a node", "32");
}

/* ---- header ------------------------------------------------------------ */

TEST(onnx_reader_rejects_other_opsets)
{
    Onnx__ModelProto *edited = cnn();
    edited->opset_import[0]->version = 18;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "opset 18", "opset_version=17");
    edited = cnn();
    edited->opset_import[0]->version = 10;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "opset 10", "11");
    edited = cnn();
    fl_onnx_edit_set_text(&edited->opset_import[0]->domain, "com.microsoft");
    assert_refused(edited, FL_ERR_FORMAT, "opset", "not an ONNX model");
}

TEST(onnx_reader_knows_both_names_of_the_standard_domain)
{
    Onnx__ModelProto *edited = cnn();
    fl_onnx_edit_set_text(&edited->opset_import[0]->domain, "ai.onnx");
    fl_onnx_edit_set_text(&edited->graph->node[0]->domain, "ai.onnx");
    fl_model_free(assert_accepted(edited));
}

/* ---- tensors ----------------------------------------------------------- */

TEST(onnx_reader_rejects_impossible_dimensions)
{
    Onnx__ModelProto *edited;
    cnn_tensor(&edited, "fc1.weight")->dims[1] = 0;
    assert_refused(edited, FL_ERR_FORMAT, "fc1.weight", "dimension 1 is 0");
    cnn_tensor(&edited, "fc1.weight")->dims[0] = -7;
    assert_refused(edited, FL_ERR_FORMAT, "fc1.weight", "-7");
    cnn_tensor(&edited, "fc1.weight")->dims[0] = INT64_MAX;
    assert_refused(edited, FL_ERR_LIMIT, "fc1.weight", "numbers");
    Onnx__TensorProto *tensor = cnn_tensor(&edited, "fc1.weight");
    tensor->dims[0] = tensor->dims[1] = 1 << 20;
    assert_refused(edited, FL_ERR_LIMIT, "fc1.weight", "numbers");

    const int64_t ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    edited = cnn();
    fl_onnx_edit_add_floats(edited, "deep", ones, 9, (float[]){1});
    assert_refused(edited, FL_ERR_LIMIT, "deep", "9 dimensions");
}

TEST(onnx_reader_rejects_data_of_the_wrong_length)
{
    Onnx__ModelProto *edited;
    cnn_tensor(&edited, "conv1.weight")->raw_data.len -= 1;
    assert_refused(edited, FL_ERR_FORMAT, "conv1.weight", "bytes of raw_data");
    cnn_tensor(&edited, "conv1.bias")->dims[0] = 3;
    assert_refused(edited, FL_ERR_FORMAT, "conv1.bias", "16 bytes");
    cnn_tensor(&edited, "conv1.bias")->has_raw_data = false;
    assert_refused(edited, FL_ERR_FORMAT, "conv1.bias", "holds 0 numbers");
}

static void move_to_float_data(Onnx__TensorProto *tensor)
{
    tensor->n_float_data = tensor->raw_data.len / sizeof(float);
    tensor->float_data = malloc(tensor->raw_data.len);
    assert_non_null(tensor->float_data);
    memcpy(tensor->float_data, tensor->raw_data.data, tensor->raw_data.len);
}

TEST(onnx_reader_reads_lists_of_floats)
{
    Onnx__ModelProto *edited = cnn();
    for (size_t i = 0; i < edited->graph->n_initializer; i++) {
        move_to_float_data(edited->graph->initializer[i]);
        edited->graph->initializer[i]->has_raw_data = false;
    }
    assert_same_numbers(assert_accepted(edited), CNN);
}

TEST(onnx_reader_rejects_numbers_that_are_there_twice)
{
    Onnx__ModelProto *edited;
    move_to_float_data(cnn_tensor(&edited, "fc1.bias"));
    assert_refused(edited, FL_ERR_FORMAT, "fc1.bias", "twice");
}

TEST(onnx_reader_rejects_numbers_that_are_not_finite)
{
    Onnx__ModelProto *edited;
    const float bad[] = {NAN, INFINITY};
    memcpy(cnn_tensor(&edited, "fc1.weight")->raw_data.data + 8, &bad[0], 4);
    assert_refused(edited, FL_ERR_FORMAT, "fc1.weight", "number 2 is");
    memcpy(cnn_tensor(&edited, "conv2.bias")->raw_data.data, &bad[1], 4);
    assert_refused(edited, FL_ERR_FORMAT, "conv2.bias", "number 0 is inf");
    memcpy(cnn_tensor(&edited, "mean")->raw_data.data, &bad[0], 4);
    assert_refused(edited, FL_ERR_FORMAT, "Sub", "constant 0 is");
}

TEST(onnx_reader_rejects_tensors_of_other_types)
{
    Onnx__ModelProto *edited;
    cnn_tensor(&edited, "fc1.weight")->data_type =
        ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "fc1.weight", "float16");
    const struct {
        int32_t data_type;
        const char *name;
    } others[] = {
        {ONNX__TENSOR_PROTO__DATA_TYPE__UINT8, "uint8"},
        {ONNX__TENSOR_PROTO__DATA_TYPE__INT8, "int8"},
        {ONNX__TENSOR_PROTO__DATA_TYPE__INT32, "int32"},
        {ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16, "bfloat16"},
    };
    for (size_t i = 0; i < 4; i++) {
        cnn_tensor(&edited, "fc1.weight")->data_type = others[i].data_type;
        assert_refused(edited, FL_ERR_UNSUPPORTED, "fc1.weight",
                       others[i].name);
    }
    edited = reshaped(CNN, (int64_t[]){0, -1}, 2);
    fl_onnx_edit_set_text(&fl_onnx_edit_node(edited, "Conv")->input[1],
                          "sizes");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "sizes", "int64");
    cnn_tensor(&edited, "fc1.weight")->data_type = 99;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "fc1.weight",
                   "without a number");
}

TEST(onnx_reader_rejects_data_in_another_file)
{
    Onnx__ModelProto *edited;
    Onnx__TensorProto *tensor = cnn_tensor(&edited, "fc1.weight");
    tensor->has_data_location = true;
    tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "fc1.weight", "another file");
}

TEST(onnx_reader_rejects_names_that_are_given_twice)
{
    Onnx__ModelProto *edited = cnn();
    fl_onnx_edit_set_text(&fl_onnx_edit_tensor(edited, "fc1.bias")->name,
                          "fc1.weight");
    assert_refused(edited, FL_ERR_FORMAT, "fc1.weight", "two tensors");
    Onnx__NodeProto *node = cnn_node(&edited, "Relu");
    fl_onnx_edit_set_text(&node->output[0], "conv1.weight");
    assert_refused(edited, FL_ERR_FORMAT, "conv1.weight", "two tensors");
    edited = cnn();
    fl_onnx_edit_set_text(&fl_onnx_edit_tensor(edited, "mean")->name, "");
    assert_refused(edited, FL_ERR_FORMAT, "has no name", "");
}

TEST(onnx_reader_rejects_shared_parameters)
{
    Onnx__ModelProto *edited = cnn();
    const int64_t dims[] = {7, 7};
    const float zeros[49] = {0};
    fl_onnx_edit_add_floats(edited, "w", dims, 2, zeros);
    Onnx__GraphProto *graph = edited->graph;
    fl_onnx_edit_add_input(
        fl_onnx_edit_add_node(edited, FLATTEN + 2, "MatMul",
                              graph->node[FLATTEN + 2]->output[0], "a"),
        "w");
    fl_onnx_edit_add_input(
        fl_onnx_edit_add_node(edited, FLATTEN + 3, "MatMul", "a", "b"), "w");
    fl_onnx_edit_set_text(&graph->node[FLATTEN + 5]->input[0], "b");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "shares", "\"w\"");
}

/* ---- inputs and outputs ------------------------------------------------ */

TEST(onnx_reader_rejects_other_inputs_than_one)
{
    Onnx__ModelProto *edited = cnn();
    edited->graph->n_input = 0;
    Onnx__ValueInfoProto *input = edited->graph->input[0];
    fl_model *model = NULL;
    fl_reason why = {""};
    assert_err(fl_onnx_edit_decode(&model, edited, &why), FL_ERR_FORMAT);
    assert_reason_names(why, "0 inputs");

    Onnx__ValueInfoProto *both[] = {input, input};
    Onnx__ValueInfoProto **list = edited->graph->input;
    edited->graph->n_input = 2;
    edited->graph->input = both;
    assert_err(fl_onnx_edit_decode(&model, edited, &why), FL_ERR_UNSUPPORTED);
    assert_reason_names(why, "2 inputs");
    edited->graph->n_input = 1;
    edited->graph->input = list;
    fl_onnx_edit_free(edited);
}

TEST(onnx_reader_rejects_inputs_of_other_shapes)
{
    Onnx__ModelProto *edited = cnn();
    type_of(edited->graph->input[0])->elem_type =
        ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"x\"", "float64");

    edited = cnn();
    type_of(edited->graph->input[0])->shape->dim[1]->has_dim_value = false;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"x\"", "dimension 1 is open");

    edited = cnn();
    type_of(edited->graph->input[0])->shape->dim[2]->dim_value = 0;
    assert_refused(edited, FL_ERR_FORMAT, "\"x\"", "dimension 2 is 0");

    edited = cnn();
    type_of(edited->graph->input[0])->shape->dim[2]->dim_value = 1 << 20;
    type_of(edited->graph->input[0])->shape->dim[3]->dim_value = 1 << 20;
    assert_refused(edited, FL_ERR_LIMIT, "input", "1048576");

    edited = cnn();
    Onnx__TensorShapeProto *shape = type_of(edited->graph->input[0])->shape;
    protobuf_c_message_free_unpacked(&shape->dim[3]->base, NULL);
    shape->n_dim = 3;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"x\"", "3 dimensions");

    edited = cnn();
    Onnx__TypeProto *type = edited->graph->input[0]->type;
    protobuf_c_message_free_unpacked(&type->tensor_type->base, NULL);
    type->tensor_type = NULL;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"x\"", "not declared");
}

TEST(onnx_reader_rejects_other_outputs_than_the_last_layers)
{
    Onnx__ModelProto *edited = cnn();
    Onnx__GraphProto *graph = edited->graph;
    fl_onnx_edit_set_text(&graph->output[0]->name, "y");
    assert_refused(edited, FL_ERR_FORMAT, "\"y\"", "nowhere");

    edited = cnn();
    graph = edited->graph;
    fl_onnx_edit_set_text(&graph->output[0]->name,
                          graph->node[FLATTEN + 1]->output[0]);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "last layer", "Gemm");

    edited = cnn();
    type_of(edited->graph->output[0])->shape->dim[1]->dim_value = 5;
    assert_refused(edited, FL_ERR_FORMAT, "another shape", "(N, 3)");
}

TEST(onnx_reader_rejects_two_outputs_and_none)
{
    Onnx__ModelProto *edited = cnn();
    Onnx__ValueInfoProto **list = edited->graph->output;
    Onnx__ValueInfoProto *both[] = {list[0], list[0]};
    fl_model *model = NULL;
    fl_reason why = {""};
    edited->graph->output = both;
    edited->graph->n_output = 2;
    assert_err(fl_onnx_edit_decode(&model, edited, &why), FL_ERR_UNSUPPORTED);
    assert_reason_names(why, "2 outputs");
    edited->graph->n_output = 0;
    assert_err(fl_onnx_edit_decode(&model, edited, &why), FL_ERR_FORMAT);
    assert_reason_names(why, "0 outputs");
    edited->graph->output = list;
    edited->graph->n_output = 1;
    fl_onnx_edit_free(edited);
}

// Drops the nodes behind number `last`, whose output becomes the model's.
static Onnx__ModelProto *cnn_up_to(size_t last)
{
    Onnx__ModelProto *edited = cnn();
    Onnx__GraphProto *graph = edited->graph;
    for (size_t i = last + 1; i < graph->n_node; i++)
        onnx__node_proto__free_unpacked(graph->node[i], NULL);
    graph->n_node = last + 1;
    fl_onnx_edit_set_text(&graph->output[0]->name,
                          graph->node[last]->output[0]);
    return edited;
}

TEST(onnx_reader_rejects_pictures_as_output)
{
    assert_refused(cnn_up_to(FLATTEN - 1), FL_ERR_UNSUPPORTED, "picture",
                   "Relu");
    // Flattened, but in the file's order of pixels.
    assert_refused(cnn_up_to(FLATTEN), FL_ERR_UNSUPPORTED, "picture",
                   "Flatten");
}

TEST(onnx_reader_rejects_a_model_without_parameters)
{
    Onnx__ModelProto *edited =
        fl_onnx_edit_open("tests/vectors/onnx/table.onnx");
    Onnx__GraphProto *graph = edited->graph;
    fl_onnx_edit_set_text(&graph->output[0]->name, "y");
    type_of(graph->output[0])->shape->dim[1]->dim_value = 9;
    for (size_t i = 0; i < graph->n_node; i++)
        onnx__node_proto__free_unpacked(graph->node[i], NULL);
    graph->n_node = 0;
    fl_onnx_edit_add_node(edited, -1, "Relu", "x", "y");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "no parameters", "train");
}

/* ---- nodes ------------------------------------------------------------- */

TEST(onnx_reader_names_the_node_that_it_does_not_know)
{
    Onnx__ModelProto *edited;
    Onnx__NodeProto *node = cnn_node(&edited, "MaxPool");
    fl_onnx_edit_set_text(&node->op_type, "AveragePool");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/MaxPool", "(AveragePool)");
    node = cnn_node(&edited, "Relu");
    fl_onnx_edit_set_text(&node->domain, "com.microsoft");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/Relu", "not supported");
}

TEST(onnx_reader_says_what_to_do_about_a_softmax)
{
    Onnx__ModelProto *edited = cnn();
    Onnx__GraphProto *graph = edited->graph;
    fl_onnx_edit_add_node(edited, (int)graph->n_node - 1, "Softmax",
                          graph->output[0]->name, "p");
    fl_onnx_edit_set_text(&graph->output[0]->name, "p");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "Softmax", "logits");
}

TEST(onnx_reader_rejects_nodes_out_of_order)
{
    Onnx__ModelProto *edited = cnn();
    Onnx__NodeProto **nodes = edited->graph->node;
    Onnx__NodeProto *first = nodes[0];
    nodes[0] = nodes[1];
    nodes[1] = first;
    assert_refused(edited, FL_ERR_FORMAT, "/Div", "/Sub_output_0");
}

TEST(onnx_reader_rejects_a_cycle)
{
    Onnx__ModelProto *edited;
    Onnx__NodeProto *node = cnn_node(&edited, "Relu");
    fl_onnx_edit_set_text(&node->input[0], node->output[0]);
    assert_refused(edited, FL_ERR_FORMAT, "/Relu", "cycle");
}

TEST(onnx_reader_rejects_a_tensor_that_is_missing)
{
    Onnx__ModelProto *edited = cnn();
    fl_onnx_edit_set_text(&fl_onnx_edit_tensor(edited, "conv2.weight")->name,
                          "other");
    assert_refused(edited, FL_ERR_FORMAT, "conv2.weight", "nowhere");
    Onnx__NodeProto *node = cnn_node(&edited, "Conv");
    fl_onnx_edit_set_text(&node->input[1], "");
    assert_refused(edited, FL_ERR_FORMAT, "/conv1/Conv", "no input 1");
}

TEST(onnx_reader_rejects_the_wrong_number_of_inputs)
{
    Onnx__ModelProto *edited;
    fl_onnx_edit_add_input(cnn_node(&edited, "Relu"), "x");
    assert_refused(edited, FL_ERR_FORMAT, "/Relu", "2 inputs");
}

TEST(onnx_reader_rejects_constants_where_values_go)
{
    Onnx__ModelProto *edited;
    Onnx__NodeProto *node = cnn_node(&edited, "Relu");
    fl_onnx_edit_set_text(&node->input[0], "mean");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"mean\"", "constant");
    node = cnn_node(&edited, "Conv");
    fl_onnx_edit_set_text(&node->input[1], node->input[0]);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/conv1/Conv", "computed");
}

TEST(onnx_reader_rejects_a_layer_that_nothing_reads)
{
    Onnx__ModelProto *edited = cnn();
    fl_onnx_edit_add_node(edited, -1, "Relu", "x", "unused");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "nothing reads", "Relu");
}

TEST(onnx_reader_rejects_a_second_output)
{
    Onnx__ModelProto *edited;
    Onnx__NodeProto *node = cnn_node(&edited, "MaxPool");
    char *only = node->output[0];
    free(node->output);
    node->output = calloc(2, sizeof *node->output);
    assert_non_null(node->output);
    node->n_output = 2;
    node->output[0] = only;
    fl_onnx_edit_set_text(&node->output[1], "indices");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/MaxPool", "indices");
}

TEST(onnx_reader_rejects_attributes_that_it_does_not_know)
{
    Onnx__ModelProto *edited;
    fl_onnx_edit_set_int(cnn_node(&edited, "Conv"), "mystery", 1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/conv1/Conv", "mystery");
}

TEST(onnx_reader_rejects_attributes_of_the_wrong_type)
{
    Onnx__ModelProto *edited;
    fl_onnx_edit_set_int(cnn_node(&edited, "Conv"), "pads", 1);
    assert_refused(edited, FL_ERR_FORMAT, "pads", "wrong type");
    Onnx__NodeProto *node = cnn_node(&edited, "Gemm");
    fl_onnx_edit_set_text(&fl_onnx_edit_attribute(node, "alpha")->name, "beta");
    assert_refused(edited, FL_ERR_FORMAT, "beta", "twice");
}

TEST(onnx_reader_rejects_more_layers_than_a_graph_holds)
{
    Onnx__ModelProto *edited = mlp();
    for (int i = 0; i < FL_GRAPH_NODES_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "r%d", i);
        fl_onnx_edit_add_node(edited, -1, "Relu", "x", name);
    }
    assert_refused(edited, FL_ERR_LIMIT, "1024", "nodes");
}

/* ---- Conv and MaxPool -------------------------------------------------- */

TEST(onnx_reader_rejects_convolutions_of_other_kinds)
{
    Onnx__ModelProto *edited;
    fl_onnx_edit_set_int(cnn_node(&edited, "Conv"), "group", 2);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/conv1/Conv", "group is 2");
    fl_onnx_edit_set_ints(cnn_node(&edited, "Conv"), "dilations",
                          (int64_t[]){1, 2}, 2);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/conv1/Conv", "dilations");
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

TEST(onnx_reader_rejects_convolutions_that_do_not_fit)
{
    Onnx__ModelProto *edited;
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

TEST(onnx_reader_takes_the_kernel_from_the_weight)
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

TEST(onnx_reader_ignores_pads_when_auto_pad_is_valid)
{
    Onnx__ModelProto *edited = cnn();
    Onnx__NodeProto *node = fl_onnx_edit_node(edited, "MaxPool");
    fl_onnx_edit_set_ints(node, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    fl_onnx_edit_set_string(node, "auto_pad", "VALID");
    assert_same_numbers(assert_accepted(edited), CNN);
}

TEST(onnx_reader_rejects_poolings_of_other_kinds)
{
    Onnx__ModelProto *edited;
    fl_onnx_edit_set_int(cnn_node(&edited, "MaxPool"), "ceil_mode", 1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/MaxPool", "ceil_mode is 1");
    fl_onnx_edit_set_int(cnn_node(&edited, "MaxPool"), "storage_order", 1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/MaxPool", "storage_order");
    Onnx__NodeProto *node = cnn_node(&edited, "MaxPool");
    fl_onnx_edit_set_text(&fl_onnx_edit_attribute(node, "kernel_shape")->name,
                          "dilations");
    fl_onnx_edit_set_ints(node, "dilations", (int64_t[]){1, 1}, 2);
    assert_refused(edited, FL_ERR_FORMAT, "/MaxPool", "kernel_shape");
}

/* ---- Gemm and MatMul --------------------------------------------------- */

TEST(onnx_reader_rejects_products_of_other_kinds)
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

TEST(onnx_reader_rejects_products_that_do_not_fit)
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

TEST(onnx_reader_reads_weights_either_way_round)
{
    Onnx__ModelProto *edited;
    transpose(cnn_tensor(&edited, "fc1.weight"));
    fl_onnx_edit_set_int(fl_onnx_edit_node(edited, "Gemm"), "transB", 0);
    assert_same_numbers(assert_accepted(edited), CNN);
}

TEST(onnx_reader_transposes_a_constant_weight)
{
    Onnx__ModelProto *edited = cnn();
    transpose(fl_onnx_edit_tensor(edited, "fc1.weight"));
    fl_onnx_edit_add_node(edited, -1, "Transpose", "fc1.weight", "turned");
    fl_onnx_edit_set_text(&fl_onnx_edit_node(edited, "Gemm")->input[1],
                          "turned");
    assert_same_numbers(assert_accepted(edited), CNN);
}

TEST(onnx_reader_rejects_other_transposes_of_constants)
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

/* ---- constants --------------------------------------------------------- */

TEST(onnx_reader_rejects_sums_of_two_values)
{
    Onnx__ModelProto *edited = cnn();
    fl_onnx_edit_add_input(fl_onnx_edit_add_node(edited, -1, "Add", "x", "y"),
                           "x");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "\"y\" (Add)", "computed");
}

TEST(onnx_reader_rejects_constants_that_are_not_per_channel)
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

TEST(onnx_reader_rejects_a_division_by_zero)
{
    Onnx__ModelProto *edited;
    memset(cnn_tensor(&edited, "std")->raw_data.data, 0, 4);
    assert_refused(edited, FL_ERR_FORMAT, "Div", "constant 0 is 0");
}

TEST(onnx_reader_limits_what_one_scalar_becomes)
{
    Onnx__ModelProto *edited =
        fl_onnx_edit_open("tests/vectors/onnx/table.onnx");
    type_of(edited->graph->input[0])->shape->dim[1]->dim_value = 3 << 20;
    assert_refused(edited, FL_ERR_LIMIT, "/Div", "constants");
}

// x + (-mean) and x * (1 / std), with the constants on the left.
TEST(onnx_reader_turns_exact_sums_and_products_around)
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

TEST(onnx_reader_rejects_products_that_are_not_exact_divisions)
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

TEST(onnx_reader_makes_an_added_constant_the_bias)
{
    Onnx__ModelProto *edited = cnn_with_added_bias();
    fl_onnx_edit_set_text(&fl_onnx_edit_node(edited, "Relu")->input[0],
                          "with bias");
    assert_same_numbers(assert_accepted(edited), CNN);
}

TEST(onnx_reader_rejects_a_second_reader_beside_the_bias)
{
    Onnx__ModelProto *edited = cnn_with_added_bias();
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/Relu", "two readers");
}

/* ---- flattening and reordering ----------------------------------------- */

TEST(onnx_reader_flattens_only_at_axis_1)
{
    Onnx__ModelProto *edited;
    fl_onnx_edit_set_int(cnn_node(&edited, "Flatten"), "axis", 2);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/Flatten", "axis");
    fl_onnx_edit_set_int(cnn_node(&edited, "Flatten"), "axis", -3);
    assert_same_numbers(assert_accepted(edited), CNN);
}

TEST(onnx_reader_takes_reshapes_that_flatten)
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

TEST(onnx_reader_rejects_other_reshapes)
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

TEST(onnx_reader_lets_transposes_cancel)
{
    Onnx__ModelProto *edited = cnn();
    add_transpose(edited, 3, 2, 3, 1);  // in front of the first Relu
    add_transpose(edited, 5, 3, 1, 2);  // in front of MaxPool
    assert_same_numbers(assert_accepted(edited), CNN);
}

TEST(onnx_reader_rejects_transposes_that_do_not_cancel)
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
TEST(onnx_reader_keeps_columns_behind_a_transposed_picture)
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

/* ---- Identity, Dropout, Constant, shapes -------------------------------- */

TEST(onnx_reader_looks_through_identities)
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

TEST(onnx_reader_skips_dropout)
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

TEST(onnx_reader_asks_dropout_whether_it_trains)
{
    assert_same_numbers(assert_accepted(cnn_with_dropout(false, true)), CNN);
    assert_same_numbers(assert_accepted(cnn_with_dropout(false, false)), CNN);
    assert_refused(cnn_with_dropout(true, true), FL_ERR_UNSUPPORTED, "Dropout",
                   "training mode");
    assert_refused(cnn_with_dropout(true, false), FL_ERR_UNSUPPORTED, "Dropout",
                   "training mode");
}

TEST(onnx_reader_rejects_dropout_in_training)
{
    Onnx__ModelProto *edited =
        fl_onnx_edit_open("tests/vectors/onnx/cnn-training.onnx");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/drop/Dropout", "eval()");
}

TEST(onnx_reader_rejects_constants_of_other_kinds)
{
    Onnx__ModelProto *edited = cnn();
    Onnx__NodeProto *node =
        fl_onnx_edit_add_node(edited, -1, "Constant", "x", "c");
    assert_refused(edited, FL_ERR_FORMAT, "Constant", "1 inputs");

    edited = cnn();
    node = fl_onnx_edit_add_node(edited, -1, "Constant", "x", "c");
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

TEST(onnx_reader_reads_lists_in_constants)
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

TEST(onnx_reader_rejects_shapes_that_it_cannot_follow)
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
TEST(onnx_reader_tells_the_batch_from_other_sizes)
{
    Onnx__ModelProto *edited = fl_onnx_edit_open(VIEW);
    Onnx__NodeProto *index = fl_onnx_edit_node(edited, "Constant");
    const int64_t second = -3;
    memcpy(index->attribute[0]->t->raw_data.data, &second, sizeof second);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/Reshape", "(batch, 40)");
}

TEST(onnx_reader_follows_a_view_of_a_transposed_picture)
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

/* ---- names ------------------------------------------------------------- */

TEST(onnx_reader_names_layers_after_their_weights)
{
    fl_model *model = original(CNN);
    const char *const expected[] = {
        "input", "/Sub",    "/Div",     "conv1", "/Relu",   "/MaxPool",
        "conv2", "/Relu_1", "/Flatten", "fc1",   "/Relu_2", "fc2"};
    assert_int_equal(model->graph.node_count, 12);
    for (uint32_t i = 0; i < 12; i++)
        assert_string_equal(model->graph.nodes[i].name, expected[i]);
    fl_model_free(model);
}

TEST(onnx_reader_gives_names_where_there_are_none)
{
    Onnx__ModelProto *edited = cnn();
    for (size_t i = 0; i < edited->graph->n_node; i++)
        fl_onnx_edit_set_text(&edited->graph->node[i]->name, "");
    fl_onnx_edit_set_text(&edited->graph->node[1]->name, "a\nb");
    fl_onnx_edit_set_text(&edited->graph->node[3]->name, "conv1");
    fl_model *model = assert_accepted(edited);
    assert_string_equal(model->graph.nodes[1].name, "sub_1");
    assert_string_equal(model->graph.nodes[2].name, "a_b");
    assert_string_equal(model->graph.nodes[3].name, "conv1");
    assert_string_equal(model->graph.nodes[4].name, "relu_4");
    fl_model_free(model);
}

RUN_TESTS(
    cmocka_unit_test(onnx_reader_rejects_an_empty_file),
    cmocka_unit_test(onnx_reader_rejects_other_bytes),
    cmocka_unit_test(onnx_reader_needs_no_reason),
    cmocka_unit_test(onnx_reader_rejects_every_cut),
    cmocka_unit_test(onnx_reader_survives_every_flipped_byte),
    cmocka_unit_test(onnx_reader_rejects_a_file_above_the_maximum),
    cmocka_unit_test(onnx_reader_gives_a_file_only_so_much_memory),
    cmocka_unit_test(onnx_reader_rejects_too_many_things),
    cmocka_unit_test(onnx_reader_rejects_other_opsets),
    cmocka_unit_test(onnx_reader_knows_both_names_of_the_standard_domain),
    cmocka_unit_test(onnx_reader_rejects_impossible_dimensions),
    cmocka_unit_test(onnx_reader_rejects_data_of_the_wrong_length),
    cmocka_unit_test(onnx_reader_reads_lists_of_floats),
    cmocka_unit_test(onnx_reader_rejects_numbers_that_are_there_twice),
    cmocka_unit_test(onnx_reader_rejects_numbers_that_are_not_finite),
    cmocka_unit_test(onnx_reader_rejects_tensors_of_other_types),
    cmocka_unit_test(onnx_reader_rejects_data_in_another_file),
    cmocka_unit_test(onnx_reader_rejects_names_that_are_given_twice),
    cmocka_unit_test(onnx_reader_rejects_shared_parameters),
    cmocka_unit_test(onnx_reader_rejects_other_inputs_than_one),
    cmocka_unit_test(onnx_reader_rejects_inputs_of_other_shapes),
    cmocka_unit_test(onnx_reader_rejects_other_outputs_than_the_last_layers),
    cmocka_unit_test(onnx_reader_rejects_two_outputs_and_none),
    cmocka_unit_test(onnx_reader_rejects_pictures_as_output),
    cmocka_unit_test(onnx_reader_rejects_a_model_without_parameters),
    cmocka_unit_test(onnx_reader_names_the_node_that_it_does_not_know),
    cmocka_unit_test(onnx_reader_says_what_to_do_about_a_softmax),
    cmocka_unit_test(onnx_reader_rejects_nodes_out_of_order),
    cmocka_unit_test(onnx_reader_rejects_a_cycle),
    cmocka_unit_test(onnx_reader_rejects_a_tensor_that_is_missing),
    cmocka_unit_test(onnx_reader_rejects_the_wrong_number_of_inputs),
    cmocka_unit_test(onnx_reader_rejects_constants_where_values_go),
    cmocka_unit_test(onnx_reader_rejects_a_layer_that_nothing_reads),
    cmocka_unit_test(onnx_reader_rejects_a_second_output),
    cmocka_unit_test(onnx_reader_rejects_attributes_that_it_does_not_know),
    cmocka_unit_test(onnx_reader_rejects_attributes_of_the_wrong_type),
    cmocka_unit_test(onnx_reader_rejects_more_layers_than_a_graph_holds),
    cmocka_unit_test(onnx_reader_rejects_convolutions_of_other_kinds),
    cmocka_unit_test(onnx_reader_rejects_convolutions_that_do_not_fit),
    cmocka_unit_test(onnx_reader_takes_the_kernel_from_the_weight),
    cmocka_unit_test(onnx_reader_ignores_pads_when_auto_pad_is_valid),
    cmocka_unit_test(onnx_reader_rejects_poolings_of_other_kinds),
    cmocka_unit_test(onnx_reader_rejects_products_of_other_kinds),
    cmocka_unit_test(onnx_reader_rejects_products_that_do_not_fit),
    cmocka_unit_test(onnx_reader_reads_weights_either_way_round),
    cmocka_unit_test(onnx_reader_transposes_a_constant_weight),
    cmocka_unit_test(onnx_reader_rejects_sums_of_two_values),
    cmocka_unit_test(onnx_reader_rejects_constants_that_are_not_per_channel),
    cmocka_unit_test(onnx_reader_rejects_a_division_by_zero),
    cmocka_unit_test(onnx_reader_limits_what_one_scalar_becomes),
    cmocka_unit_test(onnx_reader_turns_exact_sums_and_products_around),
    cmocka_unit_test(onnx_reader_rejects_products_that_are_not_exact_divisions),
    cmocka_unit_test(onnx_reader_makes_an_added_constant_the_bias),
    cmocka_unit_test(onnx_reader_rejects_a_second_reader_beside_the_bias),
    cmocka_unit_test(onnx_reader_flattens_only_at_axis_1),
    cmocka_unit_test(onnx_reader_takes_reshapes_that_flatten),
    cmocka_unit_test(onnx_reader_rejects_other_reshapes),
    cmocka_unit_test(onnx_reader_lets_transposes_cancel),
    cmocka_unit_test(onnx_reader_rejects_transposes_that_do_not_cancel),
    cmocka_unit_test(onnx_reader_keeps_columns_behind_a_transposed_picture),
    cmocka_unit_test(onnx_reader_looks_through_identities),
    cmocka_unit_test(onnx_reader_skips_dropout),
    cmocka_unit_test(onnx_reader_asks_dropout_whether_it_trains),
    cmocka_unit_test(onnx_reader_rejects_dropout_in_training),
    cmocka_unit_test(onnx_reader_follows_a_view_of_a_transposed_picture),
    cmocka_unit_test(onnx_reader_rejects_other_transposes_of_constants),
    cmocka_unit_test(onnx_reader_rejects_constants_of_other_kinds),
    cmocka_unit_test(onnx_reader_reads_lists_in_constants),
    cmocka_unit_test(onnx_reader_rejects_shapes_that_it_cannot_follow),
    cmocka_unit_test(onnx_reader_tells_the_batch_from_other_sizes),
    cmocka_unit_test(onnx_reader_names_layers_after_their_weights),
    cmocka_unit_test(onnx_reader_gives_names_where_there_are_none))
