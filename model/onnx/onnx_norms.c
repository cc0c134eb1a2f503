/* Normalisations: batch, group, and to length 1.
 *
 * Opsets up to 17 have no group normalisation. PyTorch writes
 *
 *   Reshape (N, groups, rest), InstanceNormalization by ones and zeros,
 *   Reshape back, Mul by the weight, Add of the bias
 *
 * and x / max(|x|, epsilon) as ReduceL2 (or Mul, ReduceSum, Sqrt), Clip,
 * Expand, Div.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>

#include "model/onnx/onnx_import.h"
#include "model/onnx/onnx_tensor.h"

// F.normalize's default, for files that give none.
static const float LENGTH_MIN = 1e-12F;

static fl_err read_epsilon(const fl_onnx_import *import, float *epsilon)
{
    FL_TRY(fl_onnx_attribute_float(import, epsilon, "epsilon", 1e-5F));
    if (*epsilon > 0.0F) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "attribute epsilon is %g, it must be above 0",
                          (double)*epsilon);
}

// Input number i, (C).
static fl_err read_list(const fl_onnx_import *import,
                        const fl_onnx_value **value, size_t i, uint32_t count)
{
    FL_TRY(fl_onnx_input_tensor(import, i, value));
    const Onnx__TensorProto *tensor = (*value)->tensor;
    if (tensor->n_dims == 1 && tensor->dims[0] == count) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_FORMAT,
                          "\"%s\" does not hold %u numbers, one a channel",
                          (*value)->name, count);
}

/* ---- BatchNormalization ---- */

/*
 * The file has 1 - momentum, rounded. Where a number of six decimals gives
 * the same, it is what was meant: 0.1, not 0.100000024.
 */
static float share_of(float kept)
{
    const float share = (float)(round((1.0 - (double)kept) * 1e6) / 1e6);
    const float again = 1.0F - share;
    return again >= kept && again <= kept ? share : 1.0F - kept;
}

static fl_err read_momentum(const fl_onnx_import *import, float *momentum)
{
    float kept;
    FL_TRY(fl_onnx_attribute_float(import, &kept, "momentum", 0.9F));
    if (!(kept >= 0.0F && kept <= 1.0F)) {
        return fl_onnx_refuse(import, FL_ERR_FORMAT,
                              "attribute momentum is %g, it must be 0 to 1",
                              (double)kept);
    }
    *momentum = share_of(kept);
    return FL_OK;
}

fl_err fl_onnx_batchnorm(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    fl_onnx_source source = {0};
    fl_node layer = {.op = FL_OP_BATCHNORM};
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    if (x->axes == FL_ONNX_NHWC) return fl_onnx_check_picture(import, x);
    const uint32_t channels = fl_onnx_shape_of(import, x).channels;
    FL_TRY(read_list(import, &source.weight, 1, channels));
    FL_TRY(read_list(import, &source.bias, 2, channels));
    FL_TRY(read_list(import, &source.mean, 3, channels));
    FL_TRY(read_list(import, &source.variance, 4, channels));
    FL_TRY(read_epsilon(import, &layer.epsilon));
    FL_TRY(read_momentum(import, &layer.momentum));
    source.layout = source.row = fl_onnx_channel_layout(import, x);
    return fl_onnx_layer_on(import, layer, x, &source, NULL);
}

/* ---- group normalisation ---- */

fl_err fl_onnx_groupnorm_rows(fl_onnx_import *import, const fl_onnx_value *x,
                              uint32_t group_count)
{
    fl_onnx_value rows = *x;
    rows.kind = FL_ONNX_ROWS;
    rows.group_count = group_count;
    return fl_onnx_output(import, rows);
}

static fl_err norm_rows(fl_onnx_import *import)
{
    const fl_onnx_value *x, *ones, *zeros;
    FL_TRY(fl_onnx_input(import, 0, &x));
    FL_TRY(read_list(import, &ones, 1, x->group_count));
    FL_TRY(read_list(import, &zeros, 2, x->group_count));
    if (!fl_onnx_is_constant(ones, 1.0F) || !fl_onnx_is_constant(zeros, 0.0F)) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "as part of a group normalisation its scale "
                              "must be ones and its bias zeros");
    }
    fl_onnx_value normed = *x;
    normed.kind = FL_ONNX_ROWS_NORMED;
    FL_TRY(read_epsilon(import, &normed.epsilon));
    return fl_onnx_output(import, normed);
}

// By itself it is a group normalisation with a channel a group.
fl_err fl_onnx_instancenorm(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    fl_onnx_source source = {0};
    fl_node layer = {.op = FL_OP_GROUPNORM};
    if (fl_onnx_input_kind(import, 0) == FL_ONNX_ROWS) return norm_rows(import);
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(fl_onnx_check_picture(import, x));
    layer.group_count = fl_onnx_shape_of(import, x).channels;
    FL_TRY(read_list(import, &source.weight, 1, layer.group_count));
    FL_TRY(read_list(import, &source.bias, 2, layer.group_count));
    FL_TRY(read_epsilon(import, &layer.epsilon));
    source.layout = source.row = fl_onnx_layout_row(layer.group_count);
    return fl_onnx_layer_on(import, layer, x, &source, NULL);
}

// The half-normed value on one side, the constant on the other.
static fl_err read_affine(const fl_onnx_import *import, const fl_onnx_value **x,
                          const fl_onnx_value **constant,
                          fl_onnx_layout *layout)
{
    const size_t side = fl_onnx_input_kind(import, 0) == FL_ONNX_TENSOR ? 0 : 1;
    FL_TRY(fl_onnx_input(import, 1 - side, x));
    FL_TRY(fl_onnx_input_tensor(import, side, constant));
    if (fl_onnx_is_per_channel(import, layout, *x, *constant)) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "\"%s\" does not hold one number for each channel",
                          (*constant)->name);
}

