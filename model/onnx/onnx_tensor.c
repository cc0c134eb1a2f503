/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/onnx_tensor.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/half.h"
#include "model/model.h"

enum { DIMS_MAX = 8 };

// raw_data is little-endian, and read as it lies.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "raw_data needs a little-endian machine");

const char *fl_onnx_type_name(int32_t data_type)
{
    switch (data_type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT: return "float32";
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8: return "uint8";
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8: return "int8";
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32: return "int32";
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64: return "int64";
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL: return "bool";
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16: return "float16";
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE: return "float64";
    case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16: return "bfloat16";
    default: return "a type without a number";
    }
}

size_t fl_onnx_tensor_count(const Onnx__TensorProto *tensor)
{
    size_t count = 1;
    for (size_t i = 0; i < tensor->n_dims; i++) {
        count *= (size_t)tensor->dims[i];
    }
    return count;
}

static fl_err check_dims(const Onnx__TensorProto *tensor, const char *name,
                         fl_reason *why)
{
    if (tensor->n_dims > DIMS_MAX) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "tensor \"%s\" has %zu dimensions, at most %d "
                             "are read",
                             name, tensor->n_dims, DIMS_MAX);
    }
    size_t count = 1;
    for (size_t i = 0; i < tensor->n_dims; i++) {
        const int64_t dim = tensor->dims[i];
        if (dim < 1) {
            return fl_reason_set(why, FL_ERR_FORMAT,
                                 "tensor \"%s\": dimension %zu is %" PRId64,
                                 name, i, dim);
        }
        if ((uint64_t)dim > FL_MODEL_PARAMS_MAX ||
            fl_size_mul(&count, count, (size_t)dim) ||
            count > FL_MODEL_PARAMS_MAX) {
            return fl_reason_set(why, FL_ERR_LIMIT,
                                 "tensor \"%s\" has more than %u numbers", name,
                                 FL_MODEL_PARAMS_MAX);
        }
    }
    return FL_OK;
}

// Bytes of one number in raw_data, and how many the typed list holds.
// False: a type that nothing reads.
static bool find_storage(const Onnx__TensorProto *tensor, size_t *width,
                         size_t *listed)
{
    switch (tensor->data_type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
        *width = sizeof(float);
        *listed = tensor->n_float_data;
        return true;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
        *width = sizeof(int64_t);
        *listed = tensor->n_int64_data;
        return true;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
        *width = sizeof(double);
        *listed = tensor->n_double_data;
        return true;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
        *width = sizeof(int32_t);
        *listed = tensor->n_int32_data;
        return true;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
        *width = sizeof(uint16_t);
        *listed = tensor->n_int32_data;
        return true;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8:
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8:
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL:
        *width = 1;
        *listed = tensor->n_int32_data;
        return true;
    default: return false;
    }
}

static fl_err check_data(const Onnx__TensorProto *tensor, const char *name,
                         fl_reason *why)
{
    size_t width, listed;
    if (!find_storage(tensor, &width, &listed)) return FL_OK;
    const size_t count = fl_onnx_tensor_count(tensor);
    if (!tensor->has_raw_data) {
        if (listed == count) return FL_OK;
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "tensor \"%s\" holds %zu numbers, its dimensions "
                             "say %zu",
                             name, listed, count);
    }
    if (listed) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "tensor \"%s\" holds its numbers twice, in "
                             "raw_data and in a list",
                             name);
    }
    if (tensor->raw_data.len == count * width) return FL_OK;
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "tensor \"%s\" holds %zu bytes of raw_data, %zu "
                         "numbers of %s take %zu",
                         name, tensor->raw_data.len, count,
                         fl_onnx_type_name(tensor->data_type), count * width);
}

fl_err fl_onnx_tensor_check(const Onnx__TensorProto *tensor, const char *name,
                            fl_reason *why)
{
    if (tensor->n_external_data ||
        tensor->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "tensor \"%s\" is in another file: save the "
                             "model with its weights inside",
                             name);
    }
    FL_TRY(check_dims(tensor, name, why));
    return check_data(tensor, name, why);
}

static double read_double(const Onnx__TensorProto *tensor, size_t i)
{
    if (!tensor->has_raw_data) return tensor->double_data[i];
    double value;
    memcpy(&value, tensor->raw_data.data + i * sizeof value, sizeof value);
    return value;
}

static float read_float(const Onnx__TensorProto *tensor, size_t i)
{
    if (!tensor->has_raw_data) return tensor->float_data[i];
    float value;
    memcpy(&value, tensor->raw_data.data + i * sizeof value, sizeof value);
    return value;
}

// A list holds the bits of each half in the lower part of an int32.
static float read_half(const Onnx__TensorProto *tensor, size_t i)
{
    uint16_t half;
    if (tensor->has_raw_data) {
        memcpy(&half, tensor->raw_data.data + i * sizeof half, sizeof half);
    } else {
        half = (uint16_t)tensor->int32_data[i];
    }
    return fl_half_decode(half);
}

int64_t fl_onnx_tensor_int(const Onnx__TensorProto *tensor, size_t i)
{
    if (!tensor->has_raw_data) return tensor->int64_data[i];
    int64_t value;
    memcpy(&value, tensor->raw_data.data + i * sizeof value, sizeof value);
    return value;
}

float fl_onnx_tensor_float(const Onnx__TensorProto *tensor, size_t i)
{
    switch (tensor->data_type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
        return (float)read_double(tensor, i);
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
        return (float)fl_onnx_tensor_int(tensor, i);
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16: return read_half(tensor, i);
    default: return read_float(tensor, i);
    }
}

int32_t fl_onnx_tensor_small(const Onnx__TensorProto *tensor, size_t i)
{
    int32_t number;
    if (tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT32) {
        if (!tensor->has_raw_data) return tensor->int32_data[i];
        memcpy(&number, tensor->raw_data.data + i * sizeof number,
               sizeof number);
        return number;
    }
    number =
        tensor->has_raw_data ? tensor->raw_data.data[i] : tensor->int32_data[i];
    // What a list holds beyond eight bits does not count.
    return tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT8
               ? (int8_t)(uint8_t)number
               : (uint8_t)number;
}

bool fl_onnx_tensor_bool(const Onnx__TensorProto *tensor, size_t i)
{
    if (!tensor->has_raw_data) return tensor->int32_data[i] != 0;
    return tensor->raw_data.data[i] != 0;
}
