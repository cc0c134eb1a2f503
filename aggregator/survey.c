/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator_core.h"
#include "aggregator/pruning.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- begin and end ---- */

// For the record alone: without memory its multiplications are unknown.
static void measure_cost(fl_aggregator *aggregator, const fl_model *model)
{
    fl_channels *channels = NULL;
    aggregator->cost =
        (fl_model_cost){.param_count = fl_model_param_count(model)};
    if (fl_channels_new(&channels, model, NULL)) return;
    (void)!fl_pruning_cost(&aggregator->cost, channels, NULL);
    fl_channels_free(channels);
}

fl_err fl_survey_init(fl_aggregator *aggregator, const fl_model *model,
                      const uint8_t *saved, size_t saved_len, fl_reason *why)
{
    const fl_reduction_options *options = &aggregator->options.reduction;
    measure_cost(aggregator, model);
    if (!fl_reduction_is_wanted(options)) return FL_OK;
    if (saved_len == 0) {
        return fl_reduction_new(&aggregator->reduction, options, model, why);
    }
    return fl_reduction_decode(&aggregator->reduction, options,
                               aggregator->rounds_done, saved, saved_len, why);
}

void fl_survey_shed(fl_aggregator *aggregator)
{
    fl_shed *shed = &aggregator->shed;
    fl_master_free(shed->master);
    fl_model_free(shed->model);
    free(shed->keep);
    free(shed->from);
    *shed = (fl_shed){.model = NULL};
}

void fl_survey_fini(fl_aggregator *aggregator)
{
    fl_survey_shed(aggregator);
    fl_reduction_outcome_fini(&aggregator->outcome);
    fl_reduction_free(aggregator->reduction);
    fl_object_withdraw(&aggregator->ranges);
}

/* ---- the plan ---- */

static fl_reduction_task next_task(const fl_aggregator *aggregator)
{
    return fl_reduction_next(aggregator->reduction, aggregator->options.cohort,
                             aggregator->able_count);
}

bool fl_survey_is_next(const fl_aggregator *aggregator)
{
    return next_task(aggregator).work != FL_WORK_TRAIN;
}

uint32_t fl_survey_cohort(const fl_aggregator *aggregator)
{
    const fl_aggregator_options *options = &aggregator->options;
    const uint32_t asked = next_task(aggregator).cohort;
    if (asked > FL_SESSION_CLIENTS_MAX) return FL_SESSION_CLIENTS_MAX;
    if (asked > 0) return asked;
    return (uint32_t)ceil(options->cohort * (1.0 + options->over_select));
}

void fl_survey_write_plan(const fl_aggregator *aggregator, fl_plan *plan)
{
    const fl_reduction_task task = next_task(aggregator);
    plan->work = task.work;
    plan->holdout = task.holdout;
    plan->row_cap = task.row_cap;
    if (task.is_recovering) plan->norm = FL_NORM_TRAIN;
    if (task.ranges) {
        memcpy(plan->ranges, aggregator->ranges.name, FL_HASH_BYTES);
    }
}

fl_err fl_survey_codec(const fl_aggregator *aggregator, fl_codec *codec,
                       uint64_t seed)
{
    size_t count;
    FL_TRY(
        fl_reduction_counts(&count, aggregator->work, aggregator->model, NULL));
    *codec = (fl_codec){
        .kind = FL_CODEC_TALLY,
        .param_count = count,
        .clip = (float)aggregator->options.value_clip,
        .weight_max = next_task(aggregator).row_cap,  // all rows count
        .client_cap = aggregator->sum.client_cap,
        .seed = seed,
    };
    return FL_OK;
}

fl_err fl_survey_check(const fl_aggregator *aggregator, const uint8_t *bytes,
                       size_t len, fl_reason *why)
{
    const fl_codec *codec = &aggregator->sum.codec;
    fl_update_metrics metrics;
    uint64_t *words = calloc(fl_codec_sums(codec), sizeof *words);
    uint64_t *counts = calloc(codec->param_count, sizeof *counts);
    fl_err err = FL_ERR_MEMORY;
    if (words && counts) {  // a sum of one
        err = fl_codec_add(words, codec, bytes, len, NULL, why);
        if (!err) err = fl_tally_decode(counts, &metrics, codec, words, 1, why);
        if (!err) {
            err = fl_reduction_check(aggregator->work, codec, counts, &metrics,
                                     1, why);
        }
    } else {
        (void)!fl_reason_set(why, err, "no memory");
    }
    free(words);
    free(counts);
    return err;
}

