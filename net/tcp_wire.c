/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "net/tcp.h"

enum { CONFIRM_MS = 10 };

static void push(fl_tcp *tcp, fl_tcp_report *report)
{
    const fl_err err = fl_queue_push(tcp->inbox, report);
    assert(err == FL_OK);  // see tcp.h for why
    (void)err;
}

static void receive_more(fl_tcp_conn *conn)
{
    fl_tcp_in *in = &conn->in;
    uint8_t *dst = in->ahead + in->ahead_len;
    size_t left = sizeof in->ahead - in->ahead_len;
    if (in->bytes) {
        dst = in->bytes + in->got;
        left = in->len - in->got;
    }
    fl_stream_recv(conn->stream, in->op, dst, left,
                   conn->tcp->times.progress_ms);
}

void fl_tcp_receive(fl_tcp_conn *conn)
{
    conn->in.is_busy = true;
    conn->in.task = FL_TCP_FRAME;
    if (conn->in.ahead_len >= FL_NET_LENGTH_BYTES) {
        fl_stream_op_run(conn->in.op);  // perhaps a whole frame is here
    } else {
        receive_more(conn);
    }
}

/*
 * Makes a frame of what was read ahead, when its prefix is complete. The
 * announced length is a stranger's word: checked before memory is taken.
 */
static fl_err begin_frame(fl_tcp_conn *conn)
{
    fl_tcp_in *in = &conn->in;
    if (in->ahead_len < FL_NET_LENGTH_BYTES) return FL_OK;
    in->len = fl_bytes_get_u32(in->ahead);
    if (in->len == 0) return FL_ERR_FORMAT;
    if (in->len > conn->tcp->options.frame_cap) return FL_ERR_LIMIT;
    in->bytes = malloc(in->len);
    if (!in->bytes) return FL_ERR_MEMORY;

    const size_t here = in->ahead_len - FL_NET_LENGTH_BYTES;
    in->got = here < in->len ? here : in->len;
    const uint8_t *body = in->ahead + FL_NET_LENGTH_BYTES;
    memcpy(in->bytes, body, in->got);
    in->ahead_len = here - in->got;
    memmove(in->ahead, body + in->got, in->ahead_len);
    return FL_OK;
}

/* Takes what has come in. True: the frame is complete. */
static fl_err take(fl_tcp_conn *conn, bool *is_complete)
{
    fl_tcp_in *in = &conn->in;
    *is_complete = false;
    const fl_err err = fl_stream_op_result(in->op);
    const bool has_begun = in->bytes || in->ahead_len > 0;
    // Between two frames a peer may be silent for as long as it likes.
    if (err == FL_ERR_TIMEOUT && !has_begun) return FL_OK;
    if (err) return err;
    if (in->bytes) {
        in->got += fl_stream_op_count(in->op);
    } else {
        in->ahead_len += fl_stream_op_count(in->op);
        FL_TRY(begin_frame(conn));
    }
    *is_complete = in->bytes && in->got == in->len;
    return FL_OK;
}

/* True: the loop is to hear of it; false: there is more to come. */
static bool step(fl_tcp_conn *conn)
{
    bool is_complete;
    fl_tcp_in *in = &conn->in;
    in->err = take(conn, &is_complete);
    if (in->err || is_complete) return true;
    if (atomic_load(&conn->is_stopping)) {
        in->err = FL_ERR_CANCELLED;
        return true;
    }
    receive_more(conn);
    return false;
}

static void take_stream(fl_tcp_conn *conn)
{
    conn->in.err = fl_stream_op_result(conn->in.op);
    if (!conn->in.err) conn->stream = fl_stream_op_stream(conn->in.op);
}

/* True: the dial is over; false: its stream is not connected yet. */
static bool confirm(fl_tcp_conn *conn)
{
    fl_tcp_in *in = &conn->in;
    if (!conn->stream) take_stream(conn);
    if (!conn->stream || fl_stream_is_connected(conn->stream)) return true;
    if (in->confirmed_ms >= conn->tcp->times.connect_ms ||
        atomic_load(&conn->is_stopping)) {
        in->err = FL_ERR_TIMEOUT;
        return true;
    }
    in->confirmed_ms += CONFIRM_MS;
    fl_stream_op_sleep(in->op, CONFIRM_MS);
    return false;
}

static void end(fl_tcp_conn *conn)
{
    fl_stream_free(conn->stream);
    fl_stream_op_reap(conn->out.op);
    fl_stream_op_reap(conn->in.op);
}

void fl_tcp_receive_done(void *arg)
{
    fl_tcp_conn *conn = arg;
    switch (conn->in.task) {
    case FL_TCP_ACCEPT: take_stream(conn); break;
    case FL_TCP_DIAL:
        if (!confirm(conn)) return;
        break;
    case FL_TCP_FRAME:
        if (!step(conn)) return;
        break;
    case FL_TCP_END: end(conn); break;
    }
    push(conn->tcp, &conn->in.report);  // from here on it is the loop's
}

/* What is left of the batch, at least one byte. */
static void send_more(fl_tcp_conn *conn)
{
    fl_tcp_out *out = &conn->out;
    fl_stream_piece pieces[FL_STREAM_PIECE_CAP];
    unsigned piece_count = 0;
    size_t skip = out->batch_sent;
    for (unsigned i = 0; i < out->batch_count; i++) {
        fl_tcp_frame *frame = out->batch[i];
        if (skip < frame->len) {
            pieces[piece_count++] =
                (fl_stream_piece){frame->bytes + skip, frame->len - skip};
        }
        skip -= skip < frame->len ? skip : frame->len;
    }
    fl_stream_send(conn->stream, out->op, pieces, piece_count,
                   conn->tcp->times.progress_ms);
}

static size_t batch_bytes(const fl_tcp_out *out)
{
    size_t sum = 0;
    for (unsigned i = 0; i < out->batch_count; i++) {
        sum += out->batch[i]->len;
    }
    return sum;
}

void fl_tcp_send_batch(fl_tcp_conn *conn)
{
    conn->out.is_busy = true;
    conn->out.batch_sent = 0;
    send_more(conn);
}

void fl_tcp_send_done(void *arg)
{
    fl_tcp_conn *conn = arg;
    fl_tcp_out *out = &conn->out;
    out->err = fl_stream_op_result(out->op);
    if (!out->err) {
        out->batch_sent += fl_stream_op_count(out->op);
        if (out->batch_sent < batch_bytes(out)) {
            if (!atomic_load(&conn->is_stopping)) {
                send_more(conn);
                return;
            }
            out->err = FL_ERR_CANCELLED;
        }
    }
    push(conn->tcp, &out->report);  // from here on it is the loop's
}
