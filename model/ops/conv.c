/*
 * Convolution, NHWC, weight (O, KH, KW, I), as matrix products without
 * im2col: the patch of an output pixel is KH segments of KW * I contiguous
 * floats of the input, see model/kernels/kernels.h.
 *
 *   y       row of output pixels  =  patches * W^T
 *   dW      (O, KW * I) a kernel row  +=  dy^T * patches
 *   dx      patches  +=  dy * W, one kernel row after the other
 *
 * Padding is written out: an example is copied into a frame of zeros first,
 * and the gradient of the frame's inside is added to dx at the end.
 *
 * With a max pool behind it, the rows under one row of pool windows are
 * computed into scratch and pooled from there; the place of each winner is
 * kept for backward.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/bytes.h"
#include "model/ops/op.h"

static fl_err conv_shape(fl_node *node, const fl_shape *inputs, fl_reason *why)
{
    if (node->out_count == 0) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (Conv) has no output channels",
                             node->name);
    }
    node->shape.channels = node->out_count;
    node->bias_count = node->out_count;
    FL_TRY(fl_op_window_shape(&node->shape, node, inputs[0], why));

    size_t patch;
    FL_TRY(fl_size_mul(&patch, node->window.kernel_h, node->window.kernel_w));
    FL_TRY(fl_size_mul(&patch, patch, inputs[0].channels));
    return fl_size_mul(&node->weight_count, patch, node->out_count);
}

// Everything that follows from a task's shapes.
typedef struct {
    const fl_window *window;
    fl_shape frame;        // the input with its padding
    fl_shape out;          // before the pool
    bool is_padded;        // the frame is larger than the input
    uint32_t segment_len;  // KW * I
    size_t patch_len;      // KH * KW * I
    size_t frame_row;      // floats
    size_t forward_floats, segment_floats;  // packed
} geometry;

static geometry geometry_of(const fl_task *task)
{
    const fl_window *w = &task->node->window;
    geometry g = {
        .window = w,
        .frame = task->x_shape,
        .out = task->pool ? task->pool_input : task->y_shape,
        .segment_len = w->kernel_w * task->x_shape.channels,
    };
    g.is_padded = w->pad_top || w->pad_left || w->pad_bottom || w->pad_right;
    g.frame.height += w->pad_top + w->pad_bottom;
    g.frame.width += w->pad_left + w->pad_right;
    g.patch_len = (size_t)g.segment_len * w->kernel_h;
    g.frame_row = (size_t)g.frame.width * g.frame.channels;
    g.forward_floats =
        fl_pack_floats(task->kernels, g.patch_len, g.out.channels);
    g.segment_floats =
        fl_pack_floats(task->kernels, g.out.channels, g.segment_len);
    return g;
}

/*
 * Two ways round: a kernel row's KW * I weights side by side in vectors, or
 * the O outputs side by side, whichever wastes fewer lanes. The second gives
 * the transpose (KH * KW * I, O), collected in scratch over all examples.
 */
static bool is_transposed(const fl_task *task, const geometry *g)
{
    const uint32_t lanes = task->kernels->lanes;
    const uint32_t o = g->out.channels, row = g->segment_len;
    // o / o rounded up > row / row rounded up
    return (uint64_t)o * ((row + lanes - 1) / lanes) >
           (uint64_t)row * ((o + lanes - 1) / lanes);
}

// Rows of this node's output that one row of pool windows covers.
static uint32_t rows_pooled(const fl_task *task)
{
    return task->pool ? task->pool->kernel_h : 1;
}

static fl_err conv_memory(fl_task_memory *memory, const fl_task *task,
                          bool with_gradients)
{
    const geometry g = geometry_of(task);
    size_t backward_packed, frame = 0, rows = 0, dense = 0;
    if (g.is_padded) {
        // One for the values and one for the gradient.
        FL_TRY(fl_size_mul(&frame, g.frame.height, g.frame_row * 2));
    }
    if (task->pool) {
        FL_TRY(fl_size_mul(&rows, rows_pooled(task),
                           (size_t)g.out.width * g.out.channels));
        if (with_gradients) dense = fl_shape_size(g.out);
    }
    if (with_gradients && is_transposed(task, &g)) {
        FL_TRY(fl_size_add(&dense, dense, task->node->weight_count));
    }
    memory->scratch = rows > dense ? rows : dense;
    FL_TRY(fl_size_add(&memory->scratch, memory->scratch, frame));

    memory->packed = g.forward_floats;
    if (!with_gradients) return FL_OK;
    memory->kept = task->pool ? (fl_shape_size(task->y_shape) + 3) / 4 : 0;
    FL_TRY(fl_size_mul(&backward_packed, g.segment_floats, g.window->kernel_h));
    return fl_size_add(&memory->packed, memory->packed, backward_packed);
}

