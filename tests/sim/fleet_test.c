/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fleet.h"

#include <math.h>
#include <stdlib.h>

#include "tests/test.h"

enum { BOARDS = 4001 };

static fl_fleet_options plain_fleet(void)
{
    return (fl_fleet_options){
        .seed = 1,
        .up_mbit = 8.0,
        .down_mbit = 80.0,
        .latency_ms = 20.0,
        .loss = 0.01,
        .samples_per_s = 500.0,
        .availability = 1.0,
        .period_s = 600.0,
    };
}

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%g is not within %g of %g", value, tolerance, expected);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct {
    double median, log_deviation;
} spread;

static spread measure(double *values, size_t count)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        sum += log(values[i]);
        squares += log(values[i]) * log(values[i]);
    }
    const double mean = sum / (double)count;
    qsort(values, count, sizeof *values, compare);
    return (spread){.median = values[count / 2],
                    .log_deviation =
                        sqrt(squares / (double)count - mean * mean)};
}

TEST(fleet_boards_are_all_alike_without_a_spread)
{
    const fl_fleet_options options = plain_fleet();
    for (uint32_t i = 0; i < 50; i++) {
        fl_board board;
        fl_board_init(&board, &options, i);
        assert_near(board.link.up_bytes_per_s, 1e6, 1e-6);
        assert_near(board.link.down_bytes_per_s, 1e7, 1e-6);
        assert_near(board.link.latency_ms, 20.0, 1e-9);
        assert_near(board.link.loss, 0.01, 0);
        assert_near(board.samples_per_s, 500.0, 1e-9);
    }
}

TEST(fleet_rates_and_speeds_are_log_normal_around_their_medians)
{
    static double up[BOARDS], down[BOARDS], latency[BOARDS], speed[BOARDS];
    fl_fleet_options options = plain_fleet();
    options.link_spread = 0.5;
    options.speed_spread = 1.0;
    for (uint32_t i = 0; i < BOARDS; i++) {
        fl_board board;
        fl_board_init(&board, &options, i);
        up[i] = board.link.up_bytes_per_s;
        down[i] = board.link.down_bytes_per_s;
        latency[i] = board.link.latency_ms;
        speed[i] = board.samples_per_s;
    }
    const spread found[] = {measure(up, BOARDS), measure(down, BOARDS),
                            measure(latency, BOARDS), measure(speed, BOARDS)};
    const spread expected[] = {{1e6, 0.5}, {1e7, 0.5}, {20, 0.5}, {500, 1.0}};
    for (int i = 0; i < 4; i++) {
        assert_near(found[i].median / expected[i].median, 1.0, 0.1);
        assert_near(found[i].log_deviation, expected[i].log_deviation, 0.05);
    }
}

// Streams that were the same, or shifted, would show here.
TEST(fleet_properties_of_a_board_tell_nothing_about_each_other)
{
    enum { PROPERTIES = 6 };
    static double x[PROPERTIES][BOARDS];
    fl_fleet_options options = plain_fleet();
    options.link_spread = 1.0;
    options.speed_spread = 1.0;
    options.availability = 0.5;
    options.dropout = 0.5;
    for (uint32_t i = 0; i < BOARDS; i++) {
        fl_board board;
        int64_t after_ms, away_ms;
        fl_board_init(&board, &options, i);
        x[0][i] = log(board.link.up_bytes_per_s / 1e6);
        x[1][i] = log(board.link.down_bytes_per_s / 1e7);
        x[2][i] = log(board.link.latency_ms / 20.0);
        x[3][i] = log(board.samples_per_s / 500.0);
        x[4][i] = fl_board_is_present_first(&board) ? 1.0 : -1.0;
        x[5][i] = fl_board_vanishes(&board, 100, &after_ms, &away_ms) ? 1 : -1;
    }
    for (int a = 0; a < PROPERTIES; a++) {
        for (int b = 0; b < a; b++) {
            double same = 0, next = 0;
            for (size_t i = 0; i + 1 < BOARDS; i++) {
                same += x[a][i] * x[b][i];
                next += x[a][i] * x[b][i + 1];
            }
            assert_near(same / BOARDS, 0, 0.08);  // five deviations
            assert_near(next / BOARDS, 0, 0.08);
        }
    }
}

