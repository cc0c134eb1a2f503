/*
 * Convolution with as many groups as input channels: output channel
 * c * M + m sees input channel c only. Everything runs over all O = I * M
 * output channels side by side; with M above 1 each example is copied first,
 * every channel M times in a row.
 *
 *   packed   weight (KH, KW, O)
 *   scratch  x (H, W, O) and dx (H, W, O) of an example when M > 1, then the
 *            weight's gradient (KH, KW, O)
 *
 * The gradient of the input is a convolution again: a pixel takes from those
 * outputs whose taps see it. With a stride, neighbours are seen by different
 * taps; those of one *phase*, a stride apart, by the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/bytes.h"
#include "model/ops/conv.h"

typedef struct {
    fl_window_axis rows, columns;
    uint32_t outputs, multiplier;
    size_t x_row, y_row;    // floats, of O channels
    size_t x_size, y_size;  // of an example, of O channels
    size_t taps_size;       // KH * KW * O
} geometry;

static geometry geometry_of(const fl_task *task)
{
    const fl_node *node = task->node;
    const fl_window *w = &node->window;
    const fl_shape x = task->x_shape, y = task->y_shape;
    geometry g = {
        .rows = {x.height, y.height, w->kernel_h, w->stride_h, node->dilation_h,
                 w->pad_top},
        .columns = {x.width, y.width, w->kernel_w, w->stride_w,
                    node->dilation_w, w->pad_left},
        .outputs = y.channels,
        .multiplier = y.channels / x.channels,
    };
    g.x_row = (size_t)x.width * g.outputs;
    g.y_row = (size_t)y.width * g.outputs;
    g.x_size = x.height * g.x_row;
    g.y_size = y.height * g.y_row;
    g.taps_size = node->weight_count;
    return g;
}

static fl_err depthwise_memory(fl_task_memory *memory, const fl_task *task,
                               bool with_gradients)
{
    const geometry g = geometry_of(task);
    memory->packed = g.taps_size;
    if (g.multiplier > 1) {
        FL_TRY(fl_size_mul(&memory->scratch, g.x_size, with_gradients ? 2 : 1));
    }
    if (!with_gradients) return FL_OK;
    return fl_size_add(&memory->scratch, memory->scratch, g.taps_size);
}

static void depthwise_load(const fl_task *task, bool with_gradients)
{
    (void)with_gradients;
    const geometry g = geometry_of(task);
    const size_t taps = g.taps_size / g.outputs;
    for (uint32_t o = 0; o < g.outputs; o++) {
        for (size_t k = 0; k < taps; k++) {
            task->packed[k * g.outputs + o] = task->weight[o * taps + k];
        }
    }
}

/* ---- M output channels an input channel ---- */

// The example itself, or its copy with every channel M times.
static const float *widened(float *wide, const fl_task *task, const geometry *g,
                            const float *x)
{
    if (g->multiplier == 1) return x;
    const size_t size = fl_shape_size(task->x_shape);
    float *to = wide;
    for (size_t i = 0; i < size; i++) {
        for (uint32_t m = 0; m < g->multiplier; m++) {
            *to++ = x[i];
        }
    }
    return wide;
}

static void narrow(float *dx, const fl_task *task, const geometry *g,
                   const float *wide)
{
    const size_t size = fl_shape_size(task->x_shape);
    for (size_t i = 0; i < size; i++) {
        float sum = task->is_fresh[0] ? 0.0F : dx[i];
        for (uint32_t m = 0; m < g->multiplier; m++) {
            sum += *wide++;
        }
        dx[i] = sum;
    }
}

/* ---- forward ---- */

// The taps from `*from` on that meet the input at output o; how many.
static uint32_t taps_inside(uint32_t *from, const fl_window_axis *a, uint32_t o)
{
    const int64_t start = (int64_t)o * a->stride - a->pad;
    const int64_t first =
        start < 0 ? (-start + a->dilation - 1) / a->dilation : 0;
    int64_t end = a->x_count - start;
    end = end > 0 ? (end + a->dilation - 1) / a->dilation : 0;
    if (end > a->kernel) end = a->kernel;
    *from = 0;
    if (first >= end) return 0;
    *from = (uint32_t)first;
    return (uint32_t)(end - first);
}

