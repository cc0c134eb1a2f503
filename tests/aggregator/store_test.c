/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store.h"

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "aggregator/backup.h"
#include "base/file.h"
#include "base/random.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

enum { MODEL_LEN = 3000, MASTER_LEN = 3500, NOBODY = 65534 };

static char folder[FL_SCRATCH_CAP];
static fl_reason why;

static int make_folder(void **state)
{
    (void)state;
    why = (fl_reason){""};
    assert_ok(fl_secure_start());
    return fl_scratch_make(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    fl_scratch_remove(folder);
    return 0;
}

static const char *inside(const char *name)
{
    static char path[PATH_MAX];
    assert_ok(fl_path_join(path, sizeof path, folder, name));
    return path;
}

static fl_store *open_store(void)
{
    fl_store *store = NULL;
    assert_ok(fl_store_open(&store, folder, false, &why));
    return store;
}

static void refuse_store(bool read_only, fl_err err, const char *word)
{
    fl_store *store = NULL;
    assert_err(fl_store_open(&store, folder, read_only, &why), err);
    assert_reason_names(why, word);
    assert_null(store);
}

static void make_bytes(uint8_t *bytes, size_t len, uint64_t seed,
                       uint32_t round)
{
    fl_random random;
    fl_random_init(&random, seed, FL_RANDOM_TEST, round);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)fl_random_u32(&random);
}

// What round `round` would have learnt: nothing else looks like it.
static void make_model(uint8_t bytes[MODEL_LEN], uint32_t round)
{
    make_bytes(bytes, MODEL_LEN, 1, round);
}

static void make_master(uint8_t bytes[MASTER_LEN], uint32_t round)
{
    make_bytes(bytes, MASTER_LEN, 2, round);
}

static fl_round_record make_record(uint32_t round, double accuracy)
{
    return (fl_round_record){
        .round = round,
        .attempt = 2,
        .finished_ms = 1700000000000 + round,
        .selected_count = 50,
        .update_count = 48,
        .sample_count = UINT64_MAX - round,
        .client_loss = 0.5,
        .client_accuracy = (double)NAN,
        .loss = (double)NAN,
        .accuracy = accuracy,
        .bytes_up = UINT64_MAX,
        .bytes_down = 7,
        .took_ms = 912,
        .aggregation = round == 0 ? 0 : 1 + round % 2,
        .sessions_aborted = UINT32_MAX,
        .bytes_control = UINT64_MAX - 1,
        .codec = UINT32_MAX - round,
        .payload_up = 48 * 3632,
        .up_support = UINT64_MAX - 2,
        .up_rounded = UINT64_MAX - 3,
        .up_packed = 3632,
        .moved = 4010,
        .download_1 = UINT64_MAX - 4,
        .download_10 = 17000,
        .download_full = 58000,
        .work = round % 4,
        .param_count = UINT64_MAX - 5,
        .mac_count = 282240,
        .model_bytes = 31000 + round,
        .accuracy_before = 0.875,
        .accuracy_after = (double)NAN,
        .verdict = round % 3,
        .int8_accuracy = 0.8125,
    };
}

// As an older version saved it.
static fl_err finish_without_master(fl_store *store, uint32_t round)
{
    uint8_t model[MODEL_LEN];
    make_model(model, round);
    fl_round_record record = make_record(round, 0.5);
    return fl_store_finish_round(store, &record, model, sizeof model, NULL, 0,
                                 &why);
}

static fl_err finish(fl_store *store, uint32_t round, double accuracy)
{
    uint8_t model[MODEL_LEN], master[MASTER_LEN];
    make_model(model, round);
    make_master(master, round);
    fl_round_record record = make_record(round, accuracy);
    return fl_store_finish_round(store, &record, model, sizeof model, master,
                                 sizeof master, &why);
}

static void finish_up_to(fl_store *store, uint32_t last)
{
    for (uint32_t round = 0; round <= last; round++)
        assert_ok(finish(store, round, 0.5));
}

static void assert_master(const uint8_t *master, size_t len, uint32_t round)
{
    uint8_t expected[MASTER_LEN];
    assert_int_equal(len, sizeof expected);
    make_master(expected, round);
    assert_memory_equal(master, expected, len);
}

static void assert_last(fl_store *store, uint32_t round, bool with_master)
{
    uint8_t *bytes = NULL, *master = NULL, expected[MODEL_LEN];
    size_t len = 0, master_len = 0;
    fl_round_record record;
    assert_ok(fl_store_last_round(store, &record, &bytes, &len, &master,
                                  &master_len, &why));
    assert_int_equal(record.round, round);
    assert_int_equal(len, sizeof expected);
    make_model(expected, round);
    assert_memory_equal(bytes, expected, len);
    free(bytes);
    if (with_master) {
        assert_master(master, master_len, round);
    } else {
        assert_null(master);
        assert_int_equal(master_len, 0);
    }
    free(master);
}

// Model and master of that round, and of no other.
static void assert_last_round(fl_store *store, uint32_t round)
{
    assert_last(store, round, true);
}

static void path_of(char path[PATH_MAX], const uint8_t *bytes, size_t len,
                    const char *ending)
{
    uint8_t hash[FL_HASH_BYTES];
    char digits[FL_HEX_CAP];
    fl_hash(hash, bytes, len);
    fl_hex_encode(digits, sizeof digits, hash, sizeof hash);
    snprintf(path, PATH_MAX, "%s/models/%s.%s", folder, digits, ending);
}

static void model_path(char path[PATH_MAX], uint32_t round)
{
    uint8_t model[MODEL_LEN];
    make_model(model, round);
    path_of(path, model, sizeof model, "onnx");
}

static void master_path(char path[PATH_MAX], uint32_t round)
{
    uint8_t master[MASTER_LEN];
    make_master(master, round);
    path_of(path, master, sizeof master, "master");
}

static bool has_master(uint32_t round)
{
    char path[PATH_MAX];
    master_path(path, round);
    return access(path, F_OK) == 0;
}

static bool has_model(uint32_t round)
{
    char path[PATH_MAX];
    model_path(path, round);
    return access(path, F_OK) == 0;
}

