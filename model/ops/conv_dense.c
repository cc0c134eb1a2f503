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
 * and runs over chunks of them that stay in the cache.
 *
 * With a max pool behind it, the rows under one row of pool windows are
 * computed into scratch and pooled from there; the place of each winner is
 * kept for backward.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/bytes.h"
#include "model/ops/conv.h"

enum { FLAT_PIXELS = 168 };  // of a chunk: whole tiles of 6, 12 and 14 rows

// Pixels with zeros around them.
typedef struct {
    uint32_t height, width, channels;  // with the zeros
    uint32_t top, left;                // zeros before the inside
    uint32_t inside_height, inside_width;
    bool is_padded;  // larger than the inside
    size_t row;      // floats
} frame;

// Everything that follows from a task's shapes.
typedef struct {
    const fl_window *window;
    uint32_t group_count, ins, outs;  // channels of a group
    frame x, dy;
    fl_shape out;  // of a chunk, before the pool
    bool is_flat;
    size_t chunk_count;     // examples, or FLAT_PIXELS each
    size_t x_size, y_size;  // floats of a chunk
    bool gathers;           // how the input's gradient is made
    // A piece of KW taps, or of one where taps lie apart.
    uint32_t piece_count, piece_taps;
    uint32_t dilation_h, dilation_w;
    size_t patch_len;                        // KH * KW * I
    size_t forward_floats, backward_floats;  // packed, of a group
} geometry;

static frame frame_of(fl_shape inside, uint32_t top, uint32_t left,
                      uint32_t bottom, uint32_t right)
{
    frame f = {
        .height = inside.height + top + bottom,
        .width = inside.width + left + right,
        .channels = inside.channels,
        .top = top,
        .left = left,
        .inside_height = inside.height,
        .inside_width = inside.width,
        .is_padded = top || left || bottom || right,
    };
    f.row = (size_t)f.width * f.channels;
    return f;
}

static bool is_flat(const fl_task *task)
{
    const fl_window *w = &task->node->window;
    return w->kernel_h == 1 && w->kernel_w == 1 && w->stride_h == 1 &&
           w->stride_w == 1 && !task->pool;
}

// Of all examples.
static size_t pixels_of(const fl_task *task)
{
    const fl_shape y = task->y_shape;
    return (size_t)task->count * y.height * y.width;
}

/*
 * Gathering multiplies for every pixel of x, scattering for every pixel of
 * dy, but goes over its result KH times. Around a gathered dy lies what the
 * kernel reaches beyond it.
 */
static void plan_input_grad(geometry *g, const fl_task *task)
{
    const fl_window *w = g->window;
    const uint64_t x_pixels =
        (uint64_t)task->x_shape.height * task->x_shape.width;
    const uint64_t y_pixels = (uint64_t)g->out.height * g->out.width;
    g->gathers = w->stride_h == 1 && w->stride_w == 1 &&
                 x_pixels <= y_pixels + y_pixels / 4;
    g->dy = frame_of(g->out, 0, 0, 0, 0);
    if (!g->gathers) return;
    const uint32_t reach_h = (w->kernel_h - 1) * g->dilation_h;
    const uint32_t reach_w = (w->kernel_w - 1) * g->dilation_w;
    g->dy = frame_of(g->out, reach_h - w->pad_top, reach_w - w->pad_left,
                     reach_h - w->pad_bottom, reach_w - w->pad_right);
}