TEST(fleet_has_the_same_client_whatever_else_is_in_it)
{
    fl_fleet_options options = plain_fleet();
    options.link_spread = options.speed_spread = 1.0;
    options.availability = 0.5;
    fl_board alone, among, other;
    fl_board_init(&alone, &options, 7);
    for (uint32_t i = 0; i <= 7; i++) {
        fl_board_init(&among, &options, i);
        if (i < 7) fl_board_next_change_ms(&among, true);
    }
    assert_near(among.link.up_bytes_per_s, alone.link.up_bytes_per_s, 0);
    assert_near(among.link.latency_ms, alone.link.latency_ms, 0);
    assert_near(among.samples_per_s, alone.samples_per_s, 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(fl_board_next_change_ms(&among, i % 2),
                         fl_board_next_change_ms(&alone, i % 2));
    options.seed = 2;
    fl_board_init(&other, &options, 7);
    assert_true(fabs(other.samples_per_s - alone.samples_per_s) > 0);
}

TEST(fleet_boards_are_there_for_their_share_of_the_time)
{
    fl_fleet_options options = plain_fleet();
    options.availability = 0.7;
    double present_ms = 0, all_ms = 0;
    int first_count = 0, change_count = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        fl_board board;
        fl_board_init(&board, &options, i);
        bool is_present = fl_board_is_present_first(&board);
        first_count += is_present;
        for (int k = 0; k < 40; k++) {
            const int64_t ms = fl_board_next_change_ms(&board, is_present);
            assert_true(ms >= 1);
            all_ms += (double)ms;
            if (is_present) present_ms += (double)ms;
            is_present = !is_present;
            change_count++;
        }
    }
    assert_near(first_count / 1000.0, 0.7, 0.06);
    assert_near(present_ms / all_ms, 0.7, 0.02);
    assert_near(all_ms / change_count, 600e3 / 2, 6e3);
}

TEST(fleet_boards_stay_when_they_are_always_available)
{
    const fl_fleet_options options = plain_fleet();
    fl_board board;
    fl_board_init(&board, &options, 0);
    assert_true(fl_board_is_present_first(&board));
    assert_true(fl_board_next_change_ms(&board, true) == INT64_MAX);
}

TEST(fleet_training_takes_its_samples_and_epochs)
{
    const fl_fleet_options options = plain_fleet();
    fl_board board;
    fl_board_init(&board, &options, 0);
    assert_in_range(
        fl_board_work_ms(&board, &(fl_plan){.local_epochs = 3}, 1000), 6000,
        6001);
    assert_in_range(fl_board_work_ms(&board, &(fl_plan){.local_epochs = 1}, 1),
                    2, 3);
}

TEST(fleet_clients_vanish_as_often_as_they_should)
{
    fl_fleet_options options = plain_fleet();
    int64_t after_ms, away_ms;
    options.dropout = 0.25;
    int count = 0;
    double away_sum = 0, after_sum = 0;
    for (uint32_t i = 0; i < BOARDS; i++) {
        fl_board board;
        fl_board_init(&board, &options, i);
        count += fl_board_vanishes(&board, 10000, &after_ms, &away_ms);
        assert_in_range(after_ms, 0, 9999);
        assert_true(away_ms >= 1);
        after_sum += (double)after_ms;
        away_sum += (double)away_ms;
    }
    assert_near((double)count / BOARDS, 0.25, 0.035);
    assert_near(after_sum / BOARDS, 5000, 250);
    assert_near(away_sum / BOARDS, 60e3, 5e3);
    options.dropout = 0;
    fl_board board;
    fl_board_init(&board, &options, 0);
    assert_false(fl_board_vanishes(&board, 10000, &after_ms, &away_ms));
}

TEST(fleet_links_are_without_limit_at_rate_0)
{
    fl_fleet_options options = plain_fleet();
    options.up_mbit = options.down_mbit = 0;
    options.link_spread = 1.0;
    fl_board board;
    fl_board_init(&board, &options, 0);
    assert_near(board.link.up_bytes_per_s, 0, 0);
    assert_near(board.link.down_bytes_per_s, 0, 0);
}

RUN_TESTS(
    cmocka_unit_test(fleet_boards_are_all_alike_without_a_spread),
    cmocka_unit_test(
        fleet_rates_and_speeds_are_log_normal_around_their_medians),
    cmocka_unit_test(fleet_properties_of_a_board_tell_nothing_about_each_other),
    cmocka_unit_test(fleet_has_the_same_client_whatever_else_is_in_it),
    cmocka_unit_test(fleet_boards_are_there_for_their_share_of_the_time),
    cmocka_unit_test(fleet_boards_stay_when_they_are_always_available),
    cmocka_unit_test(fleet_training_takes_its_samples_and_epochs),
    cmocka_unit_test(fleet_clients_vanish_as_often_as_they_should),
    cmocka_unit_test(fleet_links_are_without_limit_at_rate_0))
