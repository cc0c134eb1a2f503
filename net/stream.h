/*
 * The part of NNG that fedge uses: byte streams over TCP, and the operations
 * on them. stream.c is the only file that knows NNG, and so the only one that
 * changes with its releases.
 *
 * An operation belongs to one direction of one connection and does one thing
 * at a time: it is started, and then its callback runs once, on a thread of
 * NNG's, never inside the function that started it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_NET_STREAM_H
#define FL_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"

typedef struct nng_aio fl_stream_op;
typedef struct nng_stream fl_stream;
typedef struct nng_stream_dialer fl_stream_dialer;
typedef struct nng_stream_listener fl_stream_listener;

enum { FL_STREAM_PIECE_CAP = 8 };  // NNG 1.5's limit

typedef struct {
    uint8_t *bytes;
    size_t len;
} fl_stream_piece;

FL_CHECK fl_err fl_stream_op_new(fl_stream_op **op, void (*done)(void *),
                                 void *arg);

/* Frees it soon, also from its own callback. Accepts NULL. */
void fl_stream_op_reap(fl_stream_op *op);

/*
 * Makes what it does end early with FL_ERR_CANCELLED. Does nothing when it
 * does nothing; a callback that starts it anew just then wins.
 */
void fl_stream_op_cancel(fl_stream_op *op);

/* Does nothing but run the callback, at once or after a while. */
void fl_stream_op_run(fl_stream_op *op);
void fl_stream_op_sleep(fl_stream_op *op, int32_t sleep_ms);

/*
 * In the callback: how it went. FL_ERR_TIMEOUT: nothing moved until then.
 * FL_ERR_CLOSED: the peer, or its machine, said no or goodbye.
 * FL_ERR_NOT_FOUND: the name means no address.
 */
fl_err fl_stream_op_result(fl_stream_op *op);

/* Bytes that a recv or send moved. */
size_t fl_stream_op_count(fl_stream_op *op);

/* What an accept or a dial that went well made; the caller's. */
fl_stream *fl_stream_op_stream(fl_stream_op *op);

/* Some bytes, at least one and at most `dst_cap`. */
void fl_stream_recv(fl_stream *stream, fl_stream_op *op, uint8_t *dst,
                    size_t dst_cap, int32_t timeout_ms);

/* Some of the bytes of up to FL_STREAM_PIECE_CAP pieces, at least one. */
void fl_stream_send(fl_stream *stream, fl_stream_op *op,
                    const fl_stream_piece *pieces, unsigned piece_count,
                    int32_t timeout_ms);

/*
 * A dial may have ended well too early: NNG 1.5 takes a hang-up that epoll
 * reports for a socket before it connects for the end of connecting.
 */
bool fl_stream_is_connected(fl_stream *stream);

/* Closes and frees; no operation may be on its way. Accepts NULL. */
void fl_stream_free(fl_stream *stream);

/*
 * Starts to listen; *port is the one it got. A name is looked up here and now.
 * FL_ERR_SYSTEM: the port is taken, not ours to open, or the address not of
 * this machine. FL_ERR_NOT_FOUND: the name means no address.
 */
FL_CHECK fl_err fl_stream_listen(fl_stream_listener **listener, uint16_t *port,
                                 const char *url, fl_reason *why);

void fl_stream_accept(fl_stream_listener *listener, fl_stream_op *op,
                      int32_t timeout_ms);

/* Ends an accept on its way with FL_ERR_CLOSED. Accepts NULL. */
void fl_stream_listener_close(fl_stream_listener *listener);

/* No accept may be on its way. Accepts NULL. */
void fl_stream_listener_free(fl_stream_listener *listener);

/*
 * Starts to connect. A name is looked up by a thread of NNG's. A dialer is
 * used once and freed after the operation is over.
 */
FL_CHECK fl_err fl_stream_dial(fl_stream_dialer **dialer, fl_stream_op *op,
                               const char *url, int32_t timeout_ms);

/* Accepts NULL. */
void fl_stream_dialer_free(fl_stream_dialer *dialer);

#endif
