/*
 * A gate that workers pass between two pieces of work, and that another thread
 * opens and closes: how a training pauses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_GATE_H
#define FL_CLIENT_GATE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/queue.h"

typedef struct {
    atomic_bool is_closed;
    fl_queue *knocks;  // wake who waits
} fl_gate;

/* Open. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_gate_init(fl_gate *gate);

/* Nobody waits any more. Accepts one that is all zeros. */
void fl_gate_fini(fl_gate *gate);

void fl_gate_set(fl_gate *gate, bool is_closed);

/* The one who waits looks at its stop flag again. */
void fl_gate_knock(fl_gate *gate);

/*
 * Waits until the gate is open or *stop is set, without using the CPU. False:
 * *stop is set. One thread at a time.
 */
bool fl_gate_pass(fl_gate *gate, const atomic_bool *stop);

#endif
