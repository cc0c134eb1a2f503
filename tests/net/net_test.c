/*
 * One conversation, two backends: what net.h promises must hold over TCP on
 * loopback and in memory alike. Each test runs on both.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <stdlib.h>

#include "net/net.h"

enum { SERVER, CLIENT };

typedef struct {
    fl_memnet *memnet;  // NULL: over TCP
    fl_net *ends[2];
    char url[40];
    int turn;  // TCP: the end that is asked next
} world;

static world tcp_world(void)
{
    world w = {0};
    const fl_net_tcp_options options = {0};
    for (int i = 0; i < 2; i++)
        assert_ok(fl_net_tcp_new(&w.ends[i], &options, NULL));
    assert_ok(fl_net_listen(w.ends[SERVER], "tcp://127.0.0.1:0", NULL));
    snprintf(w.url, sizeof w.url, "tcp://127.0.0.1:%u",
             fl_net_tcp_port(w.ends[SERVER]));
    return w;
}

static world memory_world(void)
{
    static const int NAMES[2] = {SERVER, CLIENT};
    world w = {.url = "tcp://127.0.0.1:7800"};
    const fl_link link = {
        .up_bytes_per_s = 1e7, .down_bytes_per_s = 2e7, .latency_ms = 7};
    assert_ok(fl_memnet_new(&w.memnet, 1));
    for (int i = 0; i < 2; i++) {
        assert_ok(fl_memnet_add(w.memnet, &w.ends[i], &link,
                                (void *)(uintptr_t)&NAMES[i]));
    }
    assert_ok(fl_net_listen(w.ends[SERVER], w.url, NULL));
    return w;
}

static void end_world(world *w)
{
    if (w->memnet) {
        fl_memnet_free(w->memnet);
        return;
    }
    for (int i = 0; i < 2; i++)
        fl_net_free(w->ends[i]);
}

/* The next event and its end; false: none within a quarter of a second. */
static bool any_next(world *w, int *who, fl_net_event *event)
{
    if (w->memnet) {
        void *owner;
        if (fl_memnet_next(w->memnet, event, &owner)) return false;
        *who = *(int *)owner;
        return true;
    }
    for (int tries = 0; tries < 125; tries++) {
        fl_net *net = w->ends[ *who = w->turn ^= 1];
        assert_ok(fl_net_next(net, event, fl_net_now(net) + 2));
        if (event->kind != FL_NET_TIME) return true;
    }
    return false;
}

static void next(world *w, int *who, fl_net_event *event)
{
    if (!any_next(w, who, event)) fail_msg("no event came");
}

static void assert_nothing_more(world *w)
{
    int who;
    fl_net_event event;
    assert_false(any_next(w, &who, &event));
}

/* The events of one end, those of the other taking place unseen. */
static fl_net_event next_at(world *w, int end)
{
    int who;
    fl_net_event event;
    do {
        next(w, &who, &event);
    } while (who != end);
    return event;
}

static void connect_pair(world *w, fl_conn conns[2])
{
    assert_ok(fl_net_dial(w->ends[CLIENT], w->url, &conns[CLIENT], NULL));
    for (int i = 0; i < 2; i++) {
        int who;
        fl_net_event event;
        next(w, &who, &event);
        assert_int_equal(event.kind, FL_NET_OPENED);
        assert_int_equal(event.accepted, who == SERVER);
        if (who == CLIENT) assert_int_equal(event.conn, conns[CLIENT]);
        conns[who] = event.conn;
    }
}

static uint8_t junk[FL_NET_FRAME_MAX + 1];

static void fill_junk(uint32_t salt)
{
    uint32_t x = salt * 2654435761U + 1;
    for (size_t i = 0; i < sizeof junk; i++) {
        x = x * 1664525U + 1013904223U;
        junk[i] = (uint8_t)(x >> 24);
    }
}

