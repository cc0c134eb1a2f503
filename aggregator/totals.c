/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/totals.h"

#include <math.h>
#include <stdio.h>

#include "aggregator/reduction.h"
#include "base/progress.h"
#include "compress/compress.h"
#include "proto/proto.h"

void fl_totals_init(fl_totals *totals)
{
    *totals = (fl_totals){
        .accuracy = NAN,
        .loss = NAN,
        .best_accuracy = NAN,
        .client_accuracy = NAN,
        .client_loss = NAN,
        .dense = {.accuracy = NAN},
        .pruned = {.accuracy = NAN},
        .int8_accuracy = NAN,
    };
}

static void add_download(uint64_t *sum, uint32_t *count, uint64_t bytes)
{
    *sum += bytes;
    *count += bytes > 0;
}

// Rounds of earlier versions have no ledger, and count for no mean of it; the
// answers of surveys are no updates.
static void add_ledger(fl_totals *totals, const fl_round_record *round)
{
    if (round->codec == 0 || round->work != FL_WORK_TRAIN) return;
    totals->codec = round->codec;
    totals->ledger_updates += round->update_count;
    totals->payload_up += round->payload_up;
    totals->support += round->update_count * round->up_support;
    totals->rounded += round->update_count * round->up_rounded;
    add_download(&totals->download_1, &totals->count_1, round->download_1);
    add_download(&totals->download_10, &totals->count_10, round->download_10);
    add_download(&totals->download_full, &totals->count_full,
                 round->download_full);
}

// A model as large as the first one has lost nothing, or has got it back.
static void add_size(fl_totals *totals, const fl_round_record *round)
{
    if (round->param_count == 0) return;  // of an earlier version
    const bool is_dense =
        totals->dense.params == 0 || round->param_count >= totals->dense.params;
    fl_totals_size *size = is_dense ? &totals->dense : &totals->pruned;
    if (is_dense) totals->pruned = (fl_totals_size){.accuracy = NAN};
    size->params = round->param_count;
    size->macs = round->mac_count;
    if (round->model_bytes > 0) size->bytes = round->model_bytes;
    if (round->round > 0 && isfinite(round->accuracy)) {
        size->accuracy = round->accuracy;
    }
}

static void add_verdict(fl_totals *totals, const fl_round_record *round)
{
    totals->accepted_count += round->verdict == FL_VERDICT_ACCEPTED;
    totals->rolled_back_count += round->verdict == FL_VERDICT_ROLLED_BACK;
    if (isfinite(round->int8_accuracy) && round->work == FL_WORK_MEASURE) {
        totals->int8_accuracy = round->int8_accuracy;
    }
}

static void add_training(fl_totals *totals, const fl_round_record *round)
{
    totals->update_count += round->update_count;
    totals->selected_count += round->selected_count;
    totals->sample_count += round->sample_count;
    totals->client_accuracy = round->client_accuracy;
    totals->client_loss = round->client_loss;
}

static void add_survey(fl_totals *totals, const fl_round_record *round)
{
    totals->survey_count++;
    totals->answer_count += round->update_count;
    totals->survey_up += round->bytes_up;
    totals->survey_control += round->bytes_control;
}

void fl_totals_add(fl_totals *totals, const fl_round_record *round)
{
    add_size(totals, round);
    if (round->round == 0) return;  // the first model: nothing has run
    add_verdict(totals, round);
    totals->round = round->round;
    totals->took_ms += round->took_ms;
    totals->bytes_up += round->bytes_up;
    totals->bytes_down += round->bytes_down;
    totals->bytes_control += round->bytes_control;
    totals->sessions_aborted += round->sessions_aborted;
    totals->aggregation = round->aggregation;
    if (round->work == FL_WORK_TRAIN) {
        add_training(totals, round);
    } else {
        add_survey(totals, round);
    }
    add_ledger(totals, round);
    if (!isfinite(round->accuracy)) return;
    totals->accuracy = round->accuracy;
    totals->loss = round->loss;
    if (!(totals->best_accuracy >= round->accuracy)) {  // true for NaN too
        totals->best_accuracy = round->accuracy;
        totals->best_round = round->round;
    }
}

const char *fl_totals_aggregation_name(uint32_t aggregation)
{
    switch (aggregation) {
    case FL_AGGREGATION_SECURE: return "secure";
    case FL_AGGREGATION_CLEAR: return "clear";
    default: return NULL;
    }
}

const char *fl_totals_work_name(uint32_t work)
{
    switch (work) {
    case FL_WORK_TRAIN: return "train";
    case FL_WORK_MEASURE: return "measure";
    case FL_WORK_IMPORTANCE: return "importance";
    case FL_WORK_RANGES: return "ranges";
    default: return NULL;
    }
}

// 0 of nothing.
static double mean(uint64_t sum, uint64_t count)
{
    return count ? (double)sum / (double)count : 0.0;
}

double fl_totals_control_each(const fl_totals *totals)
{
    return mean(totals->bytes_control - totals->survey_control,
                totals->update_count);
}