fl_err fl_onnx_groupnorm_weight(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    fl_onnx_value scaled = {0};
    fl_onnx_layout layout;
    FL_TRY(read_affine(import, &x, &scaled.weight, &layout));
    const fl_onnx_value *weight = scaled.weight;
    scaled = *x;
    scaled.kind = FL_ONNX_SCALED;
    scaled.weight = weight;
    return fl_onnx_output(import, scaled);
}

fl_err fl_onnx_groupnorm_bias(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    fl_onnx_source source = {0};
    FL_TRY(read_affine(import, &x, &source.bias, &source.row));
    source.weight = x->weight;
    if (!fl_onnx_is_per_channel(import, &source.layout, x, source.weight)) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "\"%s\" is not a weight for each channel",
                              source.weight->name);
    }
    const fl_node layer = {.op = FL_OP_GROUPNORM,
                           .group_count = x->group_count,
                           .epsilon = x->epsilon};
    return fl_onnx_layer_on(import, layer, x, &source, NULL);
}

/* ---- to length 1 ---- */

static fl_err check_over_channels(const fl_onnx_import *import,
                                  const fl_onnx_value *x)
{
    fl_onnx_sizes axes;
    uint32_t axis = 0;
    FL_TRY(fl_onnx_attribute_must_be(import, "keepdims", 1));
    FL_TRY(fl_onnx_sizes_either(import, &axes, "axes", 1));
    if (axes.count == 1) {
        FL_TRY(fl_onnx_axis(import, &axis, axes.at[0],
                            fl_onnx_is_flat(x) ? 2 : 4));
    }
    if (axes.count == 1 && axis == fl_onnx_channel_axis(x)) return FL_OK;
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "only a length over the channels is supported");
}

static fl_err name_half(fl_onnx_import *import, const fl_onnx_value *x,
                        fl_onnx_kind kind)
{
    fl_onnx_value half = *x;
    half.kind = kind;
    return fl_onnx_output(import, half);
}

fl_err fl_onnx_reduce_l2(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(check_over_channels(import, x));
    return name_half(import, x, FL_ONNX_LENGTH);
}

// x * x, summed up: the square of a length.
fl_err fl_onnx_reduce_sum(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(check_over_channels(import, x));
    const fl_node *mul = fl_onnx_maker(import, x);
    if (mul->op != FL_OP_MUL || mul->inputs[0] != mul->inputs[1]) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "only a sum of squares, on the way to a length, "
                              "is supported");
    }
    import->is_absorbed[x->node] = true;
    fl_onnx_value squared = *x;
    squared.node = mul->inputs[0];
    return name_half(import, &squared, FL_ONNX_SQUARES);
}

fl_err fl_onnx_sqrt(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    FL_TRY(fl_onnx_input(import, 0, &x));
    if (x->kind == FL_ONNX_SQUARES) {
        return name_half(import, x, FL_ONNX_LENGTH);
    }
    return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                          "only the root of a sum of squares is supported");
}

// Of a length and its lower bound.
fl_err fl_onnx_max(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    float min;
    const size_t side = fl_onnx_input_kind(import, 0) == FL_ONNX_TENSOR ? 0 : 1;
    FL_TRY(fl_onnx_input(import, 1 - side, &x));
    FL_TRY(fl_onnx_input_float(import, side, &min, 0.0F));
    if (x->kind != FL_ONNX_LENGTH || !(min > 0.0F && isfinite(min))) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "only a length and a number above 0, on the "
                              "way to x / max(|x|, number), are supported");
    }
    fl_onnx_value bounded = *x;
    bounded.epsilon = min;
    return fl_onnx_output(import, bounded);
}

// A length as often as there are channels: what Div does by itself.
fl_err fl_onnx_expand(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    fl_onnx_sizes sizes;
    FL_TRY(fl_onnx_input(import, 0, &x));
    FL_TRY(fl_onnx_input_sizes(import, 1, &sizes));
    if (x->kind != FL_ONNX_LENGTH || !fl_onnx_is_shape_of(import, &sizes, x)) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "only a length, to the shape of what it is the "
                              "length of, is supported");
    }
    return fl_onnx_output(import, *x);
}

fl_err fl_onnx_div_length(fl_onnx_import *import)
{
    const fl_onnx_value *x, *length;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(fl_onnx_input(import, 1, &length));
    if (x->node != length->node || x->axes != length->axes) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "\"%s\" is not the length of \"%s\"",
                              length->name, x->name);
    }
    const float epsilon = length->epsilon > 0.0F ? length->epsilon : LENGTH_MIN;
    return fl_onnx_layer_on(import,
                            (fl_node){.op = FL_OP_L2NORM, .epsilon = epsilon},
                            x, NULL, NULL);
}

fl_err fl_onnx_lp_norm(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    int64_t wanted;
    uint32_t axis;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    FL_TRY(fl_onnx_attribute_must_be(import, "p", 2));
    FL_TRY(fl_onnx_attribute_int(import, &wanted, "axis", -1));
    FL_TRY(fl_onnx_axis(import, &axis, wanted, fl_onnx_is_flat(x) ? 2 : 4));
    if (axis != fl_onnx_channel_axis(x)) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "attribute axis is %" PRId64
                              ", only that of the channels is supported",
                              wanted);
    }
    return fl_onnx_layer_on(
        import, (fl_node){.op = FL_OP_L2NORM, .epsilon = LENGTH_MIN}, x, NULL,
        NULL);
}
