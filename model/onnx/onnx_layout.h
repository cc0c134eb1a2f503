/*
 * Where the numbers of a weight lie in an ONNX file, and which of the file's
 * dimensions a value of our graph has there.
 *
 * In memory a weight is (O, P, C): outputs, pixels (of the kernel, or of the
 * picture that was flattened), channels. ONNX puts channels before pixels,
 * and MatMul puts outputs last. A layout gives the file's distances between
 * neighbours; reader and writer walk over it in memory's order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_ONNX_ONNX_LAYOUT_H
#define FL_MODEL_ONNX_ONNX_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/graph.h"

typedef struct {
    size_t outputs, pixels, channels;
    size_t output_step, pixel_step, channel_step;
} fl_onnx_layout;

/* The file has (O, C, P): convolutions, Gemm with transB, and constants. */
fl_onnx_layout fl_onnx_layout_ocp(size_t outputs, size_t pixels,
                                  size_t channels);

/* The file has (C, P, O): MatMul, Gemm without transB. */
fl_onnx_layout fl_onnx_layout_cpo(size_t outputs, size_t pixels,
                                  size_t channels);

/* A list, in the file as in memory; one number of the file, `count` times. */
fl_onnx_layout fl_onnx_layout_row(size_t count);
fl_onnx_layout fl_onnx_layout_repeat(size_t count);

static inline size_t fl_onnx_layout_count(const fl_onnx_layout *layout)
{
    return layout->outputs * layout->pixels * layout->channels;
}

/* Where in the file the i-th number in memory is. */
size_t fl_onnx_layout_at(const fl_onnx_layout *layout, size_t i);

/*
 * The same for all numbers in turn, without a division: starts at zeros, `at`
 * is where in the file the next number in memory is.
 */
typedef struct {
    size_t at;
    size_t pixel, channel;
} fl_onnx_walk;

static inline void fl_onnx_walk_on(fl_onnx_walk *walk,
                                   const fl_onnx_layout *layout)
{
    walk->at += layout->channel_step;
    if (++walk->channel < layout->channels) return;
    walk->channel = 0;
    walk->at += layout->pixel_step - layout->channels * layout->channel_step;
    if (++walk->pixel < layout->pixels) return;
    walk->pixel = 0;
    walk->at += layout->output_step - layout->pixels * layout->pixel_step;
}

/* ---- how a graph's values are written ---- */

/* The dimensions of one value in the file. */
typedef struct {
    bool is_flat;      // (N, F); else (N, C, H, W)
    fl_shape picture;  // flat: F runs over its C, H, W; else the value's shape
} fl_onnx_form;

typedef struct {
    fl_onnx_form at[FL_GRAPH_NODES_MAX];
    bool is_hwc;  // FLATTEN goes over H, W, C: what is behind needs that
} fl_onnx_forms;

void fl_onnx_forms_init(fl_onnx_forms *forms, const fl_graph *graph);

/* True: node i reads (N, F) of its inputs; false: (N, C, H, W). */
bool fl_onnx_forms_reads_flat(const fl_onnx_forms *forms, const fl_graph *graph,
                              uint32_t i);

#endif
