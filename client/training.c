/* SPDX-License-Identifier: Apache-2.0 */
#include "client/training.h"

#include "base/clock.h"

static bool is_survey(const fl_training *t)
{
    return t->plan.work != FL_WORK_TRAIN;
}

/* ---- in the worker ---- */

static void add_work(fl_training *t)
{
    atomic_fetch_add(&t->worked_ms, fl_clock_monotonic_ms() - t->resumed_ms);
}

static bool pass(fl_training *t)
{
    const bool goes_on = fl_gate_pass(t->gate, &t->stop);
    t->resumed_ms = fl_clock_monotonic_ms();
    return goes_on;
}

static void note_step(void *self, uint64_t step, uint64_t step_count)
{
    fl_training *t = self;
    add_work(t);
    atomic_store(&t->step, (long long)step);
    atomic_store(&t->step_count, (long long)step_count);
    (void)!pass(t);  // the trainer looks at the stop flag next
}

static void run(fl_job *job)
{
    fl_training *t = (fl_training *)(void *)job;
    while (pass(t)) {
        atomic_store(&t->is_interrupted, false);
        // Who closed the gate, or set the stop flag, just before that?
        if (atomic_load(&t->gate->is_closed) || atomic_load(&t->stop)) continue;
        t->err = fl_local_work(&t->result, &t->plan, &t->data, &t->why);
        if (t->err != FL_ERR_CANCELLED) return;
    }
    t->err = fl_reason_set(&t->why, FL_ERR_CANCELLED, "stopped on request");
}

/* ---- its owner ---- */

void fl_training_begin(fl_training *t, fl_gate *gate,
                       const fl_client_effect *effect,
                       const fl_local_data *data)
{
    *t = (fl_training){.job = {.run = run},
                       .gate = gate,
                       .plan = *effect->plan,
                       .data = *data,
                       .begun_ms = fl_clock_monotonic_ms()};
    t->data.stop = is_survey(t) ? &t->is_interrupted : &t->stop;
    t->data.on_step = note_step;
    t->data.on_step_self = t;
    t->data.is_paused = &gate->is_closed;
}

void fl_training_pause(fl_training *t)
{
    atomic_store(&t->is_interrupted, true);
}

void fl_training_stop(fl_training *t)
{
    if (t->stopped_ms == 0) t->stopped_ms = fl_clock_monotonic_ms();
    atomic_store(&t->stop, true);
    atomic_store(&t->is_interrupted, true);
    fl_gate_knock(t->gate);
}

bool fl_training_is_stuck(const fl_training *t, int64_t now_ms)
{
    return t->stopped_ms > 0 && now_ms - t->stopped_ms >= FL_TRAINING_STUCK_MS;
}

int64_t fl_training_latest(const fl_training *t, int64_t end_ms)
{
    const int64_t round_ms = end_ms - t->begun_ms;
    const long long step = atomic_load(&t->step);
    const long long left = atomic_load(&t->step_count) - step;
    // Nothing is known before the first step: a quarter of the round.
    const double work_ms = step > 0 ? (double)atomic_load(&t->worked_ms) /
                                          (double)step * (double)left
                                    : (double)round_ms / 4;
    return end_ms - round_ms / 10 - (int64_t)work_ms;
}
