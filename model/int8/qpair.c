/*
 * ADD and MUL of two quantised values.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "model/int8/qstep.h"

static void compute(const fl_qstep *step, const fl_qcontext *context,
                    const fl_qpair *pair)
{
    if (step->node.op == FL_OP_ADD) {
        context->kernels->add(pair);
    } else {
        context->kernels->mul(pair);
    }
}

static fl_qpair pair_of(const fl_qstep *step)
{
    return (fl_qpair){
        .a_zero = step->x[0].quant.zero_point,
        .b_zero = step->x[1].quant.zero_point,
        .zero_point = step->y.quant.zero_point,
        .a_factor = step->a_factor,
        .b_factor = step->b_factor,
        .low = step->low,
        .high = step->high,
    };
}

static void same_shape_run(const fl_qstep *step, const fl_qcontext *context)
{
    const fl_qvalue *a = &step->x[0], *b = &step->x[1], *y = &step->y;
    const bool is_whole =
        fl_qvalue_is_whole(a) && fl_qvalue_is_whole(b) && fl_qvalue_is_whole(y);
    fl_qpair pair = pair_of(step);
    pair.count = is_whole ? context->count * y->image
                          : (size_t)y->shape.width * y->shape.channels;
    const uint32_t rows = is_whole ? 1 : y->shape.height;
    for (uint32_t i = 0; i < (is_whole ? 1 : context->count); i++) {
        for (uint32_t row = 0; row < rows; row++) {
            pair.a = fl_qvalue_row(a, i, row);
            pair.b = fl_qvalue_row(b, i, row);
            pair.y = fl_qvalue_row(y, i, row);
            compute(step, context, &pair);
        }
    }
}

// b is one pixel, used at every pixel of a.
static void per_channel_run(const fl_qstep *step, const fl_qcontext *context)
{
    const fl_qvalue *y = &step->y;
    fl_qpair pair = pair_of(step);
    pair.count = y->shape.channels;
    for (uint32_t i = 0; i < context->count; i++) {
        pair.b = fl_qvalue_row(&step->x[1], i, 0);
        for (uint32_t row = 0; row < y->shape.height; row++) {
            pair.a = fl_qvalue_row(&step->x[0], i, row);
            pair.y = fl_qvalue_row(y, i, row);
            for (uint32_t column = 0; column < y->shape.width; column++) {
                compute(step, context, &pair);
                pair.a += pair.count;
                pair.y += pair.count;
            }
        }
    }
}

fl_err fl_qpair_prepare(fl_qstep *step, fl_qcontext *context, fl_reason *why)
{
    (void)context;
    const float a = step->x[0].quant.scale, b = step->x[1].quant.scale;
    const float y = step->y.quant.scale;
    if (step->node.op == FL_OP_ADD) {
        step->a_factor = a / y;
        step->b_factor = b / y;
    } else {
        step->a_factor = a * b / y;
    }
    if (!isfinite(step->a_factor) || !isfinite(step->b_factor)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the scales of its values leave the range of "
                             "float32; quantize the model again");
    }
    const fl_shape s = step->x[1].shape;
    const bool is_pixel = s.height * s.width == 1 &&
                          step->y.shape.height * step->y.shape.width > 1;
    step->run = is_pixel ? per_channel_run : same_shape_run;
    return FL_OK;
}