fl_ledger fl_totals_ledger(const fl_totals *totals, uint64_t param_count)
{
    const uint64_t updates = totals->ledger_updates;
    return (fl_ledger){
        .raw = (double)param_count * sizeof(float),
        .support = mean(totals->support, updates),
        .rounded = mean(totals->rounded, updates),
        .packed = mean(totals->payload_up, updates),
        .wire =
            mean(totals->bytes_up - totals->survey_up, totals->update_count),
        .download_1 = mean(totals->download_1, totals->count_1),
        .download_10 = mean(totals->download_10, totals->count_10),
        .download_full = mean(totals->download_full, totals->count_full),
    };
}

fl_ledger fl_totals_round_ledger(const fl_round_record *round,
                                 uint64_t param_count)
{
    fl_totals totals;
    fl_totals_init(&totals);
    fl_totals_add(&totals, round);
    return fl_totals_ledger(&totals, param_count);
}

static double times_smaller(double whole, double part)
{
    return whole > 0 && part > 0 ? whole / part : (double)NAN;
}

void fl_totals_ratio_text(char dst[FL_TOTALS_RATIO_CAP], double whole,
                          double part)
{
    const double times = times_smaller(whole, part);
    if (isnan(times)) {
        snprintf(dst, FL_TOTALS_RATIO_CAP, "-");
    } else {
        snprintf(dst, FL_TOTALS_RATIO_CAP, "1/%.*f", times < 10, times);
    }
}

void fl_totals_flower_text(char dst[FL_TOTALS_FLOWER_CAP],
                           const fl_ledger *ledger)
{
    char size[16], ratio[FL_TOTALS_RATIO_CAP];
    const double flower = 2 * ledger->raw;
    fl_bytes_text(size, flower);
    fl_totals_ratio_text(ratio, flower, ledger->packed);
    snprintf(dst, FL_TOTALS_FLOWER_CAP, "%s of its %s, 8 bytes a value", ratio,
             size);
}

static void set_ledger(fl_json *line, uint32_t codec, const fl_ledger *ledger)
{
    fl_json_text_set(line, "codec", fl_codec_name((fl_codec_kind)codec));
    fl_json_number_set(line, "payload_up_per_client", ledger->packed);
    fl_json_number_set(line, "wire_up_per_client", ledger->wire);
    fl_json_number_set(line, "download_1_behind", ledger->download_1);
    fl_json_number_set(line, "download_10_behind", ledger->download_10);
    fl_json_number_set(line, "download_full", ledger->download_full);
    fl_json_number_set(line, "ratio_up",
                       times_smaller(ledger->raw, ledger->packed));
    fl_json_number_set(line, "ratio_up_wire",
                       times_smaller(ledger->raw, ledger->wire));
}

// How the sum came about; the same keys for a round and for a run.
static void set_sessions(fl_json *line, uint32_t aggregation,
                         uint64_t sessions_aborted, uint64_t bytes_control)
{
    fl_json_text_set(line, "aggregation",
                     fl_totals_aggregation_name(aggregation));
    fl_json_count_set(line, "sessions_aborted", sessions_aborted);
    fl_json_count_set(line, "bytes_control", bytes_control);
}

static double sparsity(uint64_t params, uint64_t first)
{
    return first > 0 && params > 0 ? 1.0 - (double)params / (double)first
                                   : (double)NAN;
}

static void set_size(fl_json *line, const fl_round_record *round,
                     uint64_t first)
{
    fl_json_text_set(line, "work", fl_totals_work_name(round->work));
    fl_json_count_set(line, "params", round->param_count);
    fl_json_count_set(line, "macs", round->mac_count);
    fl_json_count_set(line, "model_bytes", round->model_bytes);
    fl_json_number_set(line, "sparsity", sparsity(round->param_count, first));
    fl_json_number_set(line, "accuracy_before", round->accuracy_before);
    fl_json_number_set(line, "accuracy_after", round->accuracy_after);
    fl_json_text_set(line, "verdict",
                     fl_reduction_verdict_name(round->verdict));
    fl_json_number_set(line, "int8_accuracy", round->int8_accuracy);
}

static void set_sizes(fl_json *line, const fl_totals *totals)
{
    const fl_totals_size *pruned =
        totals->pruned.params > 0 ? &totals->pruned : &totals->dense;
    fl_json_count_set(line, "dense_params", totals->dense.params);
    fl_json_number_set(line, "dense_accuracy", totals->dense.accuracy);
    fl_json_count_set(line, "pruned_params", pruned->params);
    fl_json_count_set(line, "macs", pruned->macs);
    fl_json_count_set(line, "model_bytes", pruned->bytes);
    fl_json_number_set(line, "sparsity",
                       sparsity(pruned->params, totals->dense.params));
    fl_json_number_set(line, "int8_accuracy", totals->int8_accuracy);
    fl_json_count_set(line, "surveys", totals->survey_count);
    fl_json_count_set(line, "survey_bytes_up", totals->survey_up);
    fl_json_count_set(line, "guard_accepted", totals->accepted_count);
    fl_json_count_set(line, "guard_rolled_back", totals->rolled_back_count);
}

