/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/onnx_import.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/onnx/onnx_tensor.h"

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

// Its name, or that of its first output: many exporters name only those.
static const char *node_name(const Onnx__NodeProto *node)
{
    if (node->name && *node->name) return node->name;
    return node->n_output ? node->output[0] : "";
}

fl_err fl_onnx_refuse(const fl_onnx_import *import, fl_err err,
                      const char *format, ...)
{
    char text[FL_REASON_CAP];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fl_reason_set(import->why, err, "node \"%.64s\" (%.64s): %s",
                         node_name(import->node),
                         text_or_empty(import->node->op_type), text);
}

/* ---- values ---- */

fl_onnx_value *fl_onnx_value_find(const fl_onnx_import *import,
                                  const char *name)
{
    for (size_t i = 0; i < import->value_count; i++) {
        if (strcmp(import->values[i].name, name) == 0) {
            return &import->values[i];
        }
    }
    return NULL;
}

fl_err fl_onnx_value_add(fl_onnx_import *import, const char *name,
                         fl_onnx_value value)
{
    if (!name || !*name) {
        return fl_reason_set(import->why, FL_ERR_FORMAT,
                             "an input, output or initializer has no name");
    }
    if (fl_onnx_value_find(import, name)) {
        return fl_reason_set(import->why, FL_ERR_FORMAT,
                             "the name \"%s\" is given to two tensors", name);
    }
    value.name = name;
    import->values[import->value_count++] = value;
    return FL_OK;
}

fl_err fl_onnx_output(fl_onnx_import *import, fl_onnx_value value)
{
    const Onnx__NodeProto *node = import->node;
    for (size_t i = 1; i < node->n_output; i++) {
        if (*node->output[i]) {
            return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                                  "its second output \"%s\" is not supported",
                                  node->output[i]);
        }
    }
    return fl_onnx_value_add(import, node->n_output ? node->output[0] : NULL,
                             value);
}

bool fl_onnx_has_input(const fl_onnx_import *import, size_t i)
{
    return i < import->node->n_input && *import->node->input[i];
}

static bool makes(const Onnx__NodeProto *node, const char *name)
{
    for (size_t i = 0; i < node->n_output; i++) {
        if (strcmp(node->output[i], name) == 0) return true;
    }
    return false;
}

static void explain_unknown(const fl_onnx_import *import, const char *name)
{
    for (size_t i = import->node_index; i < import->file->n_node; i++) {
        if (!makes(import->file->node[i], name)) continue;
        (void)fl_onnx_refuse(import, FL_ERR_FORMAT,
                             "it reads \"%s\" before node \"%.64s\" makes "
                             "it: a cycle, or nodes out of order",
                             name, node_name(import->file->node[i]));
        return;
    }
    (void)fl_onnx_refuse(import, FL_ERR_FORMAT,
                         "it reads \"%s\", which is nowhere in the file", name);
}

fl_err fl_onnx_input(const fl_onnx_import *import, size_t i,
                     const fl_onnx_value **value)
{
    if (!fl_onnx_has_input(import, i)) {
        (void)fl_onnx_refuse(import, FL_ERR_FORMAT, "it has no input %zu", i);
        return FL_ERR_FORMAT;
    }
    const char *name = import->node->input[i];
    *value = fl_onnx_value_find(import, name);
    if (!*value) {
        explain_unknown(import, name);
        return FL_ERR_FORMAT;
    }
    if ((*value)->kind == FL_ONNX_TAKEN) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "\"%s\" is also read by an Add: a value with "
                              "two readers is not supported",
                              name);
    }
    return FL_OK;
}

fl_err fl_onnx_input_block(const fl_onnx_import *import, size_t i,
                           const fl_onnx_value **value)
{
    FL_TRY(fl_onnx_input(import, i, value));
    if ((*value)->kind == FL_ONNX_BLOCK) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "input %zu, \"%s\", is a constant; only values that "
                          "depend on the model's input are supported there",
                          i, (*value)->name);
}

