/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/aggregator.h"
#include "base/progress.h"

typedef struct {
    fl_totals totals;
    uint32_t client_count;
    uint8_t model[FL_HASH_BYTES];  // of the last round
    uint64_t param_count;          // of that model; 0: its file does not say
} findings;

static void visit_round(void *self, const fl_round_record *round)
{
    findings *found = self;
    fl_totals_add(&found->totals, round);
    memcpy(found->model, round->model, sizeof found->model);
}

static void visit_client(void *self, const fl_client_record *client)
{
    findings *found = self;
    (void)client;
    found->client_count++;
}

// Of the first model, where that is known: what later ones are compared with.
static uint64_t first_count(const findings *found)
{
    const uint64_t first = found->totals.dense.params;
    return first > 0 ? first : found->param_count;
}

static fl_err print_json(FILE *out, const findings *found, bool is_running,
                         fl_reason *why)
{
    char *text = NULL;
    fl_json *line = fl_json_new();
    fl_json_text_set(line, "event", "status");
    fl_json_bool_set(line, "running", is_running);
    fl_totals_json(line, &found->totals, first_count(found));
    fl_json_count_set(line, "clients", found->client_count);
    fl_json_text_set(line, "version", FL_VERSION);
    const fl_err err = fl_json_text(&text, line);
    if (err) {
        fl_reason_set(why, err, "no memory for the status");
    } else {
        fprintf(out, "%s\n", text);
    }
    free(text);
    fl_json_free(line);
    return err;
}

static void print_sessions(FILE *out, const fl_totals *totals)
{
    const char *aggregation = fl_totals_aggregation_name(totals->aggregation);
    if (aggregation) fprintf(out, "aggregation      %s\n", aggregation);
    if (totals->bytes_control == 0 && totals->sessions_aborted == 0) return;
    char control[16], each[16];
    fl_bytes_text(control, (double)totals->bytes_control);
    fl_bytes_text(each, fl_totals_control_each(totals));
    fprintf(out,
            "sessions aborted %llu\n"
            "bytes of control %s, %s a client a round\n",
            (unsigned long long)totals->sessions_aborted, control, each);
}

// Without the model's size an update is compared with nothing.
static void count_parameters(fl_store *store, findings *found)
{
    uint8_t *bytes = NULL;
    size_t len;
    fl_model *model = NULL;
    if (found->totals.round == 0) return;
    if (fl_store_read_model(store, &bytes, &len, found->model, NULL)) return;
    if (!fl_model_decode(&model, bytes, len, NULL)) {
        found->param_count = fl_model_param_count(model);
    }
    fl_model_free(model);
    free(bytes);
}

static void print_size(FILE *out, const char *name, double bytes, double raw)
{
    char size[16], ratio[FL_TOTALS_RATIO_CAP];
    if (!(bytes > 0)) return;
    fl_bytes_text(size, bytes);
    fl_totals_ratio_text(ratio, raw, bytes);
    if (raw > 0) {
        fprintf(out, "%-16s %s, %s of float32\n", name, size, ratio);
    } else {
        fprintf(out, "%-16s %s\n", name, size);
    }
}

static void print_ledger(FILE *out, const findings *found)
{
    const fl_ledger ledger =
        fl_totals_ledger(&found->totals, first_count(found));
    const char *codec = fl_codec_name((fl_codec_kind)found->totals.codec);
    if (!codec) return;
    fprintf(out, "codec            %s\n", codec);
    print_size(out, "an update", ledger.packed, ledger.raw);
    print_size(out, "on the wire", ledger.wire, ledger.raw);
    if (found->totals.aggregation == FL_AGGREGATION_SECURE && ledger.raw > 0) {
        char flower[FL_TOTALS_FLOWER_CAP];
        fl_totals_flower_text(flower, &ledger);
        fprintf(out, "against Flower   %s\n", flower);
    }
    print_size(out, "one behind", ledger.download_1, ledger.raw);
    print_size(out, "ten behind", ledger.download_10, ledger.raw);
    print_size(out, "a whole model", ledger.download_full, ledger.raw);
}

static void print_table(FILE *out, const findings *found, bool is_running)
{
    const fl_totals *totals = &found->totals;
    char up[16], down[16];
    fl_bytes_text(up, (double)totals->bytes_up);
    fl_bytes_text(down, (double)totals->bytes_down);
    fprintf(out,
            "aggregator       %s\n"
            "rounds finished  %u\n"
            "clients known    %u\n"
            "updates          %llu\n"
            "bytes up         %s\n"
            "bytes down       %s\n",
            is_running ? "running" : "not running", totals->round,
            found->client_count, (unsigned long long)totals->update_count, up,
            down);
    fl_totals_print_surveys(out, "", totals);
    print_sessions(out, totals);
    print_ledger(out, found);
    fl_totals_print_sizes(out, totals, &(fl_totals_forms){0});
    if (isfinite(totals->accuracy)) {
        fprintf(out,
                "accuracy         %.2f %%, best %.2f %% in round %u\n"
                "loss             %.4f\n",
                100.0 * totals->accuracy, 100.0 * totals->best_accuracy,
                totals->best_round, totals->loss);
    } else if (isfinite(totals->client_accuracy)) {
        fprintf(out, "client accuracy  %.2f %%, on what they train with\n",
                100.0 * totals->client_accuracy);
    }
}

fl_err fl_status_print(FILE *out, const char *folder, bool is_json,
                       bool *is_running, fl_reason *why)
{
    fl_store *store = NULL;
    findings found = {.client_count = 0};
    fl_totals_init(&found.totals);
    *is_running = fl_store_is_running(folder);
    FL_TRY(fl_store_open(&store, folder, true, why));
    fl_err err = fl_store_each_round(store, 0, visit_round, &found, why);
    if (!err) err = fl_store_each_client(store, visit_client, &found, why);
    if (!err) count_parameters(store, &found);
    fl_store_close(store);
    if (err) return err;
    if (is_json) return print_json(out, &found, *is_running, why);
    print_table(out, &found, *is_running);
    return FL_OK;
}

void fl_status_line(char line[FL_STATUS_LINE_CAP],
                    const fl_aggregator_status *status)
{
    int len = snprintf(line, FL_STATUS_LINE_CAP, "round %u of %u, %s",
                       status->selected_count > 0 ? status->rounds_done + 1
                                                  : status->rounds_done,
                       status->round_count, status->activity);
    if (status->selected_count > 0) {
        len += snprintf(line + len, FL_STATUS_LINE_CAP - (size_t)len,
                        ": %u of %u updates", status->update_count,
                        status->selected_count);
    }
    snprintf(line + len, FL_STATUS_LINE_CAP - (size_t)len, ", %u clients",
             status->connected_count);
}
