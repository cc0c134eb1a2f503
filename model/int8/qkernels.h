/*
 * The inner loops of INT8 inference, for every instruction set that is worth
 * it. All sets give the same bits (int8.h has the rule), so a set is free to
 * add up in any order, and to see bytes as signed ones (q - 128) if it makes
 * up for that in the bias that it packs.
 *
 * Rows of bytes lie anywhere, as in model/kernels/kernels.h: with NHWC the
 * patch under an output pixel is a few runs of contiguous bytes ("segments"),
 * and the patch of the next pixel starts a fixed step further.
 *
 * Kernels may READ up to FL_Q_SLACK bytes behind what they are given (times
 * weights of 0); they never WRITE anything but their results.
 *
 * No threads, no state, callable from any thread. Steps are in bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_QKERNELS_H
#define FL_MODEL_INT8_QKERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FL_Q_SLACK = 64 };

/*
 * What a sum becomes: r = (float)sum * factor, then
 *   in y       round_half_even(min(max(r, low), high)) + zero_point
 *   in logits  min(max(r, low), high); y is NULL
 * `low` and `high` of bytes: the bounds of the byte, minus zero_point, so
 * that rounding never leaves the range.
 */
typedef struct {
    uint8_t *y;
    float *logits;
    size_t y_step;  // from a row to the next, in bytes or floats
    float low, high;
    uint8_t zero_point;
} fl_qresult;

/* What `pack` reads. Weights (columns, segment_count, segment_len). */
typedef struct {
    const int8_t *weights;
    const int32_t *biases;  // (columns)
    const float *factors;   // (columns)
    uint32_t columns, segment_count, segment_len;
    uint8_t zero_point;  // of the bytes that the weights meet
} fl_qweights;

/*
 * Row r, column c of the result:
 *   bias[c] + sum over s < segment_count, k < segment_len of
 *     (a[r * a_step + segments[s] + k] - zero_point) * weight[c][s][k]
 */
typedef struct {
    const uint8_t *a;
    size_t a_step;
    const uint32_t *segments;  // (segment_count)
    uint32_t segment_count, segment_len;
    uint32_t rows, columns;
    const uint8_t *packed;  // by pack_product, at a multiple of 64
    fl_qresult out;
} fl_qproduct;

/* A row of windows over (.., channels) bytes. */
typedef struct {
    const uint8_t *x;              // first byte of the first window
    size_t x_step;                 // from a window to the next
    size_t row_step, column_step;  // inside a window
    uint32_t kernel_h, kernel_w;
    uint32_t pixels, channels;  // of the result
} fl_qwindows;

/*
 * One filter a channel. Packed weights: columns are channels, segment_count
 * is kernel_h, segment_len is kernel_w.
 */
typedef struct {
    fl_qwindows in;
    const uint8_t *packed;  // by pack_depthwise, at a multiple of 64
    fl_qresult out;
} fl_qdepthwise;

/* Pools: y (pixels, channels), pixels y_step apart. */
typedef struct {
    fl_qwindows in;
    uint8_t *y;
    size_t y_step;
    uint8_t zero_point;  // average: of x and y
    float share;         // average: of a number in its mean
} fl_qpool;

/*
 * add: r = (float)(a - a_zero) * a_factor + (float)(b - b_zero) * b_factor
 * mul: r = (float)((a - a_zero) * (b - b_zero)) * a_factor
 *   y = round_half_even(min(max(r, low), high)) + zero_point
 */
typedef struct {
    const uint8_t *a, *b;
    uint8_t *y;
    size_t count;
    uint8_t a_zero, b_zero, zero_point;
    float a_factor, b_factor;
    float low, high;
} fl_qpair;

/* x - operand, or x / operand; `operand` has as many floats as x. */
typedef struct {
    const float *operand;
    bool divides;
} fl_qchange;

/*
 * r = changes(x) / scale, y = round_half_even(min(max(r, low), high)) +
 * zero_point with the bounds of a byte. NaN becomes the lowest byte.
 */
typedef struct {
    const float *x;
    uint8_t *y;
    size_t count;
    const fl_qchange *changes;
    uint32_t change_count;
    float scale;
    uint8_t zero_point;
} fl_qinput;

typedef struct {
    const char *name;  // as FEDGE_CPU has it
    /* Bytes of packed weights; SIZE_MAX when they do not fit. */
    size_t (*product_bytes)(const fl_qweights *weights);
    void (*pack_product)(uint8_t *dst, const fl_qweights *weights);
    void (*product)(const fl_qproduct *product);
    size_t (*depthwise_bytes)(const fl_qweights *weights);
    void (*pack_depthwise)(uint8_t *dst, const fl_qweights *weights);
    void (*depthwise)(const fl_qdepthwise *depthwise);
    void (*maxpool)(const fl_qpool *pool);
    /* round_half_even((float)sum(x - zero_point) * share), as above. */
    void (*average)(const fl_qpool *pool);
    void (*add)(const fl_qpair *pair);
    void (*mul)(const fl_qpair *pair);
    void (*lookup)(uint8_t *y, const uint8_t *x, const uint8_t table[256],
                   size_t count);
    void (*quantize)(const fl_qinput *input);
} fl_qkernels;

/*
 * The kernels that this CPU runs and FEDGE_CPU allows, fastest first; NULL
 * when index is past the last. The last one is plain C.
 */
const fl_qkernels *fl_qkernels_at(unsigned index);

extern const fl_qkernels fl_qkernels_portable;
#if defined(__x86_64__)
extern const fl_qkernels fl_qkernels_avx2, fl_qkernels_avx512vnni;
#elif defined(__aarch64__)
extern const fl_qkernels fl_qkernels_sdot, fl_qkernels_smlal;
#endif

#endif
