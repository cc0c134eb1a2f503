/*
 * The inner loops: matrix products over rows that lie anywhere, written once
 * (tile.h) and compiled for every instruction set that is worth it.
 *
 * A convolution needs no im2col here: with NHWC the patch of an output pixel
 * is kernel_h runs of kernel_w * channels contiguous floats ("segments"), and
 * the next pixel's patch starts a fixed step further. A dense layer and a 1x1
 * convolution are the case of one segment.
 *
 * Every result is a function of the arguments alone, in a fixed order of
 * additions: no threads, no state, callable from any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_KERNELS_KERNELS_H
#define FL_MODEL_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * C (rows, columns) = A (rows, depth) * B (depth, columns), where depth is
 * segment_count * segment_len. Steps are in floats. Rows of C may overlap
 * when `add` is set.
 */
typedef struct {
    const float *a;
    size_t a_step;        // from a row of A to the next
    size_t segment_step;  // from a segment of a row to the next
    uint32_t segment_count, segment_len;
    const float *b;  // packed: fl_pack_columns or fl_pack_rows
    float *c;
    size_t c_step;
    uint32_t rows, columns;
    const float *bias;  // (columns), added to every row; or NULL
    bool add;           // add to what is in C
    bool relu;          // of the sum, bias included
} fl_product;

/*
 * G (segment_count * m_count, n_count) += sum over y < row_count,
 * p < step_count of
 *     A[y * a_row + p * a_step + s * segment_step + m] *
 *     B[y * b_row + p * b_step + n]
 * where row s * m_count + m of G is segment s.
 */
typedef struct {
    const float *a, *b;
    size_t a_row, a_step, segment_step;
    size_t b_row, b_step;
    uint32_t row_count, step_count;
    float *g;
    size_t g_step;
    uint32_t segment_count, m_count, n_count;
} fl_outer;

/*
 * One row of max pool windows, which lie side by side without padding: from
 * kernel_h rows of C channels, row_step floats apart, to `width` pixels.
 * `from` (width, C): the number in its window of each winner, y * kernel_w +
 * x; the first one of equals.
 */
typedef struct {
    float *rows;      // read by pool, written by unpool
    size_t row_step;  // floats
    uint32_t kernel_h, kernel_w, width, channels;
    float *y;          // (width, C); unpool: of ReLU, or NULL
    uint8_t *from;     // pool: NULL when it is not wanted
    const float *dy;   // unpool: (width, C)
    float *bias_grad;  // unpool: (C), adds what passes; or NULL
} fl_pool_row;

/*
 * v = momentum * v + scale * g + weight_decay * p;  p -= lr * v
 */
typedef struct {
    float *params, *velocity;
    const float *grads;
    size_t count;
    float scale, weight_decay, momentum, lr;
} fl_update;

typedef struct {
    const char *name;
    uint32_t panel;  // columns that are packed side by side
    uint32_t lanes;  // the last panel is rounded up to these
    void (*product)(const fl_product *product);
    void (*outer)(const fl_outer *outer);
    /* False: a parameter is NaN or infinite now. */
    bool (*update)(const fl_update *update);
    double (*sum_squares)(const float *x, size_t count);
    void (*relu_mask)(float *dy, const float *y, size_t count);
    void (*bias_sum)(float *sum, const float *dy, size_t rows,
                     uint32_t columns);
    void (*pool)(const fl_pool_row *row);
    /*
     * The gradient of pool and of ReLU: rows = dy at the winners whose y is
     * above 0, else 0.
     */
    void (*unpool)(const fl_pool_row *row);
} fl_kernels;

/*
 * The kernels that this CPU runs and FEDGE_CPU allows, fastest first; NULL
 * when index is past the last. The last one is plain C.
 */
const fl_kernels *fl_kernels_at(unsigned index);

/* Floats of a packed B (depth, columns); saturates at SIZE_MAX. */
size_t fl_pack_floats(const fl_kernels *kernels, size_t depth, size_t columns);

/* Packs B given as its transpose: src (columns, depth), rows src_step apart. */
void fl_pack_columns(const fl_kernels *kernels, float *dst, const float *src,
                     size_t src_step, size_t depth, size_t columns);

/* Packs B given as it is: src (depth, columns), rows src_step apart. */
void fl_pack_rows(const fl_kernels *kernels, float *dst, const float *src,
                  size_t src_step, size_t depth, size_t columns);

extern const fl_kernels fl_kernels_portable;
#if defined(__x86_64__)
extern const fl_kernels fl_kernels_avx2, fl_kernels_avx512;
#endif

#endif
