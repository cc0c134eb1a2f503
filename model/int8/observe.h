/*
 * Histograms whose bins are the same for everyone: FL_INT8_BINS of them, a
 * quarter of an octave each. What a number falls into depends on its bits
 * alone, so machines never disagree about an edge.
 *
 * Pure functions, no allocation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_OBSERVE_H
#define FL_MODEL_INT8_OBSERVE_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

/* Of a finite number; what is too large counts for the last of its sign. */
uint32_t fl_observe_bin(float x);

/* The end of a bin that is farther from 0, with its sign; of bin 0: 0. */
float fl_observe_edge(uint32_t bin);

/* Adds how many of x[0..count) fall into which bin; counts[FL_INT8_BINS]. */
void fl_observe_add(uint64_t *counts, const float *x, size_t count);

#endif
