/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/metrics.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A 0 that means "unknown" has no sample.
static double known(double value)
{
    return value > 0 ? value : (double)NAN;
}

// What all updates would have taken as plain float32.
static double float32_bytes(const fl_snapshot *snapshot)
{
    return (double)snapshot->totals.update_count *
           (double)snapshot->param_count * sizeof(float);
}

/*
 * X(name, type, labels, value, help): rows of one name stand together, the
 * first of them has the help. `s`, `t` and `v`: the snapshot, its totals and
 * the vitals. NaN: no sample.
 */
#define METRICS(X)                                                             \
    X("fedge_build_info", "gauge", "{version=\"" FL_VERSION "\"}", 1,          \
      "Always 1; the label has the version.")                                  \
    X("fedge_rounds_total", "counter", "", t->round, "Rounds finished.")       \
    X("fedge_rounds_planned", "gauge", "", s->status.round_count,              \
      "The round after which the federation ends.")                            \
    X("fedge_round_attempt", "gauge", "", s->status.attempt,                   \
      "Which attempt at the round is on; above 1 a quorum was missed.")        \
    X("fedge_round_duration_seconds", "summary", "_sum",                       \
      (double)t->took_ms * 1e-3,                                               \
      "From the plans to the saved model, of all rounds.")                     \
    X("fedge_round_duration_seconds", "summary", "_count", t->round, "")       \
    X("fedge_last_round_duration_seconds", "gauge", "",                        \
      known((double)s->last.took_ms * 1e-3), "The same of the last round.")    \
    X("fedge_accuracy_ratio", "gauge", "", t->accuracy,                        \
      "Accuracy on held-out rows, 0 to 1, measured last.")                     \
    X("fedge_best_accuracy_ratio", "gauge", "", t->best_accuracy,              \
      "The best of these.")                                                    \
    X("fedge_loss", "gauge", "", t->loss,                                      \
      "Loss on held-out rows, measured last.")                                 \
    X("fedge_client_accuracy_ratio", "gauge", "", t->client_accuracy,          \
      "Accuracy that clients saw while training, last round.")                 \
    X("fedge_client_loss", "gauge", "", t->client_loss,                        \
      "Loss that clients saw while training, last round.")                     \
    X("fedge_clients_known", "gauge", "", s->known_count,                      \
      "Clients that have ever taken part.")                                    \
    X("fedge_clients_asked_total", "counter", "", t->selected_count,           \
      "Clients that were asked to train, all rounds together.")                \
    X("fedge_updates_total", "counter", "", t->update_count,                   \
      "Updates that became part of a model.")                                  \
    X("fedge_updates_missing_total", "counter", "",                            \
      (double)t->selected_count - (double)t->update_count,                     \
      "Clients that were asked and are not in the sum of their round.")        \
    X("fedge_updates_refused_total", "counter", "", s->status.refused_count,   \
      "Updates that were bad, since the start of the program.")                \
    X("fedge_session_active", "gauge", "", s->status.is_in_session,            \
      "1 while clients add up their updates in a session.")                    \
    X("fedge_sessions_aborted_total", "counter", "", t->sessions_aborted,      \
      "Sessions and attempts that came to nothing before a round was done.")   \
    X("fedge_received_bytes_total", "counter", "", t->bytes_up,                \
      "Bytes that clients have sent.")                                         \
    X("fedge_sent_bytes_total", "counter", "", t->bytes_down,                  \
      "Bytes that were sent to clients.")                                      \
    X("fedge_control_bytes_total", "counter", "", t->bytes_control,            \
      "Bytes of the steps of sessions, both ways; part of the two above.")     \
    X("fedge_float32_bytes_total", "counter", "", float32_bytes(s),            \
      "Bytes that the updates would have taken as float32.")                   \
    X("fedge_surveys_total", "counter", "", t->survey_count,                   \
      "Rounds in which clients measured and did not train.")                   \
    X("fedge_model_version", "gauge", "", s->status.rounds_done,               \
      "The round that the published model comes from.")                        \
    X("fedge_model_parameters", "gauge", "{form=\"dense\"}",                   \
      known((double)s->param_count), "Parameters of the model's forms.")       \
    X("fedge_model_parameters", "gauge", "{form=\"pruned\"}",                  \
      known((double)t->pruned.params), "")                                     \
    X("fedge_model_bytes", "gauge", "{form=\"dense\"}",                        \
      known((double)s->param_count * sizeof(float)),                           \
      "Bytes of the model's forms: parameters in float32, or the INT8 file.")  \
    X("fedge_model_bytes", "gauge", "{form=\"pruned\"}",                       \
      known((double)t->pruned.params * sizeof(float)), "")                     \
    X("fedge_model_bytes", "gauge", "{form=\"int8\"}",                         \
      known((double)s->int8_bytes), "")                                        \
    X("fedge_model_accuracy_ratio", "gauge", "{form=\"dense\"}",               \
      t->dense.accuracy, "Accuracy of the model's forms on held-out rows.")    \
    X("fedge_model_accuracy_ratio", "gauge", "{form=\"pruned\"}",              \
      t->pruned.accuracy, "")                                                  \
    X("fedge_model_accuracy_ratio", "gauge", "{form=\"int8\"}",                \
      t->int8_accuracy, "")                                                    \
    X("fedge_http_requests_total", "counter", "", v->request_count,            \
      "Requests for the page, the API and this text.")                         \
    X("fedge_http_listeners", "gauge", "", v->listener_count,                  \
      "Connections that follow the events now.")                               \
    X("process_cpu_seconds_total", "counter", "", v->cpu_s,                    \
      "CPU time of the aggregator, all threads.")                              \
    X("process_resident_memory_bytes", "gauge", "",                            \
      known((double)v->resident_bytes), "Memory of the aggregator.")           \
    X("process_start_time_seconds", "gauge", "", (double)s->started_ms * 1e-3, \
      "When the aggregator started, Unix time.")

