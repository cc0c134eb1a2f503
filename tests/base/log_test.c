/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"

static struct {
    char line[5000];
    fl_log_level level;
    int count;
} seen;

static void keep(void *self, fl_log_level level, const char *line)
{
    assert_ptr_equal(self, &seen);
    assert_true(strlen(line) < sizeof seen.line);
    strcpy(seen.line, line);
    seen.level = level;
    seen.count++;
}

static int capture(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    fl_log_start(FL_LOG_INFO, keep, &seen);
    return 0;
}

TEST(log_writes_event_and_pairs)
{
    fl_log(FL_LOG_WARN, "round_closed", "round=%u why=%s", 12U, "quorum");
    assert_string_equal(seen.line, "event=round_closed round=12 why=quorum");
    assert_int_equal(seen.level, FL_LOG_WARN);
}

TEST(log_writes_an_event_alone)
{
    fl_log(FL_LOG_INFO, "started", NULL);
    assert_string_equal(seen.line, "event=started");
}

TEST(log_knows_the_conversions_of_printf)
{
    fl_log(FL_LOG_INFO, "integers",
           "d=%d u=%u zu=%zu zd=%zd lld=%lld llu=%llu ld=%ld lu=%lu", -1,
           UINT32_MAX, SIZE_MAX, (ptrdiff_t)-2, -3LL, ULLONG_MAX, -4L, 5UL);
    assert_string_equal(seen.line, "event=integers d=-1 u=4294967295 "
                                   "zu=18446744073709551615 zd=-2 lld=-3 "
                                   "llu=18446744073709551615 ld=-4 lu=5");
    fl_log(FL_LOG_INFO, "macros",
           "a=%" PRIu64 " b=%" PRId64 " c=%" PRIu32 " d=%" PRIx64
           " e=%hhu f=%hd g=%jd h=%ju",
           UINT64_MAX, INT64_MIN, UINT32_C(7), UINT64_C(255), 300, 70000,
           INTMAX_MIN, UINTMAX_MAX);
    assert_string_equal(seen.line,
                        "event=macros a=18446744073709551615 "
                        "b=-9223372036854775808 c=7 d=ff e=44 f=4464 "
                        "g=-9223372036854775808 h=18446744073709551615");
    fl_log(FL_LOG_INFO, "numbers", "g=%g f=%.2f e=%.1e c=%c p=%%", 0.25, 1.239,
           12345.0, 'x');
    assert_string_equal(seen.line,
                        "event=numbers g=0.25 f=1.24 e=1.2e+04 c=x p=%");
    fl_log(FL_LOG_INFO, "widths", "a=%08x b=%.*s c=%.3s d=%5d e=%-5d.", 0xabcU,
           2, "xyz", "abcdef", 42, 7);
    assert_string_equal(seen.line, "event=widths a=00000abc b=xy c=abc "
                                   "d=\"   42\" e=\"7    .\"");
}

TEST(log_joins_what_stands_between_blanks)
{
    fl_log(FL_LOG_INFO, "peer", "  at=%s:%u   mode=fast ", "host", 80U);
    assert_string_equal(seen.line, "event=peer at=host:80 mode=fast");
}

TEST(log_quotes_values_that_would_split)
{
    fl_log(FL_LOG_INFO, "e", "a=%s b=%s c=%s d=%s", "two words", "", "k=v",
           "plain");
    assert_string_equal(seen.line,
                        "event=e a=\"two words\" b=\"\" c=\"k=v\" d=plain");
}

TEST(log_cannot_be_forged_by_a_value)
{
    fl_log(FL_LOG_INFO, "e", "name=%s next=1",
           "x\nevent=enrolled admin=\"yes\"\r\t\\\x1b[2J\x7f\xc2\x9b");
    assert_string_equal(seen.line,
                        "event=e name=\"x\\nevent=enrolled "
                        "admin=\\\"yes\\\"\\r\\t\\\\\\x1b[2J\\x7f\\xc2\\x9b\""
                        " next=1");
}

TEST(log_does_not_read_the_value_as_a_format)
{
    fl_log(FL_LOG_INFO, "e", "a=%s b=%d", "%n%s%d", 3);
    assert_string_equal(seen.line, "event=e a=%n%s%d b=3");
}

