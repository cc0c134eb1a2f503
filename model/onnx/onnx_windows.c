/* Conv and MaxPool: operators that slide a window.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "model/onnx/onnx_import.h"

// Far above every real window, far below where 32 bits overflow.
enum { WINDOW_MAX = 1 << 16 };

static fl_err check_picture(const fl_onnx_import *import,
                            const fl_onnx_value *x)
{
    if (x->axes == FL_ONNX_NCHW) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "its input \"%s\" is not (N, C, H, W)", x->name);
}

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

// *kernel: what the weight says, or zeros.
static fl_err read_window(const fl_onnx_import *import, fl_window *window,
                          int64_t kernel[2])
{
    int64_t strides[2] = {1, 1}, dilations[2] = {1, 1}, pads[4] = {0};
    bool is_valid;
    FL_TRY(fl_onnx_attribute_ints(import, kernel, 2, "kernel_shape"));
    FL_TRY(fl_onnx_attribute_ints(import, strides, 2, "strides"));
    FL_TRY(fl_onnx_attribute_ints(import, dilations, 2, "dilations"));
    FL_TRY(fl_onnx_attribute_ints(import, pads, 4, "pads"));
    FL_TRY(read_auto_pad(import, &is_valid));

    if (dilations[0] != 1 || dilations[1] != 1) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "attribute dilations is not 1, 1");
    }
    for (size_t i = 0; i < 2; i++) {
        FL_TRY(check_size(import, "kernel_shape", kernel[i], 1));
        FL_TRY(check_size(import, "strides", strides[i], 1));
    }
    for (size_t i = 0; i < 4; i++) {
        if (is_valid) pads[i] = 0;
        FL_TRY(check_size(import, "pads", pads[i], 0));
    }
    *window = (fl_window){
        .kernel_h = (uint32_t)kernel[0],
        .kernel_w = (uint32_t)kernel[1],
        .stride_h = (uint32_t)strides[0],
        .stride_w = (uint32_t)strides[1],
        .pad_top = (uint32_t)pads[0],
        .pad_left = (uint32_t)pads[1],
        .pad_bottom = (uint32_t)pads[2],
        .pad_right = (uint32_t)pads[3],
    };
    return FL_OK;
}

static fl_err check_conv_weight(const fl_onnx_import *import,
                                const fl_onnx_value *weight,
                                const fl_node *layer, uint32_t channels)
{
    const int64_t *dims = weight->tensor->dims;
    if (dims[1] != channels) {
        return fl_onnx_refuse(import, FL_ERR_FORMAT,
                              "weight \"%s\" is for %" PRId64
                              " channels, the input has %u",
                              weight->name, dims[1], channels);
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
    const fl_onnx_value *bias;
    FL_TRY(fl_onnx_input_tensor(import, 2, &bias));
    source->bias = bias->tensor;
    if (bias->tensor->n_dims == 1 &&
        bias->tensor->dims[0] == source->weight->dims[0]) {
        return FL_OK;
    }
    return fl_onnx_refuse(import, FL_ERR_FORMAT,
                          "bias \"%s\" does not hold %" PRId64
                          " numbers, one an output channel",
                          bias->name, source->weight->dims[0]);
}

fl_err fl_onnx_conv(fl_onnx_import *import)
{
    const fl_onnx_value *x, *weight;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(check_picture(import, x));
    FL_TRY(fl_onnx_input_tensor(import, 1, &weight));
    FL_TRY(fl_onnx_attribute_must_be(import, "group", 1));
    if (weight->tensor->n_dims != 4) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "weight \"%s\" has %zu dimensions, only "
                              "two-dimensional convolutions are supported",
                              weight->name, weight->tensor->n_dims);
    }
    const int64_t *dims = weight->tensor->dims;
    const uint32_t channels = import->graph->nodes[x->node].shape.channels;
    fl_node layer = {.op = FL_OP_CONV, .out_count = (uint32_t)dims[0]};
    FL_TRY(read_window(import, &layer.window, (int64_t[]){dims[2], dims[3]}));
    FL_TRY(check_conv_weight(import, weight, &layer, channels));

    fl_onnx_source source = {
        .weight = weight->tensor,
        .layout = fl_onnx_layout_ocp((size_t)dims[0],
                                     (size_t)dims[2] * (size_t)dims[3],
                                     (size_t)dims[1]),
    };
    FL_TRY(read_conv_bias(import, &source));
    return fl_onnx_layer_add(import, layer, x, FL_ONNX_NCHW, &source, NULL);
}

fl_err fl_onnx_maxpool(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(check_picture(import, x));
    FL_TRY(fl_onnx_attribute_must_be(import, "ceil_mode", 0));
    FL_TRY(fl_onnx_attribute_must_be(import, "storage_order", 0));
    fl_node layer = {.op = FL_OP_MAXPOOL};
    FL_TRY(read_window(import, &layer.window, (int64_t[]){0, 0}));
    return fl_onnx_layer_add(import, layer, x, FL_ONNX_NCHW, NULL, NULL);
}
