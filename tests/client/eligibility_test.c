/* SPDX-License-Identifier: Apache-2.0 */
#include "client/board/eligibility.h"

#include <stdlib.h>

#include "base/random.h"
#include "client/board/rules.h"
#include "tests/test.h"

enum { SECOND = 1000, REST = 30 * SECOND };

static const int64_t WALL_S = 1790000000;  // a day in 2026

typedef struct {
    fl_eligibility machine;
    fl_sample sample;
    int64_t now_ms;
} bench;

static bench bench_with(const fl_eligibility_options *options)
{
    bench b = {.sample.samples = 100};
    fl_eligibility_init(&b.machine, options);
    return b;
}

// What the options' defaults make of it, but for the time that a verdict lasts.
static fl_eligibility_options defaults(void)
{
    fl_eligibility_options options;
    fl_metered metered;
    const fl_rules rules = fl_rules_defaults();
    assert_ok(fl_rules_read(&options, &metered, &rules, NULL));
    options.rest_ms = 0;
    return options;
}

static bench new_bench(void)
{
    const fl_eligibility_options options = defaults();
    return bench_with(&options);
}

static fl_away look_after(bench *b, int64_t ms)
{
    b->now_ms += ms;
    (void)fl_eligibility_look(&b->machine, &b->sample, b->now_ms,
                              WALL_S + b->now_ms / SECOND);
    return fl_eligibility_away(&b->machine);
}

static fl_away look(bench *b)
{
    return look_after(b, SECOND);
}

static void set(fl_reading *reading, double value)
{
    *reading = (fl_reading){.is_known = true, .value = value, .source = "here"};
}

static void assert_explains(const bench *b, fl_away away, const char *words)
{
    char text[FL_ELIGIBILITY_TEXT_CAP];
    fl_eligibility_explain(&b->machine, away, text);
    if (!strstr(text, words)) fail_msg("%s", text);
}

TEST(eligibility_without_any_sensor_lets_the_client_work)
{
    bench b = new_bench();
    assert_int_equal(look(&b), FL_AWAY_NONE);
}

TEST(eligibility_pauses_when_hot_and_goes_on_when_clearly_cooler)
{
    bench b = new_bench();
    static const struct {
        double celsius;
        fl_away away;
    } steps[] = {{60, 0},           {79.9, 0},         {80, FL_AWAY_HOT},
                 {71, FL_AWAY_HOT}, {70, FL_AWAY_HOT}, {69.9, 0},
                 {79, 0},           {95, FL_AWAY_HOT}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        set(&b.sample.celsius, steps[i].celsius);
        assert_int_equal(look(&b), steps[i].away);
    }
    assert_explains(&b, FL_AWAY_HOT,
                    "here is at 95 C (limit 80 C); it goes on below 70 C");
    assert_int_equal(fl_eligibility_since(&b.machine, FL_AWAY_HOT),
                     WALL_S + b.now_ms / SECOND);
    assert_int_equal(fl_eligibility_until(&b.machine, FL_AWAY_HOT, WALL_S), 0);
}

// The owner has changed the configuration of a board that pauses.
TEST(eligibility_takes_other_limits_at_the_next_look)
{
    bench b = new_bench();
    fl_eligibility_options options = defaults();
    set(&b.sample.celsius, 75);
    assert_int_equal(look(&b), FL_AWAY_NONE);
    options.max_celsius = 72;
    options.resume_celsius = 65;
    fl_eligibility_limit(&b.machine, &options);
    assert_int_equal(fl_eligibility_away(&b.machine), FL_AWAY_NONE);
    assert_int_equal(look(&b), FL_AWAY_HOT);
    fl_eligibility_limit(
        &b.machine,
        &(fl_eligibility_options){.max_celsius = 90, .resume_celsius = 85});
    assert_int_equal(look(&b), FL_AWAY_NONE);
}

TEST(eligibility_asks_no_temperature_when_the_limit_is_0)
{
    fl_eligibility_options options = defaults();
    options.max_celsius = 0;
    bench b = bench_with(&options);
    set(&b.sample.celsius, 120);
    assert_int_equal(look(&b), FL_AWAY_NONE);
}

