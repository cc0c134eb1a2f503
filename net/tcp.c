/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tcp.h"

#include <stdlib.h>

#include "base/clock.h"
#include "net/url.h"

enum {
    CONNECTION_CAP = 1024,
    CONNECT_MS = 10 * 1000,
    PROGRESS_MS = 30 * 1000,
    ACCEPT_MS = 60 * 1000,  // then it starts anew: no wait is for ever
    CANCEL_AGAIN_MS = 50,
    ACCEPT_AGAIN_MS = 100,
    LINGER_MS = 20,
};

/* ---- listening and dialling ---- */

void fl_tcp_accept(fl_tcp *tcp, fl_tcp_listener *listener)
{
    fl_tcp_conn *conn;
    if (fl_tcp_conn_new(&conn, tcp, FL_TCP_LISTENING)) {
        listener->retry_at_ms = fl_clock_monotonic_ms() + ACCEPT_AGAIN_MS;
        return;
    }
    listener->retry_at_ms = INT64_MAX;
    conn->listener = listener;
    conn->in.is_busy = true;
    conn->in.task = FL_TCP_ACCEPT;
    fl_stream_accept(listener->listener, conn->in.op, ACCEPT_MS);
}

static fl_err tcp_listen(fl_net *net, const char *url, fl_reason *why)
{
    fl_tcp *tcp = (fl_tcp *)net;
    fl_url parsed;
    uint16_t port;
    FL_TRY(fl_url_parse(&parsed, url, why));
    if (tcp->listener_count == FL_TCP_LISTENER_CAP) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "%.100s: one program listens at %d addresses at "
                             "most; use 0.0.0.0 for all of the machine's",
                             url, FL_TCP_LISTENER_CAP);
    }
    fl_tcp_listener *listener = &tcp->listeners[tcp->listener_count];
    FL_TRY(fl_stream_listen(&listener->listener, &port, url, why));
    if (tcp->listener_count++ == 0) tcp->port = port;
    fl_tcp_accept(tcp, listener);
    return FL_OK;
}

static fl_err start_dial(fl_tcp *tcp, const char *url, fl_conn *number)
{
    fl_tcp_conn *conn;
    FL_TRY(fl_tcp_conn_new(&conn, tcp, FL_TCP_DIALLING));
    fl_err err = fl_conn_table_add(&tcp->conns, &conn->number, conn);
    if (!err) {
        conn->in.task = FL_TCP_DIAL;
        conn->in.is_busy = true;
        *number = conn->number;
        err = fl_stream_dial(&conn->dialer, conn->in.op, url,
                             tcp->times.connect_ms);
    }
    if (!err) return FL_OK;
    // Nobody is to hear of it: without a number there is no CLOSED event.
    if (conn->number) fl_conn_table_remove(&tcp->conns, conn->number);
    conn->number = 0;
    conn->in.is_busy = false;
    fl_tcp_conn_stop(conn, err);
    return err;
}

static fl_err tcp_dial(fl_net *net, const char *url, fl_conn *conn,
                       fl_reason *why)
{
    fl_tcp *tcp = (fl_tcp *)net;
    FL_TRY(fl_url_check_dial(url, why));
    const fl_err err = start_dial(tcp, url, conn);
    if (err == FL_ERR_LIMIT) {
        return fl_reason_set(why, err,
                             "%.100s: all %u connections are taken; close one "
                             "or raise connection_cap",
                             url, tcp->options.connection_cap);
    }
    if (err) fl_reason_set(why, err, "%.100s: %s", url, fl_err_text(err));
    return err;
}

/* ---- the other operations ---- */

static fl_err tcp_send(fl_net *net, fl_conn number, const uint8_t *bytes,
                       size_t len)
{
    fl_tcp_conn *conn = fl_conn_table_get(&((fl_tcp *)net)->conns, number);
    return conn ? fl_tcp_conn_send(conn, bytes, len) : FL_ERR_CLOSED;
}

static void tcp_arm(fl_net *net, fl_conn number)
{
    fl_tcp_conn *conn = fl_conn_table_get(&((fl_tcp *)net)->conns, number);
    if (conn) fl_tcp_conn_arm(conn);
}

static void tcp_close(fl_net *net, fl_conn number)
{
    fl_tcp_conn *conn = fl_conn_table_get(&((fl_tcp *)net)->conns, number);
    if (conn) fl_tcp_conn_close(conn);
}

