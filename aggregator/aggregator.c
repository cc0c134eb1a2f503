/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator_core.h"

#include <stdlib.h>
#include <string.h>

static fl_err check_options(const fl_aggregator_options *options,
                            fl_reason *why)
{
    const double selected = options->cohort * (1.0 + options->over_select);
    if (options->cohort < 1 || selected > FL_SESSION_CLIENTS_MAX ||
        options->over_select < 0.0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a cohort of %u (and a share of %g more) is not "
                             "within 1 and %d clients",
                             options->cohort, options->over_select,
                             FL_SESSION_CLIENTS_MAX);
    }
    if (options->quorum < 1 || options->quorum > options->cohort) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a quorum of %u is not within 1 and the cohort "
                             "of %u",
                             options->quorum, options->cohort);
    }
    if (options->aggregation == FL_AGGREGATION_SECURE &&
        options->min_survivors > options->cohort) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%u survivors of a session cannot come from a "
                             "cohort of %u",
                             options->min_survivors, options->cohort);
    }
    if (options->min_survivors > FL_SESSION_CLIENTS_MAX) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%u survivors: a session has %d clients at most",
                             options->min_survivors, FL_SESSION_CLIENTS_MAX);
    }
    if (options->aggregation == FL_AGGREGATION_SECURE &&
        !fl_codec_is_summable(options->codec)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "updates of this codec cannot be masked");
    }
    if (options->deadline_ms < 1 || options->gather_ms < 0) {
        return fl_reason_set(why, FL_ERR_RANGE, "the deadline must be above 0");
    }
    return FL_OK;
}

// The key with the lowest bits of the start on top: mail numbers only rise.
static uint64_t first_mail(uint64_t start_count)
{
    return start_count << 32;
}

static fl_err check_memory(const fl_aggregator_options *options,
                           const fl_model *model, fl_reason *why)
{
    const uint64_t bytes = fl_aggregation_bytes(options, model);
    if (bytes == UINT64_MAX) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "updates of this model and codec do not go "
                             "together, or are too large to be sent");
    }
    if (bytes <= options->upload_bytes_cap) return FL_OK;
    // Every client would be told to come later, for ever.
    return fl_reason_set(why, FL_ERR_RANGE,
                         "%zu bytes of memory for updates on their way do "
                         "not hold one of %llu bytes: raise --upload-mb",
                         options->upload_bytes_cap, (unsigned long long)bytes);
}

static fl_err make_master(fl_aggregator *aggregator, fl_model *model,
                          fl_reason *why)
{
    const fl_aggregator_options *options = &aggregator->options;
    if (!options->master) {
        return fl_master_new(&aggregator->master, model, options->grid,
                             options->release, why);
    }
    const size_t len = fl_master_len(options->master, options->master_len);
    return fl_master_decode(&aggregator->master, model, aggregator->rounds_done,
                            options->release, options->master, len, why);
}

// Behind the master, where there is one.
static fl_err make_reduction(fl_aggregator *aggregator, const fl_model *model,
                             fl_reason *why)
{
    const uint8_t *saved = aggregator->options.master;
    size_t len = aggregator->options.master_len;
    if (saved) {
        const size_t master_len = fl_master_len(saved, len);
        saved += master_len;
        len -= master_len;
    }
    aggregator->options.master = NULL;  // it was borrowed
    return fl_survey_init(aggregator, model, saved, len, why);
}

static fl_err publish_first(fl_aggregator *aggregator)
{
    const size_t len = fl_model_bytes(aggregator->model);
    uint8_t *bytes = malloc(len);
    if (!bytes) return FL_ERR_MEMORY;
    fl_err err = fl_model_encode(aggregator->model, bytes, len);
    if (!err) {
        err = fl_round_publish(aggregator, aggregator->rounds_done, bytes, len);
    }
    if (err) free(bytes);
    return err;
}

