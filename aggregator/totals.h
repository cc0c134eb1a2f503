/*
 * What a run amounts to: sums and latest values over its rounds, and both as
 * JSON. The daemon, its status and the simulator report the same keys.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_TOTALS_H
#define FL_AGGREGATOR_TOTALS_H

#include <stdint.h>
#include <stdio.h>

#include "aggregator/store.h"
#include "base/json.h"

/* A model of one size, as it was last. */
typedef struct {
    uint64_t params, macs;  // 0: unknown
    uint64_t bytes;         // packed; 0: unknown
    double accuracy;        // NaN: never measured
} fl_totals_size;

typedef struct {
    uint32_t round, best_round;  // the last one, the most accurate one
    uint64_t bytes_up, bytes_down;
    int64_t took_ms;                                      // all rounds together
    uint64_t update_count, selected_count, sample_count;  // of training
    // Rounds that asked for no training; their bytes are in the others as well.
    uint32_t survey_count;
    uint64_t answer_count, survey_up, survey_control;
    uint64_t bytes_control, sessions_aborted;
    uint32_t aggregation;                  // of the last round; 0: none yet
    double accuracy, loss, best_accuracy;  // NaN: never measured
    double client_accuracy, client_loss;   // of the last round
    // The ledger's sums, over rounds that have one.
    uint32_t codec;             // of the last such round; 0: none
    uint64_t ledger_updates;    // in the sums of these rounds
    uint64_t payload_up;        // bytes of these updates
    uint64_t support, rounded;  // the same before the later stages
    uint64_t download_1, download_10, download_full;
    uint32_t count_1, count_10, count_full;  // rounds with such a download
    // What the federation began with, and what pruning has left of it (params
    // 0: all).
    fl_totals_size dense, pruned;
    double int8_accuracy;     // of the last INT8 form; NaN: there is none
    uint32_t accepted_count;  // verdicts of the guard
    uint32_t rolled_back_count;
} fl_totals;

/* Mean bytes of one update after each stage, and of one download. */
typedef struct {
    double raw;  // all parameters in float32
    double support, rounded, packed;
    double wire;  // with all else that clients have sent
    double download_1, download_10, download_full;
} fl_ledger;  // 0: unknown

void fl_totals_init(fl_totals *totals);
void fl_totals_add(fl_totals *totals, const fl_round_record *round);

/* "secure" or "clear"; NULL for anything that is no fl_aggregation. */
const char *fl_totals_aggregation_name(uint32_t aggregation);

/* Bytes of session steps for each update that entered a sum. */
double fl_totals_control_each(const fl_totals *totals);

/* What updates and downloads have cost; param_count 0: unknown. */
fl_ledger fl_totals_ledger(const fl_totals *totals, uint64_t param_count);
fl_ledger fl_totals_round_ledger(const fl_round_record *round,
                                 uint64_t param_count);

/* How much smaller `part` is, as "1/114"; "-" when either is unknown. */
enum { FL_TOTALS_RATIO_CAP = 32 };
void fl_totals_ratio_text(char dst[FL_TOTALS_RATIO_CAP], double whole,
                          double part);

/*
 * What an update takes of the same under Flower's secure aggregation, which
 * sends an integer of 64 bits for each value: "1/195 of its 641.6 kB, ...".
 */
enum { FL_TOTALS_FLOWER_CAP = 80 };
void fl_totals_flower_text(char dst[FL_TOTALS_FLOWER_CAP],
                           const fl_ledger *ledger);

/* "train", "measure", "importance", "ranges"; NULL: no fl_work. */
const char *fl_totals_work_name(uint32_t work);

/* A line about the rounds that were surveys; nothing, when there were none. */
void fl_totals_print_surveys(FILE *out, const char *indent,
                             const fl_totals *totals);

/* What the rounds do not know of a model's forms; 0: unknown. */
typedef struct {
    size_t int8_bytes;                    // of the file
    double dense_us, pruned_us, int8_us;  // one example takes, on this machine
} fl_totals_forms;

/*
 * A line each for the dense model, the pruned one and its INT8 form; nothing,
 * when the model is as it was.
 */
void fl_totals_print_sizes(FILE *out, const fl_totals *totals,
                           const fl_totals_forms *forms);

/* Sets the keys of a round: "round", "accuracy", "bytes_up", ...;
 * param_count: of the first model. */
void fl_totals_round_json(fl_json *line, const fl_round_record *round,
                          uint64_t param_count);

/* Sets the same keys for the whole run, and "best_accuracy", "updates". */
void fl_totals_json(fl_json *line, const fl_totals *totals,
                    uint64_t param_count);

#endif
