/*
 * Echoes over TCP on loopback: round trips a second, and the middle and the
 * slowest hundredth in microseconds, of CLIENTS connections that each have one
 * frame under way. Server and clients are a loop thread each, in one process.
 *
 *   net_bench [CLIENTS [FRAME_BYTES [SECONDS]]]
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/net.h"

enum { CLIENT_CAP = 10000, SAMPLE_CAP = 1 << 22 };

typedef struct {
    unsigned clients;
    size_t frame_bytes;
    int64_t duration_ms;
    fl_net *server, *client;
    char url[40];
    uint32_t *sample_us;
    size_t sample_count;
} bench;

static void *serve(void *arg)
{
    fl_net *net = arg;
    fl_net_event event;
    while (!fl_net_next(net, &event, INT64_MAX)) {
        if (event.kind == FL_NET_POSTED) break;
        if (event.kind != FL_NET_FRAME) continue;
        if (fl_net_send(net, event.conn, event.bytes, event.len)) continue;
        fl_net_arm(net, event.conn);
    }
    return NULL;
}

/* Each frame carries the time at which it set out. */
static fl_err send_one(bench *b, fl_conn conn)
{
    static uint8_t frame[FL_NET_FRAME_MAX];
    const int64_t now_us = fl_clock_monotonic_us();
    memcpy(frame, &now_us, sizeof now_us);
    return fl_net_send(b->client, conn, frame, b->frame_bytes);
}

static void take_one(bench *b, const fl_net_event *event)
{
    int64_t sent_us;
    memcpy(&sent_us, event->bytes, sizeof sent_us);
    if (b->sample_count < SAMPLE_CAP) {
        b->sample_us[b->sample_count++] =
            (uint32_t)(fl_clock_monotonic_us() - sent_us);
    }
    fl_net_arm(b->client, event->conn);
}

/* Answers every event until then, or until all clients are connected. */
static fl_err echo_until(bench *b, int64_t until_ms, unsigned *left)
{
    while (!left || *left > 0) {
        fl_net_event event;
        FL_TRY(fl_net_next(b->client, &event, until_ms));
        if (event.kind == FL_NET_TIME) break;
        if (event.kind == FL_NET_CLOSED) return event.err;
        if (event.kind == FL_NET_FRAME) take_one(b, &event);
        if (event.kind == FL_NET_OPENED && left) --*left;
        FL_TRY(send_one(b, event.conn));
    }
    return FL_OK;
}

static fl_err run(bench *b)
{
    for (unsigned i = 0; i < b->clients; i++) {
        fl_conn conn;
        unsigned left = 1;
        FL_TRY(fl_net_dial(b->client, b->url, &conn, NULL));
        FL_TRY(echo_until(b, INT64_MAX, &left));
    }
    b->sample_count = 0;
    return echo_until(b, fl_net_now(b->client) + b->duration_ms, NULL);
}

static int by_size(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_result(bench *b)
{
    const size_t n = b->sample_count;
    if (n == 0) return;
    qsort(b->sample_us, n, sizeof *b->sample_us, by_size);
    printf("net_echo_per_s %.0f frames/s\n",
           (double)n * 1000 / (double)b->duration_ms);
    printf("net_echo_p50_us %u us\n", b->sample_us[n / 2]);
    printf("net_echo_p99_us %u us\n", b->sample_us[n * 99 / 100]);
}

static fl_err start(bench *b, fl_reason *why)
{
    const fl_net_tcp_options options = {.connection_cap = CLIENT_CAP};
    b->sample_us = malloc(SAMPLE_CAP * sizeof *b->sample_us);
    if (!b->sample_us) return FL_ERR_MEMORY;
    FL_TRY(fl_net_tcp_new(&b->server, &options, why));
    FL_TRY(fl_net_tcp_new(&b->client, &options, why));
    FL_TRY(fl_net_listen(b->server, "tcp://127.0.0.1:0", why));
    snprintf(b->url, sizeof b->url, "tcp://127.0.0.1:%u",
             fl_net_tcp_port(b->server));
    return FL_OK;
}

static unsigned long argument(int argc, char **argv, int i, unsigned long dflt)
{
    return argc > i ? strtoul(argv[i], NULL, 10) : dflt;
}

int main(int argc, char **argv)
{
    bench b = {
        .clients = (unsigned)argument(argc, argv, 1, 100),
        .frame_bytes = argument(argc, argv, 2, 1024),
        .duration_ms = (int64_t)argument(argc, argv, 3, 3) * 1000,
    };
    pthread_t thread;
    fl_reason why = {"a connection failed"};
    fl_err err = FL_ERR_RANGE;
    if (b.frame_bytes >= sizeof(int64_t) && b.frame_bytes <= FL_NET_FRAME_MAX &&
        b.clients <= CLIENT_CAP) {
        err = start(&b, &why);
    }
    if (!err && pthread_create(&thread, NULL, serve, b.server)) {
        err = FL_ERR_SYSTEM;
    }
    if (!err) {
        err = run(&b);
        if (fl_net_post(b.server, NULL)) abort();
        pthread_join(thread, NULL);
    }
    if (err) {
        fprintf(stderr, "net_bench: %s: %s\n", fl_err_text(err), why.text);
    } else {
        print_result(&b);
    }
    fl_net_free(b.client);
    fl_net_free(b.server);
    free(b.sample_us);
    return err ? 1 : 0;
}
