/* SPDX-License-Identifier: Apache-2.0 */
#include "base/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct fl_signals {
    pthread_t thread;
    sigset_t set;
    void (*ask)(void *self);
    void *self;
};

static void *wait_for_signals(void *self)
{
    const fl_signals *signals = self;
    int number;
    if (sigwait(&signals->set, &number) == 0) signals->ask(signals->self);
    if (sigwait(&signals->set, &number) == 0) _exit(128 + number);
    return NULL;
}

fl_err fl_signals_start(fl_signals **signals, void (*ask)(void *self),
                        void *self)
{
    fl_signals *new = malloc(sizeof *new);
    if (!new) return FL_ERR_MEMORY;
    new->ask = ask;
    new->self = self;
    sigemptyset(&new->set);
    sigaddset(&new->set, SIGINT);
    sigaddset(&new->set, SIGTERM);
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
