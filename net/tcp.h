/*
 * What the files of the TCP backend share, and what its tests may turn.
 * Private to net/.
 *
 *   stream.c    NNG
 *   tcp_wire.c  on NNG's threads: bytes in and out of frames
 *   tcp_conn.c  on the loop thread: the life of a connection
 *   tcp.c       on the loop thread: listeners, the inbox, time
 *
 * Who owns what: the loop thread owns everything but a direction that is
 * busy. It starts a direction and marks it busy; from then on the direction's
 * fields belong to NNG's callbacks, one after the other, until one of them
 * pushes the direction's report into the inbox. Taking the report gives the
 * fields back. There is no lock: the inbox orders both hand-overs.
 *
 *     loop: start --> callback (continue)* --> report --> loop
 *
 * Why the inbox cannot overflow: a report is in it only between the callback
 * that pushed it and the loop, so each direction has one there at most. There
 * are never more than connection_cap connections with a number, and one
 * without for each listener (the one it accepts, or has to turn away), and
 * posts are counted. FL_TCP_INBOX_CAP is the sum.
 *
 *   LISTENING --.
 *   DIALLING ----+--> OPEN --> FLUSHING --> LINGERING --> STOPPING --> ENDING
 *
 * A direction that is busy can only be asked to stop: a flag that its
 * callbacks look at before they go on, and a cancel. One that looked just
 * before misses both, so STOPPING repeats the cancel until both directions
 * are idle. Then the receiving operation runs once more, ENDING, to close and
 * free the stream in the connection's own callback.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_NET_TCP_H
#define FL_NET_TCP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/queue.h"
#include "net/conn_table.h"
#include "net/limits.h"
#include "net/net.h"
#include "net/stream.h"

typedef struct fl_tcp fl_tcp;
typedef struct fl_tcp_conn fl_tcp_conn;
typedef struct fl_tcp_listener fl_tcp_listener;

enum {
    FL_TCP_LISTENER_CAP = 4,
    FL_TCP_POST_CAP = 4096,
};

#define FL_TCP_INBOX_CAP(connection_cap)                    \
    (2 * ((size_t)(connection_cap) + FL_TCP_LISTENER_CAP) + \
     (size_t)FL_TCP_POST_CAP)

/* Others in tests; 0 is the default. */
typedef struct {
    int32_t connect_ms;   // 10 s: until a dial fails
    int32_t progress_ms;  // 30 s: a frame once begun must move on
    int32_t flush_ms;     // FL_NET_FLUSH_MS
    int32_t linger_ms;    // 20 ms: so long a peer has said nothing at the end
} fl_tcp_times;

/* As fl_net_tcp_new. */
FL_CHECK fl_err fl_tcp_new(fl_net **net, const fl_net_tcp_options *options,
                           const fl_tcp_times *times, fl_reason *why);

typedef enum {
    FL_TCP_RECEIVED,
    FL_TCP_SENT,
    FL_TCP_POSTED,
} fl_tcp_report_kind;

/* What goes through the inbox. */
typedef struct {
    fl_tcp_report_kind kind;
    union {
        fl_tcp_conn *conn;
        void *posted;
    } of;
} fl_tcp_report;

/* A frame on its way out, with its length in front. */
typedef struct fl_tcp_frame {
    struct fl_tcp_frame *next;
    size_t len;
    uint8_t bytes[];
} fl_tcp_frame;

typedef enum {
    FL_TCP_ACCEPT,
    FL_TCP_DIAL,
    FL_TCP_FRAME,
    FL_TCP_END,
} fl_tcp_task;

enum { FL_TCP_AHEAD_BYTES = 256 };  // an idle connection keeps them

typedef struct {
    fl_stream_op *op;
    fl_tcp_report report;
    bool is_busy;  // the loop's; all below is the callback's while busy
    fl_tcp_task task;
    fl_err err;
    int32_t confirmed_ms;  // spent on waiting for a dial to be true
    // Read from the stream, not yet part of a frame: one read brings several
    // short frames, or the prefix and the beginning of a long one.
    uint8_t ahead[FL_TCP_AHEAD_BYTES];
    size_t ahead_len;
    uint32_t len;    // of the frame
    size_t got;      // of its bytes
    uint8_t *bytes;  // NULL: its prefix is not complete
} fl_tcp_in;

