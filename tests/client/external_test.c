/*
 * A training by a program of the owner's: what it is given, what it may not
 * have, and every way in which it can go wrong (tests/client/trainer.sh).
 */
/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE  // NOLINT: the system's name
#include "client/trainer/external.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/log.h"
#include "client/gate.h"
#include "client/training.h"
#include "tests/support/board.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

enum { LOG_CAP = 1 << 18, COMMAND_CAP = 2 * FL_SCRATCH_CAP + 4096 };

static char folder[FL_SCRATCH_CAP];
static fl_board_kit kit;
static fl_plan first_plan;
static fl_external external;
static fl_external_options options;
static fl_result result;
static fl_reason why;
static char said[LOG_CAP];

static void take_line(void *self, fl_log_level level, const char *line)
{
    (void)self;
    (void)level;
    const size_t len = strlen(said);
    snprintf(said + len, sizeof said - len, "%s\n", line);
}

// Learns a little: once is enough.
static int set_up_kit(void **state)
{
    (void)state;
    fl_board_kit_init(&kit);
    kit.plan.deadline_ms = 60 * 1000;
    first_plan = kit.plan;
    return 0;
}

static int tear_down_kit(void **state)
{
    (void)state;
    fl_board_kit_fini(&kit);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    options = (fl_external_options){.command = NULL};
    said[0] = 0;
    fl_log_start(FL_LOG_INFO, take_line, NULL);
    kit.plan = first_plan;
    return fl_scratch_make(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    fl_result_fini(&result);
    fl_external_fini(&external);
    fl_scratch_remove(folder);
    return 0;
}

static const char *command_of(const char *mode)
{
    static char command[COMMAND_CAP];
    char here[2048];
    assert_non_null(getcwd(here, sizeof here));
    snprintf(command, sizeof command,
             "/bin/sh \"%s/tests/client/trainer.sh\" %s \"%s\"", here, mode,
             folder);
    return command;
}

static fl_local_data prepare(const char *mode)
{
    options.command = command_of(mode);
    assert_ok(
        fl_external_init(&external, &options, folder, "csv:rows.csv", &why));
    fl_local_data data = fl_board_kit_data(&kit, false);
    data.trainer = fl_external_trainer(&external);
    assert_non_null(data.trainer);
    return data;
}

// Whatever happens, nothing is left on disk.
static fl_err train(const char *mode)
{
    char path[2 * FL_SCRATCH_CAP];
    const fl_local_data data = prepare(mode);
    fl_result_fini(&result);
    const fl_err err = fl_local_work(&result, &kit.plan, &data, &why);
    assert_ok(fl_path_join(path, sizeof path, folder, "trainer"));
    assert_int_equal(fl_scratch_count(path), 0);
    fl_external_fini(&external);
    return err;
}

#define assert_said(text)                                         \
    do {                                                          \
        if (!strstr(said, (text))) {                              \
            print_error("no \"%s\" in the log:\n%s", text, said); \
            fail();                                               \
        }                                                         \
    } while (0)

/* ---- what goes well ---- */

TEST(external_trainer_that_changes_nothing_gives_an_update_of_zeros)
{
    assert_ok(train("same"));
    assert_int_equal(result.update_len, kit.plan.param_count * sizeof(float));
    for (size_t i = 0; i < result.update_len; i++)
        assert_int_equal(result.update[i], 0);
    assert_int_equal(result.sample_count, 10);
    assert_true(result.loss_sum_micro > 0);
    assert_true(result.correct_count <= 10);
    assert_said("event=trainer_done round=1 examples=10 loss=0.5 accuracy=0.5");
}

TEST(external_trainer_has_its_folder_and_nothing_of_ours)
{
    setenv("FEDGE_SECRET", "hunter2", 1);
    const int open_fd = fcntl(1, F_DUPFD, 40);  // without O_CLOEXEC
    assert_ok(train("look"));
    close(open_fd);
    unsetenv("FEDGE_SECRET");
    assert_null(strstr(said, "FEDGE"));
    assert_null(strstr(said, "hunter2"));
    assert_said("text=\"PATH=/usr/local/bin:/usr/bin:/bin\"");
    assert_said("OMP_NUM_THREADS=1");
    assert_said("LANG=C.UTF-8");
    assert_said("HOME=/");
    assert_said("TMPDIR=/");
    assert_said("\\\"type\\\":\\\"task\\\"");
    assert_said("text=model.onnx");
    assert_said("text=examples.safetensors");
    // 3 is the folder that the shell lists.
    assert_said("fd 0");
    assert_said("fd 2");
    assert_null(strstr(said, "fd 4"));
    assert_int_equal(open_fd, 40);
}

TEST(external_trainer_may_be_told_that_there_is_no_network)
{
    options.is_offline = true;
    const fl_err err = train("look");
    if (err == FL_ERR_UNSUPPORTED) {  // not on this machine
        assert_reason_names(why, "--trainer-offline");
        return;
    }
    assert_ok(err);
    assert_said("interfaces 1");
}

TEST(external_trainer_need_not_end_when_it_is_done)
{
    const int64_t begun_ms = fl_clock_monotonic_ms();
    assert_ok(train("lingers"));
    const int64_t most_s = getenv("EMULATED") ? 200 : 20;
    assert_true(fl_clock_monotonic_ms() - begun_ms < most_s * 1000);
}

TEST(external_trainer_may_talk_but_not_fill_the_log)
{
    assert_ok(train("chatter"));
    size_t lines = 0;
    for (const char *at = said; (at = strstr(at, "trainer_says text=hello"));
         at++)
        lines++;
    assert_true(lines >= 100 && lines <= 200);
    assert_said("event=trainer_says_too_much");
}

TEST(external_trainer_leaves_frozen_statistics_alone)
{
    kit.plan.norm = FL_NORM_FROZEN;
    assert_ok(train("statistics"));
    for (size_t i = 0; i < result.update_len; i++)
        assert_int_equal(result.update[i], 0);
}

/* ---- what goes wrong ---- */

static void assert_refused(const char *mode, fl_err expected, const char *word)
{
    assert_err(train(mode), expected);
    assert_null(result.update);
    assert_reason_names(why, "the trainer");
    assert_reason_names(why, word);
}

TEST(external_trainer_that_ends_too_early_is_refused)
{
    assert_refused("exits", FL_ERR_CLOSED, "exit code 3");
    assert_reason_names(why, "it said last: Traceback: no CUDA");
    assert_refused("crashes", FL_ERR_CLOSED, "signal 11");
    assert_refused("says_why", FL_ERR_STATE, "it has failed: no CUDA here");
}

TEST(external_trainer_that_talks_nonsense_is_refused)
{
    assert_refused("garbage", FL_ERR_FORMAT, "no JSON object: Epoch 1");
    assert_refused("version", FL_ERR_UNSUPPORTED, "it speaks version 2");
    assert_refused("not_a_number", FL_ERR_FORMAT, "no JSON object");
    assert_refused("greedy", FL_ERR_RANGE, "1000000 examples");
    assert_refused("endless_line", FL_ERR_LIMIT, "a line of more than 8192");
}

TEST(external_trainer_with_a_bad_result_is_refused)
{
    assert_refused("nothing", FL_ERR_NOT_FOUND, "there is no trained");
    assert_refused("empty", FL_ERR_FORMAT, "0 bytes are no safetensors file");
    assert_refused("nan", FL_ERR_RANGE, "NaN or infinite");
    assert_refused("statistics", FL_ERR_RANGE, "running_mean");
    assert_refused("variance", FL_ERR_RANGE, "variance 0 is below 0");
    assert_refused("far", FL_ERR_RANGE, "the parameters have moved by");
    assert_refused("truncated", FL_ERR_FORMAT, "ends at byte");
    assert_refused("long", FL_ERR_FORMAT, "the tensors end at byte");
    assert_refused("huge", FL_ERR_LIMIT, "are the most that it can need");
    assert_refused("shape", FL_ERR_FORMAT, "another shape");
    assert_refused("name", FL_ERR_FORMAT, "it has no tensor");
    assert_refused("link", FL_ERR_FORMAT, "is no plain file");
    assert_refused("pipe", FL_ERR_FORMAT, "is no plain file");
    assert_refused("folder", FL_ERR_FORMAT, "is no plain file");
}

static bool is_gone(pid_t pid)
{
    char path[64];
    uint8_t *text = NULL;
    size_t len;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (fl_file_read(&text, &len, path, 4096, NULL)) return true;
    const bool is_zombie = strstr((char *)text, ") Z ") != NULL;
    free(text);
    return is_zombie;
}

TEST(external_trainer_that_hangs_is_killed_with_its_children)
{
    char path[2 * FL_SCRATCH_CAP];
    uint8_t *text = NULL;
    size_t len;
    options.seconds = 1;
    assert_refused("hang", FL_ERR_TIMEOUT, "not done after 1.0 s");
    assert_ok(fl_path_join(path, sizeof path, folder, "grandchild"));
    assert_ok(fl_file_read(&text, &len, path, 64, NULL));
    const pid_t pid = (pid_t)strtol((char *)text, NULL, 10);
    free(text);
    assert_true(pid > 1);
    for (int i = 0; i < 200 && !is_gone(pid); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_true(is_gone(pid));
    assert_refused("flood", FL_ERR_TIMEOUT, "not done after 1.0 s");
}

TEST(external_trainer_gets_as_long_as_the_round_leaves)
{
    kit.plan.deadline_ms = 1000;
    assert_refused("hang", FL_ERR_TIMEOUT, "not done after 0.9 s");
}

TEST(external_trainer_is_held_to_its_memory)
{
    if (getenv("EMULATED")) skip();  // qemu needs the address space for itself
    options.memory = 100;
    assert_ok(train("memory"));
    assert_said("memory exhausted");
}

TEST(external_trainer_must_be_a_program)
{
    static const char *const bad[][2] = {
        {"python3 x.py", "whole path"},
        {"", "whole path"},
        {"/nonexistent/trainer --fast", "/nonexistent/trainer is not there"},
        {"/bin/sh \"x", "a quote does not end"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.command = bad[i][0];
        assert_int_not_equal(
            fl_external_init(&external, &options, folder, "x", &why), FL_OK);
        assert_reason_names(why, bad[i][1]);
    }
    options.command = "/etc/passwd";
    assert_int_not_equal(
        fl_external_init(&external, &options, folder, "x", &why), FL_OK);
    options.command = NULL;
    assert_ok(fl_external_init(&external, &options, folder, "x", &why));
    assert_null(fl_external_trainer(&external));
}

TEST(external_trainer_without_a_folder_is_refused)
{
    char path[FL_SCRATCH_CAP];
    fl_local_data data = prepare("same");
    memcpy(path, folder, sizeof path);
    external.state = strcat(path, "/gone");
    assert_err(fl_local_work(&result, &kit.plan, &data, &why), FL_ERR_SYSTEM);
    assert_reason_names(why, "No such file");
}

TEST(external_trainer_that_cannot_be_started_any_more_is_refused)
{
    const fl_local_data data = prepare("same");
    external.argv.words[0] = folder;
    assert_err(fl_local_work(&result, &kit.plan, &data, &why), FL_ERR_SYSTEM);
    assert_reason_names(why, "the program: Permission denied");
}

TEST(external_trainer_finds_no_files_of_an_earlier_one)
{
    char path[2 * FL_SCRATCH_CAP], old[4 * FL_SCRATCH_CAP];
    assert_ok(fl_path_join(path, sizeof path, folder, "trainer"));
    assert_ok(fl_path_join(old, sizeof old, path, "task.old"));
    assert_ok(fl_folder_make(old, 0700, NULL));
    assert_ok(fl_path_join(old, sizeof old, path, "task.old/model.onnx"));
    assert_ok(fl_file_replace(old, "x", 1, 0600, NULL));
    assert_ok(train("same"));  // looks that the folder is empty afterwards
}

/* ---- pauses ---- */

typedef struct {
    fl_gate gate;
    fl_pool *pool;
    fl_training training;
    atomic_bool is_done;
} bench;

static void job_done(fl_job *job)
{
    bench *b = job->owner;
    atomic_store(&b->is_done, true);
}

static void nap(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void begin(bench *b, const char *mode)
{
    const fl_local_data data = prepare(mode);
    const fl_client_effect effect = {.plan = &kit.plan};
    assert_ok(fl_gate_init(&b->gate));
    assert_ok(fl_pool_new(&b->pool, 1));
    fl_training_begin(&b->training, &b->gate, &effect, &data);
    b->training.job.owner = b;
    b->training.job.done = job_done;
    atomic_store(&b->is_done, false);
    fl_pool_submit(b->pool, &b->training.job);
    while (atomic_load(&b->training.step) == 0 && !atomic_load(&b->is_done))
        nap(5);
}

static void finish(bench *b)
{
    for (int i = 0; i < 2000 && !atomic_load(&b->is_done); i++)
        nap(10);
    assert_true(atomic_load(&b->is_done));
    fl_pool_free(b->pool);
    fl_gate_fini(&b->gate);
    fl_result_fini(&b->training.result);
    fl_external_fini(&external);
}

// Of its heart, so far.
static size_t count_beats(void)
{
    char path[2 * FL_SCRATCH_CAP];
    uint8_t *text = NULL;
    size_t len = 0;
    assert_ok(fl_path_join(path, sizeof path, folder, "beats"));
    if (fl_file_read(&text, &len, path, 4096, NULL)) return 0;
    free(text);
    return len;
}

TEST(external_trainer_stands_still_while_the_board_pauses)
{
    bench b;
    begin(&b, "slow");
    fl_gate_set(&b.gate, true);
    fl_training_pause(&b.training);
    nap(300);
    const size_t beats = count_beats();
    nap(900);
    nap(500);  // it would be done by now
    assert_int_equal(count_beats(), beats);
    assert_false(atomic_load(&b.is_done));
    assert_int_equal(atomic_load(&b.training.step_count), 10);
    fl_gate_set(&b.gate, false);
    finish(&b);
    assert_ok(b.training.err);
    assert_true(count_beats() > beats);
}

TEST(external_trainer_can_be_stopped_also_in_a_pause)
{
    bench b;
    begin(&b, "slow");
    fl_training_stop(&b.training);
    finish(&b);
    assert_err(b.training.err, FL_ERR_CANCELLED);
    begin(&b, "slow");
    fl_gate_set(&b.gate, true);
    nap(300);
    fl_training_stop(&b.training);
    finish(&b);
    assert_err(b.training.err, FL_ERR_CANCELLED);
}

/* ---- trouble in a row ---- */

TEST(external_trainer_that_fails_again_and_again_rests)
{
    static const fl_reason bad = {"the trainer: it is broken"};
    (void)prepare("same");
    fl_external_note(&external, FL_ERR_CLOSED, &bad, 1000);
    assert_string_equal(external.trouble.text, bad.text);
    fl_external_note(&external, FL_ERR_CANCELLED, &why, 1500);
    fl_external_note(&external, FL_ERR_CLOSED, &bad, 2000);
    assert_int_equal(fl_retreat_left_ms(&external.retreat, 2000), 0);
    fl_external_note(&external, FL_ERR_CLOSED, &bad, 3000);
    assert_int_equal(fl_retreat_left_ms(&external.retreat, 3000),
                     FL_RETREAT_MS);
    assert_said("event=trainer_rests failures=3 s=60");
    fl_external_note(&external, FL_ERR_CLOSED, &bad, 4000);
    assert_int_equal(fl_retreat_left_ms(&external.retreat, 4000),
                     2 * FL_RETREAT_MS);
    for (int i = 0; i < 100; i++)
        fl_external_note(&external, FL_ERR_CLOSED, &bad, 5000);
    assert_int_equal(fl_retreat_left_ms(&external.retreat, 5000),
                     FL_RETREAT_MAX_MS);
    assert_int_equal(
        fl_retreat_left_ms(&external.retreat, 5000 + FL_RETREAT_MAX_MS), 0);
    fl_external_note(&external, FL_OK, &why, 6000);
    assert_int_equal(external.retreat.failure_count, 0);
    assert_int_equal(fl_retreat_left_ms(&external.retreat, 6000), 0);
    assert_string_equal(external.trouble.text, "");
}

#define KEEPS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEEPS(external_trainer_that_changes_nothing_gives_an_update_of_zeros),
        KEEPS(external_trainer_has_its_folder_and_nothing_of_ours),
        KEEPS(external_trainer_may_be_told_that_there_is_no_network),
        KEEPS(external_trainer_need_not_end_when_it_is_done),
        KEEPS(external_trainer_may_talk_but_not_fill_the_log),
        KEEPS(external_trainer_leaves_frozen_statistics_alone),
        KEEPS(external_trainer_that_ends_too_early_is_refused),
        KEEPS(external_trainer_that_talks_nonsense_is_refused),
        KEEPS(external_trainer_with_a_bad_result_is_refused),
        KEEPS(external_trainer_that_hangs_is_killed_with_its_children),
        KEEPS(external_trainer_gets_as_long_as_the_round_leaves),
        KEEPS(external_trainer_is_held_to_its_memory),
        KEEPS(external_trainer_must_be_a_program),
        KEEPS(external_trainer_without_a_folder_is_refused),
        KEEPS(external_trainer_that_cannot_be_started_any_more_is_refused),
        KEEPS(external_trainer_finds_no_files_of_an_earlier_one),
        KEEPS(external_trainer_stands_still_while_the_board_pauses),
        KEEPS(external_trainer_can_be_stopped_also_in_a_pause),
        KEEPS(external_trainer_that_fails_again_and_again_rests),
    };
    return cmocka_run_group_tests(tests, set_up_kit, tear_down_kit);
}
