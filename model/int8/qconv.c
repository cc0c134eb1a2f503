/*
 * CONV and DENSE: sums of products, and the MAXPOOL fused behind them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "model/int8/qstep.h"

/* ---- weights ---- */

// factor = (x.scale * weight_scale) / y.scale; logits are not divided.
static fl_err fill_factors(float *factors, const fl_qstep *step,
                           const float *weight_scales, uint32_t count,
                           fl_reason *why)
{
    for (uint32_t c = 0; c < count; c++) {
        float factor = step->x[0].quant.scale * weight_scales[c];
        if (step->y.quant.scale > 0.0F) factor /= step->y.quant.scale;
        if (!isfinite(factor) || factor < 0.0F) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "the scales of output channel %u leave the "
                                 "range of float32; quantize the model again",
                                 c);
        }
        factors[c] = factor;
    }
    return FL_OK;
}

// With any bytes as input, a channel's sum stays below 2^31.
static fl_err check_sums(const int8_t *weights, const int32_t *biases,
                         uint32_t count, size_t depth, fl_reason *why)
{
    for (uint32_t c = 0; c < count; c++) {
        uint64_t sum = (uint64_t)llabs((long long)biases[c]);
        for (size_t k = 0; k < depth; k++) {
            sum += (uint64_t)255 * (unsigned)abs(weights[c * depth + k]);
        }
        if (sum > INT32_MAX) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "the sums of output channel %u may leave 32 "
                                 "bits; leave this layer in float32",
                                 c);
        }
    }
    return FL_OK;
}

typedef struct {
    size_t (*bytes)(const fl_qweights *weights);
    void (*pack)(uint8_t *dst, const fl_qweights *weights);
} packer;

static fl_err pack_groups(fl_qstep *step, fl_qcontext *context, packer how,
                          const fl_qweights *first, size_t depth)
{
    fl_qweights weights = *first;
    step->group_bytes = how.bytes(&weights);
    if (step->group_bytes > SIZE_MAX - 63) return FL_ERR_LIMIT;
    step->group_bytes = (step->group_bytes + 63) / 64 * 64;
    size_t bytes;
    FL_TRY(fl_size_mul(&bytes, step->group_bytes, step->group_count));
    step->packed = fl_arena_take(&context->keep, bytes);
    if (!step->packed) return FL_ERR_MEMORY;
    for (uint32_t g = 0; g < step->group_count; g++) {
        how.pack(step->packed + g * step->group_bytes, &weights);
        weights.weights += weights.columns * depth;
        weights.biases += weights.columns;
        weights.factors += weights.columns;
    }
    return FL_OK;
}

// The weights of `channels` outputs, `depth` each, cut into step's segments.
static fl_err pack_weights(fl_qstep *step, fl_qcontext *context,
                           uint32_t channels, size_t depth, fl_reason *why)
{
    const fl_int8_model *model = context->model;
    const uint32_t at = model->channel_at[step->index];
    const int8_t *weights = model->weights + step->node.weight_at;
    FL_TRY(check_sums(weights, model->biases + at, channels, depth, why));

    float *factors = calloc(channels, sizeof *factors);
    if (!factors) return FL_ERR_MEMORY;
    fl_err err =
        fill_factors(factors, step, model->weight_scales + at, channels, why);
    const fl_qkernels *k = context->kernels;
    const packer product = {k->product_bytes, k->pack_product};
    const packer depthwise = {k->depthwise_bytes, k->pack_depthwise};
    const fl_qweights all = {
        .weights = weights,
        .biases = model->biases + at,
        .factors = factors,
        .columns = channels / step->group_count,
        .segment_count = step->segment_count,
        .segment_len = step->segment_len,
        .zero_point = step->x[0].quant.zero_point,
    };
    if (!err) {
        err =
            pack_groups(step, context, step->is_depthwise ? depthwise : product,
                        &all, depth);
    }
    free(factors);
    return err;
}