typedef struct {
    const char *name, *type, *labels, *help;
} metric;

#define ROW(name, type, labels, value, help) {(name), (type), (labels), (help)},
static const metric table[] = {METRICS(ROW)};
#undef ROW
enum { METRIC_COUNT = sizeof table / sizeof *table };

static void measure(double values[METRIC_COUNT], const fl_snapshot *s,
                    const fl_vitals *v)
{
    const fl_totals *t = &s->totals;
    const double measured[] = {
#define VALUE(name, type, labels, value, help) (double)(value),
        METRICS(VALUE)
#undef VALUE
    };
    memcpy(values, measured, sizeof measured);
}

static void write_head(FILE *out, const char *name, const char *help,
                       const char *type)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

// Fifteen digits: all that a double keeps of a decimal number.
static void write_table(FILE *out, const double values[METRIC_COUNT])
{
    const char *last = "";
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const metric *row = &table[i];
        if (strcmp(row->name, last) != 0) {
            write_head(out, row->name, row->help, row->type);
        }
        last = row->name;
        if (isnan(values[i])) continue;
        fprintf(out, "%s%s %.15g\n", row->name, row->labels, values[i]);
    }
}

static void write_clients(FILE *out, const fl_census *census)
{
    write_head(out, "fedge_clients", "Clients by what they do now.", "gauge");
    for (unsigned i = 0; i < FL_CENSUS_STATES; i++) {
        fprintf(out, "fedge_clients{state=\"%s\"} %u\n",
                fl_census_word((fl_census_state)i), census->count[i]);
    }
}

static void write_reasons(FILE *out, const uint32_t counts[FL_AWAY_COUNT])
{
    write_head(out, "fedge_clients_unable",
               "Clients by why they cannot work, connected or not.", "gauge");
    for (unsigned i = FL_AWAY_NONE + 1; i < FL_AWAY_COUNT; i++) {
        fprintf(out, "fedge_clients_unable{reason=\"%s\"} %u\n",
                fl_away_word((fl_away)i), counts[i]);
    }
}

fl_err fl_metrics_text(char **text, size_t *len, const fl_snapshot *snapshot,
                       const fl_vitals *vitals)
{
    double values[METRIC_COUNT];
    *text = NULL;
    FILE *out = open_memstream(text, len);
    if (!out) return FL_ERR_MEMORY;
    measure(values, snapshot, vitals);
    write_table(out, values);
    write_clients(out, &snapshot->census);
    write_reasons(out, snapshot->status.away_counts);
    const bool has_failed = ferror(out) != 0;
    if (fclose(out) == 0 && !has_failed) return FL_OK;
    free(*text);
    return FL_ERR_MEMORY;
}