fl_err fl_onnx_input_tensor(const fl_onnx_import *import, size_t i,
                            const fl_onnx_value **value)
{
    FL_TRY(fl_onnx_input(import, i, value));
    if ((*value)->kind != FL_ONNX_TENSOR) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "input %zu, \"%s\", is computed; only a "
                              "constant of the file is supported there",
                              i, (*value)->name);
    }
    const Onnx__TensorProto *tensor = (*value)->tensor;
    if (tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "tensor \"%s\" is of %s, only float32 is supported",
                          (*value)->name, fl_onnx_type_name(tensor->data_type));
}

fl_err fl_onnx_input_sizes(const fl_onnx_import *import, size_t i,
                           fl_onnx_sizes *sizes)
{
    const fl_onnx_value *value;
    FL_TRY(fl_onnx_input(import, i, &value));
    if (value->kind == FL_ONNX_SIZES) {
        *sizes = value->sizes;
        return FL_OK;
    }
    const Onnx__TensorProto *tensor = value->tensor;
    if (value->kind != FL_ONNX_TENSOR || tensor->n_dims > 1 ||
        tensor->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__INT64 ||
        fl_onnx_tensor_count(tensor) > FL_ONNX_SIZES_MAX) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "input %zu, \"%s\", is not a short list of "
                              "int64 that is known beforehand",
                              i, value->name);
    }
    *sizes = (fl_onnx_sizes){.is_scalar = tensor->n_dims == 0};
    sizes->count = (uint32_t)fl_onnx_tensor_count(tensor);
    for (size_t k = 0; k < sizes->count; k++) {
        sizes->at[k] = fl_onnx_tensor_int(tensor, k);
        if (sizes->at[k] == FL_ONNX_BATCH) {
            return fl_onnx_refuse(import, FL_ERR_FORMAT,
                                  "\"%s\" holds %" PRId64, value->name,
                                  sizes->at[k]);
        }
    }
    return FL_OK;
}

/* ---- attributes ---- */

fl_err fl_onnx_attribute(const fl_onnx_import *import,
                         const Onnx__AttributeProto **attribute,
                         const char *name,
                         Onnx__AttributeProto__AttributeType type)
{
    *attribute = NULL;
    for (size_t i = 0; i < import->node->n_attribute; i++) {
        const Onnx__AttributeProto *at = import->node->attribute[i];
        if (strcmp(text_or_empty(at->name), name) != 0) continue;
        if (*attribute) {
            return fl_onnx_refuse(import, FL_ERR_FORMAT,
                                  "attribute %s is there twice", name);
        }
        if (at->type != type) {
            return fl_onnx_refuse(import, FL_ERR_FORMAT,
                                  "attribute %s is of the wrong type", name);
        }
        *attribute = at;
    }
    return FL_OK;
}

fl_err fl_onnx_attribute_int(const fl_onnx_import *import, int64_t *value,
                             const char *name, int64_t fallback)
{
    const Onnx__AttributeProto *attribute;
    FL_TRY(fl_onnx_attribute(import, &attribute, name,
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT));
    *value = attribute ? attribute->i : fallback;
    return FL_OK;
}

fl_err fl_onnx_attribute_ints(const fl_onnx_import *import, int64_t *values,
                              size_t count, const char *name)
{
    const Onnx__AttributeProto *attribute;
    FL_TRY(fl_onnx_attribute(import, &attribute, name,
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS));
    if (!attribute) return FL_OK;
    if (attribute->n_ints != count) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "attribute %s has %zu numbers, only %zu (two "
                              "dimensions) are supported",
                              name, attribute->n_ints, count);
    }
    memcpy(values, attribute->ints, count * sizeof *values);
    return FL_OK;
}

