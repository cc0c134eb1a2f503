/*
 * A bounded queue of pointers between threads. Full means "no", never growth.
 *
 * Thread-safe. The only mutexes of fedge are here and in pool.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_QUEUE_H
#define FL_BASE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct fl_queue fl_queue;

/* Room for `cap` items, at least 1. Owner: fl_queue_free. */
FL_CHECK fl_err fl_queue_new(fl_queue **queue, size_t cap);

/* Items still inside are the caller's to free first. Accepts NULL. */
void fl_queue_free(fl_queue *queue);

/* Never waits. FL_ERR_LIMIT: full. */
FL_CHECK fl_err fl_queue_push(fl_queue *queue, void *item);

/*
 * The oldest item; waits up to wait_ms (0: not at all, -1: for ever, on the
 * monotonic clock). FL_ERR_TIMEOUT: none came.
 */
FL_CHECK fl_err fl_queue_pop(fl_queue *queue, void **item, int64_t wait_ms);

#endif
