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
#include "compress/model/grid.h"
#include "compress/model/patch.h"
#include "compress/update/codec.h"
#include "compress/update/fields.h"

/* The same for all clients of a round. */
typedef struct {
    size_t param_count;   // at least 1; fields are counted in a u32
    uint32_t field_max;   // L, 1 to 2^31
    uint32_t weight_max;  // 1 to 2^20; a client with more examples counts so
    float clip;           // above 0, at most 2^20
} fl_dense_codec;

/* A client's training in three numbers, or those of a sum of clients. */
typedef struct {
    uint64_t weight;   // examples, at least 1 a client
    uint64_t correct;  // at most weight
    double loss_sum;   // what is not within 0 and 64 an example counts so
} fl_dense_metrics;

/*
 * FL_ERR_RANGE: a number is not what its comment above asks for; *why names
 * it. The functions below need a codec that has passed.
 */
FL_CHECK fl_err fl_dense_check(const fl_dense_codec *codec, fl_reason *why);

/* Fields of an update: digits and values. */
size_t fl_dense_field_count(const fl_dense_codec *codec);

/*
 * The bytes whose hash names to both sides how updates are made and how they
 * become fields: `task`. `recipe` is a hash, that of how to train.
 */
enum { FL_DENSE_RECIPE_BYTES = 32, FL_DENSE_TASK_BYTES = 35 + 32 };
void fl_dense_task(uint8_t dst[FL_DENSE_TASK_BYTES],
                   const fl_dense_codec *codec,
                   const uint8_t recipe[FL_DENSE_RECIPE_BYTES]);

/* Examples of one client; clients of one sum. */
#define FL_DENSE_EXAMPLES_MAX (UINT64_C(1) << 40)
enum { FL_DENSE_CLIENTS_MAX = 1 << 14 };

/*
 * Turns `update` (param_count, local - global) into fields
 * (fl_dense_field_count), each at most field_max. `rounding` decides which
 * neighbour a value is rounded to.
 * FL_ERR_RANGE: a value is NaN or infinite (*why names the coordinate), the
 * weight is 0 or above FL_DENSE_EXAMPLES_MAX, correct is above it, or the
 * loss is NaN. `fields` is undefined then.
 */
FL_CHECK fl_err fl_dense_encode(uint32_t *fields, const fl_dense_codec *codec,
                                const float *update,
                                const fl_dense_metrics *metrics,
                                fl_random *rounding, fl_reason *why);

/*
 * The weighted mean of `client_count` updates, from the sums of their fields;
 * `mean` has param_count. Weight and correct count are those of the clients
 * exactly, the loss but for the 2^-20 that each was rounded to.
 * FL_ERR_RANGE: no client or more than FL_DENSE_CLIENTS_MAX, or sums that so
 * many cannot have made. Both results are undefined then.
 */
FL_CHECK fl_err fl_dense_decode(float *mean, fl_dense_metrics *metrics,
                                const fl_dense_codec *codec,
                                const uint64_t *sums, uint32_t client_count,
                                fl_reason *why);

#endif
