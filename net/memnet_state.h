/*
 * What the files of the memory backend share. Private to them.
 *
 *   memnet.c   endpoints, the loop, time
 *   memconn.c  the life of a connection
 *   mempipe.c  how long bytes take
 *
 * A connection is a pair of halves, one at either endpoint:
 *
 *   dialler   DIALLING --> OPEN --close--> FLUSHING --FIN left--> DEAD
 *   acceptor  UNBORN --SYN--> COMING --> OPEN --> ...
 *
 * DEAD has its CLOSED event ahead, GONE behind. The pair is freed when both
 * halves are gone and no frame points to it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_NET_MEMNET_STATE_H
#define FL_NET_MEMNET_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "net/conn_table.h"
#include "net/event_heap.h"
#include "net/net.h"

typedef struct fl_memend fl_memend;
typedef struct fl_memhalf fl_memhalf;
typedef struct fl_memframe fl_memframe;
typedef struct fl_mempair fl_mempair;

enum {
    FL_MEM_WAKE,   // object: fl_memend
    FL_MEM_POST,   // fl_mempost
    FL_MEM_HALF,   // fl_memhalf, its `due` says what
    FL_MEM_FRAME,  // fl_memframe, its `stage` says where it stands
};

typedef enum {
    FL_MEM_UP,      // in the sender's uplink
    FL_MEM_FLIGHT,  // between the links
    FL_MEM_DOWN,    // in the receiver's downlink
    FL_MEM_WAIT,    // arrived, but the receiver is not armed
} fl_mem_stage;

struct fl_memframe {
    fl_event_node node;
    fl_memframe *next;  // in its pipe or waiting list
    fl_memhalf *from;
    fl_mem_stage stage;
    bool is_fin;            // the end of the connection, 0 bytes long
    double first_at;        // when its first byte comes to where it stands
    double resend_wait_ms;  // for lost packets, in flight
    uint64_t up_bytes;      // with prefix and everything sent again
    uint64_t down_bytes;
    size_t len;
    uint8_t *bytes;
};

/* One direction of a link; its first frame is the one in service. */
typedef struct {
    double bytes_per_ms;  // 0: no limit, then the queue is always empty
    double free_at;       // when the one before was through
    fl_memframe *first, *last;
} fl_mempipe;

typedef enum {
    FL_MEM_UNBORN,
    FL_MEM_COMING,
    FL_MEM_DIALLING,
    FL_MEM_OPEN,
    FL_MEM_FLUSHING,
    FL_MEM_DEAD,
    FL_MEM_GONE,
} fl_mem_state;

typedef enum {
    FL_MEM_DUE_SYN,     // the dialler's request reaches the other side
    FL_MEM_DUE_OPENED,  // OPENED comes
    FL_MEM_DUE_FLUSH,   // flushing has taken too long
    FL_MEM_DUE_CLOSED,  // CLOSED comes
} fl_mem_due;

struct fl_memhalf {
    fl_event_node node;
    fl_mempair *pair;
    fl_memhalf *peer;
    fl_memend *end;               // NULL: UNBORN
    fl_memhalf *previous, *next;  // of the same endpoint
    fl_conn conn;
    fl_mem_state state;
    fl_mem_due due;
    double due_at;
    fl_err err;  // what CLOSED will say
    bool is_armed;
    fl_memframe *waiting, *waiting_last;
    size_t queued_bytes;  // sent and not yet taken by the peer
    double last_arrival;  // of what it sent: frames do not overtake
    fl_memframe fin;
};

struct fl_mempair {
    fl_memhalf halves[2];  // dialler, acceptor
    fl_memnet *memnet;
    fl_memend *target;  // who listened when the dial began, or NULL
    double one_way_ms;
    size_t ref_count;
};

typedef struct fl_memname {
    struct fl_memname *in_bucket, *of_end;  // the next ones
    fl_memend *end;
    char url[];
} fl_memname;

typedef struct {
    fl_event_node node;
    fl_memend *end;
    void *posted;
} fl_mempost;

struct fl_memend {
    fl_net net;  // first, so that a fl_net pointer is one to this
    fl_memnet *memnet;
    fl_memend *next;
    void *owner;
    bool is_online, is_freed;
    double latency_ms, loss;
    fl_mempipe up, down;
    fl_link_stats stats;
    fl_random random;
    fl_event_node wake;
    fl_memhalf *halves;
    fl_memname *names;
};

enum { FL_MEM_NAME_BUCKETS = 1024 };

struct fl_memnet {
    double now_ms;
    uint64_t seed;
    uint64_t end_count;
    fl_event_heap heap;
    fl_conn_table conns;  // of all endpoints, to halves
    fl_memend *ends;
    fl_memname *names[FL_MEM_NAME_BUCKETS];
    fl_memframe *lent;  // the FRAME event's bytes are in here
};

/* ---- mempipe.c ---- */

/* Decides what gets lost and puts the frame on its way from its sender. */
void fl_mempipe_send(fl_memframe *frame);

/*
 * The frame's node has come up: moves it on. True when it has arrived at the
 * receiver's end, where it is the caller's.
 */
bool fl_mempipe_step(fl_memframe *frame);

/* Drops what has no sender or no receiver any more and starts the next. */
void fl_mempipe_purge(fl_memnet *memnet, fl_mempipe *pipe);

/* ---- memconn.c ---- */

FL_CHECK fl_err fl_memconn_dial(fl_memend *end, fl_memend *target,
                                fl_conn *conn);
FL_CHECK fl_err fl_memconn_send(fl_memhalf *half, const uint8_t *bytes,
                                size_t len);
void fl_memconn_arm(fl_memhalf *half);
void fl_memconn_close(fl_memhalf *half);

/* What an endpoint that vanishes does to one of its connections. */
void fl_memconn_cut(fl_memhalf *half);

/*
 * A half's or a frame's node has come up. The endpoint at which something
 * happened, *event saying what; NULL when nothing can be seen.
 */
fl_memend *fl_memconn_half_due(fl_memhalf *half, fl_net_event *event);
fl_memend *fl_memconn_frame_due(fl_memframe *frame, fl_net_event *event);

/* The FIN has left the sender's uplink. */
void fl_memconn_fin_left(fl_memhalf *half);

/* Frees it and lets go of its pair; accepts NULL. */
void fl_memconn_free_frame(fl_memframe *frame);

#endif
