/* SPDX-License-Identifier: Apache-2.0 */
#include "net/memnet_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "net/limits.h"

/* ---- memory ---- */

static void let_go_of_pair(fl_mempair *pair)
{
    if (--pair->ref_count > 0) return;
    for (int i = 0; i < 2; i++) {
        fl_event_heap_leave(&pair->memnet->heap, &pair->halves[i].node);
        fl_event_heap_leave(&pair->memnet->heap, &pair->halves[i].fin.node);
    }
    free(pair);
}

void fl_memconn_free_frame(fl_memframe *frame)
{
    if (!frame) return;
    fl_mempair *pair = frame->from->pair;
    fl_event_heap_remove(&pair->memnet->heap, &frame->node);
    if (!frame->is_fin) {
        frame->from->queued_bytes -= fl_net_frame_cost(frame->len);
        fl_event_heap_leave(&pair->memnet->heap, &frame->node);
        free(frame);
    }
    let_go_of_pair(pair);
}

static fl_err join_half(fl_mempair *pair, int i)
{
    fl_event_heap *heap = &pair->memnet->heap;
    fl_memhalf *half = &pair->halves[i];
    half->pair = pair;
    half->peer = &pair->halves[1 - i];
    half->fin = (fl_memframe){.from = half, .is_fin = true};
    FL_TRY(fl_event_heap_join(heap, &half->node, FL_MEM_HALF, half));
    FL_TRY(fl_event_heap_join(heap, &half->fin.node, FL_MEM_FRAME, &half->fin));
    return fl_conn_table_add(&pair->memnet->conns, &half->conn, half);
}

static fl_err new_pair(fl_mempair **pair, fl_memnet *memnet)
{
    fl_mempair *made = calloc(1, sizeof *made);
    if (!made) return FL_ERR_MEMORY;
    made->memnet = memnet;
    made->ref_count = 2;
    fl_err err = join_half(made, 0);
    if (!err) err = join_half(made, 1);
    if (err) {
        if (made->halves[0].conn) {
            fl_conn_table_remove(&memnet->conns, made->halves[0].conn);
        }
        made->ref_count = 1;
        let_go_of_pair(made);
        return err;
    }
    *pair = made;
    return FL_OK;
}

static void attach(fl_memhalf *half, fl_memend *end)
{
    half->end = end;
    half->next = end->halves;
    if (half->next) half->next->previous = half;
    end->halves = half;
}

static void detach(fl_memhalf *half)
{
    if (!half->end) return;
    if (half->previous) {
        half->previous->next = half->next;
    } else {
        half->end->halves = half->next;
    }
    if (half->next) half->next->previous = half->previous;
}

static fl_memframe *take_waiting(fl_memhalf *half)
{
    fl_memframe *frame = half->waiting;
    if (frame) half->waiting = frame->next;
    return frame;
}

/* After a half stopped to send or to receive. */
static void drop_frames(fl_memhalf *half)
{
    fl_memframe *frame;
    while ((frame = take_waiting(half))) {
        fl_memconn_free_frame(frame);
    }
    if (!half->end) return;
    fl_mempipe_purge(half->pair->memnet, &half->end->up);
    fl_mempipe_purge(half->pair->memnet, &half->end->down);
}

/* The last thing that happens to a half. */
static void bury(fl_memhalf *half)
{
    fl_memnet *memnet = half->pair->memnet;
    half->state = FL_MEM_GONE;
    drop_frames(half);
    detach(half);
    fl_event_heap_remove(&memnet->heap, &half->node);
    fl_conn_table_remove(&memnet->conns, half->conn);
    let_go_of_pair(half->pair);
}

/* ---- life ---- */

static void schedule(fl_memhalf *half, fl_mem_due due, double in_ms)
{
    fl_memnet *memnet = half->pair->memnet;
    half->due = due;
    half->due_at = memnet->now_ms + in_ms;
    fl_event_heap_set(&memnet->heap, &half->node, half->due_at);
}

static bool is_reset(const fl_memhalf *half)
{
    return half->node.place && half->due == FL_MEM_DUE_CLOSED;
}