static void assert_frame(world *w, int end, fl_conn conn, size_t len)
{
    const fl_net_event event = next_at(w, end);
    assert_int_equal(event.kind, FL_NET_FRAME);
    assert_int_equal(event.conn, conn);
    assert_int_equal(event.len, len);
    assert_memory_equal(event.bytes, junk, len);
}

static void assert_closed(world *w, int end, fl_conn conn, fl_err err)
{
    const fl_net_event event = next_at(w, end);
    assert_int_equal(event.kind, FL_NET_CLOSED);
    assert_int_equal(event.conn, conn);
    assert_err(event.err, err);
}

/* ---- what both must do ---- */

static void carries_frames_both_ways(world *w)
{
    static const size_t LENS[] = {1, 2, 255, 1000, 65536, FL_NET_FRAME_MAX};
    fl_conn conns[2];
    connect_pair(w, conns);
    for (size_t i = 0; i < 2 * sizeof LENS / sizeof LENS[0]; i++) {
        const int from = i % 2 ? SERVER : CLIENT, to = 1 - from;
        const size_t len = LENS[i / 2];
        fill_junk((uint32_t)i);
        assert_ok(fl_net_send(w->ends[from], conns[from], junk, len));
        assert_frame(w, to, conns[to], len);
        fl_net_arm(w->ends[to], conns[to]);
    }
    assert_nothing_more(w);
}

static void keeps_frames_in_order(world *w)
{
    enum { COUNT = 500 };
    fl_conn conns[2];
    connect_pair(w, conns);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_ok(fl_net_send(w->ends[CLIENT], conns[CLIENT],
                              (const uint8_t *)&i, sizeof i));
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        const fl_net_event event = next_at(w, SERVER);
        assert_int_equal(event.kind, FL_NET_FRAME);
        assert_memory_equal(event.bytes, &i, sizeof i);
        fl_net_arm(w->ends[SERVER], event.conn);
    }
    assert_nothing_more(w);
}

static void shows_no_second_frame_before_arm(world *w)
{
    fl_conn conns[2];
    connect_pair(w, conns);
    for (int i = 0; i < 3; i++)
        assert_ok(fl_net_send(w->ends[CLIENT], conns[CLIENT], junk, 10));
    for (int i = 0; i < 3; i++) {
        assert_frame(w, SERVER, conns[SERVER], 10);
        assert_nothing_more(w);
        fl_net_arm(w->ends[SERVER], conns[SERVER]);
        fl_net_arm(w->ends[SERVER], conns[SERVER]);  // twice is once
    }
    assert_nothing_more(w);
}

static void shows_the_end_after_the_last_frame(world *w)
{
    fl_conn conns[2];
    connect_pair(w, conns);
    fill_junk(3);
    for (int i = 0; i < 10; i++)
        assert_ok(fl_net_send(w->ends[CLIENT], conns[CLIENT], junk, 100000));
    fl_net_close(w->ends[CLIENT], conns[CLIENT]);
    fl_net_close(w->ends[CLIENT], conns[CLIENT]);  // twice is once
    assert_err(fl_net_send(w->ends[CLIENT], conns[CLIENT], junk, 1),
               FL_ERR_CLOSED);
    int frames = 0, closed[2] = {0};
    while (closed[SERVER] + closed[CLIENT] < 2) {
        int who;
        fl_net_event event;
        next(w, &who, &event);
        assert_int_equal(event.conn, conns[who]);
        if (event.kind == FL_NET_FRAME) {
            assert_int_equal(who, SERVER);
            assert_memory_equal(event.bytes, junk, 100000);
            frames++;
            fl_net_arm(w->ends[SERVER], conns[SERVER]);
        } else {
            assert_int_equal(event.kind, FL_NET_CLOSED);
            assert_err(event.err, who == CLIENT ? FL_OK : FL_ERR_CLOSED);
            closed[who]++;
        }
    }
    assert_int_equal(frames, 10);
    assert_int_equal(closed[SERVER], 1);
    assert_nothing_more(w);
}

