/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE  // WCOREDUMP
#include "secure/secure.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/scratch.h"
#include "tests/test.h"

static char scratch[FL_SCRATCH_CAP];

// As somebody who looks for a bug asks for: cores as long as may be.
static void allow_cores(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) != 0) _exit(1);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_CORE, &limit) != 0) _exit(2);
}

static void die(void)
{
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void die_openly(void)
{
    allow_cores();
    die();
}

static void die_hidden(void)
{
    allow_cores();
    if (fl_secure_hide()) _exit(3);
    die();
}

// What it starts must not tell either.
static void die_as_a_child(void)
{
    allow_cores();
    if (fl_secure_hide()) _exit(3);
    const pid_t child = fork();
    if (child == 0) die();
    int status = 0;
    if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status)) _exit(4);
    _exit(WCOREDUMP(status) ? 5 : 0);
}

// As under systemd with LimitCORE=0, which does not stop a collector.
static void hide_below_a_limit_of_0(void)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) _exit(1);
    if (geteuid() == 0 && setuid(65534) != 0) _exit(2);
    if (prctl(PR_SET_DUMPABLE, 1) != 0) _exit(5);  // setuid has cleared it
    if (fl_secure_hide()) _exit(3);
    _exit(prctl(PR_GET_DUMPABLE) == 0 ? 0 : 4);
}

static int status_of(void (*work)(void))
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (chdir(scratch) != 0) _exit(9);
        work();
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

TEST(secure_hide_leaves_no_core_of_a_process)
{
    assert_true(fl_scratch_make(scratch));
    const int before = status_of(die_openly);
    const int hidden = status_of(die_hidden);
    const int child = status_of(die_as_a_child);
    fl_scratch_remove(scratch);
    assert_true(WIFSIGNALED(before) && WIFSIGNALED(hidden));
    assert_false(WCOREDUMP(hidden));
    assert_true(WIFEXITED(child));
    assert_int_equal(WEXITSTATUS(child), 0);
    if (!WCOREDUMP(before)) skip();  // none here anyway: nothing is shown
}

TEST(secure_hide_works_where_cores_have_no_room)
{
    assert_true(fl_scratch_make(scratch));
    const int status = status_of(hide_below_a_limit_of_0);
    fl_scratch_remove(scratch);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

RUN_TESTS(cmocka_unit_test(secure_hide_leaves_no_core_of_a_process),
          cmocka_unit_test(secure_hide_works_where_cores_have_no_room))
