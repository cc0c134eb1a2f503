/*
 * Making the global model smaller while the federation trains it: which round
 * asks clients for what, and what follows from their answers.
 *
 *   WAIT --start--> REFERENCE --> IMPORTANCE --shrink--> RECOVER --> GUARD
 *                                     ^                               |
 *                                     +---accepted, more to remove----+
 *        accepted and enough gone, or rolled back                     |
 *   TRAIN <--+--------------------------------------------------------+
 *     |      +--> RANGES --> INT8 --+
 *     +-- last two rounds --^       +--> TRAIN
 *
 * REFERENCE, GUARD and INT8 are MEASURE surveys: clients evaluate, on rows
 * that they have never trained on. The first one says what accuracy later
 * models have to keep, up to `max_drop`. A step that loses more is undone: the
 * model and the master of before come back, to the byte, and no more steps
 * follow. A step begins only when there is time to recover and to measure it,
 * and the last round measures what has not been, should rounds have been taken
 * away since. Without a survey of importance (magnitude) a step follows the
 * measure before it at once.
 *
 * A pure machine: no clock, no randomness, no network. All that it knows is in
 * its bytes, which are saved with every round: a federation that is killed goes
 * on exactly as if it had not been.
 *
 * One owner, one thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_REDUCTION_H
#define FL_AGGREGATOR_REDUCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregator/reduction_state.h"
#include "base/err.h"
#include "base/reason.h"
#include "compress/compress.h"
#include "model/model.h"
#include "proto/proto.h"

typedef struct {
    double prune;      // share of the first model's cost to remove, 0: none
    double step;       // share of it that goes at once, above 0
    uint32_t start;    // rounds of training before the first survey
    uint32_t recover;  // rounds of training after a step, from 1
    uint32_t multiple;
    fl_importance_kind importance;  // FISHER or MAGNITUDE
    fl_prune_cost cost;             // PARAMS or MACS
    double max_drop;                // share of examples
    bool has_int8;
    uint32_t holdout;        // of plans; 0: there is nothing to reduce
    uint32_t survey_cohort;  // clients of a survey; 0: ten times a cohort
    uint32_t survey_rows;    // of a client, at most, from 1; to measure, a
                             // quarter of them
    uint32_t round_count;    // of the federation
} fl_reduction_options;

typedef struct fl_reduction fl_reduction;

/* Whether there is anything to do. */
bool fl_reduction_is_wanted(const fl_reduction_options *options);

/* Rounds that these options take at least, up to the end. */
uint64_t fl_reduction_rounds(const fl_reduction_options *options);

/*
 * At the start of a federation, or of its reduction, with this model. The
 * caller owns *reduction: fl_reduction_free. FL_ERR_UNSUPPORTED: an INT8 form
 * is wanted that the model cannot have. FL_ERR_RANGE: channels are to go, and
 * the model has none that can. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_reduction_new(fl_reduction **reduction,
                                 const fl_reduction_options *options,
                                 const fl_model *model, fl_reason *why);

/* Goes on from bytes that were saved with round `round`. FL_ERR_RANGE: a step
 * is not judged yet, and no round is left. Errors of
 * fl_reduction_state_decode. */
FL_CHECK fl_err fl_reduction_decode(fl_reduction **reduction,
                                    const fl_reduction_options *options,
                                    uint32_t round, const uint8_t *src,
                                    size_t src_len, fl_reason *why);

/* Accepts NULL. */
void fl_reduction_free(fl_reduction *reduction);

/* Where it stands, to be saved; lives in it. */
const fl_reduction_state *fl_reduction_get_state(const fl_reduction *reduction);

/* What the next round asks of clients. */
typedef struct {
    fl_work work;
    uint32_t holdout, row_cap;  // of the plan
    // Clients to ask, of so many that are there; 0: as for any training.
    uint32_t cohort;
    const fl_reduction_ranges *ranges;  // of the plan; NULL: none
    bool is_recovering;                 // norms look at the data again
} fl_reduction_task;

/* NULL: a federation that reduces nothing. */
fl_reduction_task fl_reduction_next(const fl_reduction *reduction,
                                    uint32_t cohort, uint32_t present);

/*
 * Counts of a client's answer to this work on this model (codec.h, "tallies").
 * FL_ERR_UNSUPPORTED, FL_ERR_MEMORY: as of fl_int8_range_count and
 * fl_channels_new.
 */
FL_CHECK fl_err fl_reduction_counts(size_t *count, fl_work work,
                                    const fl_model *model, fl_reason *why);

/*
 * Whether so many clients can have counted that: nobody has more than one share
 * of the say, and of its own nobody has more examples right than there are. (In
 * a sum, which nobody would send again any better, that is for the guard:
 * rolled back.) FL_ERR_RANGE: *why says which counts.
 */
FL_CHECK fl_err fl_reduction_check(fl_work work, const fl_codec *codec,
                                   const uint64_t *counts,
                                   const fl_update_metrics *metrics,
                                   uint32_t client_count, fl_reason *why);

typedef enum {
    FL_VERDICT_NONE = 0,
    FL_VERDICT_ACCEPTED = 1,
    FL_VERDICT_ROLLED_BACK = 2,
} fl_verdict;

/* "accepted", "rolled back"; NULL: none. */
const char *fl_reduction_verdict_name(uint32_t verdict);

/* What follows from a survey. */
typedef struct {
    fl_verdict verdict;    // of the guard
    double before, after;  // accuracies that it compared; NaN: no guard
    bool is_int8;          // the verdict is on the INT8 form
    // The model loses the channels where keep is false; `channels` are the
    // model's. NULL: it does not. Then fl_reduction_remember has to follow.
    bool *keep;
    fl_channels *channels;
    fl_reduction_before back;  // with a round: this comes back
} fl_reduction_outcome;

void fl_reduction_outcome_fini(fl_reduction_outcome *outcome);

/* Round `round` has trained. */
void fl_reduction_trained(fl_reduction *reduction, uint32_t round);

/*
 * The survey of round `round` is there: what all clients counted on `model`,
 * whose metrics these are. The caller owns *outcome, also after an error:
 * fl_reduction_outcome_fini. FL_ERR_RANGE: numbers that no clients can have
 * sent; the machine stands where it stood. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_reduction_surveyed(fl_reduction *reduction,
                                      fl_reduction_outcome *outcome,
                                      uint32_t round, const fl_model *model,
                                      const uint64_t *counts,
                                      const fl_update_metrics *metrics,
                                      fl_reason *why);

/* What a roll-back of the step that begins will bring back. Takes `before`. */
void fl_reduction_remember(fl_reduction *reduction,
                           const fl_reduction_before *before);

/* Of the INT8 form that is accepted now, with a round; or NULL. */
const fl_reduction_ranges *fl_reduction_int8(const fl_reduction *reduction);

#endif
