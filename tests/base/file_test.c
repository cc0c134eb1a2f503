/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/scratch.h"
#include "tests/test.h"

static char folder[FL_SCRATCH_CAP];
static fl_reason why;

static const char *inside(const char *name)
{
    static _Thread_local char path[PATH_MAX];
    assert_ok(fl_path_join(path, sizeof path, folder, name));
    return path;
}

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

static void assert_content(const char *path, const char *expected)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    assert_ok(fl_file_read(&bytes, &len, path, 1 << 20, &why));
    assert_int_equal(len, strlen(expected));
    assert_string_equal((char *)bytes, expected);
    free(bytes);
}

// Both promise a whole file after the death of the program; that the first
// one also waits for the disk shows only when the power is cut.
static fl_err (*const WRITERS[])(const char *path, const void *bytes,
                                 size_t len, unsigned mode, fl_reason *why) = {
    fl_file_write,
    fl_file_replace,
};

enum { WRITER_COUNT = sizeof WRITERS / sizeof *WRITERS };

static void write_text(const char *path, const char *text)
{
    assert_ok(fl_file_write(path, text, strlen(text), 0644, &why));
}

TEST(file_reads_what_it_wrote)
{
    write_text(inside("a"), "first");
    assert_content(inside("a"), "first");
    write_text(inside("a"), "second, longer");
    assert_content(inside("a"), "second, longer");
    write_text(inside("a"), "");
    assert_content(inside("a"), "");
    assert_int_equal(fl_scratch_count(folder), 1);
}

TEST(file_replaces_the_content_without_a_trace)
{
    struct stat about;
    for (int i = 0; i < WRITER_COUNT; i++) {
        assert_ok(WRITERS[i](inside("a"), "a long first one", 16, 0644, &why));
        assert_ok(WRITERS[i](inside("a"), "short", 5, 0600, &why));
        assert_content(inside("a"), "short");
        assert_int_equal(stat(inside("a"), &about), 0);
        assert_int_equal(about.st_mode & 07777, 0600);
        assert_int_equal(fl_scratch_count(folder), 1);
        assert_err(WRITERS[i](inside("none/a"), "x", 1, 0600, &why),
                   FL_ERR_SYSTEM);
        assert_reason_names(why, "none/a");
    }
}

TEST(file_reads_exactly_as_much_as_is_allowed)
{
    enum { LEN = 10000 };
    uint8_t written[LEN], *bytes = NULL;
    size_t len;
    memset(written, 'x', LEN);
    assert_ok(fl_file_write(inside("a"), written, LEN, 0600, &why));
    assert_ok(fl_file_read(&bytes, &len, inside("a"), LEN, &why));
    assert_int_equal(len, LEN);
    assert_memory_equal(bytes, written, LEN);
    assert_int_equal(bytes[LEN], 0);
    free(bytes);
    assert_err(fl_file_read(&bytes, &len, inside("a"), LEN - 1, &why),
               FL_ERR_LIMIT);
    assert_reason_names(why, "9999");
    assert_err(fl_file_read(&bytes, &len, inside("a"), 0, NULL), FL_ERR_LIMIT);
}

TEST(file_reads_what_announces_no_length)
{
    uint8_t *bytes = NULL;
    size_t len;
    assert_ok(fl_file_read(&bytes, &len, "/proc/self/status", SIZE_MAX, &why));
    assert_memory_equal(bytes, "Name:", 5);
    assert_int_equal(len, strlen((char *)bytes));
    free(bytes);
    assert_err(fl_file_read(&bytes, &len, "/dev/zero", 100000, &why),
               FL_ERR_LIMIT);
}

TEST(file_reports_a_missing_file)
{
    uint8_t *bytes;
    size_t len;
    assert_err(fl_file_read(&bytes, &len, inside("none"), 10, &why),
               FL_ERR_NOT_FOUND);
    assert_reason_names(why, "/none");
    assert_err(fl_file_read(&bytes, &len, inside("none/none"), 10, &why),
               FL_ERR_NOT_FOUND);
}

