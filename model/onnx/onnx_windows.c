/* Operators that slide a window: Conv and the pools, and Pad before them.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "model/onnx/onnx_import.h"

// Far above every real window, far below where 32 bits overflow.
enum { WINDOW_MAX = 1 << 16 };

/* ---- attributes ---- */

static fl_err read_auto_pad(const fl_onnx_import *import, bool *is_valid)
{
    const Onnx__AttributeProto *attribute;
    FL_TRY(fl_onnx_attribute(import, &attribute, "auto_pad",
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING));
    *is_valid = false;
    if (!attribute) return FL_OK;
    const char *text = (const char *)attribute->s.data;
    const int len = (int)attribute->s.len;
    if (len == 6 && memcmp(text, "NOTSET", 6) == 0) return FL_OK;
    *is_valid = len == 5 && memcmp(text, "VALID", 5) == 0;
    if (*is_valid) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "attribute auto_pad is %.*s, only NOTSET and VALID "
                          "are supported: export it with explicit pads",
                          len < 32 ? len : 32, len ? text : "");
}

static fl_err check_size(const fl_onnx_import *import, const char *name,
                         int64_t value, int64_t min)
{
    if (value >= min && value <= WINDOW_MAX) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_FORMAT,
                          "attribute %s holds %" PRId64 ", it needs %" PRId64
                          " to %d",
                          name, value, min, (int)WINDOW_MAX);
}

static fl_err read_pads(const fl_onnx_import *import, fl_window *window)
{
    int64_t pads[4] = {0};
    bool is_valid;
    FL_TRY(fl_onnx_attribute_ints(import, pads, 4, "pads"));
    FL_TRY(read_auto_pad(import, &is_valid));
    for (size_t i = 0; i < 4; i++) {
        if (is_valid) pads[i] = 0;
        FL_TRY(check_size(import, "pads", pads[i], 0));
    }
    window->pad_top = (uint32_t)pads[0];
    window->pad_left = (uint32_t)pads[1];
    window->pad_bottom = (uint32_t)pads[2];
    window->pad_right = (uint32_t)pads[3];
    return FL_OK;
}

// *kernel: what the weight says, or zeros.
static fl_err read_window(const fl_onnx_import *import, fl_node *layer,
                          int64_t kernel[2])
{
    int64_t strides[2] = {1, 1}, dilations[2] = {1, 1};
    FL_TRY(fl_onnx_attribute_ints(import, kernel, 2, "kernel_shape"));
    FL_TRY(fl_onnx_attribute_ints(import, strides, 2, "strides"));
    FL_TRY(fl_onnx_attribute_ints(import, dilations, 2, "dilations"));
    for (size_t i = 0; i < 2; i++) {
        FL_TRY(check_size(import, "kernel_shape", kernel[i], 1));
        FL_TRY(check_size(import, "strides", strides[i], 1));
        FL_TRY(check_size(import, "dilations", dilations[i], 1));
    }
    layer->window = (fl_window){
        .kernel_h = (uint32_t)kernel[0],
        .kernel_w = (uint32_t)kernel[1],
        .stride_h = (uint32_t)strides[0],
        .stride_w = (uint32_t)strides[1],
    };
    layer->dilation_h = (uint32_t)dilations[0];
    layer->dilation_w = (uint32_t)dilations[1];
    return read_pads(import, &layer->window);
}

/* ---- Pad ---- */

static fl_err check_pad(const fl_onnx_import *import, const fl_onnx_sizes *pads)
{
    const Onnx__AttributeProto *mode;
    float value;
    FL_TRY(fl_onnx_attribute(import, &mode, "mode",
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING));
    FL_TRY(fl_onnx_input_float(import, 2, &value, 0.0F));
    const bool is_constant =
        !mode || (mode->s.len == 8 && memcmp(mode->s.data, "constant", 8) == 0);
    const bool is_zero = value >= 0.0F && value <= 0.0F;
    bool is_around = pads->count == 8;  // starts of N, C, H, W, then ends
    for (uint32_t i = 0; i < pads->count; i++) {
        const bool is_picture = i % 4 >= 2;
        const int64_t max = is_picture ? WINDOW_MAX : 0;
        is_around &= pads->at[i] >= 0 && pads->at[i] <= max;
    }
    if (is_constant && is_zero && is_around) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "only zeros around the picture are supported, and "
                          "only in front of a Conv or AveragePool");
}

// Becomes part of the Conv or AveragePool behind it.
fl_err fl_onnx_pad(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    fl_onnx_sizes pads;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(fl_onnx_check_picture(import, x));
    FL_TRY(fl_onnx_input_sizes(import, 1, &pads));
    FL_TRY(check_pad(import, &pads));
    fl_onnx_value padded = *x;
    const uint32_t places[4] = {2, 3, 6, 7};
    bool is_nothing = true;
    for (size_t i = 0; i < 4; i++) {
        padded.pads[i] = (uint32_t)pads.at[places[i]];
        is_nothing &= padded.pads[i] == 0;
    }
    padded.kind = is_nothing ? FL_ONNX_BLOCK : FL_ONNX_PADDED;
    return fl_onnx_output(import, padded);
}

