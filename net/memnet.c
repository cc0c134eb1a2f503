/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "net/memnet_state.h"
#include "net/url.h"

/* ---- names ---- */

/* FNV-1a, 32 bits. */
static size_t bucket_of(const char *url)
{
    uint32_t hash = 2166136261U;
    for (; *url; url++) {
        hash = (hash ^ (uint8_t)*url) * 16777619U;
    }
    return hash % FL_MEM_NAME_BUCKETS;
}

static fl_memend *find_listener(const fl_memnet *memnet, const char *url)
{
    const fl_memname *name = memnet->names[bucket_of(url)];
    while (name && strcmp(name->url, url) != 0) {
        name = name->in_bucket;
    }
    return name ? name->end : NULL;
}

static void forget_names(fl_memend *end)
{
    while (end->names) {
        fl_memname *name = end->names;
        fl_memname **at = &end->memnet->names[bucket_of(name->url)];
        while (*at != name) {
            at = &(*at)->in_bucket;
        }
        *at = name->in_bucket;
        end->names = name->of_end;
        free(name);
    }
}

static fl_err mem_listen(fl_net *net, const char *url, fl_reason *why)
{
    fl_memend *end = (fl_memend *)net;
    fl_url parsed;
    FL_TRY(fl_url_parse(&parsed, url, why));
    if (parsed.port == 0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%.100s: the memory network hands out no ports; "
                             "name one from 1 to 65535",
                             url);
    }
    if (find_listener(end->memnet, url)) {
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "%.100s: the port is in use; choose another one",
                             url);
    }
    const size_t url_bytes = strlen(url) + 1;
    fl_memname *name = malloc(sizeof *name + url_bytes);
    if (!name) return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    fl_memname **bucket = &end->memnet->names[bucket_of(url)];
    *name =
        (fl_memname){.in_bucket = *bucket, .of_end = end->names, .end = end};
    memcpy(name->url, url, url_bytes);
    *bucket = end->names = name;
    return FL_OK;
}

/* ---- the table of operations ---- */

static fl_memhalf *find_half(fl_net *net, fl_conn conn)
{
    fl_memend *end = (fl_memend *)net;
    fl_memhalf *half = fl_conn_table_get(&end->memnet->conns, conn);
    return half && half->end == end ? half : NULL;
}

static fl_err mem_dial(fl_net *net, const char *url, fl_conn *conn,
                       fl_reason *why)
{
    fl_memend *end = (fl_memend *)net;
    FL_TRY(fl_url_check_dial(url, why));
    const fl_err err =
        fl_memconn_dial(end, find_listener(end->memnet, url), conn);
    if (err) fl_reason_set(why, err, "%.100s: %s", url, fl_err_text(err));
    return err;
}

static fl_err mem_send(fl_net *net, fl_conn conn, const uint8_t *bytes,
                       size_t len)
{
    fl_memhalf *half = find_half(net, conn);
    return half ? fl_memconn_send(half, bytes, len) : FL_ERR_CLOSED;
}

static void mem_arm(fl_net *net, fl_conn conn)
{
    fl_memhalf *half = find_half(net, conn);
    if (half) fl_memconn_arm(half);
}

static void mem_close(fl_net *net, fl_conn conn)
{
    fl_memhalf *half = find_half(net, conn);
    if (half) fl_memconn_close(half);
}

static fl_err mem_next(fl_net *net, fl_net_event *event, int64_t until_ms)
{
    (void)net, (void)event, (void)until_ms;
    return FL_ERR_STATE;  // fl_memnet_next serves all endpoints
}

static fl_err mem_post(fl_net *net, void *posted)
{
    return fl_memnet_post(net, posted, 0);
}

static int64_t mem_now(fl_net *net)
{
    return fl_memnet_now(((fl_memend *)net)->memnet);
}

/* The struct stays until fl_memnet_free: frames in flight point to it. */
static void mem_free(fl_net *net)
{
    fl_memend *end = (fl_memend *)net;
    fl_memnet_set_online(net, false);
    fl_memnet_wake(net, INT64_MAX);
    forget_names(end);
    end->is_freed = true;
}

static const fl_net_ops MEM_OPS = {
    .listen = mem_listen,
    .dial = mem_dial,
    .send = mem_send,
    .arm = mem_arm,
    .close = mem_close,
    .next = mem_next,
    .post = mem_post,
    .now = mem_now,
    .free = mem_free,
};

/* ---- the network ---- */

fl_err fl_memnet_new(fl_memnet **memnet, uint64_t seed)
{
    fl_memnet *made = calloc(1, sizeof *made);
    if (!made) return FL_ERR_MEMORY;
    made->seed = seed;
    fl_conn_table_init(&made->conns, FL_CONN_TABLE_CAP_MAX);
    *memnet = made;
    return FL_OK;
}

static bool link_ok(const fl_link *link)
{
    return isfinite(link->up_bytes_per_s) && link->up_bytes_per_s >= 0 &&
           isfinite(link->down_bytes_per_s) && link->down_bytes_per_s >= 0 &&
           isfinite(link->latency_ms) && link->latency_ms >= 0 &&
           link->loss >= 0 && link->loss <= 0.5;
}

