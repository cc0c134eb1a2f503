/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/net.h"

static const char *const URL = "tcp://aggregator:7800";

/* A network of a server, owner 0, and clients, owners 1 and up. */
enum { END_CAP = 8 };

typedef struct {
    fl_memnet *memnet;
    fl_net *ends[END_CAP];
    int count;
} world;

static const int OWNERS[END_CAP] = {0, 1, 2, 3, 4, 5, 6, 7};

static fl_net *add(world *w, fl_link link)
{
    assert_true(w->count < END_CAP);
    assert_ok(fl_memnet_add(w->memnet, &w->ends[w->count], &link,
                            (void *)(uintptr_t)&OWNERS[w->count]));
    return w->ends[w->count++];
}

static world new_world(fl_link server)
{
    world w = {0};
    assert_ok(fl_memnet_new(&w.memnet, 7));
    assert_ok(fl_net_listen(add(&w, server), URL, NULL));
    return w;
}

/* The next event; its endpoint's index. */
static int next(world *w, fl_net_event *event)
{
    void *owner;
    assert_ok(fl_memnet_next(w->memnet, event, &owner));
    return *(int *)owner;
}

static void assert_next(world *w, int who, fl_net_event_kind kind,
                        int64_t at_ms, fl_net_event *event)
{
    assert_int_equal(next(w, event), who);
    assert_int_equal(event->kind, kind);
    assert_int_equal(fl_memnet_now(w->memnet), at_ms);
}

static void assert_nothing_left(world *w)
{
    fl_net_event event;
    void *owner;
    assert_err(fl_memnet_next(w->memnet, &event, &owner), FL_ERR_CLOSED);
}

/* Dials from end 1 to end 0; the numbers at either side. */
static void connect_pair(world *w, fl_conn *dialled, fl_conn *accepted)
{
    fl_net_event event;
    assert_ok(fl_net_dial(w->ends[1], URL, dialled, NULL));
    assert_int_equal(next(w, &event), 1);
    assert_int_equal(event.kind, FL_NET_OPENED);
    assert_false(event.accepted);
    assert_int_equal(event.conn, *dialled);
    assert_int_equal(next(w, &event), 0);
    assert_int_equal(event.kind, FL_NET_OPENED);
    assert_true(event.accepted);
    *accepted = event.conn;
}

static uint8_t junk[FL_NET_FRAME_MAX + 1];

/* A frame that takes `wire_bytes` with its prefix. */
static void send_wire(fl_net *net, fl_conn conn, size_t wire_bytes)
{
    assert_ok(fl_net_send(net, conn, junk, wire_bytes - FL_NET_LENGTH_BYTES));
}

TEST(memnet_opens_after_one_round_trip)
{
    world w = new_world((fl_link){.latency_ms = 10});
    add(&w, (fl_link){.latency_ms = 40});
    fl_net_event event;
    fl_conn conn;
    assert_ok(fl_net_dial(w.ends[1], URL, &conn, NULL));
    assert_next(&w, 1, FL_NET_OPENED, 100, &event);
    assert_next(&w, 0, FL_NET_OPENED, 150, &event);
    assert_nothing_left(&w);
    fl_memnet_free(w.memnet);
}

TEST(memnet_adds_up_rate_and_latency)
{
    // 1,000 bytes a second up, 4,000 down, 15 + 25 ms one way.
    world w = new_world((fl_link){.latency_ms = 15, .down_bytes_per_s = 4000});
    add(&w, (fl_link){.latency_ms = 25, .up_bytes_per_s = 1000});
    fl_conn dialled, accepted;
    connect_pair(&w, &dialled, &accepted);
    const int64_t began = fl_memnet_now(w.memnet);
    assert_int_equal(began, 3 * 40);
    fl_net_event event;
    send_wire(w.ends[1], dialled, 500);
    send_wire(w.ends[1], dialled, 250);
    // The slower of the two links sets the pace; frames queue in it.
    assert_next(&w, 0, FL_NET_FRAME, began + 500 + 40, &event);
    assert_int_equal(event.len, 496);
    fl_net_arm(w.ends[0], accepted);
    assert_next(&w, 0, FL_NET_FRAME, began + 750 + 40, &event);
    const fl_link_stats up = fl_memnet_stats(w.ends[1]);
    const fl_link_stats down = fl_memnet_stats(w.ends[0]);
    assert_int_equal(up.frames_up, 2);
    assert_int_equal(up.bytes_up, 750);
    assert_int_equal(up.frames_down + up.bytes_down, 0);
    assert_int_equal(down.frames_down, 2);
    assert_int_equal(down.bytes_down, 750);
    assert_int_equal(down.frames_up + down.bytes_up, 0);
    fl_memnet_free(w.memnet);
}