// A block, or one with zeros around it.
static fl_err read_padded_input(const fl_onnx_import *import,
                                const fl_onnx_value **x)
{
    if (fl_onnx_input_kind(import, 0) == FL_ONNX_PADDED) {
        return fl_onnx_input(import, 0, x);
    }
    FL_TRY(fl_onnx_input_block(import, 0, x));
    return fl_onnx_check_picture(import, *x);
}

static void add_pads(fl_window *window, const fl_onnx_value *x)
{
    window->pad_top += x->pads[0];
    window->pad_left += x->pads[1];
    window->pad_bottom += x->pads[2];
    window->pad_right += x->pads[3];
}

/* ---- Conv ---- */

static fl_err check_conv_weight(const fl_onnx_import *import,
                                const fl_onnx_value *weight,
                                const fl_node *layer, uint32_t channels)
{
    const int64_t *dims = weight->tensor->dims;
    const uint32_t groups = layer->group_count;
    if (channels % groups || dims[0] % groups) {
        return fl_onnx_refuse(import, FL_ERR_FORMAT,
                              "attribute group is %u, which does not divide "
                              "%u input and %" PRId64 " output channels",
                              groups, channels, dims[0]);
    }
    if (dims[1] != channels / groups) {
        return fl_onnx_refuse(import, FL_ERR_FORMAT,
                              "weight \"%s\" is for %" PRId64
                              " channels, a group of the input (attribute "
                              "group is %u) has %u",
                              weight->name, dims[1], groups, channels / groups);
    }
    if (dims[2] == layer->window.kernel_h &&
        dims[3] == layer->window.kernel_w) {
        return FL_OK;
    }
    return fl_onnx_refuse(import, FL_ERR_FORMAT,
                          "attribute kernel_shape is %u, %u, weight \"%s\" "
                          "says %" PRId64 ", %" PRId64,
                          layer->window.kernel_h, layer->window.kernel_w,
                          weight->name, dims[2], dims[3]);
}

static fl_err read_conv_bias(const fl_onnx_import *import,
                             fl_onnx_source *source)
{
    if (!fl_onnx_has_input(import, 2)) return FL_OK;
    FL_TRY(fl_onnx_input_param(import, 2, &source->bias));
    const Onnx__TensorProto *bias = source->bias->tensor;
    const int64_t outputs = source->weight->tensor->dims[0];
    if (bias->n_dims == 1 && bias->dims[0] == outputs) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_FORMAT,
                          "bias \"%s\" does not hold %" PRId64
                          " numbers, one an output channel",
                          source->bias->name, outputs);
}

static fl_err read_group(const fl_onnx_import *import, fl_node *layer)
{
    int64_t group;
    FL_TRY(fl_onnx_attribute_int(import, &group, "group", 1));
    if (group < 1 || group > FL_GRAPH_VALUES_MAX) {
        return fl_onnx_refuse(import, FL_ERR_FORMAT,
                              "attribute group is %" PRId64, group);
    }
    layer->group_count = (uint32_t)group;
    return FL_OK;
}

fl_err fl_onnx_conv(fl_onnx_import *import)
{
    const fl_onnx_value *x, *weight;
    FL_TRY(read_padded_input(import, &x));
    FL_TRY(fl_onnx_input_param(import, 1, &weight));
    if (weight->tensor->n_dims != 4) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "weight \"%s\" has %zu dimensions, only "
                              "two-dimensional convolutions are supported",
                              weight->name, weight->tensor->n_dims);
    }
    const int64_t *dims = weight->tensor->dims;
    fl_node layer = {.op = FL_OP_CONV, .out_count = (uint32_t)dims[0]};
    FL_TRY(read_group(import, &layer));
    FL_TRY(read_window(import, &layer, (int64_t[]){dims[2], dims[3]}));
    FL_TRY(check_conv_weight(import, weight, &layer,
                             fl_onnx_shape_of(import, x).channels));
    add_pads(&layer.window, x);
    fl_onnx_source source = {
        .weight = weight,
        .layout = fl_onnx_layout_ocp((size_t)dims[0],
                                     (size_t)dims[2] * (size_t)dims[3],
                                     (size_t)dims[1]),
        .row = fl_onnx_layout_row((size_t)dims[0]),
    };
    FL_TRY(read_conv_bias(import, &source));
    return fl_onnx_layer_on(import, layer, x, &source, NULL);
}

/* ---- pools ---- */

