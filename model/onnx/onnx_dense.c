/* Gemm and MatMul: fully connected layers.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "model/onnx/onnx_import.h"
#include "model/onnx/onnx_tensor.h"

static fl_err check_row(const fl_onnx_import *import, const fl_onnx_value *x)
{
    if (fl_onnx_is_flat(x)) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "its input \"%s\" has four dimensions, only (N, F) "
                          "is supported: put a Flatten before it",
                          x->name);
}

// The file has (outputs, features), or the other way round.
static fl_err read_weight(const fl_onnx_import *import, fl_onnx_source *source,
                          const fl_onnx_value *x, bool is_outputs_first)
{
    const fl_onnx_value *weight;
    FL_TRY(fl_onnx_input_param(import, 1, &weight));
    const Onnx__TensorProto *tensor = weight->tensor;
    if (tensor->n_dims != 2) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "weight \"%s\" has %zu dimensions, only 2 are "
                              "supported",
                              weight->name, tensor->n_dims);
    }
    if (weight->is_transposed) is_outputs_first = !is_outputs_first;
    const size_t outputs = (size_t)tensor->dims[is_outputs_first ? 0 : 1];
    const size_t features = (size_t)tensor->dims[is_outputs_first ? 1 : 0];
    fl_shape picture = fl_onnx_shape_of(import, x);
    if (features != picture.channels) {
        return fl_onnx_refuse(import, FL_ERR_FORMAT,
                              "weight \"%s\" is for %zu inputs, \"%s\" has %u",
                              weight->name, features, x->name,
                              picture.channels);
    }
    if (x->axes == FL_ONNX_FLAT) picture = x->picture;
    const size_t pixels = (size_t)picture.height * picture.width;
    source->weight = weight;
    source->row = fl_onnx_layout_row(outputs);
    source->layout =
        is_outputs_first
            ? fl_onnx_layout_ocp(outputs, pixels, picture.channels)
            : fl_onnx_layout_cpo(outputs, pixels, picture.channels);
    return FL_OK;
}

// (O) or (1, O).
static fl_err read_bias(const fl_onnx_import *import, fl_onnx_source *source)
{
    if (!fl_onnx_has_input(import, 2)) return FL_OK;
    const fl_onnx_value *bias;
    FL_TRY(fl_onnx_input_param(import, 2, &bias));
    const Onnx__TensorProto *tensor = bias->tensor;
    source->bias = bias;
    const bool is_row =
        tensor->n_dims == 1 || (tensor->n_dims == 2 && tensor->dims[0] == 1);
    if (is_row && fl_onnx_tensor_count(tensor) == source->layout.outputs) {
        return FL_OK;
    }
    return fl_onnx_refuse(import, FL_ERR_FORMAT,
                          "bias \"%s\" does not hold %zu numbers, one an "
                          "output",
                          bias->name, source->layout.outputs);
}

static fl_err add_dense(fl_onnx_import *import, const fl_onnx_value *x,
                        const fl_onnx_source *source)
{
    const uint32_t outputs = (uint32_t)source->layout.outputs;
    fl_node layer = fl_onnx_layer_reading(FL_OP_DENSE, x);
    layer.out_count = outputs;
    const fl_onnx_value row = fl_onnx_row(outputs);
    return fl_onnx_layer_add(import, layer, &row, source, NULL);
}

fl_err fl_onnx_gemm(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    int64_t is_outputs_first;
    fl_onnx_source source = {0};
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(check_row(import, x));
    FL_TRY(fl_onnx_attribute_must_be_1(import, "alpha"));
    FL_TRY(fl_onnx_attribute_must_be_1(import, "beta"));
    FL_TRY(fl_onnx_attribute_must_be(import, "transA", 0));
    FL_TRY(fl_onnx_attribute_int(import, &is_outputs_first, "transB", 0));
    FL_TRY(read_weight(import, &source, x, is_outputs_first != 0));
    FL_TRY(read_bias(import, &source));
    return add_dense(import, x, &source);
}

fl_err fl_onnx_matmul(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    fl_onnx_source source = {0};
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(check_row(import, x));
    FL_TRY(read_weight(import, &source, x, false));
    return add_dense(import, x, &source);
}
