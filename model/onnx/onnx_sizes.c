/* Constants, and the little arithmetic on shapes that PyTorch writes for
 * x.view(x.size(0), -1), x.chunk(2, 1) and channel shuffles.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "model/onnx/onnx_import.h"
#include "model/onnx/onnx_tensor.h"

static fl_err name_sizes(fl_onnx_import *import, const fl_onnx_sizes *sizes)
{
    return fl_onnx_output(
        import, (fl_onnx_value){.kind = FL_ONNX_SIZES, .sizes = *sizes});
}

static fl_err read_ints(fl_onnx_import *import, fl_onnx_sizes *sizes,
                        const Onnx__AttributeProto *ints)
{
    if (ints->n_ints == 0 || ints->n_ints > FL_ONNX_SIZES_MAX) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "attribute value_ints has %zu numbers, 1 to %d "
                              "are supported",
                              ints->n_ints, (int)FL_ONNX_SIZES_MAX);
    }
    sizes->count = (uint32_t)ints->n_ints;
    memcpy(sizes->at, ints->ints, ints->n_ints * sizeof sizes->at[0]);
    return FL_OK;
}

fl_err fl_onnx_constant(fl_onnx_import *import)
{
    const Onnx__AttributeProto *tensor, *one, *several;
    FL_TRY(fl_onnx_attribute(import, &tensor, "value",
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR));
    FL_TRY(fl_onnx_attribute(import, &one, "value_int",
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT));
    FL_TRY(fl_onnx_attribute(import, &several, "value_ints",
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS));
    if (import->node->n_attribute != 1 || (tensor && !tensor->t)) {
        return fl_onnx_refuse(import, FL_ERR_FORMAT,
                              "it needs exactly one value");
    }
    if (tensor) {
        const char *name =
            import->node->n_output ? import->node->output[0] : "";
        FL_TRY(fl_onnx_tensor_check(tensor->t, name, import->why));
        return fl_onnx_output(import, fl_onnx_tensor_value(tensor->t));
    }
    fl_onnx_sizes sizes = {.count = 1, .is_scalar = one != NULL};
    if (one) sizes.at[0] = one->i;
    if (several) FL_TRY(read_ints(import, &sizes, several));
    for (uint32_t i = 0; i < sizes.count; i++) {
        if (sizes.at[i] == FL_ONNX_BATCH) {
            return fl_onnx_refuse(import, FL_ERR_FORMAT,
                                  "it holds %" PRId64 ", which is no size",
                                  sizes.at[i]);
        }
    }
    return name_sizes(import, &sizes);
}

fl_err fl_onnx_shape(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    const fl_onnx_sizes sizes = fl_onnx_dims(import, x);
    return name_sizes(import, &sizes);
}

fl_err fl_onnx_gather(fl_onnx_import *import)
{
    fl_onnx_sizes from, indices;
    FL_TRY(fl_onnx_input_sizes(import, 0, &from));
    FL_TRY(fl_onnx_input_sizes(import, 1, &indices));
    FL_TRY(fl_onnx_attribute_must_be(import, "axis", 0));
    if (from.is_scalar) {
        return fl_onnx_refuse(import, FL_ERR_FORMAT,
                              "its input is a single number");
    }
    for (uint32_t i = 0; i < indices.count; i++) {
        int64_t at = indices.at[i];
        if (at < 0 && at >= -(int64_t)from.count) at += from.count;
        if (at < 0 || at >= from.count) {
            return fl_onnx_refuse(import, FL_ERR_FORMAT,
                                  "its index is outside the shape");
        }
        indices.at[i] = from.at[at];
    }
    return name_sizes(import, &indices);
}

// (C) to (C, 1, 1): a number for each channel of pictures.
static fl_err widen(fl_onnx_import *import, fl_onnx_value value,
                    const fl_onnx_sizes *axes)
{
    if (value.tensor->n_dims != 1 || axes->count != 2 || axes->at[0] != 1 ||
        axes->at[1] != 2) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "of a constant only (C) to (C, 1, 1) is "
                              "supported");
    }
    value.is_widened = value.is_view = true;
    return fl_onnx_output(import, value);
}

// Only of one number, which becomes a list of one; or of a constant.
fl_err fl_onnx_unsqueeze(fl_onnx_import *import)
{
    const fl_onnx_value *value;
    fl_onnx_sizes sizes, axes;
    FL_TRY(fl_onnx_input(import, 0, &value));
    FL_TRY(fl_onnx_sizes_either(import, &axes, "axes", 1));
    if (value->kind == FL_ONNX_TENSOR && value->is_float) {
        return widen(import, *value, &axes);
    }
    FL_TRY(fl_onnx_input_sizes(import, 0, &sizes));
    if (!sizes.is_scalar || axes.count != 1 ||
        (axes.at[0] != 0 && axes.at[0] != -1)) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "only a single size can become a list");
    }
    sizes.is_scalar = false;
    return name_sizes(import, &sizes);
}

fl_err fl_onnx_concat_sizes(fl_onnx_import *import)
{
    int64_t axis;
    fl_onnx_sizes all = {0}, part;
    FL_TRY(fl_onnx_attribute_int(import, &axis, "axis", 0));
    for (size_t i = 0; i < import->node->n_input; i++) {
        FL_TRY(fl_onnx_input_sizes(import, i, &part));
        if (part.is_scalar || part.count > FL_ONNX_SIZES_MAX - all.count ||
            (axis != 0 && axis != -1)) {
            return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                                  "only lists of sizes, %d in all, can be "
                                  "joined",
                                  (int)FL_ONNX_SIZES_MAX);
        }
        memcpy(all.at + all.count, part.at, part.count * sizeof part.at[0]);
        all.count += part.count;
    }
    return name_sizes(import, &all);
}

// Where a Slice of a list begins or ends.
static uint32_t place(int64_t at, uint32_t count)
{
    if (at < 0) at = at < -(int64_t)count ? 0 : at + count;
    return at > count ? count : (uint32_t)at;
}

fl_err fl_onnx_slice_sizes(fl_onnx_import *import)
{
    fl_onnx_sizes from, starts, ends, axes = {0}, steps = {.at = {1}};
    FL_TRY(fl_onnx_input_sizes(import, 0, &from));
    FL_TRY(fl_onnx_input_sizes(import, 1, &starts));
    FL_TRY(fl_onnx_input_sizes(import, 2, &ends));
    if (fl_onnx_has_input(import, 3)) {
        FL_TRY(fl_onnx_input_sizes(import, 3, &axes));
    }
    if (fl_onnx_has_input(import, 4)) {
        FL_TRY(fl_onnx_input_sizes(import, 4, &steps));
    }
    if (from.is_scalar || starts.count != 1 || ends.count != 1 ||
        axes.at[0] != 0 || steps.at[0] != 1) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "of a list of sizes only one range, in steps "
                              "of 1, is supported");
    }
    const uint32_t first = place(starts.at[0], from.count);
    const uint32_t end = place(ends.at[0], from.count);
    fl_onnx_sizes part = {.count = end > first ? end - first : 0};
    memcpy(part.at, from.at + first, part.count * sizeof part.at[0]);
    return name_sizes(import, &part);
}

/* ---- arithmetic ---- */

