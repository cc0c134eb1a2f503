/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/keeper.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

/* ---- start ---- */

static void recall_round(void *self, const fl_round_record *round)
{
    fl_totals_add(self, round);
}

static void count_client(void *self, const fl_client_record *client)
{
    (void)client;
    ++*(uint32_t *)self;
}

static fl_err count_clients(fl_keeper *keeper, fl_reason *why)
{
    keeper->client_count = 0;
    return fl_store_each_client(keeper->options.store, count_client,
                                &keeper->client_count, why);
}

fl_err fl_keeper_init(fl_keeper *keeper, const fl_keeper_options *options,
                      fl_reason *why)
{
    *keeper = (fl_keeper){.options = *options};
    fl_totals *totals = &keeper->totals;
    fl_totals_init(totals);
    FL_TRY(fl_store_each_round(options->store, 0, recall_round, totals, why));
    if (totals->dense.params == 0) totals->dense.params = options->param_count;
    keeper->param_count = totals->dense.params;
    return count_clients(keeper, why);
}

void fl_keeper_show(fl_keeper *keeper, uint32_t rounds_done, bool is_quiet)
{
    fl_progress *progress = &keeper->progress;
    fl_progress_start(progress, stderr, "round", rounds_done,
                      keeper->options.federation->round_count);
    // Elsewhere the log says as much. No line is drawn over: the log would tear
    // it.
    progress->is_quiet = is_quiet || !progress->is_terminal;
    progress->is_terminal = false;
}

/* ---- telling ---- */

static void print_json(fl_json *line)
{
    char *text = NULL;
    if (!fl_json_text(&text, line)) {
        puts(text);
        fflush(stdout);
    }
    free(text);
    fl_json_free(line);
}

// In a daemon virtual time is the time on the wall.
static void set_times(const fl_keeper *keeper, fl_json *line)
{
    const double passed_s =
        (double)(fl_clock_monotonic_us() - keeper->options.start_us) * 1e-6;
    fl_json_number_set(line, "virtual_s", passed_s);
    fl_json_number_set(line, "wall_s", passed_s);
}

static void report_round(fl_keeper *keeper, const fl_round_record *round)
{
    const bool is_measured = isfinite(round->accuracy);
    fl_totals_add(&keeper->totals, round);
    fl_progress_show(
        &keeper->progress, round->round, "%s %.4f loss %.3f clients %u",
        is_measured ? "acc" : "client acc",
        is_measured ? round->accuracy : round->client_accuracy,
        is_measured ? round->loss : round->client_loss, round->update_count);
    if (!keeper->options.is_json) return;
    fl_json *line = fl_json_new();
    fl_json_text_set(line, "event", "round");
    fl_totals_round_json(line, round, keeper->param_count);
    fl_json_number_set(line, "took_ms", (double)round->took_ms);
    set_times(keeper, line);
    print_json(line);
}

static void report_all(fl_keeper *keeper)
{
    const fl_federation *federation = keeper->options.federation;
    if (!keeper->options.is_json) return;
    fl_json *line = fl_json_new();
    fl_json_text_set(line, "event", "summary");
    fl_totals_json(line, &keeper->totals, keeper->param_count);
    fl_json_count_set(line, "clients", keeper->client_count);
    set_times(keeper, line);
    fl_json_count_set(line, "seed", federation->seed);
    fl_json_text_set(line, "version", FL_VERSION);
    fl_json_count_set(line, "params", keeper->param_count);
    fl_json_text_set(line, "model", federation->model);
    print_json(line);
}

fl_err fl_keeper_finish(fl_keeper *keeper, fl_reason *why)
{
    fl_progress_finish(&keeper->progress);
    FL_TRY(count_clients(keeper, why));
    report_all(keeper);
    return FL_OK;
}

/* ---- keeping ---- */

// For people; the one that counts is in the store. The INT8 form is written
// when there is a new one.
static void write_copy(const fl_keeper *keeper, const fl_keeper_round *round,
                       const fl_aggregator *aggregator)
{
    fl_reason why;
    size_t ranges_len = 0;
    const uint8_t *ranges = NULL;
    if (!keeper->options.out) return;
    if (isfinite(round->record.int8_accuracy)) {
        ranges = fl_aggregator_ranges(aggregator, &ranges_len);
    }
    if (fl_export_write(keeper->options.out, round->model, round->model_len,
                        ranges, ranges_len, NULL, &why)) {
        fl_log(FL_LOG_WARN, "not_saved", "what=model why=%s", why.text);
    }
}

fl_err fl_keeper_save(fl_keeper *keeper, fl_keeper_round *round,
                      const fl_aggregator *aggregator)
{
    fl_reason why;
    round->record.finished_ms = fl_clock_wall_ms();
    const fl_err err = fl_store_finish_round(
        keeper->options.store, &round->record, round->model, round->model_len,
        round->master, round->master_len, &why);
    if (err) {
        fl_log(FL_LOG_ERROR, "store_failed", "round=%u why=%s",
               round->record.round, why.text);
        return err;
    }
    write_copy(keeper, round, aggregator);
    report_round(keeper, &round->record);
    return FL_OK;
}

// The machine counts from its own start, the store from the first.
static void add_to_known(fl_client_record *record,
                         const fl_client_record *known)
{
    const bool has_contributed = record->last_round > known->last_round;
    record->first_seen_ms = known->first_seen_ms;
    record->round_count = known->round_count + (has_contributed ? 1 : 0);
    if (!has_contributed) record->last_round = known->last_round;
}

void fl_keeper_save_client(fl_keeper *keeper, const fl_client_record *client)
{
    fl_reason why;
    fl_store *store = keeper->options.store;
    fl_client_record record = *client, known;
    record.last_seen_ms = fl_clock_wall_ms();
    record.first_seen_ms = record.last_seen_ms;
    const bool is_new =
        fl_store_get_client(store, &known, record.public_key, &why) != FL_OK;
    if (!is_new) add_to_known(&record, &known);
    if (fl_store_put_client(store, &record, &why)) {
        fl_log(FL_LOG_WARN, "not_saved", "what=client why=%s", why.text);
    } else if (is_new) {
        keeper->client_count++;
    }
}
