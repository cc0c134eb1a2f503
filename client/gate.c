/* SPDX-License-Identifier: Apache-2.0 */
#include "client/gate.h"

fl_err fl_gate_init(fl_gate *gate)
{
    atomic_init(&gate->is_closed, false);
    return fl_queue_new(&gate->knocks, 1);
}

void fl_gate_fini(fl_gate *gate)
{
    fl_queue_free(gate->knocks);
    gate->knocks = NULL;
}

void fl_gate_set(fl_gate *gate, bool is_closed)
{
    atomic_store(&gate->is_closed, is_closed);
    fl_gate_knock(gate);
}

void fl_gate_knock(fl_gate *gate)
{
    // Full: one who has not been heard yet will do.
    (void)!fl_queue_push(gate->knocks, gate);
}

bool fl_gate_pass(fl_gate *gate, const atomic_bool *stop)
{
    void *knock;
    while (atomic_load(&gate->is_closed) && !atomic_load(stop)) {
        (void)!fl_queue_pop(gate->knocks, &knock, -1);
    }
    return !atomic_load(stop);
}
