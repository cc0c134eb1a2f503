/* What the names of a file stand for: a table sorted once, so that no choice
 * of names makes looking them up slow.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/onnx/onnx_import.h"
#include "model/onnx/onnx_tensor.h"

/* ---- the table ---- */

static int compare_names(const void *a, const void *b)
{
    const fl_onnx_value *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static size_t count_names(const Onnx__GraphProto *file)
{
    size_t count = file->n_initializer + file->n_input;
    for (size_t i = 0; i < file->n_node; i++) {
        count += file->node[i]->n_output;
    }
    return count;
}

static void append_name(fl_onnx_import *import, const char *name)
{
    if (!name || !*name) return;
    import->values[import->value_count++].name = name;
}

static void append_names(fl_onnx_import *import)
{
    const Onnx__GraphProto *file = import->file;
    for (size_t i = 0; i < file->n_initializer; i++) {
        append_name(import, file->initializer[i]->name);
    }
    for (size_t i = 0; i < file->n_input; i++) {
        append_name(import, file->input[i]->name);
    }
    for (size_t i = 0; i < file->n_node; i++) {
        for (size_t k = 0; k < file->node[i]->n_output; k++) {
            append_name(import, file->node[i]->output[k]);
        }
    }
}

// Names that are there twice get one entry: whoever adds the second value
// finds the first.
static void drop_doubles(fl_onnx_import *import)
{
    size_t kept = 0;
    for (size_t i = 0; i < import->value_count; i++) {
        if (kept && strcmp(import->values[kept - 1].name,
                           import->values[i].name) == 0) {
            continue;
        }
        import->values[kept++] = import->values[i];
    }
    import->value_count = kept;
}

static fl_onnx_value *find_entry(const fl_onnx_import *import, const char *name)
{
    const fl_onnx_value key = {.name = name};
    if (import->value_count == 0) return NULL;
    return bsearch(&key, import->values, import->value_count, sizeof key,
                   compare_names);
}

static void count_readers(fl_onnx_import *import)
{
    for (size_t i = 0; i < import->file->n_node; i++) {
        const Onnx__NodeProto *node = import->file->node[i];
        for (size_t k = 0; k < node->n_input; k++) {
            fl_onnx_value *value = find_entry(import, node->input[k]);
            if (value) value->reader_count++;
        }
    }
    for (size_t i = 0; i < import->file->n_output; i++) {
        const char *name = import->file->output[i]->name;
        fl_onnx_value *value = name ? find_entry(import, name) : NULL;
        if (value) value->reader_count++;
    }
}

fl_err fl_onnx_values_init(fl_onnx_import *import)
{
    // One too many, so that no file asks for none.
    const size_t cap = count_names(import->file) + 1;
    import->values = calloc(cap, sizeof *import->values);
    if (!import->values) return FL_ERR_MEMORY;
    append_names(import);
    qsort(import->values, import->value_count, sizeof *import->values,
          compare_names);
    drop_doubles(import);
    count_readers(import);
    return FL_OK;
}

fl_onnx_value *fl_onnx_value_find(const fl_onnx_import *import,
                                  const char *name)
{
    fl_onnx_value *value = find_entry(import, name);
    return value && value->kind != FL_ONNX_UNKNOWN ? value : NULL;
}

fl_onnx_value fl_onnx_tensor_value(const Onnx__TensorProto *tensor)
{
    return (fl_onnx_value){
        .kind = FL_ONNX_TENSOR,
        .tensor = tensor,
        .is_float = tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
    };
}

fl_err fl_onnx_value_add(fl_onnx_import *import, const char *name,
                         fl_onnx_value value)
{
    if (!name || !*name) {
        return fl_reason_set(import->why, FL_ERR_FORMAT,
                             "an input, output or initializer has no name");
    }
    fl_onnx_value *entry = find_entry(import, name);
    if (entry->kind != FL_ONNX_UNKNOWN) {
        return fl_reason_set(import->why, FL_ERR_FORMAT,
                             "the name \"%s\" is given to two tensors", name);
    }
    value.name = entry->name;
    value.reader_count = entry->reader_count;
    value.is_shared |= entry->reader_count > 1;
    value.is_taken = false;
    if (!value.is_view) value.owner = (uint32_t)(entry - import->values);
    *entry = value;
    return FL_OK;
}

fl_err fl_onnx_output(fl_onnx_import *import, fl_onnx_value value)
{
    const Onnx__NodeProto *node = import->node;
    for (size_t i = 1; i < node->n_output; i++) {
        const fl_onnx_value *other = find_entry(import, node->output[i]);
        if (other && other->reader_count) {
            return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                                  "its second output \"%s\" is not supported",
                                  node->output[i]);
        }
    }
    return fl_onnx_value_add(import, node->n_output ? node->output[0] : NULL,
                             value);
}