fl_err fl_survey_publish(fl_aggregator *aggregator)
{
    const fl_reduction_ranges *ranges = next_task(aggregator).ranges;
    fl_published *published = &aggregator->ranges;
    if (!ranges) {
        fl_object_withdraw(published);
        return FL_OK;
    }
    const size_t len = ranges->encoded.len;
    uint8_t *bytes = malloc(len);
    if (!bytes) return FL_ERR_MEMORY;
    memcpy(bytes, ranges->encoded.bytes, len);
    const fl_err err = fl_object_publish(published, FL_OBJECT_RANGES,
                                         ranges->round, bytes, len);
    if (err) free(bytes);
    return err;
}

fl_err fl_survey_push(fl_aggregator *aggregator, uint32_t round)
{
    fl_versions *versions = &aggregator->versions;
    const fl_shed *shed = &aggregator->shed;
    const uint8_t *name = aggregator->published.name;
    const fl_model *model = aggregator->model;
    const fl_grid *grid = fl_master_grid(aggregator->master);
    const float *params = fl_model_get_params(model);
    if (shed->keep) {
        const fl_version_cut cut = {
            .mask = {.keep = shed->keep, .count = shed->channel_count},
            .from = shed->from,
        };
        return fl_versions_push_shrunk(versions, name, model, grid, params,
                                       round, &cut);
    }
    if (shed->model) fl_versions_fini(versions);
    return fl_versions_push(versions, name, model, grid, params, round);
}

/* ---- what follows ---- */

// The model and its master give way to these; clients fetch the old one until
// the round is saved.
static void replace_model(fl_aggregator *aggregator, fl_model *model,
                          fl_master *master)
{
    fl_survey_shed(aggregator);
    aggregator->shed.model = aggregator->model;
    aggregator->shed.master = aggregator->master;
    aggregator->model = model;
    aggregator->master = master;
}

static fl_err copy_bytes(fl_reduction_bytes *copy, const uint8_t *bytes,
                         size_t len)
{
    copy->bytes = malloc(len);
    if (!copy->bytes) return FL_ERR_MEMORY;
    memcpy(copy->bytes, bytes, len);
    copy->len = len;
    return FL_OK;
}

// The model that the step begins with, as it is published, and its master.
static fl_err remember(fl_aggregator *aggregator, fl_reason *why)
{
    fl_reduction_before before = {.round = fl_round_number(aggregator)};
    const size_t len = fl_master_bytes(aggregator->master);
    before.master.bytes = malloc(len);
    before.master.len = len;
    fl_err err = FL_ERR_MEMORY;
    if (before.master.bytes) {
        err = fl_master_encode(aggregator->master, before.round,
                               before.master.bytes, len);
    }
    if (!err) {
        err = copy_bytes(&before.model, aggregator->published.bytes,
                         aggregator->published.len);
    }
    if (err) {
        fl_reduction_before_fini(&before);
        return fl_reason_set(why, err, "no memory to keep a model of %zu bytes",
                             aggregator->published.len);
    }
    fl_reduction_remember(aggregator->reduction, &before);
    return FL_OK;
}

static fl_err shrink(fl_aggregator *aggregator, fl_reason *why)
{
    fl_reduction_outcome *outcome = &aggregator->outcome;
    fl_model *smaller = NULL;
    fl_master *master = NULL;
    uint32_t *from = NULL;
    FL_TRY(remember(aggregator, why));
    fl_err err = fl_model_shrink(&smaller, &from, aggregator->model,
                                 outcome->channels, outcome->keep, why);
    if (!err) {
        err = fl_master_shrink(&master, aggregator->master, smaller, from, why);
    }
    if (err) {
        free(from);
        fl_model_free(smaller);
        return err;
    }
    replace_model(aggregator, smaller, master);
    aggregator->shed.from = from;
    aggregator->shed.keep = outcome->keep;
    aggregator->shed.channel_count = fl_channels_count(outcome->channels);
    outcome->keep = NULL;
    return FL_OK;
}

// Exactly what was published then is published again.
static fl_err roll_back(fl_aggregator *aggregator, fl_reason *why)
{
    fl_reduction_before *back = &aggregator->outcome.back;
    fl_model *model = NULL;
    fl_master *master = NULL;
    fl_err err =
        fl_model_decode(&model, back->model.bytes, back->model.len, why);
    if (!err) {
        err = fl_master_decode(&master, model, back->round,
                               aggregator->options.release, back->master.bytes,
                               back->master.len, why);
    }
    if (err) {
        fl_model_free(model);
        return err;
    }
    replace_model(aggregator, model, master);
    aggregator->next_bytes = back->model.bytes;
    aggregator->next_len = back->model.len;
    back->model = (fl_reduction_bytes){.len = 0};
    return FL_OK;
}

