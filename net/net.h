/*
 * Frames between peers, behind one small table of operations with two
 * backends: NNG streams over TCP, and memory with virtual time.
 *
 * A frame is a length and that many bytes; what is inside is proto/'s matter.
 * Whoever owns an endpoint calls fl_net_next in a loop and gets one event at
 * a time; all other functions are called from that same thread, except
 * fl_net_post.
 *
 *   dial ---> OPENED --FRAME, FRAME, ...--> CLOSED      (we called)
 *   listen -> OPENED --FRAME, FRAME, ...--> CLOSED      (we were called)
 *   dial ----------------------------------> CLOSED     (nobody there)
 *
 * Back-pressure: after a FRAME the connection reads no further until
 * fl_net_arm is called, so that a slow owner slows its peers down and nothing
 * piles up here. Every connection ends in exactly one CLOSED event, whoever
 * closed it; its number is never used again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_NET_NET_H
#define FL_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/random.h"
#include "base/reason.h"

enum {
    // A chunk of 64 KiB or a control message, with header and tag.
    FL_NET_FRAME_MAX = 256 * 1024 + 64,
    FL_NET_LENGTH_BYTES = 4,
};

typedef uint64_t fl_conn;  // a connection's number, from 1; 0 is none

typedef enum {
    FL_NET_OPENED,  // conn is connected; armed
    FL_NET_FRAME,   // bytes arrived on conn; disarmed until fl_net_arm
    FL_NET_CLOSED,  // conn is gone; `err` says why
    FL_NET_POSTED,  // another thread called fl_net_post
    FL_NET_TIME,    // the time given to fl_net_next has come
} fl_net_event_kind;

typedef struct {
    fl_net_event_kind kind;
    fl_conn conn;
    bool accepted;         // OPENED: the peer dialled us
    const uint8_t *bytes;  // FRAME: without the length prefix, borrowed until
    size_t len;            //   the next call of fl_net_next
    fl_err err;            // CLOSED: FL_OK when we asked for it
    void *posted;          // POSTED
} fl_net_event;

typedef struct fl_net fl_net;

typedef struct {
    fl_err (*listen)(fl_net *net, const char *url, fl_reason *why);
    fl_err (*dial)(fl_net *net, const char *url, fl_conn *conn, fl_reason *why);
    fl_err (*send)(fl_net *net, fl_conn conn, const uint8_t *bytes, size_t len);
    void (*arm)(fl_net *net, fl_conn conn);
    void (*close)(fl_net *net, fl_conn conn);
    fl_err (*next)(fl_net *net, fl_net_event *event, int64_t until_ms);
    fl_err (*post)(fl_net *net, void *posted);
    int64_t (*now)(fl_net *net);
    void (*free)(fl_net *net);
} fl_net_ops;

/* A backend puts this first in its own struct. */
struct fl_net {
    const fl_net_ops *ops;
};

/*
 * Waits for connections at `tcp://ADDRESS:PORT` (port 0: any; see
 * fl_net_tcp_port). FL_ERR_SYSTEM: port in use, no such address; *why says
 * which and what to do.
 */
FL_CHECK static inline fl_err fl_net_listen(fl_net *net, const char *url,
                                            fl_reason *why)
{
    return net->ops->listen(net, url, why);
}

/* FL_ERR_RANGE: not `tcp://HOST:PORT`; *why says what is wrong with it. */
FL_CHECK fl_err fl_net_check_url(const char *url, fl_reason *why);

/*
 * Starts to connect; OPENED or CLOSED follows. FL_ERR_RANGE: not a URL.
 * FL_ERR_LIMIT: too many connections.
 */
FL_CHECK static inline fl_err fl_net_dial(fl_net *net, const char *url,
                                          fl_conn *conn, fl_reason *why)
{
    return net->ops->dial(net, url, conn, why);
}

/*
 * Queues a frame; the bytes are copied. FL_ERR_CLOSED: no such connection.
 * FL_ERR_STATE: not OPENED yet. FL_ERR_RANGE: empty, or longer than
 * FL_NET_FRAME_MAX. FL_ERR_LIMIT: the peer does not read and its queue of
 * `send_queue_bytes` is full; the connection is closed then.
 */
FL_CHECK static inline fl_err fl_net_send(fl_net *net, fl_conn conn,
                                          const uint8_t *bytes, size_t len)
{
    return net->ops->send(net, conn, bytes, len);
}

/* Ready for the next frame of this connection. Unknown numbers are ignored. */
static inline void fl_net_arm(fl_net *net, fl_conn conn)
{
    net->ops->arm(net, conn);
}

/*
 * Closes after what is queued has been sent, or 5 s later; what comes in
 * meanwhile is dropped. CLOSED follows. "Sent" is in the hands of the operating
 * system: a peer that goes on talking may yet reset the connection, so wait
 * for its answer where it matters. Unknown numbers are ignored.
 */
static inline void fl_net_close(fl_net *net, fl_conn conn)
{
    net->ops->close(net, conn);
}

