/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/key_file.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

static const char SEED_HEX[] =
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
static const char KEY_TEXT[] =
    "fedge identity 1\n"
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\n";
static const char PUBLIC_HEX[] =
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

enum { KEY_TEXT_LEN = sizeof KEY_TEXT - 1 };

// A folder for each test; the key's path is folder/identity.key.
static char folder[64], path[128];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/fedge-key-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/identity.key", folder);
    return 0;
}

static int count_files(void)
{
    int count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] != '.') count++;
    }
    closedir(dir);
    return count;
}

static int remove_folder(void **state)
{
    (void)state;
    remove(path);
    return rmdir(folder);  // fails when anything else was left behind
}

static void put_file(const void *bytes, size_t len, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void assert_refused(fl_err expected, const char *word)
{
    fl_identity identity;
    fl_reason why = {""};
    assert_err(fl_identity_open(&identity, path, &why), expected);
    assert_reason_names(why, path);
    assert_reason_names(why, word);
    assert_err(fl_identity_open(&identity, path, NULL), expected);
}

TEST(key_file_encodes_as_documented)
{
    uint8_t seed[FL_SEED_BYTES];
    char text[FL_KEY_FILE_BYTES];
    assert_ok(fl_hex_decode(seed, sizeof seed, SEED_HEX));
    fl_key_file_encode(text, seed);
    assert_int_equal(sizeof text, KEY_TEXT_LEN);
    assert_memory_equal(text, KEY_TEXT, sizeof text);
}

TEST(key_file_gives_the_key_pair_of_its_seed)
{
    put_file(KEY_TEXT, KEY_TEXT_LEN, 0600);
    fl_identity identity;
    char text[FL_HEX_CAP];
    assert_ok(fl_identity_open(&identity, path, NULL));
    fl_hex_encode(text, sizeof text, identity.public_key, FL_KEY_BYTES);
    assert_string_equal(text, PUBLIC_HEX);
    fl_identity_fini(&identity);
}

TEST(key_file_is_made_once_and_read_from_then_on)
{
    fl_identity first, second;
    assert_ok(fl_identity_open(&first, path, NULL));
    assert_ok(fl_identity_open(&second, path, NULL));
    assert_memory_equal(&first, &second, sizeof first);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_size, FL_KEY_FILE_BYTES);
    assert_int_equal(count_files(), 1);
}

TEST(key_file_make_never_overwrites)
{
    uint8_t first[FL_SEED_BYTES], second[FL_SEED_BYTES];
    fl_reason why = {""};
    assert_err(fl_key_file_read(first, path, &why), FL_ERR_NOT_FOUND);
    assert_reason_names(why, path);
    assert_int_equal(count_files(), 0);  // to read makes nothing
    assert_ok(fl_key_file_make(path, &why));
    assert_ok(fl_key_file_read(first, path, &why));
    assert_err(fl_key_file_make(path, &why), FL_ERR_STATE);
    assert_reason_names(why, "never overwritten");
    assert_ok(fl_key_file_read(second, path, &why));
    assert_memory_equal(first, second, sizeof first);
    assert_int_equal(count_files(), 1);
}

TEST(key_file_is_made_0600_whatever_the_umask)
{
    const mode_t before = umask(0);
    fl_identity identity;
    const fl_err err = fl_identity_open(&identity, path, NULL);
    umask(before);
    assert_ok(err);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

TEST(key_file_is_made_in_the_current_folder)
{
    char before[512];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    fl_identity identity;
    const fl_err err = fl_identity_open(&identity, "identity.key", NULL);
    assert_int_equal(chdir(before), 0);
    assert_ok(err);
    assert_int_equal(access(path, R_OK), 0);
}

// A child: waits for the starting shot, opens, tells its public key.
static void race(int shot, int finish)
{
    char byte;
    fl_identity identity = {.public_key = {0}};
    if (read(shot, &byte, 1) != 0) _exit(1);
    if (fl_identity_open(&identity, path, NULL)) _exit(2);
    if (write(finish, identity.public_key, FL_KEY_BYTES) != FL_KEY_BYTES)
        _exit(3);
    _exit(0);
}

TEST(key_file_is_the_same_for_all_who_start_at_once)
{
    enum { RACERS = 16 };
    int shot[2], finish[2];
    assert_int_equal(pipe(shot), 0);
    assert_int_equal(pipe(finish), 0);
    for (int i = 0; i < RACERS; i++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(shot[1]);
            race(shot[0], finish[1]);
        }
    }
    close(shot[0]);
    close(shot[1]);  // the end of file is the shot
    for (int i = 0; i < RACERS; i++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }

    fl_identity identity;
    assert_ok(fl_identity_open(&identity, path, NULL));
    for (int i = 0; i < RACERS; i++) {
        uint8_t key[FL_KEY_BYTES];
        assert_int_equal(read(finish[0], key, sizeof key), sizeof key);
        assert_memory_equal(key, identity.public_key, sizeof key);
    }
    close(finish[0]);
    close(finish[1]);
    assert_int_equal(count_files(), 1);
}

