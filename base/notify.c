/* SPDX-License-Identifier: Apache-2.0 */
#include "base/notify.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { MESSAGE_CAP = FL_NOTIFY_STATUS_CAP + 64, NUMBER_CAP = 24 };

/* ---- the environment ---- */

// Copies a variable and removes it. False: there is none.
static bool take_variable(char *dst, size_t dst_cap, const char *name)
{
    const char *text = getenv(name);
    if (!text) return false;
    snprintf(dst, dst_cap, "%s", text);
    unsetenv(name);
    return true;
}

// Digits alone, or 0.
static unsigned long long read_count(const char *text)
{
    if (text[0] == 0 || text[strspn(text, "0123456789")] != 0) return 0;
    errno = 0;
    const unsigned long long count = strtoull(text, NULL, 10);
    return errno ? 0 : count;
}

// A path, or "@name" in the abstract namespace, where a zero byte is in front.
static bool read_address(fl_notify *notify, const char *text)
{
    const size_t len = strlen(text);
    const bool is_abstract = text[0] == '@';
    if ((!is_abstract && text[0] != '/') || len < 2 ||
        len >= sizeof notify->manager.sun_path) {
        return false;
    }
    notify->manager.sun_family = AF_UNIX;
    memcpy(notify->manager.sun_path, text, len);
    if (is_abstract) notify->manager.sun_path[0] = 0;
    notify->manager_len =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

// The variables may be meant for the process that has started this one.
static fl_err read_watchdog(fl_notify *notify, fl_reason *why)
{
    char text[NUMBER_CAP], pid[NUMBER_CAP];
    const bool has_pid = take_variable(pid, sizeof pid, "WATCHDOG_PID");
    if (!take_variable(text, sizeof text, "WATCHDOG_USEC")) return FL_OK;
    if (has_pid && read_count(pid) != (unsigned long long)getpid()) {
        return FL_OK;
    }
    const unsigned long long us = read_count(text);
    if (us == 0 || us > INT64_MAX) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "WATCHDOG_USEC=%s: not a number of microseconds",
                             text);
    }
    const int64_t half_ms = (int64_t)(us / 2000);
    notify->every_ms = half_ms > 0 ? half_ms : 1;
    return FL_OK;
}

fl_err fl_notify_open(fl_notify *notify, fl_reason *why)
{
    char address[sizeof notify->manager.sun_path + 1];
    *notify = (fl_notify){.socket = -1};
    const fl_err err = read_watchdog(notify, why);
    if (!take_variable(address, sizeof address, "NOTIFY_SOCKET")) {
        notify->every_ms = 0;
        return err;
    }
    if (err) return err;
    if (!read_address(notify, address)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "NOTIFY_SOCKET=%s: neither a path nor @name",
                             address);
    }
    notify->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify->socket >= 0) return FL_OK;
    return fl_reason_set(why, FL_ERR_SYSTEM, "NOTIFY_SOCKET: %s",
                         strerror(errno));
}

void fl_notify_close(fl_notify *notify)
{
    if (notify->socket >= 0) close(notify->socket);
    notify->socket = -1;
}

/* ---- messages ---- */

static void send_text(const fl_notify *notify, const char *text)
{
    if (notify->socket < 0) return;
    (void)!sendto(notify->socket, text, strlen(text), MSG_NOSIGNAL,
                  (const struct sockaddr *)&notify->manager,
                  notify->manager_len);
}

void fl_notify_ready(fl_notify *notify)
{
    send_text(notify, "READY=1");
}

void fl_notify_reloading(fl_notify *notify)
{
    char text[MESSAGE_CAP];
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)fl_clock_monotonic_us());
    send_text(notify, text);
}

void fl_notify_stopping(fl_notify *notify)
{
    send_text(notify, "STOPPING=1");
}

void fl_notify_status(fl_notify *notify, const char *status)
{
    char text[MESSAGE_CAP], line[FL_NOTIFY_STATUS_CAP];
    if (notify->socket < 0) return;
    snprintf(line, sizeof line, "%s", status);
    line[strcspn(line, "\n")] = 0;  // what follows would be another variable
    if (strcmp(line, notify->status) == 0) return;
    memcpy(notify->status, line, sizeof line);
    snprintf(text, sizeof text, "STATUS=%s", line);
    send_text(notify, text);
}

void fl_notify_beat(fl_notify *notify, int64_t now_ms)
{
    if (notify->every_ms == 0 || notify->socket < 0) return;
    if (now_ms < notify->next_ms) return;
    notify->next_ms = now_ms + notify->every_ms;
    send_text(notify, "WATCHDOG=1");
}

int64_t fl_notify_deadline(const fl_notify *notify)
{
    const bool beats = notify->every_ms > 0 && notify->socket >= 0;
    return beats ? notify->next_ms : INT64_MAX;
}