/* ---- inputs of the node at hand ---- */

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
        const Onnx__NodeProto *maker = import->file->node[i];
        if (!makes(maker, name)) continue;
        (void)fl_onnx_refuse(import, FL_ERR_FORMAT,
                             "it reads \"%s\" before node \"%.64s\" makes "
                             "it: a cycle, or nodes out of order",
                             name,
                             maker->name && *maker->name ? maker->name : name);
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
    if (*value) return FL_OK;
    explain_unknown(import, name);
    return FL_ERR_FORMAT;
}

fl_onnx_kind fl_onnx_input_kind(const fl_onnx_import *import, size_t i)
{
    if (!fl_onnx_has_input(import, i)) return FL_ONNX_UNKNOWN;
    const fl_onnx_value *value =
        fl_onnx_value_find(import, import->node->input[i]);
    return value ? value->kind : FL_ONNX_UNKNOWN;
}

static const char *kind_text(fl_onnx_kind kind)
{
    static const char *const texts[] = {
#define FL_ONNX_KIND_TEXT(name, text) [name] = (text),
        FL_ONNX_KIND_LIST(FL_ONNX_KIND_TEXT)
#undef FL_ONNX_KIND_TEXT
    };
    return texts[kind];
}

fl_err fl_onnx_input_block(const fl_onnx_import *import, size_t i,
                           const fl_onnx_value **value)
{
    FL_TRY(fl_onnx_input(import, i, value));
    if ((*value)->kind == FL_ONNX_BLOCK) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "input %zu, \"%s\", is %s; only values that depend "
                          "on the model's input are supported there",
                          i, (*value)->name, kind_text((*value)->kind));
}

fl_err fl_onnx_input_tensor(const fl_onnx_import *import, size_t i,
                            const fl_onnx_value **value)
{
    FL_TRY(fl_onnx_input(import, i, value));
    if ((*value)->kind != FL_ONNX_TENSOR) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "input %zu, \"%s\", is %s; only a constant of "
                              "the file is supported there",
                              i, (*value)->name, kind_text((*value)->kind));
    }
    if ((*value)->is_float) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "tensor \"%s\" is of %s, only float32 is supported",
                          (*value)->name,
                          fl_onnx_type_name((*value)->tensor->data_type));
}

fl_err fl_onnx_input_param(const fl_onnx_import *import, size_t i,
                           const fl_onnx_value **value)
{
    FL_TRY(fl_onnx_input(import, i, value));
    if ((*value)->kind == FL_ONNX_TENSOR && (*value)->scales) return FL_OK;
    return fl_onnx_input_tensor(import, i, value);
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

fl_err fl_onnx_input_float(const fl_onnx_import *import, size_t i,
                           float *number, float fallback)
{
    *number = fallback;
    if (!fl_onnx_has_input(import, i)) return FL_OK;
    const fl_onnx_value *value;
    FL_TRY(fl_onnx_input_tensor(import, i, &value));
    if (fl_onnx_tensor_count(value->tensor) != 1) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "\"%s\" holds more than one number", value->name);
    }
    *number = fl_onnx_tensor_float(value->tensor, 0);
    return FL_OK;
}

