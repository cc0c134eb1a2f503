/*
 * What only the TCP backend has to stand: peers that break the framing, stall,
 * reset or come in crowds. They are plain sockets here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/tcp.h"

static uint8_t junk[FL_NET_FRAME_MAX];

static fl_net *new_net(fl_net_tcp_options options, fl_tcp_times times)
{
    fl_net *net = NULL;
    fl_reason why = {0};
    assert_ok(fl_tcp_new(&net, &options, &times, &why));
    return net;
}

static fl_net *new_server(fl_net_tcp_options options, fl_tcp_times times)
{
    fl_net *net = new_net(options, times);
    assert_ok(fl_net_listen(net, "tcp://127.0.0.1:0", NULL));
    return net;
}

static const char *url_of(const fl_net *net)
{
    static char url[40];
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", fl_net_tcp_port(net));
    return url;
}

/* The next event but TIME, within ten seconds. */
static fl_net_event next(fl_net *net)
{
    fl_net_event event;
    assert_ok(fl_net_next(net, &event, fl_net_now(net) + 10000));
    assert_int_not_equal(event.kind, FL_NET_TIME);
    return event;
}

static fl_conn next_opened(fl_net *net)
{
    const fl_net_event event = next(net);
    assert_int_equal(event.kind, FL_NET_OPENED);
    return event.conn;
}

static void assert_closed(fl_net *net, fl_conn conn, fl_err err)
{
    const fl_net_event event = next(net);
    assert_int_equal(event.kind, FL_NET_CLOSED);
    assert_int_equal(event.conn, conn);
    assert_err(event.err, err);
}

static void assert_quiet(fl_net *net, int64_t for_ms)
{
    fl_net_event event;
    assert_ok(fl_net_next(net, &event, fl_net_now(net) + for_ms));
    assert_int_equal(event.kind, FL_NET_TIME);
}

static void assert_all_freed(const fl_net *net, uint64_t opened)
{
    const fl_net_tcp_counts counts = fl_net_tcp_count(net);
    assert_int_equal(counts.opened, opened);
    assert_int_equal(counts.freed, opened);
}

