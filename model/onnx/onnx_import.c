/* Attributes of the file's nodes, and layers of our graph.
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/onnx_import.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
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

fl_err fl_onnx_attribute_float(const fl_onnx_import *import, float *value,
                               const char *name, float fallback)
{
    const Onnx__AttributeProto *attribute;
    FL_TRY(fl_onnx_attribute(import, &attribute, name,
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT));
    *value = attribute ? attribute->f : fallback;
    if (isfinite(*value)) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_FORMAT, "attribute %s is %f", name,
                          (double)*value);
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

fl_err fl_onnx_sizes_either(const fl_onnx_import *import, fl_onnx_sizes *sizes,
                            const char *name, size_t i)
{
    const Onnx__AttributeProto *attribute;
    *sizes = (fl_onnx_sizes){0};
    FL_TRY(fl_onnx_attribute(import, &attribute, name,
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS));
    if (fl_onnx_has_input(import, i)) {
        return fl_onnx_input_sizes(import, i, sizes);
    }
    if (!attribute) return FL_OK;
    if (attribute->n_ints > FL_ONNX_SIZES_MAX) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "attribute %s has %zu numbers, at most %d are "
                              "supported",
                              name, attribute->n_ints, (int)FL_ONNX_SIZES_MAX);
    }
    sizes->count = (uint32_t)attribute->n_ints;
    for (size_t k = 0; k < attribute->n_ints; k++) {
        sizes->at[k] = attribute->ints[k];
    }
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
    float is;
    FL_TRY(fl_onnx_attribute_float(import, &is, float_name, 1.0F));
    if (is >= 1.0F && is <= 1.0F) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "attribute %s is %g, only 1 is supported", float_name,
                          (double)is);
}

fl_err fl_onnx_axis(const fl_onnx_import *import, uint32_t *axis,
                    int64_t wanted, uint32_t axis_count)
{
    if (wanted < -(int64_t)axis_count || wanted >= axis_count) {
        return fl_onnx_refuse(import, FL_ERR_FORMAT,
                              "there is no axis %" PRId64
                              " among %u dimensions",
                              wanted, axis_count);
    }
    *axis = (uint32_t)(wanted < 0 ? wanted + axis_count : wanted);
    return FL_OK;
}

/* ---- names of layers ---- */

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
    const char *weight = source ? source->weight->name : "";
    const size_t len = strlen(weight);
    if (len >= sizeof suffix &&
        strcmp(weight + len - (sizeof suffix - 1), suffix) == 0) {
        copy_name(dst, weight, len - (sizeof suffix - 1));
        return;
    }
    const char *name = text_or_empty(import->node->name);
    copy_name(dst, name, strlen(name));
}

// No number is tried twice, so a file full of such names costs no more than
// its length.
static void name_layer(fl_node *layer, fl_onnx_import *import,
                       const fl_onnx_source *source)
{
    copy_wanted_name(layer->name, import, source);
    if (import->next_number < import->graph->node_count) {
        import->next_number = import->graph->node_count;
    }
    while (!*layer->name || is_name_taken(import->graph, layer->name)) {
        const int len = snprintf(layer->name, sizeof layer->name, "%s_%u",
                                 fl_op_name(layer->op), import->next_number++);
        for (int i = 0; i < len; i++) {
            layer->name[i] = (char)tolower(layer->name[i]);
        }
    }
}

/* ---- layers ---- */

fl_err fl_onnx_take(fl_onnx_import *import, const fl_onnx_value *tensor)
{
    if (!tensor) return FL_OK;
    fl_onnx_value *owner = &import->values[tensor->owner];
    if (!owner->is_taken) {
        owner->is_taken = true;
        return FL_OK;
    }
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "it shares the parameters \"%s\" with another node, "
                          "or has them twice; training would pull them apart",
                          owner->name);
}

const fl_node *fl_onnx_maker(const fl_onnx_import *import,
                             const fl_onnx_value *x)
{
    return &import->graph->nodes[x->node];
}

fl_node fl_onnx_layer_reading(fl_op_kind op, const fl_onnx_value *x)
{
    return (fl_node){.op = op, .inputs = {x->node}, .input_count = 1};
}

fl_onnx_value fl_onnx_row(uint32_t count)
{
    return (fl_onnx_value){
        .kind = FL_ONNX_BLOCK, .axes = FL_ONNX_FLAT, .picture = {1, 1, count}};
}

fl_err fl_onnx_layer_append(fl_onnx_import *import, fl_onnx_value *made,
                            fl_node layer, const fl_onnx_value *like,
                            const fl_onnx_source *source,
                            const float *constants)
{
    const uint32_t number = import->graph->node_count;
    if (source) {
        FL_TRY(fl_onnx_take(import, source->weight));
        FL_TRY(fl_onnx_take(import, source->bias));
    }
    name_layer(&layer, import, source);
    FL_TRY(fl_graph_add(import->graph, &layer, source && source->bias,
                        constants, import->why));
    if (source) import->sources[number] = *source;
    *made = (fl_onnx_value){.kind = FL_ONNX_BLOCK,
                            .node = number,
                            .axes = like->axes,
                            .picture = like->picture};
    return FL_OK;
}

fl_err fl_onnx_layer_add(fl_onnx_import *import, fl_node layer,
                         const fl_onnx_value *like,
                         const fl_onnx_source *source, const float *constants)
{
    fl_onnx_value made;
    FL_TRY(fl_onnx_layer_append(import, &made, layer, like, source, constants));
    return fl_onnx_output(import, made);
}

fl_err fl_onnx_layer_on(fl_onnx_import *import, fl_node layer,
                        const fl_onnx_value *x, const fl_onnx_source *source,
                        const float *constants)
{
    layer.inputs[0] = x->node;
    layer.input_count = 1;
    return fl_onnx_layer_add(import, layer, x, source, constants);
}
