/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

enum { ANSWER_CAP = 256 * 1024, ROUNDS = 30, PATIENCE_MS = 8000 };

static char folder[FL_SCRATCH_CAP];
static char answer[ANSWER_CAP];
static char logged[4096];
static fl_reason why;
static fl_store *store;
static fl_http *http;
static fl_snapshot snapshot;

static void keep_log(void *self, fl_log_level level, const char *line)
{
    (void)self;
    (void)level;
    if (strstr(line, "dashboard")) snprintf(logged, sizeof logged, "%s", line);
}

static void finish_rounds(uint32_t from, uint32_t last)
{
    for (uint32_t i = from; i <= last; i++) {
        fl_round_record record = {
            .round = i, .accuracy = 0.5, .update_count = i};
        assert_ok(fl_store_finish_round(store, &record, (const uint8_t *)"m", 1,
                                        NULL, 0, &why));
    }
    snapshot.status.rounds_done = last;
}

static int set_up(void **state)
{
    (void)state;
    why = (fl_reason){""};
    logged[0] = 0;
    fl_log_start(FL_LOG_INFO, keep_log, NULL);
    snapshot = (fl_snapshot){.status = {.activity = "training"},
                             .census = {.count = {3, 2}},
                             .param_count = 100,
                             .known_count = 5};
    fl_totals_init(&snapshot.totals);
    assert_ok(fl_secure_start());
    if (!fl_scratch_make(folder)) return -1;
    assert_ok(fl_store_open(&store, folder, false, &why));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fl_http_stop(http);
    http = NULL;
    fl_store_close(store);
    fl_scratch_remove(folder);
    return 0;
}

static void publish(void)
{
    fl_http_publish(http, &snapshot, fl_clock_monotonic_ms());
}

static fl_http_options make_options(void)
{
    return (fl_http_options){.address = "127.0.0.1:0", .state = folder};
}

static void start(const fl_http_options *options)
{
    assert_ok(fl_http_start(&http, options, &why));
    publish();
}

// On the loopback address that ends with `host`, 1 or 2: two neighbours.
static int dial_from(uint32_t host)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(0x7f000000 | host)};
    struct sockaddr_in theirs = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(0x7f000001),
                                 .sin_port = htons(fl_http_port(http))};
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (void *)&own, sizeof own), 0);
    assert_int_equal(connect(fd, (void *)&theirs, sizeof theirs), 0);
    return fd;
}

static int dial(void)
{
    return dial_from(1);
}

static void say(int fd, const char *text)
{
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

// Reads on, behind what is in `answer`, until `word` is there, or the other
// side hangs up (`word` NULL: until then). Returns whether that came in time.
static bool read_on(int fd, const char *word)
{
    const int64_t until_ms = fl_clock_monotonic_ms() + PATIENCE_MS;
    size_t len = strlen(answer);
    while (!word || !strstr(answer, word)) {
        const int64_t left_ms = until_ms - fl_clock_monotonic_ms();
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (left_ms <= 0 || poll(&ready, 1, (int)left_ms) != 1) return false;
        const ssize_t got = recv(fd, answer + len, ANSWER_CAP - 1 - len, 0);
        if (got <= 0) return !word;
        len += (size_t)got;
        answer[len] = 0;
    }
    return true;
}

static bool read_answer(int fd, const char *word)
{
    answer[0] = 0;
    return read_on(fd, word);
}

// Asks and reads all that comes until the other side closes.
static void ask(const char *request)
{
    const int fd = dial();
    say(fd, request);
    assert_true(read_answer(fd, NULL));
    close(fd);
}

static void get(const char *path)
{
    char request[512];
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
             path);
    ask(request);
}

static void assert_said(const char *text)
{
    if (strstr(answer, text)) return;
    print_error("no \"%s\" in:\n%s\n", text, answer);
    fail();
}

static void assert_status(unsigned status)
{
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %u ", status);
    if (strncmp(answer, line, strlen(line)) == 0) return;
    print_error("not %sbut:\n%s\n", line, answer);
    fail();
}

static void refuse(const char *request, unsigned status, const char *word)
{
    ask(request);
    assert_status(status);
    assert_said("application/json");
    assert_said("{\"schema\":1,\"error\":\"");
    assert_said(word);
    assert_said("Content-Security-Policy");
}

// Whatever has happened before: the next one is answered.
static void assert_alive(void)
{
    get("/api/v1/status");
    assert_status(200);
}

/* ---- what is there ---- */