static void forward_row(float *y, const fl_task *task, const geometry *g,
                        const float *x, uint32_t out_y)
{
    uint32_t tap = 0;
    const uint32_t tap_rows = taps_inside(&tap, &g->rows, out_y);
    const int64_t at = (int64_t)out_y * g->rows.stride +
                       (int64_t)tap * g->rows.dilation - g->rows.pad;
    const size_t w_row = (size_t)g->columns.kernel * g->outputs;
    const fl_depthwise_row row = {
        .x = tap_rows ? x + at * (int64_t)g->x_row : x,
        .x_row = (ptrdiff_t)(g->rows.dilation * g->x_row),
        .w = task->packed + tap * w_row,
        .w_row = w_row,
        .w_step = g->outputs,
        .row_count = tap_rows,
        .tap_count = g->columns.kernel,
        .first = -(int64_t)g->columns.pad,
        .stride = g->columns.stride,
        .dilation = g->columns.dilation,
        .x_width = g->columns.x_count,
        .y = y,
        .y_step = g->outputs,
        .y_width = g->columns.y_count,
        .channels = g->outputs,
        .bias = task->bias,
        .relu = fl_act_is_relu(task),
    };
    task->kernels->depthwise(&row);
}

static void depthwise_forward(const fl_task *task, bool with_gradients)
{
    (void)with_gradients;
    const geometry g = geometry_of(task);
    const size_t x_size = fl_shape_size(task->x_shape);
    for (uint32_t i = 0; i < task->count; i++) {
        const float *x =
            widened(task->scratch, task, &g, task->x[0] + i * x_size);
        float *y = task->y + i * g.y_size;
        for (uint32_t row = 0; row < g.rows.y_count; row++) {
            forward_row(y + row * g.y_row, task, &g, x, row);
        }
        if (task->act && !fl_act_is_relu(task)) {
            fl_act_apply(task, y, g.y_size);
        }
    }
}

/* ---- the gradient of the input ---- */

