/* Operators without constants: Relu, those that flatten, and those that only
 * rename or reorder.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "model/onnx/onnx_import.h"
#include "model/onnx/onnx_tensor.h"

fl_err fl_onnx_relu(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    return fl_onnx_layer_add(import, (fl_node){.op = FL_OP_RELU}, x, x->axes,
                             NULL, NULL);
}

static fl_err add_flatten(fl_onnx_import *import, const fl_onnx_value *x)
{
    const bool is_hwc = x->axes == FL_ONNX_NHWC || x->axes == FL_ONNX_FLAT_HWC;
    return fl_onnx_layer_add(import, (fl_node){.op = FL_OP_FLATTEN}, x,
                             is_hwc ? FL_ONNX_FLAT_HWC : FL_ONNX_FLAT, NULL,
                             NULL);
}

static int64_t axis_count(const fl_onnx_value *x)
{
    return x->axes == FL_ONNX_NCHW || x->axes == FL_ONNX_NHWC ? 4 : 2;
}

fl_err fl_onnx_flatten(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    int64_t axis;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(fl_onnx_attribute_int(import, &axis, "axis", 1));
    if (axis != 1 && axis != 1 - axis_count(x)) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "attribute axis must be 1");
    }
    return add_flatten(import, x);
}

static bool is_batch(const fl_onnx_import *import, int64_t size)
{
    return size == 0 || size == FL_ONNX_BATCH ||
           (import->batch > 0 && size == import->batch);
}

// (batch, features); one of the two may be -1, "what is left".
static bool is_flattening(const fl_onnx_import *import,
                          const fl_onnx_sizes *sizes, int64_t features)
{
    if (sizes->count != 2 || sizes->is_scalar) return false;
    if (sizes->at[0] == -1) return sizes->at[1] == features;
    return is_batch(import, sizes->at[0]) &&
           (sizes->at[1] == -1 || sizes->at[1] == features);
}

fl_err fl_onnx_reshape(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    fl_onnx_sizes sizes;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(fl_onnx_input_sizes(import, 1, &sizes));
    FL_TRY(fl_onnx_attribute_must_be(import, "allowzero", 0));
    const size_t features = fl_shape_size(import->graph->nodes[x->node].shape);
    if (is_flattening(import, &sizes, (int64_t)features)) {
        return add_flatten(import, x);
    }
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "only a Reshape to (batch, %zu) is supported, which "
                          "flattens",
                          features);
}

static fl_err transpose_tensor(fl_onnx_import *import, fl_onnx_value value)
{
    int64_t order[2] = {1, 0};
    if (value.tensor->n_dims != 2) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "constant \"%s\" has %zu dimensions, only 2 are "
                              "supported",
                              value.name, value.tensor->n_dims);
    }
    FL_TRY(fl_onnx_attribute_ints(import, order, 2, "perm"));
    if (order[0] == 1 && order[1] == 0) {
        value.is_transposed = !value.is_transposed;
    } else if (order[0] != 0 || order[1] != 1) {
        return fl_onnx_refuse(import, FL_ERR_FORMAT,
                              "attribute perm is no permutation");
    }
    return fl_onnx_output(import, value);
}

static bool is_order(const int64_t order[4], int64_t a, int64_t b, int64_t c)
{
    return order[0] == 0 && order[1] == a && order[2] == b && order[3] == c;
}

fl_err fl_onnx_transpose(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    FL_TRY(fl_onnx_input(import, 0, &x));
    if (x->kind == FL_ONNX_TENSOR) return transpose_tensor(import, *x);
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    fl_onnx_value moved = *x;
    int64_t order[4] = {0};
    if (axis_count(x) == 4) {
        FL_TRY(fl_onnx_attribute_ints(import, order, 4, "perm"));
    }
    if (x->axes == FL_ONNX_NCHW && is_order(order, 2, 3, 1)) {
        moved.axes = FL_ONNX_NHWC;
    } else if (x->axes == FL_ONNX_NHWC && is_order(order, 3, 1, 2)) {
        moved.axes = FL_ONNX_NCHW;
    } else {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "only a change from (N, C, H, W) to (N, H, W, "
                              "C), or back, is supported; the model's input "
                              "is read as (N, C, H, W)");
    }
    return fl_onnx_output(import, moved);
}

fl_err fl_onnx_identity(fl_onnx_import *import)
{
    const fl_onnx_value *value;
    FL_TRY(fl_onnx_input(import, 0, &value));
    return fl_onnx_output(import, *value);
}

static fl_err check_not_training(const fl_onnx_import *import)
{
    if (!fl_onnx_has_input(import, 2)) return FL_OK;
    const fl_onnx_value *value;
    FL_TRY(fl_onnx_input(import, 2, &value));
    if (value->kind == FL_ONNX_TENSOR &&
        value->tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL &&
        !fl_onnx_tensor_bool(value->tensor, 0)) {
        return FL_OK;
    }
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "it is in training mode: call model.eval() before "
                          "exporting");
}

fl_err fl_onnx_dropout(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    FL_TRY(check_not_training(import));
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    return fl_onnx_output(import, *x);
}