TEST(memnet_slow_downlink_sets_the_pace)
{
    world w = new_world((fl_link){.up_bytes_per_s = 4000, .latency_ms = 5});
    add(&w, (fl_link){.down_bytes_per_s = 1000});
    fl_conn dialled, accepted;
    connect_pair(&w, &dialled, &accepted);
    const int64_t began = fl_memnet_now(w.memnet);
    fl_net_event event;
    send_wire(w.ends[0], accepted, 1000);
    send_wire(w.ends[0], accepted, 400);
    assert_next(&w, 1, FL_NET_FRAME, began + 5 + 1000, &event);
    fl_net_arm(w.ends[1], dialled);
    assert_next(&w, 1, FL_NET_FRAME, began + 5 + 1400, &event);
    fl_memnet_free(w.memnet);
}

TEST(memnet_shares_a_downlink_among_senders)
{
    // Four clients at 1,000 bytes a second each fill 2,000 a second.
    world w = new_world((fl_link){.down_bytes_per_s = 2000});
    fl_conn conns[5];
    fl_net_event event;
    for (int i = 1; i <= 4; i++) {
        add(&w, (fl_link){.up_bytes_per_s = 1000});
        assert_ok(fl_net_dial(w.ends[i], URL, &conns[i], NULL));
    }
    for (int i = 0; i < 8; i++)
        assert_int_equal((next(&w, &event), event.kind), FL_NET_OPENED);
    for (int i = 1; i <= 4; i++)
        send_wire(w.ends[i], conns[i], 1000);
    // All are at the server's link after 1,000 ms; it needs 500 ms for each,
    // the first of which passed while the bytes came in.
    for (int i = 0; i < 4; i++)
        assert_next(&w, 0, FL_NET_FRAME, 1000 + 500 * i, &event);
    assert_nothing_left(&w);
    fl_memnet_free(w.memnet);
}

TEST(memnet_keeps_fractions_of_a_millisecond)
{
    // 3 bytes a millisecond: 100 frames of 10 bytes take 333.33 ms.
    world w = new_world((fl_link){0});
    add(&w, (fl_link){.up_bytes_per_s = 3000});
    fl_conn dialled, accepted;
    connect_pair(&w, &dialled, &accepted);
    fl_net_event event;
    for (int i = 0; i < 100; i++)
        send_wire(w.ends[1], dialled, 10);
    for (int i = 1; i <= 100; i++) {
        assert_next(&w, 0, FL_NET_FRAME, (int64_t)(i * 10 / 3.0), &event);
        fl_net_arm(w.ends[0], accepted);
    }
    fl_memnet_free(w.memnet);
}

TEST(memnet_loss_costs_bytes_and_round_trips)
{
    uint64_t bytes[2];
    int64_t took_ms[2];
    for (int i = 0; i < 2; i++) {
        world w = new_world((fl_link){.latency_ms = 10});
        add(&w, (fl_link){.loss = i * 0.1, .latency_ms = 10});
        fl_conn dialled, accepted;
        connect_pair(&w, &dialled, &accepted);
        const int64_t began = fl_memnet_now(w.memnet);
        fl_net_event event;
        uint32_t expected = 0;
        for (int n = 0; n < 15; n++) {
            junk[0] = (uint8_t)n;
            send_wire(w.ends[1], dialled, 100 * 1460);
        }
        for (; expected < 15; expected++) {
            assert_int_equal(next(&w, &event), 0);
            assert_int_equal(event.bytes[0], expected);  // still in order
            fl_net_arm(w.ends[0], accepted);
        }
        took_ms[i] = fl_memnet_now(w.memnet) - began;
        bytes[i] = fl_memnet_stats(w.ends[1]).bytes_up;
        // The lost ones went out but never came in.
        assert_int_equal(fl_memnet_stats(w.ends[0]).bytes_down, 1500 * 1460);
        fl_memnet_free(w.memnet);
    }
    assert_int_equal(bytes[0], 1500 * 1460);
    assert_int_equal(took_ms[0], 20);
    // 1,500 / 0.9 = 1,667 packets expected, 13.6 is one deviation.
    assert_in_range(bytes[1] / 1460, 1600, 1735);
    assert_int_equal(bytes[1] % 1460, 0);
    // With 100 packets in a frame one at least is resent, one round trip on.
    assert_true(took_ms[1] >= 20 + 40);
    assert_int_equal((took_ms[1] - 20) % 40, 0);
}

