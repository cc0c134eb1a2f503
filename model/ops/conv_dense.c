/*
 * Convolution as matrix products without im2col: the patch of an output pixel
 * is KH segments of KW * I contiguous floats of the input, see
 * model/kernels/kernels.h. I and O are the channels of a group; with groups
 * or dilation a segment lies in KW pieces of I floats.
 *
 *   y    row of output pixels  =  patches * W^T
 *   dW   (O, piece) += dy^T * pieces of patches
 *   dx   one of two:
 *        gathered, stride 1: a row of dx = patches of dy * W flipped
 *        scattered:          patches += dy * W, one piece after the other
 *
 * Padding is written out: an example is copied into a frame of zeros first.
 * Gathering takes a frame around dy, and scattering one around dx.
 *
 * A 1x1 convolution of stride 1 knows no examples, only pixels: it is *flat*
 * and runs over chunks of them that stay in the cache. Where rows are short, a
 * pixel of all examples takes the place of a row (conv_geometry.h).
 *
 * With a max pool behind it, the rows under one row of pool windows are
 * computed into scratch and pooled from there; the place of each winner is
 * kept for backward.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/bytes.h"
#include "model/ops/conv_geometry.h"

/*
 * Two ways round: a kernel row's KW * I weights side by side in vectors, or
 * the O outputs side by side, whichever wastes fewer lanes. The second gives
 * the transpose (KH * KW * I, O), collected in scratch over all examples.
 */
static bool is_transposed(const fl_task *task, const fl_conv_geometry *g)
{
    const uint32_t lanes = task->kernels->lanes;
    const uint32_t o = g->outs, row = g->piece_taps * g->ins;
    // o / o rounded up > row / row rounded up
    return (uint64_t)o * ((row + lanes - 1) / lanes) >
           (uint64_t)row * ((o + lanes - 1) / lanes);
}

/* ---- memory ---- */

// Where things lie in scratch; NULL: not needed.
typedef struct {
    float *x;           // frame
    float *rows;        // forward, with a pool: under one row of windows
    float *dy;          // frame, or what lies before a pool
    float *dx;          // frame
    float *transposed;  // the weight's gradient
} areas;

static fl_err take(float **area, size_t *used, float *scratch, size_t count,
                   size_t size)
{
    size_t floats;
    FL_TRY(fl_size_mul(&floats, count, size));
    *area = scratch ? scratch + *used : NULL;
    return fl_size_add(used, *used, floats);
}

static fl_err forward_areas(areas *a, size_t *used, const fl_task *task,
                            const fl_conv_geometry *g)
{
    float *scratch = task->scratch;
    const size_t row = (size_t)g->out.width * g->out.channels;
    *a = (areas){0};
    *used = 0;
    if (g->x.is_padded) {
        FL_TRY(take(&a->x, used, scratch, g->example_cap, g->x.size));
    }
    if (!task->pool) return FL_OK;
    return take(&a->rows, used, scratch, task->pool->kernel_h, row);
}

static fl_err backward_areas(areas *a, size_t *used, const fl_task *task,
                             const fl_conv_geometry *g)
{
    float *scratch = task->scratch;
    *a = (areas){0};
    *used = 0;
    if (g->x.is_padded) {
        FL_TRY(take(&a->x, used, scratch, g->example_cap, g->x.size));
    }
    if (g->x.is_padded && !g->gathers) {
        FL_TRY(take(&a->dx, used, scratch, g->example_cap, g->x.size));
    }
    if (g->dy.is_padded || task->pool) {
        FL_TRY(take(&a->dy, used, scratch, g->example_cap, g->dy.size));
    }
    if (!is_transposed(task, g)) return FL_OK;
    return take(&a->transposed, used, scratch, task->node->weight_count, 1);
}

static fl_err dense_memory(fl_task_memory *memory, const fl_task *task,
                           bool with_gradients)
{
    const fl_conv_geometry g = fl_conv_geometry_of(task);
    areas ignored;
    size_t backward;
    FL_TRY(forward_areas(&ignored, &memory->scratch, task, &g));
    memory->packed = g.group_count * g.forward_floats;
    if (!with_gradients) return FL_OK;

    FL_TRY(backward_areas(&ignored, &backward, task, &g));
    if (backward > memory->scratch) memory->scratch = backward;
    memory->packed += g.group_count * g.backward_floats;
    memory->kept = task->pool ? (fl_shape_size(task->y_shape) + 3) / 4 : 0;
    return FL_OK;
}