/* ---- plain sockets ---- */

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int raw_connect(const fl_net *server)
{
    const struct sockaddr_in address = loopback(fl_net_tcp_port(server));
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(
        connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void raw_send(int fd, const void *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

static void raw_announce(int fd, uint32_t len)
{
    const uint8_t prefix[4] = {(uint8_t)len, (uint8_t)(len >> 8),
                               (uint8_t)(len >> 16), (uint8_t)(len >> 24)};
    raw_send(fd, prefix, sizeof prefix);
}

static int count_files(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* NNG closes descriptors a moment later, but it does close them. */
static void assert_files_settle_at(int expected)
{
    for (int tries = 0; tries < 500 && count_files() > expected; tries++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_true(count_files() <= expected);
}

/* Closes with a reset instead of a goodbye. */
static void raw_reset(int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(fd);
}

/* The other side hangs up within five seconds. */
static void assert_hung_up(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    uint8_t byte;
    assert_int_equal(poll(&poll_fd, 1, 5000), 1);
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
}

/* ---- framing ---- */

static void assert_refused(size_t frame_cap, uint32_t announced, fl_err err)
{
    fl_net *net = new_server((fl_net_tcp_options){.frame_cap = frame_cap},
                             (fl_tcp_times){0});
    const int fd = raw_connect(net);
    const fl_conn conn = next_opened(net);
    raw_announce(fd, announced);
    assert_closed(net, conn, err);
    assert_hung_up(fd);
    assert_all_freed(net, 1);
    fl_net_free(net);
}

TEST(tcp_closes_on_an_announcement_it_will_not_take)
{
    assert_refused(0, FL_NET_FRAME_MAX + 1, FL_ERR_LIMIT);
    assert_refused(0, UINT32_MAX, FL_ERR_LIMIT);
    assert_refused(1000, 1001, FL_ERR_LIMIT);
    assert_refused(0, 0, FL_ERR_FORMAT);
}

TEST(tcp_takes_frames_up_to_its_cap_in_any_pieces)
{
    fl_net *net =
        new_server((fl_net_tcp_options){.frame_cap = 1000}, (fl_tcp_times){0});
    const int fd = raw_connect(net);
    const fl_conn conn = next_opened(net);
    for (size_t i = 0; i < sizeof junk; i++)
        junk[i] = (uint8_t)(i * 7);
    static const size_t PIECES[] = {1, 3, 7, 500, 1004};
    for (size_t i = 0; i < sizeof PIECES / sizeof PIECES[0]; i++) {
        uint8_t wire[1004] = {1000 % 256, 1000 / 256, 0, 0};
        memcpy(wire + 4, junk, 1000);
        for (size_t at = 0; at < sizeof wire; at += PIECES[i]) {
            const size_t left = sizeof wire - at;
            raw_send(fd, wire + at, left < PIECES[i] ? left : PIECES[i]);
        }
        const fl_net_event event = next(net);
        assert_int_equal(event.kind, FL_NET_FRAME);
        assert_int_equal(event.len, 1000);
        assert_memory_equal(event.bytes, junk, 1000);
        fl_net_arm(net, conn);
    }
    // A goodbye in the middle of a frame is just a goodbye.
    raw_announce(fd, 100);
    raw_send(fd, junk, 99);
    close(fd);
    assert_closed(net, conn, FL_ERR_CLOSED);
    fl_net_free(net);
}

TEST(tcp_closes_on_half_a_frame_and_silence)
{
    for (size_t sent = 1; sent < 7; sent++) {
        fl_net *net = new_server((fl_net_tcp_options){0},
                                 (fl_tcp_times){.progress_ms = 100});
        const int fd = raw_connect(net);
        const fl_conn conn = next_opened(net);
        const int64_t began_ms = fl_net_now(net);
        raw_send(fd, (const uint8_t[]){3, 0, 0, 0, 'a', 'b', 'c'}, sent);
        assert_closed(net, conn, FL_ERR_TIMEOUT);
        assert_in_range(fl_net_now(net) - began_ms, 95, 2000);
        assert_hung_up(fd);
        fl_net_free(net);
    }
}

TEST(tcp_bears_silence_between_frames)
{
    fl_net *net =
        new_server((fl_net_tcp_options){0}, (fl_tcp_times){.progress_ms = 30});
    const int fd = raw_connect(net);
    const fl_conn conn = next_opened(net);
    for (int i = 0; i < 3; i++) {
        assert_quiet(net, 150);
        raw_announce(fd, 1);
        raw_send(fd, "x", 1);
        const fl_net_event event = next(net);
        assert_int_equal(event.kind, FL_NET_FRAME);
        fl_net_arm(net, conn);
    }
    close(fd);
    fl_net_free(net);
}

/* ---- peers that do not read ---- */

/* Sends until neither the peer nor the kernel takes any more. */
static void clog_up(fl_net *net, fl_conn conn)
{
    for (int i = 0; i < 100; i++)
        assert_ok(fl_net_send(net, conn, junk, FL_NET_FRAME_MAX));
}

TEST(tcp_closes_on_a_peer_that_takes_nothing)
{
    fl_net *net = new_server(
        (fl_net_tcp_options){.send_queue_bytes = 101 * (sizeof junk + 200)},
        (fl_tcp_times){.progress_ms = 200});
    const int fd = raw_connect(net);
    const fl_conn conn = next_opened(net);
    clog_up(net, conn);
    assert_closed(net, conn, FL_ERR_TIMEOUT);
    close(fd);
    assert_all_freed(net, 1);
    fl_net_free(net);
}

TEST(tcp_gives_up_flushing)
{
    fl_net *net = new_server(
        (fl_net_tcp_options){.send_queue_bytes = 101 * (sizeof junk + 200)},
        (fl_tcp_times){.flush_ms = 150});
    const int fd = raw_connect(net);
    const fl_conn conn = next_opened(net);
    clog_up(net, conn);
    const int64_t began_ms = fl_net_now(net);
    fl_net_close(net, conn);
    assert_closed(net, conn, FL_OK);
    assert_in_range(fl_net_now(net) - began_ms, 145, 3000);
    close(fd);
    assert_all_freed(net, 1);
    fl_net_free(net);
}

TEST(tcp_flushes_to_a_peer_that_talks_all_the_while)
{
    enum { FRAMES = 100 };
    fl_net *net = new_server(
        (fl_net_tcp_options){.send_queue_bytes = 101 * (sizeof junk + 200)},
        // On a busy machine this test may be late with what it reads.
        (fl_tcp_times){.flush_ms = 60000, .linger_ms = 500});
    const int fd = raw_connect(net);
    const fl_conn conn = next_opened(net);
    for (int i = 0; i < FRAMES; i++)
        assert_ok(fl_net_send(net, conn, junk, FL_NET_FRAME_MAX));
    for (int i = 0; i < 50; i++) {
        raw_announce(fd, 4);
        raw_announce(fd, 0);
    }
    fl_net_close(net, conn);
    // Everything sent arrives, whatever came in unread meanwhile: there is
    // more of it than the kernel holds, so flushing takes until we read.
    size_t got = 0;
    const size_t expected = (size_t)FRAMES * (FL_NET_FRAME_MAX + 4);
    static uint8_t buffer[1 << 20];
    while (got < expected) {
        assert_quiet(net, 1);
        const ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            continue;
        }
        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_int_equal(got, expected);
    assert_closed(net, conn, FL_OK);
    assert_hung_up(fd);
    fl_net_free(net);
}

TEST(tcp_lets_a_peer_finish_its_sentence_before_it_closes)
{
    // Each silence is shorter than what ends it, all of them together longer.
    fl_net *net =
        new_server((fl_net_tcp_options){0}, (fl_tcp_times){.linger_ms = 400});
    const int fd = raw_connect(net);
    const fl_conn conn = next_opened(net);
    assert_ok(fl_net_send(net, conn, (const uint8_t *)"no", 2));
    fl_net_close(net, conn);
    for (int i = 0; i < 30; i++) {
        raw_announce(fd, 4);
        raw_announce(fd, 0);
        assert_quiet(net, 20);
    }
    assert_closed(net, conn, FL_OK);
    // The refusal has arrived, and after it a goodbye instead of a reset.
    uint8_t got[7];
    assert_int_equal(recv(fd, got, sizeof got, MSG_WAITALL), 6);
    assert_memory_equal(got, "\2\0\0\0no", 6);
    assert_int_equal(recv(fd, got, sizeof got, 0), 0);
    close(fd);
    fl_net_free(net);
}

/* ---- crowds ---- */

TEST(tcp_outlives_two_thousand_resets_beside_a_good_peer)
{
    enum { HOSTILE = 2000 };
    fl_net *net = new_server((fl_net_tcp_options){0}, (fl_tcp_times){0});
    const int good = raw_connect(net);
    const fl_conn good_conn = next_opened(net);
    const int files = count_files();
    int answered = 0, closed = 0, opened = 0;
    raw_announce(good, 4);
    raw_announce(good, 7);
    for (int i = 0; i < HOSTILE || closed < opened || opened < HOSTILE;) {
        if (i < HOSTILE && i < closed + 100) {
            const int fd = raw_connect(net);
            if (i % 3 == 1) raw_announce(fd, 100);
            if (i % 3 == 2) raw_send(fd, "\1\0\0\0x\1", 6);
            raw_reset(fd);
            i++;
        }
        uint8_t reply[8];
        if (recv(good, reply, sizeof reply, MSG_DONTWAIT) > 0) {
            raw_send(good, reply, sizeof reply);
        }
        fl_net_event event;
        assert_ok(fl_net_next(net, &event, fl_net_now(net) + (i == HOSTILE)));
        opened += event.kind == FL_NET_OPENED;
        closed += event.kind == FL_NET_CLOSED;
        if (event.kind == FL_NET_FRAME && event.conn == good_conn) {
            answered++;
            assert_ok(fl_net_send(net, good_conn, event.bytes, event.len));
            fl_net_arm(net, good_conn);
        } else if (event.kind == FL_NET_FRAME) {
            (void)!fl_net_send(net, event.conn, junk, 1000);
            fl_net_arm(net, event.conn);
        }
    }
    assert_true(answered > 10);
    print_message("%d answers meanwhile\n", answered);
    const fl_net_tcp_counts counts = fl_net_tcp_count(net);
    assert_int_equal(counts.opened, HOSTILE + 1);
    assert_int_equal(counts.freed, HOSTILE);
    assert_files_settle_at(files);
    close(good);
    fl_net_free(net);
}

static void allow_files(rlim_t count)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

TEST(tcp_holds_a_thousand_idle_connections)
{
    enum { COUNT = 1000 };
    allow_files(2 * COUNT + 100);
    fl_net *net =
        new_server((fl_net_tcp_options){0}, (fl_tcp_times){.progress_ms = 100});
    int fds[COUNT];
    static fl_conn conns[COUNT];
    for (int i = 0; i < COUNT; i++) {
        fds[i] = raw_connect(net);
        conns[i] = next_opened(net);
    }
    assert_quiet(net, 500);
    for (int i = 0; i < COUNT; i++) {
        assert_ok(fl_net_send(net, conns[i], (const uint8_t *)&conns[i], 8));
        uint8_t reply[12];
        assert_int_equal(recv(fds[i], reply, 12, MSG_WAITALL), 12);
        assert_memory_equal(reply + 4, &conns[i], 8);
    }
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(next(net).kind, FL_NET_CLOSED);
    assert_all_freed(net, COUNT);
    fl_net_free(net);
}

TEST(tcp_turns_away_more_than_connection_cap)
{
    fl_net *net = new_server((fl_net_tcp_options){.connection_cap = 2},
                             (fl_tcp_times){0});
    int fds[2];
    fl_conn conns[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = raw_connect(net);
        conns[i] = next_opened(net);
    }
    for (int i = 0; i < 3; i++) {
        const int fd = raw_connect(net);
        assert_quiet(net, 50);  // its owner never hears of it
        assert_hung_up(fd);
    }
    fl_conn conn;
    fl_reason why = {0};
    assert_err(fl_net_dial(net, url_of(net), &conn, &why), FL_ERR_LIMIT);
    assert_reason_names(why, "connection_cap");
    assert_quiet(net, 50);
    close(fds[1]);
    assert_closed(net, conns[1], FL_ERR_CLOSED);
    fds[1] = raw_connect(net);
    (void)next_opened(net);
    close(fds[0]);
    close(fds[1]);
    fl_net_free(net);
}

TEST(tcp_accepts_again_after_it_ran_out_of_files)
{
    fl_net *net = new_server((fl_net_tcp_options){0}, (fl_tcp_times){0});
    const int first = raw_connect(net);
    (void)next_opened(net);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    allow_files(1);  // no new one fits below that
    const struct sockaddr_in address = loopback(fl_net_tcp_port(net));
    assert_int_equal(
        connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_quiet(net, 350);
    allow_files(before.rlim_cur);
    (void)next_opened(net);
    close(fd);
    close(first);
    fl_net_free(net);
}

/* ---- addresses ---- */

static void assert_cannot_listen(const char *url, const char *word)
{
    fl_net *net = new_net((fl_net_tcp_options){0}, (fl_tcp_times){0});
    fl_reason why = {0};
    assert_err(fl_net_listen(net, url, &why), FL_ERR_SYSTEM);
    assert_reason_names(why, url);
    assert_reason_names(why, word);
    assert_int_equal(fl_net_tcp_port(net), 0);
    fl_net_free(net);
}

TEST(tcp_says_why_it_cannot_listen)
{
    fl_net *net = new_server((fl_net_tcp_options){0}, (fl_tcp_times){0});
    assert_cannot_listen(url_of(net), "in use");
    assert_cannot_listen("tcp://192.0.2.1:7800", "not an address");
    if (geteuid() != 0) assert_cannot_listen("tcp://127.0.0.1:1", "1024");
    fl_reason why = {0};
    for (int i = 1; i < FL_TCP_LISTENER_CAP; i++)
        assert_ok(fl_net_listen(net, "tcp://127.0.0.1:0", &why));
    assert_err(fl_net_listen(net, "tcp://127.0.0.1:0", &why), FL_ERR_LIMIT);
    assert_reason_names(why, "0.0.0.0");
    fl_net_free(net);
}

TEST(tcp_resolves_names_without_making_the_loop_wait)
{
    fl_net *net = new_server((fl_net_tcp_options){0}, (fl_tcp_times){0});
    char url[60];
    fl_conn conn;
    snprintf(url, sizeof url, "tcp://localhost:%u", fl_net_tcp_port(net));
    assert_ok(fl_net_dial(net, url, &conn, NULL));
    (void)next_opened(net);
    (void)next_opened(net);

    const int64_t began_ms = fl_net_now(net);
    assert_ok(fl_net_dial(net, "tcp://no-such-host.invalid:1", &conn, NULL));
    assert_true(fl_net_now(net) - began_ms < 100);
    fl_net_event event;
    // A resolver that cannot be reached may take as long as it likes.
    assert_ok(fl_net_next(net, &event, fl_net_now(net) + 300));
    if (event.kind == FL_NET_CLOSED) {
        assert_int_equal(event.conn, conn);
        assert_err(event.err, FL_ERR_NOT_FOUND);
    }
    fl_net_free(net);
}

TEST(tcp_gives_up_a_dial_that_nobody_answers)
{
    // A listener whose queue is full drops every further greeting.
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len),
                     0);
    int fillers[8], filler_count = 0;
    struct pollfd filler;
    do {
        assert_true(filler_count < 8);
        filler = (struct pollfd){.events = POLLOUT};
        filler.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        fillers[filler_count++] = filler.fd;
        (void)!connect(filler.fd, (struct sockaddr *)&address, len);
    } while (poll(&filler, 1, 100) == 1);
    char url[40];
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    fl_net *net =
        new_net((fl_net_tcp_options){0}, (fl_tcp_times){.connect_ms = 150});
    enum { DIALS = 50 };  // more than NNG has threads, so none may wait
    fl_conn conn;
    const int64_t began_ms = fl_net_now(net);
    for (int i = 0; i < DIALS; i++)
        assert_ok(fl_net_dial(net, url, &conn, NULL));
    for (int i = 0; i < DIALS; i++) {
        const fl_net_event event = next(net);
        assert_int_equal(event.kind, FL_NET_CLOSED);
        assert_err(event.err, FL_ERR_TIMEOUT);
    }
    assert_in_range(fl_net_now(net) - began_ms, 145, 5000);
    // One more is on its way while everything ends.
    assert_ok(fl_net_dial(net, url, &conn, NULL));
    fl_net_free(net);
    for (int i = 0; i < filler_count; i++)
        close(fillers[i]);
    close(listener);
}

/* ---- time and posts ---- */

TEST(tcp_tells_the_time)
{
    fl_net *net = new_server((fl_net_tcp_options){0}, (fl_tcp_times){0});
    fl_net_event event;
    int64_t began_ms = fl_net_now(net);
    assert_ok(fl_net_next(net, &event, began_ms + 60));
    assert_int_equal(event.kind, FL_NET_TIME);
    assert_in_range(fl_net_now(net) - began_ms, 60, 2000);
    // Whoever only polls still gets events; a flood still lets TIME through.
    for (int i = 0; i < 10; i++)
        assert_ok(fl_net_post(net, junk));
    int posts = 0, times = 0;
    while (posts < 10) {
        assert_ok(fl_net_next(net, &event, 0));
        posts += event.kind == FL_NET_POSTED;
        times += event.kind == FL_NET_TIME;
    }
    assert_in_range(times, 9, 11);
    fl_net_free(net);
}

enum { POSTERS = 4, POSTS = 2000 };

static void *post_many(void *net)
{
    static int thing;
    for (int i = 0; i < POSTS; i++) {
        while (fl_net_post(net, &thing))
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    return NULL;
}

TEST(tcp_takes_posts_from_any_thread_up_to_a_limit)
{
    fl_net *net = new_server((fl_net_tcp_options){0}, (fl_tcp_times){0});
    pthread_t threads[POSTERS];
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, net), 0);
    for (int i = 0; i < POSTERS * POSTS; i++)
        assert_int_equal(next(net).kind, FL_NET_POSTED);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < FL_TCP_POST_CAP; i++)
        assert_ok(fl_net_post(net, junk));
    assert_err(fl_net_post(net, junk), FL_ERR_LIMIT);
    // The room of the connections is not theirs to take.
    const int fd = raw_connect(net);
    for (int i = 0; i < FL_TCP_POST_CAP; i++)
        assert_int_equal(next(net).kind, FL_NET_POSTED);
    (void)next_opened(net);
    assert_ok(fl_net_post(net, junk));
    close(fd);
    fl_net_free(net);
}

/* ---- the end ---- */

TEST(tcp_frees_while_everything_is_busy)
{
    for (int run = 0; run < 20; run++) {
        fl_net *server = new_server((fl_net_tcp_options){0}, (fl_tcp_times){0});
        fl_net *client = new_net((fl_net_tcp_options){0}, (fl_tcp_times){0});
        fl_conn conn;
        for (int i = 0; i < 10; i++)
            assert_ok(fl_net_dial(client, url_of(server), &conn, NULL));
        for (int i = 0; i < run; i++) {
            const fl_net_event event = next(i % 2 ? server : client);
            for (int j = 0; j < 10; j++) {
                if (fl_net_send(i % 2 ? server : client, event.conn, junk,
                                sizeof junk))
                    break;
            }
            if (event.kind == FL_NET_FRAME && i % 3)
                fl_net_arm(i % 2 ? server : client, event.conn);
        }
        assert_ok(fl_net_post(server, junk));
        fl_net_free(run % 2 ? server : client);
        fl_net_free(run % 2 ? client : server);
    }
    fl_net_free(NULL);
}

TEST(tcp_frees_every_stream_of_a_busy_hour)
{
    enum { TURNS = 60 };
    fl_net *server = new_server((fl_net_tcp_options){0}, (fl_tcp_times){0});
    fl_net *client = new_net((fl_net_tcp_options){0}, (fl_tcp_times){0});
    const int files = count_files();
    for (int i = 0; i < TURNS; i++) {
        fl_conn conn;
        assert_ok(fl_net_dial(client, url_of(server), &conn, NULL));
        assert_int_equal(next_opened(client), conn);
        const fl_conn there = next_opened(server);
        assert_ok(fl_net_send(client, conn, junk, sizeof junk));
        if (i % 3) assert_int_equal(next(server).kind, FL_NET_FRAME);
        fl_net_close(i % 2 ? server : client, i % 2 ? there : conn);
        // One side asked; the other reads on to hear of it.
        for (int closed = 0; closed < 2;) {
            fl_net_event event;
            assert_ok(fl_net_next(server, &event, fl_net_now(server) + 1));
            closed += event.kind == FL_NET_CLOSED;
            fl_net_arm(server, there);
            assert_ok(fl_net_next(client, &event, fl_net_now(client) + 1));
            closed += event.kind == FL_NET_CLOSED;
        }
    }
    assert_all_freed(server, TURNS);
    assert_all_freed(client, TURNS);
    assert_files_settle_at(files);
    fl_net_free(server);
    fl_net_free(client);
}

TEST(tcp_refuses_impossible_options)
{
    fl_net *net = NULL;
    fl_reason why = {0};
    const fl_net_tcp_options crowd = {.connection_cap = UINT32_MAX};
    assert_err(fl_net_tcp_new(&net, &crowd, &why), FL_ERR_RANGE);
    assert_reason_names(why, "connection_cap");
    const fl_net_tcp_options giant = {.frame_cap = FL_NET_FRAME_MAX + 1};
    assert_err(fl_net_tcp_new(&net, &giant, &why), FL_ERR_RANGE);
    assert_reason_names(why, "frame_cap");
    assert_null(net);
}

// What no dial could reach is said at the start of a program.
TEST(tcp_knows_a_good_url_without_dialling)
{
    fl_reason why = {""};
    assert_ok(fl_net_tcp_check("tcp://no.such.host.invalid:1", &why));
    assert_ok(fl_net_tcp_check("tcp://[::1]:65535", &why));
    const char *const bad[] = {"", "nonsense", "http://host:1", "tcp://host",
                               "tcp://host:65536"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_err(fl_net_tcp_check(bad[i], &why), FL_ERR_RANGE);
        assert_reason_names(why, bad[i]);
    }
}

RUN_TESTS(
    cmocka_unit_test(tcp_closes_on_an_announcement_it_will_not_take),
    cmocka_unit_test(tcp_takes_frames_up_to_its_cap_in_any_pieces),
    cmocka_unit_test(tcp_closes_on_half_a_frame_and_silence),
    cmocka_unit_test(tcp_bears_silence_between_frames),
    cmocka_unit_test(tcp_closes_on_a_peer_that_takes_nothing),
    cmocka_unit_test(tcp_gives_up_flushing),
    cmocka_unit_test(tcp_flushes_to_a_peer_that_talks_all_the_while),
    cmocka_unit_test(tcp_lets_a_peer_finish_its_sentence_before_it_closes),
    cmocka_unit_test(tcp_outlives_two_thousand_resets_beside_a_good_peer),
    cmocka_unit_test(tcp_holds_a_thousand_idle_connections),
    cmocka_unit_test(tcp_turns_away_more_than_connection_cap),
    cmocka_unit_test(tcp_accepts_again_after_it_ran_out_of_files),
    cmocka_unit_test(tcp_says_why_it_cannot_listen),
    cmocka_unit_test(tcp_resolves_names_without_making_the_loop_wait),
    cmocka_unit_test(tcp_gives_up_a_dial_that_nobody_answers),
    cmocka_unit_test(tcp_tells_the_time),
    cmocka_unit_test(tcp_takes_posts_from_any_thread_up_to_a_limit),
    cmocka_unit_test(tcp_frees_while_everything_is_busy),
    cmocka_unit_test(tcp_frees_every_stream_of_a_busy_hour),
    cmocka_unit_test(tcp_refuses_impossible_options),
    cmocka_unit_test(tcp_knows_a_good_url_without_dialling))