static fl_err tcp_post(fl_net *net, void *posted)
{
    fl_tcp *tcp = (fl_tcp *)net;
    fl_tcp_report *report = malloc(sizeof *report);
    if (!report) return FL_ERR_MEMORY;
    *report = (fl_tcp_report){.kind = FL_TCP_POSTED, .of.posted = posted};
    fl_err err = FL_ERR_LIMIT;
    if (atomic_fetch_add(&tcp->post_count, 1) < FL_TCP_POST_CAP) {
        err = fl_queue_push(tcp->inbox, report);
    }
    if (err) {
        atomic_fetch_sub(&tcp->post_count, 1);
        free(report);
    }
    return err;
}

static int64_t tcp_now(fl_net *net)
{
    (void)net;
    return fl_clock_monotonic_ms();
}

/* ---- the loop ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What is due now; returns when something will be due next. */
static int64_t run_timers(fl_tcp *tcp, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    fl_tcp_list *lists = tcp->lists;
    // All flush, and all linger, for equally long: both lists are in order.
    fl_tcp_conn *conn;
    while ((conn = lists[FL_TCP_FLUSHING].first) &&
           conn->flush_until_ms <= now_ms) {
        fl_tcp_conn_stop(conn, FL_OK);
    }
    if (conn) next_ms = conn->flush_until_ms;
    while ((conn = lists[FL_TCP_LINGERING].first) &&
           conn->linger_until_ms <= now_ms) {
        fl_tcp_conn_stop(conn, FL_OK);
    }
    if (conn) next_ms = earlier(next_ms, conn->linger_until_ms);

    if (lists[FL_TCP_STOPPING].first) {
        if (tcp->cancel_again_ms <= now_ms) {
            tcp->cancel_again_ms = now_ms + CANCEL_AGAIN_MS;
            conn = lists[FL_TCP_STOPPING].first;
            for (; conn; conn = conn->next) {
                fl_tcp_conn_cancel(conn);
            }
        }
        next_ms = earlier(next_ms, tcp->cancel_again_ms);
    }
    for (size_t i = 0; i < tcp->listener_count; i++) {
        fl_tcp_listener *listener = &tcp->listeners[i];
        if (listener->retry_at_ms <= now_ms && !tcp->is_freeing) {
            fl_tcp_accept(tcp, listener);
        }
        next_ms = earlier(next_ms, listener->retry_at_ms);
    }
    return next_ms;
}

static bool take_post(fl_tcp *tcp, fl_tcp_report *report, fl_net_event *event)
{
    *event = (fl_net_event){.kind = FL_NET_POSTED, .posted = report->of.posted};
    free(report);
    atomic_fetch_sub(&tcp->post_count, 1);
    return true;
}

static bool take_report(fl_tcp *tcp, fl_tcp_report *report, fl_net_event *event)
{
    switch (report->kind) {
    case FL_TCP_RECEIVED: return fl_tcp_conn_received(report->of.conn, event);
    case FL_TCP_SENT: fl_tcp_conn_sent(report->of.conn); return false;
    case FL_TCP_POSTED: return take_post(tcp, report, event);
    }
    return false;
}

static void take_back_lent(fl_tcp *tcp)
{
    free(tcp->lent);
    tcp->lent = NULL;
}

/* One report, waiting for it at most until then. True: an event for *event. */
static bool wait_for_event(fl_tcp *tcp, fl_net_event *event, int64_t now_ms,
                           int64_t until_ms)
{
    void *report;
    const int64_t wait_ms = until_ms == INT64_MAX ? -1
                            : until_ms > now_ms   ? until_ms - now_ms
                                                  : 0;
    if (fl_queue_pop(tcp->inbox, &report, wait_ms)) return false;
    return take_report(tcp, report, event);
}

static fl_err tcp_next(fl_net *net, fl_net_event *event, int64_t until_ms)
{
    fl_tcp *tcp = (fl_tcp *)net;
    take_back_lent(tcp);
    // When the time has come TIME goes first, but not twice in a row: neither
    // a stream of frames nor an owner who only polls starves the other.
    bool time_first = !tcp->told_time;
    for (;;) {
        const int64_t now_ms = fl_clock_monotonic_ms();
        const int64_t timer_ms = run_timers(tcp, now_ms);
        const bool is_time = until_ms <= now_ms;
        tcp->told_time = is_time && time_first;
        if (!tcp->told_time) {
            if (wait_for_event(tcp, event, now_ms,
                               earlier(until_ms, timer_ms))) {
                return FL_OK;
            }
            time_first = true;
            continue;
        }
        *event = (fl_net_event){.kind = FL_NET_TIME};
        return FL_OK;
    }
}

/* ---- the whole ---- */

