/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "tests/test.h"

static const char DOCUMENT[] = "docs/metrics.md";

static fl_snapshot make_snapshot(void)
{
    fl_snapshot snapshot = {
        .started_ms = 1500,
        .status = {.rounds_done = 2,
                   .round_count = 5,
                   .activity = "training",
                   .away_counts = {[FL_AWAY_HOT] = 2}},
        .census = {.count = {[FL_CENSUS_TRAINING] = 3}},
        .last = {.round = 2, .took_ms = 250},
        .param_count = 100,
        .known_count = 4,
    };
    fl_totals_init(&snapshot.totals);
    snapshot.totals.round = 2;
    snapshot.totals.took_ms = 750;
    snapshot.totals.update_count = 6;
    snapshot.totals.selected_count = 8;
    snapshot.totals.bytes_up = 1234567890123;
    snapshot.totals.accuracy = 0.875;
    return snapshot;
}

static char *write_text(const fl_snapshot *snapshot)
{
    const fl_vitals vitals = {.resident_bytes = 4096, .cpu_s = 0.5};
    char *text;
    size_t len;
    assert_ok(fl_metrics_text(&text, &len, snapshot, &vitals));
    assert_int_equal(strlen(text), len);
    return text;
}

static void assert_line(const char *text, const char *line)
{
    char wanted[256];
    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    if (!strstr(text, wanted)) {
        print_error("no \"%s\" in:\n%s", line, text);
        fail();
    }
}

TEST(metrics_say_what_the_snapshot_says)
{
    const fl_snapshot snapshot = make_snapshot();
    char *text = write_text(&snapshot);
    assert_line(text, "fedge_build_info{version=\"" FL_VERSION "\"} 1");
    assert_line(text, "fedge_rounds_total 2");
    assert_line(text, "fedge_rounds_planned 5");
    assert_line(text, "fedge_round_duration_seconds_sum 0.75");
    assert_line(text, "fedge_round_duration_seconds_count 2");
    assert_line(text, "fedge_last_round_duration_seconds 0.25");
    assert_line(text, "fedge_accuracy_ratio 0.875");
    assert_line(text, "fedge_clients{state=\"training\"} 3");
    assert_line(text, "fedge_clients{state=\"absent\"} 0");
    assert_line(text, "fedge_clients_unable{reason=\"hot\"} 2");
    assert_line(text, "fedge_updates_missing_total 2");
    assert_line(text, "fedge_received_bytes_total 1234567890123");
    assert_line(text, "fedge_float32_bytes_total 2400");
    assert_line(text, "fedge_model_bytes{form=\"dense\"} 400");
    assert_line(text, "process_resident_memory_bytes 4096");
    assert_line(text, "process_start_time_seconds 1.5");
    free(text);
}

TEST(metrics_have_no_sample_of_what_is_not_known)
{
    fl_snapshot snapshot = make_snapshot();
    snapshot.totals.accuracy = (double)NAN;
    char *text = write_text(&snapshot);
    assert_line(text, "# TYPE fedge_accuracy_ratio gauge");
    assert_null(strstr(text, "\nfedge_accuracy_ratio "));
    assert_null(strstr(text, "form=\"int8\""));
    assert_null(strstr(text, "nan"));
    free(text);
}

// Takes a line off *text; NULL at the end.
static char *next_line(char **text)
{
    char *line = *text;
    char *end = line ? strchr(line, '\n') : NULL;
    if (!end) return NULL;
    *end = 0;
    *text = end + 1;
    return line;
}

static void assert_named(const char *line, const char *name)
{
    const size_t len = strlen(name);
    assert_int_equal(strncmp(line, name, len), 0);
    assert_true(line[len] == ' ' || line[len] == '{' || line[len] == '_');
}

// The format: help, type, then samples of that name; names and values plain.
TEST(metrics_follow_the_format)
{
    const fl_snapshot snapshot = make_snapshot();
    char *text = write_text(&snapshot), *rest = text, *line;
    char name[80] = "", type[16];
    while ((line = next_line(&rest))) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            assert_int_equal(sscanf(line, "# HELP %79s", name), 1);
            line = next_line(&rest);
            assert_non_null(line);
            assert_named(line + strlen("# TYPE "), name);
            assert_int_equal(sscanf(line, "# TYPE %*s %15s", type), 1);
            const size_t len = strlen(name);
            assert_int_equal(strcmp(type, "counter") == 0,
                             len > 6 && !strcmp(name + len - 6, "_total"));
            continue;
        }
        assert_named(line, name);
        char *end;
        (void)strtod(strrchr(line, ' ') + 1, &end);
        assert_true(*end == 0);
    }
    assert_string_equal(rest, "");
    free(text);
}

// docs/metrics.md has these rows and no others.
TEST(metrics_are_those_of_the_document)
{
    uint8_t *document;
    size_t len, documented = 0, count = 0;
    const fl_snapshot snapshot = make_snapshot();
    char *text = write_text(&snapshot), *rest = text, *line;
    assert_ok(fl_file_read(&document, &len, DOCUMENT, 1 << 20, NULL));
    while ((line = next_line(&rest))) {
        char name[80], type[16], row[512];
        const char *help;
        if (sscanf(line, "# HELP %79s", name) != 1) continue;
        help = line + strlen("# HELP ") + strlen(name) + 1;
        line = next_line(&rest);
        assert_int_equal(sscanf(line, "# TYPE %*s %15s", type), 1);
        snprintf(row, sizeof row, "\n| `%s` | %s | %s |\n", name, type, help);
        if (!strstr((const char *)document, row)) {
            print_error("%s lacks:%s", DOCUMENT, row);
            fail();
        }
        count++;
    }
    for (const char *at = (const char *)document;
         (at = strstr(at, "\n| `")) != NULL; at++) {
        documented +=
            !strncmp(at + 4, "fedge_", 6) || !strncmp(at + 4, "process_", 8);
    }
    assert_int_equal(documented, count);
    free(document);
    free(text);
}

RUN_TESTS(cmocka_unit_test(metrics_say_what_the_snapshot_says),
          cmocka_unit_test(metrics_have_no_sample_of_what_is_not_known),
          cmocka_unit_test(metrics_follow_the_format),
          cmocka_unit_test(metrics_are_those_of_the_document))