TEST(memnet_lets_no_frame_overtake_one_that_waits)
{
    world w = new_world((fl_link){0});
    add(&w, (fl_link){0});
    fl_conn dialled, accepted;
    connect_pair(&w, &dialled, &accepted);
    fl_net_event event;
    for (size_t len = 1; len <= 2; len++)
        assert_ok(fl_net_send(w.ends[1], dialled, junk, len));
    fl_memnet_wake(w.ends[0], 0);
    assert_next(&w, 0, FL_NET_FRAME, 0, &event);
    assert_int_equal(event.len, 1);
    assert_next(&w, 0, FL_NET_TIME, 0, &event);
    // The second one waits. The third is under way before the arming is.
    assert_ok(fl_net_send(w.ends[1], dialled, junk, 3));
    fl_net_arm(w.ends[0], accepted);
    for (size_t len = 2; len <= 3; len++) {
        assert_next(&w, 0, FL_NET_FRAME, 0, &event);
        assert_int_equal(event.len, len);
        fl_net_arm(w.ends[0], accepted);
    }
    fl_memnet_free(w.memnet);
}

/* What happens when everyone talks to everyone, as one number. */
static uint64_t trace_of(uint64_t seed)
{
    world w = {0};
    assert_ok(fl_memnet_new(&w.memnet, seed));
    char url[40];
    for (int i = 0; i < END_CAP; i++) {
        add(&w, (fl_link){.up_bytes_per_s = 10000.0 * (i + 1),
                          .down_bytes_per_s = 50000.0,
                          .latency_ms = 3.7 * i,
                          .loss = 0.02 * i});
        snprintf(url, sizeof url, "tcp://peer%d:1", i);
        assert_ok(fl_net_listen(w.ends[i], url, NULL));
    }
    fl_random random;
    fl_random_init(&random, 5, FL_RANDOM_TEST, 0);
    for (int i = 0; i < END_CAP; i++) {
        fl_memnet_wake(w.ends[i], (int64_t)fl_random_below(&random, 100));
        fl_conn conn;
        for (int j = 0; j < END_CAP; j++) {
            snprintf(url, sizeof url, "tcp://peer%d:1", j);
            assert_ok(fl_net_dial(w.ends[i], url, &conn, NULL));
        }
    }
    uint64_t trace = 14695981039346656037U;
    for (int step = 0; step < 5000; step++) {
        fl_net_event event;
        void *owner;
        if (fl_memnet_next(w.memnet, &event, &owner)) break;
        const int who = *(int *)owner;
        const uint64_t facts[] = {(uint64_t)who, event.kind, event.conn,
                                  event.len, (uint64_t)fl_memnet_now(w.memnet)};
        for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
            trace = (trace ^ facts[i]) * 1099511628211U;
        const uint32_t choice = fl_random_below(&random, 100);
        const size_t len = 1 + fl_random_below(&random, 20000);
        if (event.kind == FL_NET_FRAME) fl_net_arm(w.ends[who], event.conn);
        if (event.conn && choice < 95) {
            (void)!fl_net_send(w.ends[who], event.conn, junk, len);
        } else if (choice < 97) {
            fl_net_close(w.ends[who], event.conn);
        } else if (event.kind == FL_NET_TIME) {
            fl_memnet_set_online(w.ends[who], choice % 2);
        }
        if (event.kind == FL_NET_TIME) {
            fl_memnet_wake(w.ends[who], fl_memnet_now(w.memnet) + 50);
        }
    }
    fl_memnet_free(w.memnet);
    return trace;
}

TEST(memnet_run_is_a_function_of_its_seed)
{
    const uint64_t trace = trace_of(1);
    assert_int_equal(trace_of(1), trace);
    assert_int_not_equal(trace_of(2), trace);
}

