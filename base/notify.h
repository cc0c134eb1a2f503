/*
 * What a service tells its manager: sd_notify(3), without libsystemd.
 *
 *   NOTIFY_SOCKET  where to    READY=1, STATUS=..., RELOADING=1, STOPPING=1
 *   WATCHDOG_USEC  how often   WATCHDOG=1, or the manager starts it again
 *
 * Without a manager nothing is sent, and nothing here costs anything. What a
 * manager does not take is lost: there is nobody to tell.
 *
 * One thread, the loop that is to be seen alive.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_NOTIFY_H
#define FL_BASE_NOTIFY_H

#include <stddef.h>
#include <stdint.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"
#include "base/reason.h"

enum { FL_NOTIFY_STATUS_CAP = 240 };

typedef struct {
    int socket;  // -1: no manager listens
    struct sockaddr_un manager;
    socklen_t manager_len;
    int64_t every_ms, next_ms;  // between two signs of life; 0: none are asked
    char status[FL_NOTIFY_STATUS_CAP];
} fl_notify;

/*
 * Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment,
 * so that no child speaks in our name: call before there are threads. The
 * caller owns *notify, also after an error, when it says nothing: fl_notify_
 * close. FL_ERR_RANGE: a variable that no manager sets. FL_ERR_SYSTEM.
 */
FL_CHECK fl_err fl_notify_open(fl_notify *notify, fl_reason *why);

void fl_notify_close(fl_notify *notify);

/* It is up, or up again after a reload. */
void fl_notify_ready(fl_notify *notify);

/* It reads its options again; READY follows. */
void fl_notify_reloading(fl_notify *notify);

/* It is about to end. */
void fl_notify_stopping(fl_notify *notify);

/* One line for people; sent when it is another one than before. */
void fl_notify_status(fl_notify *notify, const char *status);

/* A sign of life, when it is time for one. */
void fl_notify_beat(fl_notify *notify, int64_t now_ms);

/* When it is; INT64_MAX: never. Twice as often as the manager demands. */
int64_t fl_notify_deadline(const fl_notify *notify);

#endif