TEST(file_reports_what_cannot_be_read)
{
    uint8_t *bytes;
    size_t len;
    assert_err(fl_file_read(&bytes, &len, folder, 10, &why), FL_ERR_SYSTEM);
    assert_reason_names(why, folder);
}

TEST(file_gets_the_mode_asked_for)
{
    struct stat about;
    write_text(inside("key"), "public at first");
    assert_ok(fl_file_write(inside("key"), "secret", 6, 0600, &why));
    assert_int_equal(stat(inside("key"), &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
}

TEST(file_cannot_be_written_into_a_missing_folder)
{
    assert_err(fl_file_write(inside("none/a"), "x", 1, 0600, &why),
               FL_ERR_SYSTEM);
    assert_reason_names(why, "none/a");
    assert_int_equal(fl_scratch_count(folder), 0);
}

TEST(file_check_finds_out_what_writing_would_meet)
{
    assert_ok(fl_file_check(inside("a"), &why));
    assert_int_equal(fl_scratch_count(folder), 0);
    assert_ok(fl_file_write(inside("a"), "old", 3, 0600, &why));
    assert_ok(fl_file_check(inside("a"), &why));
    assert_int_equal(fl_scratch_count(folder), 1);
    assert_err(fl_file_check(inside("none/a"), &why), FL_ERR_SYSTEM);
    assert_reason_names(why, "none/a");
    assert_err(fl_file_check(inside("."), &why), FL_ERR_SYSTEM);
    assert_reason_names(why, "a folder");
    assert_ok(fl_file_check("/dev/null", &why));
    static char path[PATH_MAX + 10];
    memset(path, 'x', sizeof path - 1);
    assert_err(fl_file_check(path, &why), FL_ERR_SYSTEM);
}

// Whoever fills a folder of pictures may put anything there.
TEST(file_that_others_have_named_must_be_plain)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    write_text(inside("text"), "12345");
    assert_ok(fl_file_read_plain(&bytes, &len, inside("text"), 5, &why));
    assert_int_equal(len, 5);
    free(bytes);
    assert_err(fl_file_read_plain(&bytes, &len, inside("text"), 4, &why),
               FL_ERR_LIMIT);
    assert_reason_names(why, "longer than the 4 bytes");
    assert_err(fl_file_read_plain(&bytes, &len, inside("none"), 4, &why),
               FL_ERR_NOT_FOUND);
    assert_int_equal(mkfifo(inside("pipe"), 0600), 0);
    assert_err(fl_file_read_plain(&bytes, &len, inside("pipe"), 4, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "is not a file");
    assert_err(fl_file_read_plain(&bytes, &len, "/dev/zero", 4, &why),
               FL_ERR_RANGE);
    assert_err(fl_file_read_plain(&bytes, &len, folder, 4, &why), FL_ERR_RANGE);
}

TEST(file_refuses_a_name_that_is_too_long)
{
    static char path[PATH_MAX + 10];
    memset(path, 'x', sizeof path - 1);
    assert_err(fl_file_write(path, "x", 1, 0600, &why), FL_ERR_SYSTEM);
    path[PATH_MAX - 2] = 0;
    assert_err(fl_file_write(path, "x", 1, 0600, &why), FL_ERR_SYSTEM);
}

TEST(file_keeps_the_old_content_when_the_disk_is_full)
{
    static uint8_t large[100000];
    struct rlimit old, small = {.rlim_cur = 5000};
    write_text(inside("a"), "old");
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    for (int i = 0; i < WRITER_COUNT; i++) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &small);  // a write beyond it fails half-way
        const fl_err err =
            WRITERS[i](inside("a"), large, sizeof large, 0600, &why);
        setrlimit(RLIMIT_FSIZE, &old);
        signal(SIGXFSZ, SIG_DFL);
        assert_err(err, FL_ERR_SYSTEM);
        assert_reason_names(why, "cannot write");
        assert_content(inside("a"), "old");
        assert_int_equal(fl_scratch_count(folder), 1);
    }
}

