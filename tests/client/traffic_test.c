/* SPDX-License-Identifier: Apache-2.0 */
#include "client/board/traffic.h"

#include <stdlib.h>
#include <unistd.h>

#include "client/state/state_record.h"
#include "tests/support/data_files.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

enum { DAY_S = 24 * 3600 };

static const int64_t OCTOBER_S = 1791800000;  // the 12th, 2026

static char folder[FL_SCRATCH_CAP];
static fl_traffic traffic;
static fl_reason why;

static int set_up(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    why = (fl_reason){""};
    if (!fl_scratch_make(folder)) return -1;
    return fl_traffic_open(&traffic, folder, &why);
}

static int tear_down(void **state)
{
    (void)state;
    fl_scratch_remove(folder);
    return 0;
}

static uint64_t read_again(void)
{
    uint64_t bytes;
    assert_ok(fl_traffic_peek(&bytes, folder, &why));
    return bytes;
}

static void count(uint64_t total, int64_t wall_s)
{
    assert_ok(fl_traffic_count(&traffic, total, wall_s, &why));
}

TEST(traffic_begins_with_nothing_and_adds_up_over_starts)
{
    assert_int_equal(traffic.bytes, 0);
    count(100, OCTOBER_S);
    count(250, OCTOBER_S + 1);
    assert_int_equal(traffic.bytes, 250);
    assert_ok(fl_traffic_close(&traffic, &why));
    assert_int_equal(read_again(), 250);
    assert_ok(fl_traffic_open(&traffic, folder, &why));
    count(50, OCTOBER_S + 2);
    assert_int_equal(traffic.bytes, 300);
}

// A program that dies has always kept at least what it has used.
TEST(traffic_on_the_disk_is_never_behind)
{
    uint64_t total = 0;
    for (int i = 0; i < 200; i++) {
        count(total += 40000, OCTOBER_S);
        const uint64_t saved = read_again();
        assert_true(saved >= total && saved <= total + FL_TRAFFIC_STEP + 40000);
    }
}

TEST(traffic_begins_anew_with_a_month)
{
    count(1000, OCTOBER_S);
    count(1500, OCTOBER_S + 30 * DAY_S);
    assert_int_equal(traffic.bytes, 500);
    assert_int_equal(traffic.month, 2026 * 12 + 10);
}

TEST(traffic_gives_no_new_budget_when_the_clock_is_put_back)
{
    count(1000, OCTOBER_S);
    count(1001, OCTOBER_S - 400 * (int64_t)DAY_S);  // a year off
    assert_int_equal(traffic.bytes, 1001);
    count(1002, 1000);  // 1970: not set yet
    assert_int_equal(traffic.bytes, 1002);
    assert_int_equal(traffic.month, 2025 * 12 + 8);
}

TEST(traffic_that_is_damaged_is_said_and_begins_anew)
{
    count(1000, OCTOBER_S);
    assert_int_equal(truncate(traffic.path, 20), 0);
    assert_err(fl_traffic_open(&traffic, folder, &why), FL_ERR_FORMAT);
    assert_reason_names(why, "traffic");
    assert_int_equal(traffic.bytes, 0);
    count(10, OCTOBER_S);
    assert_ok(fl_traffic_open(&traffic, folder, &why));
}

TEST(traffic_of_a_newer_version_is_refused_and_stays)
{
    const uint8_t payload[40] = {1};
    assert_ok(fl_state_record_write(traffic.path, "FEDGEtr2", payload,
                                    sizeof payload, true, &why));
    assert_err(fl_traffic_open(&traffic, folder, &why), FL_ERR_UNSUPPORTED);
    assert_reason_names(why, "newer fedge-client");
    assert_int_equal(access(traffic.path, F_OK), 0);
}

TEST(traffic_that_cannot_be_kept_is_counted_all_the_same)
{
    strcpy(traffic.path, "/nowhere/traffic");
    assert_err(fl_traffic_count(&traffic, 77, OCTOBER_S, &why), FL_ERR_SYSTEM);
    assert_reason_names(why, "/nowhere/traffic");
    assert_int_equal(traffic.bytes, 77);
    assert_err(fl_traffic_close(&traffic, &why), FL_ERR_SYSTEM);
}

TEST(traffic_refuses_a_folder_whose_name_is_too_long)
{
    static char name[2 * PATH_MAX];
    memset(name, 'x', sizeof name - 1);
    assert_err(fl_traffic_open(&traffic, name, &why), FL_ERR_RANGE);
}

#define IN_A_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)
RUN_TESTS(IN_A_FOLDER(traffic_begins_with_nothing_and_adds_up_over_starts),
          IN_A_FOLDER(traffic_on_the_disk_is_never_behind),
          IN_A_FOLDER(traffic_begins_anew_with_a_month),
          IN_A_FOLDER(traffic_gives_no_new_budget_when_the_clock_is_put_back),
          IN_A_FOLDER(traffic_that_is_damaged_is_said_and_begins_anew),
          IN_A_FOLDER(traffic_of_a_newer_version_is_refused_and_stays),
          IN_A_FOLDER(traffic_that_cannot_be_kept_is_counted_all_the_same),
          IN_A_FOLDER(traffic_refuses_a_folder_whose_name_is_too_long))
