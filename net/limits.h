/*
 * Limits that both backends keep, so that they behave alike.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_NET_LIMITS_H
#define FL_NET_LIMITS_H

#include <stddef.h>

#include "net/net.h"

enum {
    // What a queued frame counts on top of its bytes: a queue of tiny frames
    // is as bounded as one of large ones.
    FL_NET_FRAME_OVERHEAD = 128,
    FL_NET_QUEUE_BYTES = 16 * (FL_NET_FRAME_MAX + FL_NET_FRAME_OVERHEAD),
    FL_NET_FLUSH_MS = 5000,
};

/* What a frame counts in its connection's send queue. */
static inline size_t fl_net_frame_cost(size_t len)
{
    return len + FL_NET_FRAME_OVERHEAD;
}

#endif