static void conv_load(const fl_task *task, bool with_gradients)
{
    const geometry g = geometry_of(task);
    fl_pack_columns(task->kernels, task->packed, task->weight, g.patch_len,
                    g.patch_len, g.out.channels);
    if (!with_gradients || !task->dx[0]) return;
    float *packed = task->packed + g.forward_floats;
    for (uint32_t s = 0; s < g.window->kernel_h; s++) {
        fl_pack_rows(task->kernels, packed,
                     task->weight + (size_t)s * g.segment_len, g.patch_len,
                     g.out.channels, g.segment_len);
        packed += g.segment_floats;
    }
}

/* ---- padding ---- */

// The example itself, or its copy in a frame of zeros.
static const float *framed(float *frame, const fl_task *task, const geometry *g,
                           const float *x)
{
    if (!g->is_padded) return x;
    const size_t row = (size_t)task->x_shape.width * task->x_shape.channels;
    const size_t left = (size_t)g->window->pad_left * g->frame.channels;
    memset(frame, 0, g->frame.height * g->frame_row * sizeof *frame);
    float *to = frame + g->window->pad_top * g->frame_row + left;
    for (uint32_t y = 0; y < task->x_shape.height; y++) {
        memcpy(to + y * g->frame_row, x + y * row, row * sizeof *to);
    }
    return frame;
}

static void add_inside(float *dx, const fl_task *task, const geometry *g,
                       const float *frame)
{
    const size_t row = (size_t)task->x_shape.width * task->x_shape.channels;
    const size_t left = (size_t)g->window->pad_left * g->frame.channels;
    const float *from = frame + g->window->pad_top * g->frame_row + left;
    for (uint32_t y = 0; y < task->x_shape.height; y++) {
        for (size_t i = 0; i < row; i++) {
            dx[i] += from[i];
        }
        dx += row;
        from += g->frame_row;
    }
}

/* ---- forward ---- */

static void forward_row(float *y, const fl_task *task, const geometry *g,
                        const float *x, uint32_t out_y)
{
    const fl_product product = {
        .a = x + (size_t)out_y * g->window->stride_h * g->frame_row,
        .a_step = (size_t)g->window->stride_w * g->frame.channels,
        .segment_step = g->frame_row,
        .segment_count = g->window->kernel_h,
        .segment_len = g->segment_len,
        .b = task->packed,
        .c = y,
        .c_step = g->out.channels,
        .rows = g->out.width,
        .columns = g->out.channels,
        .bias = task->bias,
        .relu = fl_act_is_relu(task),
    };
    task->kernels->product(&product);
}

static fl_pool_row pool_row_of(const fl_task *task, const geometry *g,
                               float *rows)
{
    return (fl_pool_row){
        .rows = rows,
        .row_step = (size_t)g->out.width * g->out.channels,
        .kernel_h = task->pool->kernel_h,
        .kernel_w = task->pool->kernel_w,
        .width = task->y_shape.width,
        .channels = g->out.channels,
    };
}

static void forward_pooled(float *y, uint8_t *from, const fl_task *task,
                           const geometry *g, const float *x, float *rows)
{
    const size_t row_len = (size_t)g->out.width * g->out.channels;
    const size_t y_len = (size_t)task->y_shape.width * g->out.channels;
    for (uint32_t py = 0; py < task->y_shape.height; py++) {
        for (uint32_t r = 0; r < task->pool->kernel_h; r++) {
            forward_row(rows + r * row_len, task, g, x,
                        py * task->pool->stride_h + r);
        }
        fl_pool_row pool = pool_row_of(task, g, rows);
        pool.y = y;
        pool.from = from;
        task->kernels->pool(&pool);
        y += y_len;
        if (from) from += y_len;
    }
}

