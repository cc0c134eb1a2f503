/* SPDX-License-Identifier: Apache-2.0 */
#include "net/stream.h"

#include <assert.h>

#include <nng/nng.h>

static fl_err err_of(int nng_err)
{
    switch (nng_err) {
    case 0: return FL_OK;
    case NNG_ENOMEM: return FL_ERR_MEMORY;
    case NNG_ETIMEDOUT: return FL_ERR_TIMEOUT;
    case NNG_ECANCELED: return FL_ERR_CANCELLED;
    case NNG_EADDRINVAL: return FL_ERR_NOT_FOUND;
    case NNG_ECLOSED:
    case NNG_ECONNREFUSED:
    case NNG_ECONNABORTED:
    case NNG_ECONNRESET:
    case NNG_ECONNSHUT:
    case NNG_EUNREACHABLE: return FL_ERR_CLOSED;
    default: return FL_ERR_SYSTEM;
    }
}

fl_err fl_stream_op_new(fl_stream_op **op, void (*done)(void *), void *arg)
{
    return err_of(nng_aio_alloc(op, done, arg));
}

void fl_stream_op_reap(fl_stream_op *op)
{
    if (op) nng_aio_reap(op);
}

void fl_stream_op_cancel(fl_stream_op *op)
{
    nng_aio_cancel(op);
}

void fl_stream_op_run(fl_stream_op *op)
{
    // When begin says no, the callback is on its way already.
    if (nng_aio_begin(op)) nng_aio_finish(op, 0);
}

void fl_stream_op_sleep(fl_stream_op *op, int32_t sleep_ms)
{
    nng_aio_set_timeout(op, NNG_DURATION_INFINITE);  // the sleep is the limit
    nng_sleep_aio(sleep_ms, op);
}

fl_err fl_stream_op_result(fl_stream_op *op)
{
    return err_of(nng_aio_result(op));
}

size_t fl_stream_op_count(fl_stream_op *op)
{
    return nng_aio_count(op);
}

fl_stream *fl_stream_op_stream(fl_stream_op *op)
{
    return nng_aio_get_output(op, 0);
}

static void set_pieces(fl_stream_op *op, const fl_stream_piece *pieces,
                       unsigned piece_count, int32_t timeout_ms)
{
    nng_iov iov[FL_STREAM_PIECE_CAP];
    assert(piece_count <= FL_STREAM_PIECE_CAP);
    for (unsigned i = 0; i < piece_count; i++) {
        iov[i] =
            (nng_iov){.iov_buf = pieces[i].bytes, .iov_len = pieces[i].len};
    }
    const int err = nng_aio_set_iov(op, piece_count, iov);
    assert(err == 0);  // it only checks the number of pieces
    (void)err;
    nng_aio_set_timeout(op, timeout_ms);
}

void fl_stream_recv(fl_stream *stream, fl_stream_op *op, uint8_t *dst,
                    size_t dst_cap, int32_t timeout_ms)
{
    set_pieces(op, &(fl_stream_piece){dst, dst_cap}, 1, timeout_ms);
    nng_stream_recv(stream, op);
}

void fl_stream_send(fl_stream *stream, fl_stream_op *op,
                    const fl_stream_piece *pieces, unsigned piece_count,
                    int32_t timeout_ms)
{
    set_pieces(op, pieces, piece_count, timeout_ms);
    nng_stream_send(stream, op);
}

bool fl_stream_is_connected(fl_stream *stream)
{
    nng_sockaddr peer;  // the system knows it once the peer has answered
    return nng_stream_get_addr(stream, NNG_OPT_REMADDR, &peer) == 0;
}

void fl_stream_free(fl_stream *stream)
{
    if (!stream) return;
    nng_stream_close(stream);
    nng_stream_free(stream);
}

static fl_err refuse_listen(int nng_err, const char *url, fl_reason *why)
{
    switch (nng_err) {
    case NNG_EADDRINUSE:
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "%.100s: the port is in use; stop the program "
                             "that has it (`ss -ltnp` names it) or choose "
                             "another port",
                             url);
    case NNG_EPERM:
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "%.100s: not permitted; ports below 1024 are "
                             "reserved: choose a higher one, or give the "
                             "program CAP_NET_BIND_SERVICE",
                             url);
    case NNG_EADDRINVAL:
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "%.100s: not an address of this machine; use one "
                             "that `ip address` lists, or 0.0.0.0 for all",
                             url);
    default:
        return fl_reason_set(why, err_of(nng_err), "%.100s: cannot listen: %s",
                             url, nng_strerror(nng_err));
    }
}

// Streams wait by default to fill a packet (Nagle) while the other side waits
// to acknowledge one: 40 ms for each small frame, five times a round.
fl_err fl_stream_listen(fl_stream_listener **listener, uint16_t *port,
                        const char *url, fl_reason *why)
{
    fl_stream_listener *made = NULL;
    int bound = 0;
    int err = nng_stream_listener_alloc(&made, url);
    if (!err) err = nng_stream_listener_set_bool(made, NNG_OPT_TCP_NODELAY, 1);
    if (!err) err = nng_stream_listener_listen(made);
    if (!err) {
        err = nng_stream_listener_get_int(made, NNG_OPT_TCP_BOUND_PORT, &bound);
    }
    if (err) {
        fl_stream_listener_free(made);
        return refuse_listen(err, url, why);
    }
    *listener = made;
    *port = (uint16_t)bound;
    return FL_OK;
}

void fl_stream_accept(fl_stream_listener *listener, fl_stream_op *op,
                      int32_t timeout_ms)
{
    nng_aio_set_timeout(op, timeout_ms);
    nng_stream_listener_accept(listener, op);
}

void fl_stream_listener_close(fl_stream_listener *listener)
{
    if (listener) nng_stream_listener_close(listener);
}

void fl_stream_listener_free(fl_stream_listener *listener)
{
    if (listener) nng_stream_listener_free(listener);
}

void fl_stream_dialer_free(fl_stream_dialer *dialer)
{
    if (dialer) nng_stream_dialer_free(dialer);
}

fl_err fl_stream_dial(fl_stream_dialer **dialer, fl_stream_op *op,
                      const char *url, int32_t timeout_ms)
{
    fl_stream_dialer *made = NULL;
    int err = nng_stream_dialer_alloc(&made, url);
    if (!err) err = nng_stream_dialer_set_bool(made, NNG_OPT_TCP_NODELAY, 1);
    if (err) {
        fl_stream_dialer_free(made);
        return err_of(err);
    }
    *dialer = made;  // before the dial: its callback may come at once
    nng_aio_set_timeout(op, timeout_ms);
    nng_stream_dialer_dial(made, op);
    return FL_OK;
}
