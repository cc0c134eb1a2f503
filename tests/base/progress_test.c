/* SPDX-License-Identifier: Apache-2.0 */
#include "base/progress.h"

#include <math.h>

#include "tests/test.h"

// So many steps and seconds that a machine that stands still for a moment does
// not change a digit.
#define SECOND_US INT64_C(1000000)

static char written[2000];

// A file in memory, as if it were (not) a terminal.
static fl_progress start(bool is_terminal, uint64_t done, uint64_t total)
{
    fl_progress progress;
    memset(written, 0, sizeof written);
    FILE *out = tmpfile();
    assert_non_null(out);
    fl_progress_start(&progress, out, "round", done, total);
    assert_false(progress.is_terminal);
    progress.is_terminal = is_terminal;
    return progress;
}

static void read_written(fl_progress *progress)
{
    rewind(progress->out);
    const size_t len = fread(written, 1, sizeof written - 1, progress->out);
    written[len] = 0;
    fclose(progress->out);
}

TEST(progress_prints_one_plain_line_a_step)
{
    fl_progress progress = start(false, 0, 40);
    progress.start_us -= 80 * SECOND_US;
    fl_progress_show(&progress, 10, "acc %.2f", 0.5);
    fl_progress_show(&progress, 40, "acc %.2f", 0.75);
    fl_progress_finish(&progress);
    read_written(&progress);
    assert_string_equal(written, "round 10/40 acc 0.50 8.0 s/round ETA 4m\n"
                                 "round 40/40 acc 0.75 2.0 s/round\n");
}

TEST(progress_redraws_one_line_on_a_terminal)
{
    fl_progress progress = start(true, 0, 100);
    progress.start_us -= 100 * SECOND_US;
    fl_progress_show(&progress, 50, "a longer text");
    progress.drawn_us -= 200000;
    fl_progress_show(&progress, 100, "short");
    fl_progress_finish(&progress);
    read_written(&progress);
    assert_string_equal(
        written,
        "\rround 50/100 [#####-----] a longer text 2.0 s/round ETA 2m"
        "\rround 100/100 [##########] short 1.0 s/round              \n");
}

TEST(progress_redraws_at_most_ten_times_a_second)
{
    fl_progress progress = start(true, 0, 1000);
    for (uint64_t i = 1; i < 1000; i++)
        fl_progress_show(&progress, i, "x");
    const int drawn_before_the_last = progress.drawn_len;
    fl_progress_show(&progress, 1000, "last");
    read_written(&progress);
    int lines = 0;
    for (const char *at = written; *at; at++)
        lines += *at == '\r';
    assert_true(drawn_before_the_last > 0);
    assert_true(lines >= 2 && lines < 15);
    assert_non_null(strstr(written, "1000/1000"));  // the last always shows
}

TEST(progress_is_silent_when_quiet)
{
    fl_progress progress = start(false, 0, 4);
    progress.is_quiet = true;
    fl_progress_show(&progress, 1, "acc %.2f", 0.5);
    fl_progress_finish(&progress);
    read_written(&progress);
    assert_string_equal(written, "");
}

TEST(progress_of_a_resumed_run_counts_its_own_steps)
{
    fl_progress progress = start(false, 90, 100);
    progress.start_us -= 10000000;
    fl_progress_show(&progress, 90, "resumed");
    fl_progress_show(&progress, 95, "x");
    read_written(&progress);
    assert_string_equal(written, "round 90/100 resumed\n"
                                 "round 95/100 x 2.0 s/round ETA 10 s\n");
}

TEST(progress_needs_no_total)
{
    fl_progress progress = start(true, 0, 0);
    progress.start_us -= 50000;
    fl_progress_show(&progress, 1, "x");
    read_written(&progress);
    assert_memory_equal(written, "\rround 1 x 5", 11);
    assert_non_null(strstr(written, " ms/round"));
    assert_null(strstr(written, "ETA"));
}

TEST(progress_fits_the_width_of_the_terminal)
{
    char text[300];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    fl_progress progress = start(true, 0, 3);
    fl_progress_show(&progress, 1, "%s%s", text, text);
    read_written(&progress);
    assert_int_equal(strlen(written), 1 + 79);  // 80 when it does not say
}

static const char *bytes_text(double bytes)
{
    static char text[16];
    fl_bytes_text(text, bytes);
    return text;
}

TEST(progress_says_bytes_for_people)
{
    assert_string_equal(bytes_text(0), "0 B");
    assert_string_equal(bytes_text(840), "840 B");
    assert_string_equal(bytes_text(999.4), "999 B");
    assert_string_equal(bytes_text(999.6), "1.0 kB");
    assert_string_equal(bytes_text(999949), "999.9 kB");
    assert_string_equal(bytes_text(999951), "1.0 MB");
    assert_string_equal(bytes_text(3.14e6), "3.1 MB");
    assert_string_equal(bytes_text(2.5e9), "2.5 GB");
    assert_string_equal(bytes_text(1e18), "1.0 EB");
    assert_string_equal(bytes_text(1e300), "1e+282 EB");
    assert_string_equal(bytes_text((double)INFINITY), "inf EB");
}

static const char *duration_text(double seconds)
{
    static char text[16];
    fl_duration_text(text, seconds);
    return text;
}

TEST(progress_says_durations_for_people)
{
    assert_string_equal(duration_text(-1), "0.0 s");
    assert_string_equal(duration_text(4.2), "4.2 s");
    assert_string_equal(duration_text(45), "45 s");
    assert_string_equal(duration_text(59.4), "59 s");
    assert_string_equal(duration_text(59.6), "1m");
    assert_string_equal(duration_text(360), "6m");
    assert_string_equal(duration_text(3599), "1h 00m");
    assert_string_equal(duration_text(7500), "2h 05m");
    assert_string_equal(duration_text(86399), "1d 00h");
    assert_string_equal(duration_text(100000), "1d 04h");
    assert_string_equal(duration_text(999999999), "11574d 02h");
    assert_string_equal(duration_text((double)INFINITY), "long");
    assert_string_equal(duration_text((double)NAN), "long");
}

RUN_TESTS(cmocka_unit_test(progress_prints_one_plain_line_a_step),
          cmocka_unit_test(progress_redraws_one_line_on_a_terminal),
          cmocka_unit_test(progress_redraws_at_most_ten_times_a_second),
          cmocka_unit_test(progress_is_silent_when_quiet),
          cmocka_unit_test(progress_of_a_resumed_run_counts_its_own_steps),
          cmocka_unit_test(progress_needs_no_total),
          cmocka_unit_test(progress_fits_the_width_of_the_terminal),
          cmocka_unit_test(progress_says_bytes_for_people),
          cmocka_unit_test(progress_says_durations_for_people))
