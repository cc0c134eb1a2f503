/* SPDX-License-Identifier: Apache-2.0 */
#include "client/activity.h"

#include <stdlib.h>

#include "base/file.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

static char folder[FL_SCRATCH_CAP];
static fl_reason why;
static char *text;  // what was printed last
static bool is_running;

static int make_folder(void **state)
{
    (void)state;
    why = (fl_reason){""};
    text = NULL;
    assert_ok(fl_secure_start());
    return fl_scratch_make(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    free(text);
    fl_scratch_remove(folder);
    return 0;
}

static fl_err show(bool is_json)
{
    size_t len = 0;
    free(text);
    text = NULL;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    const fl_err err =
        fl_activity_print(out, folder, is_json, &is_running, &why);
    fclose(out);
    return err;
}

// A client that has just written what it does.
static fl_watch watch;  // nothing keeps it from working, unless a test says so
static const char *trouble = "";
static fl_feed feed = {.stock = {.row_count = 600}};
static fl_external trainer;  // the engine
static fl_reason declined;

static fl_state *train(uint32_t round)
{
    static const uint8_t key[FL_KEY_BYTES] = {0xab, 0xcd};
    fl_state *state = NULL;
    const fl_client_status status = {
        .is_connected = true,
        .round = round,
        .update_count = 4,
        .bytes_up = 1000,
        .bytes_down = 2000,
        .refused_count = 1,
        .session_count = 3,
        .fault_count = 2,
        .declined = declined,
    };
    const fl_activity activity = {
        .aggregator = "tcp://host:7443",
        .activity = "training",
        .public_key = key,
        .feed = &feed,
        .status = &status,
        .watch = &watch,
        .peak_kb = 5000,
        .trouble = trouble,
        .trainer = &trainer,
    };
    assert_ok(fl_state_open(&state, folder, &why));
    assert_ok(fl_activity_write(state, &activity, &why));
    return state;
}

#define KEY                            \
    "abcd0000000000000000000000000000" \
    "00000000000000000000000000000000"

TEST(activity_tells_a_person_what_the_client_does)
{
    fl_state *kept = train(12);
    assert_ok(show(false));
    assert_true(is_running);
    assert_string_equal(text, "event            status\n"
                              "schema           1\n"
                              "activity         training\n"
                              "away             here\n"
                              "connected        true\n"
                              "aggregator       tcp://host:7443\n"
                              "round            12\n"
                              "updates          4\n"
                              "refused          1\n"
                              "sessions         3\n"
                              "faults           2\n"
                              "samples          600\n"
                              "bytes_up         1000\n"
                              "bytes_down       2000\n"
                              "peak_kb          5000\n"
                              "bytes_month      0\n"
                              "key              " KEY "\n"
                              "version          " FL_VERSION "\n"
                              "running          true\n");
    fl_state_close(kept);
}

TEST(activity_gives_a_program_one_object_on_a_line)
{
    fl_state *kept = train(3);
    assert_ok(show(true));
    assert_string_equal(
        text, "{\"event\":\"status\",\"schema\":1,"
              "\"activity\":\"training\",\"away\":\"here\","
              "\"connected\":true,\"aggregator\":\"tcp://host:7443\","
              "\"round\":3,\"updates\":4,\"refused\":1,\"sessions\":3,"
              "\"faults\":2,\"samples\":600,"
              "\"bytes_up\":1000,\"bytes_down\":2000,"
              "\"peak_kb\":5000,\"bytes_month\":0,\"key\":\"" KEY "\","
              "\"version\":\"" FL_VERSION "\",\"running\":true}\n");
    fl_state_close(kept);
}

static void assert_shows(const char *line)
{
    if (!strstr(text, line)) fail_msg("no \"%s\" in %s", line, text);
}

TEST(activity_says_why_the_client_may_not_work)
{
    const fl_eligibility_options options = {.max_celsius = 80,
                                            .resume_celsius = 70,
                                            .min_samples = 1000,
                                            .min_memory = 1};
    const fl_sample sample = {
        .celsius = {.is_known = true, .value = 83, .source = "cpu-thermal"}};
    fl_eligibility_init(&watch.eligibility, &options);
    assert_true(
        fl_eligibility_look(&watch.eligibility, &sample, 1, 1790000000));
    watch.every_ms = 5000;
    watch.traffic.bytes = 77;
    watch.sensors.fault_count = 2;
    trouble = "update: no room";
    fl_state *kept = train(12);
    assert_ok(show(false));
    assert_shows("away             hot\n");
    assert_shows(
        "away_why         cpu-thermal is at 83 C (limit 80 C); it goes "
        "on below 70 C\n");
    assert_shows("away_since       2026-09-21T14:13:20Z\n");
    assert_shows("look_every_s     5\n");
    assert_shows("away_also        little_data\n");
    assert_shows("bytes_month      77\n");
    assert_shows("sensors_broken   2\n");
    assert_shows("disk             update: no room\n");
    fl_state_close(kept);
    watch = (fl_watch){.every_ms = 0};
    trouble = "";
}

// What systemctl status shows.
TEST(activity_fits_on_a_line)
{
    char line[FL_ACTIVITY_TEXT_CAP];
    const fl_client_status status = {.round = 12, .update_count = 4};
    fl_activity activity = {
        .activity = "training", .status = &status, .watch = &watch};
    fl_activity_describe(line, &activity);
    assert_string_equal(line, "round 12, training");
    activity.activity = "idle";
    fl_activity_describe(line, &activity);
    assert_string_equal(line, "idle, 4 updates so far");

    const fl_eligibility_options options = {.max_celsius = 80,
                                            .resume_celsius = 70};
    const fl_sample sample = {
        .celsius = {.is_known = true, .value = 83, .source = "cpu-thermal"}};
    fl_eligibility_init(&watch.eligibility, &options);
    (void)fl_eligibility_look(&watch.eligibility, &sample, 1, 1790000000);
    fl_activity_describe(line, &activity);
    assert_string_equal(line, "resting: hot, cpu-thermal is at 83 C (limit 80 "
                              "C); it goes on below 70 C");
    watch = (fl_watch){.every_ms = 0};
}

TEST(activity_says_why_the_trainer_of_the_owner_fails)
{
    trainer = (fl_external){.options = {.command = "/opt/trainer --fast"},
                            .retreat = {.failure_count = 2},
                            .trouble = {"the trainer: exit code 3"}};
    fl_state *kept = train(12);
    assert_ok(show(false));
    assert_shows("trainer          /opt/trainer --fast\n");
    assert_shows("trainer_failures 2\n");
    assert_shows("trainer_why      the trainer: exit code 3\n");
    fl_state_close(kept);
    trainer = (fl_external){.state = NULL};
}

TEST(activity_says_why_a_round_was_declined)
{
    declined = (fl_reason){"2 classes here (cat, ...), the model has 3"};
    fl_state *kept = train(12);
    assert_ok(show(false));
    assert_shows(
        "declined_why     2 classes here (cat, ...), the model has 3\n");
    fl_state_close(kept);
    declined = (fl_reason){""};
}

TEST(activity_says_when_quiet_hours_end)
{
    fl_eligibility_options options = {.min_samples = 0};
    const fl_sample sample = {.bytes = 0};
    assert_ok(fl_quiet_parse(&options.quiet, "00:00-12:00, 12:00-23:59", &why));
    fl_eligibility_init(&watch.eligibility, &options);
    (void)fl_eligibility_look(&watch.eligibility, &sample, 1, 1790000000);
    fl_state_close(train(12));
    assert_ok(show(true));
    assert_shows("\"away\":\"quiet_hours\"");
    assert_shows("\"away_until\":\"");
    watch = (fl_watch){.every_ms = 0};
}

// What a client that was killed wrote last is not true any more.
TEST(activity_of_a_client_that_has_gone)
{
    fl_state_close(train(3));
    assert_ok(show(false));
    assert_false(is_running);
    assert_non_null(strstr(text, "activity         not running\n"));
    assert_non_null(strstr(text, "connected        false\n"));
    assert_non_null(strstr(text, "running          false\n"));
    assert_non_null(strstr(text, "round            3\n"));  // still of use
}

TEST(activity_of_a_folder_where_no_client_ever_ran)
{
    assert_err(show(true), FL_ERR_NOT_FOUND);
    assert_false(is_running);
    assert_reason_names(why, folder);
    assert_string_equal(text, "");
    assert_int_equal(fl_scratch_count(folder), 0);
}

TEST(activity_refuses_a_damaged_status)
{
    char path[FL_SCRATCH_CAP + 16];
    const char *const damaged[] = {"", "{\"round\":", "12", "\xff\xfe"};
    assert_ok(fl_path_join(path, sizeof path, folder, "status.json"));
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        assert_ok(
            fl_file_write(path, damaged[i], strlen(damaged[i]), 0600, &why));
        assert_err(show(true), FL_ERR_FORMAT);
        assert_reason_names(why, folder);
        assert_reason_names(why, "damaged");
        assert_string_equal(text, "");
    }
}

#define IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

RUN_TESTS(IN_FOLDER(activity_tells_a_person_what_the_client_does),
          IN_FOLDER(activity_gives_a_program_one_object_on_a_line),
          IN_FOLDER(activity_says_why_the_client_may_not_work),
          IN_FOLDER(activity_fits_on_a_line),
          IN_FOLDER(activity_says_why_the_trainer_of_the_owner_fails),
          IN_FOLDER(activity_says_why_a_round_was_declined),
          IN_FOLDER(activity_says_when_quiet_hours_end),
          IN_FOLDER(activity_of_a_client_that_has_gone),
          IN_FOLDER(activity_of_a_folder_where_no_client_ever_ran),
          IN_FOLDER(activity_refuses_a_damaged_status))
