/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

static char folder[FL_SCRATCH_CAP];
static char path[PATH_MAX];
static fl_reason why;

static int make_folder(void **state)
{
    (void)state;
    why = (fl_reason){""};
    if (!fl_scratch_make(folder)) return -1;
    return fl_path_join(path, sizeof path, folder, "lock") ? -1 : 0;
}

static int remove_folder(void **state)
{
    (void)state;
    fl_scratch_remove(folder);
    return 0;
}

TEST(lock_keeps_a_second_one_out)
{
    int first, second;
    assert_ok(fl_lock_take(&first, path, &why));
    assert_err(fl_lock_take(&second, path, &why), FL_ERR_STATE);
    char number[24];
    snprintf(number, sizeof number, "process %ld", (long)getpid());
    assert_reason_names(why, number);
    fl_lock_release(first);
    assert_ok(fl_lock_take(&second, path, &why));
    fl_lock_release(second);
}

TEST(lock_is_held_looks_and_changes_nothing)
{
    assert_false(fl_lock_is_held(path));
    assert_int_equal(access(path, F_OK), -1);
    int lock;
    assert_ok(fl_lock_take(&lock, path, &why));
    assert_true(fl_lock_is_held(path));
    assert_true(fl_lock_is_held(path));
    fl_lock_release(lock);
    assert_false(fl_lock_is_held(path));
}

TEST(lock_ends_with_the_process)
{
    const pid_t child = fork();
    if (child == 0) {
        int lock;
        _exit(fl_lock_take(&lock, path, NULL) == FL_OK ? 0 : 1);
    }
    int status = -1, lock;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_ok(fl_lock_take(&lock, path, &why));
    fl_lock_release(lock);
}

// A child that holds the lock until a signal ends it.
static pid_t hold_lock(void)
{
    int ends[2], lock;
    char ready;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(10);
        if (fl_lock_take(&lock, path, NULL)) _exit(1);
        (void)!write(ends[1], "!", 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ends[0], &ready, 1), 1);
    close(ends[0]);
    close(ends[1]);
    return child;
}

TEST(lock_signals_who_holds_it)
{
    int status = 0;
    const pid_t child = hold_lock();
    assert_ok(fl_lock_signal_holder(path, SIGHUP, &why));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGHUP);
    // The number is still in the file, and may be anybody's by now.
    assert_err(fl_lock_signal_holder(path, SIGHUP, &why), FL_ERR_NOT_FOUND);
    assert_reason_names(why, "lock");
}

// Who owns the file writes what it likes into it, and root may be the caller.
TEST(lock_signals_nobody_but_a_process_of_the_owner)
{
    int lock;
    if (geteuid() != 0) skip();
    assert_ok(fl_lock_take(&lock, path, &why));
    assert_int_equal(chown(path, 12345, 12345), 0);
    assert_err(fl_lock_signal_holder(path, SIGKILL, &why), FL_ERR_SYSTEM);
    assert_reason_names(why, "does not belong");
    assert_int_equal(chown(path, 0, 0), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs("1\n", file) >= 0);  // init
    assert_int_equal(fclose(file), 0);
    assert_err(fl_lock_signal_holder(path, SIGKILL, &why), FL_ERR_SYSTEM);
    fl_lock_release(lock);
}

// Who owns the folder may put there what it likes, and root look at it.
TEST(lock_follows_no_link)
{
    int lock;
    char precious[PATH_MAX];
    assert_ok(fl_path_join(precious, sizeof precious, folder, "precious"));
    assert_ok(fl_file_write(precious, "gold", 4, 0600, &why));
    assert_int_equal(symlink("precious", path), 0);
    assert_err(fl_lock_take(&lock, path, &why), FL_ERR_SYSTEM);
    assert_err(fl_lock_signal_holder(path, SIGHUP, &why), FL_ERR_SYSTEM);
    assert_false(fl_lock_is_held(path));

    uint8_t *content = NULL;
    size_t len;
    assert_ok(fl_file_read(&content, &len, precious, 64, &why));
    assert_string_equal((char *)content, "gold");
    free(content);
}

TEST(lock_waits_for_no_pipe)
{
    alarm(10);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(fl_lock_is_held(path));
    assert_err(fl_lock_signal_holder(path, SIGHUP, &why), FL_ERR_NOT_FOUND);
    alarm(0);
}

// "Nobody holds it" would send them looking in the wrong place.
TEST(lock_says_when_it_may_not_be_looked_at)
{
    const bool is_root = geteuid() == 0;
    assert_int_equal(chmod(folder, 0), 0);
    if (is_root) assert_int_equal(seteuid(12345), 0);
    const fl_err err = fl_lock_signal_holder(path, SIGHUP, &why);
    if (is_root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(folder, 0700), 0);
    assert_err(err, FL_ERR_SYSTEM);
    assert_reason_names(why, "Permission denied");
}

TEST(lock_needs_a_folder)
{
    int lock;
    strcpy(path + strlen(path) - strlen("lock"), "none/lock");
    assert_err(fl_lock_take(&lock, path, &why), FL_ERR_SYSTEM);
    assert_reason_names(why, "none/lock");
    assert_err(fl_lock_signal_holder(path, SIGHUP, &why), FL_ERR_NOT_FOUND);
}

#define IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

RUN_TESTS(IN_FOLDER(lock_keeps_a_second_one_out),
          IN_FOLDER(lock_is_held_looks_and_changes_nothing),
          IN_FOLDER(lock_ends_with_the_process),
          IN_FOLDER(lock_signals_who_holds_it),
          IN_FOLDER(lock_signals_nobody_but_a_process_of_the_owner),
          IN_FOLDER(lock_follows_no_link), IN_FOLDER(lock_waits_for_no_pipe),
          IN_FOLDER(lock_says_when_it_may_not_be_looked_at),
          IN_FOLDER(lock_needs_a_folder))
