/* Add, Sub, Mul and Div: of two values, of a value and a constant, of sizes,
 * or as part of a pattern.
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/onnx_import.h"

static bool is_kind(const fl_onnx_import *import, size_t i, fl_onnx_kind kind)
{
    return fl_onnx_input_kind(import, i) == kind;
}

static bool is_either(const fl_onnx_import *import, fl_onnx_kind kind)
{
    return is_kind(import, 0, kind) || is_kind(import, 1, kind);
}

/* ---- two computed values ---- */

static bool is_same(fl_shape a, fl_shape b)
{
    return a.height == b.height && a.width == b.width &&
           a.channels == b.channels;
}

// In whose order the numbers of a row run.
static fl_shape order_of(const fl_onnx_import *import, const fl_onnx_value *x)
{
    if (x->axes == FL_ONNX_FLAT) return x->picture;
    return (fl_shape){1, 1, fl_onnx_shape_of(import, x).channels};
}

// True: the same places in memory are the same places in the file.
static bool are_alike(const fl_onnx_import *import, const fl_onnx_value *a,
                      const fl_onnx_value *b)
{
    if (!fl_onnx_is_flat(a) || !fl_onnx_is_flat(b)) return a->axes == b->axes;
    return is_same(order_of(import, a), order_of(import, b));
}

static bool is_one_pixel(fl_shape s)
{
    return s.height == 1 && s.width == 1;
}

// True: (N, C, H, W) and (N, C, 1, 1), in this order or the other.
static bool broadcasts(fl_shape a, fl_shape b)
{
    return a.channels == b.channels && (is_one_pixel(a) || is_one_pixel(b));
}

static fl_err add_pair(fl_onnx_import *import, fl_op_kind op)
{
    const fl_onnx_value *a, *b;
    FL_TRY(fl_onnx_input_block(import, 0, &a));
    FL_TRY(fl_onnx_input_block(import, 1, &b));
    const fl_shape a_shape = fl_onnx_shape_of(import, a);
    const fl_shape b_shape = fl_onnx_shape_of(import, b);
    const bool fits = is_same(a_shape, b_shape) ||
                      (op == FL_OP_MUL && broadcasts(a_shape, b_shape));
    if (!are_alike(import, a, b) || !fits) {
        return fl_onnx_refuse(
            import, FL_ERR_UNSUPPORTED,
            "its inputs \"%s\" and \"%s\" are not of one shape%s", a->name,
            b->name,
            op == FL_OP_MUL ? ", nor (N, C, H, W) and (N, C, 1, 1)" : "");
    }
    fl_node layer = fl_onnx_layer_reading(op, a);
    layer.inputs[layer.input_count++] = b->node;
    const fl_onnx_value *like = a->axes == FL_ONNX_FLAT ? b : a;
    return fl_onnx_layer_add(import, layer, like, NULL, NULL);
}

/* ---- the operators ---- */

fl_err fl_onnx_add(fl_onnx_import *import)
{
    if (fl_onnx_are_sizes(import)) return fl_onnx_compute_sizes(import, '+');
    if (is_either(import, FL_ONNX_SCALED)) {
        return fl_onnx_groupnorm_bias(import);
    }
    if (is_either(import, FL_ONNX_TENSOR)) return fl_onnx_add_constant(import);
    return add_pair(import, FL_OP_ADD);
}

fl_err fl_onnx_sub(fl_onnx_import *import)
{
    if (fl_onnx_are_sizes(import)) return fl_onnx_compute_sizes(import, '-');
    return fl_onnx_sub_constant(import);
}

fl_err fl_onnx_mul(fl_onnx_import *import)
{
    bool is_read;
    if (fl_onnx_are_sizes(import)) return fl_onnx_compute_sizes(import, '*');
    if (is_either(import, FL_ONNX_NORMED)) {
        return fl_onnx_groupnorm_weight(import);
    }
    if (is_either(import, FL_ONNX_TENSOR)) {
        FL_TRY(fl_onnx_end_hard_sigmoid(import, &is_read));
        return is_read ? FL_OK : fl_onnx_mul_constant(import);
    }
    FL_TRY(fl_onnx_end_hard_swish(import, &is_read));
    return is_read ? FL_OK : add_pair(import, FL_OP_MUL);
}

fl_err fl_onnx_div(fl_onnx_import *import)
{
    bool is_read;
    if (fl_onnx_are_sizes(import)) return fl_onnx_compute_sizes(import, '/');
    if (is_kind(import, 1, FL_ONNX_LENGTH)) return fl_onnx_div_length(import);
    FL_TRY(fl_onnx_end_hard_sigmoid(import, &is_read));
    return is_read ? FL_OK : fl_onnx_div_constant(import);
}
