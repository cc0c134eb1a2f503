/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "net/tcp.h"

enum {
    CANCEL_AGAIN_MS = 50,
    RETRY_MS = 100,
};

/* ---- lists ---- */

static void leave_list(fl_tcp_conn *conn)
{
    fl_tcp_list *list = &conn->tcp->lists[conn->state];
    if (conn->previous) {
        conn->previous->next = conn->next;
    } else {
        list->first = conn->next;
    }
    if (conn->next) {
        conn->next->previous = conn->previous;
    } else {
        list->last = conn->previous;
    }
}

static void join_list(fl_tcp_conn *conn, fl_tcp_state state)
{
    fl_tcp_list *list = &conn->tcp->lists[state];
    conn->state = state;
    conn->previous = list->last;
    conn->next = NULL;
    if (list->last) {
        list->last->next = conn;
    } else {
        list->first = conn;
    }
    list->last = conn;
}

static void set_state(fl_tcp_conn *conn, fl_tcp_state state)
{
    leave_list(conn);
    join_list(conn, state);
}

/* ---- memory ---- */

fl_err fl_tcp_conn_new(fl_tcp_conn **conn, fl_tcp *tcp, fl_tcp_state state)
{
    fl_tcp_conn *made = calloc(1, sizeof *made);
    if (!made) return FL_ERR_MEMORY;
    made->tcp = tcp;
    made->in.report = (fl_tcp_report){.kind = FL_TCP_RECEIVED, .of.conn = made};
    made->out.report = (fl_tcp_report){.kind = FL_TCP_SENT, .of.conn = made};
    fl_err err = fl_stream_op_new(&made->in.op, fl_tcp_receive_done, made);
    if (!err) err = fl_stream_op_new(&made->out.op, fl_tcp_send_done, made);
    if (err) {
        fl_stream_op_reap(made->in.op);
        free(made);
        return err;
    }
    join_list(made, state);
    *conn = made;
    return FL_OK;
}

static void drop_frames(fl_tcp_frame *frame)
{
    while (frame) {
        fl_tcp_frame *next = frame->next;
        free(frame);
        frame = next;
    }
}

static void drop_batch(fl_tcp_conn *conn)
{
    for (unsigned i = 0; i < conn->out.batch_count; i++) {
        conn->queued_bytes -= fl_net_frame_cost(conn->out.batch[i]->len);
        free(conn->out.batch[i]);
    }
    conn->out.batch_count = 0;
}

/* ---- the end ---- */

static void end_when_idle(fl_tcp_conn *conn)
{
    if (conn->in.is_busy || conn->out.is_busy) return;
    set_state(conn, FL_TCP_ENDING);
    conn->in.is_busy = true;
    conn->in.task = FL_TCP_END;
    fl_stream_op_run(conn->in.op);
}

void fl_tcp_conn_cancel(fl_tcp_conn *conn)
{
    if (conn->in.is_busy) fl_stream_op_cancel(conn->in.op);
    if (conn->out.is_busy) fl_stream_op_cancel(conn->out.op);
}

void fl_tcp_conn_stop(fl_tcp_conn *conn, fl_err err)
{
    if (conn->state >= FL_TCP_STOPPING) return;
    fl_tcp *tcp = conn->tcp;
    if (!tcp->lists[FL_TCP_STOPPING].first) {
        tcp->cancel_again_ms = fl_clock_monotonic_ms() + CANCEL_AGAIN_MS;
    }
    set_state(conn, FL_TCP_STOPPING);
    conn->err = err;
    atomic_store(&conn->is_stopping, true);
    fl_tcp_conn_cancel(conn);
    end_when_idle(conn);
}