/* ---- packed weights ---- */

// Taps in reverse, each (O, I): the product that gathers.
static void pack_flipped(float *packed, const fl_task *task,
                         const fl_conv_geometry *g, const float *weight)
{
    const uint32_t taps = g->window->kernel_h * g->window->kernel_w;
    for (uint32_t k = 0; k < taps; k++) {
        const float *tap = weight + (size_t)(taps - 1 - k) * g->ins;
        fl_pack_rows(task->kernels, packed, tap, g->patch_len,
                     (size_t)k * g->outs, g->outs, (size_t)taps * g->outs,
                     g->ins);
    }
}

// A product for each piece: the one that scatters.
static void pack_pieces(float *packed, const fl_task *task,
                        const fl_conv_geometry *g, const float *weight)
{
    const uint32_t pieces = g->window->kernel_h * g->piece_count;
    const size_t len = (size_t)g->piece_taps * g->ins;
    for (uint32_t k = 0; k < pieces; k++) {
        fl_pack_rows(task->kernels, packed, weight + k * len, g->patch_len, 0,
                     g->outs, g->outs, len);
        packed += fl_pack_floats(task->kernels, g->outs, len);
    }
}

static float *packed_for_backward(const fl_task *task,
                                  const fl_conv_geometry *g, uint32_t group)
{
    return task->packed + g->group_count * g->forward_floats +
           group * g->backward_floats;
}

static void dense_load(const fl_task *task, bool with_gradients)
{
    const fl_conv_geometry g = fl_conv_geometry_of(task);
    for (uint32_t i = 0; i < g.group_count; i++) {
        const float *weight = task->weight + (size_t)i * g.outs * g.patch_len;
        fl_pack_columns(task->kernels, task->packed + i * g.forward_floats,
                        weight, g.patch_len, g.patch_len, g.outs);
        if (!with_gradients || !task->dx[0]) continue;
        float *packed = packed_for_backward(task, &g, i);
        if (g.gathers) {
            pack_flipped(packed, task, &g, weight);
        } else {
            pack_pieces(packed, task, &g, weight);
        }
    }
}

/* ---- forward ---- */

// Line i of the output, or where there is a pool of what lies before it.
static void forward_line(float *y, const fl_task *task,
                         const fl_conv_geometry *g, const float *x, uint32_t i)
{
    const size_t pixel = (size_t)g->window->stride_w * g->x.channels;
    const float *from =
        x + fl_conv_line_at(g, g->out.width, i, g->window->stride_h * g->x.row,
                            pixel);
    for (uint32_t k = 0; k < g->group_count; k++) {
        const fl_product product = {
            .a = from + (size_t)k * g->ins,
            .a_step = g->is_across ? g->x.size : pixel,
            .segment_step = g->dilation_h * g->x.row,
            .piece_step = (size_t)g->dilation_w * g->x.channels,
            .segment_count = g->window->kernel_h,
            .piece_count = g->piece_count,
            .piece_len = g->piece_taps * g->ins,
            .b = task->packed + k * g->forward_floats,
            .c = y + (size_t)k * g->outs,
            .c_step = g->is_across ? g->y_size : g->out.channels,
            .rows = fl_conv_line_len(g, g->out.width),
            .columns = g->outs,
            .bias = task->bias ? task->bias + (size_t)k * g->outs : NULL,
            .relu = fl_act_is_relu(task),
        };
        task->kernels->product(&product);
    }
}

static void forward_plain(float *y, const fl_task *task,
                          const fl_conv_geometry *g, const float *x)
{
    const size_t row_len = (size_t)g->out.width * g->out.channels;
    const bool has_act = task->act && !fl_act_is_relu(task);
    const uint32_t count = fl_conv_line_count(g, g->out.height, g->out.width);
    for (uint32_t i = 0; i < count; i++) {
        float *line =
            y + fl_conv_line_at(g, g->out.width, i, row_len, g->out.channels);
        forward_line(line, task, g, x, i);
        if (has_act && !g->is_across) fl_act_apply(task, line, row_len);
    }
    if (has_act && g->is_across) {
        fl_act_apply(task, y, g->examples * g->y_size);
    }
}