fl_err fl_memnet_add(fl_memnet *memnet, fl_net **net, const fl_link *link,
                     void *owner)
{
    if (!link_ok(link)) return FL_ERR_RANGE;
    fl_memend *end = calloc(1, sizeof *end);
    if (!end) return FL_ERR_MEMORY;
    const fl_err err =
        fl_event_heap_join(&memnet->heap, &end->wake, FL_MEM_WAKE, end);
    if (err) {
        free(end);
        return err;
    }
    end->net.ops = &MEM_OPS;
    end->memnet = memnet;
    end->owner = owner;
    end->is_online = true;
    end->latency_ms = link->latency_ms;
    end->loss = link->loss;
    end->up.bytes_per_ms = link->up_bytes_per_s / 1000;
    end->down.bytes_per_ms = link->down_bytes_per_s / 1000;
    // The high bit keeps clear of the streams that choose a client's link.
    fl_random_init(&end->random, memnet->seed, FL_RANDOM_LINK,
                   UINT64_C(1) << 63 | memnet->end_count++);
    end->next = memnet->ends;
    memnet->ends = end;
    *net = &end->net;
    return FL_OK;
}

static double not_in_the_past(const fl_memnet *memnet, int64_t at_ms)
{
    const double at = (double)at_ms;
    return at > memnet->now_ms ? at : memnet->now_ms;
}

void fl_memnet_wake(fl_net *net, int64_t at_ms)
{
    fl_memend *end = (fl_memend *)net;
    fl_event_heap *heap = &end->memnet->heap;
    if (at_ms == INT64_MAX) {
        fl_event_heap_remove(heap, &end->wake);
    } else {
        fl_event_heap_set(heap, &end->wake,
                          not_in_the_past(end->memnet, at_ms));
    }
}

fl_err fl_memnet_post(fl_net *net, void *posted, int64_t at_ms)
{
    fl_memend *end = (fl_memend *)net;
    fl_event_heap *heap = &end->memnet->heap;
    fl_mempost *post = malloc(sizeof *post);
    if (!post) return FL_ERR_MEMORY;
    *post = (fl_mempost){.end = end, .posted = posted};
    const fl_err err = fl_event_heap_join(heap, &post->node, FL_MEM_POST, post);
    if (err) {
        free(post);
        return err;
    }
    fl_event_heap_set(heap, &post->node, not_in_the_past(end->memnet, at_ms));
    return FL_OK;
}

void fl_memnet_set_online(fl_net *net, bool online)
{
    fl_memend *end = (fl_memend *)net;
    end->is_online = online;
    if (online) return;
    fl_memhalf *half = end->halves;
    while (half) {
        // A half that had not been OPENED leaves the list at once.
        fl_memhalf *after = half->next;
        const bool stays = half->state != FL_MEM_COMING;
        fl_memconn_cut(half);
        half = stays ? half->next : after;
    }
}

static fl_memend *post_due(fl_memnet *memnet, fl_mempost *post,
                           fl_net_event *event)
{
    fl_memend *end = post->end;
    *event = (fl_net_event){.kind = FL_NET_POSTED, .posted = post->posted};
    fl_event_heap_leave(&memnet->heap, &post->node);
    free(post);
    return end;
}

static fl_memend *happen(fl_memnet *memnet, fl_event_node *node,
                         fl_net_event *event)
{
    switch (node->kind) {
    case FL_MEM_POST: return post_due(memnet, node->object, event);
    case FL_MEM_HALF: return fl_memconn_half_due(node->object, event);
    case FL_MEM_FRAME: return fl_memconn_frame_due(node->object, event);
    default: *event = (fl_net_event){.kind = FL_NET_TIME}; return node->object;
    }
}

fl_err fl_memnet_next(fl_memnet *memnet, fl_net_event *event, void **owner)
{
    fl_memconn_free_frame(memnet->lent);
    memnet->lent = NULL;
    fl_event_node *node;
    double at;
    while ((node = fl_event_heap_pop(&memnet->heap, &at))) {
        memnet->now_ms = at;
        const fl_memend *end = happen(memnet, node, event);
        if (!end || end->is_freed) continue;
        *owner = end->owner;
        return FL_OK;
    }
    return FL_ERR_CLOSED;
}

void fl_memnet_free(fl_memnet *memnet)
{
    if (!memnet) return;
    for (fl_memend *end = memnet->ends; end; end = end->next) {
        mem_free(&end->net);
    }
    // Freed endpoints show no events: this takes none, it only cleans up.
    fl_net_event event;
    void *owner;
    const fl_err err = fl_memnet_next(memnet, &event, &owner);
    assert(err == FL_ERR_CLOSED);
    (void)err;
    while (memnet->ends) {
        fl_memend *end = memnet->ends;
        memnet->ends = end->next;
        free(end);
    }
    fl_conn_table_fini(&memnet->conns);
    fl_event_heap_fini(&memnet->heap);
    free(memnet);
}

int64_t fl_memnet_now(const fl_memnet *memnet)
{
    // A nanosecond that rounding has lost must not cost a millisecond.
    return (int64_t)(memnet->now_ms + 1e-6);
}

fl_link_stats fl_memnet_stats(const fl_net *net)
{
    return ((const fl_memend *)net)->stats;
}
