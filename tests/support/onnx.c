/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/onnx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_CAP = 1 << 20 };

static void *allocate(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory) abort();
    return memory;
}

static void *copy(const void *src, size_t len)
{
    void *dst = allocate(len);
    if (len) memcpy(dst, src, len);
    return dst;
}

static char *copy_text(const char *src)
{
    return copy(src, strlen(src) + 1);
}

uint8_t *fl_onnx_edit_read(size_t *len, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) abort();
    uint8_t *bytes = allocate(FILE_CAP);
    *len = fread(bytes, 1, FILE_CAP, file);
    fclose(file);
    return bytes;
}

Onnx__ModelProto *fl_onnx_edit_open(const char *path)
{
    size_t len;
    uint8_t *bytes = fl_onnx_edit_read(&len, path);
    Onnx__ModelProto *edited = onnx__model_proto__unpack(NULL, len, bytes);
    free(bytes);
    if (!edited) abort();
    return edited;
}

void fl_onnx_edit_free(Onnx__ModelProto *edited)
{
    onnx__model_proto__free_unpacked(edited, NULL);
}

fl_err fl_onnx_edit_decode(fl_model **model, const Onnx__ModelProto *edited,
                           fl_reason *why)
{
    uint8_t *bytes = allocate(onnx__model_proto__get_packed_size(edited));
    const size_t len = onnx__model_proto__pack(edited, bytes);
    const fl_err err = fl_model_decode(model, bytes, len, why);
    free(bytes);
    return err;
}

Onnx__NodeProto *fl_onnx_edit_node(const Onnx__ModelProto *edited,
                                   const char *op_type)
{
    for (size_t i = 0; i < edited->graph->n_node; i++) {
        if (strcmp(edited->graph->node[i]->op_type, op_type) == 0)
            return edited->graph->node[i];
    }
    abort();
}

Onnx__TensorProto *fl_onnx_edit_tensor(const Onnx__ModelProto *edited,
                                       const char *name)
{
    for (size_t i = 0; i < edited->graph->n_initializer; i++) {
        if (strcmp(edited->graph->initializer[i]->name, name) == 0)
            return edited->graph->initializer[i];
    }
    abort();
}

// Makes room for one more pointer at `at`.
static void *insert(void *list, size_t *count, size_t at, void *item)
{
    void **items = allocate((*count + 1) * sizeof *items);
    if (*count) {
        memcpy(items, list, at * sizeof *items);
        memcpy(items + at + 1, (void **)list + at,
               (*count - at) * sizeof *items);
    }
    items[at] = item;
    (*count)++;
    free(list);
    return items;
}

Onnx__AttributeProto *fl_onnx_edit_attribute(Onnx__NodeProto *node,
                                             const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++) {
        if (strcmp(node->attribute[i]->name, name) == 0)
            return node->attribute[i];
    }
    Onnx__AttributeProto *attribute = allocate(sizeof *attribute);
    onnx__attribute_proto__init(attribute);
    attribute->name = copy_text(name);
    attribute->has_type = true;
    node->attribute = insert(node->attribute, &node->n_attribute,
                             node->n_attribute, attribute);
    return attribute;
}

void fl_onnx_edit_set_int(Onnx__NodeProto *node, const char *name,
                          int64_t value)
{
    Onnx__AttributeProto *attribute = fl_onnx_edit_attribute(node, name);
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    attribute->has_i = true;
    attribute->i = value;
}

void fl_onnx_edit_set_ints(Onnx__NodeProto *node, const char *name,
                           const int64_t *values, size_t count)
{
    Onnx__AttributeProto *attribute = fl_onnx_edit_attribute(node, name);
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
    free(attribute->ints);
    attribute->n_ints = count;
    attribute->ints = copy(values, count * sizeof *values);
}

void fl_onnx_edit_set_float(Onnx__NodeProto *node, const char *name,
                            float value)
{
    Onnx__AttributeProto *attribute = fl_onnx_edit_attribute(node, name);
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
    attribute->has_f = true;
    attribute->f = value;
}

void fl_onnx_edit_set_string(Onnx__NodeProto *node, const char *name,
                             const char *value)
{
    Onnx__AttributeProto *attribute = fl_onnx_edit_attribute(node, name);
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
    free(attribute->s.data);
    attribute->has_s = true;
    attribute->s.len = strlen(value);
    attribute->s.data = copy(value, strlen(value));
}

void fl_onnx_edit_set_text(char **text, const char *value)
{
    if (*text && *text != protobuf_c_empty_string) free(*text);
    *text = copy_text(value);
}

void fl_onnx_edit_add_input(Onnx__NodeProto *node, const char *name)
{
    node->input =
        insert(node->input, &node->n_input, node->n_input, copy_text(name));
}

Onnx__NodeProto *fl_onnx_edit_add_node(Onnx__ModelProto *edited, int after,
                                       const char *op_type, const char *input,
                                       const char *output)
{
    Onnx__NodeProto *node = allocate(sizeof *node);
    onnx__node_proto__init(node);
    node->op_type = copy_text(op_type);
    fl_onnx_edit_add_input(node, input);
    node->output = insert(node->output, &node->n_output, 0, copy_text(output));
    Onnx__GraphProto *graph = edited->graph;
    graph->node =
        insert(graph->node, &graph->n_node, (size_t)(after + 1), node);
    return node;
}

static Onnx__TensorProto *add_tensor(Onnx__ModelProto *edited, const char *name,
                                     const int64_t *dims, size_t dim_count,
                                     const void *numbers, size_t width)
{
    Onnx__TensorProto *tensor = allocate(sizeof *tensor);
    onnx__tensor_proto__init(tensor);
    tensor->name = copy_text(name);
    tensor->n_dims = dim_count;
    tensor->dims = copy(dims, dim_count * sizeof *dims);
    size_t len = width;
    for (size_t i = 0; i < dim_count; i++)
        len *= (size_t)dims[i];
    tensor->has_raw_data = true;
    tensor->raw_data.len = len;
    tensor->raw_data.data = copy(numbers, len);
    tensor->has_data_type = true;
    Onnx__GraphProto *graph = edited->graph;
    graph->initializer = insert(graph->initializer, &graph->n_initializer,
                                graph->n_initializer, tensor);
    return tensor;
}

Onnx__TensorProto *fl_onnx_edit_add_floats(Onnx__ModelProto *edited,
                                           const char *name,
                                           const int64_t *dims,
                                           size_t dim_count,
                                           const float *numbers)
{
    Onnx__TensorProto *tensor =
        add_tensor(edited, name, dims, dim_count, numbers, sizeof *numbers);
    tensor->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    return tensor;
}

Onnx__TensorProto *fl_onnx_edit_add_int64s(Onnx__ModelProto *edited,
                                           const char *name,
                                           const int64_t *dims,
                                           size_t dim_count,
                                           const int64_t *numbers)
{
    Onnx__TensorProto *tensor =
        add_tensor(edited, name, dims, dim_count, numbers, sizeof *numbers);
    tensor->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    return tensor;
}