static fl_pool_row pool_row_of(const fl_task *task, const fl_conv_geometry *g,
                               float *rows, size_t row_step)
{
    return (fl_pool_row){
        .rows = rows,
        .row_step = row_step,
        .kernel_h = task->pool->kernel_h,
        .kernel_w = task->pool->kernel_w,
        .width = task->y_shape.width,
        .channels = g->out.channels,
    };
}

static void forward_pooled(float *y, uint8_t *from, const fl_task *task,
                           const fl_conv_geometry *g, const float *x,
                           float *rows)
{
    const size_t row_len = (size_t)g->out.width * g->out.channels;
    const size_t y_len = (size_t)task->y_shape.width * g->out.channels;
    for (uint32_t py = 0; py < task->y_shape.height; py++) {
        for (uint32_t r = 0; r < task->pool->kernel_h; r++) {
            forward_line(rows + r * row_len, task, g, x,
                         py * task->pool->stride_h + r);
        }
        fl_pool_row pool = pool_row_of(task, g, rows, row_len);
        pool.y = y;
        pool.from = from;
        task->kernels->pool(&pool);
        y += y_len;
        if (from) from += y_len;
    }
}

static void dense_forward(const fl_task *task, bool with_gradients)
{
    fl_conv_geometry g = fl_conv_geometry_of(task);
    areas a;
    size_t used;
    if (forward_areas(&a, &used, task, &g)) return;  // as dense_memory saw
    uint8_t *from = with_gradients ? task->kept : NULL;
    fl_conv_clear_frames(a.x, &g, &g.x);
    for (size_t i = 0; i < g.chunk_count; i++) {
        fl_conv_begin_chunk(&g, task, i);
        const float *x =
            fl_conv_framed(a.x, &g, &g.x, task->x[0] + fl_conv_x_at(&g, i));
        float *y = task->y + fl_conv_y_at(&g, i);
        if (task->pool) {
            forward_pooled(y, from ? from + i * g.y_size : NULL, task, &g, x,
                           a.rows);
        } else {
            forward_plain(y, task, &g, x);
        }
    }
}

/* ---- the gradient of the output ---- */

// dy of a chunk, behind pool and activation.
typedef struct {
    const float *whole, *inside;  // whole: the frame, where there is one
    size_t row;                   // floats
} out_grad;

// Adds the bias's gradient too. What no window covers stays 0.
static void unpool_example(float *dy, const fl_task *task,
                           const fl_conv_geometry *g, size_t i)
{
    const size_t y_len = (size_t)task->y_shape.width * g->out.channels;
    for (uint32_t y = 0; y < task->y_shape.height; y++) {
        const size_t at = i * g->y_size + y * y_len;
        fl_pool_row row = pool_row_of(task, g, dy, g->dy.row);
        row.y = task->act ? task->y + at : NULL;
        row.from = (uint8_t *)task->kept + at;
        row.dy = task->dy + at;
        row.bias_grad = task->bias_grad;
        task->kernels->unpool(&row);
        dy += task->pool->kernel_h * g->dy.row;
    }
}

static out_grad out_grad_of(const fl_task *task, const fl_conv_geometry *g,
                            const areas *a, size_t i)
{
    if (task->pool) {
        float *inside = fl_conv_inside(a->dy, &g->dy);
        unpool_example(inside, task, g, i);
        return (out_grad){a->dy, inside, g->dy.row};
    }
    const size_t at = fl_conv_y_at(g, i);
    float *dy = task->dy + at;
    const size_t row = (size_t)g->out.width * g->out.channels;
    fl_conv_mask_and_sum(task, dy, task->y + at,
                         (size_t)g->examples * g->out.height * g->out.width);
    if (!task->dx[0]) return (out_grad){NULL, dy, row};
    return (out_grad){fl_conv_framed(a->dy, g, &g->dy, dy), dy, row};
}

/* ---- the gradient of the weight ---- */

// Pixels that a gradient of the weight sums over in one go: an example's, or
// one row of those of all examples.
typedef struct {
    const float *x, *dy;  // of the group
    size_t x_row, dy_row;
    uint32_t row_count;
} span;

