/*
 * What BATCHNORM and GROUPNORM share: passes over the pixels of an array
 * (rows, channels) that is normalised channel by channel,
 *
 *   y = act((x - mean) * scale + bias)
 *
 * FL_NORM_CHUNK channels at a time, so that all that is known of a channel
 * has room on the stack. Narrow rows are taken several at a time: 3 channels
 * would leave most of a vector empty, 16 rows of them do not.
 *
 * RELU and RELU6 are part of the passes. The gradient of any other activation
 * is a pass of its own, fl_norm_act_grad, which must come first.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_OPS_NORM_H
#define FL_MODEL_OPS_NORM_H

#include <stddef.h>
#include <stdint.h>

#include "model/ops/op.h"

enum { FL_NORM_CHUNK = 256 };

/* Rows of a task's arrays, and a chunk of their channels. */
typedef struct {
    const fl_task *task;
    size_t row, rows;       // of (count * H * W)
    uint32_t first, count;  // channels
    uint32_t repeat;        // rows that the passes take as one
} fl_norm_part;

/* What is known of each channel of a part; the first `count` are given. */
typedef struct {
    float mean[FL_NORM_CHUNK], scale[FL_NORM_CHUNK], bias[FL_NORM_CHUNK];
    float slope[FL_NORM_CHUNK], offset[FL_NORM_CHUNK];  // fl_norm_grad
} fl_norm_coefs;

typedef struct {
    double sum[FL_NORM_CHUNK], product[FL_NORM_CHUNK];
} fl_norm_sums;

/* Mean and the sum of the squared distances from it. */
typedef struct {
    double count, mean, squares;
} fl_norm_moments;

/* Pixels of an example. */
size_t fl_norm_pixels(const fl_task *task);

/* The chunk of channels from `first` on. Needs first < channels. */
fl_norm_part fl_norm_part_of(const fl_task *task, uint32_t first, size_t row,
                             size_t rows);

/* moments[0..part->count): of x. */
void fl_norm_measure(fl_norm_moments *moments, const fl_norm_part *part);

/* a and b taken together (Chan, Golub, LeVeque 1979, equation 2.1). */
fl_norm_moments fl_norm_combine(fl_norm_moments a, fl_norm_moments b);

/* Sets the task's y, activation included. */
void fl_norm_apply(const fl_norm_part *part, fl_norm_coefs *coefs);

/* dy *= act'(z) where the passes below do not do so themselves. */
void fl_norm_act_grad(const fl_norm_part *part, fl_norm_coefs *coefs);

/* The sums of g and of g * (x - mean), g = dy * act'(z). */
void fl_norm_add_up(fl_norm_sums *sums, const fl_norm_part *part,
                    fl_norm_coefs *coefs);

/* dx = scale * g + slope * (x - mean) + offset; or += when it is not fresh. */
void fl_norm_grad(const fl_norm_part *part, fl_norm_coefs *coefs);

/*
 * Fills in the default epsilon. FL_ERR_FORMAT: it is not finite or not above
 * 0.
 */
FL_CHECK fl_err fl_norm_check_epsilon(fl_node *node, float otherwise,
                                      fl_reason *why);

#endif
