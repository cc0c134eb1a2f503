/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/report.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "base/file.h"
#include "sim/chart.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

enum { TEXT_CAP = 1 << 20, PATH_CAP = FL_SCRATCH_CAP + 16 };

typedef struct {
    char folder[FL_SCRATCH_CAP];
    char json[PATH_CAP], csv[PATH_CAP], plot[PATH_CAP], table[PATH_CAP];
    fl_report_options options;
} desk;

static void desk_init(desk *d)
{
    *d = (desk){.options = {.is_quiet = true,
                            .dataset = "a \"quoted\" set",
                            .model = "mlp",
                            .partition = "iid",
                            .seed = 42,
                            .param_count = 9091,
                            .client_count = 100,
                            .cohort = 10,
                            .round_count = 3}};
    assert_true(fl_scratch_make(d->folder));
    snprintf(d->json, sizeof d->json, "%s/run.jsonl", d->folder);
    snprintf(d->csv, sizeof d->csv, "%s/run.csv", d->folder);
    snprintf(d->plot, sizeof d->plot, "%s/run.svg", d->folder);
    snprintf(d->table, sizeof d->table, "%s/table", d->folder);
    d->options.json = d->json;
    d->options.csv = d->csv;
}

static void desk_fini(desk *d)
{
    fl_scratch_remove(d->folder);
}

static char *text_of(const char *path)
{
    uint8_t *bytes;
    size_t len;
    assert_ok(fl_file_read(&bytes, &len, path, TEXT_CAP, NULL));
    return (char *)bytes;
}

static fl_round_record record_of(uint32_t round)
{
    return (fl_round_record){.round = round,
                             .attempt = 1,
                             .selected_count = 12,
                             .update_count = 10,
                             .sample_count = 500,
                             .client_loss = 1.5,
                             .client_accuracy = 0.4,
                             .loss = 2.0 / round,
                             .accuracy = 0.25 * round,
                             .bytes_up = 1000,
                             .bytes_down = 2000,
                             .aggregation = round,
                             .sessions_aborted = 2,
                             .bytes_control = 45000,
                             .codec = FL_CODEC_SKETCH,
                             .payload_up = 3000 * round,
                             .up_support = 2000,
                             .up_rounded = 400,
                             .up_packed = 310,
                             .moved = 454,
                             .download_1 = 360,
                             .download_10 = round > 1 ? 1800 : 0,
                             .download_full = 5200,
                             .param_count = 8000,
                             .mac_count = 70000,
                             .model_bytes = 5100,
                             .accuracy_before = round == 1 ? (double)NAN : 0.5,
                             .accuracy_after = round == 1 ? (double)NAN : 0.25,
                             .verdict = round == 1 ? FL_VERDICT_NONE
                                                   : FL_VERDICT_ROLLED_BACK,
                             .int8_accuracy = (double)NAN};
}

// A report of two rounds; the second one was not evaluated.
static void write_report(desk *d)
{
    fl_report *report;
    const uint32_t cohort[] = {3, 14, 15};
    fl_round_record second = record_of(2);
    const fl_round_record first = record_of(1);
    second.accuracy = second.loss = NAN;
    assert_ok(fl_report_new(&report, &d->options, NULL));
    assert_ok(fl_report_round(report, &first, cohort, 3, 1500, NULL));
    assert_ok(fl_report_round(report, &second, cohort, 2, 3000, NULL));
    fl_report_set_crypto(report, 2.5, 0.125);
    assert_ok(fl_report_finish(report, 3250, NULL));
    fl_report_free(report);
}

static json_t *take_line(char **text)
{
    char *end = strchr(*text, '\n');
    assert_non_null(end);
    *end = 0;
    json_t *line = json_loads(*text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    *text = end + 1;
    return line;
}

static double number(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);
    if (!json_is_number(value)) fail_msg("no number \"%s\"", key);
    return json_number_value(value);
}

static void assert_number(const json_t *line, const char *key, double expected)
{
    const double value = number(line, key);
    if (!(fabs(value - expected) < 1e-9))
        fail_msg("\"%s\" is %g, not %g", key, value, expected);
}

