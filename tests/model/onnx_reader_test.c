/* What fl_model_decode makes of whole files: bytes, tensors, inputs, outputs,
 * nodes, names.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "tests/model/onnx_cases.h"

/* ---- bytes ---- */

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

// Many names, all alike but for their ends: found in a sorted table.
TEST(onnx_reader_finds_names_among_many)
{
    Onnx__ModelProto *edited = mlp();
    char name[64], last[64] = "x";
    for (int i = 0; i < 4000; i++) {
        snprintf(name, sizeof name, "a name that is like the others %d", i);
        fl_onnx_edit_add_node(edited, i - 1, "Identity", last, name);
        memcpy(last, name, sizeof last);
    }
    fl_onnx_edit_set_text(&fl_onnx_edit_node(edited, "Flatten")->input[0],
                          last);
    assert_same_numbers(assert_accepted(edited), MLP);
}

enum { DEEP = 40 };

// An attribute (5) with a graph (6) of a node (1) with an attribute ...
static size_t nest(uint8_t *bytes, size_t cap)
{
    const uint8_t tags[] = {5 << 3 | 2, 6 << 3 | 2, 1 << 3 | 2};
    size_t len = 0;
    for (int i = 0; i < DEEP; i++) {
        for (size_t k = 0; k < 3 && len + 2 < 0x80; k++) {
            memmove(bytes + 2, bytes, len);
            bytes[0] = tags[2 - k];
            bytes[1] = (uint8_t)len;
            len += 2;
            assert_true(len < cap);
        }
    }
    return len;
}

TEST(onnx_reader_does_not_follow_graphs_inside_attributes)
{
    uint8_t nested[256] = {0};
    const size_t nested_len = nest(nested, sizeof nested);
    Onnx__ModelProto *edited;
    Onnx__NodeProto *node = cnn_node(&edited, "Relu");
    Onnx__AttributeProto *body = fl_onnx_edit_attribute(node, "body");
    ProtobufCMessageUnknownField graph = {
        .tag = 6,
        .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
        .len = nested_len + 1,
        .data = nested,
    };
    memmove(nested + 1, nested, nested_len);
    nested[0] = (uint8_t)nested_len;
    body->base.n_unknown_fields = 1;
    body->base.unknown_fields = &graph;
    fl_model *model = NULL;
    fl_reason why = {""};
    assert_err(fl_onnx_edit_decode(&model, edited, &why), FL_ERR_UNSUPPORTED);
    assert_reason_names(why, "/Relu");
    assert_reason_names(why, "attribute body");
    body->base.n_unknown_fields = 0;
    body->base.unknown_fields = NULL;
    fl_onnx_edit_free(edited);
}

/* ---- header ---- */

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

/* ---- tensors ---- */

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
    const struct {
        int32_t data_type;
        const char *name;
        size_t width;  // bytes
    } others[] = {
        {ONNX__TENSOR_PROTO__DATA_TYPE__UINT8, "uint8", 1},
        {ONNX__TENSOR_PROTO__DATA_TYPE__INT8, "int8", 1},
        {ONNX__TENSOR_PROTO__DATA_TYPE__INT32, "int32", 4},
        {ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16, "float16", 2},
        {ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16, "bfloat16", 4},
    };
    for (size_t i = 0; i < 5; i++) {
        Onnx__TensorProto *weight = cnn_tensor(&edited, "fc1.weight");
        weight->data_type = others[i].data_type;
        weight->raw_data.len = weight->raw_data.len / 4 * others[i].width;
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

/* ---- inputs and outputs ---- */

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

/* ---- nodes ---- */

TEST(onnx_reader_names_the_node_that_it_does_not_know)
{
    Onnx__ModelProto *edited;
    Onnx__NodeProto *node = cnn_node(&edited, "MaxPool");
    fl_onnx_edit_set_text(&node->op_type, "LpPool");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "/MaxPool", "(LpPool)");
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

static Onnx__ModelProto *cnn_with_indices(bool is_read)
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
    if (!is_read) return edited;
    fl_onnx_edit_set_text(&edited->graph->output[0]->name, "indices");
    return edited;
}

TEST(onnx_reader_rejects_a_second_output)
{
    assert_refused(cnn_with_indices(true), FL_ERR_UNSUPPORTED, "/MaxPool",
                   "indices");
}

TEST(onnx_reader_skips_an_output_that_nothing_reads)
{
    assert_same_numbers(assert_accepted(cnn_with_indices(false)), CNN);
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

/* ---- names ---- */

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
    cmocka_unit_test(onnx_reader_finds_names_among_many),
    cmocka_unit_test(onnx_reader_does_not_follow_graphs_inside_attributes),
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
    cmocka_unit_test(onnx_reader_skips_an_output_that_nothing_reads),
    cmocka_unit_test(onnx_reader_rejects_attributes_that_it_does_not_know),
    cmocka_unit_test(onnx_reader_rejects_attributes_of_the_wrong_type),
    cmocka_unit_test(onnx_reader_rejects_more_layers_than_a_graph_holds),
    cmocka_unit_test(onnx_reader_names_layers_after_their_weights),
    cmocka_unit_test(onnx_reader_gives_names_where_there_are_none))
