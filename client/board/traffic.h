/*
 * Bytes sent and received in this month, kept in the state folder:
 *
 *   STATE/traffic   kind "FEDGEtr1" | month u32 | bytes u64 | hash
 *
 * What is on the disk is ahead of what has been used: after a crash a little
 * too much is counted, never too little. A clock that is put back gives no new
 * budget, and one that has not been set yet (years ago) changes nothing.
 *
 * Private to client/. One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_TRAFFIC_H
#define FL_CLIENT_TRAFFIC_H

#include <limits.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"

enum { FL_TRAFFIC_STEP = 1024 * 1024 };  // ahead of what is used

// 2024: a clock that says less has not been set since the board was switched
// on.
#define FL_TRAFFIC_PLAUSIBLE_S INT64_C(1704067200)

typedef struct {
    char path[PATH_MAX];
    uint32_t month;  // year * 12 + month; 0: none yet
    uint64_t bytes;  // of that month
    uint64_t saved;  // what the disk says
    uint64_t total;  // of the program's start, at the last count
} fl_traffic;

/*
 * FL_ERR_FORMAT: the file is damaged; the month's count begins anew.
 * FL_ERR_UNSUPPORTED: it is of a newer version, and stays as it is.
 * FL_ERR_RANGE: too long a path. FL_ERR_SYSTEM, FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_traffic_open(fl_traffic *traffic, const char *folder,
                                fl_reason *why);

/*
 * `total` bytes have been used since the start; wall_s: seconds since 1970.
 * FL_ERR_SYSTEM: that could not be kept; it is tried again at the next count.
 */
FL_CHECK fl_err fl_traffic_count(fl_traffic *traffic, uint64_t total,
                                 int64_t wall_s, fl_reason *why);

/* Keeps the exact count, before the program ends. FL_ERR_SYSTEM. */
FL_CHECK fl_err fl_traffic_close(fl_traffic *traffic, fl_reason *why);

/* Reads the month's bytes beside a running client. As fl_traffic_open. */
FL_CHECK fl_err fl_traffic_peek(uint64_t *bytes, const char *folder,
                                fl_reason *why);

#endif