static void assert_text(const json_t *line, const char *key,
                        const char *expected)
{
    assert_string_equal(json_string_value(json_object_get(line, key)),
                        expected);
}

TEST(report_writes_a_json_line_with_the_documented_keys_for_every_round)
{
    desk d;
    desk_init(&d);
    write_report(&d);
    char *text = text_of(d.json), *at = text;
    json_t *line = take_line(&at);
    assert_text(line, "event", "round");
    assert_number(line, "round", 1);
    assert_number(line, "accuracy", 0.25);
    assert_number(line, "loss", 2.0);
    assert_number(line, "client_accuracy", 0.4);
    assert_number(line, "client_loss", 1.5);
    assert_number(line, "bytes_up", 1000);
    assert_number(line, "bytes_down", 2000);
    assert_number(line, "clients", 10);
    assert_number(line, "selected", 12);
    assert_number(line, "samples", 500);
    assert_text(line, "aggregation", "secure");
    assert_number(line, "sessions_aborted", 2);
    assert_number(line, "bytes_control", 45000);
    assert_text(line, "codec", "sketch");
    assert_number(line, "payload_up_per_client", 300);
    assert_number(line, "wire_up_per_client", 100);
    assert_number(line, "download_1_behind", 360);
    assert_number(line, "download_10_behind", 0);
    assert_number(line, "download_full", 5200);
    assert_number(line, "ratio_up", 4.0 * 9091 / 300);
    assert_number(line, "virtual_s", 1.5);
    assert_true(number(line, "wall_s") >= 0);
    const json_t *cohort = json_object_get(line, "cohort");
    assert_int_equal(json_array_size(cohort), 3);
    assert_int_equal(json_integer_value(json_array_get(cohort, 2)), 15);
    json_decref(line);
    line = take_line(&at);
    assert_number(line, "round", 2);
    assert_true(json_is_null(json_object_get(line, "accuracy")));
    assert_true(json_is_null(json_object_get(line, "loss")));
    json_decref(line);
    free(text);
    desk_fini(&d);
}

TEST(report_ends_with_a_summary_of_what_was_run)
{
    desk d;
    desk_init(&d);
    write_report(&d);
    char *text = text_of(d.json), *at = text;
    json_decref(take_line(&at));
    json_decref(take_line(&at));
    json_t *line = take_line(&at);
    assert_string_equal(at, "");
    assert_text(line, "event", "summary");
    assert_text(line, "version", FL_VERSION);
    assert_text(line, "dataset", "a \"quoted\" set");
    assert_text(line, "model", "mlp");
    assert_text(line, "partition", "iid");
    assert_number(line, "seed", 42);
    assert_number(line, "params", 9091);
    assert_number(line, "clients", 100);
    assert_number(line, "cohort_size", 10);
    assert_number(line, "round", 2);
    assert_number(line, "accuracy", 0.25);  // the last that was measured
    assert_number(line, "best_accuracy", 0.25);
    assert_number(line, "best_round", 1);
    assert_number(line, "bytes_up", 2000);
    assert_number(line, "bytes_down", 4000);
    assert_number(line, "updates", 20);
    assert_text(line, "aggregation", "clear");
    assert_number(line, "sessions_aborted", 4);
    assert_number(line, "bytes_control", 90000);
    assert_text(line, "codec", "sketch");
    assert_number(line, "payload_up_per_client", 450);
    assert_number(line, "wire_up_per_client", 100);
    assert_number(line, "download_1_behind", 360);
    assert_number(line, "download_10_behind", 1800);
    assert_number(line, "download_full", 5200);
    assert_number(line, "ratio_up", 4.0 * 9091 / 450);
    assert_number(line, "ratio_up_wire", 4.0 * 9091 / 100);
    assert_number(line, "crypto_client_cpu_s", 2.5);
    assert_number(line, "crypto_server_cpu_s", 0.125);
    assert_number(line, "virtual_s", 3.25);
    assert_true(number(line, "wall_s") >= 0);
    assert_true(number(line, "cpu_s") >= 0);
    json_decref(line);
    free(text);
    desk_fini(&d);
}