// One group's: dy^T times a piece.
static void add_weight_grad(float *grad, const fl_task *task,
                            const fl_conv_geometry *g, const span *s)
{
    const uint32_t len = g->piece_taps * g->ins;
    for (uint32_t k = 0; k < g->window->kernel_h * g->piece_count; k++) {
        const size_t row = k / g->piece_count, piece = k % g->piece_count;
        const fl_outer outer = {
            .a = s->dy,
            .a_row = s->dy_row,
            .a_step = g->out.channels,
            .b = s->x + row * g->dilation_h * g->x.row +
                 piece * g->dilation_w * g->x.channels,
            .b_row = s->x_row,
            .b_step = (size_t)g->window->stride_w * g->x.channels,
            .row_count = s->row_count,
            .step_count = g->out.width,
            .segment_count = 1,
            .g = grad + (size_t)k * len,
            .g_step = g->patch_len,
            .m_count = g->outs,
            .n_count = len,
        };
        task->kernels->outer(&outer);
    }
}

// One group's, the other way round: the pieces of all kernel rows, or of one,
// in one go.
static void add_transposed_grad(float *transposed, const fl_task *task,
                                const fl_conv_geometry *g, const span *s)
{
    const bool is_whole = g->piece_count == 1;
    const uint32_t len = g->piece_taps * g->ins;
    fl_outer outer = {
        .a = s->x,
        .a_row = s->x_row,
        .a_step = (size_t)g->window->stride_w * g->x.channels,
        .segment_step = is_whole ? g->dilation_h * g->x.row
                                 : (size_t)g->dilation_w * g->x.channels,
        .b = s->dy,
        .b_row = s->dy_row,
        .b_step = g->out.channels,
        .row_count = s->row_count,
        .step_count = g->out.width,
        .g = transposed,
        .g_step = g->outs,
        .segment_count = is_whole ? g->window->kernel_h : g->piece_count,
        .m_count = len,
        .n_count = g->outs,
    };
    for (uint32_t k = 0; k < (is_whole ? 1 : g->window->kernel_h); k++) {
        task->kernels->outer(&outer);
        outer.a += g->dilation_h * g->x.row;
        outer.g += (size_t)g->piece_count * len * g->outs;
    }
}

static void add_span(const fl_task *task, const fl_conv_geometry *g,
                     const areas *a, span s)
{
    const size_t group_size = g->outs * g->patch_len;
    for (uint32_t i = 0; i < g->group_count; i++) {
        if (a->transposed) {
            add_transposed_grad(a->transposed + i * group_size, task, g, &s);
        } else {
            add_weight_grad(task->weight_grad + i * group_size, task, g, &s);
        }
        s.x += g->ins;
        s.dy += g->outs;
    }
}

static void add_weight_grads(const fl_task *task, const fl_conv_geometry *g,
                             const areas *a, const float *x, const out_grad *dy)
{
    const size_t x_row = g->x.row * g->window->stride_h;
    if (!g->is_across) {
        add_span(task, g, a,
                 (span){x, dy->inside, x_row, dy->row, g->out.height});
        return;
    }
    for (uint32_t y = 0; y < g->out.height; y++) {
        add_span(task, g, a,
                 (span){x + y * x_row, dy->inside + y * dy->row, g->x.size,
                        g->y_size, g->examples});
    }
}

static void add_transpose(const fl_task *task, const fl_conv_geometry *g,
                          const float *transposed)
{
    for (uint32_t o = 0; o < g->out.channels; o++) {
        const size_t group = o / g->outs;
        const float *from =
            transposed + group * g->outs * g->patch_len + o % g->outs;
        float *grad = task->weight_grad + o * g->patch_len;
        for (size_t k = 0; k < g->patch_len; k++) {
            grad[k] += from[k * g->outs];
        }
    }
}

/* ---- the gradient of the input ---- */

static void gather_input_grad(float *dx, const fl_task *task,
                              const fl_conv_geometry *g, const out_grad *dy)
{
    const uint32_t height = g->is_flat ? 1 : g->x.inside_height;
    const uint32_t width = g->is_flat ? g->out.width : g->x.inside_width;
    const size_t row = (size_t)width * g->x.channels;
    const uint32_t count = fl_conv_line_count(g, height, width);
    for (uint32_t k = 0; k < count * g->group_count; k++) {
        const uint32_t i = k / g->group_count, group = k % g->group_count;
        const fl_product product = {
            .a = dy->whole + (size_t)group * g->outs +
                 fl_conv_line_at(g, width, i, g->dy.row, g->dy.channels),
            .a_step = g->is_across ? g->dy.size : g->dy.channels,
            .segment_step = g->dilation_h * g->dy.row,
            .piece_step = (size_t)g->dilation_w * g->dy.channels,
            .segment_count = g->window->kernel_h,
            .piece_count = g->piece_count,
            .piece_len = g->piece_taps * g->outs,
            .b = packed_for_backward(task, g, group),
            .c = dx + (size_t)group * g->ins +
                 fl_conv_line_at(g, width, i, row, g->x.channels),
            .c_step = g->is_across ? g->x_size : g->x.channels,
            .rows = fl_conv_line_len(g, width),
            .columns = g->ins,
            .add = !task->is_fresh[0],
        };
        task->kernels->product(&product);
    }
}

