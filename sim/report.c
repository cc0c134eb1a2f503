/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "sim/chart.h"

struct fl_report {
    fl_report_options options;
    FILE *json, *csv;
    fl_progress progress;
    int64_t start_us, start_cpu_us;
    fl_chart_point *points;   // round_count
    fl_chart_bytes *ledgers;  // as many
    size_t point_count;
    fl_totals totals;
    double crypto_client_s, crypto_server_s;
    fl_totals_forms forms;
};

static fl_err refuse_path(const char *path, fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_SYSTEM, "%s: cannot be written: %s", path,
                         strerror(errno));
}

static fl_err open_file(FILE **file, const char *path, fl_reason *why)
{
    if (!path) return FL_OK;
    *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    return *file ? FL_OK : refuse_path(path, why);
}

fl_err fl_report_check_path(const char *path, fl_reason *why)
{
    return path ? fl_file_check(path, why) : FL_OK;
}

static void close_file(FILE *file)
{
    if (file && file != stdout) fclose(file);
}

fl_err fl_report_new(fl_report **report, const fl_report_options *options,
                     fl_reason *why)
{
    fl_err err = FL_ERR_MEMORY;
    fl_report *new = calloc(1, sizeof *new);
    if (!new) return fl_reason_set(why, err, "no memory for a report");
    new->options = *options;
    fl_totals_init(&new->totals);
    new->totals.dense.params = options->param_count;
    new->points = calloc(options->round_count + 1, sizeof *new->points);
    new->ledgers = calloc(options->round_count + 1, sizeof *new->ledgers);
    if (!new->points || !new->ledgers) {
        fl_reason_set(why, err, "no memory for %u rounds",
                      options->round_count);
        goto out;
    }
    err = options->plot || options->plot_bytes ? fl_chart_check(why) : FL_OK;
    if (!err) err = fl_report_check_path(options->plot, why);
    if (!err) err = fl_report_check_path(options->plot_bytes, why);
    if (!err) err = open_file(&new->json, options->json, why);
    if (!err) err = open_file(&new->csv, options->csv, why);
    if (err) goto out;
    if (new->csv) {
        fputs("round,accuracy,loss,client_accuracy,client_loss,clients,"
              "selected,samples,bytes_up,bytes_down,virtual_s,aggregation,"
              "sessions_aborted,bytes_control,codec,payload_up,up_support,"
              "up_rounded,up_packed,moved,download_1_behind,"
              "download_10_behind,download_full,work,params,macs,model_bytes,"
              "accuracy_before,accuracy_after,verdict,int8_accuracy\n",
              new->csv);
    }
    fl_progress_start(&new->progress, stderr, "round", 0, options->round_count);
    new->progress.is_quiet = options->is_quiet;
    new->start_us = fl_clock_monotonic_us();
    new->start_cpu_us = fl_clock_cpu_us();
    *report = new;
    new = NULL;

out:
    fl_report_free(new);
    return err;
}

void fl_report_free(fl_report *report)
{
    if (!report) return;
    close_file(report->json);
    close_file(report->csv);
    free(report->points);
    free(report->ledgers);
    free(report);
}

/* ---- one round ---- */

static fl_err write_line(FILE *file, fl_json *object, const char *path,
                         fl_reason *why)
{
    char *text = NULL;
    fl_err err = fl_json_text(&text, object);
    fl_json_free(object);
    if (err) return fl_reason_set(why, err, "no memory for a JSON line");
    if (fprintf(file, "%s\n", text) < 0 || fflush(file)) {
        err = refuse_path(path, why);
    }
    free(text);
    return err;
}

static double seconds_since(int64_t start_us)
{
    return (double)(fl_clock_monotonic_us() - start_us) * 1e-6;
}

static fl_err write_round_json(fl_report *report, const fl_round_record *round,
                               const uint32_t *cohort, size_t cohort_len,
                               int64_t virtual_ms, fl_reason *why)
{
    if (!report->json) return FL_OK;
    fl_json *line = fl_json_new();
    fl_json_text_set(line, "event", "round");
    fl_totals_round_json(line, round, report->options.param_count);
    fl_json_number_set(line, "virtual_s", (double)virtual_ms * 1e-3);
    fl_json_number_set(line, "wall_s", seconds_since(report->start_us));
    for (size_t i = 0; i < cohort_len; i++) {
        fl_json_count_add(line, "cohort", cohort[i]);
    }
    return write_line(report->json, line, report->options.json, why);
}

static void write_ledger_csv(FILE *csv, const fl_round_record *round)
{
    const char *codec = fl_codec_name((fl_codec_kind)round->codec);
    const uint64_t bytes[] = {
        round->payload_up,  round->up_support,    round->up_rounded,
        round->up_packed,   round->moved,         round->download_1,
        round->download_10, round->download_full,
    };
    fprintf(csv, ",%s", codec ? codec : "");
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        fprintf(csv, ",%llu", (unsigned long long)bytes[i]);
    }
}

static void write_share_csv(FILE *csv, double share)
{
    if (isfinite(share)) {
        fprintf(csv, ",%.6f", share);
    } else {
        fputc(',', csv);
    }
}