typedef struct {
    fl_stream_op *op;
    fl_tcp_report report;
    bool is_busy;  // the loop's; all below is the callback's while busy
    fl_err err;
    fl_tcp_frame *batch[FL_STREAM_PIECE_CAP];
    unsigned batch_count;
    size_t batch_sent;  // bytes
} fl_tcp_out;

typedef enum {
    FL_TCP_LISTENING,
    FL_TCP_DIALLING,
    FL_TCP_OPEN,
    FL_TCP_FLUSHING,
    FL_TCP_LINGERING,
    FL_TCP_STOPPING,
    FL_TCP_ENDING,
} fl_tcp_state;

struct fl_tcp_conn {
    fl_tcp *tcp;
    fl_tcp_conn *previous, *next;  // in its state's list
    fl_conn number;                // 0: its owner has not heard of it
    fl_tcp_state state;
    fl_err err;               // what CLOSED will say
    int64_t flush_until_ms;   // FLUSHING, LINGERING
    int64_t linger_until_ms;  // LINGERING
    atomic_bool is_stopping;
    fl_stream *stream;
    fl_stream_dialer *dialer;
    fl_tcp_listener *listener;  // LISTENING, or turned away by it
    fl_tcp_frame *queue, *queue_last;
    size_t queued_bytes;  // with what is being sent
    fl_tcp_in in;
    fl_tcp_out out;
};

struct fl_tcp_listener {
    fl_stream_listener *listener;
    int64_t retry_at_ms;  // after an accept that failed; else INT64_MAX
};

typedef struct {
    fl_tcp_conn *first, *last;
} fl_tcp_list;

struct fl_tcp {
    fl_net net;  // first, so that a fl_net pointer is one to this
    fl_net_tcp_options options;
    fl_tcp_times times;
    fl_queue *inbox;
    atomic_size_t post_count;  // in the inbox
    fl_conn_table conns;
    fl_tcp_list lists[FL_TCP_ENDING + 1];  // all connections, by state
    fl_tcp_listener listeners[FL_TCP_LISTENER_CAP];
    size_t listener_count;
    uint16_t port;
    bool is_freeing;
    bool told_time;           // by the last event
    int64_t cancel_again_ms;  // while something is STOPPING
    uint8_t *lent;            // the FRAME event's bytes
    fl_net_tcp_counts counts;
};

/* ---- tcp_wire.c ---- */

/* Callbacks of the operations; arg is the connection. */
void fl_tcp_receive_done(void *arg);
void fl_tcp_send_done(void *arg);

/* Start a direction that is not busy. */
void fl_tcp_receive(fl_tcp_conn *conn);
void fl_tcp_send_batch(fl_tcp_conn *conn);

/* ---- tcp_conn.c ---- */

/* A connection that does nothing yet. */
FL_CHECK fl_err fl_tcp_conn_new(fl_tcp_conn **conn, fl_tcp *tcp,
                                fl_tcp_state state);

FL_CHECK fl_err fl_tcp_conn_send(fl_tcp_conn *conn, const uint8_t *bytes,
                                 size_t len);
void fl_tcp_conn_arm(fl_tcp_conn *conn);
void fl_tcp_conn_close(fl_tcp_conn *conn);

/* Ends it; CLOSED with `err` follows if it has a number. */
void fl_tcp_conn_stop(fl_tcp_conn *conn, fl_err err);

/* Cancels again what is busy. */
void fl_tcp_conn_cancel(fl_tcp_conn *conn);

/* A direction is back. True: *event says what its owner should know. */
bool fl_tcp_conn_received(fl_tcp_conn *conn, fl_net_event *event);
void fl_tcp_conn_sent(fl_tcp_conn *conn);

/* ---- tcp.c ---- */

/* Accepts the next connection. */
void fl_tcp_accept(fl_tcp *tcp, fl_tcp_listener *listener);

#endif
