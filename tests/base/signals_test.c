/* SPDX-License-Identifier: Apache-2.0 */
#include "base/signals.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

enum { PATIENCE_S = 10 };  // SIGALRM then ends a child that hangs

static int reports[2];

// Runs on the signal thread of the child.
static void report(void *self)
{
    (void)!write(*(int *)self, "!", 1);
}

static fl_signals *start_in_child(void)
{
    fl_signals *signals = NULL;
    alarm(PATIENCE_S);
    const fl_signals_calls calls = {.stop = report, .self = &reports[1]};
    if (fl_signals_start(&signals, &calls)) _exit(99);
    return signals;
}

// A child that has started to listen; `live` does not return.
static pid_t run_child(void (*live)(void))
{
    assert_int_equal(pipe(reports), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) live();
    close(reports[1]);  // the child's death ends every read
    return child;
}

static void await_report(void)
{
    char report = 0;
    assert_int_equal(read(reports[0], &report, 1), 1);
    assert_int_equal(report, '!');
}

// The status of wait(2). No report is left over.
static int await_end(pid_t child)
{
    int status = 0;
    char report;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(read(reports[0], &report, 1), 0);
    close(reports[0]);
    return status;
}

static void assert_exit(int status, int code)
{
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
}

static void live_for_ever(void)
{
    start_in_child();
    report(&reports[1]);  // ready
    for (;;)
        pause();
}

TEST(signals_ask_at_the_first_and_end_the_process_at_the_second)
{
    const int numbers[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < 2; i++) {
        const pid_t child = run_child(live_for_ever);
        await_report();
        kill(child, numbers[i]);
        await_report();  // it was asked, and lives on
        int status;
        assert_int_equal(waitpid(child, &status, WNOHANG), 0);
        kill(child, numbers[i]);
        assert_exit(await_end(child), 128 + numbers[i]);
    }
}

TEST(signals_let_an_impatient_person_press_another_key)
{
    const pid_t child = run_child(live_for_ever);
    await_report();
    kill(child, SIGINT);
    await_report();
    kill(child, SIGTERM);
    assert_exit(await_end(child), 128 + SIGTERM);
}

static void note_reload(void *self)
{
    (void)!write(*(int *)self, "r", 1);
}

static void live_and_reload(void)
{
    fl_signals *signals = NULL;
    const fl_signals_calls calls = {
        .stop = report, .reload = note_reload, .self = &reports[1]};
    alarm(PATIENCE_S);
    if (fl_signals_start(&signals, &calls)) _exit(99);
    report(&reports[1]);  // ready
    for (;;)
        pause();
}

TEST(signals_ask_to_reload_as_often_as_one_comes)
{
    const pid_t child = run_child(live_and_reload);
    char told = 0;
    await_report();
    for (int i = 0; i < 3; i++) {
        kill(child, SIGHUP);
        assert_int_equal(read(reports[0], &told, 1), 1);
        assert_int_equal(told, 'r');
    }
    kill(child, SIGTERM);
    await_report();
    kill(child, SIGHUP);  // is no impatience
    assert_int_equal(read(reports[0], &told, 1), 1);
    assert_int_equal(told, 'r');
    kill(child, SIGTERM);
    assert_exit(await_end(child), 128 + SIGTERM);
}

TEST(signals_leave_a_hang_up_alone_where_nothing_reloads)
{
    const pid_t child = run_child(live_for_ever);
    await_report();
    kill(child, SIGHUP);
    const int status = await_end(child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGHUP);
}

static void write_to_nobody(void)
{
    int ends[2];
    fl_signals *signals = start_in_child();
    if (pipe(ends)) _exit(98);
    close(ends[0]);
    if (write(ends[1], "x", 1) != -1) _exit(97);
    fl_signals_stop(signals);
    _exit(0);
}

TEST(signals_keep_a_peer_that_hangs_up_from_ending_the_process)
{
    assert_exit(await_end(run_child(write_to_nobody)), 0);
}

static void stop_listening(void)
{
    fl_signals_stop(NULL);
    fl_signals_stop(start_in_child());
    report(&reports[1]);  // ready
    for (;;)
        pause();
}

TEST(signals_end_the_process_as_usual_after_the_stop)
{
    const pid_t child = run_child(stop_listening);
    await_report();
    kill(child, SIGTERM);
    const int status = await_end(child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void come_and_go(void)
{
    for (int i = 0; i < 100; i++) {
        fl_signals_stop(start_in_child());
    }
    _exit(0);
}

TEST(signals_can_be_started_again)
{
    assert_exit(await_end(run_child(come_and_go)), 0);
}

RUN_TESTS(
    cmocka_unit_test(
        signals_ask_at_the_first_and_end_the_process_at_the_second),
    cmocka_unit_test(signals_let_an_impatient_person_press_another_key),
    cmocka_unit_test(signals_ask_to_reload_as_often_as_one_comes),
    cmocka_unit_test(signals_leave_a_hang_up_alone_where_nothing_reloads),
    cmocka_unit_test(signals_keep_a_peer_that_hangs_up_from_ending_the_process),
    cmocka_unit_test(signals_end_the_process_as_usual_after_the_stop),
    cmocka_unit_test(signals_can_be_started_again))