// A thread's stack that is ours to look through when the thread is gone.
enum { STACK_LEN = 1 << 20, WINDOW = 8 };
static _Alignas(4096) uint8_t stack[STACK_LEN];
static uint8_t opened_seed[FL_SEED_BYTES];
static fl_identity opened;

static fl_err open_seed(void)
{
    return fl_key_file_open(opened_seed, path, NULL);
}

static fl_err open_identity(void)
{
    return fl_identity_open(&opened, path, NULL);
}

typedef struct {
    fl_err (*open)(void);
    fl_err err;
} opening;

// Opens far down the stack, where the end of the thread writes nothing.
static void *open_deep_down(void *self)
{
    volatile uint8_t distance[16 * 1024];
    distance[0] = 0;
    opening *job = self;
    job->err = job->open();
    return distance[0] == 0 ? NULL : self;
}

static void open_on_our_stack(fl_err (*open)(void))
{
    pthread_attr_t options;
    pthread_t thread;
    opening job = {.open = open, .err = FL_ERR_STATE};
    memset(stack, 0, sizeof stack);
    assert_int_equal(pthread_attr_init(&options), 0);
    assert_int_equal(pthread_attr_setstack(&options, stack, sizeof stack), 0);
    assert_int_equal(pthread_create(&thread, &options, open_deep_down, &job),
                     0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&options);
    assert_ok(job.err);
}

static void assert_not_on_stack(const void *secret, size_t len)
{
    const uint8_t *bytes = secret;
    for (size_t i = 0; i + WINDOW <= len; i++) {
        for (size_t at = 0; at + WINDOW <= sizeof stack; at++) {
            if (stack[at] == bytes[i] &&
                memcmp(stack + at, bytes + i, WINDOW) == 0) {
                fail_msg("byte %zu of the secret is still in memory", i);
            }
        }
    }
}

static void assert_leaves_no_secret(fl_err (*open)(void))
{
    char digits[FL_HEX_CAP];
    open_on_our_stack(open);
    fl_hex_encode(digits, sizeof digits, opened_seed, sizeof opened_seed);
    assert_not_on_stack(opened_seed, sizeof opened_seed);
    assert_not_on_stack(digits, sizeof digits - 1);
}

TEST(key_file_leaves_no_secret_in_memory_when_made_or_read)
{
    assert_leaves_no_secret(open_seed);
    assert_leaves_no_secret(open_seed);
    assert_leaves_no_secret(open_identity);
    // libsodium's secret key begins with the seed.
    assert_memory_equal(opened.secret_key, opened_seed, FL_SEED_BYTES);
}

TEST(key_file_that_others_may_read_is_refused)
{
    const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0644, 0666};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        put_file(KEY_TEXT, KEY_TEXT_LEN, modes[i]);
        assert_refused(FL_ERR_AUTH, "chmod 600");
    }
}

TEST(key_file_of_another_version_is_refused)
{
    char text[KEY_TEXT_LEN];
    memcpy(text, KEY_TEXT, sizeof text);
    text[sizeof "fedge identity" - 1 + 1] = '2';
    put_file(text, sizeof text, 0600);
    assert_refused(FL_ERR_FORMAT, "fedge identity 1");
}

TEST(key_file_cut_at_any_byte_is_refused)
{
    for (size_t len = 0; len < KEY_TEXT_LEN; len++) {
        put_file(KEY_TEXT, len, 0600);
        assert_refused(FL_ERR_FORMAT, "restore it");
    }
}

TEST(key_file_with_bytes_behind_the_key_is_refused)
{
    char text[KEY_TEXT_LEN + 2];
    memcpy(text, KEY_TEXT, KEY_TEXT_LEN);
    memcpy(text + KEY_TEXT_LEN, "\n\n", 2);
    put_file(text, KEY_TEXT_LEN + 1, 0600);
    assert_refused(FL_ERR_FORMAT, "more");
    put_file(text, KEY_TEXT_LEN + 2, 0600);
    assert_refused(FL_ERR_FORMAT, "more");
}