static void conv_forward(const fl_task *task, bool with_gradients)
{
    const geometry g = geometry_of(task);
    const size_t x_size = fl_shape_size(task->x_shape);
    const size_t y_size = fl_shape_size(task->y_shape);
    const size_t row_len = (size_t)g.out.width * g.out.channels;
    float *frame = task->scratch;
    float *rows = frame + (g.is_padded ? g.frame.height * g.frame_row : 0);
    uint8_t *from = with_gradients ? task->kept : NULL;

    for (uint32_t i = 0; i < task->count; i++) {
        const float *x = framed(frame, task, &g, task->x[0] + i * x_size);
        float *y = task->y + i * y_size;
        if (task->pool) {
            forward_pooled(y, from ? from + i * y_size : NULL, task, &g, x,
                           rows);
        } else {
            for (uint32_t row = 0; row < g.out.height; row++) {
                forward_row(y + row * row_len, task, &g, x, row);
            }
        }
    }
}

/* ---- backward ---- */

// The gradient of example i before pool and ReLU; adds its bias gradient.
static void unpool_example(float *dense, const fl_task *task, const geometry *g,
                           uint32_t i)
{
    const size_t row_len = (size_t)g->out.width * g->out.channels;
    const size_t y_len = (size_t)task->y_shape.width * g->out.channels;
    const uint32_t pooled_h = task->pool->kernel_h * task->y_shape.height;
    const uint32_t pooled_w = task->pool->kernel_w * task->y_shape.width;
    if (pooled_w < g->out.width) {
        memset(dense, 0, g->out.height * row_len * sizeof *dense);
    } else {
        memset(dense + pooled_h * row_len, 0,
               (g->out.height - pooled_h) * row_len * sizeof *dense);
    }
    for (uint32_t y = 0; y < task->y_shape.height; y++) {
        const size_t at = (i * task->y_shape.height + y) * y_len;
        fl_pool_row row = pool_row_of(task, g, dense);
        row.y = task->act ? task->y + at : NULL;
        row.from = (uint8_t *)task->kept + at;
        row.dy = task->dy + at;
        row.bias_grad = task->bias_grad;
        task->kernels->unpool(&row);
        dense += task->pool->kernel_h * row_len;
    }
}

static void add_transposed_grad(float *transposed, const fl_task *task,
                                const geometry *g, const float *x,
                                const float *dy)
{
    const fl_outer outer = {
        .a = x,
        .a_row = g->frame_row * g->window->stride_h,
        .a_step = (size_t)g->window->stride_w * g->frame.channels,
        .segment_step = g->frame_row,
        .b = dy,
        .b_row = (size_t)g->out.width * g->out.channels,
        .b_step = g->out.channels,
        .row_count = g->out.height,
        .step_count = g->out.width,
        .g = transposed,
        .g_step = g->out.channels,
        .segment_count = g->window->kernel_h,
        .m_count = g->segment_len,
        .n_count = g->out.channels,
    };
    task->kernels->outer(&outer);
}

static void add_transpose(const fl_task *task, const geometry *g,
                          const float *transposed)
{
    for (uint32_t o = 0; o < g->out.channels; o++) {
        float *grad = task->weight_grad + o * g->patch_len;
        for (size_t k = 0; k < g->patch_len; k++) {
            grad[k] += transposed[k * g->out.channels + o];
        }
    }
}

static void add_weight_grad(const fl_task *task, const geometry *g,
                            const float *x, const float *dy)
{
    for (uint32_t s = 0; s < g->window->kernel_h; s++) {
        const fl_outer outer = {
            .a = dy,
            .a_row = (size_t)g->out.width * g->out.channels,
            .a_step = g->out.channels,
            .b = x + s * g->frame_row,
            .b_row = g->frame_row * g->window->stride_h,
            .b_step = (size_t)g->window->stride_w * g->frame.channels,
            .row_count = g->out.height,
            .step_count = g->out.width,
            .segment_count = 1,
            .g = task->weight_grad + (size_t)s * g->segment_len,
            .g_step = g->patch_len,
            .m_count = g->out.channels,
            .n_count = g->segment_len,
        };
        task->kernels->outer(&outer);
    }
}