TEST(http_shows_the_page_and_its_files)
{
    const char *const files[] = {"/",         "/dashboard.css", "/dashboard.js",
                                 "/uplot.js", "/uplot.css",     "/charts.js",
                                 "/icon.svg"};
    const fl_http_options options = make_options();
    start(&options);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        get(files[i]);
        assert_status(200);
        assert_said("Cache-Control: no-cache\r\n");
        assert_said("ETag: \"");
        assert_said("X-Content-Type-Options: nosniff\r\n");
        assert_said("X-Frame-Options: DENY\r\n");
        assert_said("script-src 'self';");
        assert_null(strstr(answer, "unsafe-inline"));
    }
    get("/");
    assert_said("Content-Type: text/html; charset=utf-8\r\n");
    assert_said("<title>fedge</title>");
    // What the page loads is here, not elsewhere.
    assert_null(strstr(answer, "src=\"http"));
    assert_null(strstr(answer, "href=\"http"));
}

TEST(http_sends_no_file_that_a_cache_holds)
{
    char request[256], tag[32];
    const fl_http_options options = make_options();
    start(&options);
    get("/dashboard.js");
    assert_int_equal(sscanf(strstr(answer, "ETag: "), "ETag: %31s", tag), 1);
    snprintf(request, sizeof request,
             "GET /dashboard.js HTTP/1.1\r\nHost: localhost\r\n"
             "Connection: close\r\nIf-None-Match: %s\r\n\r\n",
             tag);
    ask(request);
    assert_status(304);
    assert_null(strstr(answer, "addEventListener"));
}

TEST(http_tells_the_status_as_json)
{
    const fl_http_options options = make_options();
    snapshot.totals.accuracy = 0.625;
    start(&options);
    get("/api/v1/status");
    assert_status(200);
    assert_said("Content-Type: application/json; charset=utf-8\r\n");
    assert_said("Cache-Control: no-store\r\n");
    assert_said("{\"schema\":1,");
    assert_said("\"activity\":\"training\"");
    assert_said("\"accuracy\":0.625");
    assert_said("\"known\":5");
    assert_said("{\"state\":\"training\",\"meaning\":\"asked, at work on its "
                "own data\",\"count\":2}");
    assert_said("{\"form\":\"dense\",\"params\":100,\"bytes\":400.0,");
}