TEST(memnet_refuses_a_dial_after_one_round_trip)
{
    world w = new_world((fl_link){.latency_ms = 10});
    add(&w, (fl_link){.latency_ms = 40});
    fl_net_event event;
    fl_conn conn;
    assert_ok(fl_net_dial(w.ends[1], "tcp://nobody:1", &conn, NULL));
    assert_next(&w, 1, FL_NET_CLOSED, 80, &event);
    assert_int_equal(event.conn, conn);
    assert_int_equal(event.err, FL_ERR_CLOSED);

    fl_memnet_set_online(w.ends[0], false);
    assert_ok(fl_net_dial(w.ends[1], URL, &conn, NULL));
    assert_next(&w, 1, FL_NET_CLOSED, 180, &event);
    assert_int_equal(event.err, FL_ERR_CLOSED);

    fl_memnet_set_online(w.ends[0], true);
    fl_memnet_set_online(w.ends[1], false);
    assert_ok(fl_net_dial(w.ends[1], URL, &conn, NULL));
    assert_next(&w, 1, FL_NET_CLOSED, 180, &event);
    assert_int_equal(event.err, FL_ERR_CLOSED);

    fl_memnet_set_online(w.ends[1], true);
    assert_ok(fl_net_dial(w.ends[1], URL, &conn, NULL));
    assert_next(&w, 1, FL_NET_OPENED, 280, &event);
    fl_memnet_free(w.memnet);
}

TEST(memnet_cut_closes_both_ends)
{
    world w = new_world((fl_link){.latency_ms = 10});
    add(&w, (fl_link){.latency_ms = 40, .up_bytes_per_s = 1000});
    fl_conn dialled, accepted;
    connect_pair(&w, &dialled, &accepted);
    const int64_t began = fl_memnet_now(w.memnet);
    send_wire(w.ends[1], dialled, 1000);
    fl_memnet_set_online(w.ends[1], false);
    fl_net_event event;
    assert_next(&w, 1, FL_NET_CLOSED, began, &event);
    assert_int_equal(event.conn, dialled);
    assert_int_equal(event.err, FL_ERR_CLOSED);
    assert_next(&w, 0, FL_NET_CLOSED, began + 50, &event);
    assert_int_equal(event.conn, accepted);
    assert_int_equal(event.err, FL_ERR_CLOSED);
    assert_nothing_left(&w);
    // Half a frame is no frame, and the link is free at once.
    assert_int_equal(fl_memnet_stats(w.ends[1]).frames_up, 0);
    fl_memnet_set_online(w.ends[1], true);
    connect_pair(&w, &dialled, &accepted);
    send_wire(w.ends[1], dialled, 1000);
    assert_next(&w, 0, FL_NET_FRAME, began + 50 + 150 + 1050, &event);
    fl_memnet_free(w.memnet);
}

TEST(memnet_cut_reaches_what_is_being_opened)
{
    // At every moment of a connection's first second, from either side.
    for (int side = 0; side < 2; side++) {
        for (int64_t at = 0; at < 200; at += 5) {
            world w = new_world((fl_link){.latency_ms = 10});
            add(&w, (fl_link){.latency_ms = 40});
            fl_conn conn;
            assert_ok(fl_net_dial(w.ends[1], URL, &conn, NULL));
            fl_memnet_wake(w.ends[side], at);
            int opened[2] = {0}, closed[2] = {0};
            fl_net_event event;
            void *owner;
            while (!fl_memnet_next(w.memnet, &event, &owner)) {
                const int who = *(int *)owner;
                opened[who] += event.kind == FL_NET_OPENED;
                closed[who] += event.kind == FL_NET_CLOSED;
                if (event.kind == FL_NET_TIME) {
                    fl_memnet_set_online(w.ends[side], false);
                }
            }
            assert_int_equal(closed[1], 1);
            assert_int_equal(closed[0], opened[0]);
            fl_memnet_free(w.memnet);
        }
    }
}

TEST(memnet_close_gives_up_flushing_after_five_seconds)
{
    world w = new_world((fl_link){0});
    add(&w, (fl_link){.up_bytes_per_s = 1000});
    fl_conn dialled, accepted;
    connect_pair(&w, &dialled, &accepted);
    send_wire(w.ends[1], dialled, 3000);
    send_wire(w.ends[1], dialled, 3000);
    fl_net_close(w.ends[1], dialled);
    fl_net_event event;
    assert_next(&w, 0, FL_NET_FRAME, 3000, &event);
    assert_next(&w, 1, FL_NET_CLOSED, 5000, &event);
    assert_int_equal(event.err, FL_OK);
    assert_next(&w, 0, FL_NET_CLOSED, 5000, &event);
    assert_int_equal(event.err, FL_ERR_CLOSED);
    assert_nothing_left(&w);
    fl_memnet_free(w.memnet);
}

