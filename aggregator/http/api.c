/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/api.h"

#include <math.h>

#include "base/json.h"

static fl_err finish(char **text, fl_json *object)
{
    const fl_err err = fl_json_text(text, object);
    fl_json_free(object);
    return err;
}

static fl_json *make_versioned(void)
{
    fl_json *object = fl_json_new();
    fl_json_count_set(object, "schema", FL_API_SCHEMA);
    return object;
}

// Why clients cannot work, as they said last; who can is not among them.
static void add_reasons(fl_json *clients, const uint32_t counts[FL_AWAY_COUNT])
{
    for (unsigned i = FL_AWAY_NONE + 1; i < FL_AWAY_COUNT; i++) {
        fl_json *item = fl_json_new();
        fl_json_text_set(item, "reason", fl_away_word((fl_away)i));
        fl_json_count_set(item, "count", counts[i]);
        fl_json_object_add(clients, "reasons", item);
    }
}

static fl_json *make_clients(const fl_snapshot *snapshot)
{
    fl_json *clients = fl_json_new();
    fl_json_count_set(clients, "known", snapshot->known_count);
    fl_json_count_set(clients, "connected", snapshot->status.connected_count);
    for (unsigned i = 0; i < FL_CENSUS_STATES; i++) {
        const fl_census_state state = (fl_census_state)i;
        fl_json *item = fl_json_new();
        fl_json_text_set(item, "state", fl_census_word(state));
        fl_json_text_set(item, "meaning", fl_census_meaning(state));
        fl_json_count_set(item, "count", snapshot->census.count[i]);
        fl_json_object_add(clients, "states", item);
    }
    add_reasons(clients, snapshot->status.away_counts);
    return clients;
}

static fl_json *make_session(const fl_snapshot *snapshot)
{
    const fl_aggregator_status *status = &snapshot->status;
    fl_json *session = fl_json_new();
    fl_json_text_set(session, "activity", status->activity);
    fl_json_count_set(session, "rounds_done", status->rounds_done);
    fl_json_count_set(session, "rounds_planned", status->round_count);
    fl_json_count_set(session, "attempt", status->attempt);
    fl_json_count_set(session, "asked", status->selected_count);
    fl_json_count_set(session, "ready",
                      snapshot->census.count[FL_CENSUS_READY]);
    fl_json_count_set(session, "added", status->update_count);
    fl_json_bool_set(session, "in_session", status->is_in_session);
    fl_json_count_set(session, "updates_refused", status->refused_count);
    fl_json_count_set(session, "sessions_aborted", status->aborted_count);
    return session;
}

typedef struct {
    const char *name;
    uint64_t params;
    double bytes, accuracy;  // 0 and NaN: unknown
} model_form;

static void add_form(fl_json *status, const model_form *form)
{
    fl_json *item = fl_json_new();
    fl_json_text_set(item, "form", form->name);
    fl_json_count_set(item, "params", form->params);
    fl_json_number_set(item, "bytes",
                       form->bytes > 0 ? form->bytes : (double)NAN);
    fl_json_number_set(item, "accuracy", form->accuracy);
    fl_json_object_add(status, "models", item);
}

static void add_models(fl_json *status, const fl_snapshot *snapshot)
{
    const fl_totals *totals = &snapshot->totals;
    const uint64_t pruned = totals->pruned.params;
    const model_form dense = {"dense", snapshot->param_count,
                              (double)snapshot->param_count * sizeof(float),
                              totals->dense.accuracy};
    const model_form smaller = {"pruned", pruned,
                                (double)pruned * sizeof(float),
                                totals->pruned.accuracy};
    const model_form int8 = {
        "int8", pruned > 0 ? pruned : snapshot->param_count,
        (double)snapshot->int8_bytes, totals->int8_accuracy};
    add_form(status, &dense);
    if (pruned > 0) add_form(status, &smaller);
    if (isfinite(totals->int8_accuracy)) add_form(status, &int8);
}

static fl_json *make_totals(const fl_snapshot *snapshot)
{
    const double float32 = (double)snapshot->param_count * sizeof(float);
    fl_json *totals = fl_json_new();
    fl_totals_json(totals, &snapshot->totals, snapshot->param_count);
    fl_json_number_set(totals, "float32_per_client", float32);
    fl_json_number_set(totals, "float32_bytes_up",
                       float32 * (double)snapshot->totals.update_count);
    fl_json_number_set(totals, "took_s",
                       (double)snapshot->totals.took_ms * 1e-3);
    return totals;
}

static fl_json *make_process(const fl_snapshot *snapshot,
                             const fl_vitals *vitals)
{
    fl_json *process = fl_json_new();
    fl_json_text_set(process, "version", FL_VERSION);
    fl_json_number_set(process, "started_s",
                       (double)snapshot->started_ms * 1e-3);
    fl_json_count_set(process, "resident_bytes", vitals->resident_bytes);
    fl_json_number_set(process, "cpu_s", vitals->cpu_s);
    fl_json_count_set(process, "listeners", vitals->listener_count);
    return process;
}

fl_err fl_api_status(char **text, const fl_snapshot *snapshot,
                     const fl_vitals *vitals)
{
    fl_json *status = make_versioned();
    fl_json_number_set(status, "taken_s", (double)snapshot->taken_ms * 1e-3);
    fl_json_text_set(status, "model", snapshot->model);
    fl_json_object_set(status, "session", make_session(snapshot));
    fl_json_object_set(status, "clients", make_clients(snapshot));
    fl_json_object_set(status, "totals", make_totals(snapshot));
    add_models(status, snapshot);
    fl_json_object_set(status, "process", make_process(snapshot, vitals));
    return finish(text, status);
}

fl_err fl_api_clients(char **text, const fl_snapshot *snapshot)
{
    return finish(text, make_clients(snapshot));
}

fl_err fl_api_session(char **text, const fl_snapshot *snapshot)
{
    return finish(text, make_session(snapshot));
}

fl_err fl_api_round(char **text, const fl_round_record *round,
                    uint64_t param_count)
{
    char model[FL_HEX_CAP];
    fl_json *object = fl_json_new();
    fl_totals_round_json(object, round, param_count);
    fl_hex_encode(model, sizeof model, round->model, sizeof round->model);
    fl_json_text_set(object, "model", model);
    fl_json_number_set(object, "finished_s", (double)round->finished_ms * 1e-3);
    fl_json_number_set(object, "took_s", (double)round->took_ms * 1e-3);
    return finish(text, object);
}

fl_err fl_api_error(char **text, const char *sentence)
{
    fl_json *object = make_versioned();
    fl_json_text_set(object, "error", sentence);
    return finish(text, object);
}
