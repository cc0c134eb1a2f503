/*
 * Where a federation that prunes and quantises stands, as a value and as
 * bytes: what reduction.h decides from, saved with every round.
 *
 * Private to aggregator/. docs/format.md, "Reduction", has the bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_REDUCTION_STATE_H
#define FL_AGGREGATOR_REDUCTION_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"

/* What the next round is for. Values are saved: append, never renumber. */
typedef enum {
    FL_REDUCTION_WAIT = 0,        // train, until pruning begins
    FL_REDUCTION_REFERENCE = 1,   // measure what all later models have to reach
    FL_REDUCTION_IMPORTANCE = 2,  // ask how much channels matter, then shrink
    FL_REDUCTION_RECOVER = 3,     // train what has been shrunk
    FL_REDUCTION_GUARD = 4,       // measure it: keep it or go back
    FL_REDUCTION_RANGES = 5,      // ask which values occur
    FL_REDUCTION_INT8 = 6,        // measure the INT8 form with these ranges
    FL_REDUCTION_TRAIN = 7,       // nothing is left to decide: train
} fl_reduction_phase;

/* Bytes that the state owns; NULL and 0: none. */
typedef struct {
    uint8_t *bytes;
    size_t len;
} fl_reduction_bytes;

/* An INT8 form: what fl_ranges_encode writes, and the round that made it. */
typedef struct {
    fl_reduction_bytes encoded;
    uint32_t round;  // 0: there is none
} fl_reduction_ranges;

/* What comes back when a step is undone. */
typedef struct {
    fl_reduction_bytes model;   // the published ONNX file
    fl_reduction_bytes master;  // as fl_master_encode made it in this round
    uint32_t round;             // 0: there is nothing to go back to
} fl_reduction_before;

typedef struct {
    fl_reduction_phase phase;
    uint32_t recover_left;  // rounds, in RECOVER
    bool is_last_step;      // no more channels go after this step
    // Shares of examples, as clients measured; NaN: not yet.
    double reference;  // of the first model that was measured
    double accuracy;   // of the last one that was accepted
    uint64_t first_params, first_macs;
    fl_reduction_ranges accepted, candidate;
    fl_reduction_before before;
} fl_reduction_state;

void fl_reduction_before_fini(fl_reduction_before *before);
void fl_reduction_ranges_fini(fl_reduction_ranges *ranges);
void fl_reduction_state_fini(fl_reduction_state *state);

/* Exactly what fl_reduction_state_encode writes. */
size_t fl_reduction_state_bytes(const fl_reduction_state *state);

/* FL_ERR_SPACE: dst_cap is below fl_reduction_state_bytes. */
FL_CHECK fl_err fl_reduction_state_encode(const fl_reduction_state *state,
                                          uint32_t round, uint8_t *dst,
                                          size_t dst_cap);

/*
 * What was saved with round `round`; the caller owns *state. Safe on any
 * bytes: memory is taken for no more than there are. FL_ERR_FORMAT: malformed,
 * of another round, or no state that can be. FL_ERR_UNSUPPORTED: made by a
 * newer version. FL_ERR_MEMORY. After an error there is nothing to free.
 */
FL_CHECK fl_err fl_reduction_state_decode(fl_reduction_state *state,
                                          uint32_t round, const uint8_t *src,
                                          size_t src_len, fl_reason *why);

#endif