fl_err fl_aggregator_new(fl_aggregator **aggregator,
                         const fl_aggregator_options *options,
                         uint32_t rounds_done, fl_model *model, fl_reason *why)
{
    FL_TRY(check_options(options, why));
    FL_TRY(check_memory(options, model, why));
    fl_err err = FL_ERR_MEMORY;
    fl_aggregator *new = calloc(1, sizeof *new);
    if (!new) goto out;
    new->options = *options;
    new->options.quorum = fl_settings_quorum(options);
    new->rounds_done = rounds_done;
    new->attempt = 1;
    new->mail_sequence = first_mail(options->start_count);
    new->sum.number = first_mail(options->start_count);
    fl_map_init(&new->peer_of_conn, SIZE_MAX);
    fl_map_init(&new->member_of_key, options->client_cap);
    new->contributors =
        calloc(FL_SESSION_CLIENTS_MAX, sizeof *new->contributors);
    if (!new->contributors) goto out;
    err = fl_roll_init(new, why);
    if (!err) err = make_master(new, model, why);
    if (!err) err = make_reduction(new, model, why);
    if (err) goto out;
    new->model = model;
    err = publish_first(new);
    if (err) {
        new->model = NULL;  // still the caller's
        goto out;
    }
    *aggregator = new;
    new = NULL;

out:
    if (err == FL_ERR_MEMORY) {
        fl_reason_set(why, err, "no memory for a model of %zu parameters",
                      fl_model_param_count(model));
    }
    fl_aggregator_free(new);
    return err;
}

void fl_aggregator_free(fl_aggregator *aggregator)
{
    if (!aggregator) return;
    for (uint32_t i = 0; i < aggregator->member_count; i++) {
        fl_object_drop(aggregator, &aggregator->members[i]);
    }
    free(aggregator->members);
    fl_peer_free_all(aggregator);
    free(aggregator->cohort);
    free(aggregator->contributors);
    fl_map_fini(&aggregator->peer_of_conn);
    fl_map_fini(&aggregator->member_of_key);
    fl_secagg_free(aggregator->sum.secagg);
    free(aggregator->sum.sums);
    free(aggregator->sum.step);
    fl_versions_fini(&aggregator->versions);
    fl_survey_fini(aggregator);
    fl_master_free(aggregator->master);
    fl_model_free(aggregator->model);
    fl_object_withdraw(&aggregator->published);
    fl_roll_fini(aggregator);
    fl_entry_fini(aggregator);
    free(aggregator->next_bytes);
    free(aggregator->next_master);
    free(aggregator->effects);
    fl_identity_fini(&aggregator->options.identity);
    free(aggregator);
}

static void start(fl_aggregator *aggregator)
{
    if (aggregator->has_started) return;
    aggregator->has_started = true;
    aggregator->sweep_at_ms = aggregator->now_ms + FL_AGGREGATOR_SWEEP_MS;
    aggregator->phase_until_ms =
        aggregator->now_ms + aggregator->options.gather_ms;
}

static void stop(fl_aggregator *aggregator)
{
    aggregator->phase = FL_PHASE_FINISHED;
    fl_peer_close_all(aggregator);
    fl_reply(aggregator, (fl_aggregator_effect){.kind = FL_AGGREGATOR_LEAVE});
}

void fl_aggregator_step(fl_aggregator *aggregator,
                        const fl_aggregator_event *event,
                        const fl_aggregator_effect **effects, size_t *count)
{
    fl_arena_reset(aggregator->options.scratch);
    fl_entry_forget(aggregator);
    aggregator->effect_count = 0;
    aggregator->now_ms = event->now_ms;
    start(aggregator);

    switch (event->kind) {
    case FL_AGGREGATOR_TICK: break;
    case FL_AGGREGATOR_OPENED: fl_peer_opened(aggregator, event->conn); break;
    case FL_AGGREGATOR_FRAME:
        fl_peer_frame(aggregator, event->conn, event->bytes, event->len);
        break;
    case FL_AGGREGATOR_CLOSED: fl_peer_closed(aggregator, event->conn); break;
    case FL_AGGREGATOR_EVALUATED: fl_round_evaluated(aggregator, event); break;
    case FL_AGGREGATOR_UNMASKED:
        fl_aggregation_unmasked(aggregator, event);
        break;
    case FL_AGGREGATOR_SAVED: fl_round_saved(aggregator, event->err); break;
    case FL_AGGREGATOR_REGISTRY:
        fl_entry_follow(aggregator, event->registry);
        break;
    case FL_AGGREGATOR_JOINED: fl_entry_answer(aggregator, event); break;
    case FL_AGGREGATOR_SETTINGS:
        fl_settings_ask(aggregator, event->settings);
        break;
    case FL_AGGREGATOR_STOP: stop(aggregator); break;
    }
    fl_peer_sweep(aggregator);
    fl_round_advance(aggregator);
    *effects = aggregator->effects;
    *count = aggregator->effect_count;
}

