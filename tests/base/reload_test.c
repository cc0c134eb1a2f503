/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reload.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/test.h"

// The program: one option of each kind that a reload changes, and others.
static struct {
    bool works_on_battery;
    uint64_t cohort, quorum;
    double max_celsius;
    const char *hours, *listen, *log_level;
} settings;

static const fl_option TABLE[] = {
    {"eligibility", "on-battery", FL_OPTION_FLAG, &settings.works_on_battery, 0,
     0, NULL, "work on battery", FL_OPTION_LIVE},
    {"eligibility", "max-temperature", FL_OPTION_NUMBER, &settings.max_celsius,
     0, 150, "C", "pause when hotter", FL_OPTION_LIVE},
    {"eligibility", "quiet-hours", FL_OPTION_TEXT, &settings.hours, 0, 0,
     "TIMES", "do nothing then", FL_OPTION_LIVE},
    {"rounds", "quorum", FL_OPTION_COUNT, &settings.quorum, 0, 100, "N",
     "fewest updates", FL_OPTION_LIVE},
    {"rounds", "cohort", FL_OPTION_COUNT, &settings.cohort, 1, 100, "N",
     "clients of a round"},
    {"net", "listen", FL_OPTION_TEXT, &settings.listen, 0, 0, "URL", "where"},
    {"net", "log-level", FL_OPTION_TEXT, &settings.log_level, 0, 0, "LEVEL",
     "error, warn, info or debug", FL_OPTION_LIVE},
};
enum { COUNT = sizeof TABLE / sizeof *TABLE };

#define HERE "tcp://127.0.0.1:9"

static char path[] = "/tmp/fedge-reload-XXXXXX";
static char name[] = "fedge-test", config[] = "--config", listen[] = "--listen",
            here[] = HERE;
static char *arguments[] = {name, config, path, listen, here};
static fl_reload *reload;
static fl_options *first;
static fl_reload_report report;
static fl_reason why;
static char line[2000];
static fl_log_level line_level;

