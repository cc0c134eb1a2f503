/*
 * Cases for fl_model_decode: a file that PyTorch wrote, one thing bent in it,
 * and what must come of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_MODEL_ONNX_CASES_H
#define FL_TESTS_MODEL_ONNX_CASES_H

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
static inline void assert_refused(Onnx__ModelProto *edited, fl_err expected,
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
static inline fl_model *assert_accepted(Onnx__ModelProto *edited)
{
    fl_model *model = NULL;
    fl_reason why = {""};
    if (fl_onnx_edit_decode(&model, edited, &why)) fail_msg("%s", why.text);
    fl_onnx_edit_free(edited);
    return model;
}

static inline fl_model *original(const char *path)
{
    return assert_accepted(fl_onnx_edit_open(path));
}

// The same parameters and constants as the file at `path` gives.
static inline void assert_same_numbers(fl_model *model, const char *path)
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

static inline Onnx__ModelProto *cnn(void)
{
    return fl_onnx_edit_open(CNN);
}

static inline Onnx__ModelProto *mlp(void)
{
    return fl_onnx_edit_open(MLP);
}

static inline Onnx__NodeProto *cnn_node(Onnx__ModelProto **edited,
                                        const char *op_type)
{
    *edited = cnn();
    return fl_onnx_edit_node(*edited, op_type);
}

static inline Onnx__TensorProto *cnn_tensor(Onnx__ModelProto **edited,
                                            const char *name)
{
    *edited = cnn();
    return fl_onnx_edit_tensor(*edited, name);
}

// Flatten becomes a Reshape to the given sizes.
static inline Onnx__ModelProto *reshaped(const char *path, const int64_t *sizes,
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

static inline Onnx__TypeProto__Tensor *type_of(Onnx__ValueInfoProto *info)
{
    return info->type->tensor_type;
}

#endif