/* The stream and the operations are gone. */
static bool ended(fl_tcp_conn *conn, fl_net_event *event)
{
    fl_tcp *tcp = conn->tcp;
    fl_tcp_listener *listener = conn->listener;
    const fl_conn number = conn->number;
    *event =
        (fl_net_event){.kind = FL_NET_CLOSED, .conn = number, .err = conn->err};
    if (conn->stream) tcp->counts.freed++;
    if (number) fl_conn_table_remove(&tcp->conns, number);
    leave_list(conn);
    drop_batch(conn);
    drop_frames(conn->queue);
    free(conn->in.bytes);
    free(conn);
    if (listener && !tcp->is_freeing) fl_tcp_accept(tcp, listener);
    return number != 0;
}

/* ---- sending ---- */

static void send_next(fl_tcp_conn *conn)
{
    fl_tcp_out *out = &conn->out;
    while (conn->queue && out->batch_count < FL_STREAM_PIECE_CAP) {
        out->batch[out->batch_count++] = conn->queue;
        conn->queue = conn->queue->next;
    }
    fl_tcp_send_batch(conn);
}

static fl_err queue_frame(fl_tcp_conn *conn, const uint8_t *bytes, size_t len)
{
    fl_tcp_frame *frame = malloc(sizeof *frame + FL_NET_LENGTH_BYTES + len);
    if (!frame) return FL_ERR_MEMORY;
    fl_writer writer = fl_writer_over(frame->bytes, FL_NET_LENGTH_BYTES + len);
    fl_writer_u32(&writer, (uint32_t)len);
    fl_writer_bytes(&writer, bytes, len);
    frame->next = NULL;
    frame->len = FL_NET_LENGTH_BYTES + len;
    if (conn->queue) {
        conn->queue_last->next = frame;
    } else {
        conn->queue = frame;
    }
    conn->queue_last = frame;
    conn->queued_bytes += fl_net_frame_cost(frame->len);
    return FL_OK;
}

fl_err fl_tcp_conn_send(fl_tcp_conn *conn, const uint8_t *bytes, size_t len)
{
    const fl_net_tcp_options *options = &conn->tcp->options;
    if (conn->state == FL_TCP_DIALLING) return FL_ERR_STATE;
    if (conn->state != FL_TCP_OPEN) return FL_ERR_CLOSED;
    if (len < 1 || len > FL_NET_FRAME_MAX) return FL_ERR_RANGE;
    const size_t cost = fl_net_frame_cost(FL_NET_LENGTH_BYTES + len);
    if (conn->queued_bytes + cost > options->send_queue_bytes) {
        fl_tcp_conn_stop(conn, FL_ERR_LIMIT);
        return FL_ERR_LIMIT;
    }
    FL_TRY(queue_frame(conn, bytes, len));
    if (!conn->out.is_busy) send_next(conn);
    return FL_OK;
}

/*
 * All is sent. What still comes in is read and dropped until it is quiet:
 * closing with bytes unread would reset the connection, and what we sent could
 * be lost on its last yard.
 */
static void linger(fl_tcp_conn *conn)
{
    const int64_t until_ms =
        fl_clock_monotonic_ms() + conn->tcp->times.linger_ms;
    if (until_ms >= conn->flush_until_ms) {
        fl_tcp_conn_stop(conn, FL_OK);
        return;
    }
    conn->linger_until_ms = until_ms;
    set_state(conn, FL_TCP_LINGERING);
}

void fl_tcp_conn_sent(fl_tcp_conn *conn)
{
    conn->out.is_busy = false;
    drop_batch(conn);
    if (conn->state == FL_TCP_STOPPING) {
        end_when_idle(conn);
    } else if (conn->out.err) {
        const bool is_ours = conn->state == FL_TCP_FLUSHING;
        fl_tcp_conn_stop(conn, is_ours ? FL_OK : conn->out.err);
    } else if (conn->queue) {
        send_next(conn);
    } else if (conn->state == FL_TCP_FLUSHING) {
        linger(conn);
    }
}

