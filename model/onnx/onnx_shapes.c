/* Operators that flatten, rename or reorder, and those that export leaves
 * behind: Flatten, Reshape, Transpose, Identity, Dropout.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "model/onnx/onnx_import.h"
#include "model/onnx/onnx_tensor.h"

/* ---- Flatten and Reshape ---- */

static fl_err add_flatten(fl_onnx_import *import, const fl_onnx_value *x)
{
    const fl_shape shape = fl_onnx_shape_of(import, x);
    fl_onnx_value row = fl_onnx_row((uint32_t)fl_shape_size(shape));
    if (x->axes == FL_ONNX_NCHW) row.picture = shape;
    if (x->axes == FL_ONNX_FLAT) row.picture = x->picture;
    if (x->axes == FL_ONNX_NHWC || x->axes == FL_ONNX_FLAT_HWC) {
        row.axes = FL_ONNX_FLAT_HWC;
    }
    return fl_onnx_layer_add(import, fl_onnx_layer_reading(FL_OP_FLATTEN, x),
                             &row, NULL, NULL);
}

fl_err fl_onnx_flatten(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    int64_t axis;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(fl_onnx_attribute_int(import, &axis, "axis", 1));
    if (axis != 1 && axis != 1 - (fl_onnx_is_flat(x) ? 2 : 4)) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "attribute axis must be 1");
    }
    return add_flatten(import, x);
}

static bool is_batch(const fl_onnx_import *import, int64_t size)
{
    return size == FL_ONNX_BATCH ||
           (import->batch > 0 && size == import->batch);
}

bool fl_onnx_is_shape_of(const fl_onnx_import *import,
                         const fl_onnx_sizes *sizes, const fl_onnx_value *x)
{
    const fl_onnx_sizes dims = fl_onnx_dims(import, x);
    if (sizes->count != dims.count || !is_batch(import, sizes->at[0])) {
        return false;
    }
    for (uint32_t i = 1; i < dims.count; i++) {
        if (sizes->at[i] != dims.at[i]) return false;
    }
    return true;
}

/*
 * What a Reshape to `sizes` makes of a value with dimensions `from`: 0 keeps
 * a dimension, -1 is what is left. False: it moves numbers between examples,
 * or does not add up.
 */
static bool resolve(const fl_onnx_import *import, fl_onnx_sizes *sizes,
                    const fl_onnx_sizes *from)
{
    uint64_t wanted = 1, known = 1;
    uint32_t open = 0;  // which is -1; 0: none but the batch
    if (sizes->is_scalar || sizes->count < 2) return false;
    for (uint32_t i = 1; i < from->count; i++) {
        wanted *= (uint64_t)from->at[i];
    }
    for (uint32_t i = 1; i < sizes->count; i++) {
        int64_t *size = &sizes->at[i];
        if (*size == 0 && i < from->count) *size = from->at[i];
        if (*size == -1 && open == 0) {
            open = i;
            continue;
        }
        if (*size < 1 || (uint64_t)*size > wanted) return false;
        known *= (uint64_t)*size;
        if (known > wanted) return false;
    }
    if (open) sizes->at[open] = (int64_t)(wanted / known);
    const bool adds_up = open ? wanted % known == 0 : wanted == known;
    const int64_t batch = sizes->at[0];
    const bool keeps_batch =
        batch == 0 || is_batch(import, batch) || (batch == -1 && open == 0);
    sizes->at[0] = FL_ONNX_BATCH;
    return adds_up && keeps_batch;
}

static fl_err refuse_reshape(const fl_onnx_import *import,
                             const fl_onnx_value *x)
{
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "only a Reshape to (batch, %zu), which flattens, "
                          "and those of a channel shuffle or group "
                          "normalisation are supported",
                          fl_shape_size(fl_onnx_shape_of(import, x)));
}

static bool is_divided(int64_t count, int64_t groups)
{
    return count % groups == 0;
}

// (N, C, H, W) to (N, groups, C / groups, H, W).
static bool is_grouping(const fl_onnx_sizes *to, const fl_onnx_sizes *from)
{
    return to->count == 5 && from->count == 4 && to->at[3] == from->at[2] &&
           to->at[4] == from->at[3];
}

static fl_err name_groups(fl_onnx_import *import, const fl_onnx_value *x,
                          int64_t group_count)
{
    fl_onnx_value groups = *x;
    groups.kind = FL_ONNX_GROUPS;
    groups.group_count = (uint32_t)group_count;
    return fl_onnx_output(import, groups);
}