TEST(http_tells_metrics)
{
    const fl_http_options options = make_options();
    start(&options);
    get("/metrics");
    assert_status(200);
    assert_said("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    assert_said("\nfedge_clients_known 5\n");
    assert_said("\nfedge_http_requests_total 1\n");
}

static unsigned count_text(const char *text)
{
    unsigned count = 0;
    for (const char *at = answer; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

TEST(http_tells_rounds_a_page_at_a_time)
{
    const fl_http_options options = make_options();
    finish_rounds(0, ROUNDS);
    start(&options);
    get("/api/v1/rounds");
    assert_status(200);
    assert_said("{\"schema\":1,\"rounds\":[{\"round\":1,");
    assert_int_equal(count_text("{\"round\":"), ROUNDS);
    get("/api/v1/rounds?after=10&limit=12");
    assert_said("[{\"round\":11,");
    assert_said("{\"round\":22,");
    assert_int_equal(count_text("{\"round\":"), 12);
    get("/api/v1/rounds?after=10&limit=8");  // a batch, exactly
    assert_int_equal(count_text("{\"round\":"), 8);
    assert_said("]}");
    get("/api/v1/rounds?after=30");
    assert_said("{\"schema\":1,\"rounds\":[]}");
}

TEST(http_answers_head_without_a_body)
{
    const fl_http_options options = make_options();
    start(&options);
    ask("HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_status(200);
    assert_said("Content-Length: ");
    assert_null(strstr(answer, "<title>"));
    ask("HEAD /api/v1/events HTTP/1.1\r\nHost: localhost\r\n"
        "Connection: close\r\n\r\n");
    assert_status(200);
    assert_null(strstr(answer, "event:"));
}

TEST(http_keeps_a_connection_for_the_next_request)
{
    const fl_http_options options = make_options();
    start(&options);
    const int fd = dial();
    for (int i = 0; i < 3; i++) {
        say(fd, "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_true(read_answer(fd, "\"process\":"));
    }
    close(fd);
}

/* ---- what is refused ---- */

#define HEADERS "Host: localhost\r\nConnection: close\r\n"

TEST(http_refuses_in_a_sentence)
{
    const fl_http_options options = make_options();
    start(&options);
    refuse("GET /secret HTTP/1.1\r\n" HEADERS "\r\n", 404, "/api/v1/status");
    refuse("GET /../etc/passwd HTTP/1.1\r\n" HEADERS "\r\n", 404, "/metrics");
    refuse("DELETE / HTTP/1.1\r\n" HEADERS "\r\n", 405, "GET");
    assert_said("Allow: GET, HEAD\r\n");
    refuse("POST / HTTP/1.1\r\n" HEADERS "Content-Length: 3\r\n\r\nabc", 405,
           "GET");
    refuse("GET / HTTP/1.1\r\n" HEADERS "Content-Length: 3\r\n\r\nabc", 413,
           "no body");
    refuse("GET / HTTP/1.1\r\n" HEADERS "Transfer-Encoding: chunked\r\n\r\n",
           413, "no body");
    refuse("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, "localhost");
    const char *const queries[] = {"after=x", "after=-1", "limit=0",
                                   "limit=1001", "after=4294967296"};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        char request[128];
        snprintf(request, sizeof request,
                 "GET /api/v1/rounds?%s HTTP/1.1\r\n" HEADERS "\r\n",
                 queries[i]);
        refuse(request, 400, "limit");
    }
    refuse("GET /api/v1/events HTTP/1.1\r\n" HEADERS "Last-Event-ID: x\r\n\r\n",
           400, "Last-Event-ID");
    assert_alive();
}

TEST(http_says_that_the_aggregator_is_starting)
{
    const fl_http_options options = make_options();
    assert_ok(fl_http_start(&http, &options, &why));
    refuse("GET /metrics HTTP/1.1\r\n" HEADERS "\r\n", 503, "starting");
    assert_said("Retry-After: ");
    get("/");
    assert_status(200);
    publish();
    assert_alive();
}

TEST(http_survives_garbage)
{
    const char *const garbage[] = {
        "\r\n\r\n\r\n\r\n",
        "x",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET  /  HTTP/1.1\r\nHost localhost\r\n\r\n",
        "GET / HTTP/1.1\r\n" HEADERS "Content-Length: -5\r\n\r\n",
        "GET /%00%ff%zz?after=%31%00 HTTP/1.1\r\n" HEADERS "\r\n"};
    fl_http_options options = make_options();
    options.patience_s = 1;
    start(&options);
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        const int fd = dial();
        say(fd, garbage[i]);
        shutdown(fd, SHUT_WR);
        assert_true(read_answer(fd, NULL));  // it hangs up, answer or not
        close(fd);
    }
    assert_alive();
}

TEST(http_takes_no_request_without_end)
{
    enum { HUGE = 4 << 20 };
    char *filler = malloc(HUGE + 1);
    const fl_http_options options = make_options();
    start(&options);
    memset(filler, 'x', HUGE);
    filler[HUGE] = 0;
    const char *const heads[] = {"GET /", "GET / HTTP/1.1\r\nHost: ",
                                 "POST / HTTP/1.1\r\n" HEADERS
                                 "Content-Length: 4194304\r\n\r\n"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        const int fd = dial();
        say(fd, heads[i]);
        say(fd, filler);
        // It hangs up with bytes unread, so that its answer may be lost.
        answer[0] = 0;
        (void)read_on(fd, NULL);
        assert_null(strstr(answer, "200 OK"));
        close(fd);
    }
    free(filler);
    assert_alive();
}

TEST(http_hangs_up_on_who_says_half_a_request)
{
    fl_http_options options = make_options();
    options.patience_s = 1;
    start(&options);
    const int fd = dial();
    say(fd, "GET / HTTP/1.1\r\nHost: local");
    assert_true(read_answer(fd, NULL));
    close(fd);
}

// One address may not take all places.
TEST(http_has_a_place_left_while_one_neighbour_takes_what_it_can)
{
    int fds[2 * FL_HTTP_CONNECTIONS];
    const size_t count = sizeof fds / sizeof *fds;
    const fl_http_options options = make_options();
    start(&options);
    for (size_t i = 0; i < count; i++) {
        fds[i] = dial_from(2);
        say(fds[i], "GET / HTTP/1.1\r\nX-Slow: ");
    }
    assert_alive();  // from another address
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
    assert_alive();
}

TEST(http_answers_whom_it_takes_of_500_at_once)
{
    enum { COUNT = 500 };
    int fds[COUNT];
    unsigned answered = 0;
    const fl_http_options options = make_options();
    start(&options);
    for (int i = 0; i < COUNT; i++) {
        fds[i] = dial();
        say(fds[i], "GET /metrics HTTP/1.1\r\n" HEADERS "\r\n");
    }
    for (int i = 0; i < COUNT; i++) {
        answer[0] = 0;
        (void)read_on(fds[i], NULL);
        if (*answer) assert_status(200);
        answered += *answer != 0;
        close(fds[i]);
    }
    assert_true(answered >= FL_HTTP_PER_ADDRESS);
    assert_alive();
}

/* ---- events ---- */

static int listen_to(const char *path, const char *header)
{
    char request[256];
    const int fd = dial();
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", path, header);
    say(fd, request);
    answer[0] = 0;
    return fd;
}

TEST(http_tells_listeners_what_happens)
{
    const fl_http_options options = make_options();
    finish_rounds(0, 2);
    start(&options);
    const int fd = listen_to("/api/v1/events", "");
    assert_true(read_on(fd, "event: session\n"));
    assert_said("Content-Type: text/event-stream\r\n");
    assert_said("event: clients\ndata: {\"known\":5,");
    assert_null(strstr(answer, "event: round"));  // these are history

    answer[0] = 0;
    finish_rounds(3, 3);
    publish();
    assert_true(read_on(fd, "\"rounds_done\":3"));
    assert_said("id: 3\nevent: round\ndata: {\"round\":3,");
    assert_null(strstr(answer, "event: clients"));  // nothing new

    answer[0] = 0;
    snapshot.census.count[FL_CENSUS_TRAINING]++;
    publish();
    assert_true(read_on(fd, "event: clients\n"));
    assert_null(strstr(answer, "event: round"));
    close(fd);
}

TEST(http_tells_a_listener_who_comes_back_what_it_has_missed)
{
    const fl_http_options options = make_options();
    finish_rounds(0, ROUNDS);
    start(&options);
    int fd = listen_to("/api/v1/events", "Last-Event-ID: 3\r\n");
    assert_true(read_on(fd, "event: session\n"));
    assert_said("id: 4\n");
    assert_said("id: 30\n");
    assert_int_equal(count_text("event: round\n"), ROUNDS - 3);
    close(fd);
    fd = listen_to("/api/v1/events?after=28", "");
    assert_true(read_on(fd, "event: session\n"));
    assert_int_equal(count_text("event: round\n"), 2);
    close(fd);
    // Of another federation, whose rounds these are not.
    fd = listen_to("/api/v1/events", "Last-Event-ID: 4000\r\n");
    assert_true(read_on(fd, "event: session\n"));
    finish_rounds(ROUNDS + 1, ROUNDS + 1);
    publish();
    assert_true(read_on(fd, "id: 31\n"));
    close(fd);
}

TEST(http_gives_listeners_a_sign_of_life)
{
    fl_http_options options = make_options();
    options.heartbeat_ms = 50;
    start(&options);
    const int fd = listen_to("/api/v1/events", "");
    assert_true(read_on(fd, ": still here\n\n"));
    close(fd);
}

TEST(http_lets_so_many_listen_and_no_more)
{
    int fds[2];
    fl_http_options options = make_options();
    options.listener_cap = 2;
    options.heartbeat_ms = 20;  // those who have gone are noticed soon
    start(&options);
    for (int i = 0; i < 2; i++) {
        fds[i] = listen_to("/api/v1/events", "");
        assert_true(read_on(fds[i], "event: session\n"));
    }
    refuse("GET /api/v1/events HTTP/1.1\r\n" HEADERS "\r\n", 503, "/api/v1/");
    close(fds[0]);
    for (int tries = 0; tries < 200; tries++) {
        fds[0] = listen_to("/api/v1/events", "Connection: close\r\n");
        if (read_on(fds[0], "event: session\n")) break;
        close(fds[0]);
        (void)poll(NULL, 0, 10);
    }
    assert_said("event: session\n");
    close(fds[0]);
    close(fds[1]);
}

static unsigned listener_count(void)
{
    unsigned count = 99;
    get("/metrics");
    const char *at = strstr(answer, "\nfedge_http_listeners ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, " fedge_http_listeners %u", &count), 1);
    return count;
}

// Every snapshot is news of a kilobyte; nobody reads it.
TEST(http_drops_a_listener_that_does_not_read)
{
    // Under qemu it takes longer to fill what the kernel keeps for it.
    const int patience = getenv("EMULATED") ? 8 * PATIENCE_MS : PATIENCE_MS;
    const int64_t until_ms = fl_clock_monotonic_ms() + patience;
    const int little = 4096;
    fl_http_options options = make_options();
    options.patience_s = 1;
    start(&options);
    const int fd = listen_to("/api/v1/events", "");
    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little), 0);
    assert_true(read_on(fd, "event: session\n"));
    assert_int_equal(listener_count(), 1);
    while (listener_count() == 1 && fl_clock_monotonic_ms() < until_ms) {
        for (int i = 0; i < 40; i++) {
            snapshot.census.count[FL_CENSUS_WAITING]++;
            publish();
            (void)poll(NULL, 0, 1);
        }
    }
    assert_int_equal(listener_count(), 0);
    close(fd);
}

TEST(http_tells_the_last_and_ends_all_streams_when_it_stops)
{
    const fl_http_options options = make_options();
    start(&options);
    const int fd = listen_to("/api/v1/events", "");
    assert_true(read_on(fd, "event: session\n"));
    snapshot.status.activity = "finished";
    publish();
    fl_http_stop(http);
    http = NULL;
    assert_true(read_on(fd, NULL));
    assert_said("\"activity\":\"finished\"");
    assert_said("\r\n0\r\n");  // whole, not cut
    close(fd);
}

/* ---- start ---- */

TEST(http_publishes_a_few_times_a_second)
{
    const fl_http_options options = make_options();
    assert_false(fl_http_is_due(NULL, 0));
    assert_ok(fl_http_start(&http, &options, &why));
    assert_true(fl_http_is_due(http, 0));
    fl_http_publish(http, &snapshot, 1000);
    assert_false(fl_http_is_due(http, 1000 + FL_HTTP_PUBLISH_MS - 1));
    assert_true(fl_http_is_due(http, 1000 + FL_HTTP_PUBLISH_MS));
}

TEST(http_says_why_it_cannot_listen)
{
    char taken[40];
    fl_http *second = NULL;
    fl_http_options options = make_options();
    start(&options);
    snprintf(taken, sizeof taken, "127.0.0.1:%u", fl_http_port(http));
    options.address = taken;
    assert_err(fl_http_start(&second, &options, &why), FL_ERR_SYSTEM);
    assert_reason_names(why, taken);
    assert_reason_names(why, "another port");
    options.address = "dashboard";
    assert_err(fl_http_start(&second, &options, &why), FL_ERR_RANGE);
    options.address = "127.0.0.1:0";
    options.state = "/nonexistent";
    assert_err(fl_http_start(&second, &options, &why), FL_ERR_NOT_FOUND);
}

TEST(http_warns_of_an_address_that_others_reach)
{
    fl_http_options options = make_options();
    start(&options);
    assert_non_null(strstr(logged, "event=dashboard "));
    fl_http_stop(http);
    options.address = "0.0.0.0:0";
    start(&options);
    assert_non_null(strstr(logged, "event=dashboard_is_open"));
    assert_non_null(strstr(logged, "password"));
    // Names are allowed then: it is not the machine's own any more.
    ask("GET / HTTP/1.1\r\nHost: fedge.example\r\nConnection: close\r\n\r\n");
    assert_status(200);
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(SERVED(http_shows_the_page_and_its_files),
          SERVED(http_sends_no_file_that_a_cache_holds),
          SERVED(http_tells_the_status_as_json), SERVED(http_tells_metrics),
          SERVED(http_tells_rounds_a_page_at_a_time),
          SERVED(http_answers_head_without_a_body),
          SERVED(http_keeps_a_connection_for_the_next_request),
          SERVED(http_refuses_in_a_sentence),
          SERVED(http_says_that_the_aggregator_is_starting),
          SERVED(http_survives_garbage),
          SERVED(http_takes_no_request_without_end),
          SERVED(http_hangs_up_on_who_says_half_a_request),
          SERVED(http_has_a_place_left_while_one_neighbour_takes_what_it_can),
          SERVED(http_answers_whom_it_takes_of_500_at_once),
          SERVED(http_tells_listeners_what_happens),
          SERVED(http_tells_a_listener_who_comes_back_what_it_has_missed),
          SERVED(http_gives_listeners_a_sign_of_life),
          SERVED(http_lets_so_many_listen_and_no_more),
          SERVED(http_drops_a_listener_that_does_not_read),
          SERVED(http_tells_the_last_and_ends_all_streams_when_it_stops),
          SERVED(http_publishes_a_few_times_a_second),
          SERVED(http_says_why_it_cannot_listen),
          SERVED(http_warns_of_an_address_that_others_reach))
