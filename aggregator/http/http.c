/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/http.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aggregator/http/field.h"
#include "aggregator/http/site.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/queue.h"

enum {
    BACKLOG = 512,
    INBOX_CAP = 4,  // snapshots on their way
    WAIT_MAX_MS = 60 * 1000,
    PRIORITY = 10,  // of the thread, as nice(1) has it
    LAST_RUNS = 4,  // for what is left to say at the end
};

struct fl_http {
    fl_job job;  // first: the pool hands this address back
    fl_field_listen listen;
    int listen_fd, wake_fd;  // -1: not open
    fl_queue *inbox;         // snapshots
    fl_pool *thread;         // of one
    int64_t published_ms;
    // The thread's own from here on.
    struct MHD_Daemon *daemon;
    int poll_fd;  // MHD's
    fl_site site;
    bool is_stopping;
};

static fl_snapshot stop_asked;  // its address, in the inbox, ends the thread

/* ---- the thread ---- */

static void take_snapshots(fl_http *http)
{
    void *item;
    uint64_t count;
    (void)!read(http->wake_fd, &count, sizeof count);
    while (fl_queue_pop(http->inbox, &item, 0) == FL_OK) {
        if (item == &stop_asked) {
            http->is_stopping = true;
        } else {
            fl_site_update(&http->site, item);
        }
    }
}

// Until MHD, a listener or the inbox wants something.
static int wait_ms(const fl_http *http)
{
    MHD_UNSIGNED_LONG_LONG mhd_ms;
    int64_t wait = WAIT_MAX_MS;
    const int64_t due_ms = fl_listeners_deadline(&http->site.listeners);
    if (due_ms != INT64_MAX) {
        const int64_t left_ms = due_ms - fl_clock_monotonic_ms();
        if (left_ms < wait) wait = left_ms;
    }
    if (MHD_get_timeout(http->daemon, &mhd_ms) && (int64_t)mhd_ms < wait) {
        wait = (int64_t)mhd_ms;
    }
    return wait > 0 ? (int)wait : 0;
}

static void wait_for_work(const fl_http *http)
{
    struct pollfd fds[] = {{.fd = http->poll_fd, .events = POLLIN},
                           {.fd = http->wake_fd, .events = POLLIN}};
    (void)poll(fds, 2, wait_ms(http));
}

static void serve(fl_job *job)
{
    fl_http *http = (fl_http *)(void *)job;
    // Linux: of this thread alone. When there is too little CPU, rounds first.
    (void)setpriority(PRIO_PROCESS, 0, PRIORITY);
    while (!http->is_stopping) {
        wait_for_work(http);
        take_snapshots(http);
        fl_listeners_wake(&http->site);
        (void)MHD_run(http->daemon);
    }
    fl_listeners_close(&http->site);
    for (unsigned i = 0; i < LAST_RUNS; i++) {
        (void)MHD_run(http->daemon);
    }
}

/* ---- the owner's side ---- */

static void wake(fl_http *http)
{
    const uint64_t one = 1;
    (void)!write(http->wake_fd, &one, sizeof one);
}

bool fl_http_is_due(const fl_http *http, int64_t now_ms)
{
    return http && now_ms - http->published_ms >= FL_HTTP_PUBLISH_MS;
}

void fl_http_publish(fl_http *http, const fl_snapshot *snapshot, int64_t now_ms)
{
    if (!http) return;
    fl_snapshot *copy = malloc(sizeof *copy);
    if (!copy) return;
    *copy = *snapshot;
    if (fl_queue_push(http->inbox, copy)) {
        free(copy);
        return;
    }
    http->published_ms = now_ms;
    wake(http);
}

fl_err fl_http_check(const char *address, fl_reason *why)
{
    fl_field_listen parsed;
    return fl_field_address(&parsed, address, why);
}

static fl_err refuse_address(const char *address, fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_SYSTEM,
                         "--http %s: %s; name another port, or end the program "
                         "that has this one",
                         address, strerror(errno));
}