static void drops_what_comes_in_while_closing(world *w)
{
    fl_conn conns[2];
    connect_pair(w, conns);
    for (int i = 0; i < 5; i++) {
        assert_ok(fl_net_send(w->ends[CLIENT], conns[CLIENT], junk, 1000));
        assert_ok(fl_net_send(w->ends[SERVER], conns[SERVER], junk, 1000));
    }
    fl_net_close(w->ends[CLIENT], conns[CLIENT]);
    fl_net_close(w->ends[SERVER], conns[SERVER]);
    for (int i = 0; i < 2; i++) {
        int who;
        fl_net_event event;
        next(w, &who, &event);
        assert_int_equal(event.kind, FL_NET_CLOSED);
        assert_err(event.err, FL_OK);
        assert_int_equal(event.conn, conns[who]);
        conns[who] = 0;
    }
    assert_nothing_more(w);
}

static void knows_no_dead_connection(world *w)
{
    fl_conn conns[2];
    connect_pair(w, conns);
    fl_net_close(w->ends[SERVER], conns[SERVER]);
    assert_closed(w, SERVER, conns[SERVER], FL_OK);
    // The other end may have been told while we looked at this one.
    int who;
    fl_net_event event;
    (void)any_next(w, &who, &event);
    const fl_conn strangers[] = {0, 99, UINT64_MAX, conns[CLIENT],
                                 conns[SERVER]};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        fl_net *server = w->ends[SERVER];
        assert_err(fl_net_send(server, strangers[i], junk, 1), FL_ERR_CLOSED);
        fl_net_arm(server, strangers[i]);
        fl_net_close(server, strangers[i]);
    }
    assert_nothing_more(w);
}

static void refuses_frames_of_no_or_too_many_bytes(world *w)
{
    fl_conn conns[2];
    fl_net *client = w->ends[CLIENT];
    assert_ok(fl_net_dial(client, w->url, &conns[CLIENT], NULL));
    assert_err(fl_net_send(client, conns[CLIENT], junk, 1), FL_ERR_STATE);
    fl_net_close(client, conns[CLIENT]);
    int who;
    fl_net_event event;
    while (any_next(w, &who, &event))
        continue;
    connect_pair(w, conns);
    assert_err(fl_net_send(client, conns[CLIENT], junk, 0), FL_ERR_RANGE);
    assert_err(fl_net_send(client, conns[CLIENT], junk, FL_NET_FRAME_MAX + 1),
               FL_ERR_RANGE);
    assert_ok(fl_net_send(client, conns[CLIENT], junk, 1));
    assert_frame(w, SERVER, conns[SERVER], 1);
}

static void tells_when_nobody_is_there(world *w)
{
    fl_conn conn;
    assert_ok(fl_net_dial(w->ends[CLIENT], "tcp://127.0.0.1:1", &conn, NULL));
    assert_closed(w, CLIENT, conn, FL_ERR_CLOSED);
    assert_nothing_more(w);
}

static void closes_what_is_being_dialled(world *w)
{
    fl_conn conn;
    int closed[2] = {0}, opened[2] = {0}, who;
    fl_net_event event;
    assert_ok(fl_net_dial(w->ends[CLIENT], w->url, &conn, NULL));
    fl_net_close(w->ends[CLIENT], conn);
    while (any_next(w, &who, &event)) {
        closed[who] += event.kind == FL_NET_CLOSED;
        opened[who] += event.kind == FL_NET_OPENED;
        if (who == CLIENT) assert_err(event.err, FL_OK);
    }
    assert_int_equal(opened[CLIENT], 0);
    assert_int_equal(closed[CLIENT], 1);
    assert_int_equal(closed[SERVER], opened[SERVER]);
}

static void closes_on_a_peer_that_never_reads(world *w)
{
    fl_conn conns[2];
    connect_pair(w, conns);
    fl_err err = FL_OK;
    int sent = 0;
    while (!err && sent < 1000) {
        err =
            fl_net_send(w->ends[CLIENT], conns[CLIENT], junk, FL_NET_FRAME_MAX);
        if (!err) sent++;
    }
    assert_err(err, FL_ERR_LIMIT);
    assert_true(sent >= 15);
    assert_err(fl_net_send(w->ends[CLIENT], conns[CLIENT], junk, 1),
               FL_ERR_CLOSED);
    assert_closed(w, CLIENT, conns[CLIENT], FL_ERR_LIMIT);
}