static fl_qresult result_of(const fl_qstep *step, uint8_t *y, size_t y_step)
{
    return (fl_qresult){
        .y = y,
        .y_step = y_step,
        .low = step->low,
        .high = step->high,
        .zero_point = step->y.quant.zero_point,
    };
}

/* ---- DENSE ---- */

static void dense_run(const fl_qstep *step, const fl_qcontext *context)
{
    fl_qproduct product = {
        .a = step->x[0].at,
        .a_step = step->x[0].image,
        .segments = step->segments,
        .segment_count = step->segment_count,
        .segment_len = step->segment_len,
        .rows = context->count,
        .columns = step->sums.channels,
        .packed = step->packed,
        .out = result_of(step, step->y.at, step->y.image),
    };
    if (step->y.quant.scale <= 0.0F) {
        product.out.y = NULL;
        product.out.logits = context->logits;
        product.out.y_step = step->sums.channels;
    }
    context->kernels->product(&product);
}

fl_err fl_qdense_prepare(fl_qstep *step, fl_qcontext *context, fl_reason *why)
{
    const fl_qvalue *x = &step->x[0];
    const size_t depth = fl_shape_size(x->shape);
    const uint32_t rows = fl_qvalue_is_whole(x) ? 1 : x->shape.height;
    step->run = dense_run;
    step->group_count = 1;
    step->segment_count = rows;
    step->segment_len = (uint32_t)(depth / rows);
    step->mac_count = (uint64_t)depth * step->sums.channels;
    step->segments =
        fl_arena_take(&context->keep, rows * sizeof *step->segments);
    if (!step->segments) return FL_ERR_MEMORY;
    for (uint32_t i = 0; i < rows; i++) {
        step->segments[i] = (uint32_t)(i * x->row);
    }
    return pack_weights(step, context, step->sums.channels, depth, why);
}

/* ---- CONV ---- */

