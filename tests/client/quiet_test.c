/* SPDX-License-Identifier: Apache-2.0 */
#include "client/board/quiet.h"

#include <stdlib.h>
#include <time.h>

#include "tests/test.h"

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static fl_quiet parse(const char *text)
{
    fl_quiet quiet;
    fl_reason why = {""};
    if (fl_quiet_parse(&quiet, text, &why)) fail_msg("%s", why.text);
    return quiet;
}

static void refuse(const char *text)
{
    fl_quiet quiet;
    fl_reason why;
    assert_err(fl_quiet_parse(&quiet, text, &why), FL_ERR_RANGE);
    assert_reason_names(why, "quiet hours");
}

// Berlin, without needing a table of zones.
static int use_berlin(void **state)
{
    (void)state;
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    return 0;
}

static int64_t at(int year, int month, int day, int hour, int minute)
{
    struct tm local = {.tm_year = year - 1900,
                       .tm_mon = month - 1,
                       .tm_mday = day,
                       .tm_hour = hour,
                       .tm_min = minute,
                       .tm_isdst = -1};
    return (int64_t)mktime(&local);
}

TEST(quiet_hours_are_read_with_and_without_days)
{
    fl_quiet quiet = parse("22:00-07:00, Sat-Sun 09:00-12:30,Mon 00:00-24:00");
    assert_int_equal(quiet.count, 3);
    assert_int_equal(quiet.spans[0].days, 0x7f);
    assert_int_equal(quiet.spans[0].from, 22 * 60);
    assert_int_equal(quiet.spans[0].to, 7 * 60);
    assert_int_equal(quiet.spans[1].days, 1 << 6 | 1);
    assert_int_equal(quiet.spans[1].to, 12 * 60 + 30);
    assert_int_equal(quiet.spans[2].days, 1 << 1);
    assert_int_equal(quiet.spans[2].to, 24 * 60);
    assert_int_equal(parse("fri-mon 01:00-02:00").spans[0].days, 0x63);
    assert_int_equal(parse("").count, 0);
    assert_int_equal(parse(NULL).count, 0);
}

TEST(quiet_hours_that_make_no_sense_are_refused)
{
    static const char *const texts[] = {
        "22:00",
        "22:00-",
        "22-07",
        "25:00-07:00",
        "22:60-07:00",
        "24:00-07:00",
        "22:00-07:00x",
        "22:00-22:00",
        "Xyz 22:00-07:00",
        "Mon- 1:00-2:00",
        "Mon-Xyz 01:00-02:00",
        "Mon22:00-23:00",
        ",",
        "22:00-07:00,,",
        "24:30-25:00",
    };
    char many[20 * 12 + 1] = "";
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        refuse(texts[i]);
    for (int i = 0; i < FL_QUIET_SPANS_MAX + 1; i++)
        strcat(many, i ? ",01:00-02:00" : "01:00-02:00");
    refuse(many);
}

TEST(quiet_hours_cross_midnight_and_belong_to_the_day_they_begin_on)
{
    const fl_quiet quiet = parse("Fri 22:00-07:00");
    // 2026-11-20 is a Friday.
    assert_false(fl_quiet_contains(&quiet, at(2026, 11, 20, 21, 59)));
    assert_true(fl_quiet_contains(&quiet, at(2026, 11, 20, 22, 0)));
    assert_true(fl_quiet_contains(&quiet, at(2026, 11, 21, 0, 0)));
    assert_true(fl_quiet_contains(&quiet, at(2026, 11, 21, 6, 59)));
    assert_false(fl_quiet_contains(&quiet, at(2026, 11, 21, 7, 0)));
    assert_false(fl_quiet_contains(&quiet, at(2026, 11, 21, 22, 0)));
    assert_false(fl_quiet_contains(&quiet, at(2026, 11, 20, 6, 0)));
}

TEST(quiet_hours_follow_what_clocks_show_when_they_are_changed)
{
    const fl_quiet quiet = parse("22:00-02:30");
    // On 2026-03-29 it is 01:59 and then 03:00: over at once.
    const int64_t spring = at(2026, 3, 29, 1, 59);
    assert_true(fl_quiet_contains(&quiet, spring));
    assert_false(fl_quiet_contains(&quiet, spring + MINUTE));
    assert_int_equal(fl_quiet_change(&quiet, spring - HOUR), spring + MINUTE);
    // On 2026-10-25 02:30 comes twice.
    const int64_t autumn = at(2026, 10, 25, 0, 0) + 2 * HOUR;
    assert_true(fl_quiet_contains(&quiet, autumn + 29 * MINUTE));
    assert_false(fl_quiet_contains(&quiet, autumn + 30 * MINUTE));
    assert_true(fl_quiet_contains(&quiet, autumn + HOUR));
    assert_false(fl_quiet_contains(&quiet, autumn + 90 * MINUTE));
    assert_int_equal(fl_quiet_change(&quiet, autumn), autumn + 30 * MINUTE);
    assert_int_equal(fl_quiet_change(&quiet, autumn + 30 * MINUTE),
                     autumn + HOUR);
}

TEST(quiet_hours_know_when_they_end_and_begin)
{
    fl_quiet quiet = parse("22:00-07:00, Sat 09:00-12:30");
    assert_int_equal(fl_quiet_change(&quiet, at(2026, 11, 20, 23, 11) + 17),
                     at(2026, 11, 21, 7, 0));
    assert_int_equal(fl_quiet_change(&quiet, at(2026, 11, 21, 7, 0)),
                     at(2026, 11, 21, 9, 0));
    quiet = parse("Tue 10:00-11:00");
    assert_int_equal(fl_quiet_change(&quiet, at(2026, 11, 24, 11, 0)),
                     at(2026, 12, 1, 10, 0));
    quiet = parse("00:00-24:00");
    assert_true(fl_quiet_contains(&quiet, at(2026, 11, 20, 12, 0)));
    assert_true(fl_quiet_change(&quiet, at(2026, 11, 20, 12, 0)) == INT64_MAX);
    quiet = parse("");
    assert_true(fl_quiet_change(&quiet, at(2026, 11, 20, 12, 0)) == INT64_MAX);
}

// Minute by minute, over both changes of the clocks.
TEST(quiet_hours_change_at_the_very_minute_that_counting_finds)
{
    const fl_quiet quiet = parse("22:00-02:30, Sun 02:15-05:00, 12:00-12:01");
    const int64_t starts[] = {at(2026, 3, 28, 12, 0), at(2026, 10, 24, 12, 0)};
    for (int i = 0; i < 2; i++) {
        for (int64_t t = starts[i]; t < starts[i] + DAY; t += 7 * MINUTE) {
            int64_t found = t - t % MINUTE + MINUTE;
            const bool was = fl_quiet_contains(&quiet, t);
            while (fl_quiet_contains(&quiet, found) == was)
                found += MINUTE;
            assert_int_equal(fl_quiet_change(&quiet, t), found);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet_hours_are_read_with_and_without_days),
        cmocka_unit_test(quiet_hours_that_make_no_sense_are_refused),
        cmocka_unit_test(
            quiet_hours_cross_midnight_and_belong_to_the_day_they_begin_on),
        cmocka_unit_test(
            quiet_hours_follow_what_clocks_show_when_they_are_changed),
        cmocka_unit_test(quiet_hours_know_when_they_end_and_begin),
        cmocka_unit_test(
            quiet_hours_change_at_the_very_minute_that_counting_finds),
    };
    return cmocka_run_group_tests(tests, use_berlin, NULL);
}