static geometry geometry_of(const fl_task *task)
{
    const fl_node *node = task->node;
    const fl_window *w = &node->window;
    geometry g = {
        .window = w,
        .group_count = node->group_count,
        .ins = task->x_shape.channels / node->group_count,
        .outs = node->out_count / node->group_count,
        .x = frame_of(task->x_shape, w->pad_top, w->pad_left, w->pad_bottom,
                      w->pad_right),
        .out = task->pool ? task->pool_input : task->y_shape,
        .is_flat = is_flat(task),
        .chunk_count = task->count,
        .x_size = fl_shape_size(task->x_shape),
        .y_size = fl_shape_size(task->y_shape),
        .piece_count = 1,
        .piece_taps = w->kernel_w,
        .dilation_h = node->dilation_h,
        .dilation_w = node->dilation_w,
    };
    if (g.group_count > 1 || g.dilation_w > 1) {
        g.piece_count = w->kernel_w;
        g.piece_taps = 1;
    }
    plan_input_grad(&g, task);
    if (g.is_flat) {
        g.chunk_count = (pixels_of(task) + FLAT_PIXELS - 1) / FLAT_PIXELS;
        g.x_size = (size_t)FLAT_PIXELS * task->x_shape.channels;
        g.y_size = (size_t)FLAT_PIXELS * node->out_count;
    }
    const size_t taps = (size_t)w->kernel_h * w->kernel_w;
    g.patch_len = taps * g.ins;
    g.forward_floats = fl_pack_floats(task->kernels, g.patch_len, g.outs);
    g.backward_floats =
        g.gathers ? fl_pack_floats(task->kernels, taps * g.outs, g.ins)
                  : (size_t)w->kernel_h * g.piece_count *
                        fl_pack_floats(task->kernels, g.outs,
                                       (size_t)g.piece_taps * g.ins);
    return g;
}

// The last chunk of a flat convolution may be shorter.
static void begin_chunk(geometry *g, const fl_task *task, size_t chunk)
{
    if (!g->is_flat) return;
    const size_t left = pixels_of(task) - chunk * FLAT_PIXELS;
    g->out.height = 1;
    g->out.width = (uint32_t)(left < FLAT_PIXELS ? left : FLAT_PIXELS);
}

/*
 * Two ways round: a kernel row's KW * I weights side by side in vectors, or
 * the O outputs side by side, whichever wastes fewer lanes. The second gives
 * the transpose (KH * KW * I, O), collected in scratch over all examples.
 */
static bool is_transposed(const fl_task *task, const geometry *g)
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

static fl_err take(float **area, size_t *used, float *scratch, size_t height,
                   size_t row)
{
    size_t floats;
    FL_TRY(fl_size_mul(&floats, height, row));
    *area = scratch ? scratch + *used : NULL;
    return fl_size_add(used, *used, floats);
}

static fl_err forward_areas(areas *a, size_t *used, const fl_task *task,
                            const geometry *g)
{
    float *scratch = task->scratch;
    const size_t row = (size_t)g->out.width * g->out.channels;
    *a = (areas){0};
    *used = 0;
    if (g->x.is_padded) {
        FL_TRY(take(&a->x, used, scratch, g->x.height, g->x.row));
    }
    if (!task->pool) return FL_OK;
    return take(&a->rows, used, scratch, task->pool->kernel_h, row);
}

static fl_err backward_areas(areas *a, size_t *used, const fl_task *task,
                             const geometry *g)
{
    float *scratch = task->scratch;
    *a = (areas){0};
    *used = 0;
    if (g->x.is_padded) {
        FL_TRY(take(&a->x, used, scratch, g->x.height, g->x.row));
    }
    if (g->x.is_padded && !g->gathers) {
        FL_TRY(take(&a->dx, used, scratch, g->x.height, g->x.row));
    }
    if (g->dy.is_padded || task->pool) {
        FL_TRY(take(&a->dy, used, scratch, g->dy.height, g->dy.row));
    }
    if (!is_transposed(task, g)) return FL_OK;
    return take(&a->transposed, used, scratch, task->node->weight_count, 1);
}