bool fl_onnx_are_sizes(const fl_onnx_import *import)
{
    for (size_t i = 0; i < 2; i++) {
        if (!fl_onnx_has_input(import, i)) return false;
        const fl_onnx_value *value =
            fl_onnx_value_find(import, import->node->input[i]);
        if (!value) return false;
        const bool is_int64 =
            value->kind == FL_ONNX_TENSOR && !value->is_float &&
            value->tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
        if (value->kind == FL_ONNX_SIZES || is_int64) return true;
    }
    return false;
}

// False: of the batch, beyond 64 bits, or by zero.
static bool compute(int64_t *result, int64_t a, int64_t b, char op)
{
    if (a == FL_ONNX_BATCH || b == FL_ONNX_BATCH) return false;
    switch (op) {
    case '+': return !__builtin_add_overflow(a, b, result);
    case '-': return !__builtin_sub_overflow(a, b, result);
    case '*': return !__builtin_mul_overflow(a, b, result);
    default: break;
    }
    if (b == 0) return false;
    *result = a / b;  // neither is INT64_MIN
    return true;
}

fl_err fl_onnx_compute_sizes(fl_onnx_import *import, char op)
{
    fl_onnx_sizes a, b;
    FL_TRY(fl_onnx_input_sizes(import, 0, &a));
    FL_TRY(fl_onnx_input_sizes(import, 1, &b));
    bool is_known = a.count == b.count || a.count == 1 || b.count == 1;
    fl_onnx_sizes result = a.count >= b.count ? a : b;
    result.is_scalar = a.is_scalar && b.is_scalar;
    for (uint32_t i = 0; is_known && i < result.count; i++) {
        is_known = compute(&result.at[i], a.at[a.count == 1 ? 0 : i],
                           b.at[b.count == 1 ? 0 : i], op) &&
                   result.at[i] != FL_ONNX_BATCH;
    }
    if (is_known) return name_sizes(import, &result);
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "arithmetic on sizes is only supported where they "
                          "are known and stay below 2^63");
}

// A constant to float32.
static fl_err cast_tensor(fl_onnx_import *import, fl_onnx_value value)
{
    const int32_t type = value.tensor->data_type;
    if (!value.is_float && type != ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE &&
        type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16 &&
        type != ONNX__TENSOR_PROTO__DATA_TYPE__INT64) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "\"%s\" is of %s, which cannot be cast",
                              value.name, fl_onnx_type_name(type));
    }
    value.is_float = value.is_view = true;
    return fl_onnx_output(import, value);
}

// Or sizes to int64, which they are already.
fl_err fl_onnx_cast(fl_onnx_import *import)
{
    fl_onnx_sizes sizes;
    int64_t to;
    const fl_onnx_value *value;
    FL_TRY(fl_onnx_input(import, 0, &value));
    FL_TRY(fl_onnx_attribute_int(import, &to, "to", 0));
    if (value->kind == FL_ONNX_TENSOR &&
        to == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) {
        return cast_tensor(import, *value);
    }
    FL_TRY(fl_onnx_input_sizes(import, 0, &sizes));
    FL_TRY(fl_onnx_attribute_must_be(import, "to",
                                     ONNX__TENSOR_PROTO__DATA_TYPE__INT64));
    return name_sizes(import, &sizes);
}