TEST(report_writes_a_csv_without_anything_of_this_machine)
{
    desk d;
    desk_init(&d);
    write_report(&d);
    char *text = text_of(d.csv);
    assert_string_equal(
        text,
        "round,accuracy,loss,client_accuracy,client_loss,clients,selected,"
        "samples,bytes_up,bytes_down,virtual_s,aggregation,sessions_aborted,"
        "bytes_control,codec,payload_up,up_support,up_rounded,up_packed,moved,"
        "download_1_behind,download_10_behind,download_full,work,params,macs,"
        "model_bytes,accuracy_before,accuracy_after,verdict,int8_accuracy\n"
        "1,0.250000,2.000000,0.400000,1.500000,10,12,500,1000,2000,1.500,"
        "secure,2,45000,sketch,3000,2000,400,310,454,360,0,5200,train,8000,"
        "70000,5100,,,,\n"
        "2,,,0.400000,1.500000,10,12,500,1000,2000,3.000,clear,2,45000,"
        "sketch,6000,2000,400,310,454,360,1800,5200,train,8000,70000,5100,"
        "0.500000,0.250000,rolled back,\n");
    free(text);
    desk_fini(&d);
}

TEST(report_refuses_a_path_that_cannot_be_written_before_the_run)
{
    static const char *const BAD = "/nonexistent/folder/file";
    for (int i = 0; i < 4; i++) {
        desk d;
        fl_report *report = NULL;
        fl_reason why = {""};
        desk_init(&d);
        if (i == 0) d.options.json = BAD;
        if (i == 1) d.options.csv = BAD;
        if (i >= 2 && fl_chart_check(NULL)) continue;
        if (i == 2) d.options.plot = BAD;
        if (i == 3) d.options.plot_bytes = BAD;
        assert_err(fl_report_new(&report, &d.options, &why), FL_ERR_SYSTEM);
        assert_null(report);
        assert_reason_names(why, BAD);
        desk_fini(&d);
    }
}

TEST(report_checks_a_path_without_touching_what_is_there)
{
    desk d;
    fl_reason why = {""};
    desk_init(&d);
    assert_ok(fl_report_check_path(d.json, &why));
    assert_ok(fl_file_write(d.json, "kept", 4, 0644, &why));
    assert_ok(fl_report_check_path(d.json, &why));
    char *text = text_of(d.json);
    assert_string_equal(text, "kept");
    free(text);
    assert_err(fl_report_check_path(d.folder, &why), FL_ERR_SYSTEM);
    assert_reason_names(why, d.folder);
    desk_fini(&d);
}

TEST(report_notices_a_disk_that_is_full)
{
    for (int i = 0; i < 2; i++) {
        desk d;
        fl_report *report;
        fl_reason why = {""};
        const fl_round_record first = record_of(1);
        desk_init(&d);
        if (i == 0) d.options.json = "/dev/full";
        if (i == 1) d.options.csv = "/dev/full";
        assert_ok(fl_report_new(&report, &d.options, NULL));
        assert_err(fl_report_round(report, &first, NULL, 0, 10, &why),
                   FL_ERR_SYSTEM);
        assert_reason_names(why, "/dev/full");
        fl_report_free(report);
        desk_fini(&d);
    }
}

TEST(report_needs_no_files_at_all)
{
    desk d;
    desk_init(&d);
    d.options.json = d.options.csv = NULL;
    write_report(&d);
    assert_int_equal(fl_scratch_count(d.folder), 0);
    desk_fini(&d);
}

TEST(report_draws_the_curve_at_the_end)
{
    desk d;
    if (fl_chart_check(NULL)) return;
    desk_init(&d);
    d.options.plot = d.plot;
    write_report(&d);
    char *text = text_of(d.plot);
    assert_non_null(strstr(text, "</svg>"));
    free(text);
    desk_fini(&d);
}

