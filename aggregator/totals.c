/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/totals.h"

#include <math.h>

#include "proto/proto.h"

void fl_totals_init(fl_totals *totals)
{
    *totals = (fl_totals){
        .accuracy = NAN,
        .loss = NAN,
        .best_accuracy = NAN,
        .client_accuracy = NAN,
        .client_loss = NAN,
    };
}

void fl_totals_add(fl_totals *totals, const fl_round_record *round)
{
    if (round->round == 0) return;  // the first model: nothing has run
    totals->round = round->round;
    totals->bytes_up += round->bytes_up;
    totals->bytes_down += round->bytes_down;
    totals->update_count += round->update_count;
    totals->selected_count += round->selected_count;
    totals->sample_count += round->sample_count;
    totals->bytes_control += round->bytes_control;
    totals->sessions_aborted += round->sessions_aborted;
    totals->aggregation = round->aggregation;
    totals->client_accuracy = round->client_accuracy;
    totals->client_loss = round->client_loss;
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

double fl_totals_control_each(const fl_totals *totals)
{
    const uint64_t count = totals->update_count;
    return count ? (double)totals->bytes_control / (double)count : 0.0;
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

void fl_totals_round_json(fl_json *line, const fl_round_record *round)
{
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
}

void fl_totals_json(fl_json *line, const fl_totals *totals)
{
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
}
