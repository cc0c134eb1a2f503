/*
 * The codec of a round, fitted to what the sum before has told.
 *
 * Summable codecs need steps that suit the sum: too coarse a step is noise, too
 * fine a one lets sums wrap. The spread of the last round's sum says what the
 * next one will be like. When nothing is known (the first round, or after a sum
 * that has wrapped) fields are wide and cannot wrap; that round's updates are
 * larger.
 *
 * Pure functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_FITTING_H
#define FL_AGGREGATOR_FITTING_H

#include <stdbool.h>
#include <stdint.h>

#include "aggregator/master.h"
#include "compress/compress.h"
#include "model/model.h"

typedef struct {
    fl_codec_kind kind;
    uint32_t bits;
    double density, density_small, clip;
    uint32_t weight_max;
    bool is_overflow_free;  // no sum can wrap, whatever clients send
    bool has_frozen_norms;
} fl_fitting_options;

/* The codec for a cohort of so many; param_count and layout are the model's. */
void fl_fitting_codec(fl_codec *codec, const fl_fitting_options *options,
                      const fl_model *model, const fl_master_scale *scale,
                      uint32_t client_cap, uint64_t seed);

/* What this sum of so many clients, and those before, say about the next. */
fl_master_scale fl_fitting_learn(const fl_master_scale *before,
                                 const fl_update_spread *spread,
                                 uint32_t client_count);

/*
 * Whether so many sums lie near the end of their range that others must have
 * wrapped: such a sum is noise.
 */
bool fl_fitting_has_wrapped(const fl_update_spread *spread);

#endif
