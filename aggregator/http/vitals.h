/*
 * What the process itself takes, and who looks at it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_HTTP_VITALS_H
#define FL_AGGREGATOR_HTTP_VITALS_H

#include <stdint.h>

typedef struct {
    uint64_t resident_bytes;  // 0: the system does not tell
    double cpu_s;
    uint64_t request_count;   // HTTP, since the start
    uint32_t listener_count;  // pages that follow the events now
} fl_vitals;

/* Fills in the first two. */
void fl_vitals_read(fl_vitals *vitals);

#endif