void fl_tcp_conn_close(fl_tcp_conn *conn)
{
    if (conn->state == FL_TCP_DIALLING) fl_tcp_conn_stop(conn, FL_OK);
    if (conn->state != FL_TCP_OPEN) return;
    conn->flush_until_ms = fl_clock_monotonic_ms() + conn->tcp->times.flush_ms;
    set_state(conn, FL_TCP_FLUSHING);
    if (!conn->in.is_busy) fl_tcp_receive(conn);
    if (!conn->out.is_busy) linger(conn);
}

/* ---- receiving ---- */

void fl_tcp_conn_arm(fl_tcp_conn *conn)
{
    if (conn->state == FL_TCP_OPEN && !conn->in.is_busy) fl_tcp_receive(conn);
}

static bool open_now(fl_tcp_conn *conn, fl_net_event *event, bool accepted)
{
    set_state(conn, FL_TCP_OPEN);
    fl_tcp_receive(conn);
    *event = (fl_net_event){
        .kind = FL_NET_OPENED, .conn = conn->number, .accepted = accepted};
    return true;
}

static bool dialled(fl_tcp_conn *conn, fl_net_event *event)
{
    fl_stream_dialer_free(conn->dialer);
    conn->dialer = NULL;
    if (!conn->in.err) return open_now(conn, event, false);
    fl_tcp_conn_stop(conn, conn->in.err);
    return false;
}

static bool accepted(fl_tcp_conn *conn, fl_net_event *event)
{
    fl_tcp *tcp = conn->tcp;
    fl_tcp_listener *listener = conn->listener;
    if (conn->in.err) {
        // Out of descriptors, say: that is no better a moment later.
        if (conn->in.err != FL_ERR_TIMEOUT) {
            listener->retry_at_ms = fl_clock_monotonic_ms() + RETRY_MS;
            conn->listener = NULL;
        }
        fl_tcp_conn_stop(conn, FL_OK);
        return false;
    }
    if (fl_conn_table_add(&tcp->conns, &conn->number, conn)) {
        fl_tcp_conn_stop(conn, FL_OK);  // one too many: turned away
        return false;
    }
    conn->listener = NULL;
    fl_tcp_accept(tcp, listener);
    return open_now(conn, event, true);
}

/* While closing: the frame, or the peer's own goodbye, is of no interest. */
static void drop_received(fl_tcp_conn *conn)
{
    free(conn->in.bytes);
    conn->in.bytes = NULL;
    if (conn->in.err) {
        fl_tcp_conn_stop(conn, FL_OK);
        return;
    }
    fl_tcp_receive(conn);
    if (conn->state == FL_TCP_LINGERING) linger(conn);
}

static bool received(fl_tcp_conn *conn, fl_net_event *event)
{
    fl_tcp_in *in = &conn->in;
    if (conn->state != FL_TCP_OPEN) {
        drop_received(conn);
        return false;
    }
    if (in->err) {
        fl_tcp_conn_stop(conn, in->err);
        return false;
    }
    conn->tcp->lent = in->bytes;
    *event = (fl_net_event){.kind = FL_NET_FRAME,
                            .conn = conn->number,
                            .bytes = in->bytes,
                            .len = in->len};
    in->bytes = NULL;
    return true;
}

bool fl_tcp_conn_received(fl_tcp_conn *conn, fl_net_event *event)
{
    const fl_tcp_task task = conn->in.task;
    conn->in.is_busy = false;
    if (task == FL_TCP_END) return ended(conn, event);
    if (task != FL_TCP_FRAME && conn->stream) conn->tcp->counts.opened++;
    if (conn->state == FL_TCP_STOPPING) {
        fl_stream_dialer_free(conn->dialer);
        conn->dialer = NULL;
        end_when_idle(conn);
        return false;
    }
    switch (task) {
    case FL_TCP_ACCEPT: return accepted(conn, event);
    case FL_TCP_DIAL: return dialled(conn, event);
    case FL_TCP_FRAME: return received(conn, event);
    case FL_TCP_END: break;
    }
    return false;
}
