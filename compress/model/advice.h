/*
 * Which way of making a model smaller suits a device: what each plan came to,
 * held against what the device has.
 *
 * Of plans that fit, the better one is smaller and faster: the product of its
 * bytes and its milliseconds is less. How much accuracy that may cost is a
 * limit like the others. Of plans that do not fit, the better one is beyond
 * its worst limit by less.
 *
 * Pure functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_ADVICE_H
#define FL_COMPRESS_ADVICE_H

#include <stdbool.h>
#include <stddef.h>

enum { FL_ADVICE_NAME_CAP = 32, FL_ADVICE_TEXT_CAP = 64 };

/* What a plan came to. */
typedef struct {
    char name[FL_ADVICE_NAME_CAP];
    double accuracy;    // 0 to 1
    double latency_ms;  // median of one example
    size_t file_bytes;
    size_t memory_bytes;  // at work, one example at a time
} fl_advice;

/* What the device allows; 0: anything. */
typedef struct {
    size_t file_bytes, memory_bytes;
    double latency_ms;
    double drop;      // points of accuracy below `accuracy`; 0: none
    double accuracy;  // of the model as it is
} fl_advice_limits;

/* How far it is beyond its worst limit: a factor; up to 1: it fits. */
double fl_advice_excess(const fl_advice *advice,
                        const fl_advice_limits *limits);

/* The better of both? */
bool fl_advice_is_better(const fl_advice *a, const fl_advice *b,
                         const fl_advice_limits *limits);

/* The best one first; equals keep their order. */
void fl_advice_sort(fl_advice *list, size_t count,
                    const fl_advice_limits *limits);

/* "fits", or which limits it breaks: "bytes, drop". */
void fl_advice_verdict(char text[FL_ADVICE_TEXT_CAP], const fl_advice *advice,
                       const fl_advice_limits *limits);

#endif
