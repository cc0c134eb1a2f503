/*
 * A whole federation in one process and in virtual time: the very client and
 * aggregator of the daemons, connected by memory instead of TCP.
 *
 * One thread moves the machines; workers run what they ask for (training,
 * evaluation) while virtual time goes on, and an answer is waited for at the
 * virtual moment at which it is due. The result is a function of the options:
 * the number of workers changes how long it takes and nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SIM_SIMULATION_H
#define FL_SIM_SIMULATION_H

#include <stdatomic.h>

#include "aggregator/aggregator.h"
#include "base/err.h"
#include "base/reason.h"
#include "data/data.h"
#include "model/model.h"
#include "sim/fleet.h"

typedef struct {
    fl_aggregator_options federation;  // identity, scratch, random: ignored
    fl_fleet_options fleet;
    const fl_dataset *train, *test;  // borrowed
    const fl_partition *partition;   // borrowed; one part a client
    unsigned thread_count;           // workers
    const atomic_bool *stop;         // set by a signal: leave after this round
    /* Called after each saved round; an error ends the run. */
    fl_err (*on_round)(void *self, const fl_round_record *round,
                       const uint32_t *cohort, size_t cohort_len,
                       int64_t virtual_ms, fl_reason *why);
    void *on_round_self;
} fl_simulation_options;

typedef struct fl_simulation fl_simulation;

/*
 * `model` is taken, also when this fails. The caller owns *simulation:
 * fl_simulation_free. FL_ERR_RANGE: an option makes no sense, or model, data
 * and fleet do not fit (fewer clients than the quorum).
 */
FL_CHECK fl_err fl_simulation_new(fl_simulation **simulation,
                                  const fl_simulation_options *options,
                                  fl_model *model, fl_reason *why);

/* Accepts NULL. */
void fl_simulation_free(fl_simulation *simulation);

/*
 * Runs all rounds. FL_ERR_CANCELLED: *stop was set; what is finished stands.
 * FL_ERR_STATE: a round missed its quorum a hundred times in a row, or nothing
 * more can happen, though rounds are missing. Other errors: on_round's.
 */
FL_CHECK fl_err fl_simulation_run(fl_simulation *simulation, fl_reason *why);

/* The global model after the last saved round, as ONNX; borrowed. */
const uint8_t *fl_simulation_model(const fl_simulation *simulation,
                                   size_t *len);

/* The ranges of its INT8 form; NULL: it has none. */
const uint8_t *fl_simulation_ranges(const fl_simulation *simulation,
                                    size_t *len);

int64_t fl_simulation_now_ms(const fl_simulation *simulation);

/* Seconds of CPU that sessions have taken so far, of all clients together. */
double fl_simulation_client_crypto_s(const fl_simulation *simulation);

/* And of the aggregator, unmasking included. */
double fl_simulation_server_crypto_s(const fl_simulation *simulation);

#endif