// What another program, or an accident, does to the database.
static void tamper(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(inside("fedge.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void overwrite(const char *path, off_t at, size_t len)
{
    const int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    for (size_t i = 0; i < len; i++) {
        const uint8_t byte = (uint8_t)(0xa5 + i);
        assert_int_equal(pwrite(fd, &byte, 1, at + (off_t)i), 1);
    }
    close(fd);
}

static void put_file(const char *name, const char *text)
{
    assert_ok(fl_file_write(inside(name), text, strlen(text), 0600, &why));
}

/* ---- opening ---- */

TEST(store_makes_its_folder_and_counts_starts)
{
    strcat(folder, "/a");
    fl_store *store = open_store();
    struct stat about;
    assert_int_equal(stat(folder, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0700);
    assert_int_equal(fl_store_start_count(store), 1);
    fl_store_close(store);
    store = open_store();
    assert_int_equal(fl_store_start_count(store), 2);
    fl_store_close(store);
    fl_store_close(NULL);
    *strrchr(folder, '/') = 0;
}

TEST(store_refuses_a_second_aggregator)
{
    assert_false(fl_store_is_running(folder));
    assert_false(fl_store_is_running("/nowhere"));
    fl_store *store = open_store();
    assert_true(fl_store_is_running(folder));
    refuse_store(false, FL_ERR_STATE, "/lock");
    assert_ok(finish(store, 0, 0));  // the first one is not disturbed
    fl_store_close(store);
    assert_false(fl_store_is_running(folder));
}

TEST(store_is_not_found_read_only_where_there_is_none)
{
    refuse_store(true, FL_ERR_NOT_FOUND, "fedge.sqlite");
    assert_int_equal(fl_scratch_count(folder), 0);
    put_file("fedge.sqlite", "");  // a start was cut short
    refuse_store(true, FL_ERR_NOT_FOUND, "fedge.sqlite");
    strcat(folder, "/none");
    refuse_store(true, FL_ERR_NOT_FOUND, "fedge.sqlite");
    assert_int_not_equal(access(folder, F_OK), 0);
    *strrchr(folder, '/') = 0;
}

TEST(store_is_readable_while_an_aggregator_runs)
{
    fl_store *store = open_store(), *reader = NULL;
    finish_up_to(store, 1);
    assert_ok(fl_store_open(&reader, folder, true, &why));
    assert_last_round(reader, 1);
    assert_ok(finish(store, 2, 0.5));
    assert_last_round(reader, 2);
    assert_int_equal(fl_store_start_count(reader), 1);
    fl_store_close(store);
    assert_last_round(reader, 2);
    fl_store_close(reader);
}

// As somebody who may look but not write; exits 0 when that works.
static void read_as_nobody(void)
{
    fl_store *store = NULL;
    fl_round_record record;
    uint8_t *bytes = NULL, *master = NULL;
    size_t len, master_len;
    if (geteuid() == 0 && setuid(NOBODY) != 0) _exit(2);
    if (access(folder, W_OK) == 0) _exit(3);
    if (fl_store_open(&store, folder, true, &why)) _exit(4);
    if (fl_store_last_round(store, &record, &bytes, &len, &master, &master_len,
                            &why)) {
        _exit(5);
    }
    free(bytes);
    free(master);
    fl_store_close(store);
    _exit(record.round == 3 ? 0 : 6);
}

static void assert_readable_by_nobody(void)
{
    const size_t count = fl_scratch_count(folder);
    const pid_t child = fork();
    if (child == 0) read_as_nobody();
    int status = -1;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(fl_scratch_count(folder), count);
}

static void allow_reading(void)
{
    char path[PATH_MAX];
    assert_int_equal(chmod(inside("models"), 0555), 0);
    for (uint32_t round = 0; round <= 3; round++) {
        model_path(path, round);
        assert_int_equal(chmod(path, 0444), 0);
    }
    master_path(path, 3);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(chmod(inside("fedge.sqlite"), 0444), 0);
    assert_int_equal(chmod(folder, 0555), 0);
}

static void disallow_reading(void)
{
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(chmod(inside("models"), 0700), 0);
    assert_int_equal(chmod(inside("fedge.sqlite"), 0600), 0);
}

TEST(store_is_readable_by_one_who_cannot_write)
{
    fl_store *store = open_store();
    finish_up_to(store, 3);
    fl_store_close(store);
    allow_reading();
    assert_readable_by_nobody();
    disallow_reading();
}

static void finish_and_wait(void *self, int report)
{
    fl_store *store = open_store();
    finish_up_to(store, 3);
    const uint32_t done = 3;
    (void)self;
    if (write(report, &done, sizeof done) == sizeof done) pause();
}

TEST(store_is_readable_by_one_who_cannot_write_after_a_crash)
{
    unsigned done = 0;
    assert_true(fl_scratch_kill(finish_and_wait, NULL, 0, &done));
    assert_int_equal(done, 3);
    assert_int_equal(access(inside("fedge.sqlite-wal"), F_OK), 0);
    allow_reading();
    assert_readable_by_nobody();
    disallow_reading();
}

TEST(store_refuses_a_folder_it_cannot_write)
{
    char parent[FL_SCRATCH_CAP];
    strcpy(parent, folder);
    put_file("file", "");
    strcat(folder, "/file/state");  // root may write anywhere but here
    refuse_store(false, FL_ERR_SYSTEM, "/file");
    strcpy(folder, "/proc/fedge");
    refuse_store(false, FL_ERR_SYSTEM, "/proc/fedge");
    strcpy(folder, parent);
}

TEST(store_refuses_a_name_that_is_too_long)
{
    char name[PATH_MAX];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = 0;
    fl_store *store = NULL;
    assert_err(fl_store_open(&store, name, false, &why), FL_ERR_SYSTEM);
    assert_err(fl_store_open(&store, name, true, &why), FL_ERR_SYSTEM);
    assert_false(fl_store_is_running(name));
}

TEST(store_opens_a_folder_with_an_odd_name)
{
    strcat(folder, "/50%?#x");
    fl_store *store = open_store();
    assert_ok(finish(store, 0, 0));
    fl_store_close(store);
    assert_int_equal(access(inside("fedge.sqlite"), F_OK), 0);
    *strrchr(folder, '/') = 0;
}

/* ---- settings ---- */

TEST(store_keeps_a_pinned_setting_for_life)
{
    fl_store *store = open_store();
    assert_ok(fl_store_pin_setting(store, "seed", "7", &why));
    assert_ok(fl_store_pin_setting(store, "model", "lenet5", &why));
    fl_store_close(store);
    store = open_store();
    assert_ok(fl_store_pin_setting(store, "seed", "7", &why));
    assert_err(fl_store_pin_setting(store, "seed", "8", &why), FL_ERR_STATE);
    assert_reason_names(why, "seed");
    assert_reason_names(why, "\"7\"");
    assert_reason_names(why, "\"8\"");
    fl_store_close(store);
}

/* ---- rounds ---- */

static bool same_number(double a, double b)
{
    return isnan(a) ? isnan(b) : a == b;
}

static void assert_same_record(const fl_round_record *a,
                               const fl_round_record *b)
{
    assert_int_equal(a->round, b->round);
    assert_int_equal(a->attempt, b->attempt);
    assert_int_equal(a->finished_ms, b->finished_ms);
    assert_int_equal(a->selected_count, b->selected_count);
    assert_int_equal(a->update_count, b->update_count);
    assert_int_equal(a->sample_count, b->sample_count);
    assert_true(same_number(a->client_loss, b->client_loss));
    assert_true(same_number(a->client_accuracy, b->client_accuracy));
    assert_true(same_number(a->loss, b->loss));
    assert_true(same_number(a->accuracy, b->accuracy));
    assert_int_equal(a->bytes_up, b->bytes_up);
    assert_int_equal(a->bytes_down, b->bytes_down);
    assert_int_equal(a->took_ms, b->took_ms);
    assert_memory_equal(a->model, b->model, FL_HASH_BYTES);
    assert_int_equal(a->aggregation, b->aggregation);
    assert_int_equal(a->sessions_aborted, b->sessions_aborted);
    assert_int_equal(a->bytes_control, b->bytes_control);
    assert_int_equal(a->codec, b->codec);
    assert_int_equal(a->payload_up, b->payload_up);
    assert_int_equal(a->up_support, b->up_support);
    assert_int_equal(a->up_rounded, b->up_rounded);
    assert_int_equal(a->up_packed, b->up_packed);
    assert_int_equal(a->moved, b->moved);
    assert_int_equal(a->download_1, b->download_1);
    assert_int_equal(a->download_10, b->download_10);
    assert_int_equal(a->download_full, b->download_full);
    assert_int_equal(a->work, b->work);
    assert_int_equal(a->param_count, b->param_count);
    assert_int_equal(a->mac_count, b->mac_count);
    assert_int_equal(a->model_bytes, b->model_bytes);
    assert_true(same_number(a->accuracy_before, b->accuracy_before));
    assert_true(same_number(a->accuracy_after, b->accuracy_after));
    assert_int_equal(a->verdict, b->verdict);
    assert_true(same_number(a->int8_accuracy, b->int8_accuracy));
}

TEST(store_gives_back_the_last_round_as_it_was)
{
    fl_store *store = open_store();
    uint8_t model[MODEL_LEN], hash[FL_HASH_BYTES];
    uint8_t *bytes = NULL, *master = NULL;
    size_t len = 0, master_len = 0;
    fl_round_record saved = make_record(0, 0.25), found;
    assert_err(fl_store_last_round(store, &found, &bytes, &len, &master,
                                   &master_len, &why),
               FL_ERR_NOT_FOUND);
    make_model(model, 0);
    fl_hash(hash, model, sizeof model);
    assert_ok(fl_store_finish_round(store, &saved, model, sizeof model,
                                    (const uint8_t *)"m", 1, &why));
    assert_memory_equal(saved.model, hash, sizeof hash);
    fl_store_close(store);

    store = open_store();
    assert_ok(fl_store_last_round(store, &found, &bytes, &len, &master,
                                  &master_len, &why));
    assert_same_record(&saved, &found);
    assert_int_equal(len, sizeof model);
    assert_memory_equal(bytes, model, len);
    free(bytes);
    assert_int_equal(master_len, 1);
    assert_int_equal(master[0], 'm');
    free(master);
    assert_ok(
        fl_store_last_round(store, &found, &bytes, &len, NULL, NULL, &why));
    free(bytes);
    fl_store_close(store);
}

TEST(store_saves_a_round_without_a_master)
{
    fl_store *store = open_store();
    assert_ok(finish(store, 0, 0));
    assert_ok(finish_without_master(store, 1));
    assert_false(has_master(0));
    assert_last(store, 1, false);
    assert_ok(finish(store, 2, 0));
    assert_last_round(store, 2);
    fl_store_close(store);
}

TEST(store_keeps_the_master_of_the_last_round_alone)
{
    fl_store *store = open_store();
    for (uint32_t round = 0; round < 3; round++) {
        assert_ok(finish(store, round, 0.5));
        for (uint32_t i = 0; i <= round; i++)
            assert_int_equal(has_master(i), i == round);
    }
    assert_int_equal(fl_scratch_count(inside("models")), 3 + 1);
    fl_store_close(store);
}

TEST(store_takes_rounds_one_after_the_other)
{
    fl_store *store = open_store();
    assert_err(finish(store, 1, 0), FL_ERR_STATE);
    assert_reason_names(why, "round 0 is the next");
    assert_ok(finish(store, 0, 0));
    assert_err(finish(store, 0, 0), FL_ERR_STATE);
    assert_err(finish(store, 2, 0), FL_ERR_STATE);
    assert_ok(finish(store, 1, 0));
    assert_last_round(store, 1);
    assert_false(has_model(2));
    fl_store_close(store);
}

TEST(store_keeps_the_models_of_the_last_rounds_and_the_best)
{
    fl_store *store = open_store();
    for (uint32_t round = 0; round < 15; round++)
        assert_ok(finish(store, round, round == 2 ? 0.9 : round / 100.0));
    assert_int_equal(fl_scratch_count(inside("models")),
                     FL_STORE_MODELS_KEPT + 2);  // and the master
    for (uint32_t round = 0; round < 15; round++)
        assert_int_equal(has_model(round), round == 2 || round >= 5);

    assert_ok(finish(store, 15, 0.95));  // a better one
    assert_false(has_model(2));
    fl_store_close(store);
}

TEST(store_keeps_no_best_where_nothing_was_measured)
{
    fl_store *store = open_store();
    for (uint32_t round = 0; round < 12; round++)
        assert_ok(finish(store, round, (double)NAN));
    assert_int_equal(fl_scratch_count(inside("models")),
                     FL_STORE_MODELS_KEPT + 1);
    fl_store_close(store);
}

TEST(store_reads_any_model_that_is_kept)
{
    fl_store *store = open_store();
    uint8_t model[MODEL_LEN], hash[FL_HASH_BYTES], *bytes = NULL;
    size_t len = 0;
    for (uint32_t round = 0; round < 12; round++)
        assert_ok(finish(store, round, round / 100.0));
    make_model(model, 5);
    fl_hash(hash, model, sizeof model);
    assert_ok(fl_store_read_model(store, &bytes, &len, hash, &why));
    assert_int_equal(len, sizeof model);
    assert_memory_equal(bytes, model, len);
    free(bytes);

    make_model(model, 1);  // too old
    fl_hash(hash, model, sizeof model);
    assert_err(fl_store_read_model(store, &bytes, &len, hash, &why),
               FL_ERR_NOT_FOUND);
    hash[0] ^= 1;  // never was
    assert_err(fl_store_read_model(store, &bytes, &len, hash, &why),
               FL_ERR_NOT_FOUND);
    fl_store_close(store);
}

TEST(store_keeps_one_file_for_a_model_that_does_not_change)
{
    fl_store *store = open_store();
    uint8_t model[MODEL_LEN], master[MASTER_LEN];
    make_model(model, 0);
    make_master(master, 0);
    for (uint32_t round = 0; round < 25; round++) {
        fl_round_record record = make_record(round, 0.5);
        assert_ok(fl_store_finish_round(store, &record, model, sizeof model,
                                        master, sizeof master, &why));
    }
    assert_int_equal(fl_scratch_count(inside("models")), 2);
    assert_true(has_model(0));
    assert_true(has_master(0));
    fl_store_close(store);
}

// A file of no round, and one whose writing was cut short.
static void put_strays(const char *stray, const char *owned)
{
    char cut[PATH_MAX + 8];
    assert_ok(fl_file_write(stray, "x", 1, 0600, &why));
    snprintf(cut, sizeof cut, "%s.tmp", owned);
    assert_ok(fl_file_write(cut, "x", 1, 0600, &why));
}

TEST(store_deletes_at_its_start_what_no_round_names)
{
    char stray[PATH_MAX], owned[PATH_MAX];
    fl_store *store = open_store();
    finish_up_to(store, 1);
    fl_store_close(store);
    master_path(stray, 2);
    master_path(owned, 1);
    put_strays(stray, owned);
    model_path(stray, 2);
    model_path(owned, 1);
    put_strays(stray, owned);
    put_file("models/mine.onnx", "x");
    put_file("models/mine.master", "x");
    put_file("models/README", "x");
    memset(strstr(stray, "models/") + strlen("models/"), 'A', 64);
    assert_ok(fl_file_write(stray, "x", 1, 0600, &why));

    store = open_store();
    // Two models, a master, and four files that are nobody's.
    assert_int_equal(fl_scratch_count(inside("models")), 7);
    assert_false(has_model(2));
    assert_false(has_master(2));
    assert_last_round(store, 1);
    fl_store_close(store);
}

static void collect_round(void *self, const fl_round_record *record)
{
    uint32_t *next = self;
    assert_int_equal(record->round, *next);
    fl_round_record expected = make_record(record->round, 0.5);
    memcpy(expected.model, record->model, sizeof expected.model);
    assert_same_record(record, &expected);
    ++*next;
}

TEST(store_lists_rounds_in_order)
{
    fl_store *store = open_store();
    uint32_t next = 0;
    assert_ok(fl_store_each_round(store, 0, collect_round, &next, &why));
    assert_int_equal(next, 0);
    finish_up_to(store, 12);
    assert_ok(fl_store_each_round(store, 0, collect_round, &next, &why));
    assert_int_equal(next, 13);
    next = 5;
    assert_ok(fl_store_each_round(store, 5, collect_round, &next, &why));
    assert_int_equal(next, 13);
    fl_store_close(store);
}

/* ---- clients ---- */

static fl_client_record make_client(uint8_t number, int64_t last_seen_ms)
{
    fl_client_record client = {
        .first_seen_ms = 1,
        .last_seen_ms = last_seen_ms,
        .round_count = UINT32_MAX,
        .last_round = number,
    };
    memset(client.public_key, number, sizeof client.public_key);
    return client;
}

TEST(store_knows_a_client_by_its_public_key)
{
    fl_store *store = open_store();
    fl_client_record client = make_client(7, 100), found;
    assert_err(fl_store_get_client(store, &found, client.public_key, &why),
               FL_ERR_NOT_FOUND);
    assert_reason_names(why, "07070707");
    assert_ok(fl_store_put_client(store, &client, &why));
    client.last_seen_ms = 200;
    assert_ok(fl_store_put_client(store, &client, &why));
    fl_store_close(store);

    store = open_store();
    assert_ok(fl_store_get_client(store, &found, client.public_key, &why));
    assert_memory_equal(found.public_key, client.public_key, FL_KEY_BYTES);
    assert_int_equal(found.first_seen_ms, 1);
    assert_int_equal(found.last_seen_ms, 200);
    assert_int_equal(found.round_count, UINT32_MAX);
    assert_int_equal(found.last_round, 7);
    fl_store_close(store);
}

typedef struct {
    uint8_t numbers[8];
    size_t count;
} client_list;

static void collect_client(void *self, const fl_client_record *client)
{
    client_list *list = self;
    assert_true(list->count < sizeof list->numbers);
    list->numbers[list->count++] = client->public_key[0];
}

TEST(store_lists_the_client_seen_last_first)
{
    fl_store *store = open_store();
    const fl_client_record clients[] = {make_client(1, 20), make_client(2, 30),
                                        make_client(3, 10), make_client(4, 20)};
    for (size_t i = 0; i < 4; i++)
        assert_ok(fl_store_put_client(store, &clients[i], &why));
    client_list list = {.count = 0};
    assert_ok(fl_store_each_client(store, collect_client, &list, &why));
    const uint8_t expected[] = {2, 1, 4, 3};
    assert_int_equal(list.count, 4);
    assert_memory_equal(list.numbers, expected, 4);
    fl_store_close(store);
}

TEST(store_takes_no_more_clients_than_the_maximum)
{
    fl_store_close(open_store());
    char sql[300];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
             " WHERE i < %d) INSERT INTO client"
             " SELECT CAST(printf('%%032d', i) AS BLOB), 1, 1, 0, 0 FROM n",
             FL_STORE_CLIENTS_MAX - 1);
    tamper(sql);

    fl_store *store = open_store();
    const fl_client_record last = make_client(1, 1), more = make_client(2, 1);
    assert_ok(fl_store_put_client(store, &last, &why));
    assert_err(fl_store_put_client(store, &more, &why), FL_ERR_LIMIT);
    assert_reason_names(why, "100000");
    assert_ok(fl_store_put_client(store, &last, &why));  // known: no growth
    fl_store_close(store);
}

/* ---- older versions ---- */

// The tables of version 0.1's first rounds, as it made them.
static const char layout_1[] =
    "CREATE TABLE start ("
    "  id INTEGER PRIMARY KEY CHECK (id = 1),"
    "  count INTEGER NOT NULL"
    ") STRICT;"
    "INSERT INTO start VALUES (1, 0);"
    "CREATE TABLE setting ("
    "  key TEXT PRIMARY KEY,"
    "  value TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE model ("
    "  hash BLOB PRIMARY KEY CHECK (length(hash) = 32),"
    "  len INTEGER NOT NULL CHECK (len >= 0)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE round ("
    "  round INTEGER PRIMARY KEY,"
    "  attempt INTEGER NOT NULL,"
    "  finished_ms INTEGER NOT NULL,"
    "  selected_count INTEGER NOT NULL,"
    "  update_count INTEGER NOT NULL,"
    "  sample_count INTEGER NOT NULL,"
    "  client_loss REAL,"
    "  client_accuracy REAL,"
    "  loss REAL,"
    "  accuracy REAL,"
    "  bytes_up INTEGER NOT NULL,"
    "  bytes_down INTEGER NOT NULL,"
    "  took_ms INTEGER NOT NULL,"
    "  model BLOB NOT NULL REFERENCES model (hash)"
    ") STRICT;"
    "CREATE TABLE client ("
    "  public_key BLOB PRIMARY KEY CHECK (length(public_key) = 32),"
    "  first_seen_ms INTEGER NOT NULL,"
    "  last_seen_ms INTEGER NOT NULL,"
    "  sample_count INTEGER NOT NULL,"
    "  round_count INTEGER NOT NULL,"
    "  last_round INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 1;";

// And those of its first sessions.
static const char layout_2[] =
    "ALTER TABLE round ADD COLUMN aggregation INTEGER NOT NULL DEFAULT 2"
    "  CHECK (aggregation BETWEEN 0 AND 2);"
    "UPDATE round SET aggregation = 0 WHERE round = 0;"
    "ALTER TABLE round ADD COLUMN sessions_aborted INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN bytes_control INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE client DROP COLUMN sample_count;"
    "PRAGMA user_version = 2;"
    "UPDATE round SET sessions_aborted = 9;";

// And those of its first compressed updates.
static const char layout_3[] =
    "ALTER TABLE round ADD COLUMN codec INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN payload_up INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN up_support INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN up_rounded INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN up_packed INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN download_1 INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN download_10 INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN download_full INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN master BLOB"
    "  CHECK (master IS NULL OR length(master) = 32);"
    "ALTER TABLE round ADD COLUMN master_len INTEGER NOT NULL DEFAULT 0"
    "  CHECK (master_len >= 0);"
    "PRAGMA user_version = 3;"
    "UPDATE round SET sessions_aborted = 8;";

// And those of its first smaller models.
static const char layout_4[] =
    "ALTER TABLE round ADD COLUMN work INTEGER NOT NULL DEFAULT 0"
    "  CHECK (work BETWEEN 0 AND 3);"
    "ALTER TABLE round ADD COLUMN param_count INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN mac_count INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN model_bytes INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN accuracy_before REAL;"
    "ALTER TABLE round ADD COLUMN accuracy_after REAL;"
    "ALTER TABLE round ADD COLUMN verdict INTEGER NOT NULL DEFAULT 0"
    "  CHECK (verdict BETWEEN 0 AND 2);"
    "ALTER TABLE round ADD COLUMN int8_accuracy REAL;"
    "PRAGMA user_version = 4;"
    "UPDATE round SET sessions_aborted = 7;";

static void run_sql(sqlite3 *db, const char *sql)
{
    assert_int_equal(sqlite3_exec(db, sql, 0, 0, 0), SQLITE_OK);
}

// Turns the store into one that an older version has left: four rounds, a
// client.
static void make_old_store(unsigned layout)
{
    const fl_client_record client = make_client(7, 100);
    fl_store *store = open_store();
    for (uint32_t round = 0; round <= 3; round++)
        assert_ok(finish_without_master(store, round));
    assert_ok(fl_store_put_client(store, &client, &why));
    fl_store_close(store);
    sqlite3 *db = NULL;
    char sql[PATH_MAX + 700];
    snprintf(sql, sizeof sql,
             "ATTACH '%s' AS new;"
             "UPDATE start SET count = 5;"
             "INSERT INTO model SELECT hash, len FROM new.model;"
             "INSERT INTO round SELECT round, attempt, finished_ms,"
             " selected_count, update_count, sample_count, client_loss,"
             " client_accuracy, loss, accuracy, bytes_up, bytes_down, took_ms,"
             " model FROM new.round;"
             "INSERT INTO client SELECT public_key, first_seen_ms,"
             " last_seen_ms, 600, round_count, last_round FROM new.client;",
             inside("fedge.sqlite"));
    assert_int_equal(sqlite3_open(inside("old"), &db), SQLITE_OK);
    run_sql(db, layout_1);
    run_sql(db, sql);
    run_sql(db, "DETACH new");
    if (layout >= 2) run_sql(db, layout_2);
    if (layout >= 3) run_sql(db, layout_3);
    if (layout >= 4) run_sql(db, layout_4);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    char old[PATH_MAX];
    strcpy(old, inside("old"));
    assert_int_equal(rename(old, inside("fedge.sqlite")), 0);
}

static void collect_old_round(void *self, const fl_round_record *record)
{
    uint32_t *next = self;
    const fl_round_record full = make_record(record->round, 0.5);
    fl_round_record expected = {
        .round = full.round,
        .attempt = full.attempt,
        .finished_ms = full.finished_ms,
        .selected_count = full.selected_count,
        .update_count = full.update_count,
        .sample_count = full.sample_count,
        .client_loss = full.client_loss,
        .client_accuracy = full.client_accuracy,
        .loss = full.loss,
        .accuracy = full.accuracy,
        .bytes_up = full.bytes_up,
        .bytes_down = full.bytes_down,
        .took_ms = full.took_ms,
        .aggregation = record->round == 0 ? 0 : 2,  // in the clear
        .sessions_aborted = record->sessions_aborted,
        .accuracy_before = (double)NAN,
        .accuracy_after = (double)NAN,
        .int8_accuracy = (double)NAN,
    };
    memcpy(expected.model, record->model, sizeof expected.model);
    assert_same_record(record, &expected);
    ++*next;
}

static void check_sessions(void *self, const fl_round_record *record)
{
    assert_int_equal(record->sessions_aborted, *(uint32_t *)self);
}

static void bring_up_to_date(unsigned layout, uint32_t sessions_aborted)
{
    make_old_store(layout);
    for (uint64_t start = 6; start <= 7; start++) {  // once, and never again
        fl_store *store = open_store();
        fl_client_record client = make_client(7, 0);
        uint32_t next = 0;
        assert_int_equal(fl_store_start_count(store), start);
        assert_ok(
            fl_store_each_round(store, 0, collect_old_round, &next, &why));
        assert_int_equal(next, 4);
        assert_ok(fl_store_each_round(store, 0, check_sessions,
                                      &sessions_aborted, &why));
        assert_last(store, 3, false);
        assert_ok(fl_store_get_client(store, &client, client.public_key, &why));
        assert_int_equal(client.last_seen_ms, 100);
        assert_int_equal(client.round_count, UINT32_MAX);
        assert_int_equal(client.last_round, 7);
        fl_store_close(store);
    }
    fl_store *store = open_store();
    assert_ok(finish(store, 4, 0.5));
    assert_last_round(store, 4);
    fl_store_close(store);
}

TEST(store_brings_a_folder_of_an_older_version_up_to_date)
{
    bring_up_to_date(1, 0);
}

TEST(store_brings_a_folder_of_the_first_sessions_up_to_date)
{
    bring_up_to_date(2, 9);
}

TEST(store_brings_a_folder_of_the_first_compressed_updates_up_to_date)
{
    bring_up_to_date(3, 8);
}

TEST(store_brings_a_folder_of_the_version_before_up_to_date)
{
    bring_up_to_date(4, 7);
}

TEST(store_of_an_older_version_is_not_changed_by_one_who_reads)
{
    make_old_store(1);
    refuse_store(true, FL_ERR_FORMAT, "older");
    assert_reason_names(why, "fedge-aggregator run");
    refuse_store(true, FL_ERR_FORMAT, "older");
}

// Read as new or refused as old: nothing lies between.
static bool is_old(void)
{
    fl_store *store = NULL;
    const fl_err err = fl_store_open(&store, folder, true, &why);
    if (err) {
        assert_err(err, FL_ERR_FORMAT);
        assert_reason_names(why, "older");
        return true;
    }
    uint32_t next = 0;
    assert_ok(fl_store_each_round(store, 0, collect_old_round, &next, &why));
    assert_int_equal(next, 4);
    fl_store_close(store);
    return false;
}

TEST(store_of_an_older_version_stays_so_when_the_disk_is_full)
{
    if (!fl_scratch_mount(folder, 1 << 18)) skip();
    make_old_store(1);
    unsigned old_count = 0;
    for (size_t pages = 0; pages < 20; pages++) {
        assert_true(fl_scratch_fill(folder, pages * 4096));
        fl_store *store = NULL;
        const fl_err err = fl_store_open(&store, folder, false, &why);
        fl_store_close(store);
        if (!err) break;
        assert_err(err, FL_ERR_SYSTEM);
        assert_true(fl_scratch_fill(folder, SIZE_MAX));
        old_count += is_old();
    }
    assert_true(old_count > 2);
    assert_true(fl_scratch_fill(folder, SIZE_MAX));
    fl_store *store = open_store();
    assert_last(store, 3, false);
    fl_store_close(store);
}

// As a database whose layout is named so, but is not.
TEST(store_refuses_an_older_version_without_its_tables)
{
    tamper("CREATE TABLE songs (title TEXT); PRAGMA user_version = 1");
    refuse_store(false, FL_ERR_FORMAT, "damaged");
    tamper("PRAGMA user_version = -1");
    refuse_store(false, FL_ERR_FORMAT, "other program");
    refuse_store(true, FL_ERR_FORMAT, "other program");
}

/* ---- damage ---- */

static void make_rounds(void)
{
    fl_store *store = open_store();
    finish_up_to(store, 3);
    fl_store_close(store);
}

TEST(store_refuses_a_database_that_is_damaged)
{
    make_rounds();
    overwrite(inside("fedge.sqlite"), 0, 64);
    refuse_store(false, FL_ERR_FORMAT, "fedge.sqlite");
    assert_reason_names(why, "backup");
    refuse_store(true, FL_ERR_FORMAT, "fedge.sqlite");
}

TEST(store_refuses_a_database_with_a_damaged_page)
{
    make_rounds();
    struct stat about;
    assert_int_equal(stat(inside("fedge.sqlite"), &about), 0);
    for (off_t page = 1; page < about.st_size / 4096; page++)
        overwrite(inside("fedge.sqlite"), page * 4096, 4096);
    refuse_store(false, FL_ERR_FORMAT, "damaged");
}

TEST(store_refuses_a_database_that_was_cut)
{
    make_rounds();
    assert_int_equal(truncate(inside("fedge.sqlite"), 2 * 4096), 0);
    refuse_store(false, FL_ERR_FORMAT, "damaged");
    assert_true(has_model(3));  // nothing was deleted
}

TEST(store_refuses_a_value_outside_its_range)
{
    make_rounds();
    tamper("UPDATE round SET attempt = -1 WHERE round = 3");
    fl_store *store = open_store();
    fl_round_record record;
    uint8_t *bytes = NULL;
    size_t len;
    assert_err(
        fl_store_last_round(store, &record, &bytes, &len, NULL, NULL, &why),
        FL_ERR_FORMAT);
    uint32_t next = 0;
    assert_err(fl_store_each_round(store, 0, collect_round, &next, &why),
               FL_ERR_FORMAT);
    assert_int_equal(next, 3);  // the bad one was not shown
    fl_store_close(store);
}

TEST(store_checks_the_whole_database_before_it_writes)
{
    make_rounds();
    tamper("PRAGMA ignore_check_constraints = ON;"
           "UPDATE model SET len = -1");
    refuse_store(false, FL_ERR_FORMAT, "model");
}

TEST(store_refuses_a_database_without_its_tables)
{
    make_rounds();
    tamper("DROP TABLE round");
    refuse_store(false, FL_ERR_FORMAT, "round");
}

TEST(store_refuses_a_newer_version)
{
    make_rounds();
    tamper("PRAGMA user_version = 6");
    refuse_store(false, FL_ERR_FORMAT, "newer");
    refuse_store(true, FL_ERR_FORMAT, "newer");
    tamper("PRAGMA user_version = 5");
    fl_store *store = open_store();
    assert_last_round(store, 3);
    fl_store_close(store);
}

TEST(store_refuses_the_database_of_another_program)
{
    tamper("CREATE TABLE songs (title TEXT)");
    refuse_store(false, FL_ERR_FORMAT, "other program");
    refuse_store(true, FL_ERR_FORMAT, "other program");
}

TEST(store_deletes_no_models_because_the_database_is_lost)
{
    make_rounds();
    assert_int_equal(unlink(inside("fedge.sqlite")), 0);
    refuse_store(false, FL_ERR_FORMAT, "fedge.sqlite");
    refuse_store(false, FL_ERR_FORMAT, "fedge.sqlite");  // nor the second time
    assert_true(has_model(3));
    // As a full disk or a loss of power can leave it.
    assert_ok(fl_file_write(inside("fedge.sqlite"), "", 0, 0600, &why));
    refuse_store(false, FL_ERR_FORMAT, "fedge.sqlite: empty");
    assert_true(has_model(3));
}

static void assert_last_refused(fl_store *store, const char *word)
{
    fl_round_record record;
    uint8_t *bytes = NULL, *master = NULL;
    size_t len, master_len;
    assert_err(fl_store_last_round(store, &record, &bytes, &len, &master,
                                   &master_len, &why),
               FL_ERR_FORMAT);
    assert_reason_names(why, word);
    assert_reason_names(why, "backup");
    assert_null(bytes);
    assert_null(master);
}

static void refuse_damaged(const char *path, size_t len, const char *word,
                           const char *lost)
{
    fl_store *store = open_store();
    overwrite(path, 1000, 1);
    assert_last_refused(store, word);
    overwrite(path, (off_t)len, 1);
    assert_last_refused(store, word);
    assert_int_equal(truncate(path, 10), 0);
    assert_last_refused(store, word);
    assert_int_equal(unlink(path), 0);
    assert_last_refused(store, lost);
    fl_store_close(store);
}

TEST(store_refuses_a_model_that_is_damaged)
{
    make_rounds();
    char path[PATH_MAX];
    model_path(path, 3);
    refuse_damaged(path, MODEL_LEN, ".onnx", "model of round 3 is lost");
}

TEST(store_refuses_a_master_that_is_damaged)
{
    make_rounds();
    char path[PATH_MAX];
    master_path(path, 3);
    refuse_damaged(path, MASTER_LEN, ".master",
                   "master model of round 3 is lost");
}

TEST(store_leaves_nothing_of_a_backup_that_fails)
{
    make_rounds();
    char path[PATH_MAX];
    model_path(path, 3);
    assert_int_equal(unlink(path), 0);
    assert_err(fl_backup_write(folder, inside("copy"), &why), FL_ERR_FORMAT);
    assert_int_not_equal(access(inside("copy.part"), F_OK), 0);
    assert_int_not_equal(access(inside("copy"), F_OK), 0);
}

TEST(store_refuses_a_master_of_another_length)
{
    make_rounds();
    tamper("UPDATE round SET master_len = 10 WHERE round = 3");
    fl_store *store = open_store();
    assert_last_refused(store, ".master");
    fl_store_close(store);
    tamper("UPDATE round SET master_len = 4000 WHERE round = 3");
    store = open_store();
    assert_last_refused(store, ".master");
    fl_store_close(store);
}

/* ---- full disks and crashes ---- */

TEST(store_changes_nothing_when_the_disk_is_full)
{
    if (!fl_scratch_mount(folder, 1 << 20)) skip();
    fl_store *store = open_store();
    finish_up_to(store, 3);
    const fl_client_record client = make_client(1, 1);
    uint32_t next = 4;
    unsigned failed = 0;
    // Room for nothing, for the model, for the model and half the log, ...
    for (size_t pages = 0; pages < 12; pages++) {
        assert_true(fl_scratch_fill(folder, pages * 4096));
        if (pages == 0) {
            assert_err(fl_store_put_client(store, &client, &why),
                       FL_ERR_SYSTEM);
            assert_reason_names(why, "full");
        }
        const fl_err err = finish(store, next, 0.5);
        if (err) {
            failed++;
            assert_err(err, FL_ERR_SYSTEM);
            assert_reason_names(why, "room");
            assert_false(has_model(next));
            assert_false(has_master(next));
        } else {
            next++;
        }
        assert_last_round(store, next - 1);
    }
    assert_true(failed >= 3 && failed < 12);
    assert_true(fl_scratch_fill(folder, SIZE_MAX));
    assert_ok(finish(store, next, 0.5));
    assert_ok(fl_store_put_client(store, &client, &why));
    fl_store_close(store);
    store = open_store();
    assert_last_round(store, next);
    fl_store_close(store);
}

TEST(store_does_not_open_on_a_full_disk)
{
    if (!fl_scratch_mount(folder, 1 << 18)) skip();
    for (size_t pages = 0; pages < 12; pages++) {
        assert_true(fl_scratch_fill(folder, pages * 4096));
        fl_store *store = NULL;
        const fl_err err = fl_store_open(&store, folder, false, &why);
        if (err) assert_err(err, FL_ERR_SYSTEM);
        fl_store_close(store);
    }
    assert_true(fl_scratch_fill(folder, SIZE_MAX));
    fl_store *store = open_store();
    assert_ok(finish(store, 0, 0));
    fl_store_close(store);
}

TEST(store_takes_nothing_more_after_a_write_that_failed_half_way)
{
    fl_store *store = open_store();
    finish_up_to(store, 3);
    struct stat about;
    assert_int_equal(stat(inside("fedge.sqlite-wal"), &about), 0);
    assert_true(fl_scratch_limit_files((size_t)about.st_size + 5000));
    const fl_err err = finish(store, 4, 0.5);
    assert_true(fl_scratch_limit_files(SIZE_MAX));
    assert_err(err, FL_ERR_SYSTEM);

    const fl_client_record client = make_client(1, 1);
    assert_err(finish(store, 4, 0.5), FL_ERR_SYSTEM);
    assert_reason_names(why, "start again");
    assert_err(fl_store_put_client(store, &client, &why), FL_ERR_SYSTEM);
    assert_err(fl_store_pin_setting(store, "a", "b", &why), FL_ERR_SYSTEM);
    assert_last_round(store, 3);
    fl_store_close(store);
    store = open_store();
    assert_last_round(store, 3);
    assert_ok(finish(store, 4, 0.5));
    fl_store_close(store);
}

// An aggregator's life; each round is reported after it was finished.
static void finish_rounds(void *self, int report)
{
    (void)self;
    fl_store *store = open_store();
    uint8_t *bytes = NULL;
    size_t len;
    fl_round_record last;
    const fl_err err =
        fl_store_last_round(store, &last, &bytes, &len, NULL, NULL, &why);
    uint32_t next = err ? 0 : last.round + 1;
    for (;; next++) {
        if (finish(store, next, 0.5)) _exit(1);
        if (write(report, &next, sizeof next) != sizeof next) _exit(1);
    }
}

TEST(store_loses_no_finished_round_when_it_is_killed)
{
    fl_store *store = open_store();
    assert_ok(finish(store, 0, 0.5));
    fl_store_close(store);
    fl_random random;
    fl_random_init(&random, 3, FL_RANDOM_TEST, 0);
    unsigned reported = 0;
    // Fifty deaths; on a slow machine more, of longer lives, until it got
    // somewhere.
    for (unsigned i = 0; i < 50 || reported <= 10; i++) {
        const unsigned after_us =
            500 + fl_random_below(&random, 40000 + i * 500);
        assert_true(i < 1000);
        assert_true(fl_scratch_kill(finish_rounds, NULL, after_us, &reported));
        store = open_store();
        uint32_t next = 0;
        assert_ok(fl_store_each_round(store, 0, collect_round, &next, &why));
        assert_true(next >= reported + 1 && next <= reported + 2);
        assert_last_round(store, next - 1);
        assert_true(fl_scratch_count(inside("models")) <=
                    FL_STORE_MODELS_KEPT + 1);
        reported = next - 1;
        fl_store_close(store);
    }
}

TEST(store_reads_a_few_rounds_at_a_time)
{
    enum { CAP = 3 };
    fl_round_record records[CAP];
    size_t count = 9;
    fl_store *store = open_store();
    finish_up_to(store, 4);
    assert_ok(fl_store_read_rounds(store, records, CAP, &count, 0, &why));
    assert_int_equal(count, CAP);
    assert_int_equal(records[0].round, 1);  // 0 is no finished round
    assert_int_equal(records[2].round, 3);
    assert_ok(fl_store_read_rounds(store, records, CAP, &count, 3, &why));
    assert_int_equal(count, 1);
    assert_int_equal(records[0].round, 4);
    assert_ok(fl_store_read_rounds(store, records, CAP, &count, 4, &why));
    assert_int_equal(count, 0);
    fl_store_close(store);
}

#define IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

RUN_TESTS(
    IN_FOLDER(store_reads_a_few_rounds_at_a_time),
    IN_FOLDER(store_makes_its_folder_and_counts_starts),
    IN_FOLDER(store_refuses_a_second_aggregator),
    IN_FOLDER(store_is_not_found_read_only_where_there_is_none),
    IN_FOLDER(store_is_readable_while_an_aggregator_runs),
    IN_FOLDER(store_is_readable_by_one_who_cannot_write),
    IN_FOLDER(store_is_readable_by_one_who_cannot_write_after_a_crash),
    IN_FOLDER(store_refuses_a_folder_it_cannot_write),
    IN_FOLDER(store_refuses_a_name_that_is_too_long),
    IN_FOLDER(store_opens_a_folder_with_an_odd_name),
    IN_FOLDER(store_keeps_a_pinned_setting_for_life),
    IN_FOLDER(store_gives_back_the_last_round_as_it_was),
    IN_FOLDER(store_saves_a_round_without_a_master),
    IN_FOLDER(store_keeps_the_master_of_the_last_round_alone),
    IN_FOLDER(store_takes_rounds_one_after_the_other),
    IN_FOLDER(store_keeps_the_models_of_the_last_rounds_and_the_best),
    IN_FOLDER(store_keeps_no_best_where_nothing_was_measured),
    IN_FOLDER(store_reads_any_model_that_is_kept),
    IN_FOLDER(store_keeps_one_file_for_a_model_that_does_not_change),
    IN_FOLDER(store_deletes_at_its_start_what_no_round_names),
    IN_FOLDER(store_lists_rounds_in_order),
    IN_FOLDER(store_knows_a_client_by_its_public_key),
    IN_FOLDER(store_lists_the_client_seen_last_first),
    IN_FOLDER(store_takes_no_more_clients_than_the_maximum),
    IN_FOLDER(store_brings_a_folder_of_an_older_version_up_to_date),
    IN_FOLDER(store_brings_a_folder_of_the_first_sessions_up_to_date),
    IN_FOLDER(store_brings_a_folder_of_the_first_compressed_updates_up_to_date),
    IN_FOLDER(store_brings_a_folder_of_the_version_before_up_to_date),
    IN_FOLDER(store_of_an_older_version_is_not_changed_by_one_who_reads),
    IN_FOLDER(store_of_an_older_version_stays_so_when_the_disk_is_full),
    IN_FOLDER(store_refuses_an_older_version_without_its_tables),
    IN_FOLDER(store_refuses_a_database_that_is_damaged),
    IN_FOLDER(store_refuses_a_database_with_a_damaged_page),
    IN_FOLDER(store_refuses_a_database_that_was_cut),
    IN_FOLDER(store_refuses_a_value_outside_its_range),
    IN_FOLDER(store_checks_the_whole_database_before_it_writes),
    IN_FOLDER(store_refuses_a_database_without_its_tables),
    IN_FOLDER(store_refuses_a_newer_version),
    IN_FOLDER(store_refuses_the_database_of_another_program),
    IN_FOLDER(store_deletes_no_models_because_the_database_is_lost),
    IN_FOLDER(store_refuses_a_model_that_is_damaged),
    IN_FOLDER(store_refuses_a_master_that_is_damaged),
    IN_FOLDER(store_leaves_nothing_of_a_backup_that_fails),
    IN_FOLDER(store_refuses_a_master_of_another_length),
    IN_FOLDER(store_changes_nothing_when_the_disk_is_full),
    IN_FOLDER(store_does_not_open_on_a_full_disk),
    IN_FOLDER(store_takes_nothing_more_after_a_write_that_failed_half_way),
    IN_FOLDER(store_loses_no_finished_round_when_it_is_killed))