/*
 * Waits for the next event, at most until `until_ms` on fl_net_now's clock
 * (then TIME). INT64_MAX waits for ever. FL_ERR_CLOSED (memory backend): no
 * event can come any more.
 */
FL_CHECK static inline fl_err fl_net_next(fl_net *net, fl_net_event *event,
                                          int64_t until_ms)
{
    return net->ops->next(net, event, until_ms);
}

/*
 * From any thread (not from a signal handler: it takes a lock and memory):
 * makes fl_net_next return POSTED with this pointer. For results of jobs, and
 * for signals by way of a thread that waits for them. Pointers not yet taken
 * at fl_net_free are dropped. FL_ERR_LIMIT: 4,096 are waiting. In memory only
 * from the one thread, and without limit.
 */
FL_CHECK static inline fl_err fl_net_post(fl_net *net, void *posted)
{
    return net->ops->post(net, posted);
}

/* Milliseconds on a clock that never steps back. */
static inline int64_t fl_net_now(fl_net *net)
{
    return net->ops->now(net);
}

/* Closes everything at once and frees. Accepts NULL. */
static inline void fl_net_free(fl_net *net)
{
    if (net) net->ops->free(net);
}

/* ---- NNG streams over TCP ---- */

typedef struct {
    uint32_t connection_cap;  // more are closed as they come; 0: 1024
    size_t send_queue_bytes;  // of one connection; 0: 16 frames' worth
    size_t frame_cap;         // longest frame taken; 0: FL_NET_FRAME_MAX
} fl_net_tcp_options;

/* The caller owns *net: fl_net_free. */
FL_CHECK fl_err fl_net_tcp_new(fl_net **net, const fl_net_tcp_options *options,
                               fl_reason *why);

/* The port that the first fl_net_listen got; 0 before. */
uint16_t fl_net_tcp_port(const fl_net *net);

/* Streams that NNG opened for us and that were freed again. */
typedef struct {
    uint64_t opened, freed;
} fl_net_tcp_counts;

/* For a watchdog: their difference is the number of live connections. */
fl_net_tcp_counts fl_net_tcp_count(const fl_net *net);

/* ---- memory, in virtual time ---- */

/*
 * What lies between one endpoint and the rest of the world. Each direction is
 * a queue. A frame flows through the sender's link and then the receiver's
 * like a stream: on idle links it takes its bytes at the slower of the two
 * rates plus both latencies.
 */
typedef struct {
    double up_bytes_per_s;    // 0: no limit
    double down_bytes_per_s;  // 0: no limit
    double latency_ms;        // one way
    double loss;              // of 1,460-byte packets, 0 to 0.5; each lost
                              // packet is sent again a round trip later
} fl_link;

typedef struct {
    uint64_t frames_up, frames_down;  // through the link as a whole
    uint64_t bytes_up, bytes_down;    // with length prefix, resent ones too
} fl_link_stats;

/*
 * A network of endpoints in one process and one thread. Time stands still
 * until the next event is taken. Two events of the same millisecond come in
 * the order in which they were caused: a run depends on nothing but its
 * inputs.
 */
typedef struct fl_memnet fl_memnet;

/* `seed` decides which packets get lost. Owner: fl_memnet_free. */
FL_CHECK fl_err fl_memnet_new(fl_memnet **memnet, uint64_t seed);

/* Frees its endpoints too. Accepts NULL. */
void fl_memnet_free(fl_memnet *memnet);

/*
 * Adds an endpoint; *net belongs to the memnet. `owner` comes back from
 * fl_memnet_next. Its fl_net_next is not used (FL_ERR_STATE): there is one
 * loop for all. fl_net_free takes it off the network without a last event.
 * FL_ERR_RANGE: a rate or latency is negative or not finite, or loss is not
 * from 0 to 0.5.
 */
FL_CHECK fl_err fl_memnet_add(fl_memnet *memnet, fl_net **net,
                              const fl_link *link, void *owner);

/*
 * Takes the earliest event of all endpoints and moves the clock there.
 * FL_ERR_CLOSED: nothing is left to happen.
 */
FL_CHECK fl_err fl_memnet_next(fl_memnet *memnet, fl_net_event *event,
                               void **owner);

/*
 * Makes a TIME event for this endpoint at `at_ms`; replaces the one asked for
 * before. INT64_MAX: none.
 */
void fl_memnet_wake(fl_net *net, int64_t at_ms);

/* As fl_net_post, but POSTED comes at `at_ms`. */
FL_CHECK fl_err fl_memnet_post(fl_net *net, void *posted, int64_t at_ms);

/*
 * Cuts the endpoint off (its connections close, its own CLOSED events come at
 * once, its peers' after their latency; dials fail) or lets it back in.
 */
void fl_memnet_set_online(fl_net *net, bool online);

int64_t fl_memnet_now(const fl_memnet *memnet);
fl_link_stats fl_memnet_stats(const fl_net *net);

#include "net/parts.h"

#endif
