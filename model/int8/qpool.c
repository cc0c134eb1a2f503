/*
 * MAXPOOL, AVGPOOL and GLOBALPOOL. Windows at the edge are cut off: padding
 * takes no part, except that a mean may count its zeros.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/int8/qstep.h"

typedef struct {
    uint32_t first, count;  // of a window's taps, those inside the image
} taps;

static taps inside(uint32_t at, uint32_t stride, uint32_t pad, uint32_t kernel,
                   uint32_t size)
{
    const int64_t from = (int64_t)at * stride - pad;
    const int64_t first = from < 0 ? -from : 0;
    const int64_t end = size - from < kernel ? size - from : kernel;
    return (taps){(uint32_t)first, (uint32_t)(end - first)};
}

// What each number counts in the mean of a window with these taps.
static float share_of(const fl_node *node, taps down, taps across)
{
    const fl_window *w = &node->window;
    const uint64_t taken = (uint64_t)down.count * across.count;
    const uint64_t all = (uint64_t)w->kernel_h * w->kernel_w;
    return 1.0F / (float)(node->counts_padding ? all : taken);
}

// `pixels` results from (y, x) on, whose windows are cut off alike.
static void pool_pixels(const fl_qstep *step, const fl_qcontext *context,
                        uint32_t example, uint32_t y, uint32_t x,
                        uint32_t pixels)
{
    const fl_window *w = &step->node.window;
    const fl_qvalue *from = &step->x[0];
    const size_t channels = from->shape.channels;
    const taps down =
        inside(y, w->stride_h, w->pad_top, w->kernel_h, from->shape.height);
    const taps across =
        inside(x, w->stride_w, w->pad_left, w->kernel_w, from->shape.width);
    const size_t top = (size_t)y * w->stride_h + down.first - w->pad_top;
    const size_t left = (size_t)x * w->stride_w + across.first - w->pad_left;
    const fl_qpool pool = {
        .in =
            {
                .x = fl_qvalue_row(from, example, top) + left * channels,
                .x_step = w->stride_w * channels,
                .row_step = from->row,
                .column_step = channels,
                .kernel_h = down.count,
                .kernel_w = across.count,
                .pixels = pixels,
                .channels = from->shape.channels,
            },
        .y = fl_qvalue_row(&step->y, example, y) + x * channels,
        .y_step = channels,
        .zero_point = from->quant.zero_point,
        .share = share_of(&step->node, down, across),
    };
    if (step->node.op == FL_OP_MAXPOOL) {
        context->kernels->maxpool(&pool);
    } else {
        context->kernels->average(&pool);
    }
}

// Pixels whose windows are whole go together, the others one by one.
static void pool_row(const fl_qstep *step, const fl_qcontext *context,
                     uint32_t example, uint32_t y)
{
    const fl_window *w = &step->node.window;
    const uint32_t width = step->y.shape.width;
    uint32_t x = 0;
    while (x < width) {
        uint32_t end = x;
        while (end < width && inside(end, w->stride_w, w->pad_left, w->kernel_w,
                                     step->x[0].shape.width)
                                      .count == w->kernel_w) {
            end++;
        }
        const uint32_t pixels = end > x ? end - x : 1;
        pool_pixels(step, context, example, y, x, pixels);
        x += pixels;
    }
}

static void pool_run(const fl_qstep *step, const fl_qcontext *context)
{
    for (uint32_t i = 0; i < context->count; i++) {
        for (uint32_t y = 0; y < step->y.shape.height; y++) {
            pool_row(step, context, i, y);
        }
    }
}

fl_err fl_qpool_prepare(fl_qstep *step, fl_qcontext *context, fl_reason *why)
{
    (void)context;
    const fl_quant x = step->x[0].quant, y = step->y.quant;
    if (x.scale < y.scale || x.scale > y.scale ||
        x.zero_point != y.zero_point) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "a pool must keep the quantization of its input");
    }
    if (step->node.op == FL_OP_GLOBALPOOL) {
        step->node.window = (fl_window){
            .kernel_h = step->x[0].shape.height,
            .kernel_w = step->x[0].shape.width,
            .stride_h = 1,
            .stride_w = 1,
        };
    }
    step->run = pool_run;
    return FL_OK;
}