static fl_err reshape_block(fl_onnx_import *import, const fl_onnx_value *x,
                            fl_onnx_sizes to)
{
    const fl_onnx_sizes from = fl_onnx_dims(import, x);
    if (!resolve(import, &to, &from)) return refuse_reshape(import, x);
    if (fl_onnx_is_shape_of(import, &to, x)) return fl_onnx_output(import, *x);
    if (to.count == 2) return add_flatten(import, x);

    const bool is_nchw = x->axes == FL_ONNX_NCHW;
    const bool is_pixel = fl_onnx_is_flat(x) && fl_onnx_is_in_order(x);
    if (is_pixel && to.count == 4 && to.at[2] == 1 && to.at[3] == 1) {
        fl_onnx_value picture = *x;
        picture.axes = FL_ONNX_NCHW;
        return fl_onnx_output(import, picture);
    }
    if (is_nchw && is_grouping(&to, &from)) {
        return name_groups(import, x, to.at[1]);
    }
    if (to.count == 3 && (is_nchw || is_pixel) &&
        is_divided(from.at[1], to.at[1])) {
        return fl_onnx_groupnorm_rows(import, x, (uint32_t)to.at[1]);
    }
    return refuse_reshape(import, x);
}

// Back from the groups: a shuffle when they were swapped in between.
static fl_err reshape_groups(fl_onnx_import *import, const fl_onnx_value *x,
                             fl_onnx_sizes to)
{
    const fl_shape s = fl_onnx_shape_of(import, x);
    const uint32_t members = s.channels / x->group_count;
    const fl_onnx_sizes from = {
        .at = {FL_ONNX_BATCH, x->is_swapped ? members : x->group_count,
               x->is_swapped ? x->group_count : members, s.height, s.width},
        .count = 5};
    if (!resolve(import, &to, &from) || !fl_onnx_is_shape_of(import, &to, x)) {
        return refuse_reshape(import, x);
    }
    fl_onnx_value whole = *x;
    whole.kind = FL_ONNX_BLOCK;
    if (!x->is_swapped) return fl_onnx_output(import, whole);
    const fl_node layer = {.op = FL_OP_SHUFFLE, .group_count = x->group_count};
    return fl_onnx_layer_on(import, layer, &whole, NULL, NULL);
}

static fl_err reshape_rows(fl_onnx_import *import, const fl_onnx_value *x,
                           fl_onnx_sizes to)
{
    const size_t size = fl_shape_size(fl_onnx_shape_of(import, x));
    const fl_onnx_sizes from = {
        .at = {FL_ONNX_BATCH, x->group_count, (int64_t)(size / x->group_count)},
        .count = 3};
    if (!resolve(import, &to, &from) || !fl_onnx_is_shape_of(import, &to, x)) {
        return refuse_reshape(import, x);
    }
    fl_onnx_value normed = *x;
    normed.kind = FL_ONNX_NORMED;
    return fl_onnx_output(import, normed);
}

fl_err fl_onnx_reshape(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    fl_onnx_sizes to;
    FL_TRY(fl_onnx_input(import, 0, &x));
    FL_TRY(fl_onnx_input_sizes(import, 1, &to));
    FL_TRY(fl_onnx_attribute_must_be(import, "allowzero", 0));
    if (x->kind == FL_ONNX_GROUPS) return reshape_groups(import, x, to);
    if (x->kind == FL_ONNX_ROWS_NORMED) return reshape_rows(import, x, to);
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    return reshape_block(import, x, to);
}

/* ---- Transpose ---- */

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
    value.is_view = true;
    if (order[0] == 1 && order[1] == 0) {
        value.is_transposed = !value.is_transposed;
    } else if (order[0] != 0 || order[1] != 1) {
        return fl_onnx_refuse(import, FL_ERR_FORMAT,
                              "attribute perm is no permutation");
    }
    return fl_onnx_output(import, value);
}

// (N, groups, C / groups, H, W): the two in the middle change places.
static fl_err transpose_groups(fl_onnx_import *import, fl_onnx_value value)
{
    static const int64_t swapped[5] = {0, 2, 1, 3, 4};
    int64_t order[5] = {0};
    FL_TRY(fl_onnx_attribute_ints(import, order, 5, "perm"));
    if (memcmp(order, swapped, sizeof order) != 0 || value.is_swapped) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "between the two Reshapes of a channel shuffle "
                              "perm must be 0, 2, 1, 3, 4");
    }
    value.is_swapped = true;
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
    if (x->kind == FL_ONNX_GROUPS) return transpose_groups(import, *x);
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    fl_onnx_value moved = *x;
    int64_t order[4] = {0};
    if (!fl_onnx_is_flat(x)) {
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

/* ---- Identity and Dropout ---- */

/*
 * PyTorch writes an Identity where two parameters have the same numbers, as
 * all batch norms have before training: a copy, with an owner of its own.
 */
fl_err fl_onnx_identity(fl_onnx_import *import)
{
    const fl_onnx_value *value;
    FL_TRY(fl_onnx_input(import, 0, &value));
    fl_onnx_value copy = *value;
    copy.is_view = false;
    return fl_onnx_output(import, copy);
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

// fedge writes a Dropout that is to go on; others leave one behind.
fl_err fl_onnx_dropout(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    fl_node layer = {.op = FL_OP_DROPOUT};
    FL_TRY(check_not_training(import));
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    if (!import->is_ours) return fl_onnx_output(import, *x);
    FL_TRY(fl_onnx_attribute_float(import, &layer.alpha, "ratio", 0.5F));
    FL_TRY(fl_onnx_input_float(import, 1, &layer.alpha, layer.alpha));
    return fl_onnx_layer_on(import, layer, x, NULL, NULL);
}
