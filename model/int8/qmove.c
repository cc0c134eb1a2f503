/*
 * What takes bytes to other places: CONCAT, SLICE and SHUFFLE; and what makes
 * other bytes of them, one by one: activations, as tables of 256.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <string.h>

#include "model/int8/qstep.h"

/* ---- CONCAT, SLICE, SHUFFLE ---- */

// `count` bytes of every pixel of a row, from one array of pixels to another.
static void copy_channels(uint8_t *dst, size_t dst_step, const uint8_t *src,
                          size_t src_step, size_t count, uint32_t pixels)
{
    for (uint32_t i = 0; i < pixels; i++) {
        memcpy(dst, src, count);
        dst += dst_step;
        src += src_step;
    }
}

static void concat_row(const fl_qstep *step, uint32_t example, uint32_t y)
{
    uint8_t *dst = fl_qvalue_row(&step->y, example, y);
    for (uint32_t k = 0; k < step->node.input_count; k++) {
        const uint32_t channels = step->x[k].shape.channels;
        copy_channels(dst, step->y.shape.channels,
                      fl_qvalue_row(&step->x[k], example, y), channels,
                      channels, step->y.shape.width);
        dst += channels;
    }
}

static void slice_row(const fl_qstep *step, uint32_t example, uint32_t y)
{
    copy_channels(fl_qvalue_row(&step->y, example, y), step->y.shape.channels,
                  fl_qvalue_row(&step->x[0], example, y) + step->node.first,
                  step->x[0].shape.channels, step->y.shape.channels,
                  step->y.shape.width);
}

static void shuffle_row(const fl_qstep *step, uint32_t example, uint32_t y)
{
    const uint32_t groups = step->node.group_count;
    const uint32_t size = step->y.shape.channels / groups;
    const uint8_t *src = fl_qvalue_row(&step->x[0], example, y);
    uint8_t *dst = fl_qvalue_row(&step->y, example, y);
    for (uint32_t i = 0; i < step->y.shape.width; i++) {
        for (uint32_t k = 0; k < size; k++) {
            for (uint32_t g = 0; g < groups; g++) {
                *dst++ = src[g * size + k];
            }
        }
        src += step->y.shape.channels;
    }
}

static void move_run(const fl_qstep *step, const fl_qcontext *context)
{
    for (uint32_t i = 0; i < context->count; i++) {
        for (uint32_t y = 0; y < step->y.shape.height; y++) {
            if (step->node.op == FL_OP_CONCAT) {
                concat_row(step, i, y);
            } else if (step->node.op == FL_OP_SLICE) {
                slice_row(step, i, y);
            } else {
                shuffle_row(step, i, y);
            }
        }
    }
}

fl_err fl_qmove_prepare(fl_qstep *step, fl_qcontext *context, fl_reason *why)
{
    (void)context;
    const fl_quant y = step->y.quant;
    for (uint32_t k = 0; k < step->node.input_count; k++) {
        const fl_quant x = step->x[k].quant;
        if (x.scale >= y.scale && x.scale <= y.scale &&
            x.zero_point == y.zero_point) {
            continue;
        }
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "its input %u has another quantization than its "
                             "output",
                             k);
    }
    step->run = move_run;
    return FL_OK;
}

/* ---- activations ---- */

static double between(double x, double low, double high)
{
    return fmin(fmax(x, low), high);
}

static double activation(const fl_node *node, double x)
{
    const double alpha = (double)node->alpha, beta = (double)node->beta;
    if (node->op == FL_OP_RELU) return fmax(x, 0.0);
    if (node->op == FL_OP_RELU6) return between(x, 0.0, 6.0);
    if (node->op == FL_OP_LEAKY_RELU) return x > 0.0 ? x : alpha * x;
    if (node->op == FL_OP_HARD_SIGMOID) {
        return between(alpha * x + beta, 0.0, 1.0);
    }
    if (node->op == FL_OP_HARD_SWISH) {
        return x * between(x / 6.0 + 0.5, 0.0, 1.0);
    }
    if (node->op == FL_OP_SIGMOID) return 1.0 / (1.0 + exp(-x));
    return tanh(x);
}

// In double precision and rounded once: the same table on every machine.
static void fill_table(uint8_t table[256], const fl_qstep *step)
{
    const fl_quant x = step->x[0].quant, y = step->y.quant;
    for (int q = 0; q < 256; q++) {
        const double real = (double)x.scale * (q - x.zero_point);
        const double exact =
            activation(&step->node, real) / (double)y.scale + y.zero_point;
        table[q] = (uint8_t)nearbyint(fmin(fmax(exact, 0.0), 255.0));
    }
}

static void lookup_run(const fl_qstep *step, const fl_qcontext *context)
{
    const fl_qvalue *x = &step->x[0], *y = &step->y;
    if (fl_qvalue_is_whole(x) && fl_qvalue_is_whole(y)) {
        context->kernels->lookup(y->at, x->at, step->table,
                                 context->count * y->image);
        return;
    }
    const size_t row_bytes = (size_t)y->shape.width * y->shape.channels;
    for (uint32_t i = 0; i < context->count; i++) {
        for (uint32_t row = 0; row < y->shape.height; row++) {
            context->kernels->lookup(fl_qvalue_row(y, i, row),
                                     fl_qvalue_row(x, i, row), step->table,
                                     row_bytes);
        }
    }
}

fl_err fl_qlookup_prepare(fl_qstep *step, fl_qcontext *context, fl_reason *why)
{
    (void)why;
    step->table = fl_arena_take(&context->keep, 256);
    if (!step->table) return FL_ERR_MEMORY;
    fill_table(step->table, step);
    step->run = lookup_run;
    return FL_OK;
}
