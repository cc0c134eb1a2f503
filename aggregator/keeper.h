/*
 * What a server keeps and tells of its federation: each finished round and
 * each client goes into the store, the round then into the sums of all rounds,
 * the copy of the model for people, and onto standard output and the progress
 * line.
 *
 * The store comes first: what is told is on disk. Only the loop thread uses it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_KEEPER_H
#define FL_AGGREGATOR_KEEPER_H

#include "aggregator/aggregator.h"
#include "base/progress.h"

typedef struct {
    fl_store *store;                  // borrowed for life, like what follows
    const fl_federation *federation;  // for the summary
    const char *out;       // a copy of the model, after each round; NULL: none
    bool is_json;          // one object a round on standard output
    uint64_t param_count;  // of the model that a start goes on with
    int64_t start_us;      // of the program; monotonic clock
} fl_keeper_options;

/* A finished round, as a SAVE_ROUND effect has it. */
typedef struct {
    fl_round_record record;
    const uint8_t *model, *master;
    size_t model_len, master_len;
} fl_keeper_round;

typedef struct {
    fl_keeper_options options;
    fl_progress progress;
    fl_totals totals;       // of all rounds, also those before this start
    uint32_t client_count;  // known to the store
    uint64_t param_count;   // of the federation's first model
} fl_keeper;

/* Recalls what the store knows. Errors of the store. */
FL_CHECK fl_err fl_keeper_init(fl_keeper *keeper,
                               const fl_keeper_options *options,
                               fl_reason *why);

/* Draws the progress, from round `rounds_done` on. */
void fl_keeper_show(fl_keeper *keeper, uint32_t rounds_done, bool is_quiet);

/*
 * Saves a round, then tells of it; fills round->record.finished_ms and .model.
 * Errors of fl_store_finish_round, logged: nothing has changed then.
 */
FL_CHECK fl_err fl_keeper_save(fl_keeper *keeper, fl_keeper_round *round,
                               const fl_aggregator *aggregator);

/* Saves a client as a SAVE_CLIENT effect has it; a failure is logged. */
void fl_keeper_save_client(fl_keeper *keeper, const fl_client_record *client);

/* Ends the progress; with is_json the summary follows. Errors of the store. */
FL_CHECK fl_err fl_keeper_finish(fl_keeper *keeper, fl_reason *why);

#endif