fl_err fl_onnx_attribute_must_be(const fl_onnx_import *import, const char *name,
                                 int64_t value)
{
    int64_t is;
    FL_TRY(fl_onnx_attribute_int(import, &is, name, value));
    if (is == value) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "attribute %s is %" PRId64 ", only %" PRId64
                          " is supported",
                          name, is, value);
}

fl_err fl_onnx_attribute_must_be_1(const fl_onnx_import *import,
                                   const char *float_name)
{
    const Onnx__AttributeProto *attribute;
    FL_TRY(fl_onnx_attribute(import, &attribute, float_name,
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT));
    if (!attribute || (attribute->f >= 1.0F && attribute->f <= 1.0F)) {
        return FL_OK;
    }
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "attribute %s is %g, only 1 is supported", float_name,
                          (double)attribute->f);
}

/* ---- layers ---- */

static bool is_name_taken(const fl_graph *graph, const char *name)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (strcmp(graph->nodes[i].name, name) == 0) return true;
    }
    return false;
}

// Plain letters only, so that names survive being written, read and printed.
static void copy_name(char *dst, const char *src, size_t src_len)
{
    size_t len = 0;
    for (; len < src_len && len + 1 < FL_NODE_NAME_CAP; len++) {
        const char letter = src[len];
        dst[len] = '_';
        if (letter > ' ' && letter < 0x7f) dst[len] = letter;
    }
    dst[len] = '\0';
}

static void copy_wanted_name(char *dst, const fl_onnx_import *import,
                             const fl_onnx_source *source)
{
    static const char suffix[] = ".weight";
    const char *weight = source ? source->weight->name : NULL;
    const size_t len = strlen(text_or_empty(weight));
    if (len >= sizeof suffix &&
        strcmp(weight + len - (sizeof suffix - 1), suffix) == 0) {
        copy_name(dst, weight, len - (sizeof suffix - 1));
        return;
    }
    const char *name = text_or_empty(import->node->name);
    copy_name(dst, name, strlen(name));
}

static void name_layer(fl_node *layer, const fl_onnx_import *import,
                       const fl_onnx_source *source)
{
    copy_wanted_name(layer->name, import, source);
    uint32_t number = import->graph->node_count;
    while (!*layer->name || is_name_taken(import->graph, layer->name)) {
        const int len = snprintf(layer->name, sizeof layer->name, "%s_%u",
                                 fl_op_name(layer->op), number++);
        for (int i = 0; i < len; i++) {
            layer->name[i] = (char)tolower(layer->name[i]);
        }
    }
}

static bool is_shared(const fl_onnx_import *import,
                      const Onnx__TensorProto *tensor)
{
    for (uint32_t i = 0; i < import->graph->node_count; i++) {
        const fl_onnx_source *source = &import->sources[i];
        if (source->weight == tensor || source->bias == tensor) return true;
    }
    return false;
}

fl_err fl_onnx_source_check(const fl_onnx_import *import,
                            const Onnx__TensorProto *tensor)
{
    if (!tensor || !is_shared(import, tensor)) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "it shares the parameters \"%s\" with another node; "
                          "training would pull them apart",
                          text_or_empty(tensor->name));
}

fl_err fl_onnx_layer_add(fl_onnx_import *import, fl_node layer,
                         const fl_onnx_value *x, fl_onnx_axes axes,
                         const fl_onnx_source *source, const float *constants)
{
    if (source) {
        FL_TRY(fl_onnx_source_check(import, source->weight));
        FL_TRY(fl_onnx_source_check(import, source->bias));
    }
    name_layer(&layer, import, source);
    layer.inputs[0] = x->node;
    layer.input_count = 1;
    const uint32_t number = import->graph->node_count;
    FL_TRY(fl_graph_add(import->graph, &layer, source && source->bias,
                        constants, import->why));
    if (source) import->sources[number] = *source;
    return fl_onnx_output(
        import,
        (fl_onnx_value){.kind = FL_ONNX_BLOCK, .node = number, .axes = axes});
}
