/* SPDX-License-Identifier: Apache-2.0 */
#include "base/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/test.h"

// What the manager has: a socket in the abstract namespace or in a folder.
static int manager = -1;
static char place[sizeof(((struct sockaddr_un *)0)->sun_path)];
static fl_reason why;

static void listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(place, name);
    strcpy(address.sun_path, place);
    if (place[0] == '@') address.sun_path[0] = 0;
    manager = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_true(manager >= 0);
    const size_t len = offsetof(struct sockaddr_un, sun_path) + strlen(place);
    assert_int_equal(bind(manager, (struct sockaddr *)&address, (socklen_t)len),
                     0);
    setenv("NOTIFY_SOCKET", place, 1);
}

static int set_up(void **state)
{
    (void)state;
    char name[60];
    snprintf(name, sizeof name, "@fedge-notify-test-%ld", (long)getpid());
    why = (fl_reason){""};
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    listen_at(name);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(manager);
    unsetenv("NOTIFY_SOCKET");
    return 0;
}

// The next message; "" when there is none.
static const char *heard(void)
{
    static char text[1000];
    const ssize_t len = recv(manager, text, sizeof text - 1, MSG_DONTWAIT);
    if (len < 0) assert_int_equal(errno, EAGAIN);
    text[len > 0 ? len : 0] = 0;
    return text;
}

static fl_notify opened(void)
{
    fl_notify notify;
    assert_ok(fl_notify_open(&notify, &why));
    return notify;
}

TEST(notify_tells_the_manager_of_start_and_stop)
{
    fl_notify notify = opened();
    fl_notify_ready(&notify);
    assert_string_equal(heard(), "READY=1");
    fl_notify_stopping(&notify);
    assert_string_equal(heard(), "STOPPING=1");
    fl_notify_close(&notify);
}

TEST(notify_says_when_a_reload_began)
{
    long long us = 0;
    char rest;
    fl_notify notify = opened();
    fl_notify_reloading(&notify);
    assert_int_equal(
        sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%lld%c", &us, &rest), 1);
    assert_true(us > 0);
    fl_notify_close(&notify);
}

TEST(notify_finds_a_manager_in_the_file_system)
{
    char folder[] = "/tmp/fedge-notify-XXXXXX", name[60];
    close(manager);
    assert_non_null(mkdtemp(folder));
    snprintf(name, sizeof name, "%s/socket", folder);
    listen_at(name);
    fl_notify notify = opened();
    fl_notify_ready(&notify);
    assert_string_equal(heard(), "READY=1");
    fl_notify_close(&notify);
    unlink(name);
    rmdir(folder);
}

TEST(notify_says_a_status_once)
{
    fl_notify notify = opened();
    fl_notify_status(&notify, "round 12, training");
    assert_string_equal(heard(), "STATUS=round 12, training");
    fl_notify_status(&notify, "round 12, training");
    assert_string_equal(heard(), "");
    fl_notify_status(&notify, "idle");
    assert_string_equal(heard(), "STATUS=idle");
    fl_notify_close(&notify);
}

// A status names what sensors say: it must not be able to say READY.
TEST(notify_keeps_a_status_to_one_line)
{
    char text[2 * FL_NOTIFY_STATUS_CAP];
    fl_notify notify = opened();
    fl_notify_status(&notify, "hot\nREADY=1");
    assert_string_equal(heard(), "STATUS=hot");
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    fl_notify_status(&notify, text);
    assert_int_equal(strlen(heard()), strlen("STATUS=") + 239);
    fl_notify_close(&notify);
}

TEST(notify_beats_twice_as_often_as_it_must)
{
    setenv("WATCHDOG_USEC", "3000000", 1);
    fl_notify notify = opened();
    fl_notify_beat(&notify, 10000);
    assert_string_equal(heard(), "WATCHDOG=1");
    assert_int_equal(fl_notify_deadline(&notify), 11500);
    fl_notify_beat(&notify, 11499);
    assert_string_equal(heard(), "");
    fl_notify_beat(&notify, 11500);
    assert_string_equal(heard(), "WATCHDOG=1");
    fl_notify_close(&notify);
}

TEST(notify_does_not_beat_for_another_process)
{
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    fl_notify notify = opened();
    fl_notify_beat(&notify, 10000);
    assert_string_equal(heard(), "");
    assert_true(fl_notify_deadline(&notify) == INT64_MAX);
    fl_notify_close(&notify);

    char pid[24];
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    setenv("NOTIFY_SOCKET", place, 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    notify = opened();
    fl_notify_beat(&notify, 10000);
    assert_string_equal(heard(), "WATCHDOG=1");
    fl_notify_close(&notify);
}

TEST(notify_leaves_nothing_to_children)
{
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    fl_notify notify = opened();
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
    assert_true(fcntl(notify.socket, F_GETFD) & FD_CLOEXEC);
    fl_notify_close(&notify);
}

TEST(notify_is_silent_without_a_manager)
{
    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "3000000", 1);
    fl_notify notify = opened();
    fl_notify_ready(&notify);
    fl_notify_status(&notify, "idle");
    fl_notify_beat(&notify, 0);
    assert_string_equal(heard(), "");
    assert_true(fl_notify_deadline(&notify) == INT64_MAX);
    fl_notify_close(&notify);
}

TEST(notify_outlives_its_manager)
{
    fl_notify notify = opened();
    close(manager);
    manager = -1;
    fl_notify_ready(&notify);
    fl_notify_stopping(&notify);
    fl_notify_close(&notify);
}

TEST(notify_refuses_variables_that_no_manager_sets)
{
    char too_long[300] = "@";
    const char *const places[] = {"", "@", "/", "run/notify", too_long};
    const char *const times[] = {"", "0", "-1", "3s", "99999999999999999999"};
    fl_notify notify;
    memset(too_long + 1, 'x', sizeof too_long - 2);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        setenv("NOTIFY_SOCKET", places[i], 1);
        assert_err(fl_notify_open(&notify, &why), FL_ERR_RANGE);
        assert_reason_names(why, "NOTIFY_SOCKET=");
        fl_notify_ready(&notify);
        fl_notify_close(&notify);
    }
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        setenv("NOTIFY_SOCKET", place, 1);
        setenv("WATCHDOG_USEC", times[i], 1);
        assert_err(fl_notify_open(&notify, &why), FL_ERR_RANGE);
        assert_reason_names(why, "WATCHDOG_USEC=");
        assert_null(getenv("NOTIFY_SOCKET"));
        fl_notify_ready(&notify);
        fl_notify_close(&notify);
    }
    assert_string_equal(heard(), "");
}

#define WITH_MANAGER(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(WITH_MANAGER(notify_tells_the_manager_of_start_and_stop),
          WITH_MANAGER(notify_says_when_a_reload_began),
          WITH_MANAGER(notify_finds_a_manager_in_the_file_system),
          WITH_MANAGER(notify_says_a_status_once),
          WITH_MANAGER(notify_keeps_a_status_to_one_line),
          WITH_MANAGER(notify_beats_twice_as_often_as_it_must),
          WITH_MANAGER(notify_does_not_beat_for_another_process),
          WITH_MANAGER(notify_leaves_nothing_to_children),
          WITH_MANAGER(notify_is_silent_without_a_manager),
          WITH_MANAGER(notify_outlives_its_manager),
          WITH_MANAGER(notify_refuses_variables_that_no_manager_sets))