/* Tells a half, one way later, that its peer is gone without a FIN. */
static void reset(fl_memhalf *half)
{
    const double in_ms = half->pair->one_way_ms;
    const double at = half->pair->memnet->now_ms + in_ms;
    switch (half->state) {
    case FL_MEM_UNBORN:
    case FL_MEM_COMING:
        bury(half);  // it was never OPENED, so nobody is to be told
        break;
    case FL_MEM_DIALLING:
    case FL_MEM_OPEN:
        if (is_reset(half)) break;
        half->err = FL_ERR_CLOSED;
        schedule(half, FL_MEM_DUE_CLOSED, in_ms);
        break;
    case FL_MEM_FLUSHING:
        if (at < half->due_at) schedule(half, FL_MEM_DUE_CLOSED, in_ms);
        break;
    case FL_MEM_DEAD:
    case FL_MEM_GONE: break;
    }
}

/* Ends a half at once. What has left it still arrives. */
static void end_now(fl_memhalf *half, fl_err err)
{
    half->state = FL_MEM_DEAD;
    half->err = err;
    schedule(half, FL_MEM_DUE_CLOSED, 0);
    drop_frames(half);
    reset(half->peer);
}

void fl_memconn_fin_left(fl_memhalf *half)
{
    half->state = FL_MEM_DEAD;
    schedule(half, FL_MEM_DUE_CLOSED, 0);
}

fl_err fl_memconn_dial(fl_memend *end, fl_memend *target, fl_conn *conn)
{
    fl_mempair *pair = NULL;
    const fl_err err = new_pair(&pair, end->memnet);
    if (!pair) return err;
    fl_memhalf *dialler = &pair->halves[0];
    *conn = dialler->conn;
    pair->target = target;
    pair->one_way_ms = end->latency_ms + (target ? target->latency_ms : 0);
    dialler->state = FL_MEM_DIALLING;
    attach(dialler, end);
    if (end->is_online) {
        schedule(dialler, FL_MEM_DUE_SYN, pair->one_way_ms);
    } else {
        end_now(dialler, FL_ERR_CLOSED);
    }
    return FL_OK;
}

static void syn_arrives(fl_memhalf *dialler)
{
    fl_memhalf *acceptor = dialler->peer;
    fl_memend *target = dialler->pair->target;
    const double one_way_ms = dialler->pair->one_way_ms;
    if (!target || !target->is_online) {
        dialler->err = FL_ERR_CLOSED;
        schedule(dialler, FL_MEM_DUE_CLOSED, one_way_ms);
        bury(acceptor);
        return;
    }
    acceptor->state = FL_MEM_COMING;
    attach(acceptor, target);
    schedule(dialler, FL_MEM_DUE_OPENED, one_way_ms);
}

static fl_memend *opened(fl_memhalf *half, fl_net_event *event)
{
    const bool accepted = half->state == FL_MEM_COMING;
    half->state = FL_MEM_OPEN;
    half->is_armed = true;
    if (!accepted) {
        schedule(half->peer, FL_MEM_DUE_OPENED, half->pair->one_way_ms);
    }
    *event = (fl_net_event){
        .kind = FL_NET_OPENED, .conn = half->conn, .accepted = accepted};
    return half->end;
}

static fl_memend *closed(fl_memhalf *half, fl_net_event *event)
{
    fl_memend *end = half->end;
    *event = (fl_net_event){
        .kind = FL_NET_CLOSED, .conn = half->conn, .err = half->err};
    bury(half);
    return end;
}

fl_memend *fl_memconn_half_due(fl_memhalf *half, fl_net_event *event)
{
    switch (half->due) {
    case FL_MEM_DUE_SYN: syn_arrives(half); return NULL;
    case FL_MEM_DUE_OPENED: return opened(half, event);
    case FL_MEM_DUE_FLUSH: end_now(half, FL_OK); return NULL;
    case FL_MEM_DUE_CLOSED: return closed(half, event);
    }
    return NULL;
}

void fl_memconn_close(fl_memhalf *half)
{
    if (half->state == FL_MEM_DIALLING) {
        end_now(half, FL_OK);
    } else if (half->state == FL_MEM_OPEN) {
        half->state = FL_MEM_FLUSHING;
        half->err = FL_OK;
        drop_frames(half);
        if (!is_reset(half)) schedule(half, FL_MEM_DUE_FLUSH, FL_NET_FLUSH_MS);
        half->pair->ref_count++;  // the FIN's
        fl_mempipe_send(&half->fin);
    }
}

