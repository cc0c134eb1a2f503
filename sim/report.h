/*
 * What a simulation shows and leaves behind: the progress line, the rounds as
 * JSON lines and CSV, the curves, the final table.
 *
 * Files are opened before the first round, so that a path that cannot be
 * written stops the run before it has cost anything; every round is flushed,
 * so that what was printed is there after a crash. The CSV holds nothing that
 * depends on this machine's speed: same seed, same bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SIM_REPORT_H
#define FL_SIM_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "aggregator/aggregator.h"
#include "base/err.h"
#include "base/reason.h"

typedef struct {
    const char *json;        // JSON lines; "-": standard output; NULL: none
    const char *csv;         // NULL: none
    const char *plot;        // SVG; NULL: none
    const char *plot_bytes;  // the same, of the ledger
    bool is_quiet;           // no progress, no table
    // What is run, for the summary and the table.
    const char *dataset, *model, *partition;
    uint64_t seed;
    uint64_t param_count;
    uint32_t client_count, cohort, round_count;
} fl_report_options;

/*
 * Whether a file that is written at the end can be; leaves nothing behind.
 * Accepts NULL. FL_ERR_SYSTEM: it cannot.
 */
FL_CHECK fl_err fl_report_check_path(const char *path, fl_reason *why);

typedef struct fl_report fl_report;

/*
 * Opens the files. The caller owns *report: fl_report_free. Texts of the
 * options are borrowed for its life.
 * FL_ERR_SYSTEM: a file cannot be written. FL_ERR_NOT_FOUND: a plot is
 * wanted and gnuplot is not there.
 */
FL_CHECK fl_err fl_report_new(fl_report **report,
                              const fl_report_options *options, fl_reason *why);

/* Accepts NULL. */
void fl_report_free(fl_report *report);

/*
 * Adds a finished round. `cohort` are the numbers of the clients whose
 * updates made it. FL_ERR_SYSTEM: a file cannot be written any more.
 */
FL_CHECK fl_err fl_report_round(fl_report *report, const fl_round_record *round,
                                const uint32_t *cohort, size_t cohort_len,
                                int64_t virtual_ms, fl_reason *why);

/*
 * What cryptography has cost, in seconds of CPU: all clients together, and the
 * aggregator. For the summary; 0 until it is told.
 */
void fl_report_set_crypto(fl_report *report, double client_s, double server_s);

/* What the table of the model's forms says of them; copied. */
void fl_report_set_forms(fl_report *report, const fl_totals_forms *forms);

/* The last line, the table, the curves. */
FL_CHECK fl_err fl_report_finish(fl_report *report, int64_t virtual_ms,
                                 fl_reason *why);

#endif
