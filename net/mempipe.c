/* SPDX-License-Identifier: Apache-2.0 */
#include "net/memnet_state.h"

enum { PACKET_BYTES = 1460 };

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static bool is_lost(fl_memend *end)
{
    return end->loss > 0 && fl_random_double(&end->random) < end->loss;
}

/*
 * Sends all packets, then a round trip later those that got lost, and so on.
 * The last packet may be shorter; it stays the last of those sent again.
 */
static void draw_losses(fl_memframe *frame)
{
    fl_memend *sender = frame->from->end;
    fl_memend *receiver = frame->from->peer->end;
    const uint64_t total = frame->len + FL_NET_LENGTH_BYTES;
    const uint64_t tail = (total - 1) % PACKET_BYTES + 1;
    uint64_t left = (total - 1) / PACKET_BYTES + 1;
    bool has_tail = true;
    frame->up_bytes = frame->down_bytes = 0;
    frame->resend_wait_ms = 0;
    for (;;) {
        uint64_t lost = 0;
        bool tail_lost = false;
        for (uint64_t i = 0; i < left; i++) {
            const bool is_tail = has_tail && i == left - 1;
            const uint64_t bytes = is_tail ? tail : PACKET_BYTES;
            bool got_through = !is_lost(sender);
            frame->up_bytes += bytes;
            if (got_through) {
                frame->down_bytes += bytes;
                got_through = !is_lost(receiver);
            }
            if (got_through) continue;
            lost++;
            tail_lost = is_tail;
        }
        if (lost == 0) return;
        frame->resend_wait_ms += 2 * frame->from->pair->one_way_ms;
        left = lost;
        has_tail = tail_lost;
    }
}

/* A frame without a sender is not sent, one without a receiver not taken. */
static bool is_void(const fl_memframe *frame)
{
    if (frame->stage == FL_MEM_DOWN) {
        return frame->from->peer->state != FL_MEM_OPEN;
    }
    return frame->from->state >= FL_MEM_DEAD;
}

static uint64_t bytes_in(const fl_memframe *frame)
{
    return frame->stage == FL_MEM_UP ? frame->up_bytes : frame->down_bytes;
}

/*
 * Bytes flow through a pipe at its rate but not before they come to it: the
 * first one starts the service, and the last one cannot leave before it is
 * here. So the slower of two pipes in a row sets the pace, and a fast one
 * stays free for others meanwhile.
 */
static void start(fl_memnet *memnet, fl_mempipe *pipe)
{
    fl_memframe *frame = pipe->first;
    const double took_ms = (double)bytes_in(frame) / pipe->bytes_per_ms;
    frame->first_at = larger(pipe->free_at, frame->first_at);
    const double end = larger(memnet->now_ms, frame->first_at + took_ms);
    fl_event_heap_set(&memnet->heap, &frame->node, end);
}

static void shift(fl_mempipe *pipe)
{
    pipe->first = pipe->first->next;
    if (!pipe->first) pipe->last = NULL;
}

/* Drops void frames at the head; true when another head needs a start. */
static bool drop_void_frames(fl_mempipe *pipe)
{
    bool dropped = false;
    while (pipe->first && is_void(pipe->first)) {
        fl_memframe *frame = pipe->first;
        shift(pipe);
        fl_memconn_free_frame(frame);
        dropped = true;
    }
    return dropped && pipe->first;
}

void fl_mempipe_purge(fl_memnet *memnet, fl_mempipe *pipe)
{
    const fl_memframe *head = pipe->first;
    const bool needs_start = drop_void_frames(pipe);
    if (head != pipe->first) pipe->free_at = memnet->now_ms;
    if (needs_start) start(memnet, pipe);
}

static void push(fl_memnet *memnet, fl_mempipe *pipe, fl_memframe *frame)
{
    frame->next = NULL;
    if (pipe->first) {
        pipe->last->next = frame;
        pipe->last = frame;
        return;
    }
    pipe->first = pipe->last = frame;
    start(memnet, pipe);
}

/* The head is through. */
static void advance(fl_memnet *memnet, fl_mempipe *pipe)
{
    pipe->free_at = memnet->now_ms;
    shift(pipe);
    (void)drop_void_frames(pipe);
    if (pipe->first) start(memnet, pipe);
}

static void launch(fl_memframe *frame)
{
    fl_memhalf *from = frame->from;
    fl_memnet *memnet = from->pair->memnet;
    const double one_way_ms = from->pair->one_way_ms;
    if (!frame->is_fin) {
        from->end->stats.frames_up++;
        from->end->stats.bytes_up += frame->up_bytes;
    }
    frame->stage = FL_MEM_FLIGHT;
    frame->first_at += one_way_ms;
    // Frames of one connection arrive in order, whatever had to be resent.
    from->last_arrival =
        larger(memnet->now_ms + one_way_ms + frame->resend_wait_ms,
               from->last_arrival);
    fl_event_heap_set(&memnet->heap, &frame->node, from->last_arrival);
    if (frame->is_fin) fl_memconn_fin_left(from);
}

void fl_mempipe_send(fl_memframe *frame)
{
    fl_memend *end = frame->from->end;
    fl_memnet *memnet = end->memnet;
    if (!frame->is_fin) draw_losses(frame);
    frame->stage = FL_MEM_UP;
    frame->first_at = memnet->now_ms;
    if (end->up.bytes_per_ms > 0) {
        push(memnet, &end->up, frame);
    } else {
        launch(frame);
    }
}

bool fl_mempipe_step(fl_memframe *frame)
{
    fl_memend *sender = frame->from->end;
    fl_memend *receiver = frame->from->peer->end;
    fl_memnet *memnet = sender->memnet;
    switch (frame->stage) {
    case FL_MEM_UP:
        advance(memnet, &sender->up);
        launch(frame);
        return false;
    case FL_MEM_FLIGHT:
        if (receiver->down.bytes_per_ms <= 0) return true;
        frame->stage = FL_MEM_DOWN;
        push(memnet, &receiver->down, frame);
        return false;
    case FL_MEM_DOWN: advance(memnet, &receiver->down); return true;
    case FL_MEM_WAIT: return true;
    }
    return true;
}