TEST(report_draws_the_bytes_at_the_end)
{
    desk d;
    if (fl_chart_check(NULL)) return;
    desk_init(&d);
    d.options.plot_bytes = d.plot;
    write_report(&d);
    char *text = text_of(d.plot);
    assert_non_null(strstr(text, "up: packed"));
    assert_non_null(strstr(text, "</svg>"));
    free(text);
    desk_fini(&d);
}

// What a report prints on standard output, the caller's to free.
static char *table_of(desk *d, const fl_round_record *rounds, uint32_t count)
{
    fl_report *report;
    d->options.is_quiet = false;
    d->options.json = d->options.csv = NULL;
    assert_ok(fl_report_new(&report, &d->options, NULL));
    for (uint32_t i = 0; i < count; i++) {
        assert_ok(fl_report_round(report, &rounds[i], NULL, 0, 1000, NULL));
    }
    fflush(stdout);
    const int out = dup(STDOUT_FILENO);
    assert_true(out >= 0 && freopen(d->table, "w", stdout));
    const fl_err err = fl_report_finish(report, 1000, NULL);
    fflush(stdout);
    assert_true(dup2(out, STDOUT_FILENO) >= 0);
    close(out);
    assert_ok(err);
    fl_report_free(report);
    return text_of(d->table);
}

static void assert_shown(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("no \"%s\" in %s", part, text);
}

TEST(report_shows_a_person_what_every_stage_takes)
{
    desk d;
    desk_init(&d);
    fl_round_record rounds[] = {record_of(1), record_of(2)};
    rounds[1].aggregation = FL_AGGREGATION_SECURE;
    char *text = table_of(&d, rounds, 2);
    assert_shown(text, "  codec            sketch\n"
                       "  an update        36.4 kB in float32\n"
                       "    support        2.0 kB, 1/18\n"
                       "    rounded        400 B, 1/91\n"
                       "    packed         450 B, 1/81\n"
                       "    on the wire    100 B, 1/364\n"
                       "  against Flower   1/162 of its 72.7 kB, 8 bytes a "
                       "value\n"
                       "  a download       36.4 kB in float32\n"
                       "    one behind     360 B, 1/101\n"
                       "    ten behind     1.8 kB, 1/20\n"
                       "    whole          5.2 kB, 1/7.0\n");
    free(text);
    desk_fini(&d);
}

TEST(report_shows_no_stage_that_there_was_not)
{
    desk d;
    desk_init(&d);
    fl_round_record round = record_of(2);  // in the clear
    round.download_10 = 0;
    char *text = table_of(&d, &round, 1);
    assert_shown(text, "    one behind");
    assert_null(strstr(text, "ten behind"));
    assert_null(strstr(text, "Flower"));
    free(text);
    round.codec = 0;
    text = table_of(&d, &round, 1);
    assert_null(strstr(text, "codec"));
    assert_null(strstr(text, "an update        "));
    free(text);
    desk_fini(&d);
}

TEST(report_keeps_what_there_is_when_more_rounds_come_than_expected)
{
    desk d;
    desk_init(&d);
    d.options.round_count = 1;
    write_report(&d);
    desk_fini(&d);
}

RUN_TESTS(
    cmocka_unit_test(
        report_writes_a_json_line_with_the_documented_keys_for_every_round),
    cmocka_unit_test(report_ends_with_a_summary_of_what_was_run),
    cmocka_unit_test(report_writes_a_csv_without_anything_of_this_machine),
    cmocka_unit_test(
        report_refuses_a_path_that_cannot_be_written_before_the_run),
    cmocka_unit_test(report_checks_a_path_without_touching_what_is_there),
    cmocka_unit_test(report_notices_a_disk_that_is_full),
    cmocka_unit_test(report_needs_no_files_at_all),
    cmocka_unit_test(report_draws_the_curve_at_the_end),
    cmocka_unit_test(report_draws_the_bytes_at_the_end),
    cmocka_unit_test(report_shows_a_person_what_every_stage_takes),
    cmocka_unit_test(report_shows_no_stage_that_there_was_not),
    cmocka_unit_test(
        report_keeps_what_there_is_when_more_rounds_come_than_expected))
