/*
 * The learning curve, and what it has cost in bytes, as SVG, drawn by gnuplot.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SIM_CHART_H
#define FL_SIM_CHART_H

#include <stddef.h>
#include <stdint.h>

#include "aggregator/aggregator.h"
#include "base/err.h"
#include "base/reason.h"

typedef struct {
    uint32_t round;
    double accuracy, loss;  // NaN: not measured in this round
} fl_chart_point;

typedef struct {
    uint32_t round;
    fl_ledger ledger;
} fl_chart_bytes;

/* FL_ERR_NOT_FOUND: gnuplot is not installed; *why says how. */
FL_CHECK fl_err fl_chart_check(fl_reason *why);

/*
 * Writes `path`: accuracy on the left axis, loss on the right, over rounds.
 * FL_ERR_SYSTEM: the file could not be written.
 */
FL_CHECK fl_err fl_chart_write(const char *path, const char *title,
                               const fl_chart_point *points, size_t count,
                               fl_reason *why);

/*
 * The same for bytes of one client over rounds, on a logarithmic axis: an
 * update after each stage, and downloads.
 */
FL_CHECK fl_err fl_chart_write_bytes(const char *path, const char *title,
                                     const fl_chart_bytes *points, size_t count,
                                     fl_reason *why);

#endif