static fl_err take_counts(fl_aggregator *aggregator, fl_update_metrics *metrics,
                          fl_reason *why)
{
    const size_t count = aggregator->sum.codec.param_count;
    uint64_t *counts = malloc(count * sizeof *counts);
    if (!counts) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    fl_err err = fl_aggregation_counts(aggregator, counts, metrics, why);
    if (!err) {
        fl_reduction_outcome_fini(&aggregator->outcome);
        err = fl_reduction_surveyed(aggregator->reduction, &aggregator->outcome,
                                    fl_round_number(aggregator),
                                    aggregator->model, counts, metrics, why);
    }
    free(counts);
    return err;
}

// FL_ERR_RANGE would be taken for the clients' doing.
static fl_err change_model(fl_aggregator *aggregator, fl_reason *why)
{
    fl_err err = FL_OK;
    if (aggregator->outcome.keep) {
        err = shrink(aggregator, why);
    } else if (aggregator->outcome.back.round > 0) {
        err = roll_back(aggregator, why);
    } else {
        return FL_OK;
    }
    if (!err) measure_cost(aggregator, aggregator->model);
    return err == FL_ERR_RANGE ? FL_ERR_FORMAT : err;
}

static void log_outcome(fl_aggregator *aggregator)
{
    const fl_reduction_outcome *outcome = &aggregator->outcome;
    const char *verdict = fl_reduction_verdict_name(outcome->verdict);
    const uint32_t round = fl_round_number(aggregator);
    if (verdict) {
        fl_reply_log(aggregator,
                     outcome->verdict == FL_VERDICT_ACCEPTED ? FL_LOG_INFO
                                                             : FL_LOG_WARN,
                     outcome->is_int8 ? "int8_measured" : "step_measured",
                     "round=%u verdict=%s before=%.4f after=%.4f", round,
                     verdict, outcome->before, outcome->after);
    }
    if (aggregator->shed.model) {
        fl_reply_log(aggregator, FL_LOG_INFO, "model_resized",
                     "round=%u parameters=%zu before=%zu", round,
                     aggregator->cost.param_count,
                     fl_model_param_count(aggregator->shed.model));
    }
}

fl_err fl_survey_close(fl_aggregator *aggregator, fl_update_metrics *metrics,
                       fl_reason *why)
{
    FL_TRY(take_counts(aggregator, metrics, why));
    FL_TRY(change_model(aggregator, why));
    log_outcome(aggregator);
    return FL_OK;
}

bool fl_survey_has_int8(const fl_aggregator *aggregator)
{
    return aggregator->work == FL_WORK_MEASURE && aggregator->outcome.is_int8 &&
           aggregator->outcome.verdict == FL_VERDICT_ACCEPTED;
}

/* ---- the record ---- */

// Of a model of this shape; the file where there is no grid to pack it on.
static uint64_t packed_bytes(fl_aggregator *aggregator)
{
    const fl_model *model = aggregator->model;
    const fl_grid *grid = fl_master_grid(aggregator->master);
    size_t len = 0;
    if (!grid) return fl_model_bytes(model);
    if (!aggregator->shed.model) {
        return fl_versions_packed_bytes(&aggregator->versions);
    }
    const size_t cap = fl_packed_bound(model);
    uint8_t *bytes = malloc(cap);
    if (bytes && fl_packed_encode(bytes, cap, &len, model, grid,
                                  fl_model_get_params(model))) {
        len = 0;
    }
    free(bytes);
    return len;
}

void fl_survey_record(fl_aggregator *aggregator, fl_round_record *record)
{
    const fl_reduction_outcome *outcome = &aggregator->outcome;
    record->work = aggregator->work;
    record->param_count = aggregator->cost.param_count;
    record->mac_count = aggregator->cost.mac_count;
    record->accuracy_before = (double)NAN;
    record->accuracy_after = (double)NAN;
    record->int8_accuracy = (double)NAN;
    if (aggregator->reduction) record->model_bytes = packed_bytes(aggregator);
    if (aggregator->work == FL_WORK_TRAIN) return;
    record->verdict = outcome->verdict;
    record->accuracy_before = outcome->before;
    record->accuracy_after = outcome->after;
}
