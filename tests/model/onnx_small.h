/*
 * ONNX models of a few nodes, written down in a test:
 *
 *   x (N, 4, 6, 6) -> what the test adds, which makes "body" -> Conv 1x1,
 *   GlobalAveragePool, Flatten -> y (N, 2)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_MODEL_ONNX_SMALL_H
#define FL_TESTS_MODEL_ONNX_SMALL_H

#include "tests/model/onnx_cases.h"

enum { SMALL_TAIL = 3, SMALL_CHANNELS = 4 };

// Adds a node behind the test's others; inputs are words, "-" is none.
static inline Onnx__NodeProto *small_node(Onnx__ModelProto *edited,
                                          const char *op_type,
                                          const char *inputs,
                                          const char *output)
{
    char words[256];
    snprintf(words, sizeof words, "%s", inputs);
    Onnx__NodeProto *node = NULL;
    char *rest = NULL;
    for (char *word = strtok_r(words, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        const char *name = strcmp(word, "-") == 0 ? "" : word;
        if (node) {
            fl_onnx_edit_add_input(node, name);
        } else {
            const int last = (int)edited->graph->n_node - 1;
            node = fl_onnx_edit_add_node(edited, last - SMALL_TAIL, op_type,
                                         name, output);
        }
    }
    return node;
}

// A list of float32; without numbers, 1, 2, 3, ...
static inline void small_floats(Onnx__ModelProto *edited, const char *name,
                                int64_t count, const float *numbers)
{
    float counted[64];
    for (size_t i = 0; i < 64; i++)
        counted[i] = (float)(i + 1);
    fl_onnx_edit_add_floats(edited, name, &count, 1,
                            numbers ? numbers : counted);
}

static inline void small_float(Onnx__ModelProto *edited, const char *name,
                               float number)
{
    fl_onnx_edit_add_floats(edited, name, NULL, 0, &number);
}

static inline void small_ints(Onnx__ModelProto *edited, const char *name,
                              int64_t count, const int64_t *numbers)
{
    fl_onnx_edit_add_int64s(edited, name, &count, 1, numbers);
}

// The conv net's file without its nodes and tensors, and the tail.
static inline Onnx__ModelProto *small_open(void)
{
    Onnx__ModelProto *edited = cnn();
    Onnx__GraphProto *graph = edited->graph;
    for (size_t i = 0; i < graph->n_node; i++)
        onnx__node_proto__free_unpacked(graph->node[i], NULL);
    for (size_t i = 0; i < graph->n_initializer; i++)
        onnx__tensor_proto__free_unpacked(graph->initializer[i], NULL);
    graph->n_node = graph->n_initializer = 0;
    Onnx__TensorShapeProto *shape = type_of(graph->input[0])->shape;
    shape->dim[1]->dim_value = SMALL_CHANNELS;
    shape->dim[2]->dim_value = shape->dim[3]->dim_value = 6;
    type_of(graph->output[0])->shape->dim[1]->dim_value = 2;
    fl_onnx_edit_set_text(&graph->output[0]->name, "y");

    const int64_t dims[] = {2, SMALL_CHANNELS, 1, 1};
    const float weight[] = {1, 2, 3, 4, 5, 6, 7, 8};
    fl_onnx_edit_add_floats(edited, "tail.weight", dims, 4, weight);
    fl_onnx_edit_add_input(
        fl_onnx_edit_add_node(edited, -1, "Conv", "body", "y1"), "tail.weight");
    fl_onnx_edit_add_node(edited, 0, "GlobalAveragePool", "y1", "y2");
    fl_onnx_edit_add_node(edited, 1, "Flatten", "y2", "y");
    return edited;
}

// The tail reads channels of which there are `count`.
static inline void small_tail(Onnx__ModelProto *edited, int64_t count)
{
    Onnx__TensorProto *weight = fl_onnx_edit_tensor(edited, "tail.weight");
    weight->dims[1] = count;
    weight->raw_data.len = (size_t)count * 2 * sizeof(float);
    uint8_t *data = calloc(1, weight->raw_data.len);
    assert_non_null(data);
    free(weight->raw_data.data);
    weight->raw_data.data = data;
}

/*
 * Decodes, checks that these operators are between input and tail, writes and
 * reads once more, and checks that the graph is the same. The caller frees it.
 */
static inline fl_model *small_makes(Onnx__ModelProto *edited,
                                    const fl_op_kind *ops, uint32_t count)
{
    fl_model *model = assert_accepted(edited), *again = NULL;
    fl_reason why = {""};
    const fl_graph *graph = &model->graph;
    assert_int_equal(graph->node_count, 1 + count + SMALL_TAIL);
    for (uint32_t i = 0; i < count; i++)
        assert_string_equal(fl_op_name(graph->nodes[1 + i].op),
                            fl_op_name(ops[i]));

    const size_t len = fl_model_bytes(model);
    uint8_t *bytes = malloc(len), *twice = malloc(len);
    assert_non_null(bytes);
    assert_non_null(twice);
    assert_ok(fl_model_encode(model, bytes, len));
    if (fl_model_decode(&again, bytes, len, &why)) fail_msg("%s", why.text);
    assert_int_equal(fl_model_bytes(again), len);
    assert_ok(fl_model_encode(again, twice, len));
    assert_memory_equal(bytes, twice, len);
    assert_memory_equal(model->params, again->params,
                        graph->param_count * sizeof(float));
    fl_model_free(again);
    free(bytes);
    free(twice);
    return model;
}

#define SMALL_MAKES(edited, ...)                            \
    small_makes(edited, (const fl_op_kind[]){__VA_ARGS__},  \
                sizeof((const fl_op_kind[]){__VA_ARGS__}) / \
                    sizeof(fl_op_kind))

#endif