TEST(file_is_overwritten_in_place_at_its_own_length_only)
{
    write_text(inside("a"), "old");
    assert_ok(fl_file_overwrite(inside("a"), "new", 3, &why));
    assert_content(inside("a"), "new");
    assert_err(fl_file_overwrite(inside("a"), "newer", 5, &why), FL_ERR_STATE);
    assert_err(fl_file_overwrite(inside("a"), "n", 1, &why), FL_ERR_STATE);
    assert_content(inside("a"), "new");
    assert_err(fl_file_overwrite(inside("b"), "new", 3, &why),
               FL_ERR_NOT_FOUND);
    assert_int_equal(fl_scratch_count(folder), 1);
}

TEST(file_survives_a_crash_in_the_middle_of_writing)
{
    write_text(inside("a"), "old");
    // What a process that was killed leaves: half a file of another mode.
    const int leftover = open(inside("a.tmp"), O_WRONLY | O_CREAT, 0666);
    assert_int_equal(write(leftover, "half a", 6), 6);
    close(leftover);
    assert_content(inside("a"), "old");
    assert_ok(fl_file_write(inside("a"), "new", 3, 0600, &why));
    assert_content(inside("a"), "new");
    struct stat about;
    assert_int_equal(stat(inside("a"), &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_int_equal(fl_scratch_count(folder), 1);
}

TEST(file_is_whole_whenever_the_writer_is_killed)
{
    enum { LEN = 200000 };
    static uint8_t content[LEN];
    memset(content, 'a', LEN);
    assert_ok(fl_file_write(inside("a"), content, LEN, 0600, &why));
    for (int i = 0; i < 40; i++) {
        const pid_t child = fork();
        if (child == 0) {
            for (int letter = 'a';; letter = letter == 'z' ? 'a' : letter + 1) {
                memset(content, letter, LEN);
                if (WRITERS[i % WRITER_COUNT](inside("a"), content, LEN, 0600,
                                              NULL)) {
                    _exit(1);
                }
            }
        }
        nanosleep(&(struct timespec){.tv_nsec = i * 350000L}, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);

        uint8_t *bytes = NULL;
        size_t len;
        assert_ok(fl_file_read(&bytes, &len, inside("a"), LEN, &why));
        assert_int_equal(len, LEN);
        for (size_t k = 1; k < len; k++)
            assert_int_equal(bytes[k], bytes[0]);
        free(bytes);
        assert_true(fl_scratch_count(folder) <=
                    2);  // never more than one leftover
    }
}

static void *write_many(void *text)
{
    for (int i = 0; i < 200; i++) {
        if (fl_file_write(inside("a"), text, 3, 0600, NULL)) return text;
    }
    return NULL;
}

TEST(file_may_be_written_from_two_threads)
{
    static char one[] = "one", two[] = "two";
    pthread_t other;
    void *failed;
    write_text(inside("a"), one);
    pthread_create(&other, NULL, write_many, one);
    assert_null(write_many(two));
    pthread_join(other, &failed);
    assert_null(failed);
    uint8_t *bytes = NULL;
    size_t len;
    assert_ok(fl_file_read(&bytes, &len, inside("a"), 3, &why));
    assert_true(memcmp(bytes, one, 3) == 0 || memcmp(bytes, two, 3) == 0);
    free(bytes);
    assert_int_equal(fl_scratch_count(folder), 1);
}

// A pipe of our own stands for /dev/stdout and the like: were this broken, a
// test run as root would replace the devices of the machine.
TEST(file_writes_into_a_pipe_instead_of_replacing_it)
{
    struct stat about;
    char got[4] = "";
    assert_int_equal(mkfifo(inside("pipe"), 0600), 0);
    const int reader = open(inside("pipe"), O_RDONLY | O_NONBLOCK);
    assert_ok(fl_file_write(inside("pipe"), "abc", 3, 0600, &why));
    assert_int_equal(read(reader, got, 3), 3);
    assert_string_equal(got, "abc");
    assert_int_equal(stat(inside("pipe"), &about), 0);
    assert_true(S_ISFIFO(about.st_mode));
    close(reader);
}

static void *close_soon(void *reader)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    close((int)(intptr_t)reader);
    return NULL;
}

TEST(file_reports_a_pipe_that_takes_no_more)
{
    assert_int_equal(mkfifo(inside("pipe"), 0600), 0);
    const int reader = open(inside("pipe"), O_RDONLY | O_NONBLOCK);
    static uint8_t bytes[1 << 20];  // more than a pipe holds
    pthread_t closer;
    signal(SIGPIPE, SIG_IGN);
    pthread_create(&closer, NULL, close_soon, (void *)(intptr_t)reader);
    const fl_err err =
        fl_file_write(inside("pipe"), bytes, sizeof bytes, 0600, &why);
    pthread_join(closer, NULL);
    signal(SIGPIPE, SIG_DFL);
    assert_err(err, FL_ERR_SYSTEM);
    assert_reason_names(why, "/pipe");
}

TEST(file_refuses_to_replace_a_folder)
{
    assert_err(fl_file_write(folder, "x", 1, 0600, &why), FL_ERR_SYSTEM);
    assert_reason_names(why, folder);
}

TEST(file_replaces_what_a_link_points_to)
{
    struct stat about;
    write_text(inside("target"), "old");
    assert_int_equal(symlink("target", inside("link")), 0);
    write_text(inside("link"), "new");
    assert_content(inside("target"), "new");
    assert_int_equal(lstat(inside("link"), &about), 0);
    assert_true(S_ISLNK(about.st_mode));
}

// What root does to a service's state must not lock the service out.
TEST(file_of_root_belongs_to_the_owner_of_the_folder)
{
    struct stat status;
    if (geteuid() != 0) skip();
    assert_ok(fl_file_write(inside("own"), "a", 1, 0600, &why));
    assert_int_equal(stat(inside("own"), &status), 0);
    assert_int_equal(status.st_uid, 0);
    assert_int_equal(chown(folder, 12345, 12346), 0);
    assert_ok(fl_file_write(inside("file"), "a", 1, 0600, &why));
    assert_int_equal(stat(inside("file"), &status), 0);
    assert_int_equal(status.st_uid, 12345);
    assert_int_equal(status.st_gid, 12346);
    assert_int_equal(status.st_mode & 0777, 0600);
}

TEST(file_joins_a_path_that_fits)
{
    char path[6];
    assert_ok(fl_path_join(path, sizeof path, "ab", "cd"));
    assert_string_equal(path, "ab/cd");
    assert_err(fl_path_join(path, sizeof path, "ab", "cde"), FL_ERR_SPACE);
}

#define IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

RUN_TESTS(IN_FOLDER(file_reads_what_it_wrote),
          IN_FOLDER(file_replaces_the_content_without_a_trace),
          IN_FOLDER(file_reads_exactly_as_much_as_is_allowed),
          IN_FOLDER(file_reads_what_announces_no_length),
          IN_FOLDER(file_reports_a_missing_file),
          IN_FOLDER(file_reports_what_cannot_be_read),
          IN_FOLDER(file_gets_the_mode_asked_for),
          IN_FOLDER(file_cannot_be_written_into_a_missing_folder),
          IN_FOLDER(file_check_finds_out_what_writing_would_meet),
          IN_FOLDER(file_refuses_a_name_that_is_too_long),
          IN_FOLDER(file_keeps_the_old_content_when_the_disk_is_full),
          IN_FOLDER(file_is_overwritten_in_place_at_its_own_length_only),
          IN_FOLDER(file_survives_a_crash_in_the_middle_of_writing),
          IN_FOLDER(file_is_whole_whenever_the_writer_is_killed),
          IN_FOLDER(file_may_be_written_from_two_threads),
          IN_FOLDER(file_writes_into_a_pipe_instead_of_replacing_it),
          IN_FOLDER(file_reports_a_pipe_that_takes_no_more),
          IN_FOLDER(file_refuses_to_replace_a_folder),
          IN_FOLDER(file_replaces_what_a_link_points_to),
          IN_FOLDER(file_of_root_belongs_to_the_owner_of_the_folder),
          IN_FOLDER(file_joins_a_path_that_fits),
          IN_FOLDER(file_that_others_have_named_must_be_plain))