static fl_err open_socket(fl_http *http, const char *address, fl_reason *why)
{
    const int on = 1;
    fl_field_listen *listened = &http->listen;
    FL_TRY(fl_field_address(listened, address, why));
    struct sockaddr *name = (struct sockaddr *)(void *)&listened->socket;
    http->listen_fd = socket(name->sa_family, SOCK_STREAM, 0);
    http->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (http->listen_fd < 0 || http->wake_fd < 0 ||
        setsockopt(http->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
        bind(http->listen_fd, name, listened->len) ||
        listen(http->listen_fd, BACKLOG) ||
        getsockname(http->listen_fd, name, &listened->len)) {
        return refuse_address(address, why);
    }
    return FL_OK;
}

// What MHD has to say is about single connections.
__attribute__((format(printf, 2, 0))) static void
log_mhd(void *self, const char *format, va_list args)
{
    char text[256];
    (void)self;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = 0;
    fl_log(FL_LOG_DEBUG, "http", "why=%s", text);
}

static fl_err start_daemon(fl_http *http, const fl_http_options *options,
                           fl_reason *why)
{
    const unsigned patience_s =
        options->patience_s ? options->patience_s : FL_HTTP_PATIENCE_S;
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
        NULL, fl_site_answer, &http->site,                                  //
        MHD_OPTION_EXTERNAL_LOGGER, log_mhd, NULL,                          //
        MHD_OPTION_LISTEN_SOCKET, http->listen_fd,                          //
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)FL_HTTP_CONNECTIONS,         //
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)FL_HTTP_PER_ADDRESS,  //
        MHD_OPTION_CONNECTION_TIMEOUT, patience_s,                          //
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)FL_HTTP_REQUEST_BYTES,  //
        MHD_OPTION_STRICT_FOR_CLIENT, 1,                                    //
        MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        http->daemon
            ? MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)
            : NULL;
    if (!info) {
        return fl_reason_set(why, FL_ERR_SYSTEM, "--http %s: no memory",
                             options->address);
    }
    http->listen_fd = -1;  // the daemon closes it
    http->poll_fd = info->epoll_fd;
    return FL_OK;
}

static void say_where(const fl_http *http, const char *address)
{
    fl_log(FL_LOG_INFO, "dashboard", "address=%s port=%u", address,
           fl_http_port(http));
    if (http->listen.is_loopback) return;
    fl_log(FL_LOG_WARN, "dashboard_is_open", "meaning=%s",
           "whoever reaches this address sees how the federation does, there "
           "is no password; put a proxy that asks for one in front (nginx, "
           "Caddy), or listen at 127.0.0.1 and come by ssh -L");
}

static fl_err start(fl_http *http, const fl_http_options *options,
                    fl_reason *why)
{
    FL_TRY(open_socket(http, options->address, why));
    FL_TRY(fl_site_init(&http->site, options->state, why));
    http->site.listeners.cap =
        options->listener_cap ? options->listener_cap : FL_HTTP_LISTENERS;
    http->site.listeners.heartbeat_ms =
        options->heartbeat_ms ? options->heartbeat_ms : FL_HTTP_HEARTBEAT_MS;
    http->site.is_loopback = http->listen.is_loopback;
    FL_TRY(start_daemon(http, options, why));
    if (fl_queue_new(&http->inbox, INBOX_CAP) ||
        fl_pool_new(&http->thread, 1)) {
        return fl_reason_set(why, FL_ERR_SYSTEM, "cannot start a thread");
    }
    return FL_OK;
}

static void free_all(fl_http *http)
{
    void *item;
    fl_pool_free(http->thread);  // after its job, which is the only one
    if (http->daemon) MHD_stop_daemon(http->daemon);
    while (http->inbox && fl_queue_pop(http->inbox, &item, 0) == FL_OK) {
        free(item);
    }
    fl_queue_free(http->inbox);
    fl_site_fini(&http->site);
    if (http->listen_fd >= 0) close(http->listen_fd);
    if (http->wake_fd >= 0) close(http->wake_fd);
    free(http);
}

fl_err fl_http_start(fl_http **http, const fl_http_options *options,
                     fl_reason *why)
{
    fl_http *made = calloc(1, sizeof *made);
    if (!made) return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    made->listen_fd = made->wake_fd = -1;
    made->published_ms = -FL_HTTP_PUBLISH_MS;
    made->job.run = serve;
    const fl_err err = start(made, options, why);
    if (err) {
        free_all(made);
        return err;
    }
    say_where(made, options->address);
    fl_pool_submit(made->thread, &made->job);
    *http = made;
    return FL_OK;
}

void fl_http_stop(fl_http *http)
{
    if (!http) return;
    // The thread empties the inbox, so there is a place for this one soon.
    while (fl_queue_push(http->inbox, &stop_asked)) {
        (void)poll(NULL, 0, 1);
    }
    wake(http);
    free_all(http);
}

uint16_t fl_http_port(const fl_http *http)
{
    const void *name = &http->listen.socket;
    return ntohs(http->listen.socket.ss_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)name)->sin6_port
                     : ((const struct sockaddr_in *)name)->sin_port);
}
