/*
 * A federation in virtual time for tests: a table that can be learnt, dealt to
 * its clients, and what came out of a run.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_SIMULATED_H
#define FL_TESTS_SUPPORT_SIMULATED_H

#include "sim/simulation.h"

enum {
    SIMULATED_COLUMNS = 4,
    SIMULATED_CLASSES = 3,
    SIMULATED_ROUNDS_CAP = 16,
    SIMULATED_COHORT_CAP = 160,
};

typedef struct {
    fl_dataset *train, *test;
    fl_partition *partition;
    fl_simulation_options options;
    atomic_bool stop;
    uint32_t stop_after;  // this round; 0: never
    fl_err round_err;     // what on_round says to the first one
    // What came out.
    fl_err err;
    fl_reason why;
    fl_round_record rounds[SIMULATED_ROUNDS_CAP];
    uint32_t cohorts[SIMULATED_ROUNDS_CAP][SIMULATED_COHORT_CAP];
    size_t cohort_lens[SIMULATED_ROUNDS_CAP];
    size_t round_count;
    uint8_t *model;
    size_t model_len;
    int64_t now_ms;
} simulated;

/*
 * Three secure rounds of five clients, which `options` may change; the first
 * bad_rows rows of the table are too large for floats, and a client's own.
 */
void simulated_init(simulated *w, uint32_t client_count, uint32_t row_count,
                    uint32_t bad_rows);
void simulated_fini(simulated *w);

/* An mlp for so many columns. */
fl_model *simulated_model(uint32_t columns);

/* Runs it from the start; w->err is what it ended with. */
void simulated_run(simulated *w);

/* Every bit that came out, times of this machine excepted. */
void simulated_assert_same(const simulated *a, const simulated *b);

#endif