TEST(eligibility_waits_a_minute_after_the_last_sign_of_throttling)
{
    bench b = new_bench();
    set(&b.sample.throttled, 1);
    assert_int_equal(look(&b), FL_AWAY_THROTTLED);
    set(&b.sample.throttled, 0);
    for (int i = 0; i < 59; i++)
        assert_int_equal(look(&b), FL_AWAY_THROTTLED);
    set(&b.sample.throttled, 1);
    assert_int_equal(look(&b), FL_AWAY_THROTTLED);
    set(&b.sample.throttled, 0);
    for (int i = 0; i < 60; i++)
        assert_int_equal(look(&b), FL_AWAY_THROTTLED);
    assert_int_equal(look(&b), FL_AWAY_NONE);
}

TEST(eligibility_leaves_batteries_alone_unless_it_is_told_to_use_them)
{
    bench b = new_bench();
    set(&b.sample.battery, 100);
    set(&b.sample.mains, 0);
    assert_int_equal(look(&b), FL_AWAY_ON_BATTERY);
    assert_explains(&b, FL_AWAY_ON_BATTERY, "--on-battery");
    set(&b.sample.mains, 1);
    assert_int_equal(look(&b), FL_AWAY_NONE);

    fl_eligibility_options options = defaults();
    options.works_on_battery = true;
    b = bench_with(&options);
    set(&b.sample.mains, 0);
    static const struct {
        double percent;
        fl_away away;
    } steps[] = {{50, 0},
                 {30, 0},
                 {29, FL_AWAY_ON_BATTERY},
                 {39, FL_AWAY_ON_BATTERY},
                 {40, 0}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        set(&b.sample.battery, steps[i].percent);
        assert_int_equal(look(&b), steps[i].away);
    }
    set(&b.sample.battery, 5);
    assert_int_equal(look(&b), FL_AWAY_ON_BATTERY);
    assert_explains(&b, FL_AWAY_ON_BATTERY, "5 % (limit 30 %)");
    set(&b.sample.mains, 1);
    assert_int_equal(look(&b), FL_AWAY_NONE);
}

TEST(eligibility_calls_a_board_busy_when_it_is_so_for_half_a_minute)
{
    fl_eligibility_options options = defaults();
    options.max_load = 2;
    bench b = bench_with(&options);
    set(&b.sample.load, 3);
    for (int i = 0; i < 30; i++)
        assert_int_equal(look(&b), FL_AWAY_NONE);
    assert_int_equal(look(&b), FL_AWAY_BUSY);
    assert_explains(&b, FL_AWAY_BUSY, "3.0 tasks a CPU running (limit 2.0)");
    set(&b.sample.load, 1.6);  // between 1.5 and 2: neither
    for (int i = 0; i < 40; i++)
        assert_int_equal(look(&b), FL_AWAY_BUSY);
    set(&b.sample.load, 1);
    for (int i = 0; i < 30; i++)
        assert_int_equal(look(&b), FL_AWAY_BUSY);
    assert_int_equal(look(&b), FL_AWAY_NONE);
    // A peak in between begins the half minute anew.
    for (int i = 0; i < 100; i++) {
        set(&b.sample.load, i % 20 == 0 ? 1 : 3);
        assert_int_equal(look(&b), FL_AWAY_NONE);
    }
}

TEST(eligibility_counts_pressure_of_whatever_is_short)
{
    fl_eligibility_options options = defaults();
    options.max_pressure = 40;
    options.max_load = 2;
    bench b = bench_with(&options);
    set(&b.sample.load, 0);
    set(&b.sample.pressure, 60);
    assert_int_equal(look(&b), FL_AWAY_NONE);
    assert_int_equal(look_after(&b, 30 * SECOND), FL_AWAY_BUSY);
    assert_explains(&b, FL_AWAY_BUSY, "60 % of the time (limit 40 %)");
}

TEST(eligibility_leaves_memory_to_others)
{
    bench b = new_bench();
    set(&b.sample.memory, 31);
    assert_int_equal(look(&b), FL_AWAY_LOW_MEMORY);
    assert_explains(&b, FL_AWAY_LOW_MEMORY, "31 MB");
    set(&b.sample.memory, 39);
    assert_int_equal(look(&b), FL_AWAY_LOW_MEMORY);
    set(&b.sample.memory, 40);
    assert_int_equal(look(&b), FL_AWAY_NONE);
}

