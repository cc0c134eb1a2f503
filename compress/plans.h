/*
 * Ways to make one model smaller, tried one after the other: as it is, float16,
 * INT8 by each calibration, fewer channels or thinner layers and then INT8,
 * HQP. What each comes to is measured on the test part and on this machine, of
 * the very bytes that would be written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_PLANS_H
#define FL_COMPRESS_PLANS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "compress/model/advice.h"
#include "compress/training.h"

enum { FL_PLANS_MAX = 16 };  // results that there can be

typedef struct {
    fl_training *training;  // open; borrowed
    const fl_model *model;
    uint32_t epochs;         // after channels or ranks have gone
    size_t calibrate_count;  // rows that INT8 and importance look at
    double max_drop;         // of HQP, points
    double holdout;          // share of the training rows that HQP's guard sees
    /*
     * Called for each plan that was tried, the model as it is first, with the
     * ONNX file that it makes; bytes are borrowed for the call. FL_ERR_MEMORY
     * ends it all.
     */
    fl_err (*on_result)(void *self, const fl_advice *advice,
                        const uint8_t *bytes, size_t len);
    /* For one that this model does not allow, with the reason; or NULL. */
    void (*on_skip)(void *self, const char *name, const char *reason);
    void *self;
} fl_plans;

/*
 * Tries them all. FL_ERR_CANCELLED: Ctrl-C; what was tried has been told.
 * Errors of reading the data, of training, and of on_result.
 */
FL_CHECK fl_err fl_plans_try(const fl_plans *plans, fl_reason *why);

#endif
