/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ops/conv_geometry.h"

#include <string.h>

enum {
    FLAT_PIXELS = 168,  // of a chunk: whole tiles of 6, 12 and 14 rows
    // Rows this short are fewer than a tile's; with fewer examples lines across
    // them would be no longer.
    ACROSS_WIDTH = 4,
    ACROSS_MIN = 8,
    ACROSS_CAP = 64,  // examples of a chunk
};

static fl_conv_frame frame_of(fl_shape inside, uint32_t top, uint32_t left,
                              uint32_t bottom, uint32_t right)
{
    fl_conv_frame f = {
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
    f.size = f.height * f.row;
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
static void plan_input_grad(fl_conv_geometry *g, const fl_task *task)
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

static bool is_across(const fl_task *task, const fl_conv_geometry *g)
{
    return !g->is_flat && !task->pool && g->out.width <= ACROSS_WIDTH &&
           task->count >= ACROSS_MIN;
}

static void plan_chunks(fl_conv_geometry *g, const fl_task *task)
{
    g->is_across = is_across(task, g);
    if (g->is_across) {
        g->example_cap = task->count < ACROSS_CAP ? task->count : ACROSS_CAP;
    }
    g->chunk_count = (task->count + g->example_cap - 1) / g->example_cap;
    g->examples = 1;
    if (!g->is_flat) return;
    g->chunk_count = (pixels_of(task) + FLAT_PIXELS - 1) / FLAT_PIXELS;
    g->x_size = (size_t)FLAT_PIXELS * task->x_shape.channels;
    g->y_size = (size_t)FLAT_PIXELS * task->node->out_count;
}

fl_conv_geometry fl_conv_geometry_of(const fl_task *task)
{
    const fl_node *node = task->node;
    const fl_window *w = &node->window;
    fl_conv_geometry g = {
        .window = w,
        .group_count = node->group_count,
        .ins = task->x_shape.channels / node->group_count,
        .outs = node->out_count / node->group_count,
        .x = frame_of(task->x_shape, w->pad_top, w->pad_left, w->pad_bottom,
                      w->pad_right),
        .out = task->pool ? task->pool_input : task->y_shape,
        .is_flat = is_flat(task),
        .example_cap = 1,
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
    plan_chunks(&g, task);
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

void fl_conv_begin_chunk(fl_conv_geometry *g, const fl_task *task, size_t chunk)
{
    if (g->is_flat) {
        const size_t left = pixels_of(task) - chunk * FLAT_PIXELS;
        g->out.height = 1;
        g->out.width = (uint32_t)(left < FLAT_PIXELS ? left : FLAT_PIXELS);
    } else {
        const size_t left = task->count - chunk * g->example_cap;
        g->examples = (uint32_t)(left < g->example_cap ? left : g->example_cap);
    }
}

size_t fl_conv_x_at(const fl_conv_geometry *g, size_t chunk)
{
    return chunk * g->example_cap * g->x_size;
}

size_t fl_conv_y_at(const fl_conv_geometry *g, size_t chunk)
{
    return chunk * g->example_cap * g->y_size;
}

/* ---- lines ---- */

uint32_t fl_conv_line_count(const fl_conv_geometry *g, uint32_t height,
                            uint32_t width)
{
    return g->is_across ? height * width : height;
}

uint32_t fl_conv_line_len(const fl_conv_geometry *g, uint32_t width)
{
    return g->is_across ? g->examples : width;
}

size_t fl_conv_line_at(const fl_conv_geometry *g, uint32_t width, uint32_t i,
                       size_t row_step, size_t pixel_step)
{
    if (!g->is_across) return i * row_step;
    return i / width * row_step + i % width * pixel_step;
}

/* ---- frames ---- */

void fl_conv_clear_frames(float *whole, const fl_conv_geometry *g,
                          const fl_conv_frame *f)
{
    if (whole) memset(whole, 0, g->example_cap * f->size * sizeof *whole);
}

float *fl_conv_inside(float *whole, const fl_conv_frame *f)
{
    return whole + f->top * f->row + (size_t)f->left * f->channels;
}

const float *fl_conv_framed(float *whole, const fl_conv_geometry *g,
                            const fl_conv_frame *f, const float *pixels)
{
    if (!f->is_padded) return pixels;
    const size_t row = (size_t)f->inside_width * f->channels;
    float *to = fl_conv_inside(whole, f);
    for (uint32_t i = 0; i < g->examples; i++) {
        for (uint32_t y = 0; y < f->inside_height; y++) {
            memcpy(to + y * f->row, pixels, row * sizeof *to);
            pixels += row;
        }
        to += f->size;
    }
    return whole;
}

static void take_row(float *pixels, const float *from, size_t count, bool add)
{
    for (size_t i = 0; add && i < count; i++) {
        pixels[i] += from[i];
    }
    if (!add) memcpy(pixels, from, count * sizeof *pixels);
}

void fl_conv_take_inside(float *pixels, const fl_conv_geometry *g,
                         const fl_conv_frame *f, float *whole, bool add)
{
    const size_t row = (size_t)f->inside_width * f->channels;
    const float *from = fl_conv_inside(whole, f);
    for (uint32_t i = 0; i < g->examples; i++) {
        for (uint32_t y = 0; y < f->inside_height; y++) {
            take_row(pixels, from + y * f->row, row, add);
            pixels += row;
        }
        from += f->size;
    }
}