TEST(key_file_without_a_last_newline_is_refused)
{
    char text[KEY_TEXT_LEN];
    memcpy(text, KEY_TEXT, sizeof text);
    text[sizeof text - 1] = ' ';
    put_file(text, sizeof text, 0600);
    assert_refused(FL_ERR_FORMAT, "line 2");
}

TEST(key_file_with_another_character_is_refused_and_not_quoted)
{
    for (size_t i = 17; i < KEY_TEXT_LEN - 1; i++) {
        char text[KEY_TEXT_LEN];
        memcpy(text, KEY_TEXT, sizeof text);
        text[i] = i % 2 ? 'g' : 0;
        uint8_t seed[FL_SEED_BYTES];
        const uint8_t zeros[FL_SEED_BYTES] = {0};
        fl_reason why = {""};
        assert_err(fl_key_file_decode(seed, text, sizeof text, &why),
                   FL_ERR_FORMAT);
        assert_reason_names(why, "line 2");
        assert_null(strstr(why.text, "d61b19"));
        assert_memory_equal(seed, zeros, sizeof seed);
    }
}

TEST(key_file_that_is_refused_leaves_a_wiped_seed)
{
    uint8_t seed[FL_SEED_BYTES];
    const uint8_t zeros[FL_SEED_BYTES] = {0};
    for (size_t len = 0; len < KEY_TEXT_LEN; len++) {
        memset(seed, 0xff, sizeof seed);
        assert_err(fl_key_file_decode(seed, KEY_TEXT, len, NULL),
                   FL_ERR_FORMAT);
        assert_memory_equal(seed, zeros, sizeof seed);
    }
}

TEST(key_file_that_is_a_folder_or_a_pipe_is_refused)
{
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(FL_ERR_FORMAT, "not a file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(FL_ERR_FORMAT, "not a file");
}

TEST(key_file_that_cannot_be_opened_is_refused)
{
    assert_int_equal(symlink(path, path), 0);  // works for root as well
    assert_refused(FL_ERR_SYSTEM, "cannot be read");
}

TEST(key_file_is_not_made_where_there_is_no_folder)
{
    snprintf(path, sizeof path, "%s/no/identity.key", folder);
    assert_refused(FL_ERR_SYSTEM, "folder must exist");
}

TEST(key_file_with_too_long_a_name_is_refused)
{
    static char long_path[5000];
    memset(long_path, 'a', sizeof long_path - 1);
    fl_identity identity;
    assert_err(fl_identity_open(&identity, long_path, NULL), FL_ERR_SYSTEM);
    long_path[250] = 0;  // a valid name, without room for a temporary one
    assert_err(fl_identity_open(&identity, long_path, NULL), FL_ERR_SYSTEM);
}

#define IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

RUN_TESTS(
    cmocka_unit_test(key_file_encodes_as_documented),
    IN_FOLDER(key_file_gives_the_key_pair_of_its_seed),
    IN_FOLDER(key_file_is_made_once_and_read_from_then_on),
    IN_FOLDER(key_file_make_never_overwrites),
    IN_FOLDER(key_file_is_made_0600_whatever_the_umask),
    IN_FOLDER(key_file_is_made_in_the_current_folder),
    IN_FOLDER(key_file_is_the_same_for_all_who_start_at_once),
    IN_FOLDER(key_file_leaves_no_secret_in_memory_when_made_or_read),
    IN_FOLDER(key_file_that_others_may_read_is_refused),
    IN_FOLDER(key_file_of_another_version_is_refused),
    IN_FOLDER(key_file_cut_at_any_byte_is_refused),
    IN_FOLDER(key_file_with_bytes_behind_the_key_is_refused),
    IN_FOLDER(key_file_without_a_last_newline_is_refused),
    cmocka_unit_test(key_file_with_another_character_is_refused_and_not_quoted),
    cmocka_unit_test(key_file_that_is_refused_leaves_a_wiped_seed),
    IN_FOLDER(key_file_that_is_a_folder_or_a_pipe_is_refused),
    IN_FOLDER(key_file_that_cannot_be_opened_is_refused),
    IN_FOLDER(key_file_is_not_made_where_there_is_no_folder),
    IN_FOLDER(key_file_with_too_long_a_name_is_refused))
