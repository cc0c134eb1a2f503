/*
 * What follows from the shapes of a dense convolution (conv_dense.c): chunks,
 * frames, lines.
 *
 * A *chunk* is what is worked on at a time: an example, or so many pixels of a
 * flat convolution, or several examples whose pixels are few.
 *
 * A *frame* is an example with the zeros of the padding around it.
 *
 * A *line* is what one product makes: pixels that lie at even steps. Usually
 * that is a row of an example's pixels. Where rows are short, it is the same
 * pixel of all examples of a chunk: a product of few rows reads all weights for
 * little.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_OPS_CONV_GEOMETRY_H
#define FL_MODEL_OPS_CONV_GEOMETRY_H

#include "model/ops/conv.h"

// Pixels with zeros around them.
typedef struct {
    uint32_t height, width, channels;  // with the zeros
    uint32_t top, left;                // zeros before the inside
    uint32_t inside_height, inside_width;
    bool is_padded;    // larger than the inside
    size_t row, size;  // floats; size: of all rows
} fl_conv_frame;

typedef struct {
    const fl_window *window;
    uint32_t group_count, ins, outs;  // channels of a group
    fl_conv_frame x, dy;
    fl_shape out;  // of a chunk's examples, before the pool
    bool is_flat;
    bool is_across;        // lines go from example to example
    uint32_t example_cap;  // of a chunk
    size_t chunk_count;
    uint32_t examples;      // of the chunk that fl_conv_begin_chunk began
    size_t x_size, y_size;  // floats of an example, or of a flat chunk
    bool gathers;           // how the input's gradient is made
    // A piece of KW taps, or of one where taps lie apart.
    uint32_t piece_count, piece_taps;
    uint32_t dilation_h, dilation_w;
    size_t patch_len;                        // KH * KW * I
    size_t forward_floats, backward_floats;  // packed, of a group
} fl_conv_geometry;

/* Of a task; task->count: all examples, or when memory is planned the most. */
fl_conv_geometry fl_conv_geometry_of(const fl_task *task);

/* The last chunk may be shorter. */
void fl_conv_begin_chunk(fl_conv_geometry *g, const fl_task *task,
                         size_t chunk);

/* Where a chunk begins, in floats: of the input, and of the output. */
size_t fl_conv_x_at(const fl_conv_geometry *g, size_t chunk);
size_t fl_conv_y_at(const fl_conv_geometry *g, size_t chunk);

/* ---- lines ---- */

/* Of a picture of this size: how many, and how many pixels each has. */
uint32_t fl_conv_line_count(const fl_conv_geometry *g, uint32_t height,
                            uint32_t width);
uint32_t fl_conv_line_len(const fl_conv_geometry *g, uint32_t width);

/* Where line i begins, with so many floats from row to row, pixel to pixel. */
size_t fl_conv_line_at(const fl_conv_geometry *g, uint32_t width, uint32_t i,
                       size_t row_step, size_t pixel_step);

/* ---- frames ---- */

/* Zeros in all frames of a chunk; NULL: none. */
void fl_conv_clear_frames(float *whole, const fl_conv_geometry *g,
                          const fl_conv_frame *f);

float *fl_conv_inside(float *whole, const fl_conv_frame *f);

/*
 * The pixels of the chunk's examples themselves, or their copies in frames
 * whose borders are 0 already.
 */
const float *fl_conv_framed(float *whole, const fl_conv_geometry *g,
                            const fl_conv_frame *f, const float *pixels);

/* The way back: sets the pixels, or adds to them. */
void fl_conv_take_inside(float *pixels, const fl_conv_geometry *g,
                         const fl_conv_frame *f, float *whole, bool add);

#endif
