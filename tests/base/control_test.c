/* SPDX-License-Identifier: Apache-2.0 */
#include "base/control.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/queue.h"
#include "tests/test.h"

// A daemon: its loop's queue, and one option.
static fl_control control;
static fl_queue *queue;
static uint64_t rounds;
static const fl_option TABLE[] = {{"test", "rounds", FL_OPTION_COUNT, &rounds,
                                   0, 9, "N", "how often", FL_OPTION_LIVE}};
static char name[] = "fedge-test";
static char *arguments[] = {name};

static void drop_line(void *self, fl_log_level level, const char *line)
{
    (void)self;
    (void)level;
    (void)line;
}

static void post(void *self, void *posted)
{
    assert_ptr_equal(self, &queue);
    assert_ok(fl_queue_push(queue, posted));
}

static int set_up(void **state)
{
    (void)state;
    fl_reload *reload = NULL;
    const fl_reload_options options = {
        .table = TABLE, .count = 1, .argc = 1, .argv = arguments};
    rounds = 0;
    fl_log_start(FL_LOG_INFO, drop_line, NULL);
    unsetenv("NOTIFY_SOCKET");
    assert_ok(fl_queue_new(&queue, 8));
    assert_ok(fl_reload_new(&reload, &options));
    fl_control_open(&control, reload);
    assert_ok(fl_control_start(&control, post, &queue));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fl_reload *reload = control.reload;
    fl_control_close(&control);
    fl_reload_free(reload);
    fl_queue_free(queue);
    unsetenv("FEDGE_TEST_ROUNDS");
    return 0;
}

static void *posted_within(int64_t ms)
{
    void *posted = NULL;
    return fl_queue_pop(queue, &posted, ms) ? NULL : posted;
}

TEST(control_brings_signals_to_the_loop)
{
    kill(getpid(), SIGHUP);
    assert_int_equal(fl_control_take(&control, posted_within(5000)),
                     FL_CONTROL_RELOAD);
    kill(getpid(), SIGTERM);
    assert_int_equal(fl_control_take(&control, posted_within(5000)),
                     FL_CONTROL_STOP);
    assert_int_equal(fl_control_take(&control, &rounds), FL_CONTROL_NOTHING);
    assert_int_equal(fl_control_take(&control, NULL), FL_CONTROL_NOTHING);
}

// The state folder is locked, so that somebody asks, but data is still read.
TEST(control_holds_a_reload_until_it_has_started)
{
    fl_reload *reload = control.reload;
    fl_control_close(&control);
    fl_control_open(&control, reload);
    kill(getpid(), SIGHUP);
    assert_ok(fl_control_start(&control, post, &queue));
    assert_int_equal(fl_control_take(&control, posted_within(5000)),
                     FL_CONTROL_RELOAD);
}

// A loop that is busy for a while must not lose a stop behind a thousand.
TEST(control_queues_one_reload_however_many_are_asked_for)
{
    for (int i = 0; i < 20; i++) {
        kill(getpid(), SIGHUP);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    void *first = posted_within(5000);
    assert_non_null(first);
    assert_null(posted_within(50));
    assert_int_equal(fl_control_take(&control, first), FL_CONTROL_RELOAD);
    kill(getpid(), SIGHUP);  // since then something may have changed
    assert_non_null(posted_within(5000));
}

TEST(control_reloads_and_says_whether_it_did)
{
    setenv("FEDGE_TEST_ROUNDS", "7", 1);
    assert_true(fl_control_reload(&control, NULL, NULL));
    assert_int_equal(rounds, 7);
    setenv("FEDGE_TEST_ROUNDS", "many", 1);
    assert_false(fl_control_reload(&control, NULL, NULL));
    assert_int_equal(rounds, 7);
}

// It goes on without a manager to talk to.
TEST(control_opens_beside_a_manager_that_makes_no_sense)
{
    fl_control other;
    setenv("NOTIFY_SOCKET", "nowhere", 1);
    fl_control_open(&other, NULL);
    assert_int_equal(other.notify.socket, -1);
    fl_notify_ready(&other.notify);
    fl_control_close(&other);
}

#define AS_DAEMON(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(AS_DAEMON(control_brings_signals_to_the_loop),
          AS_DAEMON(control_holds_a_reload_until_it_has_started),
          AS_DAEMON(control_queues_one_reload_however_many_are_asked_for),
          AS_DAEMON(control_reloads_and_says_whether_it_did),
          AS_DAEMON(control_opens_beside_a_manager_that_makes_no_sense))
