/*
 * An update as small integers that can be summed: what the clients of a round
 * send, whether it is masked or not (docs/format.md, "Fields").
 *
 * Each value is limited to +-clip, scaled by the client's weight and rounded
 * at random to a multiple of a step, so that it is exact on average (as QSGD,
 * Alistarh et al. 2017, section 3.1, with one norm for all clients). The
 * weight, the loss and the correct count ride along as digits: the sum of the
 * clients' fields is all that an aggregator needs.
 *
 * Pure functions, no allocation, callable from any thread. The same arguments
 * give the same integers on every CPU.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_COMPRESS_H
#define FL_COMPRESS_COMPRESS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/random.h"
#include "base/reason.h"

/* The same for all clients of a round. */
typedef struct {
    size_t param_count;   // at least 1
    uint32_t field_max;   // L, 1 to 2^31
    uint32_t weight_max;  // 1 to 2^20; a client with more examples counts so
    float clip;           // above 0, finite
} fl_update_codec;

/* A client's training in three numbers, or those of a sum of clients. */
typedef struct {
    uint64_t weight;   // examples, at most weight_max a client
    uint64_t correct;  // at most weight
    double loss_sum;   // at most 64 an example
} fl_update_metrics;

/* Fields of an update: digits and values. */
size_t fl_update_field_count(const fl_update_codec *codec);

/* The bytes whose hash names the codec to both sides: `task`. */
enum { FL_UPDATE_TASK_BYTES = 35 };
void fl_update_task(uint8_t dst[FL_UPDATE_TASK_BYTES],
                    const fl_update_codec *codec);

/*
 * Turns `update` (param_count, local - global) into fields
 * (fl_update_field_count), each at most field_max. `rounding` decides which
 * neighbour a value is rounded to.
 * FL_ERR_RANGE: a value is NaN or infinite (*why names the coordinate), the
 * weight is 0, or correct is above it.
 */
FL_CHECK fl_err fl_update_encode(uint32_t *fields, const fl_update_codec *codec,
                                 const float *update,
                                 const fl_update_metrics *metrics,
                                 fl_random *rounding, fl_reason *why);

/*
 * The weighted mean of `client_count` updates, from the sums of their fields;
 * `mean` has param_count. FL_ERR_RANGE: no weight in it, or sums that so many
 * clients cannot have made.
 */
FL_CHECK fl_err fl_update_decode(float *mean, fl_update_metrics *metrics,
                                 const fl_update_codec *codec,
                                 const uint64_t *sums, uint32_t client_count,
                                 fl_reason *why);

#endif