// One group's line of dy, to the patches in dx from `line` on.
static void scatter_line(float *line, const fl_task *task,
                         const fl_conv_geometry *g, const float *dy,
                         const float *packed)
{
    const uint32_t len = g->piece_taps * g->ins;
    const size_t pixel = (size_t)g->window->stride_w * g->x.channels;
    for (uint32_t k = 0; k < g->window->kernel_h * g->piece_count; k++) {
        const fl_product product = {
            .a = dy,
            .a_step = g->is_across ? g->y_size : g->out.channels,
            .segment_count = 1,
            .piece_count = 1,
            .piece_len = g->outs,
            .b = packed,
            .c = line +
                 (size_t)(k / g->piece_count) * g->dilation_h * g->x.row +
                 (size_t)(k % g->piece_count) * g->dilation_w * g->x.channels,
            .c_step = g->is_across ? g->x.size : pixel,
            .rows = fl_conv_line_len(g, g->out.width),
            .columns = len,
            .add = true,
        };
        task->kernels->product(&product);
        packed += fl_pack_floats(task->kernels, g->outs, len);
    }
}

static void scatter_input_grad(float *dx, const fl_task *task,
                               const fl_conv_geometry *g, const out_grad *dy)
{
    const uint32_t width = g->out.width;
    const uint32_t count = fl_conv_line_count(g, g->out.height, width);
    const size_t pixel = (size_t)g->window->stride_w * g->x.channels;
    for (uint32_t k = 0; k < count * g->group_count; k++) {
        const uint32_t i = k / g->group_count, group = k % g->group_count;
        float *line =
            dx + (size_t)group * g->ins +
            fl_conv_line_at(g, width, i, g->window->stride_h * g->x.row, pixel);
        const float *from =
            dy->inside + (size_t)group * g->outs +
            fl_conv_line_at(g, width, i, dy->row, g->out.channels);
        scatter_line(line, task, g, from, packed_for_backward(task, g, group));
    }
}

static void add_input_grad(float *dx, const fl_task *task,
                           const fl_conv_geometry *g, const areas *a,
                           const out_grad *dy)
{
    if (g->gathers) {
        gather_input_grad(dx, task, g, dy);
    } else if (a->dx) {
        fl_conv_clear_frames(a->dx, g, &g->x);
        scatter_input_grad(a->dx, task, g, dy);
        fl_conv_take_inside(dx, g, &g->x, a->dx, !task->is_fresh[0]);
    } else {
        if (task->is_fresh[0]) {
            memset(dx, 0, g->examples * g->x_size * sizeof *dx);
        }
        scatter_input_grad(dx, task, g, dy);
    }
}

/* ---- backward ---- */

static void dense_backward(const fl_task *task)
{
    fl_conv_geometry g = fl_conv_geometry_of(task);
    areas a;
    size_t used;
    if (backward_areas(&a, &used, task, &g)) return;  // as dense_memory saw
    if (a.transposed) {
        memset(a.transposed, 0, task->node->weight_count * sizeof(float));
    }
    fl_conv_clear_frames(a.x, &g, &g.x);
    fl_conv_clear_frames(a.dy, &g, &g.dy);
    for (size_t i = 0; i < g.chunk_count; i++) {
        fl_conv_begin_chunk(&g, task, i);
        const float *x =
            fl_conv_framed(a.x, &g, &g.x, task->x[0] + fl_conv_x_at(&g, i));
        const out_grad dy = out_grad_of(task, &g, &a, i);
        if (task->weight_grad) add_weight_grads(task, &g, &a, x, &dy);
        if (!task->dx[0]) continue;
        add_input_grad(task->dx[0] + fl_conv_x_at(&g, i), task, &g, &a, &dy);
    }
    if (a.transposed && task->weight_grad) {
        add_transpose(task, &g, a.transposed);
    }
}

const fl_op fl_conv_dense_op = {
    .memory = dense_memory,
    .load = dense_load,
    .forward = dense_forward,
    .backward = dense_backward,
};
