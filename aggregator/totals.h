/*
 * What a run amounts to: sums and latest values over its rounds, and both as
 * JSON. The daemon, its status and the simulator report the same keys.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_TOTALS_H
#define FL_AGGREGATOR_TOTALS_H

#include <stdint.h>

#include "aggregator/store.h"
#include "base/json.h"

typedef struct {
    uint32_t round, best_round;  // the last one, the most accurate one
    uint64_t bytes_up, bytes_down;
    uint64_t update_count, selected_count, sample_count;
    uint64_t bytes_control, sessions_aborted;
    uint32_t aggregation;                  // of the last round; 0: none yet
    double accuracy, loss, best_accuracy;  // NaN: never measured
    double client_accuracy, client_loss;   // of the last round
} fl_totals;

void fl_totals_init(fl_totals *totals);
void fl_totals_add(fl_totals *totals, const fl_round_record *round);

/* "secure" or "clear"; NULL for anything that is no fl_aggregation. */
const char *fl_totals_aggregation_name(uint32_t aggregation);

/* Bytes of session steps for each update that entered a sum. */
double fl_totals_control_each(const fl_totals *totals);

/* Sets the keys of a round: "round", "accuracy", "bytes_up", ... */
void fl_totals_round_json(fl_json *line, const fl_round_record *round);

/* Sets the same keys for the whole run, and "best_accuracy", "updates". */
void fl_totals_json(fl_json *line, const fl_totals *totals);

#endif
