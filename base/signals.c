/* SPDX-License-Identifier: Apache-2.0 */
#include "base/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct fl_signals {
    pthread_t thread;
    sigset_t set;
    fl_signals_calls calls;
};

static void *wait_for_signals(void *self)
{
    const fl_signals *signals = self;
    const fl_signals_calls *calls = &signals->calls;
    bool is_stopping = false;
    int number;
    while (sigwait(&signals->set, &number) == 0) {
        if (number == SIGHUP) {
            calls->reload(calls->self);
        } else if (is_stopping) {
            _exit(128 + number);
        } else {
            is_stopping = true;
            calls->stop(calls->self);
        }
    }
    return NULL;
}

fl_err fl_signals_start(fl_signals **signals, const fl_signals_calls *calls)
{
    fl_signals *new = malloc(sizeof *new);
    if (!new) return FL_ERR_MEMORY;
    new->calls = *calls;
    sigemptyset(&new->set);
    sigaddset(&new->set, SIGINT);
    sigaddset(&new->set, SIGTERM);
    if (calls->reload) sigaddset(&new->set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    if (pthread_sigmask(SIG_BLOCK, &new->set, NULL) ||
        pthread_create(&new->thread, NULL, wait_for_signals, new)) {
        free(new);
        return FL_ERR_SYSTEM;
    }
    *signals = new;
    return FL_OK;
}

void fl_signals_stop(fl_signals *signals)
{
    if (!signals) return;
    pthread_cancel(signals->thread);  // sigwait is where it can be cancelled
    pthread_join(signals->thread, NULL);
    pthread_sigmask(SIG_UNBLOCK, &signals->set, NULL);
    free(signals);
}