// What sees the pixels i with (i + pad) % stride = phase: taps `first`,
// first + step, ..., each one output_step outputs before the one before it.
// Tap `first` belongs to output (i + pad) / stride - lag.
typedef struct {
    uint32_t first, step, count;
    int64_t lag, output_step;
} phase;

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b) {
        const uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static phase phase_of(const fl_window_axis *a, uint32_t number)
{
    const uint32_t divisor = common_divisor(a->dilation, a->stride);
    phase p = {.step = a->stride / divisor,
               .output_step = a->dilation / divisor};
    while (p.first < p.step &&
           (uint64_t)p.first * a->dilation % a->stride != number) {
        p.first++;
    }
    if (p.first == p.step || p.first >= a->kernel) return p;
    p.count = (a->kernel - 1 - p.first) / p.step + 1;
    p.lag = ((int64_t)p.first * a->dilation - number) / a->stride;
    return p;
}

// The taps of a phase that meet an output of `a` from pixel i; how many.
static uint32_t phase_inside(uint32_t *from, const phase *p,
                             const fl_window_axis *a, uint32_t i)
{
    const int64_t nearest = ((int64_t)i + a->pad) / a->stride - p->lag;
    const int64_t beyond = nearest - (a->y_count - 1);
    const int64_t first =
        beyond > 0 ? (beyond + p->output_step - 1) / p->output_step : 0;
    int64_t end = nearest < 0 ? 0 : nearest / p->output_step + 1;
    if (end > p->count) end = p->count;
    *from = 0;
    if (first >= end) return 0;
    *from = (uint32_t)first;
    return (uint32_t)(end - first);
}

// What all pixels of row y of dx have in common.
static fl_depthwise_row input_grad_row(const fl_task *task, const geometry *g,
                                       const float *dy, uint32_t y)
{
    const fl_window_axis *a = &g->rows;
    const uint64_t at = (uint64_t)y + a->pad;
    const phase p = phase_of(a, (uint32_t)(at % a->stride));
    uint32_t from = 0;
    const uint32_t tap_rows = phase_inside(&from, &p, a, y);
    const int64_t output =
        (int64_t)(at / a->stride) - p.lag - from * p.output_step;
    const size_t w_row = (size_t)g->columns.kernel * g->outputs;
    return (fl_depthwise_row){
        .x = tap_rows ? dy + output * (int64_t)g->y_row : dy,
        .x_row = -(ptrdiff_t)p.output_step * (ptrdiff_t)g->y_row,
        .w = tap_rows ? task->packed + (p.first + from * p.step) * w_row
                      : task->packed,
        .w_row = p.step * w_row,
        .row_count = tap_rows,
        .stride = 1,
        .x_width = g->columns.y_count,
        .y_step = (size_t)g->columns.stride * g->outputs,
        .channels = g->outputs,
        .add = g->multiplier == 1 && !task->is_fresh[0],
    };
}

static void add_input_grad(float *dx, const fl_task *task, const geometry *g,
                           const float *dy)
{
    const fl_window_axis *a = &g->columns;
    for (uint32_t y = 0; y < g->rows.x_count; y++) {
        const fl_depthwise_row whole = input_grad_row(task, g, dy, y);
        for (uint32_t x = 0; x < a->stride && x < a->x_count; x++) {
            const uint64_t at = (uint64_t)x + a->pad;
            const phase p = phase_of(a, (uint32_t)(at % a->stride));
            fl_depthwise_row row = whole;
            row.w += (size_t)(p.count ? p.first : 0) * g->outputs;
            row.w_step = (size_t)p.step * g->outputs;
            row.tap_count = p.count;
            row.first = (int64_t)(at / a->stride) - p.lag;
            row.dilation = -p.output_step;
            row.y = dx + (size_t)x * g->outputs;
            row.y_width = (a->x_count - x + a->stride - 1) / a->stride;
            task->kernels->depthwise(&row);
        }
        dx += g->x_row;
    }
}

/* ---- backward ---- */

static void add_transpose(const fl_task *task, const geometry *g,
                          const float *transposed)
{
    const size_t taps = g->taps_size / g->outputs;
    for (uint32_t o = 0; o < g->outputs; o++) {
        for (size_t k = 0; k < taps; k++) {
            task->weight_grad[o * taps + k] += transposed[k * g->outputs + o];
        }
    }
}

static void backward_example(const fl_task *task, const geometry *g,
                             float *weight_grad, float *wide, uint32_t i)
{
    const size_t x_size = fl_shape_size(task->x_shape);
    float *dy = task->dy + i * g->y_size;
    fl_conv_mask_and_sum(task, dy, task->y + i * g->y_size,
                         g->y_size / g->outputs);
    if (task->weight_grad) {
        const fl_depthwise_outer outer = {
            .x = widened(wide, task, g, task->x[0] + i * x_size),
            .dy = dy,
            .rows = g->rows,
            .columns = g->columns,
            .channels = g->outputs,
            .grad = weight_grad,
        };
        task->kernels->depthwise_outer(&outer);
    }
    if (!task->dx[0]) return;
    float *dx = task->dx[0] + i * x_size;
    if (g->multiplier == 1) {
        add_input_grad(dx, task, g, dy);
    } else {
        add_input_grad(wide + g->x_size, task, g, dy);
        narrow(dx, task, g, wide + g->x_size);
    }
}

static void depthwise_backward(const fl_task *task)
{
    const geometry g = geometry_of(task);
    float *wide = task->scratch;
    float *weight_grad = wide + (g.multiplier > 1 ? 2 * g.x_size : 0);
    memset(weight_grad, 0, g.taps_size * sizeof *weight_grad);
    for (uint32_t i = 0; i < task->count; i++) {
        backward_example(task, &g, weight_grad, wide, i);
    }
    if (task->weight_grad) add_transpose(task, &g, weight_grad);
}

const fl_op fl_conv_depthwise_op = {
    .memory = depthwise_memory,
    .load = depthwise_load,
    .forward = depthwise_forward,
    .backward = depthwise_backward,
};