static void never_gives_a_number_twice(world *w)
{
    fl_conn before[2] = {0};
    for (int i = 0; i < 20; i++) {
        fl_conn conns[2];
        connect_pair(w, conns);
        assert_true(conns[CLIENT] != before[CLIENT]);
        assert_true(conns[SERVER] != before[SERVER]);
        memcpy(before, conns, sizeof conns);
        fl_net_close(w->ends[CLIENT], conns[CLIENT]);
        for (int ended = 0; ended < 2; ended++) {
            int who;
            fl_net_event event;
            next(w, &who, &event);
            assert_int_equal(event.kind, FL_NET_CLOSED);
        }
    }
}

static void shows_posts_in_order(world *w)
{
    static uint8_t things[100];
    for (int i = 0; i < 100; i++)
        assert_ok(fl_net_post(w->ends[SERVER], &things[i]));
    for (int i = 0; i < 100; i++) {
        const fl_net_event event = next_at(w, SERVER);
        assert_int_equal(event.kind, FL_NET_POSTED);
        assert_ptr_equal(event.posted, &things[i]);
    }
    assert_ok(fl_net_post(w->ends[SERVER], NULL));  // ends unread
}

static void refuses_what_is_no_address(world *w)
{
    static const char *const BAD[] = {
        "",           "localhost:1",       "udp://a:1",     "tcp://a",
        "tcp://:1",   "tcp://a:",          "tcp://a:65536", "tcp://a:-1",
        "tcp://a:1x", "tcp://a:000000001", "tcp://a b:1",   "tcp://a/b:1",
        "tcp://[]:1", "tcp://[::1:1",      "tcp://::1:1",   "tcp://a:1/"};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        fl_reason why = {0};
        fl_conn conn;
        assert_err(fl_net_dial(w->ends[CLIENT], BAD[i], &conn, &why),
                   FL_ERR_RANGE);
        assert_reason_names(why, BAD[i]);
        assert_reason_names(why, "tcp://");
        assert_err(fl_net_listen(w->ends[CLIENT], BAD[i], NULL), FL_ERR_RANGE);
    }
    fl_reason why = {0};
    fl_conn conn;
    assert_err(fl_net_dial(w->ends[CLIENT], "tcp://127.0.0.1:0", &conn, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "port 0");
    assert_err(fl_net_listen(w->ends[CLIENT], w->url, &why), FL_ERR_SYSTEM);
    assert_reason_names(why, w->url);
    assert_reason_names(why, "in use");
    assert_nothing_more(w);
}

/* ---- a random conversation ---- */

enum { PAIR_CAP = 8, MESSAGE_COUNT = 1500 };

/* One direction of one connection: numbers go in and must come out. */
typedef struct {
    uint32_t sent, received;
} lane;

typedef struct {
    fl_conn conns[2];
    lane lanes[2];  // by the sending end
    bool armed[2];
} talk;

static size_t length_of(uint32_t number)
{
    return 4 + number * 2654435761U % 5000;
}

static void send_numbered(world *w, talk *t, int from)
{
    const uint32_t number = t->lanes[from].sent++;
    memcpy(junk, &number, sizeof number);
    assert_ok(
        fl_net_send(w->ends[from], t->conns[from], junk, length_of(number)));
}

static void take_numbered(talk *talks, int who, const fl_net_event *event)
{
    for (int i = 0; i < PAIR_CAP; i++) {
        talk *t = &talks[i];
        if (t->conns[who] != event->conn) continue;
        const uint32_t number = t->lanes[1 - who].received++;
        assert_true(t->armed[who]);
        assert_memory_equal(event->bytes, &number, sizeof number);
        assert_int_equal(event->len, length_of(number));
        t->armed[who] = false;
        return;
    }
    fail_msg("a frame of nobody's");
}