TEST(memnet_close_comes_when_the_last_byte_has_left)
{
    world w = new_world((fl_link){.latency_ms = 20});
    add(&w, (fl_link){.up_bytes_per_s = 1000, .latency_ms = 20});
    fl_conn dialled, accepted;
    connect_pair(&w, &dialled, &accepted);
    const int64_t began = fl_memnet_now(w.memnet);
    send_wire(w.ends[1], dialled, 2000);
    fl_net_close(w.ends[1], dialled);
    fl_net_event event;
    assert_next(&w, 1, FL_NET_CLOSED, began + 2000, &event);
    assert_int_equal(event.err, FL_OK);
    assert_next(&w, 0, FL_NET_FRAME, began + 2040, &event);
    fl_net_arm(w.ends[0], accepted);
    assert_next(&w, 0, FL_NET_CLOSED, began + 2040, &event);
    assert_nothing_left(&w);
    fl_memnet_free(w.memnet);
}

TEST(memnet_wakes_once_at_the_latest_wish)
{
    world w = new_world((fl_link){0});
    fl_net_event event;
    fl_memnet_wake(w.ends[0], 100);
    fl_memnet_wake(w.ends[0], 30);
    assert_next(&w, 0, FL_NET_TIME, 30, &event);
    fl_memnet_wake(w.ends[0], 10);  // is over: at once
    assert_next(&w, 0, FL_NET_TIME, 30, &event);
    fl_memnet_wake(w.ends[0], 200);
    fl_memnet_wake(w.ends[0], INT64_MAX);
    assert_nothing_left(&w);
    fl_memnet_free(w.memnet);
}

TEST(memnet_posts_in_order)
{
    world w = new_world((fl_link){0});
    add(&w, (fl_link){0});
    int a, b, c, d;
    assert_ok(fl_memnet_post(w.ends[0], &a, 50));
    assert_ok(fl_memnet_post(w.ends[1], &b, 20));
    assert_ok(fl_net_post(w.ends[1], &c));
    assert_ok(fl_memnet_post(w.ends[1], &d, 50));
    fl_net_event event;
    assert_next(&w, 1, FL_NET_POSTED, 0, &event);
    assert_ptr_equal(event.posted, &c);
    assert_next(&w, 1, FL_NET_POSTED, 20, &event);
    assert_ptr_equal(event.posted, &b);
    assert_next(&w, 0, FL_NET_POSTED, 50, &event);
    assert_ptr_equal(event.posted, &a);
    assert_next(&w, 1, FL_NET_POSTED, 50, &event);
    assert_ptr_equal(event.posted, &d);
    fl_memnet_free(w.memnet);
}

TEST(memnet_refuses_an_impossible_link)
{
    world w = new_world((fl_link){0});
    fl_net *net;
    const fl_link links[] = {{.loss = 0.51},
                             {.loss = -0.1},
                             {.loss = NAN},
                             {.latency_ms = -1},
                             {.latency_ms = NAN},
                             {.up_bytes_per_s = -1},
                             {.down_bytes_per_s = -1},
                             {.latency_ms = INFINITY}};
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        assert_err(fl_memnet_add(w.memnet, &net, &links[i], NULL),
                   FL_ERR_RANGE);
    }
    fl_net_event event;
    assert_err(fl_net_next(w.ends[0], &event, 0), FL_ERR_STATE);
    fl_memnet_free(w.memnet);
    fl_memnet_free(NULL);
}

TEST(memnet_refuses_a_taken_address_and_port_0)
{
    world w = new_world((fl_link){0});
    add(&w, (fl_link){0});
    fl_reason why = {0};
    fl_conn conn;
    assert_err(fl_net_listen(w.ends[1], URL, &why), FL_ERR_SYSTEM);
    assert_reason_names(why, URL);
    assert_reason_names(why, "in use");
    assert_err(fl_net_listen(w.ends[1], "tcp://a:0", &why), FL_ERR_RANGE);
    assert_reason_names(why, "tcp://a:0");
    assert_err(fl_net_dial(w.ends[1], "tcp://a:0", &conn, &why), FL_ERR_RANGE);
    assert_reason_names(why, "port");
    fl_memnet_free(w.memnet);
}