TEST(eligibility_tells_what_concerns_the_link_before_all_else)
{
    bench b = new_bench();
    set(&b.sample.celsius, 90);
    assert_int_equal(look(&b), FL_AWAY_HOT);
    set(&b.sample.metered, 1);
    assert_int_equal(look(&b), FL_AWAY_METERED);
    assert_int_equal(b.machine.reason_count, 2);
    assert_int_equal(b.machine.reasons[1], FL_AWAY_HOT);
    set(&b.sample.metered, 0);
    assert_int_equal(look(&b), FL_AWAY_HOT);
}

TEST(eligibility_keeps_to_the_month_and_its_budget)
{
    fl_eligibility_options options = defaults();
    options.byte_budget = 5e6;
    bench b = bench_with(&options);
    setenv("TZ", "UTC", 1);
    b.sample.bytes = 4999999;
    assert_int_equal(look(&b), FL_AWAY_NONE);
    b.sample.bytes = 5000000;
    assert_int_equal(look(&b), FL_AWAY_BYTE_BUDGET);
    assert_explains(&b, FL_AWAY_BYTE_BUDGET, "5.0 MB");
    // 2026-09-21 -> 2026-10-01
    assert_int_equal(
        fl_eligibility_until(&b.machine, FL_AWAY_BYTE_BUDGET, WALL_S),
        1790812800);
    b.sample.bytes = 0;
    assert_int_equal(look(&b), FL_AWAY_NONE);
}

TEST(eligibility_observes_quiet_hours_and_knows_their_end)
{
    fl_eligibility_options options = defaults();
    setenv("TZ", "UTC", 1);
    assert_ok(fl_quiet_parse(&options.quiet, "14:00-15:00", NULL));
    bench b = bench_with(&options);  // it is 14:13:20
    assert_int_equal(look(&b), FL_AWAY_QUIET_HOURS);
    const int64_t until_s =
        fl_eligibility_until(&b.machine, FL_AWAY_QUIET_HOURS, WALL_S);
    assert_int_equal(until_s, WALL_S - 800 + 3600);
    assert_int_equal(look_after(&b, (until_s - WALL_S) * SECOND), FL_AWAY_NONE);
}

TEST(eligibility_wants_enough_examples)
{
    fl_eligibility_options options = defaults();
    options.min_samples = 101;
    bench b = bench_with(&options);
    assert_int_equal(look(&b), FL_AWAY_LITTLE_DATA);
    assert_explains(&b, FL_AWAY_LITTLE_DATA, "100 examples, at least 101");
    b.sample.samples = 101;
    assert_int_equal(look(&b), FL_AWAY_NONE);
}

TEST(eligibility_waits_for_a_trainer_that_rests)
{
    bench b = new_bench();
    assert_int_equal(look(&b), FL_AWAY_NONE);
    b.sample.trainer_rest_s = 45;
    b.sample.trainer_failures = 3;
    assert_int_equal(look_after(&b, 60 * SECOND), FL_AWAY_TRAINER);
    assert_explains(&b, FL_AWAY_TRAINER,
                    "the trainer has failed 3 times in a row; it is tried "
                    "again in 45 s");
    b.sample.trainer_rest_s = 0;
    assert_int_equal(look_after(&b, 60 * SECOND), FL_AWAY_NONE);
}

TEST(eligibility_believes_a_sensor_that_falls_silent_for_a_minute)
{
    bench b = new_bench();
    set(&b.sample.celsius, 90);
    assert_int_equal(look(&b), FL_AWAY_HOT);
    b.sample.celsius.is_known = false;
    for (int i = 0; i < 59; i++)
        assert_int_equal(look(&b), FL_AWAY_HOT);
    assert_int_equal(look(&b), FL_AWAY_NONE);
}