// True: counting windows upward gives one more than counting downward.
static bool ceil_differs(uint32_t size, uint32_t before, uint32_t after,
                         uint32_t kernel, uint32_t stride)
{
    const uint64_t padded = (uint64_t)size + before + after;
    return padded >= kernel && (padded - kernel) % stride != 0;
}

static fl_err check_ceil_mode(const fl_onnx_import *import,
                              const fl_window *window, const fl_onnx_value *x)
{
    int64_t ceil_mode;
    const fl_shape s = fl_onnx_shape_of(import, x);
    FL_TRY(fl_onnx_attribute_int(import, &ceil_mode, "ceil_mode", 0));
    if (ceil_mode == 0 ||
        (!ceil_differs(s.height, window->pad_top, window->pad_bottom,
                       window->kernel_h, window->stride_h) &&
         !ceil_differs(s.width, window->pad_left, window->pad_right,
                       window->kernel_w, window->stride_w))) {
        return FL_OK;
    }
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "attribute ceil_mode is %" PRId64
                          ", and windows reach over the edge of %ux%u: only 0 "
                          "is supported there",
                          ceil_mode, s.height, s.width);
}

static fl_err read_pool(const fl_onnx_import *import, fl_node *layer,
                        const fl_onnx_value *x)
{
    FL_TRY(fl_onnx_check_picture(import, x));
    FL_TRY(read_window(import, layer, (int64_t[]){0, 0}));
    if (layer->dilation_h != 1 || layer->dilation_w != 1) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "attribute dilations is not 1, 1");
    }
    return FL_OK;
}

fl_err fl_onnx_maxpool(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    fl_node layer = {.op = FL_OP_MAXPOOL};
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(fl_onnx_attribute_must_be(import, "storage_order", 0));
    FL_TRY(read_pool(import, &layer, x));
    FL_TRY(check_ceil_mode(import, &layer.window, x));
    return fl_onnx_layer_on(import, layer, x, NULL, NULL);
}

static bool has_pads(const fl_window *w)
{
    return w->pad_top || w->pad_left || w->pad_bottom || w->pad_right;
}

// PyTorch writes a Pad in front where padding counts as zeros.
fl_err fl_onnx_averagepool(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    int64_t counts_padding;
    fl_node layer = {.op = FL_OP_AVGPOOL};
    FL_TRY(read_padded_input(import, &x));
    FL_TRY(read_pool(import, &layer, x));
    FL_TRY(
        fl_onnx_attribute_int(import, &counts_padding, "count_include_pad", 0));
    const bool is_padded = x->kind == FL_ONNX_PADDED;
    if (is_padded && has_pads(&layer.window) && !counts_padding) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "zeros of a Pad count in its means, those of "
                              "attribute pads do not");
    }
    add_pads(&layer.window, x);
    FL_TRY(check_ceil_mode(import, &layer.window, x));
    layer.counts_padding =
        has_pads(&layer.window) && (is_padded || counts_padding);
    return fl_onnx_layer_on(import, layer, x, NULL, NULL);
}

fl_err fl_onnx_globalpool(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(fl_onnx_check_picture(import, x));
    return fl_onnx_layer_on(import, (fl_node){.op = FL_OP_GLOBALPOOL}, x, NULL,
                            NULL);
}

// True: the axes are those of height and width, in any order.
static fl_err check_picture_axes(const fl_onnx_import *import,
                                 const fl_onnx_sizes *axes,
                                 const fl_onnx_value *x)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < axes->count; i++) {
        uint32_t axis;
        FL_TRY(fl_onnx_axis(import, &axis, axes->at[i], 4));
        seen |= 1U << axis;
    }
    const uint32_t picture =
        x->axes == FL_ONNX_NHWC ? 1U << 1 | 1U << 2 : 1U << 2 | 1U << 3;
    if (!fl_onnx_is_flat(x) && axes->count == 2 && seen == picture) {
        return FL_OK;
    }
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "only a mean over height and width is supported");
}

// A global pool; without keepdims the pool's one pixel is made a row.
fl_err fl_onnx_reducemean(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    fl_onnx_sizes axes;
    int64_t keepdims;
    fl_onnx_value pooled;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(fl_onnx_sizes_either(import, &axes, "axes", 1));
    FL_TRY(check_picture_axes(import, &axes, x));
    FL_TRY(fl_onnx_attribute_int(import, &keepdims, "keepdims", 1));
    const fl_node pool = fl_onnx_layer_reading(FL_OP_GLOBALPOOL, x);
    if (keepdims) return fl_onnx_layer_add(import, pool, x, NULL, NULL);

    FL_TRY(fl_onnx_layer_append(import, &pooled, pool, x, NULL, NULL));
    const fl_onnx_value row =
        fl_onnx_row(fl_onnx_shape_of(import, &pooled).channels);
    return fl_onnx_layer_add(import,
                             fl_onnx_layer_reading(FL_OP_FLATTEN, &pooled),
                             &row, NULL, NULL);
}