TEST(memnet_address_is_free_after_its_endpoint)
{
    world w = new_world((fl_link){.latency_ms = 10});
    add(&w, (fl_link){0});
    add(&w, (fl_link){0});
    fl_conn dialled, accepted;
    connect_pair(&w, &dialled, &accepted);
    assert_ok(fl_net_post(w.ends[0], junk));
    fl_net_free(w.ends[0]);
    assert_ok(fl_net_listen(w.ends[2], URL, NULL));
    fl_net_event event;
    assert_int_equal(next(&w, &event), 1);  // nothing is heard of the freed
    assert_int_equal(event.kind, FL_NET_CLOSED);
    assert_ok(fl_net_dial(w.ends[1], URL, &dialled, NULL));
    assert_int_equal(next(&w, &event), 1);
    assert_int_equal(event.kind, FL_NET_OPENED);
    assert_int_equal(next(&w, &event), 2);
    assert_nothing_left(&w);
    fl_memnet_free(w.memnet);
}

TEST(memnet_carries_ten_thousand_endpoints)
{
    enum { CLIENTS = 10000, ROUNDS = 20 };
    fl_memnet *memnet;
    assert_ok(fl_memnet_new(&memnet, 3));
    fl_net *server, **clients = malloc(CLIENTS * sizeof(fl_net *));
    assert_non_null(clients);
    const fl_link fast = {.down_bytes_per_s = 125e6, .latency_ms = 1};
    assert_ok(fl_memnet_add(memnet, &server, &fast, NULL));
    assert_ok(fl_net_listen(server, URL, NULL));
    fl_conn conn;
    for (int i = 0; i < CLIENTS; i++) {
        const fl_link link = {.up_bytes_per_s = 1e5 + i, .latency_ms = 20};
        assert_ok(
            fl_memnet_add(memnet, &clients[i], &link, (void *)&clients[i]));
        assert_ok(fl_net_dial(clients[i], URL, &conn, NULL));
    }
    const int64_t began_us = fl_clock_cpu_us();
    uint64_t events = 0, frames = 0;
    fl_net_event event;
    void *owner;
    while (frames < (uint64_t)CLIENTS * ROUNDS) {
        assert_ok(fl_memnet_next(memnet, &event, &owner));
        events++;
        fl_net *end = owner ? *(fl_net **)owner : server;
        if (event.kind == FL_NET_FRAME) {
            frames++;
            fl_net_arm(end, event.conn);
        }
        // Ping pong: whoever hears something answers.
        assert_ok(fl_net_send(end, event.conn, junk, 100));
    }
    const int64_t took_us = fl_clock_cpu_us() - began_us;
    print_message("%llu events, %.2f us each\n", (unsigned long long)events,
                  (double)took_us / (double)events);
    fl_memnet_free(memnet);
    free(clients);
}

RUN_TESTS(cmocka_unit_test(memnet_opens_after_one_round_trip),
          cmocka_unit_test(memnet_adds_up_rate_and_latency),
          cmocka_unit_test(memnet_slow_downlink_sets_the_pace),
          cmocka_unit_test(memnet_shares_a_downlink_among_senders),
          cmocka_unit_test(memnet_keeps_fractions_of_a_millisecond),
          cmocka_unit_test(memnet_loss_costs_bytes_and_round_trips),
          cmocka_unit_test(memnet_lets_no_frame_overtake_one_that_waits),
          cmocka_unit_test(memnet_run_is_a_function_of_its_seed),
          cmocka_unit_test(memnet_refuses_a_dial_after_one_round_trip),
          cmocka_unit_test(memnet_cut_closes_both_ends),
          cmocka_unit_test(memnet_cut_reaches_what_is_being_opened),
          cmocka_unit_test(memnet_close_gives_up_flushing_after_five_seconds),
          cmocka_unit_test(memnet_close_comes_when_the_last_byte_has_left),
          cmocka_unit_test(memnet_wakes_once_at_the_latest_wish),
          cmocka_unit_test(memnet_posts_in_order),
          cmocka_unit_test(memnet_refuses_an_impossible_link),
          cmocka_unit_test(memnet_refuses_a_taken_address_and_port_0),
          cmocka_unit_test(memnet_address_is_free_after_its_endpoint),
          cmocka_unit_test(memnet_carries_ten_thousand_endpoints))
