/*
 * Signals as ordinary calls: a thread of their own waits for them, so that no
 * handler ever interrupts anything.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_SIGNALS_H
#define FL_BASE_SIGNALS_H

#include "base/err.h"

typedef struct fl_signals fl_signals;

typedef struct {
    void (*stop)(void *self);
    void (*reload)(void *self);  // NULL: SIGHUP ends the process, as usual
    void *self;
} fl_signals_calls;

/*
 * From now on SIGINT and SIGTERM call `stop` on the signal thread; a second
 * one ends the process at once. SIGHUP calls `reload`, as often as it comes.
 * SIGPIPE is ignored. Call before any other thread is started: they inherit
 * the mask. The caller owns *signals: fl_signals_stop. FL_ERR_SYSTEM: no thread
 * could be started.
 */
FL_CHECK fl_err fl_signals_start(fl_signals **signals,
                                 const fl_signals_calls *calls);

/* Ends the thread. Accepts NULL. */
void fl_signals_stop(fl_signals *signals);

#endif
