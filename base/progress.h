/*
 * One line that shows how far a long job is, for a person at a terminal:
 *
 *   round 12/100 [####------] acc 0.8100 loss 0.61 up 3.1 MB 4.2 s/round ETA 6m
 *
 * On a terminal the line is redrawn at most 10 times a second; elsewhere
 * every step prints one plain line. Nothing at all when quiet.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_PROGRESS_H
#define FL_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
    FILE *out;         // usually stderr
    bool is_terminal;  // redraw one line
    bool is_quiet;
    const char *unit;  // "round"
    uint64_t total;
    int64_t start_us, drawn_us;
    uint64_t first;  // steps that were done before the start
    int drawn_len;
} fl_progress;

/* `done` steps lie behind us already (a resumed run); they cost no time. */
void fl_progress_start(fl_progress *progress, FILE *out, const char *unit,
                       uint64_t done, uint64_t total);

/* `done` steps are finished; `format` is what stands behind the bar. */
void fl_progress_show(fl_progress *progress, uint64_t done, const char *format,
                      ...) __attribute__((format(printf, 3, 4)));

/* Ends the line, so that what is printed next starts on its own. */
void fl_progress_finish(fl_progress *progress);

/* "840 B", "3.1 MB" (powers of 1,000); "45 s", "6m", "2h 05m". */
void fl_bytes_text(char dst[16], double bytes);
void fl_duration_text(char dst[16], double seconds);

#endif
