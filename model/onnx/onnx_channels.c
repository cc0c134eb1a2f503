/* Concat, Slice and Split of channels.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "model/onnx/onnx_import.h"

/*
 * Channels of a flattened picture lie in another order in memory: a range of
 * the file's is not one of ours.
 */
static fl_err check_channels(const fl_onnx_import *import,
                             const fl_onnx_value *x, int64_t wanted_axis)
{
    uint32_t axis;
    FL_TRY(
        fl_onnx_axis(import, &axis, wanted_axis, fl_onnx_is_flat(x) ? 2 : 4));
    if (axis != fl_onnx_channel_axis(x)) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "axis %" PRId64
                              " of \"%s\" is not that of the channels",
                              wanted_axis, x->name);
    }
    if (fl_onnx_is_in_order(x)) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "\"%s\" is a flattened picture; only its channels "
                          "before flattening can be joined or taken apart",
                          x->name);
}

/* ---- Concat ---- */

static bool fits_behind(const fl_onnx_import *import, const fl_onnx_value *a,
                        const fl_onnx_value *b)
{
    const fl_shape left = fl_onnx_shape_of(import, a);
    const fl_shape right = fl_onnx_shape_of(import, b);
    return left.height == right.height && left.width == right.width &&
           (a->axes == b->axes || (fl_onnx_is_flat(a) && fl_onnx_is_flat(b)));
}

static fl_err concat_blocks(fl_onnx_import *import)
{
    fl_node layer = {.op = FL_OP_CONCAT};
    const fl_onnx_value *first, *x;
    int64_t axis;
    if (import->node->n_input > FL_NODE_INPUTS_MAX) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "it joins %zu values, at most %d are supported",
                              import->node->n_input, (int)FL_NODE_INPUTS_MAX);
    }
    FL_TRY(fl_onnx_attribute_int(import, &axis, "axis", 1));
    FL_TRY(fl_onnx_input_block(import, 0, &first));
    uint64_t channels = 0;
    for (size_t i = 0; i < import->node->n_input; i++) {
        FL_TRY(fl_onnx_input_block(import, i, &x));
        FL_TRY(check_channels(import, x, axis));
        if (!fits_behind(import, first, x)) {
            return fl_onnx_refuse(import, FL_ERR_FORMAT,
                                  "\"%s\" and \"%s\" differ in height, width "
                                  "or dimensions",
                                  first->name, x->name);
        }
        channels += fl_onnx_shape_of(import, x).channels;
        layer.inputs[layer.input_count++] = x->node;
    }
    fl_onnx_value like = *first;
    if (fl_onnx_is_flat(first)) like = fl_onnx_row((uint32_t)channels);
    return fl_onnx_layer_add(import, layer, &like, NULL, NULL);
}

fl_err fl_onnx_concat(fl_onnx_import *import)
{
    if (fl_onnx_input_kind(import, 0) == FL_ONNX_BLOCK) {
        return concat_blocks(import);
    }
    return fl_onnx_concat_sizes(import);
}

/* ---- Slice and Split ---- */

static fl_err append_slice(fl_onnx_import *import, fl_onnx_value *made,
                           const fl_onnx_value *x, uint32_t first,
                           uint32_t count)
{
    fl_node layer = fl_onnx_layer_reading(FL_OP_SLICE, x);
    layer.first = first;
    layer.out_count = count;
    fl_onnx_value like = *x;
    if (fl_onnx_is_flat(x)) like = fl_onnx_row(count);
    return fl_onnx_layer_append(import, made, layer, &like, NULL, NULL);
}

// As in Python: counted from the end when negative, then cut at both ends.
static uint32_t clamp(int64_t at, uint32_t count)
{
    if (at < 0) at += count;
    if (at < 0) return 0;
    return at > count ? count : (uint32_t)at;
}

static fl_err slice_block(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    fl_onnx_sizes starts, ends, axes = {.count = 1}, steps = {.at = {1}};
    fl_onnx_value made;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(fl_onnx_input_sizes(import, 1, &starts));
    FL_TRY(fl_onnx_input_sizes(import, 2, &ends));
    if (fl_onnx_has_input(import, 3)) {
        FL_TRY(fl_onnx_input_sizes(import, 3, &axes));
    }
    if (fl_onnx_has_input(import, 4)) {
        FL_TRY(fl_onnx_input_sizes(import, 4, &steps));
    }
    if (starts.count != 1 || ends.count != 1 || axes.count != 1 ||
        steps.at[0] != 1) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "only a range of channels, in steps of 1, is "
                              "supported");
    }
    FL_TRY(check_channels(import, x, axes.at[0]));
    const uint32_t channels = fl_onnx_shape_of(import, x).channels;
    const uint32_t first = clamp(starts.at[0], channels);
    const uint32_t end = clamp(ends.at[0], channels);
    if (first >= end) {
        return fl_onnx_refuse(import, FL_ERR_FORMAT,
                              "it leaves none of %u channels", channels);
    }
    FL_TRY(append_slice(import, &made, x, first, end - first));
    return fl_onnx_output(import, made);
}

fl_err fl_onnx_slice(fl_onnx_import *import)
{
    if (fl_onnx_input_kind(import, 0) == FL_ONNX_BLOCK) {
        return slice_block(import);
    }
    return fl_onnx_slice_sizes(import);
}

// How many channels each output gets: the list, or equal parts.
static fl_err read_parts(const fl_onnx_import *import, fl_onnx_sizes *parts,
                         uint32_t channels)
{
    const size_t outputs = import->node->n_output;
    FL_TRY(fl_onnx_sizes_either(import, parts, "split", 1));
    if (parts->count == 0 && outputs && outputs <= FL_ONNX_SIZES_MAX &&
        channels % outputs == 0) {
        parts->count = (uint32_t)outputs;
        for (size_t i = 0; i < outputs; i++) {
            parts->at[i] = (int64_t)(channels / outputs);
        }
    }
    uint64_t left = channels;
    bool fits = parts->count == outputs;
    for (uint32_t i = 0; fits && i < parts->count; i++) {
        fits = parts->at[i] > 0 && (uint64_t)parts->at[i] <= left;
        if (fits) left -= (uint64_t)parts->at[i];
    }
    if (fits && left == 0) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_FORMAT,
                          "its parts do not add up to %u channels in %zu "
                          "outputs, at most %d",
                          channels, outputs, (int)FL_ONNX_SIZES_MAX);
}

fl_err fl_onnx_split(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    int64_t axis;
    fl_onnx_sizes parts;
    uint32_t first = 0;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(fl_onnx_attribute_int(import, &axis, "axis", 0));
    FL_TRY(check_channels(import, x, axis));
    FL_TRY(read_parts(import, &parts, fl_onnx_shape_of(import, x).channels));
    for (uint32_t i = 0; i < parts.count; i++) {
        fl_onnx_value made;
        const uint32_t count = (uint32_t)parts.at[i];
        FL_TRY(append_slice(import, &made, x, first, count));
        FL_TRY(fl_onnx_value_add(import, import->node->output[i], made));
        first += count;
    }
    return FL_OK;
}