static bool has_connections(const fl_tcp *tcp)
{
    for (int state = 0; state <= FL_TCP_ENDING; state++) {
        if (tcp->lists[state].first) return true;
    }
    return false;
}

static void stop_all(fl_tcp *tcp)
{
    for (int state = 0; state < FL_TCP_STOPPING; state++) {
        while (tcp->lists[state].first) {
            fl_tcp_conn_stop(tcp->lists[state].first, FL_OK);
        }
    }
}

static void drop_posts(fl_tcp *tcp)
{
    void *report;
    while (!fl_queue_pop(tcp->inbox, &report, 0)) {
        free(report);  // with no connection left these are posts
    }
}

static void tcp_free(fl_net *net)
{
    fl_tcp *tcp = (fl_tcp *)net;
    tcp->is_freeing = true;
    take_back_lent(tcp);
    for (size_t i = 0; i < tcp->listener_count; i++) {
        fl_stream_listener_close(tcp->listeners[i].listener);
    }
    stop_all(tcp);
    while (has_connections(tcp)) {
        fl_net_event event;
        const int64_t now_ms = fl_clock_monotonic_ms();
        (void)wait_for_event(tcp, &event, now_ms, run_timers(tcp, now_ms));
    }
    for (size_t i = 0; i < tcp->listener_count; i++) {
        fl_stream_listener_free(tcp->listeners[i].listener);
    }
    drop_posts(tcp);
    fl_queue_free(tcp->inbox);
    fl_conn_table_fini(&tcp->conns);
    free(tcp);
}

static const fl_net_ops TCP_OPS = {
    .listen = tcp_listen,
    .dial = tcp_dial,
    .send = tcp_send,
    .arm = tcp_arm,
    .close = tcp_close,
    .next = tcp_next,
    .post = tcp_post,
    .now = tcp_now,
    .free = tcp_free,
};

static int32_t or_default(int32_t wish, int32_t otherwise)
{
    return wish ? wish : otherwise;
}

static void set_defaults(fl_tcp *tcp)
{
    fl_net_tcp_options *options = &tcp->options;
    if (!options->connection_cap) options->connection_cap = CONNECTION_CAP;
    if (!options->frame_cap) options->frame_cap = FL_NET_FRAME_MAX;
    if (!options->send_queue_bytes) {
        options->send_queue_bytes = FL_NET_QUEUE_BYTES;
    }
    fl_tcp_times *times = &tcp->times;
    times->connect_ms = or_default(times->connect_ms, CONNECT_MS);
    times->progress_ms = or_default(times->progress_ms, PROGRESS_MS);
    times->flush_ms = or_default(times->flush_ms, FL_NET_FLUSH_MS);
    times->linger_ms = or_default(times->linger_ms, LINGER_MS);
}

fl_err fl_tcp_new(fl_net **net, const fl_net_tcp_options *options,
                  const fl_tcp_times *times, fl_reason *why)
{
    if (options->connection_cap > FL_CONN_TABLE_CAP_MAX) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "connection_cap is %u; at most %u connections "
                             "can be counted",
                             options->connection_cap, FL_CONN_TABLE_CAP_MAX);
    }
    if (options->frame_cap > FL_NET_FRAME_MAX) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "frame_cap is %zu bytes; no frame is longer than "
                             "%d",
                             options->frame_cap, FL_NET_FRAME_MAX);
    }
    fl_tcp *tcp = calloc(1, sizeof *tcp);
    if (!tcp) return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    tcp->net.ops = &TCP_OPS;
    tcp->options = *options;
    tcp->times = *times;
    set_defaults(tcp);
    fl_conn_table_init(&tcp->conns, tcp->options.connection_cap);
    const fl_err err = fl_queue_new(
        &tcp->inbox, FL_TCP_INBOX_CAP(tcp->options.connection_cap));
    if (err) {
        free(tcp);
        return fl_reason_set(why, err,
                             "no memory for the inbox of %u "
                             "connections; lower connection_cap",
                             options->connection_cap);
    }
    *net = &tcp->net;
    return FL_OK;
}

fl_err fl_net_tcp_new(fl_net **net, const fl_net_tcp_options *options,
                      fl_reason *why)
{
    return fl_tcp_new(net, options, &(fl_tcp_times){0}, why);
}

fl_err fl_net_tcp_check(const char *url, fl_reason *why)
{
    fl_url parsed;
    return fl_url_parse(&parsed, url, why);
}

uint16_t fl_net_tcp_port(const fl_net *net)
{
    return ((const fl_tcp *)net)->port;
}

fl_net_tcp_counts fl_net_tcp_count(const fl_net *net)
{
    return ((const fl_tcp *)net)->counts;
}
