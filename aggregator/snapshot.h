/*
 * The aggregator at one moment, for those who look at it from another thread:
 * plain values, made by the loop thread, never changed afterwards.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_SNAPSHOT_H
#define FL_AGGREGATOR_SNAPSHOT_H

#include <stdint.h>

#include "aggregator/aggregator.h"
#include "aggregator/census.h"
#include "aggregator/totals.h"

enum { FL_SNAPSHOT_MODEL_CAP = 64 };

typedef struct {
    int64_t started_ms, taken_ms;       // wall clock
    char model[FL_SNAPSHOT_MODEL_CAP];  // what the federation trains; cut
    fl_aggregator_status status;        // its `activity` is a constant
    fl_census census;
    fl_totals totals;      // of all finished rounds
    fl_round_record last;  // the last of them; round 0: none is finished
    uint64_t param_count;  // of the first model
    uint32_t known_count;  // clients that the federation has ever seen
    uint64_t int8_bytes;   // of the INT8 form's file; 0: there is none
} fl_snapshot;

#endif