static void add_input_grad(float *dx, const fl_task *task, const geometry *g,
                           const float *dy)
{
    const size_t dy_row = (size_t)g->out.width * g->out.channels;
    for (uint32_t y = 0; y < g->out.height; y++) {
        const float *packed = task->packed + g->forward_floats;
        float *row = dx + (size_t)y * g->window->stride_h * g->frame_row;
        for (uint32_t s = 0; s < g->window->kernel_h; s++) {
            const fl_product product = {
                .a = dy + y * dy_row,
                .a_step = g->out.channels,
                .segment_count = 1,
                .segment_len = g->out.channels,
                .b = packed,
                .c = row,
                .c_step = (size_t)g->window->stride_w * g->frame.channels,
                .rows = g->out.width,
                .columns = g->segment_len,
                .add = true,
            };
            task->kernels->product(&product);
            packed += g->segment_floats;
            row += g->frame_row;
        }
    }
}

// The gradients behind the ReLU and of the bias, when there is no pool.
static void mask_and_sum(const fl_task *task, const geometry *g)
{
    const size_t size = task->count * fl_shape_size(task->y_shape);
    if (task->act) fl_act_grad_by_output(task, task->dy, task->y, size);
    if (!task->bias_grad) return;
    task->kernels->bias_sum(task->bias_grad, task->dy, size / g->out.channels,
                            g->out.channels);
}

// Where things lie in backward's scratch.
typedef struct {
    float *frame, *frame_grad;  // with padding
    float *dense;               // with a pool
    float *transposed;          // is_transposed
} scratch;

static scratch scratch_of(const fl_task *task, const geometry *g)
{
    const size_t frame_size = g->is_padded ? g->frame.height * g->frame_row : 0;
    const size_t dense_size = task->pool ? fl_shape_size(g->out) : 0;
    scratch s = {.frame = task->scratch};
    s.frame_grad = s.frame + frame_size;
    s.dense = s.frame_grad + frame_size;
    s.transposed = s.dense + dense_size;
    return s;
}

static void backward_example(const fl_task *task, const geometry *g,
                             const scratch *s, uint32_t i)
{
    const size_t x_size = fl_shape_size(task->x_shape);
    const float *x = framed(s->frame, task, g, task->x[0] + i * x_size);
    const float *dy = task->dy + i * fl_shape_size(task->y_shape);
    if (task->pool) {
        unpool_example(s->dense, task, g, i);
        dy = s->dense;
    }
    if (task->weight_grad && is_transposed(task, g)) {
        add_transposed_grad(s->transposed, task, g, x, dy);
    } else if (task->weight_grad) {
        add_weight_grad(task, g, x, dy);
    }
    if (!task->dx[0]) return;

    float *dx = task->dx[0] + i * x_size;
    if (g->is_padded) {
        const size_t frame_size = g->frame.height * g->frame_row;
        memset(s->frame_grad, 0, frame_size * sizeof *s->frame_grad);
        add_input_grad(s->frame_grad, task, g, dy);
        add_inside(dx, task, g, s->frame_grad);
    } else {
        add_input_grad(dx, task, g, dy);
    }
}

static void conv_backward(const fl_task *task)
{
    const geometry g = geometry_of(task);
    const scratch s = scratch_of(task, &g);
    const size_t weight_bytes = task->node->weight_count * sizeof(float);
    const bool adds_transposed = task->weight_grad && is_transposed(task, &g);
    if (adds_transposed) memset(s.transposed, 0, weight_bytes);
    fl_op_clear_fresh(task, 0);
    if (!task->pool) mask_and_sum(task, &g);
    for (uint32_t i = 0; i < task->count; i++) {
        backward_example(task, &g, &s, i);
    }
    if (adds_transposed) add_transpose(task, &g, s.transposed);
}

const fl_op fl_conv_op = {
    .input_count = 1,
    .takes_act = FL_FUSE_BY_OUTPUT,
    .takes_pool = true,
    .reads_input = true,
    .reads_output = true,  // for the activation
    .shape = conv_shape,
    .memory = conv_memory,
    .load = conv_load,
    .forward = conv_forward,
    .backward = conv_backward,
};