static fl_err dense_memory(fl_task_memory *memory, const fl_task *task,
                           bool with_gradients)
{
    const geometry g = geometry_of(task);
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
static void pack_flipped(float *packed, const fl_task *task, const geometry *g,
                         const float *weight)
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
static void pack_pieces(float *packed, const fl_task *task, const geometry *g,
                        const float *weight)
{
    const uint32_t pieces = g->window->kernel_h * g->piece_count;
    const size_t len = (size_t)g->piece_taps * g->ins;
    for (uint32_t k = 0; k < pieces; k++) {
        fl_pack_rows(task->kernels, packed, weight + k * len, g->patch_len, 0,
                     g->outs, g->outs, len);
        packed += fl_pack_floats(task->kernels, g->outs, len);
    }
}

static float *packed_for_backward(const fl_task *task, const geometry *g,
                                  uint32_t group)
{
    return task->packed + g->group_count * g->forward_floats +
           group * g->backward_floats;
}

static void dense_load(const fl_task *task, bool with_gradients)
{
    const geometry g = geometry_of(task);
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

/* ---- frames ---- */

static void clear_frame(float *whole, const frame *f)
{
    if (whole) memset(whole, 0, f->height * f->row * sizeof *whole);
}

static float *inside_of(float *whole, const frame *f)
{
    return whole + f->top * f->row + (size_t)f->left * f->channels;
}

// The pixels themselves, or their copy in a frame whose border is 0 already.
static const float *framed(float *whole, const frame *f, const float *pixels)
{
    if (!f->is_padded) return pixels;
    const size_t row = (size_t)f->inside_width * f->channels;
    float *to = inside_of(whole, f);
    for (uint32_t y = 0; y < f->inside_height; y++) {
        memcpy(to + y * f->row, pixels + y * row, row * sizeof *to);
    }
    return whole;
}

static void take_inside(float *pixels, const frame *f, float *whole, bool add)
{
    const size_t row = (size_t)f->inside_width * f->channels;
    const float *from = inside_of(whole, f);
    for (uint32_t y = 0; y < f->inside_height; y++) {
        for (size_t i = 0; add && i < row; i++) {
            pixels[i] += from[i];
        }
        if (!add) memcpy(pixels, from, row * sizeof *pixels);
        pixels += row;
        from += f->row;
    }
}

/* ---- forward ---- */

static void forward_row(float *y, const fl_task *task, const geometry *g,
                        const float *x, uint32_t out_y)
{
    for (uint32_t i = 0; i < g->group_count; i++) {
        const fl_product product = {
            .a = x + (size_t)out_y * g->window->stride_h * g->x.row +
                 (size_t)i * g->ins,
            .a_step = (size_t)g->window->stride_w * g->x.channels,
            .segment_step = g->dilation_h * g->x.row,
            .piece_step = (size_t)g->dilation_w * g->x.channels,
            .segment_count = g->window->kernel_h,
            .piece_count = g->piece_count,
            .piece_len = g->piece_taps * g->ins,
            .b = task->packed + i * g->forward_floats,
            .c = y + (size_t)i * g->outs,
            .c_step = g->out.channels,
            .rows = g->out.width,
            .columns = g->outs,
            .bias = task->bias ? task->bias + (size_t)i * g->outs : NULL,
            .relu = fl_act_is_relu(task),
        };
        task->kernels->product(&product);
    }
}

static void forward_plain(float *y, const fl_task *task, const geometry *g,
                          const float *x)
{
    const size_t row_len = (size_t)g->out.width * g->out.channels;
    for (uint32_t row = 0; row < g->out.height; row++) {
        forward_row(y, task, g, x, row);
        if (task->act && !fl_act_is_relu(task)) fl_act_apply(task, y, row_len);
        y += row_len;
    }
}

static fl_pool_row pool_row_of(const fl_task *task, const geometry *g,
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
                           const geometry *g, const float *x, float *rows)
{
    const size_t row_len = (size_t)g->out.width * g->out.channels;
    const size_t y_len = (size_t)task->y_shape.width * g->out.channels;
    for (uint32_t py = 0; py < task->y_shape.height; py++) {
        for (uint32_t r = 0; r < task->pool->kernel_h; r++) {
            forward_row(rows + r * row_len, task, g, x,
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
    geometry g = geometry_of(task);
    areas a;
    size_t used;
    if (forward_areas(&a, &used, task, &g)) return;  // as dense_memory saw
    uint8_t *from = with_gradients ? task->kept : NULL;
    clear_frame(a.x, &g.x);
    for (size_t i = 0; i < g.chunk_count; i++) {
        const float *x = framed(a.x, &g.x, task->x[0] + i * g.x_size);
        float *y = task->y + i * g.y_size;
        begin_chunk(&g, task, i);
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
static void unpool_example(float *dy, const fl_task *task, const geometry *g,
                           size_t i)
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

static out_grad out_grad_of(const fl_task *task, const geometry *g,
                            const areas *a, size_t i)
{
    if (task->pool) {
        float *inside = inside_of(a->dy, &g->dy);
        unpool_example(inside, task, g, i);
        return (out_grad){a->dy, inside, g->dy.row};
    }
    float *dy = task->dy + i * g->y_size;
    const size_t row = (size_t)g->out.width * g->out.channels;
    fl_conv_mask_and_sum(task, dy, task->y + i * g->y_size,
                         (size_t)g->out.height * g->out.width);
    if (!task->dx[0]) return (out_grad){NULL, dy, row};
    return (out_grad){framed(a->dy, &g->dy, dy), dy, row};
}

/* ---- the gradient of the weight ---- */

// One group's: dy^T times a piece.
static void add_weight_grad(float *grad, const fl_task *task, const geometry *g,
                            const float *x, const float *dy, size_t dy_row)
{
    const uint32_t len = g->piece_taps * g->ins;
    for (uint32_t k = 0; k < g->window->kernel_h * g->piece_count; k++) {
        const size_t row = k / g->piece_count, piece = k % g->piece_count;
        const fl_outer outer = {
            .a = dy,
            .a_row = dy_row,
            .a_step = g->out.channels,
            .b = x + row * g->dilation_h * g->x.row +
                 piece * g->dilation_w * g->x.channels,
            .b_row = g->x.row * g->window->stride_h,
            .b_step = (size_t)g->window->stride_w * g->x.channels,
            .row_count = g->out.height,
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
                                const geometry *g, const float *x,
                                const float *dy, size_t dy_row)
{
    const bool is_whole = g->piece_count == 1;
    const uint32_t len = g->piece_taps * g->ins;
    fl_outer outer = {
        .a = x,
        .a_row = g->x.row * g->window->stride_h,
        .a_step = (size_t)g->window->stride_w * g->x.channels,
        .segment_step = is_whole ? g->dilation_h * g->x.row
                                 : (size_t)g->dilation_w * g->x.channels,
        .b = dy,
        .b_row = dy_row,
        .b_step = g->out.channels,
        .row_count = g->out.height,
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

static void add_weight_grads(const fl_task *task, const geometry *g,
                             const areas *a, const float *x, const out_grad *dy)
{
    const size_t group_size = g->outs * g->patch_len;
    for (uint32_t i = 0; i < g->group_count; i++) {
        const float *x_group = x + (size_t)i * g->ins;
        const float *dy_group = dy->inside + (size_t)i * g->outs;
        if (a->transposed) {
            add_transposed_grad(a->transposed + i * group_size, task, g,
                                x_group, dy_group, dy->row);
        } else {
            add_weight_grad(task->weight_grad + i * group_size, task, g,
                            x_group, dy_group, dy->row);
        }
    }
}

static void add_transpose(const fl_task *task, const geometry *g,
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

static void gather_input_grad(float *dx, const fl_task *task, const geometry *g,
                              const out_grad *dy)
{
    const uint32_t height = g->is_flat ? 1 : g->x.inside_height;
    const uint32_t width = g->is_flat ? g->out.width : g->x.inside_width;
    for (uint32_t k = 0; k < height * g->group_count; k++) {
        const size_t y = k / g->group_count, group = k % g->group_count;
        const fl_product product = {
            .a = dy->whole + y * g->dy.row + group * g->outs,
            .a_step = g->dy.channels,
            .segment_step = g->dilation_h * g->dy.row,
            .piece_step = (size_t)g->dilation_w * g->dy.channels,
            .segment_count = g->window->kernel_h,
            .piece_count = g->piece_count,
            .piece_len = g->piece_taps * g->outs,
            .b = packed_for_backward(task, g, (uint32_t)group),
            .c = dx + y * width * g->x.channels + group * g->ins,
            .c_step = g->x.channels,
            .rows = width,
            .columns = g->ins,
            .add = !task->is_fresh[0],
        };
        task->kernels->product(&product);
    }
}

// One group's row of dy, to the patches in dx from `row` on.
static void scatter_row(float *row, const fl_task *task, const geometry *g,
                        const float *dy, const float *packed)
{
    const uint32_t len = g->piece_taps * g->ins;
    for (uint32_t k = 0; k < g->window->kernel_h * g->piece_count; k++) {
        const fl_product product = {
            .a = dy,
            .a_step = g->out.channels,
            .segment_count = 1,
            .piece_count = 1,
            .piece_len = g->outs,
            .b = packed,
            .c = row + (size_t)(k / g->piece_count) * g->dilation_h * g->x.row +
                 (size_t)(k % g->piece_count) * g->dilation_w * g->x.channels,
            .c_step = (size_t)g->window->stride_w * g->x.channels,
            .rows = g->out.width,
            .columns = len,
            .add = true,
        };
        task->kernels->product(&product);
        packed += fl_pack_floats(task->kernels, g->outs, len);
    }
}

static void scatter_input_grad(float *dx, const fl_task *task,
                               const geometry *g, const out_grad *dy)
{
    for (uint32_t y = 0; y < g->out.height; y++) {
        float *row = dx + (size_t)y * g->window->stride_h * g->x.row;
        for (uint32_t i = 0; i < g->group_count; i++) {
            scatter_row(row + (size_t)i * g->ins, task, g,
                        dy->inside + y * dy->row + (size_t)i * g->outs,
                        packed_for_backward(task, g, i));
        }
    }
}

static void add_input_grad(float *dx, const fl_task *task, const geometry *g,
                           const areas *a, const out_grad *dy)
{
    if (g->gathers) {
        gather_input_grad(dx, task, g, dy);
    } else if (a->dx) {
        clear_frame(a->dx, &g->x);
        scatter_input_grad(a->dx, task, g, dy);
        take_inside(dx, &g->x, a->dx, !task->is_fresh[0]);
    } else {
        if (task->is_fresh[0]) memset(dx, 0, g->x_size * sizeof *dx);
        scatter_input_grad(dx, task, g, dy);
    }
}

/* ---- backward ---- */

static void dense_backward(const fl_task *task)
{
    geometry g = geometry_of(task);
    areas a;
    size_t used;
    if (backward_areas(&a, &used, task, &g)) return;  // as dense_memory saw
    if (a.transposed) {
        memset(a.transposed, 0, task->node->weight_count * sizeof(float));
    }
    clear_frame(a.x, &g.x);
    clear_frame(a.dy, &g.dy);
    for (size_t i = 0; i < g.chunk_count; i++) {
        const float *x = framed(a.x, &g.x, task->x[0] + i * g.x_size);
        begin_chunk(&g, task, i);
        const out_grad dy = out_grad_of(task, &g, &a, i);
        if (task->weight_grad) add_weight_grads(task, &g, &a, x, &dy);
        if (!task->dx[0]) continue;
        add_input_grad(task->dx[0] + i * g.x_size, task, &g, &a, &dy);
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