static void keep_line(void *self, fl_log_level level, const char *text)
{
    (void)self;
    line_level = level;
    snprintf(line + strlen(line), sizeof line - strlen(line), "%s\n", text);
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static fl_err check(void *self, fl_reason *reason)
{
    assert_ptr_equal(self, &settings);
    if (settings.quorum <= settings.cohort) return FL_OK;
    return fl_reason_set(reason, FL_ERR_RANGE, "--quorum %llu is above",
                         (unsigned long long)settings.quorum);
}

static fl_err run(void)
{
    return fl_reload_run(reload, &report, check, &settings, &why);
}

static int set_up(void **state)
{
    (void)state;
    fl_asked asked;
    settings.works_on_battery = false;
    settings.cohort = 5;
    settings.quorum = 0;
    settings.max_celsius = 80;
    settings.hours = NULL;
    settings.listen = "tcp://127.0.0.1:7443";
    settings.log_level = "info";
    why = (fl_reason){""};
    line[0] = 0;
    fl_log_start(FL_LOG_INFO, keep_line, NULL);
    strcpy(path, "/tmp/fedge-reload-XXXXXX");
    const int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    write_file("[eligibility]\nmax-temperature = 70\n");
    const fl_reload_options options = {.table = TABLE,
                                       .count = COUNT,
                                       .argc = 5,
                                       .argv = arguments,
                                       .log_level = &settings.log_level};
    assert_ok(fl_reload_new(&reload, &options));
    assert_ok(fl_options_read(&first, &asked, TABLE, COUNT, NULL, 5, arguments,
                              &why));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fl_reload_free(reload);
    fl_options_free(first);
    unlink(path);
    return 0;
}

TEST(reload_changes_nothing_when_nothing_has_changed)
{
    assert_ok(run());
    assert_string_equal(report.changed, "");
    assert_string_equal(report.waiting, "");
    assert_true(settings.max_celsius == 70.0);
    assert_string_equal(settings.listen, HERE);
}

TEST(reload_takes_what_may_change_of_every_kind)
{
    write_file("[eligibility]\nmax-temperature = 60.5\non-battery = true\n"
               "quiet-hours = 22:00-07:00\n[rounds]\nquorum = 4\n");
    assert_ok(run());
    assert_true(settings.max_celsius == 60.5);
    assert_true(settings.works_on_battery);
    assert_string_equal(settings.hours, "22:00-07:00");
    assert_int_equal(settings.quorum, 4);
    assert_string_equal(report.changed,
                        "on-battery, max-temperature, quiet-hours, quorum");
    assert_string_equal(report.waiting, "");
}

// Not to what it was before, but to what no file says.
TEST(reload_goes_back_to_the_default)
{
    write_file("");
    assert_ok(run());
    assert_true(settings.max_celsius == 80.0);
    assert_string_equal(report.changed, "max-temperature");
}

TEST(reload_can_be_done_again_and_again)
{
    write_file("[eligibility]\nquiet-hours = 22:00-07:00\n");
    assert_ok(run());
    write_file("[eligibility]\nquiet-hours = 20:00-08:00\n");
    assert_ok(run());
    assert_string_equal(settings.hours, "20:00-08:00");
    write_file("");
    assert_ok(run());
    assert_null(settings.hours);
    assert_ok(run());
    assert_string_equal(report.changed, "");
}

TEST(reload_names_what_needs_a_restart)
{
    write_file("[rounds]\ncohort = 20\n"
               "[eligibility]\nmax-temperature = 60\n");
    assert_ok(run());
    assert_string_equal(report.waiting, "cohort");
    assert_int_equal(settings.cohort, 5);
    assert_true(settings.max_celsius == 60.0);
    assert_ok(run());  // and names it as long as that is so
    assert_string_equal(report.waiting, "cohort");
}

TEST(reload_leaves_the_command_line_the_last_word)
{
    write_file("[net]\nlisten = tcp://0.0.0.0:7443\n");
    assert_ok(run());
    assert_string_equal(settings.listen, HERE);
    assert_string_equal(report.waiting, "");
}

static void refuse(const char *text, fl_err err, const char *word)
{
    write_file(text);
    assert_err(run(), err);
    assert_reason_names(why, word);
    assert_true(settings.max_celsius == 70.0);
    assert_false(settings.works_on_battery);
    assert_int_equal(settings.quorum, 0);
    assert_null(settings.hours);
    assert_string_equal(settings.log_level, "info");
}

TEST(reload_keeps_all_when_a_file_is_bad)
{
    refuse("[eligibility]\non-battery = true\nmax-temprature = 60\n",
           FL_ERR_FORMAT, ":3: unknown key \"max-temprature\"");
    assert_reason_names(why, "did you mean \"max-temperature\"");
    refuse("[eligibility]\nquiet-hours = x\nmax-temperature = hot\n",
           FL_ERR_FORMAT, ":3: max-temperature");
    unlink(path);
    assert_err(run(), FL_ERR_FORMAT);
    assert_true(settings.max_celsius == 70.0);
    write_file("");
}

TEST(reload_keeps_all_when_values_make_no_sense)
{
    refuse("[eligibility]\non-battery = true\n[rounds]\nquorum = 11\n",
           FL_ERR_RANGE, "--quorum 11");
    refuse("[eligibility]\non-battery = true\n[net]\nlog-level = loud\n",
           FL_ERR_RANGE, "--log-level loud");
}

// Both together would do, but one of them needs a restart.
TEST(reload_keeps_all_when_half_of_it_makes_no_sense)
{
    write_file("[rounds]\ncohort = 20\nquorum = 15\n");
    assert_err(run(), FL_ERR_RANGE);
    assert_reason_names(why, "not without a restart, for cohort");
    assert_int_equal(settings.quorum, 0);
    assert_int_equal(settings.cohort, 5);
}

TEST(reload_follows_the_level_of_the_log)
{
    write_file("[net]\nlog-level = debug\n");
    assert_ok(run());
    fl_log(FL_LOG_DEBUG, "heard", NULL);
    assert_string_equal(line, "event=heard\n");
}

TEST(reload_logs_what_came_of_it)
{
    write_file("[rounds]\ncohort = 20\n");
    assert_true(fl_reload_log(reload, check, &settings));
    assert_string_equal(line, "event=reloaded changed=max-temperature\n"
                              "event=needs_restart options=cohort\n");
    assert_int_equal(line_level, FL_LOG_WARN);

    line[0] = 0;
    write_file("[net]\nlisten\n");
    assert_false(fl_reload_log(reload, check, &settings));
    assert_int_equal(line_level, FL_LOG_ERROR);
    assert_non_null(strstr(line, "event=reload_failed why="));
    assert_non_null(strstr(line, ":2: neither [section] nor key = value"));
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(WITH_FILE(reload_changes_nothing_when_nothing_has_changed),
          WITH_FILE(reload_takes_what_may_change_of_every_kind),
          WITH_FILE(reload_goes_back_to_the_default),
          WITH_FILE(reload_can_be_done_again_and_again),
          WITH_FILE(reload_names_what_needs_a_restart),
          WITH_FILE(reload_leaves_the_command_line_the_last_word),
          WITH_FILE(reload_keeps_all_when_a_file_is_bad),
          WITH_FILE(reload_keeps_all_when_values_make_no_sense),
          WITH_FILE(reload_keeps_all_when_half_of_it_makes_no_sense),
          WITH_FILE(reload_follows_the_level_of_the_log),
          WITH_FILE(reload_logs_what_came_of_it))