TEST(log_survives_a_missing_text)
{
    const char *volatile missing = NULL;
    fl_log(FL_LOG_INFO, "e", "a=%s", missing);
    assert_string_equal(seen.line, "event=e a=(null)");
}

TEST(log_cuts_a_long_value_and_keeps_the_next)
{
    static char text[20000];
    memset(text, 'x', sizeof text - 1);
    fl_log(FL_LOG_INFO, "e", "a=%s b=%d", text, 3);
    assert_int_equal(strlen(seen.line), strlen("event=e a=... b=3") + 512);
    assert_non_null(strstr(seen.line, "x... b=3"));
    memset(text, 1, sizeof text - 1);
    fl_log(FL_LOG_INFO, "e", "a=%s b=%d", text, 3);
    assert_in_range(strlen(seen.line), 512, 540);
    assert_non_null(strstr(seen.line, "\\x01...\" b=3"));
    text[512] = 0;
    memset(text, 'x', 512);
    fl_log(FL_LOG_INFO, "e", "a=%s b=%d", text, 3);
    assert_non_null(strstr(seen.line, "x b=3"));
}

// Every pair that stands there is complete.
static void assert_cut_well(const char *line)
{
    const size_t len = strlen(line);
    size_t quotes = 0;
    for (size_t i = 0; i < len; i++)
        quotes += line[i] == '"';
    assert_int_equal(quotes % 2, 0);
    assert_null(strchr(line, '\n'));
    assert_true(len > 9);
    assert_string_equal(line + len - 9, " cut=true");
}

TEST(log_keeps_a_line_whole_when_it_is_too_long)
{
    static char text[2000];
    memset(text, '\n', sizeof text - 1);
    fl_log(FL_LOG_INFO, "e", "a=%s b=%s c=%s d=%s e=%s f=%s g=%s h=%s z=1",
           text, text, text, text, text, text, text, text);
    assert_in_range(strlen(seen.line), 3000, 4095);
    assert_cut_well(seen.line);
}

