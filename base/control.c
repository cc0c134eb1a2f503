/* SPDX-License-Identifier: Apache-2.0 */
#include "base/control.h"

#include <signal.h>

#include "base/log.h"

static void ask_to_stop(void *self)
{
    fl_control *control = self;
    control->post(control->post_self, &control->stop);
}

static void ask_to_reload(void *self)
{
    fl_control *control = self;
    if (atomic_exchange(&control->is_reload_posted, true)) return;
    control->post(control->post_self, &control->reloading);
}

// One that comes while the program starts waits until it has: by default it
// would end the process, for systemd without a fault.
static void hold_reloads(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void fl_control_open(fl_control *control, fl_reload *reload)
{
    fl_reason why;
    if (reload) hold_reloads();
    *control = (fl_control){.reload = reload};
    atomic_init(&control->is_reload_posted, false);
    if (fl_notify_open(&control->notify, &why)) {
        fl_log(FL_LOG_WARN, "notify_failed", "why=%s", why.text);
    }
}

fl_err fl_control_start(fl_control *control, fl_control_post *post,
                        void *post_self)
{
    const fl_signals_calls calls = {
        .stop = ask_to_stop,
        .reload = control->reload ? ask_to_reload : NULL,
        .self = control,
    };
    control->post = post;
    control->post_self = post_self;
    return fl_signals_start(&control->signals, &calls);
}

void fl_control_close(fl_control *control)
{
    fl_signals_stop(control->signals);
    control->signals = NULL;
    fl_notify_close(&control->notify);
}

fl_control_word fl_control_take(fl_control *control, const void *posted)
{
    if (posted == &control->stop) {
        fl_log(FL_LOG_INFO, "stopping", NULL);
        fl_notify_stopping(&control->notify);
        return FL_CONTROL_STOP;
    }
    if (posted != &control->reloading) return FL_CONTROL_NOTHING;
    // First: a file that changes from now on is worth another look.
    atomic_store(&control->is_reload_posted, false);
    return FL_CONTROL_RELOAD;
}

bool fl_control_reload(fl_control *control, fl_reload_check *check, void *self)
{
    fl_notify_reloading(&control->notify);
    const bool is_good = fl_reload_log(control->reload, check, self);
    fl_notify_ready(&control->notify);
    return is_good;
}
