/*
 * How a daemon's owner and the service manager reach its loop, and hear of it:
 *
 *   SIGTERM, SIGINT --> post --> loop: fl_control_take says STOP
 *   SIGHUP ----------> post --> loop: RELOAD; fl_control_reload
 *   loop --> notify: ready, status, signs of life
 *
 * However often SIGHUP comes, one is in the loop's queue at a time.
 *
 * Belongs to the loop's thread, but for `post`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_CONTROL_H
#define FL_BASE_CONTROL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/notify.h"
#include "base/reload.h"
#include "base/signals.h"

/* Brings `posted` to the loop; on the signal thread. */
typedef void fl_control_post(void *self, void *posted);

typedef struct {
    fl_notify notify;
    fl_reload *reload;  // borrowed; NULL: SIGHUP ends the process
    fl_signals *signals;
    fl_control_post *post;
    void *post_self;
    char stop, reloading;  // their addresses are what is posted
    atomic_bool is_reload_posted;
} fl_control;

typedef enum {
    FL_CONTROL_NOTHING,  // somebody else has posted it
    FL_CONTROL_STOP,
    FL_CONTROL_RELOAD,
} fl_control_word;

/*
 * Takes the manager's variables out of the environment, and holds SIGHUP back
 * until the start: before there are threads. A variable that makes no sense is
 * logged, and nothing is said then. The caller owns *control: fl_control_close.
 */
void fl_control_open(fl_control *control, fl_reload *reload);

/* From now on signals are posted. Errors of fl_signals_start. */
FL_CHECK fl_err fl_control_start(fl_control *control, fl_control_post *post,
                                 void *post_self);

/* No more of them come. */
void fl_control_close(fl_control *control);

/* What it was that the loop was sent. */
fl_control_word fl_control_take(fl_control *control, const void *posted);

/* Answers RELOAD, to the log and the manager. As fl_reload_log. */
bool fl_control_reload(fl_control *control, fl_reload_check *check, void *self);

#endif