static void write_size_csv(FILE *csv, const fl_round_record *round)
{
    const char *work = fl_totals_work_name(round->work);
    const char *verdict = fl_reduction_verdict_name(round->verdict);
    fprintf(csv, ",%s,%llu,%llu,%llu", work ? work : "",
            (unsigned long long)round->param_count,
            (unsigned long long)round->mac_count,
            (unsigned long long)round->model_bytes);
    write_share_csv(csv, round->accuracy_before);
    write_share_csv(csv, round->accuracy_after);
    fprintf(csv, ",%s", verdict ? verdict : "");
    write_share_csv(csv, round->int8_accuracy);
    fputc('\n', csv);
}

static fl_err write_round_csv(fl_report *report, const fl_round_record *round,
                              int64_t virtual_ms, fl_reason *why)
{
    if (!report->csv) return FL_OK;
    fprintf(report->csv, "%u,", round->round);
    // A round without evaluation leaves its fields empty.
    if (isfinite(round->accuracy)) {
        fprintf(report->csv, "%.6f,%.6f,", round->accuracy, round->loss);
    } else {
        fputs(",,", report->csv);
    }
    const char *aggregation = fl_totals_aggregation_name(round->aggregation);
    fprintf(report->csv, "%.6f,%.6f,%u,%u,%llu,%llu,%llu,%.3f,%s,%u,%llu",
            round->client_accuracy, round->client_loss, round->update_count,
            round->selected_count, (unsigned long long)round->sample_count,
            (unsigned long long)round->bytes_up,
            (unsigned long long)round->bytes_down, (double)virtual_ms * 1e-3,
            aggregation ? aggregation : "", round->sessions_aborted,
            (unsigned long long)round->bytes_control);
    write_ledger_csv(report->csv, round);
    write_size_csv(report->csv, round);
    if (fflush(report->csv) == 0) return FL_OK;
    return refuse_path(report->options.csv, why);
}

static void show_progress(fl_report *report, const fl_round_record *round)
{
    char up[16];
    fl_bytes_text(up, (double)round->bytes_up);
    fl_progress_show(&report->progress, round->round,
                     "acc %.4f loss %.3f up %s", report->totals.accuracy,
                     report->totals.loss, up);
}

fl_err fl_report_round(fl_report *report, const fl_round_record *round,
                       const uint32_t *cohort, size_t cohort_len,
                       int64_t virtual_ms, fl_reason *why)
{
    fl_totals_add(&report->totals, round);
    if (report->point_count < report->options.round_count) {
        const size_t i = report->point_count++;
        report->points[i] =
            (fl_chart_point){round->round, round->accuracy, round->loss};
        report->ledgers[i] = (fl_chart_bytes){
            round->round,
            fl_totals_round_ledger(round, report->options.param_count)};
    }
    FL_TRY(
        write_round_json(report, round, cohort, cohort_len, virtual_ms, why));
    FL_TRY(write_round_csv(report, round, virtual_ms, why));
    show_progress(report, round);
    return FL_OK;
}

/* ---- the end ---- */

void fl_report_set_crypto(fl_report *report, double client_s, double server_s)
{
    report->crypto_client_s = client_s;
    report->crypto_server_s = server_s;
}

void fl_report_set_forms(fl_report *report, const fl_totals_forms *forms)
{
    report->forms = *forms;
}

static fl_err write_summary_json(fl_report *report, int64_t virtual_ms,
                                 fl_reason *why)
{
    const fl_report_options *options = &report->options;
    if (!report->json) return FL_OK;
    fl_json *line = fl_json_new();
    fl_json_text_set(line, "event", "summary");
    fl_totals_json(line, &report->totals, options->param_count);
    fl_json_count_set(line, "clients", options->client_count);
    fl_json_number_set(line, "virtual_s", (double)virtual_ms * 1e-3);
    fl_json_number_set(line, "wall_s", seconds_since(report->start_us));
    fl_json_number_set(line, "cpu_s",
                       (double)(fl_clock_cpu_us() - report->start_cpu_us) *
                           1e-6);
    fl_json_number_set(line, "crypto_client_cpu_s", report->crypto_client_s);
    fl_json_number_set(line, "crypto_server_cpu_s", report->crypto_server_s);
    fl_json_count_set(line, "seed", options->seed);
    fl_json_text_set(line, "version", FL_VERSION);
    fl_json_count_set(line, "params", options->param_count);
    fl_json_text_set(line, "dataset", options->dataset);
    fl_json_text_set(line, "model", options->model);
    fl_json_text_set(line, "partition", options->partition);
    fl_json_count_set(line, "cohort_size", options->cohort);
    return write_line(report->json, line, options->json, why);
}