bool fl_onnx_is_constant(const fl_onnx_value *value, float number)
{
    if (value->kind != FL_ONNX_TENSOR || !value->is_float) return false;
    const size_t count = fl_onnx_tensor_count(value->tensor);
    for (size_t i = 0; i < count; i++) {
        const float at = fl_onnx_tensor_float(value->tensor, i);
        if (!(at >= number && at <= number)) return false;
    }
    return true;
}

/* ---- shapes of blocks ---- */

fl_shape fl_onnx_shape_of(const fl_onnx_import *import, const fl_onnx_value *x)
{
    return import->graph->nodes[x->node].shape;
}

bool fl_onnx_is_flat(const fl_onnx_value *x)
{
    return x->axes == FL_ONNX_FLAT || x->axes == FL_ONNX_FLAT_HWC;
}

uint32_t fl_onnx_channel_axis(const fl_onnx_value *x)
{
    return x->axes == FL_ONNX_NHWC ? 3 : 1;
}

fl_onnx_sizes fl_onnx_dims(const fl_onnx_import *import, const fl_onnx_value *x)
{
    const fl_shape s = fl_onnx_shape_of(import, x);
    if (fl_onnx_is_flat(x)) {
        return (fl_onnx_sizes){.at = {FL_ONNX_BATCH, s.channels}, .count = 2};
    }
    if (x->axes == FL_ONNX_NHWC) {
        return (fl_onnx_sizes){
            .at = {FL_ONNX_BATCH, s.height, s.width, s.channels}, .count = 4};
    }
    return (fl_onnx_sizes){.at = {FL_ONNX_BATCH, s.channels, s.height, s.width},
                           .count = 4};
}

bool fl_onnx_is_in_order(const fl_onnx_value *x)
{
    return x->axes != FL_ONNX_FLAT ||
           (x->picture.height == 1 && x->picture.width == 1);
}

fl_err fl_onnx_check_picture(const fl_onnx_import *import,
                             const fl_onnx_value *x)
{
    if (x->axes == FL_ONNX_NCHW) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "its input \"%s\" is not (N, C, H, W)", x->name);
}

fl_onnx_layout fl_onnx_channel_layout(const fl_onnx_import *import,
                                      const fl_onnx_value *x)
{
    if (x->axes != FL_ONNX_FLAT) {
        return fl_onnx_layout_row(fl_onnx_shape_of(import, x).channels);
    }
    return fl_onnx_layout_ocp(1, (size_t)x->picture.height * x->picture.width,
                              x->picture.channels);
}

static bool has_channels_only(const Onnx__TensorProto *tensor,
                              const fl_onnx_value *x, uint32_t channels)
{
    const size_t axis_count = fl_onnx_is_flat(x) ? 2 : 4;
    for (size_t i = 0; i < tensor->n_dims; i++) {
        const size_t axis = axis_count - tensor->n_dims + i;
        const bool is_channels = axis == fl_onnx_channel_axis(x);
        if (tensor->dims[i] != (is_channels ? channels : 1)) return false;
    }
    return fl_onnx_tensor_count(tensor) == channels;
}

bool fl_onnx_is_per_channel(const fl_onnx_import *import,
                            fl_onnx_layout *layout, const fl_onnx_value *x,
                            const fl_onnx_value *constant)
{
    const Onnx__TensorProto *tensor = constant->tensor;
    const uint32_t channels = fl_onnx_shape_of(import, x).channels;
    if (tensor->n_dims > (fl_onnx_is_flat(x) ? 2 : 4)) return false;
    *layout = fl_onnx_layout_repeat(channels);
    if (fl_onnx_tensor_count(tensor) == 1) return true;
    *layout = fl_onnx_channel_layout(import, x);
    if (constant->is_widened && x->axes == FL_ONNX_NCHW) {
        return tensor->dims[0] == channels;
    }
    return !constant->is_widened && !constant->is_transposed &&
           has_channels_only(tensor, x, channels);
}