// Each channel `repeat` times: what a filter with a multiplier reads.
static void copy_pixels(uint8_t *dst, const uint8_t *src, size_t count,
                        uint32_t repeat)
{
    if (repeat == 1) {
        memcpy(dst, src, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        memset(dst + i * repeat, src[i], repeat);
    }
}

// The example with its border around it.
static fl_qvalue framed(const fl_qstep *step, uint32_t example)
{
    const fl_qvalue *x = &step->x[0];
    if (!step->has_frame) {
        fl_qvalue found = *x;
        found.at += example * x->image;
        return found;
    }
    fl_qvalue frame = step->frame;
    frame.at = step->scratch + fl_qvalue_origin(&frame);
    fl_qvalue_fill_border(&frame, 1);
    const size_t row = (size_t)x->shape.width * x->shape.channels;
    for (uint32_t y = 0; y < x->shape.height; y++) {
        copy_pixels(fl_qvalue_row(&frame, 0, y), fl_qvalue_row(x, example, y),
                    row, step->repeat);
    }
    return frame;
}

// First byte under the window of pixel (y, 0).
static const uint8_t *window_at(const fl_qstep *step, const fl_qvalue *x,
                                uint32_t y)
{
    const fl_window *w = &step->node.window;
    return x->at +
           ((ptrdiff_t)y * w->stride_h - w->pad_top) * (ptrdiff_t)x->row -
           (ptrdiff_t)w->pad_left * x->shape.channels;
}

static void filter_row(const fl_qstep *step, const fl_qcontext *context,
                       const fl_qvalue *x, uint32_t y, uint32_t pixels,
                       fl_qresult out)
{
    const fl_window *w = &step->node.window;
    const size_t channels = x->shape.channels;
    const fl_qdepthwise depthwise = {
        .in =
            {
                .x = window_at(step, x, y),
                .x_step = w->stride_w * channels,
                .row_step = step->node.dilation_h * x->row,
                .column_step = step->node.dilation_w * channels,
                .kernel_h = w->kernel_h,
                .kernel_w = w->kernel_w,
                .pixels = pixels,
                .channels = x->shape.channels,
            },
        .packed = step->packed,
        .out = out,
    };
    context->kernels->depthwise(&depthwise);
}

static void multiply_row(const fl_qstep *step, const fl_qcontext *context,
                         const fl_qvalue *x, uint32_t y, uint32_t pixels,
                         fl_qresult out)
{
    const uint32_t groups = step->group_count;
    fl_qproduct product = {
        .a = window_at(step, x, y),
        .a_step = (size_t)step->node.window.stride_w * x->shape.channels,
        .segments = step->segments,
        .segment_count = step->segment_count,
        .segment_len = step->segment_len,
        .rows = pixels,
        .columns = step->sums.channels / groups,
        .packed = step->packed,
        .out = out,
    };
    for (uint32_t g = 0; g < groups; g++) {
        context->kernels->product(&product);
        product.a += x->shape.channels / groups;
        product.packed += step->group_bytes;
        if (product.out.y) product.out.y += product.columns;
        if (product.out.logits) product.out.logits += product.columns;
    }
}

// `pixels` results from the beginning of row y on.
static void conv_row(const fl_qstep *step, const fl_qcontext *context,
                     const fl_qvalue *x, uint32_t y, uint32_t pixels,
                     fl_qresult out)
{
    if (step->is_depthwise) {
        filter_row(step, context, x, y, pixels, out);
    } else {
        multiply_row(step, context, x, y, pixels, out);
    }
}

static void pooled_rows(const fl_qstep *step, const fl_qcontext *context,
                        const fl_qvalue *x, uint32_t example)
{
    const fl_window *w = &step->pool;
    const size_t channels = step->sums.channels;
    const size_t row = step->sums.width * channels;
    uint8_t *rows = step->scratch;
    if (step->has_frame) rows += step->frame.image;
    fl_qpool pool = {
        .in =
            {
                .x = rows,
                .x_step = w->stride_w * channels,
                .row_step = row,
                .column_step = channels,
                .kernel_h = w->kernel_h,
                .kernel_w = w->kernel_w,
                .pixels = step->y.shape.width,
                .channels = step->sums.channels,
            },
        .y_step = channels,
    };
    for (uint32_t y = 0; y < step->y.shape.height; y++) {
        for (uint32_t i = 0; i < w->kernel_h; i++) {
            conv_row(step, context, x, y * w->kernel_h + i, step->sums.width,
                     result_of(step, rows + i * row, channels));
        }
        pool.y = fl_qvalue_row(&step->y, example, y);
        context->kernels->maxpool(&pool);
    }
}

static void plain_rows(const fl_qstep *step, const fl_qcontext *context,
                       const fl_qvalue *x, uint32_t example)
{
    const size_t channels = step->sums.channels;
    for (uint32_t y = 0; y < step->sums.height; y++) {
        fl_qresult out = result_of(step, NULL, channels);
        if (step->y.quant.scale > 0.0F) {
            out.y = fl_qvalue_row(&step->y, example, y);
        } else {
            const size_t at = (size_t)example * step->sums.height + y;
            out.logits = context->logits + at * step->sums.width * channels;
        }
        conv_row(step, context, x, y, step->sums.width, out);
    }
}

static void conv_run(const fl_qstep *step, const fl_qcontext *context)
{
    for (uint32_t i = 0; i < context->count; i++) {
        const fl_qvalue x = framed(step, i);
        if (step->has_pool) {
            pooled_rows(step, context, &x, i);
        } else {
            plain_rows(step, context, &x, i);
        }
    }
}

// A convolution whose output pixel is a matter of the input pixel alone: all
// pixels of all examples are the rows of one product.
static void pointwise_run(const fl_qstep *step, const fl_qcontext *context)
{
    const size_t pixels =
        (size_t)step->sums.height * step->sums.width * context->count;
    const fl_qresult out = result_of(step, step->y.at, step->sums.channels);
    multiply_row(step, context, &step->x[0], 0, (uint32_t)pixels, out);
}

static bool is_padded(const fl_window *w)
{
    return w->pad_top + w->pad_left + w->pad_bottom + w->pad_right > 0;
}

static bool is_pointwise(const fl_qstep *step)
{
    const fl_window *w = &step->node.window;
    return w->kernel_h == 1 && w->kernel_w == 1 && w->stride_h == 1 &&
           w->stride_w == 1 && !is_padded(w) && !step->is_depthwise &&
           !step->has_pool && step->y.quant.scale > 0.0F &&
           fl_qvalue_is_whole(&step->x[0]) && fl_qvalue_is_whole(&step->y);
}

// Does the border around x hold the padding?
static bool has_border(const fl_qvalue *x, const fl_window *w)
{
    return x->top >= w->pad_top && x->left >= w->pad_left &&
           x->bottom >= w->pad_bottom && x->right >= w->pad_right;
}

static fl_err add_frame(fl_qstep *step)
{
    const fl_window *w = &step->node.window;
    const fl_qvalue *x = &step->x[0];
    step->has_frame = true;
    step->frame = (fl_qvalue){
        .shape = x->shape,
        .quant = x->quant,
        .top = w->pad_top,
        .left = w->pad_left,
        .bottom = w->pad_bottom,
        .right = w->pad_right,
    };
    step->frame.shape.channels *= step->repeat;
    FL_TRY(fl_qvalue_lay_out(&step->frame));
    step->scratch_bytes = step->frame.image;
    return FL_OK;
}

// Where the window's bytes lie, from its first one: a run for each row of the
// window, or a run for each tap when channels lie between the taps.
static fl_err cut_segments(fl_qstep *step, fl_qcontext *context)
{
    const fl_window *w = &step->node.window;
    const fl_qvalue *x = step->has_frame ? &step->frame : &step->x[0];
    const uint32_t channels = x->shape.channels;
    const bool is_run = step->group_count == 1 && step->node.dilation_w == 1;
    const uint32_t columns = is_run ? 1 : w->kernel_w;
    step->segment_count = w->kernel_h * columns;
    step->segment_len =
        is_run ? w->kernel_w * channels : channels / step->group_count;
    step->segments = fl_arena_take(&context->keep, step->segment_count *
                                                       sizeof *step->segments);
    if (!step->segments) return FL_ERR_MEMORY;
    for (uint32_t s = 0; s < step->segment_count; s++) {
        const size_t at =
            (size_t)(s / columns) * step->node.dilation_h * x->row +
            (size_t)(s % columns) * step->node.dilation_w * channels;
        if (at > UINT32_MAX) return FL_ERR_LIMIT;
        step->segments[s] = (uint32_t)at;
    }
    return FL_OK;
}

static fl_err add_pool_rows(fl_qstep *step)
{
    size_t rows;
    FL_TRY(fl_size_mul(&rows, step->pool.kernel_h, step->sums.width));
    FL_TRY(fl_size_mul(&rows, rows, step->sums.channels));
    return fl_size_add(&step->scratch_bytes, step->scratch_bytes, rows);
}

fl_err fl_qconv_prepare(fl_qstep *step, fl_qcontext *context, fl_reason *why)
{
    const fl_window *w = &step->node.window;
    const fl_qvalue *x = &step->x[0];
    const uint32_t inputs = x->shape.channels, outputs = step->sums.channels;
    const size_t depth = step->node.weight_count / outputs;
    step->mac_count = (uint64_t)fl_shape_size(step->sums) * depth;
    step->group_count = step->node.group_count;
    step->repeat = 1;
    step->is_depthwise = step->group_count == inputs && inputs > 1;
    if (step->is_depthwise) {
        step->repeat = outputs / inputs;
        step->group_count = 1;
    }
    if (step->repeat > 1 || !has_border(x, w)) FL_TRY(add_frame(step));
    if (step->has_pool) FL_TRY(add_pool_rows(step));
    step->run = is_pointwise(step) ? pointwise_run : conv_run;
    if (step->is_depthwise) {
        step->segment_count = w->kernel_h;
        step->segment_len = w->kernel_w;
    } else {
        FL_TRY(cut_segments(step, context));
    }
    return pack_weights(step, context, outputs, depth, why);
}