TEST(eligibility_says_a_first_verdict_at_once_and_later_ones_in_their_time)
{
    fl_eligibility_options options = defaults();
    options.rest_ms = REST;
    bench b = bench_with(&options);
    set(&b.sample.celsius, 90);
    assert_int_equal(look(&b), FL_AWAY_HOT);
    set(&b.sample.celsius, 50);
    for (int i = 0; i < 29; i++)
        assert_int_equal(look(&b), FL_AWAY_HOT);
    assert_int_equal(look(&b), FL_AWAY_NONE);
    set(&b.sample.celsius, 90);
    for (int i = 0; i < 9; i++)
        assert_int_equal(look(&b), FL_AWAY_NONE);
    assert_int_equal(look(&b), FL_AWAY_HOT);
}

/* ---- at random ---- */

static void shake(fl_reading *reading, fl_random *random, double from,
                  double to)
{
    if (fl_random_below(random, 4) == 0) return;  // as it was
    set(reading, from + (to - from) * fl_random_double(random));
    reading->is_known = fl_random_below(random, 8) != 0;
}

static void shake_all(fl_sample *s, fl_random *random)
{
    shake(&s->celsius, random, 60, 90);
    shake(&s->throttled, random, 0, 1.01);
    shake(&s->mains, random, -0.5, 1);
    shake(&s->battery, random, 0, 100);
    shake(&s->metered, random, 0, 1.1);
    shake(&s->load, random, 0, 4);
    shake(&s->pressure, random, 0, 100);
    shake(&s->memory, random, 0, 100);
    s->bytes = 1e6 * fl_random_double(random);
    s->samples = fl_random_below(random, 12);
}

// Whatever sensors say and whenever they are asked.
TEST(eligibility_never_changes_its_mind_faster_than_it_may)
{
    fl_eligibility_options options = defaults();
    options.rest_ms = REST;
    options.works_on_battery = true;
    options.max_load = 2;
    options.max_pressure = 50;
    options.byte_budget = 990000;
    options.min_samples = 2;
    unsigned changes = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        bench b = bench_with(&options);
        fl_random random;
        fl_random_init(&random, seed, FL_RANDOM_TEST, 0);
        fl_away before = look(&b);
        int64_t changed_ms = b.now_ms, began_ms = b.now_ms;
        for (int i = 0; i < 2000; i++) {
            shake_all(&b.sample, &random);
            const fl_away away =
                look_after(&b, fl_random_below(&random, 3 * SECOND));
            if (away == before) continue;
            assert_true(b.now_ms - changed_ms >= REST / 3);
            if (away == FL_AWAY_NONE) assert_true(b.now_ms - began_ms >= REST);
            if (before == FL_AWAY_NONE) began_ms = b.now_ms;
            changed_ms = b.now_ms;
            before = away;
            changes++;
        }
    }
    assert_true(changes > 1000);  // it does change
}

RUN_TESTS(
    cmocka_unit_test(eligibility_without_any_sensor_lets_the_client_work),
    cmocka_unit_test(
        eligibility_pauses_when_hot_and_goes_on_when_clearly_cooler),
    cmocka_unit_test(eligibility_takes_other_limits_at_the_next_look),
    cmocka_unit_test(eligibility_asks_no_temperature_when_the_limit_is_0),
    cmocka_unit_test(
        eligibility_waits_a_minute_after_the_last_sign_of_throttling),
    cmocka_unit_test(
        eligibility_leaves_batteries_alone_unless_it_is_told_to_use_them),
    cmocka_unit_test(
        eligibility_calls_a_board_busy_when_it_is_so_for_half_a_minute),
    cmocka_unit_test(eligibility_counts_pressure_of_whatever_is_short),
    cmocka_unit_test(eligibility_leaves_memory_to_others),
    cmocka_unit_test(eligibility_tells_what_concerns_the_link_before_all_else),
    cmocka_unit_test(eligibility_keeps_to_the_month_and_its_budget),
    cmocka_unit_test(eligibility_observes_quiet_hours_and_knows_their_end),
    cmocka_unit_test(eligibility_wants_enough_examples),
    cmocka_unit_test(eligibility_waits_for_a_trainer_that_rests),
    cmocka_unit_test(
        eligibility_believes_a_sensor_that_falls_silent_for_a_minute),
    cmocka_unit_test(
        eligibility_says_a_first_verdict_at_once_and_later_ones_in_their_time),
    cmocka_unit_test(eligibility_never_changes_its_mind_faster_than_it_may))
