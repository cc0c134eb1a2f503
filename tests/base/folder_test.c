/* SPDX-License-Identifier: Apache-2.0 */
#include "base/folder.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lock.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

static char folder[FL_SCRATCH_CAP];
static fl_reason why;
static volatile sig_atomic_t hangup_count;

static int make_folder(void **state)
{
    (void)state;
    why = (fl_reason){""};
    return fl_scratch_make(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    fl_scratch_remove(folder);
    return 0;
}

TEST(folder_is_made_with_its_parents)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/a//b/c/", folder);
    assert_ok(fl_folder_make(path, 0700, &why));
    assert_ok(fl_folder_make(path, 0700, &why));
    strcat(path, "file");
    assert_ok(fl_file_write(path, "x", 1, 0600, &why));
    assert_ok(fl_folder_make("/", 0700, &why));
    assert_err(fl_folder_make(path, 0700, &why), FL_ERR_SYSTEM);
    strcat(path, "/d");
    assert_err(fl_folder_make(path, 0700, &why), FL_ERR_SYSTEM);
    assert_reason_names(why, "a//b/c/file");
    assert_err(fl_folder_make("", 0700, &why), FL_ERR_SYSTEM);
}

TEST(folder_places_files)
{
    char path[PATH_MAX], expected[PATH_MAX];
    snprintf(expected, sizeof expected, "%s/name", folder);
    assert_ok(fl_folder_place(path, folder, "name", &why));
    assert_string_equal(path, expected);
}

TEST(folder_refuses_names_that_are_too_long)
{
    int lock;
    char path[PATH_MAX];
    static char deep[PATH_MAX - 4];
    memset(deep, 'd', sizeof deep - 1);
    assert_err(fl_folder_place(path, deep, "name", &why), FL_ERR_SYSTEM);
    assert_reason_names(why, "too long");
    assert_err(fl_folder_lock(&lock, deep, &why), FL_ERR_SYSTEM);
    assert_false(fl_folder_is_locked(deep));
    assert_err(fl_folder_make(deep, 0700, &why), FL_ERR_SYSTEM);
}

TEST(folder_belongs_to_who_locks_it_first)
{
    int lock, second;
    assert_false(fl_folder_is_locked(folder));
    assert_ok(fl_folder_lock(&lock, folder, &why));
    assert_true(fl_folder_is_locked(folder));
    assert_err(fl_folder_lock(&second, folder, &why), FL_ERR_STATE);
    assert_reason_names(why, "in use");
    fl_lock_release(lock);
    assert_false(fl_folder_is_locked(folder));
}

static void count_hangup(int number)
{
    (void)number;
    hangup_count++;
}

TEST(folder_asks_its_daemon_to_reload)
{
    int lock;
    assert_err(fl_folder_ask_to_reload(folder, "client", &why),
               FL_ERR_NOT_FOUND);
    assert_reason_names(why, "no client runs there");
    const struct sigaction counting = {.sa_handler = count_hangup};
    assert_int_equal(sigaction(SIGHUP, &counting, NULL), 0);
    assert_ok(fl_folder_lock(&lock, folder, &why));
    assert_ok(fl_folder_ask_to_reload(folder, "client", &why));
    assert_int_equal(hangup_count, 1);
    fl_lock_release(lock);
}

#define IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

RUN_TESTS(IN_FOLDER(folder_is_made_with_its_parents),
          IN_FOLDER(folder_places_files),
          IN_FOLDER(folder_refuses_names_that_are_too_long),
          IN_FOLDER(folder_belongs_to_who_locks_it_first),
          IN_FOLDER(folder_asks_its_daemon_to_reload))