static void format_pairs(char *dst, size_t dst_cap, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void format_pairs(char *dst, size_t dst_cap, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fl_log_format(dst, dst_cap, format, args);
    va_end(args);
}

TEST(log_formats_now_and_writes_later)
{
    char pairs[100];
    format_pairs(pairs, sizeof pairs, " a=%d b=%s c=%g", 1, "x y", 0.5);
    assert_string_equal(pairs, "a=1 b=\"x y\" c=0.5");
    fl_log_line(FL_LOG_WARN, "later", pairs);
    assert_string_equal(seen.line, "event=later a=1 b=\"x y\" c=0.5");
    fl_log_line(FL_LOG_WARN, "later", NULL);
    assert_string_equal(seen.line, "event=later");
    seen.count = 0;
    fl_log_line(FL_LOG_DEBUG, "later", pairs);
    assert_int_equal(seen.count, 0);
}

TEST(log_formats_as_many_pairs_as_fit)
{
    char pairs[30], expected[30] = "a=1 b=22 cut=true";
    format_pairs(pairs, 18, "a=%d b=%d c=%s", 1, 22, "\"");
    assert_string_equal(pairs, expected);
    format_pairs(pairs, 17, "a=%d b=%d c=%s", 1, 22, "\"");
    assert_string_equal(pairs, "a=1 cut=true");
    for (size_t cap = 1; cap < sizeof pairs; cap++) {
        memset(pairs, '#', sizeof pairs);
        format_pairs(pairs, cap, "a=%s b=%s", "\n\n", "\n\n\n");
        assert_true(strlen(pairs) < cap);
        if (strlen(pairs) > 9 && cap < 25) assert_cut_well(pairs);
    }
}

TEST(log_leaves_out_pairs_that_are_too_many)
{
    static char pairs[6000];
    memset(pairs, 'x', sizeof pairs - 1);
    fl_log_line(FL_LOG_INFO, "e", pairs);
    assert_string_equal(seen.line, "event=e cut=true");
}

TEST(log_drops_lines_below_its_level)
{
    fl_log(FL_LOG_DEBUG, "e", NULL);
    assert_int_equal(seen.count, 0);
    fl_log_start(FL_LOG_ERROR, keep, &seen);
    fl_log(FL_LOG_WARN, "e", NULL);
    assert_int_equal(seen.count, 0);
    fl_log(FL_LOG_ERROR, "e", NULL);
    assert_int_equal(seen.count, 1);
}

TEST(log_reads_the_names_of_levels)
{
    fl_log_level level = FL_LOG_ERROR;
    assert_ok(fl_log_level_parse(&level, "debug"));
    assert_int_equal(level, FL_LOG_DEBUG);
    assert_ok(fl_log_level_parse(&level, "warn"));
    assert_int_equal(level, FL_LOG_WARN);
    assert_err(fl_log_level_parse(&level, "Warn"), FL_ERR_RANGE);
    assert_err(fl_log_level_parse(&level, ""), FL_ERR_RANGE);
}

// What one call of fl_log writes to standard error.
static void read_standard_error(char dst[256], bool is_journal)
{
    int ends[2];
    struct stat status;
    char stream[60];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fstat(ends[1], &status), 0);
    snprintf(stream, sizeof stream, "%llu:%llu",
             (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    if (is_journal) setenv("JOURNAL_STREAM", stream, 1);
    const int old = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    fl_log_start(FL_LOG_INFO, NULL, NULL);
    fl_log(FL_LOG_WARN, "hot", "temp_c=%d", 81);
    dup2(old, STDERR_FILENO);
    if (is_journal) unsetenv("JOURNAL_STREAM");
    close(old);
    close(ends[1]);
    const ssize_t len = read(ends[0], dst, 255);
    close(ends[0]);
    assert_true(len > 0);
    dst[len] = 0;
}

TEST(log_stamps_lines_with_time_and_level)
{
    char line[256];
    unsetenv("JOURNAL_STREAM");
    read_standard_error(line, false);
    int year, month, day, hour, minute, second, ms, used = 0;
    assert_int_equal(sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &year,
                            &month, &day, &hour, &minute, &second, &ms, &used),
                     7);
    assert_true(year >= 2024);
    assert_string_equal(line + used, "warn event=hot temp_c=81\n");
}

TEST(log_gives_the_journal_a_priority)
{
    char line[256];
    read_standard_error(line, true);
    assert_string_equal(line, "<4>event=hot temp_c=81\n");
}

// Started by a service with standard error elsewhere: the variable is
// inherited.
TEST(log_knows_a_file_from_the_journal)
{
    char line[256];
    setenv("JOURNAL_STREAM", "8:12345", 1);
    read_standard_error(line, false);
    assert_true(line[0] != '<');
    setenv("JOURNAL_STREAM", "", 1);
    read_standard_error(line, false);
    unsetenv("JOURNAL_STREAM");
    assert_true(line[0] != '<');
}

TEST(log_takes_another_level_while_it_runs)
{
    fl_log_set_level(FL_LOG_DEBUG);
    fl_log(FL_LOG_DEBUG, "e", NULL);
    assert_int_equal(seen.count, 1);
    fl_log_set_level(FL_LOG_ERROR);
    fl_log(FL_LOG_WARN, "e", NULL);
    assert_int_equal(seen.count, 1);
}

#define CAPTURED(test) cmocka_unit_test_setup(test, capture)

RUN_TESTS(CAPTURED(log_writes_event_and_pairs),
          CAPTURED(log_writes_an_event_alone),
          CAPTURED(log_knows_the_conversions_of_printf),
          CAPTURED(log_joins_what_stands_between_blanks),
          CAPTURED(log_quotes_values_that_would_split),
          CAPTURED(log_cannot_be_forged_by_a_value),
          CAPTURED(log_does_not_read_the_value_as_a_format),
          CAPTURED(log_survives_a_missing_text),
          CAPTURED(log_cuts_a_long_value_and_keeps_the_next),
          CAPTURED(log_keeps_a_line_whole_when_it_is_too_long),
          CAPTURED(log_formats_now_and_writes_later),
          CAPTURED(log_formats_as_many_pairs_as_fit),
          CAPTURED(log_leaves_out_pairs_that_are_too_many),
          CAPTURED(log_drops_lines_below_its_level),
          CAPTURED(log_reads_the_names_of_levels),
          CAPTURED(log_stamps_lines_with_time_and_level),
          CAPTURED(log_gives_the_journal_a_priority),
          CAPTURED(log_knows_a_file_from_the_journal),
          CAPTURED(log_takes_another_level_while_it_runs))