static bool all_arrived(const talk *talks)
{
    for (int i = 0; i < 2 * PAIR_CAP; i++) {
        const lane *l = &talks[i / 2].lanes[i % 2];
        if (l->received < l->sent) return false;
    }
    return true;
}

static void loses_and_repeats_nothing(world *w)
{
    talk talks[PAIR_CAP] = {0};
    fl_random random;
    fl_random_init(&random, 4, FL_RANDOM_TEST, 0);
    for (int i = 0; i < PAIR_CAP; i++) {
        connect_pair(w, talks[i].conns);
        talks[i].armed[0] = talks[i].armed[1] = true;
    }
    int sent = 0;
    while (sent < MESSAGE_COUNT || !all_arrived(talks)) {
        const int end = (int)fl_random_below(&random, 2);
        talk *t = &talks[fl_random_below(&random, PAIR_CAP)];
        const uint32_t choice = fl_random_below(&random, 3);
        if (choice == 0 && sent < MESSAGE_COUNT) {
            send_numbered(w, t, end);
            sent++;
        } else if (choice == 1) {
            for (int i = 0; i < PAIR_CAP; i++) {
                talks[i].armed[end] = true;
                fl_net_arm(w->ends[end], talks[i].conns[end]);
            }
        } else {
            int who = end;
            fl_net_event event;
            if (w->memnet) {
                if (!any_next(w, &who, &event)) continue;
            } else {
                assert_ok(fl_net_next(w->ends[end], &event,
                                      fl_net_now(w->ends[end])));
                if (event.kind == FL_NET_TIME) continue;
            }
            assert_int_equal(event.kind, FL_NET_FRAME);
            take_numbered(talks, who, &event);
        }
    }
}

#define ON_BOTH(name)             \
    TEST(net_##name##_over_tcp)   \
    {                             \
        world w = tcp_world();    \
        name(&w);                 \
        end_world(&w);            \
    }                             \
    TEST(net_##name##_in_memory)  \
    {                             \
        world w = memory_world(); \
        name(&w);                 \
        end_world(&w);            \
    }

#define RUN_BOTH(name)                        \
    cmocka_unit_test(net_##name##_in_memory), \
        cmocka_unit_test(net_##name##_over_tcp)

ON_BOTH(carries_frames_both_ways)
ON_BOTH(keeps_frames_in_order)
ON_BOTH(shows_no_second_frame_before_arm)
ON_BOTH(shows_the_end_after_the_last_frame)
ON_BOTH(drops_what_comes_in_while_closing)
ON_BOTH(knows_no_dead_connection)
ON_BOTH(refuses_frames_of_no_or_too_many_bytes)
ON_BOTH(tells_when_nobody_is_there)
ON_BOTH(closes_what_is_being_dialled)
ON_BOTH(closes_on_a_peer_that_never_reads)
ON_BOTH(never_gives_a_number_twice)
ON_BOTH(shows_posts_in_order)
ON_BOTH(refuses_what_is_no_address)
ON_BOTH(loses_and_repeats_nothing)

RUN_TESTS(RUN_BOTH(carries_frames_both_ways), RUN_BOTH(keeps_frames_in_order),
          RUN_BOTH(shows_no_second_frame_before_arm),
          RUN_BOTH(shows_the_end_after_the_last_frame),
          RUN_BOTH(drops_what_comes_in_while_closing),
          RUN_BOTH(knows_no_dead_connection),
          RUN_BOTH(refuses_frames_of_no_or_too_many_bytes),
          RUN_BOTH(tells_when_nobody_is_there),
          RUN_BOTH(closes_what_is_being_dialled),
          RUN_BOTH(closes_on_a_peer_that_never_reads),
          RUN_BOTH(never_gives_a_number_twice), RUN_BOTH(shows_posts_in_order),
          RUN_BOTH(refuses_what_is_no_address),
          RUN_BOTH(loses_and_repeats_nothing))