static void print_sessions(FILE *out, const fl_report *report)
{
    const fl_totals *totals = &report->totals;
    const char *aggregation = fl_totals_aggregation_name(totals->aggregation);
    if (aggregation) fprintf(out, "  aggregation      %s\n", aggregation);
    if (totals->bytes_control == 0 && totals->sessions_aborted == 0) return;
    char control[16], each[16];
    fl_bytes_text(control, (double)totals->bytes_control);
    fl_bytes_text(each, fl_totals_control_each(totals));
    fprintf(out,
            "  sessions aborted %llu\n"
            "  bytes of control %s, %s a client a round\n"
            "  cryptography     clients %.2f s, aggregator %.2f s of CPU\n",
            (unsigned long long)totals->sessions_aborted, control, each,
            report->crypto_client_s, report->crypto_server_s);
}

static void print_size(FILE *out, const char *name, double bytes, double raw)
{
    char size[16], ratio[FL_TOTALS_RATIO_CAP];
    if (!(bytes > 0)) return;
    fl_bytes_text(size, bytes);
    fl_totals_ratio_text(ratio, raw, bytes);
    fprintf(out, "    %-14s %s, %s\n", name, size, ratio);
}

static void print_ledger(FILE *out, const fl_report *report)
{
    const fl_totals *totals = &report->totals;
    const fl_ledger ledger =
        fl_totals_ledger(totals, report->options.param_count);
    const char *codec = fl_codec_name((fl_codec_kind)totals->codec);
    char raw[16];
    if (!codec) return;
    fl_bytes_text(raw, ledger.raw);
    fprintf(out,
            "  codec            %s\n"
            "  an update        %s in float32\n",
            codec, raw);
    print_size(out, "support", ledger.support, ledger.raw);
    print_size(out, "rounded", ledger.rounded, ledger.raw);
    print_size(out, "packed", ledger.packed, ledger.raw);
    print_size(out, "on the wire", ledger.wire, ledger.raw);
    if (totals->aggregation == FL_AGGREGATION_SECURE) {
        char flower[FL_TOTALS_FLOWER_CAP];
        fl_totals_flower_text(flower, &ledger);
        fprintf(out, "  against Flower   %s\n", flower);
    }
    fprintf(out, "  a download       %s in float32\n", raw);
    print_size(out, "one behind", ledger.download_1, ledger.raw);
    print_size(out, "ten behind", ledger.download_10, ledger.raw);
    print_size(out, "whole", ledger.download_full, ledger.raw);
}

static void print_table(const fl_report *report, int64_t virtual_ms)
{
    const fl_report_options *options = &report->options;
    char up[16], down[16], each[16], virtual_time[16], wall_time[16];
    const fl_totals *totals = &report->totals;
    const uint64_t training_up = totals->bytes_up - totals->survey_up;
    const double updates =
        totals->update_count ? (double)totals->update_count : 1.0;
    fl_bytes_text(up, (double)totals->bytes_up);
    fl_bytes_text(down, (double)totals->bytes_down);
    fl_bytes_text(each, (double)training_up / updates);
    fl_duration_text(virtual_time, (double)virtual_ms * 1e-3);
    fl_duration_text(wall_time, seconds_since(report->start_us));
    FILE *out =
        options->json && strcmp(options->json, "-") == 0 ? stderr : stdout;
    fprintf(out,
            "\n%s on %s, %s, %u clients, %u a round, seed %llu\n\n"
            "  rounds           %u of %u\n",
            options->model, options->dataset, options->partition,
            options->client_count, options->cohort,
            (unsigned long long)options->seed, totals->round,
            options->round_count);
    if (isfinite(totals->accuracy)) {
        fprintf(out,
                "  accuracy         %.2f %%, best %.2f %% in round %u\n"
                "  loss             %.4f\n",
                100.0 * totals->accuracy, 100.0 * totals->best_accuracy,
                totals->best_round, totals->loss);
    }
    fprintf(out,
            "  parameters       %llu\n"
            "  updates          %llu of %llu asked for\n"
            "  bytes up         %s, %s an update\n"
            "  bytes down       %s\n",
            (unsigned long long)options->param_count,
            (unsigned long long)totals->update_count,
            (unsigned long long)totals->selected_count, up, each, down);
    fl_totals_print_surveys(out, "  ", totals);
    print_sessions(out, report);
    print_ledger(out, report);
    fprintf(out,
            "  virtual time     %s\n"
            "  wall time        %s\n",
            virtual_time, wall_time);
    fl_totals_print_sizes(out, totals, &report->forms);
}

static fl_err draw_charts(const fl_report *report, fl_reason *why)
{
    const fl_report_options *options = &report->options;
    char title[200];
    snprintf(title, sizeof title, "%s on %s, %u clients, %u a round",
             options->model, options->dataset, options->client_count,
             options->cohort);
    if (options->plot) {
        FL_TRY(fl_chart_write(options->plot, title, report->points,
                              report->point_count, why));
    }
    if (!options->plot_bytes) return FL_OK;
    return fl_chart_write_bytes(options->plot_bytes, title, report->ledgers,
                                report->point_count, why);
}

fl_err fl_report_finish(fl_report *report, int64_t virtual_ms, fl_reason *why)
{
    const fl_report_options *options = &report->options;
    fl_progress_finish(&report->progress);
    FL_TRY(write_summary_json(report, virtual_ms, why));
    if (!options->is_quiet) print_table(report, virtual_ms);
    return draw_charts(report, why);
}