typedef struct {
    const char *name;
    double accuracy;  // 0 to 1
    uint64_t params;
    double bytes, us;
} form_row;

static void print_row(FILE *out, const form_row *row)
{
    char percent[16] = "-", size[16] = "-", time[16] = "-";
    if (isfinite(row->accuracy)) {
        snprintf(percent, sizeof percent, "%.2f %%", 100.0 * row->accuracy);
    }
    if (row->bytes > 0) fl_bytes_text(size, row->bytes);
    if (row->us > 0) snprintf(time, sizeof time, "%.1f us", row->us);
    fprintf(out, "  %-16s %10s %12llu %12s %12s\n", row->name, percent,
            (unsigned long long)row->params, size, time);
}

void fl_totals_print_surveys(FILE *out, const char *indent,
                             const fl_totals *totals)
{
    char up[16];
    if (totals->survey_count == 0) return;
    fl_bytes_text(up, (double)totals->survey_up);
    fprintf(out, "%ssurveys          %u, %llu answers, %s up\n", indent,
            totals->survey_count, (unsigned long long)totals->answer_count, up);
}

void fl_totals_print_sizes(FILE *out, const fl_totals *totals,
                           const fl_totals_forms *forms)
{
    const bool is_pruned = totals->pruned.params > 0;
    const fl_totals_size *dense = &totals->dense, *pruned = &totals->pruned;
    const form_row rows[] = {
        {"dense float32", dense->accuracy, dense->params,
         (double)dense->params * sizeof(float), forms->dense_us},
        {"pruned", pruned->accuracy, pruned->params,
         (double)pruned->params * sizeof(float), forms->pruned_us},
        {is_pruned ? "pruned + INT8" : "INT8", totals->int8_accuracy,
         is_pruned ? pruned->params : dense->params, (double)forms->int8_bytes,
         forms->int8_us},
    };
    const bool has_int8 = isfinite(totals->int8_accuracy);
    if (!is_pruned && !has_int8) return;
    fprintf(out, "\n  %-16s %10s %12s %12s %12s\n", "", "accuracy",
            "parameters", "bytes", "an example");
    print_row(out, &rows[0]);
    if (is_pruned) print_row(out, &rows[1]);
    if (has_int8) print_row(out, &rows[2]);
    fputc('\n', out);
}

void fl_totals_round_json(fl_json *line, const fl_round_record *round,
                          uint64_t param_count)
{
    const fl_ledger ledger = fl_totals_round_ledger(round, param_count);
    fl_json_count_set(line, "round", round->round);
    fl_json_number_set(line, "accuracy", round->accuracy);
    fl_json_number_set(line, "loss", round->loss);
    fl_json_number_set(line, "client_accuracy", round->client_accuracy);
    fl_json_number_set(line, "client_loss", round->client_loss);
    fl_json_count_set(line, "bytes_up", round->bytes_up);
    fl_json_count_set(line, "bytes_down", round->bytes_down);
    fl_json_count_set(line, "clients", round->update_count);
    fl_json_count_set(line, "selected", round->selected_count);
    fl_json_count_set(line, "samples", round->sample_count);
    fl_json_count_set(line, "attempt", round->attempt);
    set_sessions(line, round->aggregation, round->sessions_aborted,
                 round->bytes_control);
    fl_json_count_set(line, "up_support", round->up_support);
    fl_json_count_set(line, "up_rounded", round->up_rounded);
    fl_json_count_set(line, "up_packed", round->up_packed);
    fl_json_count_set(line, "moved", round->moved);
    set_size(line, round, param_count);
    set_ledger(line, round->codec, &ledger);
}

void fl_totals_json(fl_json *line, const fl_totals *totals,
                    uint64_t param_count)
{
    const fl_ledger ledger = fl_totals_ledger(totals, param_count);
    fl_json_count_set(line, "round", totals->round);
    fl_json_number_set(line, "accuracy", totals->accuracy);
    fl_json_number_set(line, "loss", totals->loss);
    fl_json_number_set(line, "client_accuracy", totals->client_accuracy);
    fl_json_number_set(line, "client_loss", totals->client_loss);
    fl_json_count_set(line, "bytes_up", totals->bytes_up);
    fl_json_count_set(line, "bytes_down", totals->bytes_down);
    fl_json_count_set(line, "selected", totals->selected_count);
    fl_json_count_set(line, "updates", totals->update_count);
    fl_json_count_set(line, "samples", totals->sample_count);
    fl_json_number_set(line, "best_accuracy", totals->best_accuracy);
    fl_json_count_set(line, "best_round", totals->best_round);
    set_sessions(line, totals->aggregation, totals->sessions_aborted,
                 totals->bytes_control);
    set_ledger(line, totals->codec, &ledger);
    set_sizes(line, totals);
}