int64_t fl_aggregator_deadline(const fl_aggregator *aggregator)
{
    if (aggregator->phase == FL_PHASE_FINISHED) return INT64_MAX;
    const int64_t round_ms = fl_round_deadline(aggregator);
    return round_ms < aggregator->sweep_at_ms ? round_ms
                                              : aggregator->sweep_at_ms;
}

static void count_away(const fl_aggregator *aggregator,
                       uint32_t counts[FL_AWAY_COUNT])
{
    for (uint32_t i = 0; i < aggregator->member_count; i++) {
        counts[aggregator->members[i].away]++;
    }
    counts[FL_AWAY_NONE] = aggregator->able_count;
}

fl_aggregator_status fl_aggregator_get_status(const fl_aggregator *aggregator)
{
    static const char *const names[] = {
        [FL_PHASE_GATHERING] = "gathering",
        [FL_PHASE_TRAINING] = "training",
        [FL_PHASE_SESSION] = "aggregating",
        [FL_PHASE_UNMASKING] = "unmasking",
        [FL_PHASE_EVALUATING] = "evaluating",
        [FL_PHASE_SAVING] = "saving",
        [FL_PHASE_FAREWELL] = "handing out the last model",
        [FL_PHASE_FINISHED] = "finished",
    };
    const bool is_survey = aggregator->phase == FL_PHASE_TRAINING &&
                           aggregator->work != FL_WORK_TRAIN;
    const bool is_on = aggregator->phase >= FL_PHASE_TRAINING &&
                       aggregator->phase <= FL_PHASE_UNMASKING;
    fl_aggregator_status status = {
        .rounds_done = aggregator->rounds_done,
        .round_count = aggregator->options.round_count,
        .attempt = aggregator->attempt,
        .connected_count = aggregator->present_count,
        .selected_count = is_on ? aggregator->cohort_len : 0,
        .update_count = is_on ? aggregator->committed_count : 0,
        .refused_count = aggregator->refused_count,
        .aborted_count = aggregator->sum.aborted_count,
        .is_in_session = aggregator->sum.secagg != NULL,
        .activity = is_survey ? "surveying" : names[aggregator->phase],
    };
    count_away(aggregator, status.away_counts);
    return status;
}

const uint8_t *fl_aggregator_model(const fl_aggregator *aggregator, size_t *len)
{
    *len = aggregator->published.len;
    return aggregator->published.bytes;
}

size_t fl_aggregator_contributors(const fl_aggregator *aggregator,
                                  const uint8_t (**keys)[FL_KEY_BYTES])
{
    *keys = (const uint8_t(*)[FL_KEY_BYTES])aggregator->contributors;
    return aggregator->contributor_count;
}

const uint8_t *fl_aggregator_ranges(const fl_aggregator *aggregator,
                                    size_t *len)
{
    const fl_reduction_ranges *ranges =
        fl_reduction_int8(aggregator->reduction);
    *len = ranges ? ranges->encoded.len : 0;
    return ranges ? ranges->encoded.bytes : NULL;
}

fl_model_cost fl_aggregator_cost(const fl_aggregator *aggregator)
{
    return aggregator->cost;
}

const fl_master *fl_aggregator_master(const fl_aggregator *aggregator)
{
    return aggregator->master;
}
