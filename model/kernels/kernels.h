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
 * segment_count * piece_count * piece_len: with dilation or groups a segment
 * lies in pieces. Steps are in floats. Rows of C may overlap when `add` is
 * set. A depth of 0 makes a product of zeros.
 */
typedef struct {
    const float *a;
    size_t a_step;        // from a row of A to the next
    size_t segment_step;  // from a segment of a row to the next
    size_t piece_step;    // from a piece of a segment to the next
    uint32_t segment_count, piece_count, piece_len;
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
 * One row of a convolution that keeps its channels apart:
 *     y[p * y_step + c] = bias[c] + sum over j < row_count, k < tap_count of
 *         w[j * w_row + k * w_step + c] * x[j * x_row + at * channels + c]
 * where at = first + p * stride + k * dilation. Taps whose `at` is not one of
 * the x_width pixels are left out. x_row and dilation may be negative.
 */
typedef struct {
    const float *x;
    ptrdiff_t x_row;
    const float *w;
    size_t w_row, w_step;
    uint32_t row_count, tap_count;
    int64_t first, stride, dilation;
    uint32_t x_width;
    float *y;
    size_t y_step;
    uint32_t y_width, channels;
    const float *bias;  // (channels); or NULL
    bool add;           // add to what is in y
    bool relu;          // of the sum, bias included
} fl_depthwise_row;

/* One dimension of windows: output o's tap k is o * stride + k * dilation
 * - pad of the input, where that is one of its x_count. */
typedef struct {
    uint32_t x_count, y_count;
    uint32_t kernel, stride, dilation, pad;
} fl_window_axis;

/*
 * The gradient of the weight of a convolution that keeps its channels apart,
 * over one example: grad[(j * KW + k) * channels + c] += sum of dy * x.
 */
typedef struct {
    const float *x, *dy;  // (H, W, channels)
    fl_window_axis rows, columns;
    uint32_t channels;
    float *grad;  // (KH, KW, channels)
} fl_depthwise_outer;

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
 * One step of an optimiser on parameters p. Both begin with
 *
 *   g = scale * grads + prox_mu * (p - anchor)
 *       + control_global - control_local + weight_decay * p
 *
 *   update       v = momentum * v + g
 *                p -= lr * (nesterov ? g + momentum * v : v)
 *   update_adam  m = beta1 * m + share1 * g;  v = beta2 * v + share2 * g^2
 *                p = keep * p - lr * m / (root * sqrt(v) + epsilon)
 */
typedef struct {
    float *params;
    float *first;   // SGD: v; Adam: m
    float *second;  // Adam: v
    const float *grads;
    const float *anchor, *control_global, *control_local;  // or NULL
    const bool *mask;  // fl_optimizer_apply's; or NULL
    size_t count;
    float scale, prox_mu, weight_decay, lr;
    float momentum;
    bool nesterov;
    float beta1, share1, beta2, share2, root, epsilon, keep;
} fl_update;

/* An activation. All but the last two have a slope that the result tells. */
typedef enum {
    FL_CURVE_LINE,  // x
    FL_CURVE_RAMP,  // alpha * x + beta, but in [low, high]
    FL_CURVE_LEAK,  // x where x > 0, else alpha * x; alpha > 0
    FL_CURVE_SIGMOID,
    FL_CURVE_TANH,
    FL_CURVE_HARD_SWISH,  // x * (x / 6 + 0.5 in [0, 1])
    FL_CURVE_LEVELS,      // alpha * (x / alpha rounded half to even, but in
                          // [low, high], within +-2^21); the slope is 1
                          // where that moves x by half a level at most
} fl_curve_kind;

typedef struct {
    fl_curve_kind kind;
    float alpha, beta, low, high;
} fl_curve;

/* y = curve(a + b). NaN stays NaN. */
typedef struct {
    fl_curve curve;
    const float *a, *b;  // b: NULL for 0
    float *y;            // may be a
    size_t count;
} fl_curve_sum;

/*
 * dx[k] = dy * curve'(x), or dx[k] += where it is not fresh; dx[0] first.
 */
typedef struct {
    fl_curve curve;
    const float *x, *y;  // y = curve(x), enough where it tells; or x
    const float *dy;
    float *dx[2];  // NULL: nobody needs it; may be dy
    bool is_fresh[2];
    size_t count;
} fl_curve_grad;

/*
 * dst (rows, columns) = src (rows, columns) * factor (columns), or +=. Steps,
 * in floats, lead from a row to the next; a src_step of 0 takes one row for
 * all. Rows of dst do not overlap.
 */
typedef struct {
    float *dst;
    const float *src;
    size_t dst_step, src_step;
    const float *factor;  // NULL: 1
    size_t rows, columns;
    bool add;
} fl_rows;

/*
 * An array x (rows, columns) that is normalised column by column, `step`
 * floats from row to row in y, dy and dx too:
 *
 *   z = (x - mean) * scale + bias;  y = z, but in [low, high]
 *   g = dy where low < z < high, else 0
 *
 * Without bounds low is -INFINITY. NaN stays NaN in y.
 */
typedef struct {
    const float *x, *dy;
    float *y, *dx;
    size_t rows, step;
    uint32_t columns;
    const float *mean, *scale, *bias;  // (columns), as are those below
    float low, high;
    float *sum, *product;
    const float *slope, *offset;
    bool add;
} fl_norm_rows;

typedef struct {
    const char *name;
    uint32_t panel;  // columns that are packed side by side
    uint32_t lanes;  // the last panel is rounded up to these
    void (*product)(const fl_product *product);
    void (*outer)(const fl_outer *outer);
    void (*depthwise)(const fl_depthwise_row *row);
    void (*depthwise_outer)(const fl_depthwise_outer *outer);
    /* False: a parameter is NaN or infinite now. */
    bool (*update)(const fl_update *update);
    bool (*update_adam)(const fl_update *update);
    double (*sum_squares)(const float *x, size_t count);
    void (*curve)(const fl_curve_sum *sum);
    void (*curve_grad)(const fl_curve_grad *grad);
    void (*move_rows)(const fl_rows *rows);
    /* sum (columns) += the sum of the rows of dy (rows, columns). */
    void (*bias_sum)(float *sum, const float *dy, size_t rows,
                     uint32_t columns);
    /* The same of a * b. */
    void (*dot_rows)(float *sum, const float *a, const float *b, size_t rows,
                     uint32_t columns);
    void (*pool)(const fl_pool_row *row);
    /*
     * The gradient of pool and of ReLU: rows = dy at the winners whose y is
     * above 0, else 0.
     */
    void (*unpool)(const fl_pool_row *row);
    /* sum += x - mean, product += (x - mean)^2, over all rows */
    void (*norm_moments)(const fl_norm_rows *rows);
    /* y */
    void (*norm_apply)(const fl_norm_rows *rows);
    /* sum += g, product += g * (x - mean), over all rows */
    void (*norm_grad_sums)(const fl_norm_rows *rows);
    /* dx = scale * g + slope * (x - mean) + offset, or += when `add` */
    void (*norm_grad)(const fl_norm_rows *rows);
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

/*
 * Packs `rows` rows of a B (depth, columns), from row `at` on, given as they
 * are: src (rows, columns), rows src_step apart.
 */
void fl_pack_rows(const fl_kernels *kernels, float *dst, const float *src,
                  size_t src_step, size_t at, size_t rows, size_t depth,
                  size_t columns);

extern const fl_kernels fl_kernels_portable;
#if defined(__x86_64__)
extern const fl_kernels fl_kernels_avx2, fl_kernels_avx512;
#elif defined(__aarch64__)
extern const fl_kernels fl_kernels_neon;
#endif

#endif