void fl_memconn_cut(fl_memhalf *half)
{
    switch (half->state) {
    case FL_MEM_COMING:
        reset(half->peer);
        bury(half);
        break;
    case FL_MEM_DIALLING:
    case FL_MEM_OPEN: end_now(half, FL_ERR_CLOSED); break;
    case FL_MEM_FLUSHING: end_now(half, FL_OK); break;
    case FL_MEM_UNBORN:
    case FL_MEM_DEAD:
    case FL_MEM_GONE: break;
    }
}

/* ---- frames ---- */

static fl_err new_frame(fl_memframe **frame, fl_memhalf *from,
                        const uint8_t *bytes, size_t len)
{
    fl_event_heap *heap = &from->pair->memnet->heap;
    fl_memframe *made = malloc(sizeof *made + len);
    if (!made) return FL_ERR_MEMORY;
    *made = (fl_memframe){.from = from, .len = len};
    made->bytes = (uint8_t *)(made + 1);
    memcpy(made->bytes, bytes, len);
    const fl_err err =
        fl_event_heap_join(heap, &made->node, FL_MEM_FRAME, made);
    if (err) {
        free(made);
        return err;
    }
    from->pair->ref_count++;
    from->queued_bytes += fl_net_frame_cost(len);
    *frame = made;
    return FL_OK;
}

fl_err fl_memconn_send(fl_memhalf *half, const uint8_t *bytes, size_t len)
{
    if (half->state == FL_MEM_DIALLING) return FL_ERR_STATE;
    if (half->state != FL_MEM_OPEN) return FL_ERR_CLOSED;
    if (len < 1 || len > FL_NET_FRAME_MAX) return FL_ERR_RANGE;
    if (fl_net_frame_cost(len) > FL_NET_QUEUE_BYTES - half->queued_bytes) {
        end_now(half, FL_ERR_LIMIT);
        return FL_ERR_LIMIT;
    }
    fl_memframe *frame;
    FL_TRY(new_frame(&frame, half, bytes, len));
    fl_mempipe_send(frame);
    return FL_OK;
}

static void keep_waiting(fl_memhalf *half, fl_memframe *frame)
{
    frame->stage = FL_MEM_WAIT;
    frame->next = NULL;
    if (half->waiting) {
        half->waiting_last->next = frame;
    } else {
        half->waiting = frame;
    }
    half->waiting_last = frame;
}

static fl_memend *deliver(fl_memhalf *half, fl_memframe *frame,
                          fl_net_event *event)
{
    if (frame->is_fin) {
        fl_memconn_free_frame(frame);
        half->err = FL_ERR_CLOSED;
        return closed(half, event);
    }
    half->is_armed = false;
    half->pair->memnet->lent = frame;
    *event = (fl_net_event){.kind = FL_NET_FRAME,
                            .conn = half->conn,
                            .bytes = frame->bytes,
                            .len = frame->len};
    return half->end;
}

fl_memend *fl_memconn_frame_due(fl_memframe *frame, fl_net_event *event)
{
    fl_memhalf *half = frame->from->peer;
    if (frame->stage == FL_MEM_WAIT) {
        assert(frame == half->waiting);
        return deliver(half, take_waiting(half), event);
    }
    if (frame->stage == FL_MEM_FLIGHT && half->state != FL_MEM_OPEN) {
        fl_memconn_free_frame(frame);
        return NULL;
    }
    if (!fl_mempipe_step(frame)) return NULL;
    if (!frame->is_fin) {
        half->end->stats.frames_down++;
        half->end->stats.bytes_down += frame->down_bytes;
    }
    if (half->is_armed && !half->waiting) return deliver(half, frame, event);
    keep_waiting(half, frame);
    return NULL;
}

void fl_memconn_arm(fl_memhalf *half)
{
    if (half->state != FL_MEM_OPEN) return;
    half->is_armed = true;
    fl_memnet *memnet = half->pair->memnet;
    if (half->waiting && !half->waiting->node.place) {
        fl_event_heap_set(&memnet->heap, &half->waiting->node, memnet->now_ms);
    }
}
